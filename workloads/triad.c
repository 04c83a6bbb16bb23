/* triad: a = b + s c over long arrays: the bandwidth of memory (McCalpin, STREAM, 1995).
 *
 * Counted are the 24 bytes an element that the program asks for; a cache that reads a line before it is overwritten
 * moves 32. Arrays that fit into a cache measure that cache: `size` should be several times the last one. The
 * values are whole numbers, so that every element has one right answer. */
#include "workloads/kit.h"

static const struct prony_option options[] = {
    {"size", PRONY_BYTES, "16Mi", 64, 4294967296.0, NULL, "bytes of each of the three arrays"},
    {.name = NULL},
};

#define SCALAR 3

struct triad_arg {
    double scalar;
};

/* in: b, then c; out: a. */
static int triad_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct triad_arg arg;
    const double *restrict b = prony_at(worker, task->in.off);
    const double *restrict c = prony_at(worker, task->in.off + task->in.len / 2);
    double *restrict a = prony_at(worker, task->out.off);
    memcpy(&arg, task->arg, sizeof arg);
    for (int64_t i = task->lo; i < task->hi; i++)
        a[i] = b[i] + arg.scalar * c[i];
    return 0;
}

static int triad_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "size") / (int64_t)sizeof(double);
    need->bytes = 3 * (uint64_t)need->items * sizeof(double);
    need->operations = need->moved = 3 * need->items * (int64_t)sizeof(double);
    need->flops = 2 * need->items;
    return 0;
}

/* The inputs as whole numbers below 1024: element i of b, and of c with another seed. */
static int64_t whole(uint64_t seed, int64_t i)
{
    return (int64_t)((((uint64_t)i + seed) * 0x9e3779b97f4a7c15u) >> 54);
}

static int triad_prepare(struct prony_bench *bench, struct prony_error *error)
{
    double *a = data_at(bench, 0), *b = a + bench->need->items, *c = b + bench->need->items;
    (void)error;
    for (int64_t i = 0; i < bench->need->items; i++) {
        b[i] = (double)whole(bench->seed, i);
        c[i] = (double)whole(~bench->seed, i);
    }
    return 0;
}

static void triad_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct triad_arg arg = {SCALAR};
    uint64_t bytes = (uint64_t)bench->need->items * sizeof(double);
    task_fill(bench, task, 0, &arg, sizeof arg);
    task->in = data_span(bench, bytes, 2 * bytes);
    task->out = data_span(bench, 0, bytes);
}

/* No sum is negative. */
static void triad_poison(struct prony_bench *bench)
{
    double *a = data_at(bench, 0);
    for (int64_t i = 0; i < bench->need->items; i++)
        a[i] = -1;
}

static int triad_verify(struct prony_bench *bench, struct prony_error *error)
{
    const double *a = data_at(bench, 0);
    for (int64_t i = 0; i < bench->need->items; i++) {
        int64_t answer = whole(bench->seed, i) + SCALAR * whole(~bench->seed, i);
        if (!(a[i] == (double)answer))
            return prony_fail(error, -EBADMSG, "element %lld is %g, not %lld", (long long)i, a[i], (long long)answer);
    }
    return 0;
}

static const struct prony_kernel kernels[] = {{"triad", triad_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, triad) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "triad",
                       .summary = "a = b + s c over long arrays: memory bandwidth", .options = options),
    .unit = "element",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .need = triad_need,
    .prepare = triad_prepare,
    .task = triad_task,
    .poison = triad_poison,
    .verify = triad_verify,
};
