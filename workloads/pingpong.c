/* pingpong: two workers send a message back and forth over the channel; every full round trip is clocked.
 *
 * Role 0 sends message i, role 1 checks it and answers with one that is numbered by the complement, role 0 checks that
 * (see wire.h for what is touched). Part of the time: touching the message at both ends, one reading of the clock a trip.
 * A message of 0 bytes on a stream, which has no empty messages, travels as 1 byte. Where the channel loses, a trip
 * without an answer is given up after a while, counted as lost, and not clocked. Not measured: one-way times, several
 * messages in flight. */
#include "workloads/wire.h"

static const struct prony_option options[] = {
    WIRE_ITEMS_OPTION("round trips"),
    WIRE_SIZE_OPTION,
    {.name = NULL},
};

/* Waits for the answer to message `number`; answers to earlier ones that were given up are passed over. */
static int wait_answer(struct wire *wire, struct wire_flow *flow, uint64_t number)
{
    int code;
    do {
        flow->next = number;
        code = wire_take(wire, flow);
        if (code == -EAGAIN) {
            flow->any = false; /* what lies in the buffer was sent, not received */
            return code;
        }
    } while (code == 0 && flow->seen != number);
    return code;
}

static int ask(struct wire *wire, struct wire_flow *flow, uint64_t hi)
{
    struct prony_histogram *latency = prony_at(wire->worker, wire->worker->latency.off);
    uint64_t then = prony_now_ns(), now;
    int code = 0;
    for (uint64_t i = 0; i < hi && code == 0; i++) {
        code = wire_send(wire, flow->end, i);
        if (code == 0)
            code = wait_answer(wire, flow, ~i);
        now = prony_now_ns();
        if (code == 0)
            prony_histogram_record(latency, now - then);
        then = now;
        code = code == -EAGAIN ? 0 : code;
    }
    __atomic_store_n(&wire->line->ended, 1, __ATOMIC_RELEASE);
    return code;
}

static int answer(struct wire *wire, struct wire_flow *flow, uint64_t hi)
{
    int code = 0;
    while (flow->next < hi && code == 0) {
        code = wire_take(wire, flow);
        if (code == 0)
            code = wire_send(wire, flow->end, ~flow->seen);
        else if (code == -EAGAIN)
            code = wire->over != 0 ? -ENODATA : 0;
    }
    return code == -ENODATA ? 0 : code;
}

static int pingpong_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct wire_flow flow = {.end = worker->attached};
    struct wire wire;
    int code = wire_open(&wire, worker, task, worker->index != 0);
    if (code != 0)
        return code;
    code = prony_worker_begin(worker);
    if (code == 0)
        code = worker->index == 0 ? ask(&wire, &flow, (uint64_t)task->hi) : answer(&wire, &flow, (uint64_t)task->hi);
    wire_end(&wire);
    if (flow.any && worker->index != 0) /* the answer was stamped over what was received */
        flow.seen = ~flow.seen;
    wire_look(&wire, &flow);
    return wire_close(&wire, code);
}

static int pingpong_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                         struct prony_error *error)
{
    int code = wire_need(params, workers, 2, need, error);
    need->messages *= 2;
    need->operations *= 2;
    return code;
}

/* Where messages may be lost, an asker's gaps are answers it gave up, which the counts already tell. */
static int pingpong_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint64_t trips = (uint64_t)(bench->need->items * bench->repeats);
    struct wire_result asker, answerer;
    int code = wire_result_of(bench, 0, &asker, error);
    if (code == 0)
        code = wire_result_of(bench, 1, &answerer, error);
    if (code != 0)
        return code;
    bench->shortfall = bench->reordered = 0;
    bench->ns[1] = asker.touch_ns > answerer.touch_ns ? asker.touch_ns : answerer.touch_ns;
    code = wire_agree(bench, asker.sent, answerer.got, answerer.lost, answerer.late, trips, error);
    if (code == 0)
        code = wire_agree(bench, answerer.sent, asker.got, wire_loses(bench) ? 0 : asker.lost, asker.late, answerer.got,
                          error);
    return code;
}

static const struct prony_kernel kernels[] = {{"pingpong", pingpong_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, pingpong) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "pingpong",
                       .summary = "round trips of a message between two workers", .options = options),
    .unit = "round trip",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .clock = PRONY_PER_OP,
    .phases = wire_phases,
    .need = pingpong_need,
    .task = wire_plain_task,
    .poison = wire_poison,
    .verify = pingpong_verify,
};
