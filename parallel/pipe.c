/* Pipes: a pair of sequenced-packet sockets, whose messages the kernel keeps whole. A message too long for a packet lies
 * in a memfd, whose descriptor is sent in its place. */
#include <prony/pipe.h>

#include "parallel/until.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET 32768u /* of a message, at most; several of them fit a socket's buffer */
#define FEW 16u       /* descriptors waited for without an allocation */

struct control {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } as;
};

int prony_pipe_make(struct prony_pipe *ends, int duplex, struct prony_error *error)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends->fd) != 0)
        return prony_fail(error, -errno, "cannot make a pipe: %s", strerrordesc_np(errno));
    if (!duplex) {
        (void)shutdown(ends->fd[0], SHUT_WR);
        (void)shutdown(ends->fd[1], SHUT_RD);
    }
    return 0;
}

/* poll by nanoseconds; a signal is no reason to come back. */
static int await(struct pollfd *list, nfds_t n, uint64_t end)
{
    for (;;) {
        int64_t left = left_ns(end);
        struct timespec limit = {left / 1000000000, left % 1000000000};
        int ready = ppoll(list, n, left < 0 ? NULL : &limit, NULL);
        if (ready >= 0)
            return ready;
        if (errno != EINTR)
            return -errno;
    }
}

static int await_one(int fd, short events, uint64_t end)
{
    struct pollfd one = {fd, events, 0};
    int ready = await(&one, 1, end);
    if (ready > 0 && (one.revents & POLLNVAL) != 0)
        return -EBADF;
    return ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : ready;
}

/* A memfd that holds the message. */
static int put_aside(const char *message, size_t bytes)
{
    int fd = memfd_create("prony-message", MFD_CLOEXEC), code = 0;
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < bytes && code == 0;) {
        ssize_t now = write(fd, message + done, bytes - done);
        if (now > 0)
            done += (size_t)now;
        else if (now == 0 || errno != EINTR)
            code = now == 0 ? -ENOSPC : -errno;
    }
    if (code != 0)
        (void)close(fd);
    return code != 0 ? code : fd;
}

int prony_pipe_send(int fd, const void *message, size_t bytes, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    const uint32_t size = (uint32_t)bytes;
    struct iovec parts[2] = {{(void *)(uintptr_t)&size, sizeof size}, {(void *)(uintptr_t)message, bytes}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    struct control control = {{.bytes = {0}}};
    int aside = -1, code = 0;
    if (bytes > INT_MAX)
        return -EMSGSIZE;
    if (bytes > PACKET) {
        if ((aside = put_aside(message, bytes)) < 0)
            return aside;
        packet.msg_iovlen = 1;
        packet.msg_control = &control;
        packet.msg_controllen = sizeof control.as.bytes;
        control.as.head = (struct cmsghdr){CMSG_LEN(sizeof aside), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.as.head), &aside, sizeof aside);
    }
    while (sendmsg(fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && code == 0) {
        if (errno == EAGAIN)
            code = await_one(fd, POLLOUT, end);
        else if (errno != EINTR)
            code = errno == ECONNRESET ? -EPIPE : -errno;
    }
    if (aside >= 0)
        (void)close(aside);
    return code;
}

/* The message that lies in a memfd. */
static int fetch(int aside, char *message, size_t bytes)
{
    int code = 0;
    for (size_t done = 0; done < bytes && code == 0;) {
        ssize_t now = pread(aside, message + done, bytes - done, (off_t)done);
        if (now > 0)
            done += (size_t)now;
        else if (now == 0 || errno != EINTR)
            code = now == 0 ? -EBADMSG : -errno;
    }
    return code;
}

/* The descriptor that came with a packet, or -1. */
static int came_along(struct msghdr *packet)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(packet);
    int fd = -1;
    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return fd;
}

int prony_pipe_receive(int fd, void *message, size_t room, size_t *got, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    uint32_t size = 0;
    struct iovec parts[2] = {{&size, sizeof size}, {message, room}};
    struct control control;
    struct msghdr packet;
    ssize_t bytes;
    int aside, code = 0;
    do {
        packet = (struct msghdr){
            .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control.as.bytes};
        bytes = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (bytes < 0 && errno == EAGAIN)
            code = await_one(fd, POLLIN, end);
        else if (bytes < 0 && errno != EINTR)
            code = errno == ECONNRESET ? -ENODATA : -errno;
    } while (bytes < 0 && code == 0);
    if (code != 0)
        return code;
    if (bytes == 0)
        return -ENODATA;
    aside = came_along(&packet);
    if (size > room)
        code = -EMSGSIZE;
    else if (aside >= 0)
        code = fetch(aside, message, size);
    else if (bytes != (ssize_t)(sizeof size + size))
        code = -EBADMSG;
    if (aside >= 0)
        (void)close(aside);
    if (got != NULL)
        *got = size;
    return code;
}

int prony_pipe_poll(int fd, int64_t timeout_ns)
{
    return await_one(fd, POLLIN, until_ns(timeout_ns));
}

int prony_wait_many(const int *fds, unsigned n, unsigned char *ready, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    struct pollfd few[FEW], *list = n <= FEW ? few : calloc(n, sizeof *list);
    int code;
    if (list == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        list[i] = (struct pollfd){fds[i], POLLIN, 0};
    code = await(list, n, end);
    for (unsigned i = 0; i < n; i++) {
        ready[i] = code > 0 && list[i].revents != 0;
        if (code > 0 && (list[i].revents & POLLNVAL) != 0)
            code = -EBADF;
    }
    if (list != few)
        free(list);
    return code;
}
