/* unix-stream: a connected pair of Unix stream sockets.
 *
 * A stream: no boundaries; an empty message sends nothing. The kernel charges a message with more than its bytes, so that
 * `buffer` holds less than it says when messages are small. */
#include "channels/line.h"

#include <sys/socket.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"buffer", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes of a socket's buffers; 0: the kernel's default"},
    {.name = NULL},
};

static int stream_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                          struct prony_error *error)
{
    return prony_socket_pair(SOCK_STREAM, prony_param_int(params, "buffer"), a, b, error);
}

static int stream_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, stream_connect, channel, error);
}

static int64_t stream_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_send(line, line->fd[0], PRONY_FD_SOCKET, data, bytes, prony_line_deadline(timeout_ns));
}

static int64_t stream_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_recv(line, line->fd[0], data, bytes, prony_line_deadline(timeout_ns));
}

PRONY_EXPORT(channel, unix_stream) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "unix-stream", .summary = "a pair of Unix stream sockets",
                       .caps = PRONY_CHANNEL_STREAM | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = stream_create,
    .address = prony_lines_address,
    .attach = prony_line_new,
    .send = stream_send,
    .recv = stream_recv,
    .pollfd = prony_line_pollfd,
    .detach = prony_line_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
