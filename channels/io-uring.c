/* io-uring: sends and receives on a pair of Unix stream sockets, handed to the kernel by a ring of each end's own.
 *
 * A stream: no boundaries; an empty message sends nothing. One operation is under way at a time, as in the other channels,
 * so what is measured is the price of the ring, not the batching it allows. wait=block submits and sleeps in one call;
 * spin submits and watches the completion ring, without a call of its own. Not measured: registered buffers and files, and
 * a kernel thread that polls (IORING_SETUP_SQPOLL), which would need a processor of its own. */
#include "channels/line.h"

#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ENTRIES 4u /* an operation and its cancellation */
enum { OPERATION = 1, CANCELLATION = 2 };

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    {"buffer", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes of a socket's buffers; 0: the kernel's default"},
    {.name = NULL},
};

struct uring_end {
    struct prony_line line;
    struct io_uring ring;
};

static int say_why(int code, struct prony_error *error)
{
    if (code == -EPERM)
        return prony_fail(error, -ENOTSUP,
                          "this process may not use io_uring: see /proc/sys/kernel/io_uring_disabled, "
                          "or the container's seccomp filter");
    if (code == -ENOSYS)
        return prony_fail(error, -ENOTSUP, "this kernel has no io_uring (CONFIG_IO_URING)");
    return prony_fail(error, code, "no io_uring: %s", strerrordesc_np(-code));
}

static int uring_probe(struct prony_error *error)
{
    struct io_uring ring;
    int code = io_uring_queue_init(1, &ring, 0);
    if (code != 0)
        return say_why(code, error);
    io_uring_queue_exit(&ring);
    return 0;
}

static int uring_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                         struct prony_error *error)
{
    int code = prony_socket_pair(SOCK_STREAM, prony_param_int(params, "buffer"), a, b, error);
    /* The ring waits, whatever the policy: a descriptor that does not block would end an operation at once. */
    if (code == 0)
        code = prony_fd_policy(a->fd[0], PRONY_WAIT_BLOCK, error);
    return code != 0 ? code : prony_fd_policy(b->fd[0], PRONY_WAIT_BLOCK, error);
}

static int uring_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, uring_connect, channel, error);
}

static int uring_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                        struct prony_error *error)
{
    struct uring_end *end = calloc(1, sizeof *end);
    int code;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    if ((code = prony_line_attach(blob, &end->line, error)) != 0) {
        free(end);
        return code;
    }
    code = io_uring_queue_init(ENTRIES, &end->ring, 0);
    if (code != 0) {
        prony_line_detach(&end->line);
        free(end);
        return say_why(code, error);
    }
    *result = end;
    return 0;
}

static void uring_detach(void *handle)
{
    struct uring_end *end = handle;
    io_uring_queue_exit(&end->ring);
    prony_line_detach(&end->line);
    free(end);
}

/* Takes an operation back that did not end in time; what it came to is its result all the same. */
static int take_back(struct uring_end *end)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&end->ring);
    struct io_uring_cqe *cqe;
    int result = -ECANCELED;
    io_uring_prep_cancel64(sqe, OPERATION, 0);
    io_uring_sqe_set_data64(sqe, CANCELLATION);
    while (io_uring_submit(&end->ring) == -EINTR)
        ;
    for (unsigned seen = 0; seen < 2;) {
        if (io_uring_wait_cqe(&end->ring, &cqe) != 0)
            continue;
        if (io_uring_cqe_get_data64(cqe) == OPERATION)
            result = cqe->res;
        io_uring_cqe_seen(&end->ring, cqe);
        seen++;
    }
    return result;
}

/* Hands the prepared operation over and waits for it: its result, or -ETIMEDOUT, -EPIPE. */
static int perform(struct uring_end *end, struct prony_waiting *waiting)
{
    const bool sleeps = end->line.wait == PRONY_WAIT_BLOCK && waiting->deadline == UINT64_MAX;
    struct io_uring_cqe *cqe = NULL;
    int code = io_uring_submit_and_wait(&end->ring, sleeps ? 1 : 0), result;
    if (code < 0 && code != -EINTR)
        return code;
    while (io_uring_peek_cqe(&end->ring, &cqe) != 0) {
        if (sleeps) {
            (void)io_uring_wait_cqe(&end->ring, &cqe);
            continue;
        }
        code = prony_wait_next(waiting);
        if (code < 0) {
            result = take_back(end);
            return result == -ECANCELED || result == -EINTR ? code : result;
        }
        if (code == 1) {
            struct __kernel_timespec limit = {(int64_t)(waiting->slice_ns / 1000000000u),
                                              (long long)(waiting->slice_ns % 1000000000u)};
            (void)io_uring_wait_cqe_timeout(&end->ring, &cqe, &limit);
        }
    }
    result = cqe->res;
    io_uring_cqe_seen(&end->ring, cqe);
    return result;
}

static int64_t transfer(struct uring_end *end, int way, void *data, size_t bytes, uint64_t deadline)
{
    for (size_t done = 0; done < bytes;) {
        struct prony_waiting waiting = prony_wait_at(&end->line, way, deadline);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&end->ring);
        int n;
        if (way == PRONY_OUT)
            io_uring_prep_send(sqe, end->line.fd[0], (char *)data + done, bytes - done, MSG_NOSIGNAL | MSG_WAITALL);
        else
            io_uring_prep_recv(sqe, end->line.fd[0], (char *)data + done, bytes - done, MSG_WAITALL);
        io_uring_sqe_set_data64(sqe, OPERATION);
        n = perform(end, &waiting);
        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n == 0 || n == -ECONNRESET)
            return -EPIPE;
        if (n < 0)
            return n;
        prony_wait_end(&waiting);
        done += (size_t)n;
    }
    return (int64_t)bytes;
}

static int64_t uring_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    return transfer(end, PRONY_OUT, (void *)(uintptr_t)data, bytes, prony_line_deadline(timeout_ns));
}

static int64_t uring_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    return transfer(end, PRONY_IN, data, bytes, prony_line_deadline(timeout_ns));
}

PRONY_EXPORT(channel, io_uring) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "io-uring",
                       .summary = "Unix stream sockets, their sends and receives handed over by a ring",
                       .caps = PRONY_CHANNEL_STREAM | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_OWN,
                       .options = options, .probe = uring_probe),
    .copies = 2,
    .create = uring_create,
    .address = prony_lines_address,
    .attach = uring_attach,
    .send = uring_send,
    .recv = uring_recv,
    .pollfd = prony_line_pollfd,
    .detach = uring_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
