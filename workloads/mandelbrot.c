/* mandelbrot: the upper half of the Mandelbrot set, a map over the rows of its picture: computing on very uneven items.
 *
 * The first row passes far above the set and the last ones cross all of it, so equal shares are far from equal work: a
 * chunk of size / workers is a static division, chunk 1 the finest dynamic one, no chunk the engine's own. Numbers are
 * whole multiples of 2^-28, so that every compiler and Python come to the same counts. Each count is compared with those
 * of one pass in order, which are themselves held against where the set is known. Not measured: memory (four bytes a
 * point), floating point. */
#include "workloads/kit.h"

#include <stdbool.h>

static const struct prony_option options[] = {
    {"size", PRONY_INT, "256", 1, 4096, NULL, "rows of the picture; it has twice as many columns"},
    {"iterations", PRONY_INT, "256", 1, 1e6, NULL, "after so many a point counts as one of the set"},
    {.name = NULL},
};

enum { BITS = 28, UNKNOWN = -1 };
static const int64_t left = -(INT64_C(2) << BITS), wide = INT64_C(10) << (BITS - 2), high = INT64_C(5) << (BITS - 2);

struct mandelbrot_arg {
    uint32_t rows, most;
};

/* How often z -> z^2 + c stays within 2 of the origin, from 0 on, at most `most` times. Shifts round down. */
static uint32_t count(int64_t cx, int64_t cy, uint32_t most)
{
    int64_t x = 0, y = 0;
    uint32_t n = 0;
    for (; n < most; n++) {
        int64_t xx = (x * x) >> BITS, yy = (y * y) >> BITS;
        if (xx + yy > INT64_C(4) << BITS)
            break;
        y = ((x * y) >> (BITS - 1)) + cy;
        x = xx - yy + cx;
    }
    return n;
}

static int64_t across(uint32_t column, uint32_t rows)
{
    return left + wide * column / (2 * (int64_t)rows);
}

static int64_t above(uint32_t row, uint32_t rows)
{
    return high - high * row / rows;
}

static void draw_row(uint32_t *out, uint32_t row, struct mandelbrot_arg arg)
{
    for (uint32_t column = 0; column < 2 * arg.rows; column++)
        out[column] = count(across(column, arg.rows), above(row, arg.rows), arg.most);
}

static int mandelbrot_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    uint32_t *out = prony_at(worker, task->out.off);
    struct mandelbrot_arg arg;
    memcpy(&arg, task->arg, sizeof arg);
    for (int64_t row = task->lo; row < task->hi; row++)
        draw_row(out + (uint64_t)row * 2 * arg.rows, (uint32_t)row, arg);
    return 0;
}

static int mandelbrot_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                           struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "size");
    need->bytes = 2 * (uint64_t)need->items * (uint64_t)need->items * sizeof(uint32_t);
    return 0;
}

static struct mandelbrot_arg arg_of(const struct prony_bench *bench)
{
    return (struct mandelbrot_arg){(uint32_t)bench->need->items,
                                   (uint32_t)prony_param_int(bench->params, "iterations")};
}

/* Well inside the two largest parts of the set, which have equations, a point never leaves; beyond 2 it leaves at once. */
static bool plausible(double x, double y, uint32_t found, uint32_t most)
{
    const double dx = x - 0.25, q = dx * dx + y * y;
    const bool heart = q * (q + dx) < 0.24 * y * y;
    const bool disc = (x + 1) * (x + 1) + y * y < 0.06;
    if (heart || disc)
        return found == most;
    return x * x + y * y < 4.01 || found == 1;
}

static int mandelbrot_prepare(struct prony_bench *bench, struct prony_error *error)
{
    const struct mandelbrot_arg arg = arg_of(bench);
    const double unit = 1.0 / (1 << BITS);
    uint32_t *reference = malloc(bench->need->bytes);
    if (reference == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a second picture");
    for (uint32_t row = 0; row < arg.rows; row++) {
        uint32_t *out = reference + (uint64_t)row * 2 * arg.rows;
        draw_row(out, row, arg);
        for (uint32_t i = 0; i < 2 * arg.rows; i++)
            if (!plausible((double)across(i, arg.rows) * unit, (double)above(row, arg.rows) * unit, out[i], arg.most)) {
                free(reference);
                return prony_fail(error, -EBADMSG, "point %u of row %u is not where the set is known to be", i, row);
            }
    }
    bench->local = reference;
    return 0;
}

static void mandelbrot_task(const struct prony_bench *bench, struct prony_task *task)
{
    const struct mandelbrot_arg arg = arg_of(bench);
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void mandelbrot_poison(struct prony_bench *bench)
{
    memset(data_at(bench, 0), UNKNOWN, bench->need->bytes);
}

static int mandelbrot_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint32_t *out = data_at(bench, 0), *reference = bench->local;
    const uint64_t columns = 2 * (uint64_t)bench->need->items;
    uint64_t i = 0;
    if (memcmp(out, reference, bench->need->bytes) == 0)
        return 0;
    while (out[i] == reference[i])
        i++;
    return prony_fail(error, -EBADMSG, "point %llu of row %llu has the count %u, not %u",
                      (unsigned long long)(i % columns), (unsigned long long)(i / columns), out[i], reference[i]);
}

static void mandelbrot_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"mandelbrot", mandelbrot_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, mandelbrot) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "mandelbrot",
                       .summary = "the Mandelbrot set by rows: very uneven items", .options = options),
    .unit = "row",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .need = mandelbrot_need,
    .prepare = mandelbrot_prepare,
    .task = mandelbrot_task,
    .poison = mandelbrot_poison,
    .verify = mandelbrot_verify,
    .release = mandelbrot_release,
};
