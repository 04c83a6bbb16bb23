#include "channels/line.h"
#include "channels/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

const char *const prony_waits_all[] = {"block", "spin", "adaptive", "poll", NULL};
const char *const prony_waits_own[] = {"block", "spin", "adaptive", NULL};

/* Host side */

int prony_blob_add(struct prony_blob *blob, int fd)
{
    blob->fd[blob->fds++] = fd;
    return fd;
}

int prony_blob_add_copy(struct prony_blob *blob, int fd, struct prony_error *error)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return prony_fail(error, -errno, "no descriptor for an end: %s (ulimit -n)", strerrordesc_np(errno));
    (void)prony_blob_add(blob, copy);
    return 0;
}

int prony_lifeline(struct prony_blob *a, struct prony_blob *b, struct prony_error *error)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
        return prony_fail(error, -errno, "no socket pair: %s (ulimit -n)", strerrordesc_np(errno));
    prony_call_of(a)->life = (int16_t)a->fds;
    prony_call_of(b)->life = (int16_t)b->fds;
    (void)prony_blob_add(a, fd[0]);
    (void)prony_blob_add(b, fd[1]);
    return 0;
}

static void init_blob(struct prony_blob *blob, const struct prony_params *params, unsigned number)
{
    struct prony_call *call = prony_call_of(blob);
    memset(blob, 0, sizeof *blob);
    memset(blob->fd, 0xff, sizeof blob->fd);
    blob->bytes = sizeof *call;
    call->wait = (int16_t)prony_param_int(params, "wait");
    call->budget_ns = (uint64_t)prony_param_int(params, "budget");
    call->life = -1;
    call->number = number;
}

int prony_lines_make(const struct prony_params *params, unsigned ends, prony_connect_fn *connect, void **result,
                     struct prony_error *error)
{
    struct prony_lines *lines;
    int code = 0;
    if (ends == 0 || ends % 2 != 0)
        return prony_fail(error, -EINVAL, "a line has two ends: %u cannot be paired", ends);
    lines = calloc(1, sizeof *lines);
    if (lines == NULL || (lines->blob = calloc(ends, sizeof *lines->blob)) == NULL) {
        free(lines);
        return prony_fail(error, -ENOMEM, "no memory for %u ends", ends);
    }
    lines->ends = ends;
    for (unsigned i = 0; i < ends; i++)
        init_blob(&lines->blob[i], params, i);
    for (unsigned i = 0; i < ends && code == 0; i += 2)
        code = connect(params, &lines->blob[i], &lines->blob[i + 1], error);
    if (code != 0) {
        prony_lines_destroy(lines);
        return code;
    }
    *result = lines;
    return 0;
}

int prony_lines_address(void *channel, unsigned end, struct prony_blob *blob)
{
    const struct prony_lines *lines = channel;
    if (end >= lines->ends)
        return -EINVAL;
    *blob = lines->blob[end];
    return 0;
}

void prony_blob_forget(const struct prony_blob *blob)
{
    for (unsigned i = 0; i < blob->fds; i++)
        if (blob->fd[i] >= 0)
            (void)close(blob->fd[i]);
}

void prony_lines_settle(void *channel)
{
    struct prony_lines *lines = channel;
    for (unsigned i = 0; i < lines->ends; i++) {
        prony_blob_forget(&lines->blob[i]);
        lines->blob[i].fds = 0;
    }
}

void prony_lines_destroy(void *channel)
{
    struct prony_lines *lines = channel;
    prony_lines_settle(lines);
    for (unsigned i = 0; i < lines->ends; i++)
        prony_keeper_stop(prony_call_of(&lines->blob[i])->keeper);
    free(lines->blob);
    free(lines);
}

/* Worker side */

/* SIGPIPE is blocked in a thread from its first end to its last. */
static _Thread_local struct {
    unsigned ends;
    bool unblock; /* it was not blocked before */
} piping;

static void block_sigpipe(void)
{
    sigset_t pipe, before;
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    if (pthread_sigmask(SIG_BLOCK, &pipe, &before) == 0 && piping.ends++ == 0)
        piping.unblock = sigismember(&before, SIGPIPE) == 0;
}

static void unblock_sigpipe(void)
{
    const struct timespec at_once = {0, 0};
    sigset_t pipe;
    if (--piping.ends > 0 || !piping.unblock)
        return;
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)sigtimedwait(&pipe, NULL, &at_once); /* the one our own send may have raised */
    (void)pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
}

int prony_line_attach(const struct prony_blob *blob, struct prony_line *line, struct prony_error *error)
{
    const struct prony_call *call = (const struct prony_call *)(const void *)blob->data;
    memset(line, 0, sizeof *line);
    line->wait = (enum prony_wait)call->wait;
    line->budget_ns = call->budget_ns;
    line->stride = PRONY_STRIDE_CALL;
    line->burst = line->wait == PRONY_WAIT_SPIN ? PRONY_BURST : line->wait == PRONY_WAIT_BLOCK;
    line->life = -1;
    for (; line->fds < blob->fds; line->fds++) {
        line->fd[line->fds] = fcntl(blob->fd[line->fds], F_DUPFD_CLOEXEC, 3);
        if (line->fd[line->fds] < 0) {
            int code = prony_fail(error, -errno, "an end cannot be duplicated: %s", strerrordesc_np(errno));
            prony_line_detach(line);
            return code;
        }
    }
    if (call->life >= 0)
        line->life = line->fd[call->life];
    block_sigpipe();
    line->masked = true;
    return 0;
}

