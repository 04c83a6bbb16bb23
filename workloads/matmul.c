/* matmul: C = A x B of doubles, a map over the rows of C: computing with reuse of what is cached.
 *
 * The entries are small whole numbers, so that every order of summation gives the same bits. The reference is a plain
 * product in integers, itself proved by Freivalds' check (1977), and every entry is compared with it. A simple kernel,
 * the same for all engines: not a measure of the best matmul of this machine. */
#include "workloads/kit.h"

static const struct prony_option options[] = {
    {"size", PRONY_INT, "256", 1, 2048, NULL, "rows and columns"},
    {.name = NULL},
};

struct matmul_arg {
    uint64_t n;
};

/* Rows [lo, hi) of C. in: A, then B; out: C. */
static int matmul_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct matmul_arg arg;
    const double *restrict a = prony_at(worker, task->in.off), *restrict b;
    double *restrict c = prony_at(worker, task->out.off);
    memcpy(&arg, task->arg, sizeof arg);
    b = a + arg.n * arg.n;
    for (uint64_t i = (uint64_t)task->lo; i < (uint64_t)task->hi; i++) {
        double *restrict row = c + i * arg.n;
        for (uint64_t j = 0; j < arg.n; j++)
            row[j] = 0;
        for (uint64_t k = 0; k < arg.n; k++) {
            double factor = a[i * arg.n + k];
            for (uint64_t j = 0; j < arg.n; j++)
                row[j] += factor * b[k * arg.n + j];
        }
    }
    return 0;
}

static int matmul_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                       struct prony_error *error)
{
    uint64_t n = (uint64_t)prony_param_int(params, "size");
    (void)workers, (void)error;
    need->items = (int64_t)n;
    need->bytes = 3 * n * n * sizeof(double);
    need->operations = need->flops = (int64_t)(2 * n * n * n);
    need->moved = (int64_t)need->bytes;
    return 0;
}

static uint64_t entries(const struct prony_bench *bench)
{
    return (uint64_t)bench->need->items * (uint64_t)bench->need->items;
}

/* Freivalds: A (B x) = R x for a vector x without zeroes, in exact integers. A single wrong entry never passes. */
static int prove(const double *a, const double *b, const double *r, uint64_t n, int64_t *x, uint64_t seed)
{
    int64_t *bx = x + n;
    int wrong = 0;
    for (uint64_t i = 0; i < n; i++)
        x[i] = 1 + (int64_t)(mix64(seed + i) & 0xffff);
    for (uint64_t i = 0; i < n; i++) {
        bx[i] = 0;
        for (uint64_t j = 0; j < n; j++)
            bx[i] += (int64_t)b[i * n + j] * x[j];
    }
    for (uint64_t i = 0; i < n; i++) {
        int64_t left = 0, right = 0;
        for (uint64_t j = 0; j < n; j++) {
            left += (int64_t)a[i * n + j] * bx[j];
            right += (int64_t)r[i * n + j] * x[j];
        }
        wrong |= left != right;
    }
    return wrong;
}

static int matmul_prepare(struct prony_bench *bench, struct prony_error *error)
{
    uint64_t n = (uint64_t)bench->need->items;
    double *a = data_at(bench, 0), *b = a + n * n;
    double *reference = malloc(n * n * sizeof *reference);
    int64_t *column = malloc(2 * n * sizeof *column);
    int code = 0;
    if (reference == NULL || column == NULL) {
        code = prony_fail(error, -ENOMEM, "no memory for the reference product");
        goto out;
    }
    for (uint64_t i = 0; i < 2 * n * n; i++)
        a[i] = (double)(int64_t)(mix64(bench->seed + i) % 17) - 8;
    for (uint64_t j = 0; j < n; j++) {
        for (uint64_t k = 0; k < n; k++)
            column[k] = (int64_t)b[k * n + j];
        for (uint64_t i = 0; i < n; i++) {
            int64_t sum = 0;
            for (uint64_t k = 0; k < n; k++)
                sum += (int64_t)a[i * n + k] * column[k];
            reference[i * n + j] = (double)sum;
        }
    }
    if (prove(a, b, reference, n, column, ~bench->seed) != 0)
        code = prony_fail(error, -EBADMSG, "the reference product is wrong: this machine miscalculates");
out:
    free(column);
    if (code == 0)
        bench->local = reference;
    else
        free(reference);
    return code;
}

static void matmul_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct matmul_arg arg = {(uint64_t)bench->need->items};
    uint64_t bytes = entries(bench) * sizeof(double);
    task_fill(bench, task, 0, &arg, sizeof arg);
    task->in = data_span(bench, 0, 2 * bytes);
    task->out = data_span(bench, 2 * bytes, bytes);
}

/* No product of whole numbers is a half. */
static void matmul_poison(struct prony_bench *bench)
{
    double *c = (double *)data_at(bench, 0) + 2 * entries(bench);
    for (uint64_t i = 0; i < entries(bench); i++)
        c[i] = 0.5;
}

static int matmul_verify(struct prony_bench *bench, struct prony_error *error)
{
    const double *c = (double *)data_at(bench, 0) + 2 * entries(bench), *reference = bench->local;
    uint64_t n = (uint64_t)bench->need->items;
    for (uint64_t i = 0; i < n * n; i++)
        if (!(c[i] == reference[i]))
            return prony_fail(error, -EBADMSG, "entry (%llu, %llu) is %g, not %g", (unsigned long long)(i / n),
                              (unsigned long long)(i % n), c[i], reference[i]);
    return 0;
}

static void matmul_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"matmul", matmul_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, matmul) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "matmul",
                       .summary = "matrix product by rows: computing from cache", .options = options),
    .unit = "row",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .need = matmul_need,
    .prepare = matmul_prepare,
    .task = matmul_task,
    .poison = matmul_poison,
    .verify = matmul_verify,
    .release = matmul_release,
};
