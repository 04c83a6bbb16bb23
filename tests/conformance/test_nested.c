/* Tasks that wait for tasks they spawned never wait for ever: trees deeper than there are workers, more of them at once
 * than there are workers, by pools and executors over threads and processes. docs/engines.md says why. */
#include <prony/executor.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_NS 120000000000
enum { WIDEST = 4, ROOTS = 40 };

/* A tree below this task: hi - lo levels, arg[0] kids each. Its value is the number of its nodes. */
static int grow(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_future *own = prony_at(worker, task->future);
    const unsigned width = task->arg[0];
    struct prony_task kids[WIDEST];
    uint64_t off, nodes = 1;
    int code = 0;
    if (task->hi > task->lo) {
        off = prony_worker_push(worker, width * sizeof *own);
        if (off == 0)
            return -ENOBUFS;
        for (unsigned i = 0; i < width && code == 0; i++) {
            kids[i] = *task;
            kids[i].lo = task->lo + 1;
            kids[i].future = off + i * sizeof *own;
            code = worker->ops->spawn(worker, &kids[i]);
        }
        if (code == 0)
            code = worker->ops->join(worker, kids, width);
        for (unsigned i = 0; i < width && code == 0; i++) {
            const struct prony_future *kid = prony_at(worker, kids[i].future);
            nodes += kid->value;
            code = kid->status;
        }
        prony_worker_pop(worker, width * sizeof *own);
    }
    own->value = nodes;
    return code;
}

static const struct prony_kernel kernels[] = {{"grow", grow}, {NULL, NULL}};

/* All roots are queued at once, so that every worker soon waits for kids that stand behind other roots. */
static void grow_trees(int executor, enum prony_staff staff, unsigned workers, unsigned depth, unsigned width)
{
    const struct prony_policy policy = {.staff = staff, .idle = PRONY_IDLE_ADAPTIVE};
    const struct prony_wish wish = {workers, executor ? prony_executor_area(workers) : prony_pool_area(workers), 0,
                                    ROOTS};
    struct prony_error error = {0, ""};
    struct prony_executor *queue = NULL;
    struct prony_pool *pool = NULL;
    struct prony_ground ground;
    struct prony_task tasks[ROOTS];
    uint64_t futures[ROOTS], nodes = 0, level = 1;
    for (unsigned i = 0; i <= depth; i++, level *= width)
        nodes += level;
    assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
    for (unsigned i = 0; i < ROOTS; i++) {
        futures[i] = ground.futures.off + i * sizeof(struct prony_future);
        tasks[i] = (struct prony_task){.ref = {1, 0}, .hi = depth, .future = futures[i], .arg = {(unsigned char)width}};
    }
    if (executor) {
        assert_int_equal(prony_executor_open(&ground.setup, &policy, &queue, &error), 0);
        assert_int_equal(prony_executor_submit(queue, tasks, ROOTS), 0);
        assert_int_equal(prony_executor_wait(queue, futures, ROOTS, ROOTS, LIMIT_NS), 0);
    } else {
        assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), 0);
        assert_int_equal(prony_pool_submit(pool, tasks, ROOTS), 0);
        assert_int_equal(prony_pool_wait(pool, futures, ROOTS, ROOTS, LIMIT_NS), 0);
    }
    for (unsigned i = 0; i < ROOTS; i++) {
        const struct prony_future *future = (const void *)(ground.arena.base + futures[i]);
        assert_int_equal(future->status, 0);
        assert_int_equal(future->value, nodes);
    }
    assert_int_equal(prony_pool_close(pool, 1, LIMIT_NS), 0);
    assert_int_equal(prony_executor_close(queue, 1, LIMIT_NS), 0);
    prony_ground_free(&ground);
}

static void trees_end(int executor, enum prony_staff staff)
{
    static const unsigned teams[] = {1, 2, 4}, shapes[][2] = {{100, 1}, {7, 2}, {4, WIDEST}};
    for (unsigned i = 0; i < sizeof teams / sizeof *teams; i++)
        for (unsigned k = 0; k < sizeof shapes / sizeof *shapes; k++)
            grow_trees(executor, staff, teams[i], shapes[k][0], shapes[k][1]);
}

static void by_a_pool_of_threads(void **state)
{
    (void)state;
    trees_end(0, PRONY_THREADS);
}

static void by_a_pool_of_processes(void **state)
{
    (void)state;
    trees_end(0, PRONY_PROCESSES);
}

static void by_an_executor_over_threads(void **state)
{
    (void)state;
    trees_end(1, PRONY_THREADS);
}

static void by_an_executor_over_processes(void **state)
{
    (void)state;
    trees_end(1, PRONY_PROCESSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_a_pool_of_threads),
        cmocka_unit_test(by_a_pool_of_processes),
        cmocka_unit_test(by_an_executor_over_threads),
        cmocka_unit_test(by_an_executor_over_processes),
    };
    (void)alarm(280);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
