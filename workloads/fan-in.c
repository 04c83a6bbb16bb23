/* fan-in: all workers but one send messages to that one, which reads from its channels in turns.
 *
 * Every sender has a channel of its own to the reader. The clock stops when the reader has read the last of them and
 * every sender knows. Reading in turns works for every channel and lets no sender starve; what is not measured is who
 * would be served first by poll(2) or a queue that all share. */
#include "workloads/wire.h"

static const struct prony_option options[] = {
    WIRE_ITEMS_OPTION("messages of each sender"),
    WIRE_SIZE_OPTION,
    {.name = NULL},
};

/* Where messages may be lost, line->ended counts the senders that have sent all. */
static int read_in_turns(struct wire *wire, struct wire_flow *flows, unsigned n, uint64_t hi, unsigned *last)
{
    unsigned left = n;
    int code = 0;
    while (left > 0 && code == 0) {
        left = 0;
        for (unsigned i = 0; i < n && code == 0; i++) {
            if (flows[i].next >= hi)
                continue;
            left++;
            code = wire_take(wire, &flows[i]);
            *last = code == 0 ? i : *last;
            if (code == -EAGAIN) {
                bool all = wire->over == n;
                flows[i].next = all ? hi : flows[i].next;
                code = 0;
            }
        }
    }
    for (unsigned i = 0; i < n && code == 0 && !wire->lossy; i++)
        code = wire_tell(wire, flows[i].end, hi);
    return code;
}

static int read_role(struct wire *wire, struct prony_worker *worker, uint64_t hi)
{
    unsigned n = worker->roles - 1, last = 0;
    struct wire_flow *flows = calloc(n, sizeof *flows);
    int code = flows == NULL ? -ENOMEM : 0;
    for (unsigned i = 0; code == 0 && i < n; i++)
        flows[i].end = worker->spokes[i];
    if (code == 0)
        code = prony_worker_begin(worker);
    if (code == 0)
        code = read_in_turns(wire, flows, n, hi, &last);
    wire_end(wire);
    if (flows != NULL)
        wire_look(wire, &flows[last]);
    free(flows);
    return code;
}

static int fan_in_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    const uint64_t hi = (uint64_t)task->hi / (worker->roles - 1); /* the range is all messages; each sends its part */
    struct wire wire;
    int code = wire_open(&wire, worker, task, worker->index == 0);
    if (code != 0)
        return code;
    if (worker->index == 0)
        return wire_close(&wire, read_role(&wire, worker, hi));
    code = prony_worker_begin(worker);
    if (code == 0)
        code = wire_pour(&wire, worker->attached, 0, hi);
    (void)__atomic_fetch_add(&wire.line->ended, 1, __ATOMIC_ACQ_REL);
    if (code == 0 && !wire.lossy)
        code = wire_told(&wire, worker->attached, hi);
    prony_worker_end(worker);
    return wire_close(&wire, code);
}

static const struct prony_kernel kernels[] = {{"fan-in", fan_in_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, fan_in) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "fan-in",
                       .summary = "many workers send to one, which reads in turns", .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .phases = wire_phases,
    .need = wire_star_need,
    .task = wire_plain_task,
    .poison = wire_poison,
    .verify = wire_verify,
};
