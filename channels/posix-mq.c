/* posix-mq: a POSIX message queue for each direction.
 *
 * Messages with boundaries, in order, all of one priority. The names are removed as soon as the queues are open. A wait
 * without a limit is taken in slices of a tenth of a second, to look after the peer: one call each. */
#include "channels/keeper.h"

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"message", PRONY_BYTES, "8Ki", 1, 16777216.0, NULL, "bytes of the largest message (mq_msgsize)"},
    {"depth", PRONY_INT, "10", 1, 65536, NULL, "messages that a queue holds (mq_maxmsg)"},
    {.name = NULL},
};

enum { IN, OUT }; /* descriptors, and behind them the lifeline */

struct mq_end {
    struct prony_line line;
    size_t largest;
    void *bounce; /* mq_receive wants room for the largest */
};

struct wanted {
    struct mq_attr about;
    int flags;
};

/* Opens the two queues of a pair, which have no names afterwards. */
static void open_queues(const void *what, struct prony_made *made)
{
    const struct wanted *wanted = what;
    struct mq_attr about = wanted->about;
    char name[64];
    while (made->fds < 2) {
        (void)snprintf(name, sizeof name, "/prony-%d-%u-%llx", (int)getpid(), made->fds,
                       (unsigned long long)prony_now_ns());
        made->fd[made->fds] = mq_open(name, wanted->flags, 0600, &about);
        if (made->fd[made->fds] == (mqd_t)-1)
            break;
        (void)mq_unlink(name);
        made->fds++;
    }
    if (made->fds == 2)
        return;
    made->fds = 0;
    if (errno == EINVAL)
        (void)prony_fail(&made->error, -ENOTSUP,
                         "no queue of %ld messages of %ld bytes: raise /proc/sys/fs/mqueue/msg_max and msgsize_max",
                         about.mq_maxmsg, about.mq_msgsize);
    else
        (void)prony_fail(&made->error, errno == EMFILE || errno == ENOSPC ? -ENOTSUP : -errno,
                         "no message queue: %s (ulimit -q, ulimit -n, /proc/sys/fs/mqueue/queues_max)",
                         strerrordesc_np(errno));
}

static int mq_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                      struct prony_error *error)
{
    uint64_t largest = (uint64_t)prony_param_int(params, "message");
    struct wanted wanted = {{.mq_maxmsg = (long)prony_param_int(params, "depth"), .mq_msgsize = (long)largest},
                            O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC};
    struct prony_maker maker;
    struct prony_made made;
    int code;
    wanted.flags |= prony_call_of(a)->wait == PRONY_WAIT_BLOCK ? 0 : O_NONBLOCK;
    code = prony_maker_start(&maker, open_queues, &wanted, &made, error);
    if (code != 0)
        return code;
    prony_maker_end(&maker);
    (void)prony_blob_add(b, made.fd[0]); /* b reads the first, a the second */
    (void)prony_blob_add(a, made.fd[1]);
    code = prony_blob_add_copy(a, made.fd[0], error);
    if (code == 0)
        code = prony_blob_add_copy(b, made.fd[1], error);
    memcpy(prony_call_of(a)->own, &largest, sizeof largest);
    memcpy(prony_call_of(b)->own, &largest, sizeof largest);
    return code != 0 ? code : prony_lifeline(a, b, error);
}

static int mq_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, mq_connect, channel, error);
}

static int64_t mq_limit(const struct prony_params *params, struct prony_error *how)
{
    (void)prony_fail(how, -EMSGSIZE, "message=BYTES raises it, up to /proc/sys/fs/mqueue/msgsize_max and ulimit -q");
    return prony_param_int(params, "message");
}

static int mq_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                     struct prony_error *error)
{
    struct mq_end *end = calloc(1, sizeof *end);
    uint64_t largest;
    int code;
    (void)worker;
    memcpy(&largest, ((const struct prony_call *)(const void *)blob->data)->own, sizeof largest);
    if (end == NULL || (end->bounce = malloc(largest)) == NULL) {
        free(end);
        return prony_fail(error, -ENOMEM, "no memory for a message of %llu bytes", (unsigned long long)largest);
    }
    end->largest = largest;
    code = prony_line_attach(blob, &end->line, error);
    if (code == 0) {
        *result = end;
        return 0;
    }
    free(end->bounce);
    free(end);
    return code;
}

static void mq_detach(void *handle)
{
    struct mq_end *end = handle;
    prony_line_detach(&end->line);
    free(end->bounce);
    free(end);
}

