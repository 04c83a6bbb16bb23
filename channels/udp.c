/* udp: a pair of connected UDP sockets over loopback.
 *
 * Messages with boundaries that may be lost: the kernel drops what the receiver's buffer has no room for, also on
 * loopback, and no send is told of it. A pair that cannot bear loss must not run ahead. The end of the peer is seen by the
 * lifeline. Not measured: a network. */
#include "channels/line.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { LARGEST = 65507 };

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"buffer", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes of a socket's buffers; 0: the kernel's default"},
    {.name = NULL},
};

static int open_socket(const struct prony_params *params, struct prony_blob *blob, struct sockaddr_in *at,
                       struct prony_error *error)
{
    socklen_t length = sizeof *at;
    int fd = prony_blob_add(blob, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), code;
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || bind(fd, (const struct sockaddr *)at, sizeof *at) != 0 ||
        getsockname(fd, (struct sockaddr *)at, &length) != 0)
        return prony_fail(error, -errno, "no UDP socket on 127.0.0.1: %s", strerrordesc_np(errno));
    code = prony_socket_buffers(fd, prony_param_int(params, "buffer"), error);
    if (code == 0)
        code = prony_socket_slices(fd, error);
    return code != 0 ? code : prony_fd_policy(fd, (enum prony_wait)prony_call_of(blob)->wait, error);
}

static int udp_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                       struct prony_error *error)
{
    struct sockaddr_in at[2];
    int code = open_socket(params, a, &at[0], error);
    if (code == 0)
        code = open_socket(params, b, &at[1], error);
    if (code == 0 && (connect(a->fd[0], (const struct sockaddr *)&at[1], sizeof at[1]) != 0 ||
                      connect(b->fd[0], (const struct sockaddr *)&at[0], sizeof at[0]) != 0))
        code = prony_fail(error, -errno, "UDP sockets cannot be connected: %s", strerrordesc_np(errno));
    return code != 0 ? code : prony_lifeline(a, b, error);
}

static int udp_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, udp_connect, channel, error);
}

static int64_t udp_limit(const struct prony_params *params, struct prony_error *how)
{
    (void)params;
    (void)prony_fail(how, -EMSGSIZE, "a datagram of IPv4 ends there: take a channel that is a stream");
    return LARGEST;
}

static int64_t udp_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_packet_send(line, line->fd[0], data, bytes, prony_line_deadline(timeout_ns));
}

static int64_t udp_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_packet_recv(line, line->fd[0], data, bytes, prony_line_deadline(timeout_ns));
}

PRONY_EXPORT(channel, udp) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "udp", .summary = "connected UDP sockets over loopback; may lose",
                       .caps = PRONY_CHANNEL_LOSSY | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .largest = LARGEST,
    .copies = 2,
    .create = udp_create,
    .address = prony_lines_address,
    .attach = prony_line_new,
    .send = udp_send,
    .recv = udp_recv,
    .pollfd = prony_line_pollfd,
    .detach = prony_line_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
    .limit = udp_limit,
};
