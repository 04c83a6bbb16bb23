/* pipe: anonymous pipes, two a pair of ends, one for each direction.
 *
 * A stream: messages have no boundaries, both sides must agree on sizes; an empty message sends nothing. A send or
 * recv that fails half way leaves the stream out of step. wait=block sleeps in read and write; the others never sleep in
 * them (both directions are non-blocking). The kernel's default capacity is 64 KiB, of one page a write when they are
 * small. SIGPIPE is blocked in the attaching thread until detach: send tells -EPIPE. */
#include "channels/line.h"

#include <fcntl.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"capacity", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes that a pipe holds; 0: the kernel's default, 64 KiB"},
    {.name = NULL},
};

/* One direction; the reader's descriptor is the first of its blob, the writer's the second: so a comes before b. */
static int join(struct prony_blob *from, struct prony_blob *to, int64_t capacity, struct prony_error *error)
{
    int fd[2], code;
    if (pipe2(fd, O_CLOEXEC) != 0)
        return prony_fail(error, -errno, "no pipe: %s", strerrordesc_np(errno));
    to->fd[PRONY_IN] = fd[0];
    from->fd[PRONY_OUT] = fd[1];
    to->fds = from->fds = 2;
    code = prony_fd_policy(fd[0], (enum prony_wait)prony_call_of(to)->wait, error);
    if (code == 0)
        code = prony_fd_policy(fd[1], (enum prony_wait)prony_call_of(to)->wait, error);
    if (code == 0 && capacity > 0 && fcntl(fd[1], F_SETPIPE_SZ, (int)capacity) < 0)
        return prony_fail(error, -errno, "a pipe cannot hold %lld bytes: %s (/proc/sys/fs/pipe-max-size)",
                          (long long)capacity, strerrordesc_np(errno));
    return code;
}

static int pipe_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                        struct prony_error *error)
{
    int code = join(a, b, prony_param_int(params, "capacity"), error);
    return code != 0 ? code : join(b, a, prony_param_int(params, "capacity"), error);
}

static int pipe_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, pipe_connect, channel, error);
}

static int64_t pipe_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_send(line, line->fd[PRONY_OUT], PRONY_FD_PIPE, data, bytes, prony_line_deadline(timeout_ns));
}

static int64_t pipe_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_recv(line, line->fd[PRONY_IN], data, bytes, prony_line_deadline(timeout_ns));
}

PRONY_EXPORT(channel, pipe) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "pipe", .summary = "anonymous pipes, one for each direction",
                       .caps = PRONY_CHANNEL_STREAM | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = pipe_create,
    .address = prony_lines_address,
    .attach = prony_line_new,
    .send = pipe_send,
    .recv = pipe_recv,
    .pollfd = prony_line_pollfd,
    .detach = prony_line_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
