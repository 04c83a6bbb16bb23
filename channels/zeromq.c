/* zeromq: a pair of ZeroMQ PAIR sockets over an abstract Unix address.
 *
 * Messages with boundaries, of any size; at most `depth` wait on each side. Every end has a context of its own, made when
 * it is attached, and with it the library's I/O thread, which moves the bytes: a round trip wakes four threads, and the
 * CPU time of a side includes its I/O thread's only where the process is measured. ZeroMQ does not tell that a peer is
 * gone; a lifeline does. Its descriptor (ZMQ_FD) is edge-triggered and speaks of more than messages, so there is none to
 * poll. */
#include "channels/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#define LINGER_MS 1000 /* what has been sent is delivered for this long after its sender let go */
#define RECONNECT_MS 1 /* the other end may bind later */
#define SLICE_MS ((int)(PRONY_LOOK_NS / 1000000u))

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    {"depth", PRONY_INT, "16", 1, 1000000, NULL, "messages that wait on each side at most (ZMQ_SNDHWM, ZMQ_RCVHWM)"},
    {.name = NULL},
};

/* What an address says beyond the line's own. */
struct zeromq_call {
    int32_t depth, binds;
    char address[64];
};

struct zeromq_end {
    struct prony_line line;
    void *context, *socket;
};

static int zeromq_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                          struct prony_error *error)
{
    static unsigned pairs; /* host's main thread only */
    struct zeromq_call call = {.depth = (int32_t)prony_param_int(params, "depth"), .binds = 1};
    (void)snprintf(call.address, sizeof call.address, "ipc://@prony-%d-%u-%llx", (int)getpid(), pairs++,
                   (unsigned long long)prony_now_ns());
    memcpy(prony_call_of(a)->own, &call, sizeof call);
    call.binds = 0;
    memcpy(prony_call_of(b)->own, &call, sizeof call);
    return prony_lifeline(a, b, error);
}

static int zeromq_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, zeromq_connect, channel, error);
}

static void zeromq_detach(void *handle)
{
    struct zeromq_end *end = handle;
    if (end->socket != NULL)
        (void)zmq_close(end->socket);
    if (end->context != NULL)
        while (zmq_ctx_term(end->context) != 0 && zmq_errno() == EINTR)
            ;
    prony_line_detach(&end->line);
    free(end);
}

static bool set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static int zeromq_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                         struct prony_error *error)
{
    struct zeromq_end *end = calloc(1, sizeof *end);
    struct zeromq_call call;
    int code;
    (void)worker;
    memcpy(&call, ((const struct prony_call *)(const void *)blob->data)->own, sizeof call);
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    if ((code = prony_line_attach(blob, &end->line, error)) != 0) {
        free(end);
        return code;
    }
    if ((end->context = zmq_ctx_new()) == NULL || (end->socket = zmq_socket(end->context, ZMQ_PAIR)) == NULL ||
        !set(end->socket, ZMQ_SNDHWM, call.depth) || !set(end->socket, ZMQ_RCVHWM, call.depth) ||
        !set(end->socket, ZMQ_LINGER, LINGER_MS) || !set(end->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) ||
        !set(end->socket, ZMQ_RCVTIMEO, SLICE_MS) || !set(end->socket, ZMQ_SNDTIMEO, SLICE_MS) ||
        (call.binds ? zmq_bind(end->socket, call.address) : zmq_connect(end->socket, call.address)) != 0) {
        code = prony_fail(error, -zmq_errno(), "no ZeroMQ socket at %s: %s", call.address, zmq_strerror(zmq_errno()));
        zeromq_detach(end);
        return code;
    }
    *result = end;
    return 0;
}

/* After a try that failed: 0 to try again, else what to tell. */
static int again(struct prony_waiting *waiting, short events)
{
    struct zeromq_end *end = (struct zeromq_end *)(void *)waiting->line;
    zmq_pollitem_t one = {.socket = end->socket, .events = events};
    int code;
    if (zmq_errno() == EINTR)
        return 0;
    if (zmq_errno() != EAGAIN)
        return -zmq_errno();
    code = prony_wait_next(waiting);
    if (code != 1)
        return code;
    (void)zmq_poll(&one, 1, (long)((waiting->slice_ns + 999999u) / 1000000u));
    return 0;
}

/* A call that may sleep does so for a slice at most (ZMQ_RCVTIMEO, ZMQ_SNDTIMEO), then the lifeline is looked at. */
static int flags_of(const struct zeromq_end *end, uint64_t deadline)
{
    return end->line.wait == PRONY_WAIT_BLOCK && deadline == UINT64_MAX ? 0 : ZMQ_DONTWAIT;
}

static int64_t zeromq_send(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct zeromq_end *end = handle;
    struct prony_waiting waiting = prony_wait_at(&end->line, PRONY_OUT, prony_line_deadline(timeout_ns));
    while (zmq_send(end->socket, data, bytes, flags_of(end, waiting.deadline)) < 0) {
        int code = again(&waiting, ZMQ_POLLOUT);
        if (code != 0)
            return code;
    }
    prony_wait_end(&waiting);
    return (int64_t)bytes;
}

static int64_t zeromq_recv(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    struct zeromq_end *end = handle;
    struct prony_waiting waiting = prony_wait_at(&end->line, PRONY_IN, prony_line_deadline(timeout_ns));
    int n;
    while ((n = zmq_recv(end->socket, data, bytes, flags_of(end, waiting.deadline))) < 0) {
        int code = again(&waiting, ZMQ_POLLIN);
        if (code != 0)
            return code;
    }
    prony_wait_end(&waiting);
    return (size_t)n > bytes ? -EMSGSIZE : n;
}

PRONY_EXPORT(channel, zeromq) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "zeromq", .summary = "ZeroMQ PAIR sockets over a Unix address",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN,
                       .options = options),
    .copies = 4,
    .create = zeromq_create,
    .address = prony_lines_address,
    .attach = zeromq_attach,
    .send = zeromq_send,
    .recv = zeromq_recv,
    .detach = zeromq_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
