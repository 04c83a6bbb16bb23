/* paced: messages at a fixed rate; each one's latency counts from when it was meant to be sent.
 *
 * A sender that is held up does not shift its schedule: what a stall delays is seen in all the messages it delayed, and
 * not in one of them alone (no coordinated omission). The sender sleeps until a little before its time and then looks at
 * the clock; its own lateness is in the latency, because a program's would be. The reader takes the time when it has
 * checked the message. A rate beyond what the channel carries shows as a latency that grows. The item's rate is the one
 * that was asked for: it says nothing about speed. */
#include "workloads/wire.h"

#include <time.h>

static const struct prony_option options[] = {
    {"items", PRONY_INT, "100", 1, 1e8, NULL, "messages of one repetition"},
    WIRE_SIZE_OPTION,
    {"rate", PRONY_INT, "10k", 1, 1e8, NULL, "messages a second"},
    {.name = NULL},
};

enum { PERIOD = 0, SPIN_NS = 60000 }; /* PERIOD: in arg.more, in picoseconds: 3 M/s has no whole nanoseconds */

static uint64_t intended(const struct wire *wire, const struct wire_arg *arg, uint64_t number)
{
    return wire->line->began_ns + number / 1000 * arg->more[PERIOD] + number % 1000 * arg->more[PERIOD] / 1000;
}

static void wait_until(uint64_t ns)
{
    uint64_t now = prony_now_ns();
    if (ns > now + 2 * SPIN_NS) {
        struct timespec until = {(time_t)((ns - SPIN_NS) / 1000000000u), (long)((ns - SPIN_NS) % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
            ;
    }
    while (prony_now_ns() < ns)
        ;
}

static int send_paced(struct wire *wire, const struct wire_arg *arg, uint64_t hi)
{
    int code = 0;
    wire->line->began_ns = prony_now_ns() + SPIN_NS; /* the first message carries it over */
    for (uint64_t i = 0; i < hi && code == 0; i++) {
        wait_until(intended(wire, arg, i));
        code = wire_send(wire, wire->worker->attached, i);
    }
    __atomic_store_n(&wire->line->ended, 1, __ATOMIC_RELEASE);
    return code;
}

static int read_paced(struct wire *wire, struct wire_flow *flow, const struct wire_arg *arg, uint64_t hi)
{
    struct prony_histogram *latency = prony_at(wire->worker, wire->worker->latency.off);
    int code = 0;
    while (flow->next < hi && code == 0) {
        code = wire_take(wire, flow);
        if (code == 0) {
            uint64_t now = prony_now_ns(), then = intended(wire, arg, flow->seen);
            prony_histogram_record(latency, now > then ? now - then : 0);
        } else if (code == -EAGAIN) {
            code = wire->over != 0 ? -ENODATA : 0;
        }
    }
    return code == -ENODATA ? 0 : code;
}

static int paced_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    return wire_two(worker, task, send_paced, read_paced);
}

static int paced_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    return wire_need(params, workers, 2, need, error);
}

static void paced_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct wire_arg arg = {
        .more = {[PERIOD] = UINT64_C(1000000000000) / (uint64_t)prony_param_int(bench->params, "rate")}};
    wire_task(bench, task, &arg);
}

static const struct prony_kernel kernels[] = {{"paced", paced_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, paced) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "paced",
                       .summary = "messages at a fixed rate, latency from the intended start", .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .clock = PRONY_PER_OP,
    .phases = wire_phases,
    .need = paced_need,
    .task = paced_task,
    .poison = wire_poison,
    .verify = wire_verify,
};
