/* unix-dgram: a connected pair of Unix datagram sockets.
 *
 * Messages with boundaries, in order, none lost. The kernel queues a few of them (net.unix.max_dgram_qlen) and takes none
 * that does not fit the sender's buffer as a whole. A datagram socket is not told of its peer's end: the lifeline is
 * looked at when a receive has slept for a tenth of a second (SO_RCVTIMEO, no further call). */
#include "channels/line.h"

#include <sys/socket.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"buffer", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes of a socket's buffers; 0: the kernel's default"},
    {.name = NULL},
};

static int dgram_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                         struct prony_error *error)
{
    int code = prony_socket_pair(SOCK_DGRAM, prony_param_int(params, "buffer"), a, b, error);
    if (code == 0)
        code = prony_lifeline(a, b, error);
    if (code == 0)
        code = prony_socket_slices(a->fd[0], error);
    return code != 0 ? code : prony_socket_slices(b->fd[0], error);
}

static int dgram_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, dgram_connect, channel, error);
}

static int64_t dgram_limit(const struct prony_params *params, struct prony_error *how)
{
    return prony_socket_limit(SOCK_DGRAM, prony_param_int(params, "buffer"), how);
}

static int64_t dgram_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_packet_send(line, line->fd[0], data, bytes, prony_line_deadline(timeout_ns));
}

static int64_t dgram_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_packet_recv(line, line->fd[0], data, bytes, prony_line_deadline(timeout_ns));
}

PRONY_EXPORT(channel, unix_dgram) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "unix-dgram", .summary = "a pair of Unix datagram sockets",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = dgram_create,
    .address = prony_lines_address,
    .attach = prony_line_new,
    .send = dgram_send,
    .recv = dgram_recv,
    .pollfd = prony_line_pollfd,
    .detach = prony_line_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
    .limit = dgram_limit,
};
