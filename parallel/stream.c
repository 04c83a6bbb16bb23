/* Messages over a stream. A stream knows no limits between them: who stops in the middle of one ends the connection. */
#include "parallel/stream.h"
#include "parallel/until.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

/* 0 when the descriptor is ready, -ETIMEDOUT, or -errno. */
static int await(int fd, short events, uint64_t end)
{
    for (;;) {
        const int64_t left = left_ns(end);
        const struct timespec limit = {left / 1000000000, left % 1000000000};
        struct pollfd one = {fd, events, 0};
        const int ready = ppoll(&one, 1, left < 0 ? NULL : &limit, NULL);
        if (ready > 0)
            return (one.revents & POLLNVAL) != 0 ? -EBADF : 0;
        if (ready == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/* Who reads or writes the rest of a message that was broken off would take it for the beginning of another. */
static int break_off(int fd, int code)
{
    (void)shutdown(fd, SHUT_RDWR);
    return code;
}

int prony_streamed_send(int fd, const void *message, size_t bytes, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    const uint32_t size = (uint32_t)bytes;
    const size_t all = sizeof size + bytes;
    size_t done = 0;
    if (bytes > INT_MAX)
        return -EMSGSIZE;
    while (done < all) {
        const size_t head = done < sizeof size ? sizeof size - done : 0, body = done + head - sizeof size;
        struct iovec parts[2] = {{(char *)(uintptr_t)&size + (sizeof size - head), head},
                                 {(char *)(uintptr_t)message + body, bytes - body}};
        const struct msghdr part = {.msg_iov = parts, .msg_iovlen = 2};
        const ssize_t now = sendmsg(fd, &part, MSG_NOSIGNAL | MSG_DONTWAIT);
        int code = 0;
        if (now >= 0)
            done += (size_t)now;
        else if (errno == EAGAIN)
            code = await(fd, POLLOUT, end);
        else if (errno != EINTR)
            code = errno == ECONNRESET ? -EPIPE : -errno;
        if (code != 0)
            return done == 0 ? code : break_off(fd, code);
    }
    return 0;
}

/* Takes exactly `bytes`; to NULL: throws them away. *done says how many came. */
static int take(int fd, char *to, size_t bytes, size_t *done, uint64_t end)
{
    char away[4096];
    for (*done = 0; *done < bytes;) {
        const size_t left = bytes - *done;
        const ssize_t now = to != NULL ? recv(fd, to + *done, left, MSG_DONTWAIT)
                                       : recv(fd, away, left < sizeof away ? left : sizeof away, MSG_DONTWAIT);
        int code = 0;
        if (now > 0)
            *done += (size_t)now;
        else if (now == 0 || errno == ECONNRESET)
            code = -ENODATA;
        else if (errno == EAGAIN)
            code = await(fd, POLLIN, end);
        else if (errno != EINTR)
            code = -errno;
        if (code != 0)
            return code;
    }
    return 0;
}

int prony_streamed_receive(int fd, void *message, size_t room, size_t *got, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    uint32_t size = 0;
    size_t done;
    int code = take(fd, (char *)&size, sizeof size, &done, end);
    if (code != 0 && done == 0)
        return code;
    if (code == 0 && size > INT_MAX)
        code = -EBADMSG;
    if (code == 0)
        code = take(fd, size > room ? NULL : message, size, &done, end);
    if (code != 0)
        return break_off(fd, code == -ENODATA ? -EBADMSG : code);
    if (got != NULL)
        *got = size;
    return size > room ? -EMSGSIZE : 0;
}
