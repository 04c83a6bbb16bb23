/* unix-seqpacket: a connected pair of Unix sequenced-packet sockets.
 *
 * Messages with boundaries, in order, none lost, and the end of the peer is seen; none that does not fit the sender's
 * buffer as a whole. An empty message and the end read alike: a byte on a stream beside it follows each empty message, and
 * the end has none. */
#include "channels/line.h"

#include <sys/socket.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"buffer", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes of a socket's buffers; 0: the kernel's default"},
    {.name = NULL},
};

enum { MESSAGES, EMPTY }; /* descriptors */

static int seqpacket_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                             struct prony_error *error)
{
    int code = prony_socket_pair(SOCK_SEQPACKET, prony_param_int(params, "buffer"), a, b, error);
    return code != 0 ? code : prony_socket_pair(SOCK_STREAM, 0, a, b, error);
}

static int seqpacket_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, seqpacket_connect, channel, error);
}

static int64_t seqpacket_limit(const struct prony_params *params, struct prony_error *how)
{
    return prony_socket_limit(SOCK_SEQPACKET, prony_param_int(params, "buffer"), how);
}

static int64_t seqpacket_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    int64_t n = prony_packet_send(line, line->fd[MESSAGES], data, bytes, prony_line_deadline(timeout_ns));
    if (n != 0)
        return n;
    n = prony_stream_send(line, line->fd[EMPTY], PRONY_FD_SOCKET, "", 1, UINT64_MAX);
    return n < 0 ? n : 0;
}

static int64_t seqpacket_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    int64_t n = prony_packet_recv(line, line->fd[MESSAGES], data, bytes, prony_line_deadline(timeout_ns));
    char byte;
    if (n != 0)
        return n;
    n = prony_stream_recv(line, line->fd[EMPTY], &byte, 1, UINT64_MAX); /* it follows at once, or the end does */
    return n < 0 ? n : 0;
}

PRONY_EXPORT(channel, unix_seqpacket) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "unix-seqpacket",
                       .summary = "a pair of Unix sequenced-packet sockets",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = seqpacket_create,
    .address = prony_lines_address,
    .attach = prony_line_new,
    .send = seqpacket_send,
    .recv = seqpacket_recv,
    .pollfd = prony_line_pollfd,
    .detach = prony_line_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
    .limit = seqpacket_limit,
};
