/* burst: one worker sends a number of messages at once, and waits until another has read them all; then the next burst.
 *
 * Each burst is clocked as a whole, from its first send to the answer. With a gap the sender rests between bursts, so
 * that the reader has gone to sleep; that rest is in the rate and not in the latency. Where the channel loses, a burst
 * whose last message or answer went missing is given up after a while and not clocked. */
#include "workloads/wire.h"

#include <time.h>

static const struct prony_option options[] = {
    WIRE_ITEMS_OPTION("messages"),
    WIRE_SIZE_OPTION,
    {"burst", PRONY_INT, "16", 1, 1e6, NULL, "messages sent at once"},
    {"gap", PRONY_DURATION, "0", 0, 1e9, NULL, "the sender's rest between bursts"},
    {.name = NULL},
};

enum { BURST, GAP }; /* in arg.more */

static void rest(uint64_t ns)
{
    struct timespec gap = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    if (ns != 0)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
}

static int send_bursts(struct wire *wire, const struct wire_arg *arg, uint64_t hi)
{
    struct prony_histogram *latency = prony_at(wire->worker, wire->worker->latency.off);
    int code = 0;
    for (uint64_t i = 0; i < hi && code == 0;) {
        uint64_t until = hi - i < arg->more[BURST] ? hi : i + arg->more[BURST], then = prony_now_ns();
        code = wire_pour(wire, wire->worker->attached, i, until);
        if (code == 0)
            code = wire_told(wire, wire->worker->attached, until);
        if (code == 0)
            prony_histogram_record(latency, prony_now_ns() - then);
        code = code == -EAGAIN ? 0 : code;
        i = until;
        rest(arg->more[GAP]);
    }
    __atomic_store_n(&wire->line->ended, 1, __ATOMIC_RELEASE);
    return code;
}

static int read_bursts(struct wire *wire, struct wire_flow *flow, const struct wire_arg *arg, uint64_t hi)
{
    int code = 0;
    while (flow->next < hi && code == 0) {
        code = wire_take(wire, flow);
        if (code == 0 && (flow->next % arg->more[BURST] == 0 || flow->next == hi))
            code = wire_tell(wire, flow->end, flow->next);
        else if (code == -EAGAIN)
            code = wire->over != 0 ? -ENODATA : 0;
    }
    return code == -ENODATA ? 0 : code;
}

static int burst_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    return wire_two(worker, task, send_bursts, read_bursts);
}

static int burst_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    int code = wire_need(params, workers, 2, need, error);
    need->few = prony_param_int(params, "burst");
    return code;
}

static void burst_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct wire_arg arg = {.more = {[BURST] = (uint64_t)prony_param_int(bench->params, "burst"),
                                    [GAP] = (uint64_t)prony_param_int(bench->params, "gap")}};
    wire_task(bench, task, &arg);
}

static const struct prony_kernel kernels[] = {{"burst", burst_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, burst) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "burst",
                       .summary = "many messages at once, then an answer when all are read", .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .clock = PRONY_PER_OP,
    .phases = wire_phases,
    .need = burst_need,
    .task = burst_task,
    .poison = wire_poison,
    .verify = wire_verify,
};