/* Queues take a point in time of the clock of the day. */
static struct timespec limit_of(uint64_t slice_ns)
{
    struct timespec at;
    uint64_t ns;
    (void)clock_gettime(CLOCK_REALTIME, &at);
    ns = slice_ns + (uint64_t)at.tv_nsec;
    return (struct timespec){at.tv_sec + (time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

/* One try: where calls never sleep they are not told how long, which would cost a look at the clock. */
static inline int put(const struct prony_line *line, const void *data, size_t bytes, uint64_t slice_ns)
{
    struct timespec until;
    if (line->wait != PRONY_WAIT_BLOCK)
        return mq_send(line->fd[OUT], data, bytes, 0);
    until = limit_of(slice_ns);
    return mq_timedsend(line->fd[OUT], data, bytes, 0, &until);
}

static inline ssize_t get(const struct prony_line *line, void *data, size_t bytes, uint64_t slice_ns)
{
    struct timespec until;
    if (line->wait != PRONY_WAIT_BLOCK)
        return mq_receive(line->fd[IN], data, bytes, NULL);
    until = limit_of(slice_ns);
    return mq_timedreceive(line->fd[IN], data, bytes, NULL, &until);
}

static uint64_t first_slice(uint64_t deadline)
{
    uint64_t now = deadline == UINT64_MAX ? 0 : prony_now_ns();
    return deadline - now < PRONY_LOOK_NS ? (deadline > now ? deadline - now : 0) : PRONY_LOOK_NS;
}

/* After a try that got -1: 0 to try again. */
static int again(struct prony_waiting *waiting, int fd, short events)
{
    int code;
    if (errno == EMSGSIZE || (errno != EAGAIN && errno != ETIMEDOUT && errno != EINTR))
        return -errno;
    code = prony_wait_next(waiting);
    if (code != 1)
        return code;
    return waiting->line->wait == PRONY_WAIT_BLOCK ? 0 : prony_wait_fd(waiting, fd, events);
}

/* After a first try, which failed, or without one. */
static __attribute__((noinline)) int64_t send_on(struct prony_line *line, const void *data, size_t bytes,
                                                 uint64_t deadline, bool failed)
{
    struct prony_waiting waiting = prony_wait_at(line, PRONY_OUT, deadline);
    int code = failed                          ? again(&waiting, line->fd[OUT], POLLOUT)
               : line->wait == PRONY_WAIT_POLL ? prony_wait_first(&waiting, line->fd[OUT], POLLOUT)
                                               : 0;
    if (!failed)
        waiting.slice_ns = first_slice(deadline);
    while (code == 0) {
        if (put(line, data, bytes, waiting.slice_ns) == 0) {
            prony_wait_end(&waiting);
            return (int64_t)bytes;
        }
        code = again(&waiting, line->fd[OUT], POLLOUT);
    }
    return code;
}

static int64_t mq_send_to(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct mq_end *end = handle;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    const bool tries = prony_line_burst(&end->line, deadline) > 0;
    if (tries && put(&end->line, data, bytes, PRONY_LOOK_NS) == 0)
        return (int64_t)bytes;
    return send_on(&end->line, data, bytes, deadline, tries);
}

/* What was received, of n bytes, goes to where it was wanted. */
static inline int64_t hand_over(void *data, size_t bytes, const void *from, ssize_t n)
{
    if ((size_t)n > bytes)
        return -EMSGSIZE;
    if (from != data && n > 0)
        memcpy(data, from, (size_t)n);
    return n;
}

static __attribute__((noinline)) ssize_t recv_on(struct prony_line *line, void *to, size_t largest, uint64_t deadline,
                                                 bool failed)
{
    struct prony_waiting waiting = prony_wait_at(line, PRONY_IN, deadline);
    int code = failed                          ? again(&waiting, line->fd[IN], POLLIN)
               : line->wait == PRONY_WAIT_POLL ? prony_wait_first(&waiting, line->fd[IN], POLLIN)
                                               : 0;
    if (!failed)
        waiting.slice_ns = first_slice(deadline);
    while (code == 0) {
        ssize_t n = get(line, to, largest, waiting.slice_ns);
        if (n >= 0) {
            prony_wait_end(&waiting);
            return n;
        }
        code = again(&waiting, line->fd[IN], POLLIN);
    }
    return code;
}

static int64_t mq_recv_from(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    struct mq_end *end = handle;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    const unsigned most = prony_line_burst(&end->line, deadline);
    void *to = bytes >= end->largest ? data : end->bounce;
    ssize_t n;
    for (unsigned left = most; left > 0; left--) {
        n = get(&end->line, to, end->largest, PRONY_LOOK_NS);
        if (n >= 0)
            return hand_over(data, bytes, to, n);
        if (errno != EAGAIN)
            break;
    }
    n = recv_on(&end->line, to, end->largest, deadline, most > 0);
    return n < 0 ? n : hand_over(data, bytes, to, n);
}

PRONY_EXPORT(channel, posix_mq) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "posix-mq", .summary = "POSIX message queues",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 3,
    .create = mq_create,
    .address = prony_lines_address,
    .attach = mq_attach,
    .send = mq_send_to,
    .recv = mq_recv_from,
    .pollfd = prony_line_pollfd,
    .detach = mq_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
    .ends_most = 8, /* 800 KiB of queues a user, 80 KiB each (ulimit -q); two are left for others */
    .limit = mq_limit,
};
