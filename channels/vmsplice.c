/* vmsplice: pipes into which the sender's pages are put as they are, one pipe for each direction.
 *
 * A stream, as pipe. vmsplice(2) hands over the page itself: whoever writes to it before it is read changes the message. So
 * each end has a ring of pages of its own; send copies into it, reserve and publish do without that copy, and the reader
 * copies out. A page is used again only after as many later pages as the pipe has slots, when it must have been read.
 * Every message begins on a page and takes a slot a page, however small it is. Not measured: giving pages away
 * (SPLICE_F_GIFT), which a reader that copies makes no use of. */
#include "channels/line.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"capacity", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes that a pipe holds; 0: the kernel's default, 64 KiB"},
    {.name = NULL},
};

struct splice_end {
    struct prony_line line;
    unsigned char *ring;
    size_t page, pages; /* bytes of one, and how many the ring has */
    unsigned shift;     /* a page is 1 << shift bytes */
    size_t run;         /* pages that are handed over at most at once */
    size_t next;        /* the page that is used next */
};

/* One direction; the reader's descriptor is the first of its blob, the writer's the second. */
static int join(struct prony_blob *from, struct prony_blob *to, int64_t capacity, struct prony_error *error)
{
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) != 0)
        return prony_fail(error, -errno, "no pipe: %s", strerrordesc_np(errno));
    to->fd[PRONY_IN] = fd[0];
    from->fd[PRONY_OUT] = fd[1];
    to->fds = from->fds = 2;
    if (capacity > 0 && fcntl(fd[1], F_SETPIPE_SZ, (int)capacity) < 0)
        return prony_fail(error, -errno, "a pipe cannot hold %lld bytes: %s (/proc/sys/fs/pipe-max-size)",
                          (long long)capacity, strerrordesc_np(errno));
    return prony_fd_policy(fd[0], (enum prony_wait)prony_call_of(to)->wait, error);
}

static int splice_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                          struct prony_error *error)
{
    int code = join(a, b, prony_param_int(params, "capacity"), error);
    return code != 0 ? code : join(b, a, prony_param_int(params, "capacity"), error);
}

static int splice_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, splice_connect, channel, error);
}

static void splice_detach(void *handle)
{
    struct splice_end *end = handle;
    if (end->ring != NULL)
        (void)munmap(end->ring, end->pages * end->page); /* the pipe keeps what is still in it */
    prony_line_detach(&end->line);
    free(end);
}

static int splice_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                         struct prony_error *error)
{
    struct splice_end *end = calloc(1, sizeof *end);
    void *ring;
    int code, room;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    if ((code = prony_line_attach(blob, &end->line, error)) != 0) {
        free(end);
        return code;
    }
    end->page = (size_t)sysconf(_SC_PAGESIZE);
    end->shift = (unsigned)__builtin_ctzl(end->page);
    room = fcntl(end->line.fd[PRONY_OUT], F_GETPIPE_SZ);
    end->run = room > 0 ? (size_t)room / end->page : 1;
    end->pages = 3 * end->run; /* a lap is a run left out at its end, a run to write, and as many between as slots */
    ring =
        mmap(NULL, end->pages * end->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (ring == MAP_FAILED) {
        code = prony_fail(error, -errno, "no memory for %zu pages: %s", end->pages, strerrordesc_np(errno));
        splice_detach(end);
        return code;
    }
    end->ring = ring;
    *result = end;
    return 0;
}

static size_t pages_of(const struct splice_end *end, size_t bytes)
{
    return (bytes + end->page - 1) >> end->shift;
}

/* Room for `bytes` of a run, in pages that were read long ago. */
static unsigned char *room_for(struct splice_end *end, size_t bytes)
{
    size_t pages = pages_of(end, bytes);
    if (end->next + pages > end->pages)
        end->next = 0;
    return end->ring + (end->next << end->shift);
}

/* After a try that got -1: 0 to try again, else what to tell. */
static int again(struct prony_waiting *waiting, int fd)
{
    int code;
    if (errno == EINTR)
        return 0;
    if (errno != EAGAIN)
        return -errno;
    code = prony_wait_next(waiting);
    return code == 1 ? prony_wait_fd(waiting, fd, POLLOUT) : code;
}

static __attribute__((noinline)) int hand_rest(struct splice_end *end, struct iovec part, uint64_t deadline)
{
    const int fd = end->line.fd[PRONY_OUT];
    const bool sleeps = end->line.wait == PRONY_WAIT_BLOCK && deadline == UINT64_MAX;
    while (part.iov_len > 0) {
        struct prony_waiting waiting = prony_wait_at(&end->line, PRONY_OUT, deadline);
        int code = prony_wait_first(&waiting, fd, POLLOUT);
        ssize_t n = -1;
        while (code == 0) {
            n = vmsplice(fd, &part, 1, sleeps ? 0 : SPLICE_F_NONBLOCK);
            if (n >= 0)
                break;
            code = again(&waiting, fd);
        }
        if (code != 0)
            return code;
        prony_wait_end(&waiting);
        part.iov_base = (char *)part.iov_base + n;
        part.iov_len -= (size_t)n;
    }
    return 0;
}

/* Hands over what lies in the ring from the next page on. */
static int hand_over(struct splice_end *end, size_t bytes, uint64_t deadline)
{
    struct iovec part = {end->ring + (end->next << end->shift), bytes};
    if (bytes > 0 && prony_line_burst(&end->line, deadline) > 0) {
        ssize_t n =
            vmsplice(end->line.fd[PRONY_OUT], &part, 1, end->line.wait == PRONY_WAIT_BLOCK ? 0 : SPLICE_F_NONBLOCK);
        part.iov_base = (char *)part.iov_base + (n > 0 ? n : 0);
        part.iov_len -= n > 0 ? (size_t)n : 0;
    }
    if (part.iov_len > 0) {
        int code = hand_rest(end, part, deadline);
        if (code != 0)
            return code;
    }
    end->next += pages_of(end, bytes);
    return 0;
}

static int64_t splice_send(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct splice_end *end = handle;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    for (size_t done = 0; done < bytes;) {
        size_t part = bytes - done < end->run * end->page ? bytes - done : end->run * end->page;
        int code;
        memcpy(room_for(end, part), (const char *)data + done, part);
        code = hand_over(end, part, deadline);
        if (code != 0)
            return code;
        done += part;
    }
    return (int64_t)bytes;
}

static int64_t splice_recv(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    struct splice_end *end = handle;
    return prony_stream_recv(&end->line, end->line.fd[PRONY_IN], data, bytes, prony_line_deadline(timeout_ns));
}

static int splice_reserve(void *handle, size_t bytes, void **data)
{
    struct splice_end *end = handle;
    if (bytes > end->run * end->page)
        return -EMSGSIZE;
    *data = room_for(end, bytes);
    return 0;
}

static int splice_publish(void *handle, size_t bytes)
{
    return hand_over(handle, bytes, UINT64_MAX);
}

PRONY_EXPORT(channel, vmsplice) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "vmsplice",
                       .summary = "pipes that take the sender's pages as they are, one for each direction",
                       .caps = PRONY_CHANNEL_STREAM | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_ALL | PRONY_CHANNEL_IN_PLACE,
                       .options = options),
    .copies = 2,
    .create = splice_create,
    .address = prony_lines_address,
    .attach = splice_attach,
    .send = splice_send,
    .recv = splice_recv,
    .reserve = splice_reserve,
    .publish = splice_publish,
    .pollfd = prony_line_pollfd,
    .detach = splice_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
