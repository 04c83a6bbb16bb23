/* An uneven load over the pool's threads, for scripts/bench/engines.c: rows of the Mandelbrot set a second through 2 workers,
 * the picture and the check being the workload's own. uneven-guided: default chunks; uneven-static: a half for each. */
#include "engines.h"

#include "base/params.h"

#include <prony/plugin/workload.h>
#include <prony/pool.h>

extern const struct prony_workload prony_workload_mandelbrot;

enum { PICTURES = 11 };

static int k_bind(struct prony_worker *worker, const struct prony_task *task)
{
    (void)task;
    bind_to(worker->index == 0 ? first_pu : second_pu);
    return 0;
}
static const struct prony_kernel own[] = {{"bind", k_bind}, {NULL, NULL}};

static double draw(struct prony_pool *pool, struct prony_bench *bench, int64_t chunk)
{
    const struct prony_workload *workload = &prony_workload_mandelbrot;
    double rate[PICTURES];
    struct prony_task task = {.hi = bench->need->items};
    workload->task(bench, &task);
    for (int round = -1; round < PICTURES; round++) {
        struct prony_error error = {0};
        uint64_t begun;
        workload->poison(bench);
        begun = prony_now_ns();
        check(prony_pool_map(pool, &task, chunk, &bench->tally, -1), "cannot map");
        if (round >= 0)
            rate[round] = (double)bench->need->items / ((double)(prony_now_ns() - begun) / 1e9);
        check(workload->verify(bench, &error), error.text);
    }
    return median(rate, PICTURES);
}

double measure_uneven(const char *metric)
{
    const struct prony_workload *workload = &prony_workload_mandelbrot;
    const struct prony_policy policy = {.staff = PRONY_THREADS, .idle = PRONY_IDLE_ADAPTIVE};
    const int pus[2] = {first_pu, second_pu};
    struct prony_error error = {0};
    struct prony_params params;
    struct prony_need need = {0};
    struct prony_ground ground;
    struct prony_pool *pool;
    struct prony_bench bench = {.params = &params, .need = &need, .seed = 1};
    struct prony_task bind = {.ref = {0, 0}};
    struct prony_wish wish = {2, prony_pool_area(2), 0, 1};
    double value;
    int status[2];
    check(prony_params_init(&params, workload->head.options, &error), error.text);
    check(workload->need(&params, 2, &need, &error), error.text);
    wish.data = need.bytes;
    check(prony_ground_make(&ground, workload->kernels, &wish, &error), error.text);
    ground.kernels[0] = own;
    ground.setup.pus = pus;
    ground.setup.caller_pu = first_pu;
    bench.setup = &ground.setup;
    bench.data = ground.data;
    bind_to(first_pu);
    check(workload->prepare(&bench, &error), error.text);
    check(prony_pool_open(&ground.setup, &policy, &pool, &error), error.text);
    check(prony_pool_gang(pool, &bind, 2, status, -1), "cannot bind");
    value = draw(pool, &bench, strcmp(metric, "uneven-static") == 0 ? (need.items + 1) / 2 : 0);
    check(prony_pool_close(pool, 1, 5000000000), "the pool did not close");
    workload->release(&bench);
    prony_ground_free(&ground);
    prony_params_free(&params);
    return value;
}
