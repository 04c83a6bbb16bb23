/* bidirectional: both workers send and receive at the same time: message i goes each way before message i + 1 does.
 *
 * An exchange (one message each way) is clocked in role 0. On a stream a message goes in pieces of 4 KiB, which every
 * pipe has room for, a piece out and a piece in: two that both write a large message before they read would wait for each
 * other for ever. Message channels send a whole message and then read one. Where messages may be lost, a missing one is
 * given up after a while and counted. */
#include "workloads/wire.h"

static const struct prony_option options[] = {
    WIRE_ITEMS_OPTION("exchanges"),
    WIRE_SIZE_OPTION,
    {.name = NULL},
};

enum { PIECE = 4096 };

struct sides {
    unsigned char *out, *in;
};

static int exchange_pieces(struct wire *wire, const struct sides *sides, struct wire_flow *flow, uint64_t number)
{
    wire_stamp(sides->out, wire->size, number);
    for (uint64_t at = 0; at < wire->size; at += PIECE) {
        uint64_t bytes = wire->size - at < PIECE ? wire->size - at : PIECE;
        int64_t got = wire_put(wire, flow->end, sides->out + at, bytes);
        if (got >= 0)
            got = wire_get(wire, flow->end, sides->in + at, bytes, -1);
        if (got < 0)
            return (int)got;
    }
    wire->result.sent++;
    wire->result.got++;
    wire->result.wrong += !wire_stamped(sides->in, wire->size, number);
    *flow = (struct wire_flow){flow->end, number + 1, number, true};
    return 0;
}

static int exchange(struct wire *wire, const struct sides *sides, struct wire_flow *flow, uint64_t number)
{
    int code;
    if ((wire->channel->head.caps & PRONY_CHANNEL_STREAM) != 0)
        return exchange_pieces(wire, sides, flow, number);
    wire->message = sides->out;
    code = wire_send(wire, flow->end, number);
    wire->message = sides->in;
    return code == 0 ? wire_take(wire, flow) : code;
}

static int bidirectional_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_histogram *latency = prony_at(worker, worker->latency.off);
    struct wire_flow flow = {.end = worker->attached};
    struct sides sides;
    struct wire wire;
    uint64_t then, now;
    int code = wire_open(&wire, worker, task, false);
    if (code != 0)
        return code;
    sides.out = wire.message;
    sides.in = wire.message + (wire.size / LINE_BYTES + 1) * LINE_BYTES;
    memset(sides.in, 0xa5, wire.size);
    code = prony_worker_begin(worker);
    then = prony_now_ns();
    for (uint64_t i = 0; i < (uint64_t)task->hi && code == 0; i++) {
        code = exchange(&wire, &sides, &flow, i);
        now = prony_now_ns();
        if (worker->index == 0 && code == 0)
            prony_histogram_record(latency, now - then);
        then = now;
        code = code == -EAGAIN ? 0 : code;
    }
    wire_end(&wire);
    wire.message = sides.in;
    wire_look(&wire, &flow);
    return wire_close(&wire, code);
}

static int bidirectional_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                              struct prony_error *error)
{
    int code = wire_need(params, workers, 2, need, error);
    need->messages *= 2;
    need->operations *= 2;
    return code;
}

static const struct prony_kernel kernels[] = {{"bidirectional", bidirectional_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, bidirectional) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "bidirectional",
                       .summary = "a message each way at the same time, over and over", .options = options),
    .unit = "exchange",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .clock = PRONY_PER_OP,
    .phases = wire_phases,
    .need = bidirectional_need,
    .task = wire_plain_task,
    .poison = wire_poison,
    .verify = wire_verify,
};
