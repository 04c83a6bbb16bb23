/* A worker of a carried pool is stopped: whatever the channel, the others go on, the caller's limits hold, and the task
 * that the stopped one has is run when it continues. */
#include "base/clock.h"
#include "base/params.h"
#include "base/registry.h"
#include "parallel/carry.h"
#include "tests/tasks.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 3, TASKS = 9, ITEMS = 64 };
#define SECOND_NS 1000000000ll
#define LIMIT_NS (30 * SECOND_NS)

static const struct prony_kernel kernels[] = {{"count", count}, {NULL, NULL}};

/* With this a pool opens when its workers are ready. */
static int started(struct prony_worker *worker)
{
    (void)worker;
    return 0;
}

struct pool {
    struct prony_ground ground;
    struct prony_params params;
    struct prony_carry *carry;
};

static void open_pool(struct pool *pool, const struct prony_channel *channel)
{
    const struct prony_policy policy = {.staff = PRONY_PROCESSES, .idle = PRONY_IDLE_PARK};
    const struct prony_wish wish = {
        .workers = WORKERS, .area = prony_pool_area(WORKERS), .data = 4096, .futures = TASKS};
    struct prony_error error = {0, ""};
    int code = prony_params_init(&pool->params, channel->head.options, &error);
    if (code == 0 && strcmp(channel->head.name, "posix-mq") == 0) /* small: other programs may have queues, too */
        code = prony_params_set(&pool->params, "message", "256", &error);
    if (code == 0)
        code = prony_ground_make(&pool->ground, kernels, &wish, &error);
    if (code == 0) {
        pool->ground.setup.started = started;
        pool->ground.setup.carrier = channel;
        pool->ground.setup.carrier_params = &pool->params;
        code = prony_carry_open(&pool->ground.setup, &policy, &pool->carry, &error);
    }
    if (code != 0)
        fail_msg("%s: %s", channel->head.name, error.text);
}

static void close_pool(struct pool *pool)
{
    assert_int_equal(prony_carry_close(pool->carry, 1, LIMIT_NS), 0);
    prony_ground_free(&pool->ground);
    prony_params_free(&pool->params);
}

static pid_t worker_of(const struct pool *pool, unsigned index)
{
    const struct prony_setup *setup = &pool->ground.setup;
    const struct prony_slot *slots = (const struct prony_slot *)(void *)(setup->base + setup->slots.off);
    return __atomic_load_n(&slots[index].pid, __ATOMIC_ACQUIRE);
}

static int32_t *counts_of(const struct pool *pool)
{
    return (int32_t *)(void *)(pool->ground.arena.base + pool->ground.data.off);
}

static struct prony_task task_of(const struct pool *pool, int64_t lo, int64_t hi)
{
    return (struct prony_task){.ref = {1, 0}, .lo = lo, .hi = hi, .in = pool->ground.data, .out = pool->ground.data};
}

static void stop(pid_t pid)
{
    int status;
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
}

/* All but its one task end while it is stopped, and that one when it goes on. */
static void others_go_on(const struct prony_channel *channel)
{
    struct prony_task tasks[TASKS];
    uint64_t futures[TASKS];
    struct pool pool;
    pid_t pid;
    open_pool(&pool, channel);
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i] = task_of(&pool, i, i + 1);
        tasks[i].future = futures[i] = pool.ground.futures.off + i * sizeof(struct prony_future);
    }
    assert_int_equal(prony_carry_submit(pool.carry, tasks, TASKS), 0); /* so that all have begun to listen */
    assert_int_equal(prony_carry_wait(pool.carry, futures, TASKS, TASKS, LIMIT_NS), 0);
    pid = worker_of(&pool, 1);
    stop(pid);
    assert_int_equal(prony_carry_submit(pool.carry, tasks, TASKS), 0);
    if (prony_carry_wait(pool.carry, futures, TASKS, TASKS - 1, LIMIT_NS) != 0)
        fail_msg("%s: a stopped worker keeps the others", channel->head.name);
    assert_int_equal(prony_carry_wait(pool.carry, futures, TASKS, TASKS, SECOND_NS / 20), -ETIMEDOUT);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(prony_carry_wait(pool.carry, futures, TASKS, TASKS, LIMIT_NS), 0);
    for (unsigned i = 0; i < TASKS; i++)
        if (counts_of(&pool)[i] != 2)
            fail_msg("%s: task %u ran %d times", channel->head.name, i, counts_of(&pool)[i]);
    assert_int_equal(worker_of(&pool, 1), pid);
    close_pool(&pool);
}

/* A map has its limit: the stopped worker is killed, and the next map is whole. */
static void limits_hold(const struct prony_channel *channel)
{
    struct prony_task task;
    struct prony_tally tally;
    struct pool pool;
    uint64_t begun;
    open_pool(&pool, channel);
    task = task_of(&pool, 0, ITEMS);
    assert_int_equal(prony_carry_map(pool.carry, &task, 1, &tally, LIMIT_NS), 0);
    stop(worker_of(&pool, 0));
    begun = prony_now_ns();
    assert_int_equal(prony_carry_map(pool.carry, &task, 1, &tally, SECOND_NS / 5), -ETIMEDOUT);
    assert_true(prony_now_ns() - begun < (uint64_t)LIMIT_NS);
    assert_int_equal(prony_carry_map(pool.carry, &task, 1, &tally, LIMIT_NS), 0);
    assert_int_equal(tally.failed, 0);
    close_pool(&pool);
}

static void each_carrier(void **state)
{
    const struct prony_head *head;
    (void)state;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_CHANNEL, i)) != NULL; i++) {
        const struct prony_channel *channel = (const struct prony_channel *)(const void *)head;
        struct prony_error error;
        struct prony_params params;
        int fits;
        if (head->probe != NULL && head->probe(&error) != 0)
            continue;
        assert_int_equal(prony_params_init(&params, head->options, &error), 0);
        fits = prony_carry_fits(channel, &params, &error);
        prony_params_free(&params);
        if (fits != 0)
            continue;
        others_go_on(channel);
#ifdef __SANITIZE_THREAD__ /* its runtime refuses the worker that takes the killed one's place beside a feeder thread */
        if (strcmp(head->name, "mp-queue") == 0)
            continue;
#endif
        limits_hold(channel);
    }
}

/* A box whose slots do not hold a task would keep its sender: it carries no pool. */
static void slots_that_hold_no_task(void **state)
{
    const struct prony_channel *channel = prony_find_channel("futex", NULL);
    struct prony_error error = {0, ""};
    struct prony_params params;
    (void)state;
    assert_int_equal(prony_params_init(&params, channel->head.options, &error), 0);
    assert_int_equal(prony_params_set(&params, "slot", "64", &error), 0);
    assert_int_equal(prony_params_set(&params, "slots", "2", &error), 0);
    assert_int_equal(prony_carry_fits(channel, &params, &error), -ENOTSUP);
    assert_non_null(strstr(error.text, "raise slot or slots"));
    prony_params_free(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_carrier),
        cmocka_unit_test(slots_that_hold_no_task),
    };
    (void)alarm(200);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
