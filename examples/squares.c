/* Squares of a list by a pool: the numbers lie in an arena, four processes square them in place.
 *
 *     squares [NUMBER...] */
#include <prony/pool.h>

#include <stdio.h>
#include <stdlib.h>

#define WORKERS 4

static int square(struct prony_worker *worker, const struct prony_task *task)
{
    int64_t *number = prony_at(worker, task->out.off);
    for (int64_t i = task->lo; i < task->hi; i++)
        number[i] *= number[i];
    return 0;
}

static const struct prony_kernel kernels[] = {{"square", square}, {NULL, NULL}};

int main(int argc, char **argv)
{
    static const char *const usual[] = {"1", "2", "3", "4", "5"};
    const struct prony_policy policy = {.staff = PRONY_PROCESSES, .idle = PRONY_IDLE_ADAPTIVE};
    const int64_t n = argc > 1 ? argc - 1 : 5;
    const struct prony_wish wish = {WORKERS, prony_pool_area(WORKERS), (uint64_t)n * sizeof(int64_t), 0};
    struct prony_task task = {.ref = {1, 0}, .lo = 0, .hi = n};
    struct prony_ground ground;
    struct prony_pool *pool = NULL;
    struct prony_tally tally = {0, 0, 0, 0};
    struct prony_error error = {0, ""};
    int64_t *number;
    int code = prony_ground_make(&ground, kernels, &wish, &error);
    if (code != 0 || (code = prony_pool_open(&ground.setup, &policy, &pool, &error)) != 0) {
        (void)fprintf(stderr, "squares: %s\n", error.text);
        return 3;
    }
    task.out = ground.data;
    number = (int64_t *)(void *)(ground.arena.base + ground.data.off);
    for (int64_t i = 0; i < n; i++)
        number[i] = strtoll(argc > 1 ? argv[i + 1] : usual[i], NULL, 10);
    code = prony_pool_map(pool, &task, 0, &tally, -1);
    for (int64_t i = 0; i < n && code == 0 && tally.status == 0; i++)
        (void)printf("%lld%s", (long long)number[i], i + 1 < n ? " " : "\n");
    if (prony_pool_close(pool, 1, 1000000000) != 0 || code != 0 || tally.status != 0)
        code = 3;
    prony_ground_free(&ground);
    return code;
}
