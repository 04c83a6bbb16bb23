/* spin: tasks of an exact length, for grain sweeps: how short may a task be before the engine eats the gain?
 *
 * A task is a fixed number of dependent multiplications (a linear congruential generator), not a wait on a clock: on a
 * slowed core it takes longer, as work does. The number for `grain` is found once a launch, in prepare, as the best of
 * many short trials; `steps` sets it outright. The answer comes from the closed form of the generator. */
#include "base/clock.h"
#include "workloads/kit.h"

#define FACTOR 6364136223846793005u /* Knuth, MMIX */
#define TERM 1442695040888963407u

static const struct prony_option options[] = {
    {"items", PRONY_INT, "200", 1, 1e6, NULL, "tasks of one repetition"},
    {"grain", PRONY_DURATION, "10us", 10, 1e9, NULL, "length of a task"},
    {"steps", PRONY_INT, "0", 0, 1e9, NULL, "multiplications of a task; 0: as many as fill the grain"},
    {.name = NULL},
};

struct spin_arg {
    uint64_t seed, steps;
};

/* What prepare keeps: the parameters, and x -> factor * x + term, which is `steps` steps at once. */
struct spin_local {
    struct spin_arg arg;
    uint64_t factor, term;
};

static uint64_t spin(uint64_t x, uint64_t steps)
{
    for (; steps > 0; steps--) {
        x = x * FACTOR + TERM;
        __asm__ volatile("" : "+r"(x)); /* one step at a time: no unrolled closed form */
    }
    return x;
}

static int spin_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct spin_arg arg;
    memcpy(&arg, task->arg, sizeof arg);
    future_value(worker, task, spin(mix64(arg.seed + (uint64_t)task->lo), arg.steps));
    return 0;
}

static int spin_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->futures = (uint64_t)need->items;
    return 0;
}

/* Best of many trials: whatever disturbs one makes it longer. */
static uint64_t steps_of(int64_t grain_ns)
{
    enum { TRIALS = 40, STEPS = 20000 };
    uint64_t best = UINT64_MAX, x = 1, steps;
    for (int i = 0; i < TRIALS; i++) {
        uint64_t begun = prony_now_ns(), took;
        x = spin(x, STEPS);
        took = prony_now_ns() - begun;
        best = took > 0 && took < best ? took : best;
    }
    steps = (uint64_t)((double)grain_ns * STEPS / (double)best);
    return steps > 0 ? steps : 1;
}

static int spin_prepare(struct prony_bench *bench, struct prony_error *error)
{
    struct spin_local *local = calloc(1, sizeof *local);
    uint64_t factor = FACTOR, term = TERM, steps = (uint64_t)prony_param_int(bench->params, "steps");
    if (local == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the parameters");
    if (steps == 0)
        steps = steps_of(prony_param_int(bench->params, "grain"));
    *local = (struct spin_local){{bench->seed, steps}, 1, 0};
    for (; steps > 0; steps >>= 1) {
        if (steps & 1) {
            local->term = local->term * factor + term;
            local->factor *= factor;
        }
        term += term * factor;
        factor *= factor;
    }
    bench->local = local;
    return 0;
}

static void spin_task(const struct prony_bench *bench, struct prony_task *task)
{
    const struct spin_local *local = bench->local;
    task_fill(bench, task, 0, &local->arg, sizeof local->arg);
}

static void spin_poison(struct prony_bench *bench)
{
    const struct spin_local *local = bench->local;
    futures_poison(bench);
    for (uint64_t i = 0; i < bench->need->futures; i++)
        future_at(bench, i)->value = ~(mix64(local->arg.seed + i) * local->factor + local->term);
}

static int spin_verify(struct prony_bench *bench, struct prony_error *error)
{
    const struct spin_local *local = bench->local;
    int code = futures_verify(bench, error);
    for (uint64_t i = 0; i < bench->need->futures && code == 0; i++)
        if (future_at(bench, i)->value != mix64(local->arg.seed + i) * local->factor + local->term)
            code = prony_fail(error, -EBADMSG, "task %llu did not end where %llu steps lead", (unsigned long long)i,
                              (unsigned long long)local->arg.steps);
    return code;
}

static void spin_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"spin", spin_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, spin) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "spin", .summary = "tasks of an exact length, for grain sweeps",
                       .options = options),
    .unit = "task",
    .kernels = kernels,
    .shape = PRONY_TASKS,
    .need = spin_need,
    .prepare = spin_prepare,
    .task = spin_task,
    .poison = spin_poison,
    .verify = spin_verify,
    .release = spin_release,
};
