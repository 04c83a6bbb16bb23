/* A group over the pool under the metric completed-N of scripts/bench/engines.c. */
#include "engines.h"

#include <prony/group.h>

enum { FUTURES = 256, ROUNDS = 5 };

static int k_square(struct prony_worker *worker, const struct prony_task *task)
{
    ((struct prony_future *)prony_at(worker, task->future))->value = (uint64_t)(task->lo * task->lo);
    return 0;
}
static int k_bind(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker;
    bind_to((int)task->lo);
    return 0;
}
static const struct prony_kernel kernels[] = {{"square", k_square}, {"bind", k_bind}, {NULL, NULL}};

/* Submits all and takes all as completed: ns a task. */
static double once(struct prony_group *group, int tasks)
{
    uint64_t begun = prony_now_ns(), sum = 0, handle, right = 0;
    double ns;
    for (int i = 0; i < tasks; i++) {
        const struct prony_task task = {.ref = {1, 0}, .lo = i};
        check(prony_group_submit(group, &task, NULL, &handle, NULL), "cannot submit");
    }
    for (int i = 0; i < tasks; i++) {
        struct prony_future outcome;
        check(prony_group_next(group, &handle, -1), "cannot take the next");
        check(prony_group_outcome(group, handle, &outcome), "cannot read it");
        sum += outcome.value;
        check(prony_group_forget(group, handle), "cannot forget it");
    }
    ns = (double)(prony_now_ns() - begun) / tasks;
    for (uint64_t i = 0; i < (uint64_t)tasks; i++)
        right += i * i;
    if (sum != right)
        fail("a wrong result");
    return ns;
}

double measure_group(int processes, int tasks)
{
    const struct prony_policy policy = {.staff = processes ? PRONY_PROCESSES : PRONY_THREADS,
                                        .idle = PRONY_IDLE_ADAPTIVE};
    const struct prony_wish wish = {1, prony_pool_area(1), 0, FUTURES};
    const struct prony_task bind = {.ref = {1, 1}, .lo = second_pu};
    struct prony_error error = {0};
    struct prony_ground ground;
    struct prony_pool *pool;
    struct prony_group *group;
    double ns[ROUNDS];
    int status;
    if (tasks <= 0)
        fail("completed-N needs a number of tasks");
    bind_to(first_pu);
    check(prony_ground_make(&ground, kernels, &wish, &error), error.text);
    ground.setup.pus = &second_pu;
    ground.setup.caller_pu = first_pu;
    check(prony_pool_open(&ground.setup, &policy, &pool, &error), error.text);
    check(prony_pool_gang(pool, &bind, 1, &status, -1), "cannot bind");
    check(prony_pool_group(pool, ground.futures, &group, &error), error.text);
    for (int round = -1; round < ROUNDS; round++) {
        double value = once(group, tasks);
        ns[round < 0 ? 0 : round] = value;
    }
    check(prony_group_close(group, 1, -1), "the group did not close");
    check(prony_pool_close(pool, 1, 5000000000), "the pool did not close");
    prony_ground_free(&ground);
    return median(ns, ROUNDS);
}
