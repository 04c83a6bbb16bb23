/* fib: Fibonacci numbers by naive recursion, tasks that spawn tasks: what nesting costs.
 *
 * A task spawns fib(n-1), computes fib(n-2) itself and joins. Up to `cutoff` a call recurses without tasks. A task's
 * result holds both the number (low half) and how many calls were made (high half): both are known in closed form. */
#include "workloads/kit.h"

static const struct prony_option options[] = {
    {"n", PRONY_INT, "27", 1, 45, NULL, "which Fibonacci number"},
    {"cutoff", PRONY_INT, "12", 1, 45, NULL, "up to here without tasks"},
    {.name = NULL},
};

struct fib_arg {
    int32_t n, cutoff;
};

#define ONE_CALL ((uint64_t)1 << 32)

static __attribute__((noinline)) uint64_t recurse(int n)
{
    return n < 2 ? ONE_CALL + (uint64_t)n : ONE_CALL + recurse(n - 1) + recurse(n - 2);
}

static int nest(struct prony_worker *worker, const struct prony_task *task, struct fib_arg arg, uint64_t *value)
{
    struct fib_arg less = {arg.n - 1, arg.cutoff}, least = {arg.n - 2, arg.cutoff};
    struct prony_task kid;
    uint64_t its = 0;
    int code;
    if (arg.n <= arg.cutoff || arg.n < 2) {
        *value = recurse(arg.n);
        return 0;
    }
    kid = *task;
    memcpy(kid.arg, &less, sizeof less);
    code = kid_begin(worker, &kid);
    if (code == 0) {
        code = nest(worker, task, least, value);
        code = kid_end(worker, &kid, code, &its);
        *value += ONE_CALL + its;
    }
    return code;
}

static int fib_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct fib_arg arg;
    uint64_t value = 0;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    code = nest(worker, task, arg, &value);
    future_value(worker, task, value);
    return code;
}

/* The answer, by counting up. */
static uint64_t answer(int64_t n)
{
    uint64_t low = 0, high = 1; /* F(0), F(1) */
    for (; n > 0; n--) {
        uint64_t next = low + high;
        low = high;
        high = next;
    }
    return (2 * high - 1) * ONE_CALL + low;
}

static int fib_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                    struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = (int64_t)(answer(prony_param_int(params, "n")) / ONE_CALL);
    need->futures = 1;
    need->engine_caps = PRONY_CAP_NEST;
    return 0;
}

/* The number of repetitions whose answer was right. */
static int fib_prepare(struct prony_bench *bench, struct prony_error *error)
{
    bench->local = calloc(1, sizeof(int64_t));
    return bench->local != NULL ? 0 : prony_fail(error, -ENOMEM, "no memory for a count");
}

static void fib_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct fib_arg arg = {(int32_t)prony_param_int(bench->params, "n"),
                          (int32_t)prony_param_int(bench->params, "cutoff")};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void fib_poison(struct prony_bench *bench)
{
    futures_poison(bench);
    *(int64_t *)bench->local = 0;
}

/* One root task after the other: the items are its calls, so the default loop does not fit. */
static int fib_drive(struct prony_bench *bench)
{
    const uint64_t right = answer(prony_param_int(bench->params, "n"));
    struct prony_future *future = future_at(bench, 0);
    struct prony_task task = {.lo = 0, .hi = 1, .future = bench->futures.off};
    fib_task(bench, &task);
    for (int64_t i = 0; i < bench->repeats; i++) {
        int code;
        future->value = UINT64_MAX;
        code = bench->engine->submit(bench->handle, &task, 1);
        if (code == 0)
            code = bench->engine->wait(bench->handle, &task.future, 1, 1, bench->timeout_ns);
        if (code == 0)
            code = future->status;
        if (code != 0)
            return prony_fail(bench->error, code, "fib: repetition %lld failed", (long long)i);
        *(int64_t *)bench->local += future->value == right;
    }
    return 0;
}

static int fib_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint64_t right = answer(prony_param_int(bench->params, "n")), value = future_at(bench, 0)->value;
    int64_t count = *(int64_t *)bench->local;
    int code = futures_verify(bench, error);
    if (code == 0 && value != right)
        code = prony_fail(error, -EBADMSG, "the number is %llu by %llu calls, not %llu by %llu",
                          (unsigned long long)(right % ONE_CALL), (unsigned long long)(right / ONE_CALL),
                          (unsigned long long)(value % ONE_CALL), (unsigned long long)(value / ONE_CALL));
    if (code == 0 && count != bench->repeats)
        code = prony_fail(error, -EBADMSG, "%lld of %lld repetitions came out right", (long long)count,
                          (long long)bench->repeats);
    return code;
}

static void fib_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"fib", fib_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, fib) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "fib", .summary = "recursion by tasks that spawn tasks",
                       .options = options),
    .unit = "call",
    .kernels = kernels,
    .shape = PRONY_TASKS,
    .need = fib_need,
    .prepare = fib_prepare,
    .task = fib_task,
    .poison = fib_poison,
    .drive = fib_drive,
    .verify = fib_verify,
    .release = fib_release,
};
