/* event: workers wake each other in a ring, each by an event of its own: what it costs to be waited for by one.
 *
 * Worker i waits for its event, clears it and sets that of i + 1; a plain count behind them must go up by one each time. Not
 * measured: many that wait for one event. */
#include "workloads/kit.h"

#include <prony/sync.h>

static const struct prony_option options[] = {
    {"items", PRONY_INT, "500", 1, 1e9, NULL, "wake-ups of one repetition, all workers together"},
    {.name = NULL},
};

enum { EVENTS = LINE_BYTES }; /* the count, then a line a worker with its event, then their turns */

static struct prony_event *event_of(unsigned char *data, unsigned index)
{
    return (struct prony_event *)(void *)(data + EVENTS + index * (uint64_t)LINE_BYTES);
}

static int event_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    unsigned char *data = prony_at(worker, task->out.off);
    int64_t *count = (int64_t *)(void *)data;
    const unsigned me = worker->index, roles = worker->roles;
    const int64_t mine = share(task->hi - task->lo, me, roles);
    uint64_t done = 0;
    int code = prony_worker_begin(worker);
    for (int64_t i = 0; i < mine && code == 0; i++) {
        if ((code = prony_event_wait(event_of(data, me), STUCK_NS)) != 0)
            break;
        prony_event_clear(event_of(data, me));
        if (*count != i * roles + me)
            code = -EBADMSG;
        ++*count;
        done++;
        prony_event_set(event_of(data, (me + 1) % roles));
    }
    prony_worker_end(worker);
    *turns_of(worker, task, EVENTS + roles * (uint64_t)LINE_BYTES) = done;
    return code;
}

static int event_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = EVENTS + (uint64_t)workers * 2 * LINE_BYTES;
    return 0;
}

/* Only the first may go. */
static void event_poison(struct prony_bench *bench)
{
    const uint64_t lines = bench->setup->workers * (uint64_t)LINE_BYTES;
    memset(data_at(bench, 0), 0, EVENTS + lines);
    turns_poison(bench, EVENTS + lines);
    prony_event_set(event_of(data_at(bench, 0), 0));
}

static int event_verify(struct prony_bench *bench, struct prony_error *error)
{
    const int64_t items = bench->need->items * bench->repeats, count = *(int64_t *)data_at(bench, 0);
    const unsigned workers = bench->setup->workers;
    int code = turns_verify(bench, EVENTS + workers * (uint64_t)LINE_BYTES, error);
    if (code == 0 && count != items)
        code = prony_fail(error, -EBADMSG, "the count is %lld after %lld wake-ups", (long long)count, (long long)items);
    for (unsigned i = 0; i < workers && code == 0; i++) {
        const uint32_t sets = (uint32_t)share(items, (i + workers - 1) % workers, workers) + (i == 0);
        const uint32_t word = event_of(data_at(bench, 0), i)->word;
        if (word != (sets << 2 | (i == items % workers)))
            code = prony_fail(error, -EBADMSG, "event %u is %#x after %u sets", i, word, sets);
    }
    return code;
}

static const struct prony_kernel kernels[] = {{"event", event_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, event) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "event", .summary = "workers wake each other in a ring",
                       .options = options),
    .unit = "wake-up",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = event_need,
    .poison = event_poison,
    .verify = event_verify,
};
