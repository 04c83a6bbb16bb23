/* tcp: a TCP connection over loopback.
 *
 * A stream: no boundaries; an empty message sends nothing. nodelay=yes by default, or Nagle's algorithm waits for
 * acknowledgements. Not measured: connecting, name resolution, a network. */
#include "channels/line.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"nodelay", PRONY_BOOL, "yes", 0, 0, NULL, "sends small messages at once (TCP_NODELAY)"},
    {"buffer", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes of a socket's buffers; 0: the kernel tunes them"},
    {"port", PRONY_INT, "0", 0, 65535, NULL, "the port to listen on while connecting; 0: any that is free"},
    {.name = NULL},
};

static int set_up(const struct prony_params *params, int fd, enum prony_wait wait, struct prony_error *error)
{
    int nodelay = (int)prony_param_int(params, "nodelay"), code;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, sizeof nodelay) != 0)
        return prony_fail(error, -errno, "TCP_NODELAY cannot be set: %s", strerrordesc_np(errno));
    code = prony_socket_buffers(fd, prony_param_int(params, "buffer"), error);
    return code != 0 ? code : prony_fd_policy(fd, wait, error);
}

/* Connects through a listener that is closed again; only our own connection is taken. */
static int join(int listener, int64_t port, struct prony_blob *a, struct prony_blob *b, struct prony_error *error)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}},
                       self, peer;
    socklen_t length = sizeof at, self_length = sizeof self, peer_length = sizeof peer;
    int ours = prony_blob_add(a, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), yes = 1, theirs;
    if (ours < 0)
        return prony_fail(error, -errno, "no TCP socket: %s", strerrordesc_np(errno));
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (const struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &length) != 0)
        return prony_fail(error, -errno, "port %lld of 127.0.0.1 cannot be listened on: %s (port=0 takes a free one)",
                          (long long)port, strerrordesc_np(errno));
    if (connect(ours, (const struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(ours, (struct sockaddr *)&self, &self_length) != 0)
        return prony_fail(error, -errno, "no TCP connection over loopback: %s", strerrordesc_np(errno));
    for (int i = 0; i < 64; i++) {
        theirs = accept4(listener, (struct sockaddr *)&peer, &peer_length, SOCK_CLOEXEC);
        if (theirs < 0 && errno == EINTR)
            continue;
        if (theirs < 0)
            return prony_fail(error, -errno, "the connection is not accepted: %s", strerrordesc_np(errno));
        if (peer.sin_port == self.sin_port && peer.sin_addr.s_addr == self.sin_addr.s_addr) {
            (void)prony_blob_add(b, theirs);
            return 0;
        }
        (void)close(theirs);
    }
    return prony_fail(error, -ECONNREFUSED, "others keep connecting to port %u", ntohs(at.sin_port));
}

static int tcp_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                       struct prony_error *error)
{
    enum prony_wait wait = (enum prony_wait)prony_call_of(a)->wait;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), code;
    if (listener < 0)
        return prony_fail(error, -errno, "no TCP socket: %s", strerrordesc_np(errno));
    code = join(listener, prony_param_int(params, "port"), a, b, error);
    (void)close(listener);
    if (code == 0)
        code = set_up(params, a->fd[0], wait, error);
    return code != 0 ? code : set_up(params, b->fd[0], wait, error);
}

static int tcp_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, tcp_connect, channel, error);
}

static int64_t tcp_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_send(line, line->fd[0], PRONY_FD_SOCKET, data, bytes, prony_line_deadline(timeout_ns));
}

static int64_t tcp_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_recv(line, line->fd[0], data, bytes, prony_line_deadline(timeout_ns));
}

PRONY_EXPORT(channel, tcp) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "tcp", .summary = "a TCP connection over loopback",
                       .caps = PRONY_CHANNEL_STREAM | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = tcp_create,
    .address = prony_lines_address,
    .attach = prony_line_new,
    .send = tcp_send,
    .recv = tcp_recv,
    .pollfd = prony_line_pollfd,
    .detach = prony_line_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
