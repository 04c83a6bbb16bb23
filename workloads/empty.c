/* empty: tasks that do nothing, to measure what handing them over costs.
 *
 * Each task leaves its number in its future, a line that the worker writes anyway. Engines that complete tasks without
 * running kernels (PRONY_CAP_DRY) are held to the count of tasks that are done. Not measured: any work. */
#include "workloads/kit.h"

static const struct prony_option options[] = {
    {"items", PRONY_INT, "1000", 1, 1e6, NULL, "tasks of one repetition"},
    {.name = NULL},
};

static int empty_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    future_value(worker, task, (uint64_t)task->lo);
    return 0;
}

static int empty_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->futures = (uint64_t)need->items;
    return 0;
}

static void empty_poison(struct prony_bench *bench)
{
    futures_poison(bench);
}

static int empty_verify(struct prony_bench *bench, struct prony_error *error)
{
    int code = futures_verify(bench, error);
    if (code != 0 || (bench->engine->head.caps & PRONY_CAP_DRY) != 0)
        return code;
    for (uint64_t i = 0; i < bench->need->futures; i++)
        if (future_at(bench, i)->value != i)
            return prony_fail(error, -EBADMSG, "task %llu left %llu, not its number", (unsigned long long)i,
                              (unsigned long long)future_at(bench, i)->value);
    return 0;
}

static const struct prony_kernel kernels[] = {{"empty", empty_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, empty) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "empty",
                       .summary = "tasks that do nothing: the cost of handing over", .options = options),
    .unit = "task",
    .kernels = kernels,
    .shape = PRONY_TASKS,
    .need = empty_need,
    .poison = empty_poison,
    .verify = empty_verify,
};
