/* pipe: anonymous pipes, two a pair of ends (0 and 1, 2 and 3, ...), one for each direction.
 *
 * A stream: messages have no boundaries, both sides must agree on sizes; an empty message sends nothing. A send or
 * recv that fails half way leaves the stream out of step. wait=block sleeps in read and write; wait=spin tries
 * again and again with a pause instruction (both directions are non-blocking). The kernel's default capacity is 64
 * KiB, of one page a write when they are small. SIGPIPE is blocked in the attaching thread until detach: send tells
 * -EPIPE. A peer's death is seen when nobody holds its ends any more: every process that inherited them must have
 * called forget, the host too. */
#include <prony/plugin/channel.h>
#include <prony/sync.h>

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK, SPIN };
static const char *const waits[] = {"block", "spin", NULL};

static const struct prony_option options[] = {
    {"wait", PRONY_CHOICE, "block", 0, 0, waits, "how to wait: asleep in the kernel, or trying again and again"},
    {"capacity", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes that a pipe holds; 0: the kernel's default, 64 KiB"},
    {.name = NULL},
};

struct pipes {
    unsigned ends;
    int wait;
    int (*fd)[2]; /* by end: what it reads from, what it writes to */
};

struct pipe_end {
    int fd[2];
    int wait;
    bool masked; /* we blocked SIGPIPE here */
};

enum { IN, OUT };

static void pipe_destroy(void *channel)
{
    struct pipes *pipes = channel;
    for (unsigned i = 0; i < pipes->ends; i++)
        for (int way = IN; way <= OUT; way++)
            if (pipes->fd[i][way] >= 0)
                (void)close(pipes->fd[i][way]);
    free(pipes->fd);
    free(pipes);
}

/* One direction: what `from` writes, `to` reads. */
static int connect_ends(struct pipes *pipes, unsigned from, unsigned to, int64_t capacity, struct prony_error *error)
{
    int fd[2], flags = O_CLOEXEC | (pipes->wait == SPIN ? O_NONBLOCK : 0);
    if (pipe2(fd, flags) != 0)
        return prony_fail(error, -errno, "no pipe: %s", strerrordesc_np(errno));
    pipes->fd[to][IN] = fd[0];
    pipes->fd[from][OUT] = fd[1];
    if (capacity > 0 && fcntl(fd[1], F_SETPIPE_SZ, (int)capacity) < 0)
        return prony_fail(error, -errno, "a pipe cannot hold %lld bytes: %s (/proc/sys/fs/pipe-max-size)",
                          (long long)capacity, strerrordesc_np(errno));
    return 0;
}

static int pipe_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    struct pipes *pipes;
    int code = 0;
    if (ends == 0 || ends % 2 != 0)
        return prony_fail(error, -EINVAL, "pipes have two ends each: %u cannot be paired", ends);
    pipes = calloc(1, sizeof *pipes);
    if (pipes == NULL || (pipes->fd = malloc(ends * sizeof *pipes->fd)) == NULL) {
        free(pipes);
        return prony_fail(error, -ENOMEM, "no memory for %u ends", ends);
    }
    memset(pipes->fd, 0xff, ends * sizeof *pipes->fd);
    pipes->ends = ends;
    pipes->wait = (int)prony_param_int(params, "wait");
    for (unsigned i = 0; i < ends && code == 0; i++)
        code = connect_ends(pipes, i, i ^ 1u, prony_param_int(params, "capacity"), error);
    if (code != 0) {
        pipe_destroy(pipes);
        return code;
    }
    *channel = pipes;
    return 0;
}

static int pipe_address(void *channel, unsigned end, struct prony_blob *blob)
{
    const struct pipes *pipes = channel;
    if (end >= pipes->ends)
        return -EINVAL;
    memset(blob, 0, sizeof *blob);
    blob->fds = 2;
    blob->fd[IN] = pipes->fd[end][IN];
    blob->fd[OUT] = pipes->fd[end][OUT];
    blob->fd[2] = blob->fd[3] = -1;
    blob->bytes = sizeof pipes->wait;
    memcpy(blob->data, &pipes->wait, sizeof pipes->wait);
    return 0;
}