void prony_line_detach(struct prony_line *line)
{
    while (line->fds > 0)
        (void)close(line->fd[--line->fds]);
    if (line->masked)
        unblock_sigpipe();
    line->masked = false;
}

int prony_line_new(const struct prony_blob *blob, struct prony_worker *worker, void **end, struct prony_error *error)
{
    struct prony_line *line = malloc(sizeof *line);
    int code;
    (void)worker;
    if (line == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    code = prony_line_attach(blob, line, error);
    if (code == 0)
        *end = line;
    else
        free(line);
    return code;
}

void prony_line_free(void *end)
{
    prony_line_detach(end);
    free(end);
}

int prony_line_pollfd(void *end)
{
    return ((const struct prony_line *)end)->fd[0];
}

bool prony_line_gone(const struct prony_line *line)
{
    struct pollfd life = {line->life, 0, 0};
    return line->life >= 0 && poll(&life, 1, 0) > 0 && (life.revents & (POLLHUP | POLLERR)) != 0;
}

/* Waiting */

static void missed(struct prony_gap *gap)
{
    if (++gap->misses < 2)
        return;
    gap->misses = 1; /* the next one that spins in vain is enough */
    gap->skip = gap->skip == 0 ? 8 : gap->skip < 1024 ? (uint16_t)(2 * gap->skip) : 1024;
    gap->left = gap->skip;
}

void prony_gap_learn(struct prony_waiting *waiting)
{
    enum { SEVERAL = 4, SOON = 8 };
    struct prony_gap *gap = waiting->gap;
    const uint64_t budget = waiting->line->budget_ns;
    uint64_t slept;
    if (waiting->spinning) {
        *gap = (struct prony_gap){0, 0, 0, 0};
        return;
    }
    slept = prony_now_ns() - waiting->begun;
    if (slept < budget) {
        gap->left = 0; /* it may have been one that was late by chance: a spin in vain, and all is as it was */
    } else if (slept < 2 * budget) {
        if (gap->sleeps >= SEVERAL && gap->skip > SOON)
            gap->skip = gap->left = SOON;
        gap->sleeps = 0;
    } else if (slept > 3 * budget && gap->sleeps < SEVERAL) {
        gap->sleeps++;
    }
}

int prony_wait_look(struct prony_waiting *waiting)
{
    struct prony_line *line = waiting->line;
    uint64_t now = prony_now_ns();
    if (waiting->begun == 0) {
        waiting->begun = now;
        waiting->look = now + PRONY_LOOK_NS;
    }
    if (now >= waiting->deadline)
        return prony_line_gone(line) ? -EPIPE : -ETIMEDOUT;
    if (now >= waiting->look) {
        if (prony_line_gone(line))
            return -EPIPE;
        waiting->look = now + PRONY_LOOK_NS;
    }
    if (waiting->spinning && line->wait == PRONY_WAIT_ADAPTIVE && now - waiting->begun >= line->budget_ns) {
        waiting->spinning = false;
        missed(waiting->gap);
    }
    if (waiting->spinning)
        return 0;
    waiting->slice_ns = waiting->deadline - now < PRONY_LOOK_NS ? waiting->deadline - now : PRONY_LOOK_NS;
    return 1;
}

/* Is there nothing to look after while it sleeps? Where there is no lifeline the descriptor itself hangs up, and a timer
 * would cost a fifth of a microsecond a message. */
static bool tells_itself(const struct prony_waiting *waiting)
{
    return waiting->deadline == UINT64_MAX && waiting->line->life < 0;
}

int prony_wait_fd(const struct prony_waiting *waiting, int fd, short events)
{
    struct timespec limit = {(time_t)(waiting->slice_ns / 1000000000u), (long)(waiting->slice_ns % 1000000000u)};
    struct pollfd one = {fd, events, 0};
    int n = tells_itself(waiting) ? poll(&one, 1, -1) : ppoll(&one, 1, &limit, NULL);
    return n < 0 && errno != EINTR ? -errno : 0;
}

int prony_wait_first(struct prony_waiting *waiting, int fd, short events)
{
    enum prony_wait wait = waiting->line->wait;
    if (wait != PRONY_WAIT_POLL && (wait != PRONY_WAIT_BLOCK || waiting->deadline == UINT64_MAX))
        return 0;
    for (;;) {
        struct pollfd one = {fd, events, 0};
        struct timespec limit = {0, PRONY_LOOK_NS};
        int n, code;
        if (waiting->deadline != UINT64_MAX) {
            uint64_t now = prony_now_ns(), left = waiting->deadline > now ? waiting->deadline - now : 0;
            limit.tv_nsec = left < PRONY_LOOK_NS ? (long)left : (long)PRONY_LOOK_NS;
        }
        n = tells_itself(waiting) ? poll(&one, 1, -1) : ppoll(&one, 1, &limit, NULL);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        code = prony_wait_look(waiting);
        if (code < 0)
            return code;
    }
}

int prony_fd_policy(int fd, enum prony_wait wait, struct prony_error *error)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, wait == PRONY_WAIT_BLOCK ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) != 0)
        return prony_fail(error, -errno, "a descriptor's flags cannot be set: %s", strerrordesc_np(errno));
    return 0;
}
