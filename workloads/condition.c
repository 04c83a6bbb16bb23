/* condition: workers take turns under one lock, waiting on one condition: whoever ends its turn notifies all.
 *
 * With more than two workers all of them wake for a turn that one of them has: this is what notify_all costs. The turns are
 * a plain count under the lock. */
#include "workloads/kit.h"

#include <prony/sync.h>

static const struct prony_option options[] = {
    {"items", PRONY_INT, "500", 1, 1e9, NULL, "turns of one repetition, all workers together"},
    {.name = NULL},
};

struct place {
    struct prony_rlock lock;
    struct prony_condition condition;
    int64_t count;
};
enum { TURNS = 128 };
static_assert(sizeof(struct place) <= TURNS, "the turns lie behind it");

static int condition_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct place *place = prony_at(worker, task->out.off);
    const int64_t mine = share(task->hi - task->lo, worker->index, worker->roles);
    uint64_t done = 0;
    int code = prony_worker_begin(worker);
    for (int64_t i = 0; i < mine && code == 0; i++) {
        const int64_t turn = i * worker->roles + worker->index;
        if ((code = prony_rlock_acquire(&place->lock, STUCK_NS)) != 0)
            break;
        while (code == 0 && place->count != turn)
            code = prony_condition_wait(&place->condition, &place->lock, STUCK_NS);
        if (code == 0) {
            place->count++;
            done++;
            code = prony_condition_notify(&place->condition, &place->lock, UINT32_MAX);
        }
        (void)prony_rlock_release(&place->lock);
    }
    prony_worker_end(worker);
    *turns_of(worker, task, TURNS) = done;
    return code;
}

static int condition_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                          struct prony_error *error)
{
    (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = TURNS + (uint64_t)workers * LINE_BYTES;
    return 0;
}

/* Where the count lies, for workers with a lock and a condition of their own. */
static void condition_task(const struct prony_bench *bench, struct prony_task *task)
{
    const uint32_t count = offsetof(struct place, count);
    task_fill(bench, task, 0, &count, sizeof count);
}

static void condition_poison(struct prony_bench *bench)
{
    struct place *place = data_at(bench, 0);
    memset(place, 0, sizeof *place);
    (void)prony_rlock_init(&place->lock);
    turns_poison(bench, TURNS);
}

static int condition_verify(struct prony_bench *bench, struct prony_error *error)
{
    const struct place *place = data_at(bench, 0);
    const int64_t items = bench->need->items * bench->repeats;
    int code = turns_verify(bench, TURNS, error);
    if (code == 0 && place->count != items)
        code = prony_fail(error, -EBADMSG, "the count is %lld after %lld turns", (long long)place->count,
                          (long long)items);
    return code;
}

static const struct prony_kernel kernels[] = {{"condition", condition_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, condition) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "condition", .summary = "workers take turns by one condition",
                       .options = options),
    .unit = "turn",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = condition_need,
    .task = condition_task,
    .poison = condition_poison,
    .verify = condition_verify,
};
