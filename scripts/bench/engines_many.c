/* Throughput with more workers than processors, for scripts/bench/engines.c: many-N is tasks of 1 us a second, each with a
 * future, through N workers that nobody binds. */
#include "engines.h"

#include <prony/executor.h>
#include <prony/pool.h>

enum { MANY_TASKS = 10000, MANY_ROUNDS = 5 };

struct team {
    struct prony_pool *pool; /* one of the two */
    struct prony_executor *executor;
};

static int k_task(struct prony_worker *worker, const struct prony_task *task)
{
    int64_t steps;
    memcpy(&steps, task->arg, sizeof steps);
    (void)spin(steps);
    ((struct prony_future *)prony_at(worker, task->future))->value = (uint64_t)task->lo;
    return 0;
}
static const struct prony_kernel kernels[] = {{"task", k_task}, {NULL, NULL}};

static void team_open(struct team *team, bool futures, const struct prony_setup *setup,
                      const struct prony_policy *policy)
{
    struct prony_error error = {0};
    check(futures ? prony_executor_open(setup, policy, &team->executor, &error)
                  : prony_pool_open(setup, policy, &team->pool, &error),
          error.text);
}

static void team_run(struct team *team, const struct prony_task *tasks, const uint64_t *futures)
{
    if (team->pool != NULL) {
        check(prony_pool_submit(team->pool, tasks, MANY_TASKS), "cannot submit");
        check(prony_pool_wait(team->pool, futures, MANY_TASKS, MANY_TASKS, -1), "cannot wait");
    } else {
        check(prony_executor_submit(team->executor, tasks, MANY_TASKS), "cannot submit");
        check(prony_executor_wait(team->executor, futures, MANY_TASKS, MANY_TASKS, -1), "cannot wait");
    }
}

static void team_close(struct team *team)
{
    check(team->pool != NULL ? prony_pool_close(team->pool, 1, 5000000000)
                             : prony_executor_close(team->executor, 1, 5000000000),
          "it did not close");
}

double measure_many(const char *engine, const char *metric)
{
    static struct prony_task tasks[MANY_TASKS];
    static uint64_t futures[MANY_TASKS];
    const bool executor = strncmp(engine, "futures-", 8) == 0;
    const char *staff = executor ? engine + 8 : engine;
    const struct prony_policy policy = {.staff = strcmp(staff, "thread") == 0 ? PRONY_THREADS : PRONY_PROCESSES,
                                        .idle = PRONY_IDLE_ADAPTIVE};
    const unsigned workers = (unsigned)atoi(metric + strlen("many-"));
    const struct prony_wish wish = {workers, executor ? prony_executor_area(workers) : prony_pool_area(workers), 64,
                                    MANY_TASKS};
    const int64_t steps = (int64_t)(1000 / step_ns());
    struct prony_error error = {0};
    struct prony_ground ground;
    struct team team = {NULL, NULL};
    double rate[MANY_ROUNDS];
    check(prony_ground_make(&ground, kernels, &wish, &error), error.text);
    team_open(&team, executor, &ground.setup, &policy);
    for (int round = -1; round < MANY_ROUNDS; round++) {
        uint64_t begun;
        for (int i = 0; i < MANY_TASKS; i++) {
            futures[i] = ground.futures.off + (uint64_t)i * sizeof(struct prony_future);
            tasks[i] = (struct prony_task){.ref = {1, 0}, .lo = i + round, .future = futures[i]};
            memcpy(tasks[i].arg, &steps, sizeof steps);
        }
        begun = prony_now_ns();
        team_run(&team, tasks, futures);
        if (round >= 0)
            rate[round] = MANY_TASKS / ((double)(prony_now_ns() - begun) / 1e9);
        for (int i = 0; i < MANY_TASKS; i++)
            if (((struct prony_future *)(void *)(ground.arena.base + futures[i]))->value !=
                (uint64_t)(int64_t)(i + round))
                fail("a wrong result");
    }
    team_close(&team);
    prony_ground_free(&ground);
    return median(rate, MANY_ROUNDS);
}
