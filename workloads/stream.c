/* stream: one worker sends messages as fast as the channel takes them, another reads and checks them.
 *
 * The clock stops when the last byte has been read and the reader's acknowledgement is back (where messages may be lost:
 * when the last one that came was read; what is missing is counted). A message of 0 bytes travels as 1 byte on a stream
 * channel. Not measured: the time of a single message. */
#include "workloads/wire.h"

static const struct prony_option options[] = {
    WIRE_ITEMS_OPTION("messages"),
    WIRE_SIZE_OPTION,
    {.name = NULL},
};

static int stream_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    const bool receives = worker->index != 0;
    const uint64_t hi = (uint64_t)task->hi;
    struct wire_flow flow = {.end = worker->attached};
    struct wire wire;
    int code = wire_open(&wire, worker, task, receives);
    if (code != 0)
        return code;
    code = prony_worker_begin(worker);
    if (receives)
        return wire_read_all(&wire, &flow, hi, code);
    if (code == 0)
        code = wire_pour(&wire, worker->attached, 0, hi);
    __atomic_store_n(&wire.line->ended, 1, __ATOMIC_RELEASE);
    if (code == 0 && !wire.lossy)
        code = wire_told(&wire, worker->attached, hi);
    prony_worker_end(worker);
    return wire_close(&wire, code);
}

static int stream_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                       struct prony_error *error)
{
    (void)workers;
    return wire_need(params, workers, 2, need, error);
}

static const struct prony_kernel kernels[] = {{"stream", stream_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, stream) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "stream",
                       .summary = "messages one way as fast as they go, until the last is read", .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .phases = wire_phases,
    .need = stream_need,
    .task = wire_plain_task,
    .poison = wire_poison,
    .verify = wire_verify,
};
