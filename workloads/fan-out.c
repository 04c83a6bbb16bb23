/* fan-out: one worker sends messages to all the others in turns; each of them reads and checks its own.
 *
 * Every reader has a channel of its own to the sender; message i goes to each of them before message i + 1 goes to any.
 * The clock stops when every reader has read its last message and the sender knows. Where messages may be lost it stops
 * with the last that came. Not measured: a sender that picks whoever is idle. */
#include "workloads/wire.h"

static const struct prony_option options[] = {
    WIRE_ITEMS_OPTION("messages to each reader"),
    WIRE_SIZE_OPTION,
    {.name = NULL},
};

static int send_in_turns(struct wire *wire, uint64_t hi)
{
    const struct prony_worker *worker = wire->worker;
    const unsigned n = worker->roles - 1;
    int code = 0;
    for (uint64_t i = 0; i < hi && code == 0; i++)
        for (unsigned r = 0; r < n && code == 0; r++)
            code = wire_send(wire, worker->spokes[r], i);
    __atomic_store_n(&wire->line->ended, 1, __ATOMIC_RELEASE);
    for (unsigned r = 0; r < n && code == 0 && !wire->lossy; r++)
        code = wire_told(wire, worker->spokes[r], hi);
    return code;
}

static int fan_out_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    const uint64_t hi = (uint64_t)task->hi / (worker->roles - 1); /* the range is all messages; each reads its part */
    struct wire_flow flow = {.end = worker->attached};
    struct wire wire;
    int code = wire_open(&wire, worker, task, worker->index != 0);
    if (code != 0)
        return code;
    code = prony_worker_begin(worker);
    if (worker->index == 0) {
        code = code == 0 ? send_in_turns(&wire, hi) : code;
        prony_worker_end(worker);
        return wire_close(&wire, code);
    }
    return wire_read_all(&wire, &flow, hi, code);
}

static const struct prony_kernel kernels[] = {{"fan-out", fan_out_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, fan_out) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "fan-out", .summary = "one worker sends to many, in turns",
                       .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .phases = wire_phases,
    .need = wire_star_need,
    .task = wire_plain_task,
    .poison = wire_poison,
    .verify = wire_verify,
};
