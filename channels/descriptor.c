/* Sending and receiving over descriptors, as streams and as packets, under every way of waiting. */
#include "channels/line.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* After a try that got -1: 0 to try again, else what to tell. */
static int again(struct prony_waiting *waiting, int fd, short events)
{
    int code;
    if (errno == EINTR)
        return 0;
    if (errno == ECONNRESET || errno == ECONNREFUSED || errno == EPIPE)
        return -EPIPE;
    if (errno != EAGAIN && errno != ENOBUFS)
        return -errno;
    code = prony_wait_next(waiting);
    if (code != 1)
        return code;
    /* A blocking call that came back: its own limit (prony_socket_slices) has passed. */
    if (waiting->line->wait == PRONY_WAIT_BLOCK && waiting->deadline == UINT64_MAX)
        return 0;
    return prony_wait_fd(waiting, fd, events);
}

static ssize_t put(int fd, int how, const void *data, size_t bytes, bool bounded)
{
    if ((how & PRONY_FD_SOCKET) != 0)
        return send(fd, data, bytes, MSG_NOSIGNAL | (bounded ? MSG_DONTWAIT : 0));
    /* POLLOUT promises room for PIPE_BUF bytes and no more. */
    return write(fd, data, bounded && bytes > PIPE_BUF ? PIPE_BUF : bytes);
}

int64_t prony_stream_send_on(struct prony_line *line, int fd, int how, const void *data, size_t bytes,
                             uint64_t deadline, ssize_t tried)
{
    bool failed = tried < 0;
    for (size_t done = failed ? 0 : (size_t)tried; done < bytes; failed = false) {
        struct prony_waiting waiting = prony_wait_at(line, PRONY_OUT, deadline);
        int code = failed ? again(&waiting, fd, POLLOUT) : prony_wait_first(&waiting, fd, POLLOUT);
        ssize_t n = -1;
        while (code == 0) {
            n = put(fd, how, (const char *)data + done, bytes - done, deadline != UINT64_MAX);
            if (n >= 0)
                break;
            code = again(&waiting, fd, POLLOUT);
        }
        if (code != 0)
            return code;
        prony_wait_end(&waiting);
        done += (size_t)n;
    }
    return (int64_t)bytes;
}

int64_t prony_stream_recv_on(struct prony_line *line, int fd, void *data, size_t bytes, uint64_t deadline,
                             ssize_t tried)
{
    bool failed = tried < 0;
    for (size_t done = failed ? 0 : (size_t)tried; done < bytes; failed = false) {
        struct prony_waiting waiting = prony_wait_at(line, PRONY_IN, deadline);
        int code = failed ? again(&waiting, fd, POLLIN) : prony_wait_first(&waiting, fd, POLLIN);
        ssize_t n = -1;
        while (code == 0) {
            n = read(fd, (char *)data + done, bytes - done);
            if (n >= 0)
                break;
            code = again(&waiting, fd, POLLIN);
        }
        if (code != 0 || n == 0)
            return code != 0 ? code : -EPIPE;
        prony_wait_end(&waiting);
        done += (size_t)n;
    }
    return (int64_t)bytes;
}

int64_t prony_packet_send_on(struct prony_line *line, int fd, const void *data, size_t bytes, uint64_t deadline,
                             bool failed)
{
    struct prony_waiting waiting = prony_wait_at(line, PRONY_OUT, deadline);
    int code = failed ? again(&waiting, fd, POLLOUT) : prony_wait_first(&waiting, fd, POLLOUT);
    while (code == 0) {
        if (send(fd, data, bytes, MSG_NOSIGNAL | (deadline != UINT64_MAX ? MSG_DONTWAIT : 0)) >= 0) {
            prony_wait_end(&waiting);
            return (int64_t)bytes;
        }
        code = again(&waiting, fd, POLLOUT);
    }
    return code == -ENOTCONN ? -EPIPE : code;
}

int64_t prony_packet_recv_on(struct prony_line *line, int fd, void *data, size_t bytes, uint64_t deadline, bool failed)
{
    struct prony_waiting waiting = prony_wait_at(line, PRONY_IN, deadline);
    int code = failed ? again(&waiting, fd, POLLIN) : prony_wait_first(&waiting, fd, POLLIN);
    while (code == 0) {
        ssize_t n = recv(fd, data, bytes, MSG_TRUNC | (deadline != UINT64_MAX ? MSG_DONTWAIT : 0));
        if (n >= 0) {
            prony_wait_end(&waiting);
            return (size_t)n > bytes ? -EMSGSIZE : (int64_t)n;
        }
        code = again(&waiting, fd, POLLIN);
    }
    return code;
}

int prony_socket_slices(int fd, struct prony_error *error)
{
    const struct timeval slice = {0, PRONY_LOOK_NS / 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &slice, sizeof slice) != 0)
        return prony_fail(error, -errno, "a socket takes no limit: %s", strerrordesc_np(errno));
    return 0;
}

static int buffer(int fd, int option, int bytes, const char *cap, struct prony_error *error)
{
    int got = 0;
    socklen_t length = sizeof got;
    if (setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes) != 0 ||
        getsockopt(fd, SOL_SOCKET, option, &got, &length) != 0)
        return prony_fail(error, -errno, "a socket's buffer cannot be set: %s", strerrordesc_np(errno));
    return got / 2 >= bytes
               ? 0 /* the kernel doubles what it is told, for its own part */
               : prony_fail(error, -ENOTSUP, "a socket's buffer is at most %d bytes here, not %d: raise %s", got / 2,
                            bytes, cap);
}

int prony_socket_buffers(int fd, int64_t bytes, struct prony_error *error)
{
    int code;
    if (bytes == 0)
        return 0;
    code = buffer(fd, SO_SNDBUF, (int)bytes, "/proc/sys/net/core/wmem_max", error);
    return code != 0 ? code : buffer(fd, SO_RCVBUF, (int)bytes, "/proc/sys/net/core/rmem_max", error);
}

int prony_socket_pair(int type, int64_t bytes, struct prony_blob *a, struct prony_blob *b, struct prony_error *error)
{
    enum prony_wait wait = (enum prony_wait)prony_call_of(a)->wait;
    int fd[2], code = 0;
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) != 0)
        return prony_fail(error, -errno, "no socket pair: %s", strerrordesc_np(errno));
    (void)prony_blob_add(a, fd[0]);
    (void)prony_blob_add(b, fd[1]);
    for (int i = 0; i < 2 && code == 0; i++) {
        code = prony_socket_buffers(fd[i], bytes, error);
        if (code == 0)
            code = prony_fd_policy(fd[i], wait, error);
    }
    return code;
}

int64_t prony_socket_limit(int type, int64_t bytes, struct prony_error *how)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), room = 0;
    socklen_t length = sizeof room;
    if (fd < 0)
        return 0;
    if (prony_socket_buffers(fd, bytes, NULL) != 0 || getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &length) != 0)
        room = 0;
    (void)close(fd);
    (void)prony_fail(how, -EMSGSIZE,
                     "a message must fit the sender's buffer: buffer=BYTES raises it, up to "
                     "/proc/sys/net/core/wmem_max");
    return room > 32 ? room - 32 : 0; /* af_unix keeps 32 bytes of it */
}