static int pipe_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                       struct prony_error *error)
{
    struct pipe_end *end = calloc(1, sizeof *end);
    sigset_t pipe, before;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    memcpy(&end->wait, blob->data, sizeof end->wait);
    end->fd[IN] = fcntl(blob->fd[IN], F_DUPFD_CLOEXEC, 0);
    end->fd[OUT] = end->fd[IN] < 0 ? -1 : fcntl(blob->fd[OUT], F_DUPFD_CLOEXEC, 0);
    if (end->fd[OUT] < 0) {
        int code = prony_fail(error, -errno, "a pipe's end cannot be duplicated: %s", strerrordesc_np(errno));
        if (end->fd[IN] >= 0)
            (void)close(end->fd[IN]);
        free(end);
        return code;
    }
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    end->masked = pthread_sigmask(SIG_BLOCK, &pipe, &before) == 0 && sigismember(&before, SIGPIPE) == 0;
    *result = end;
    return 0;
}

static void pipe_detach(void *handle)
{
    struct pipe_end *end = handle;
    (void)close(end->fd[IN]);
    (void)close(end->fd[OUT]);
    if (end->masked) {
        const struct timespec at_once = {0, 0};
        sigset_t pipe;
        (void)sigemptyset(&pipe);
        (void)sigaddset(&pipe, SIGPIPE);
        (void)sigtimedwait(&pipe, NULL, &at_once); /* the one our own send may have raised */
        (void)pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
    }
    free(end);
}

/* When the time is up; 0: never. */
static uint64_t deadline_of(int64_t timeout_ns)
{
    return timeout_ns < 0 ? 0 : prony_now_ns() + (uint64_t)timeout_ns;
}

/* Blocks until the descriptor is ready or the time is up: 0, -ETIMEDOUT, -errno. */
static int await(int fd, short events, uint64_t deadline)
{
    for (;;) {
        uint64_t now = prony_now_ns(), left = deadline > now ? deadline - now : 0;
        struct timespec limit = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        struct pollfd one = {fd, events, 0};
        int n = ppoll(&one, 1, &limit, NULL);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -ETIMEDOUT;
    }
}

/* Before a try that may block for ever: with a limit, a sleeper asks first. */
static int ready(const struct pipe_end *end, int way, uint64_t deadline)
{
    return deadline == 0 || end->wait == SPIN ? 0 : await(end->fd[way], way == IN ? POLLIN : POLLOUT, deadline);
}

/* After a try that got -1: 0 to try again, else what to tell. */
static int again(uint64_t deadline, unsigned *spins)
{
    if (errno != EAGAIN)
        return errno == EINTR ? 0 : -errno;
    prony_pause();
    return deadline != 0 && ++*spins % 64 == 0 && prony_now_ns() >= deadline ? -ETIMEDOUT : 0;
}

static int64_t pipe_send(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    const struct pipe_end *end = handle;
    const uint64_t deadline = deadline_of(timeout_ns);
    unsigned spins = 0;
    int code = 0;
    for (size_t done = 0; done < bytes && code == 0;) {
        /* POLLOUT promises room for PIPE_BUF bytes and no more. */
        size_t piece = deadline != 0 && bytes - done > PIPE_BUF ? PIPE_BUF : bytes - done;
        ssize_t n;
        code = ready(end, OUT, deadline);
        if (code != 0)
            break;
        n = write(end->fd[OUT], (const char *)data + done, piece);
        if (n >= 0)
            done += (size_t)n;
        else
            code = again(deadline, &spins);
    }
    return code == 0 ? (int64_t)bytes : code;
}

static int64_t pipe_recv(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    const struct pipe_end *end = handle;
    const uint64_t deadline = deadline_of(timeout_ns);
    unsigned spins = 0;
    int code = 0;
    for (size_t done = 0; done < bytes && code == 0;) {
        ssize_t n;
        code = ready(end, IN, deadline);
        if (code != 0)
            break;
        n = read(end->fd[IN], (char *)data + done, bytes - done);
        if (n > 0)
            done += (size_t)n;
        else
            code = n == 0 ? -EPIPE : again(deadline, &spins);
    }
    return code == 0 ? (int64_t)bytes : code;
}

static int pipe_pollfd(void *handle)
{
    return ((const struct pipe_end *)handle)->fd[IN];
}

static void pipe_forget(const struct prony_blob *blob)
{
    (void)close(blob->fd[IN]);
    (void)close(blob->fd[OUT]);
}

PRONY_EXPORT(channel, pipe) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "pipe", .summary = "anonymous pipes, one for each direction",
                       .caps = PRONY_CHANNEL_STREAM | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_BLOCK | PRONY_CHANNEL_SPIN,
                       .options = options),
    .copies = 2,
    .create = pipe_create,
    .address = pipe_address,
    .attach = pipe_attach,
    .send = pipe_send,
    .recv = pipe_recv,
    .pollfd = pipe_pollfd,
    .detach = pipe_detach,
    .destroy = pipe_destroy,
    .forget = pipe_forget,
};
