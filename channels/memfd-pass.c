/* memfd-pass: each message is a memfd of its own, handed over by SCM_RIGHTS on a Unix sequenced-packet socket.
 *
 * Messages with boundaries, of any size. The sender makes, fills and closes the memfd, the receiver reads it into its buffer
 * and closes it: two copies and the price of new pages; reserve and publish fill it in place. An empty message passes one
 * too. Not measured: a receiver that maps it and does not copy. */
#include "channels/line.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {.name = NULL},
};

struct pass_end {
    struct prony_line line;
    int fd; /* reserved, -1: none */
    void *base;
    size_t bytes;
};

static int pass_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                        struct prony_error *error)
{
    (void)params;
    return prony_socket_pair(SOCK_SEQPACKET, 0, a, b, error);
}

static int pass_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, pass_connect, channel, error);
}

static int pass_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                       struct prony_error *error)
{
    struct pass_end *end = calloc(1, sizeof *end);
    int code;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    end->fd = -1;
    code = prony_line_attach(blob, &end->line, error);
    if (code == 0)
        *result = end;
    else
        free(end);
    return code;
}

static void let_go(struct pass_end *end)
{
    if (end->base != NULL)
        (void)munmap(end->base, end->bytes);
    if (end->fd >= 0)
        (void)close(end->fd);
    end->base = NULL;
    end->fd = -1;
}

static void pass_detach(void *handle)
{
    struct pass_end *end = handle;
    let_go(end);
    prony_line_detach(&end->line);
    free(end);
}

/* After a try that got -1: 0 to try again, else what to tell. */
static int again(struct prony_waiting *waiting, short events)
{
    int code;
    if (errno == EINTR)
        return 0;
    if (errno == EPIPE || errno == ECONNRESET)
        return -EPIPE;
    if (errno != EAGAIN && errno != ETOOMANYREFS)
        return -errno;
    code = prony_wait_next(waiting);
    return code == 1 ? prony_wait_fd(waiting, waiting->line->fd[0], events) : code;
}

union control {
    struct cmsghdr head;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
};

static int hand_over(struct pass_end *end, int fd, uint64_t bytes, uint64_t deadline)
{
    struct prony_waiting waiting = prony_wait_at(&end->line, PRONY_OUT, deadline);
    struct iovec about = {&bytes, sizeof bytes};
    union control control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {
        .msg_iov = &about, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int code = prony_wait_first(&waiting, end->line.fd[0], POLLOUT);
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    while (code == 0) {
        if (sendmsg(end->line.fd[0], &message, MSG_NOSIGNAL | (deadline != UINT64_MAX ? MSG_DONTWAIT : 0)) >= 0) {
            prony_wait_end(&waiting);
            return 0;
        }
        code = again(&waiting, POLLOUT);
    }
    return code;
}

static int64_t pass_send(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct pass_end *end = handle;
    int fd = memfd_create("prony-message", MFD_CLOEXEC), code = fd < 0 ? -errno : 0;
    for (size_t done = 0; done < bytes && code == 0;) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            code = -errno;
    }
    if (code == 0)
        code = hand_over(end, fd, bytes, prony_line_deadline(timeout_ns));
    if (fd >= 0)
        (void)close(fd);
    return code == 0 ? (int64_t)bytes : code;
}

/* The next memfd and its length; -1 is never one. */
static int take_over(struct pass_end *end, uint64_t *bytes, uint64_t deadline, int *code)
{
    struct prony_waiting waiting = prony_wait_at(&end->line, PRONY_IN, deadline);
    *code = prony_wait_first(&waiting, end->line.fd[0], POLLIN);
    while (*code == 0) {
        struct iovec about = {bytes, sizeof *bytes};
        union control control;
        struct msghdr message = {
            .msg_iov = &about, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        int flags = MSG_CMSG_CLOEXEC | (deadline != UINT64_MAX ? MSG_DONTWAIT : 0), fd = -1;
        ssize_t n = recvmsg(end->line.fd[0], &message, flags);
        if (n < 0) {
            *code = again(&waiting, POLLIN);
            continue;
        }
        if (n == 0) {
            *code = -EPIPE;
        } else if (n != (ssize_t)sizeof *bytes || CMSG_FIRSTHDR(&message) == NULL) {
            *code = (message.msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : -EPROTO;
        } else {
            memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
            prony_wait_end(&waiting);
        }
        return fd;
    }
    return -1;
}

static int64_t pass_recv(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    uint64_t length = 0, wanted;
    int code, fd = take_over(handle, &length, prony_line_deadline(timeout_ns), &code);
    wanted = length < bytes ? length : bytes;
    for (uint64_t done = 0; done < wanted && code == 0;) {
        ssize_t n = pread(fd, (char *)data + done, wanted - done, (off_t)done);
        if (n > 0)
            done += (uint64_t)n;
        else if (n == 0 || errno != EINTR)
            code = n == 0 ? -EPROTO : -errno;
    }
    if (fd >= 0)
        (void)close(fd);
    if (code != 0)
        return code;
    return length > bytes ? -EMSGSIZE : (int64_t)length;
}

static int pass_reserve(void *handle, size_t bytes, void **data)
{
    struct pass_end *end = handle;
    let_go(end);
    end->fd = memfd_create("prony-message", MFD_CLOEXEC);
    if (end->fd < 0 || ftruncate(end->fd, (off_t)bytes) != 0)
        return -errno;
    end->bytes = bytes > 0 ? bytes : 1;
    end->base = mmap(NULL, end->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, end->fd, 0);
    if (end->base == MAP_FAILED) {
        int code = -errno;
        end->base = NULL;
        return code;
    }
    *data = end->base;
    return 0;
}

static int pass_publish(void *handle, size_t bytes)
{
    struct pass_end *end = handle;
    int code = end->fd < 0 || bytes > end->bytes ? -EINVAL : hand_over(end, end->fd, bytes, UINT64_MAX);
    let_go(end);
    return code;
}

PRONY_EXPORT(channel, memfd_pass) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "memfd-pass", .summary = "a memfd a message, passed by SCM_RIGHTS",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_ALL |
                               PRONY_CHANNEL_IN_PLACE,
                       .options = options),
    .copies = 2,
    .create = pass_create,
    .address = prony_lines_address,
    .attach = pass_attach,
    .send = pass_send,
    .recv = pass_recv,
    .reserve = pass_reserve,
    .publish = pass_publish,
    .pollfd = prony_line_pollfd,
    .detach = pass_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
