/* oneway: the way there alone, by the clock that both sides share.
 *
 * One machine has one CLOCK_MONOTONIC, so the reader may subtract the sender's time from its own; between machines that
 * would be a lie. One message is under way at a time: the sender waits for an answer of 8 bytes, which is in the rate and
 * not in the latency. Times are kept by both sides in tables of their own and compared every 512 messages, so that
 * neither a time stamp nor another cache line travels with a message. */
#include "workloads/wire.h"

static const struct prony_option options[] = {
    WIRE_ITEMS_OPTION("messages"),
    WIRE_SIZE_OPTION,
    {.name = NULL},
};

enum { TIMES = 512, TABLE = 0 }; /* TABLE: in arg.more, where the tables lie in the data */

/* The reader's table is its own; where the channel loses, it skips what did not come. */
struct times {
    uint64_t sent[TIMES];
};

static int send_all(struct wire *wire, struct times *times, uint64_t hi)
{
    int code = 0;
    for (uint64_t i = 0; i < hi && code == 0; i++) {
        __atomic_store_n(&times->sent[i % TIMES], prony_now_ns(), __ATOMIC_RELAXED);
        code = wire_send(wire, wire->worker->attached, i);
        if (code == 0)
            code = wire_told(wire, wire->worker->attached, i + 1);
        code = code == -EAGAIN ? 0 : code;
    }
    __atomic_store_n(&wire->line->ended, 1, __ATOMIC_RELEASE);
    return code;
}

/* The sender waits for the answer to the last of them, so its times are at rest: the messages order them. Where a channel
 * loses, it may have gone on: a time is then that of a later message, which has not come, and is left out. */
static void compare(struct wire *wire, const struct times *times, uint64_t *came, unsigned n)
{
    struct prony_histogram *latency = prony_at(wire->worker, wire->worker->latency.off);
    for (unsigned i = 0; i < n; i++) {
        uint64_t sent = __atomic_load_n(&times->sent[i], __ATOMIC_RELAXED);
        if (came[i] > sent)
            prony_histogram_record(latency, came[i] - sent);
        came[i] = 0;
    }
}

static int read_all(struct wire *wire, struct wire_flow *flow, const struct times *times, uint64_t hi)
{
    uint64_t came[TIMES] = {0};
    int code = 0;
    while (flow->next < hi && code == 0) {
        uint64_t before = flow->next;
        code = wire_take(wire, flow);
        if (code == 0) {
            came[flow->seen % TIMES] = prony_now_ns();
            if (before / TIMES != flow->next / TIMES || flow->next == hi) /* of a table with gaps, what is sure */
                compare(wire, times, came, (unsigned)(flow->seen % TIMES) + 1);
            code = wire_tell(wire, flow->end, flow->seen + 1);
        } else if (code == -EAGAIN) {
            code = wire->over != 0 ? -ENODATA : 0;
        }
    }
    return code == -ENODATA ? 0 : code;
}

static int oneway_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct wire_flow flow = {.end = worker->attached};
    struct times *times;
    struct wire_arg arg;
    struct wire wire;
    int code = wire_open(&wire, worker, task, worker->index != 0);
    if (code != 0)
        return code;
    memcpy(&arg, task->arg, sizeof arg);
    times = prony_at(worker, task->out.off + arg.more[TABLE]);
    code = prony_worker_begin(worker);
    if (code == 0)
        code = worker->index == 0 ? send_all(&wire, times, (uint64_t)task->hi)
                                  : read_all(&wire, &flow, times, (uint64_t)task->hi);
    wire_end(&wire);
    wire_look(&wire, &flow);
    return wire_close(&wire, code);
}

static int oneway_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                       struct prony_error *error)
{
    int code = wire_need(params, workers, 2, need, error);
    need->bytes += sizeof(struct times);
    return code;
}

static void oneway_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct wire_arg arg = {.more = {[TABLE] = bench->need->bytes - sizeof(struct times)}};
    wire_task(bench, task, &arg);
}

static const struct prony_kernel kernels[] = {{"oneway", oneway_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, oneway) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "oneway",
                       .summary = "the way there alone, by the clock both sides share", .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .clock = PRONY_PER_OP,
    .phases = wire_phases,
    .need = oneway_need,
    .task = oneway_task,
    .poison = wire_poison,
    .verify = wire_verify,
};
