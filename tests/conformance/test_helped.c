/* The caller that helps: it runs a task that nobody has begun, and only that one; by threads, never by processes. */
#include <prony/executor.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FUTURES 200u
#define LIMIT_NS 60000000000

enum { COUNT, REFUSE, GATE, FIB, LEND, MEET };

/* At the start of the data: what workers tell and are told. Then one counter a task. */
struct board {
    uint32_t open, inside;
    uint32_t counts[FUTURES];
};

/* Adds one to the counter of the task; its value says which it was. */
static int count(struct prony_worker *worker, const struct prony_task *task)
{
    struct board *board = prony_at(worker, task->out.off);
    (void)__atomic_fetch_add(&board->counts[task->lo], 1, __ATOMIC_RELAXED);
    ((struct prony_future *)prony_at(worker, task->future))->value = (uint64_t)task->lo + 7;
    return 0;
}

static int refuse(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker, (void)task;
    return -EDOM;
}

/* Holds its worker until the gate is opened. */
static int gate(struct prony_worker *worker, const struct prony_task *task)
{
    struct board *board = prony_at(worker, task->out.off);
    (void)__atomic_fetch_add(&board->inside, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&board->open, __ATOMIC_SEQ_CST) == 0)
        (void)usleep(100);
    return 0;
}

static int fib(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_future *own = prony_at(worker, task->future), *kid;
    struct prony_task kids[2] = {*task, *task};
    uint64_t off;
    if (task->lo < 2) {
        own->value = (uint64_t)task->lo;
        return 0;
    }
    off = prony_worker_push(worker, 2 * sizeof *kid);
    if (off == 0)
        return -ENOBUFS;
    kid = prony_at(worker, off);
    for (unsigned i = 0; i < 2; i++) {
        kids[i].lo = task->lo - 1 - (int64_t)i;
        kids[i].future = off + i * sizeof *kid;
        if (worker->ops->spawn(worker, &kids[i]) != 0)
            return -EINVAL;
    }
    if (worker->ops->join(worker, kids, 2) != 0)
        return -EINVAL;
    own->value = kid[0].value + kid[1].value;
    prony_worker_pop(worker, 2 * sizeof *kid);
    return 0;
}

/* Spawns a kid, opens the gate and does not join the kid before another has run it. */
static int lend(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_task kid = *task;
    struct prony_future *future;
    int code;
    kid.ref.kernel = COUNT;
    kid.future = prony_worker_push(worker, sizeof *future);
    future = prony_at(worker, kid.future);
    if ((code = worker->ops->spawn(worker, &kid)) != 0)
        return code;
    __atomic_store_n(&((struct board *)prony_at(worker, task->out.off))->open, 1, __ATOMIC_SEQ_CST);
    while (!prony_future_done(future))
        (void)usleep(100);
    code = worker->ops->join(worker, &kid, 1);
    ((struct prony_future *)prony_at(worker, task->future))->value = future->worker;
    prony_worker_pop(worker, sizeof *future);
    return code;
}

static int meet(struct prony_worker *worker, const struct prony_task *task)
{
    (void)task;
    return worker->ops->stopped(worker) ? -EINTR : worker->ops->barrier(worker, -1);
}

static const struct prony_kernel kernels[] = {{"count", count}, {"refuse", refuse}, {"gate", gate}, {"fib", fib},
                                              {"lend", lend},   {"meet", meet},     {NULL, NULL}};

/* A pool or an executor. */
struct crowd {
    struct prony_pool *pool;
    struct prony_executor *executor;
    struct prony_ground ground;
    struct board *board;
    unsigned workers;
};

static void begin(struct crowd *crowd, int executor, enum prony_staff staff, unsigned workers)
{
    struct prony_error error = {0, ""};
    struct prony_policy policy = {.staff = staff, .idle = PRONY_IDLE_ADAPTIVE};
    struct prony_wish wish = {workers, executor ? prony_executor_area(workers) : prony_pool_area(workers),
                              sizeof(struct board), FUTURES + workers};
    int code;
    memset(crowd, 0, sizeof *crowd);
    assert_int_equal(prony_ground_make(&crowd->ground, kernels, &wish, &error), 0);
    code = executor ? prony_executor_open(&crowd->ground.setup, &policy, &crowd->executor, &error)
                    : prony_pool_open(&crowd->ground.setup, &policy, &crowd->pool, &error);
    assert_int_equal(code, 0);
    crowd->board = (struct board *)(void *)(crowd->ground.arena.base + crowd->ground.data.off);
    crowd->workers = workers;
}

static void end(struct crowd *crowd)
{
    assert_int_equal(prony_pool_close(crowd->pool, 1, LIMIT_NS), 0);
    assert_int_equal(prony_executor_close(crowd->executor, 1, LIMIT_NS), 0);
    prony_ground_free(&crowd->ground);
}

static struct prony_task task_of(const struct crowd *crowd, uint16_t kernel, unsigned i)
{
    return (struct prony_task){.ref = {1, kernel},
                               .lo = i,
                               .hi = i + 1,
                               .out = crowd->ground.data,
                               .future = crowd->ground.futures.off + i * sizeof(struct prony_future)};
}

static const struct prony_future *future_of(const struct crowd *crowd, const struct prony_task *task)
{
    return (const void *)(crowd->ground.arena.base + task->future);
}

static int submit(struct crowd *crowd, const struct prony_task *task)
{
    return crowd->pool != NULL ? prony_pool_submit(crowd->pool, task, 1)
                               : prony_executor_submit(crowd->executor, task, 1);
}

static int help(struct crowd *crowd, const struct prony_task *task, uint64_t *value, int64_t timeout_ns)
{
    return crowd->pool != NULL ? prony_pool_help(crowd->pool, task, value, timeout_ns)
                               : prony_executor_help(crowd->executor, task, value, timeout_ns);
}

/* Every worker is held at the gate. */
static void hold(struct crowd *crowd)
{
    __atomic_store_n(&crowd->board->open, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&crowd->board->inside, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < crowd->workers; i++) {
        struct prony_task task = task_of(crowd, GATE, FUTURES + i);
        assert_int_equal(submit(crowd, &task), 0);
    }
    while (__atomic_load_n(&crowd->board->inside, __ATOMIC_SEQ_CST) < crowd->workers)
        (void)usleep(100);
}

static void release(struct crowd *crowd)
{
    __atomic_store_n(&crowd->board->open, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < crowd->workers; i++) {
        struct prony_task task = task_of(crowd, GATE, FUTURES + i);
        assert_int_equal(help(crowd, &task, NULL, LIMIT_NS), 0);
        assert_true(future_of(crowd, &task)->worker < crowd->workers);
    }
}

/* With all workers held, who else could have run them? */
static void unbegun_tasks_are_run_by_the_caller(struct crowd *crowd)
{
    uint64_t value;
    memset(crowd->board->counts, 0, sizeof crowd->board->counts);
    hold(crowd);
    for (unsigned round = 1; round <= 3; round++) { /* fewer in all than a worker's inbox has room for */
        for (unsigned i = 0; i < 60; i++) {
            struct prony_task task = task_of(crowd, i % 10 == 9 ? REFUSE : COUNT, i);
            assert_int_equal(submit(crowd, &task), 0);
        }
        for (unsigned k = 0; k < 60; k++) {
            const unsigned i = round == 2 ? 59 - k : k;
            struct prony_task task = task_of(crowd, i % 10 == 9 ? REFUSE : COUNT, i);
            assert_int_equal(help(crowd, &task, &value, 0), i % 10 == 9 ? -EDOM : 0);
            assert_true(i % 10 == 9 || value == i + 7);
            assert_int_equal(future_of(crowd, &task)->worker, UINT32_MAX);
            assert_int_equal(help(crowd, &task, NULL, 0), i % 10 == 9 ? -EDOM : 0); /* again: it is not run twice */
            assert_int_equal(crowd->board->counts[i], i % 10 == 9 ? 0 : round);
        }
    }
    release(crowd);
}

/* What a worker has begun is waited for; what was cancelled is not run. */
static void begun_and_cancelled_tasks_are_not(struct crowd *crowd)
{
    struct prony_task held = task_of(crowd, GATE, FUTURES), taken = task_of(crowd, COUNT, 0);
    memset(crowd->board->counts, 0, sizeof crowd->board->counts);
    hold(crowd);
    assert_int_equal(help(crowd, &held, NULL, 1000000), -ETIMEDOUT);
    assert_int_equal(submit(crowd, &taken), 0);
    assert_int_equal(crowd->pool != NULL ? prony_pool_cancel(crowd->pool, taken.future, 0)
                                         : prony_executor_cancel(crowd->executor, taken.future, 0),
                     0);
    assert_int_equal(help(crowd, &taken, NULL, -1), -ECANCELED);
    assert_int_equal(crowd->board->counts[0], 0);
    release(crowd);
}

/* Caller and workers after the same tasks: each is run once. */
static void tasks_run_once(struct crowd *crowd)
{
    memset(crowd->board->counts, 0, sizeof crowd->board->counts);
    for (unsigned round = 1; round <= 200; round++) {
        for (unsigned i = 0; i < FUTURES; i++) {
            struct prony_task task = task_of(crowd, COUNT, i);
            assert_int_equal(submit(crowd, &task), 0);
        }
        for (unsigned i = FUTURES; i-- > 0;) {
            struct prony_task task = task_of(crowd, COUNT, i);
            uint64_t value = 0;
            assert_int_equal(help(crowd, &task, &value, LIMIT_NS), 0);
            assert_int_equal(value, i + 7);
        }
        for (unsigned i = 0; i < FUTURES; i++)
            assert_int_equal(crowd->board->counts[i], round);
    }
}

static void helped_tasks_may_spawn(struct crowd *crowd)
{
    struct prony_task tree = task_of(crowd, FIB, 0), lent = task_of(crowd, LEND, 0), lone = task_of(crowd, MEET, 1);
    uint64_t value = 0;
    hold(crowd);
    assert_int_equal(submit(crowd, &lent), 0);
    assert_int_equal(help(crowd, &lent, &value, -1), 0);
    assert_true(value < crowd->workers);
    assert_int_equal(future_of(crowd, &lent)->worker, UINT32_MAX);
    release(crowd);
    tree.lo = 12;
    hold(crowd); /* all by the caller */
    assert_int_equal(submit(crowd, &tree), 0);
    assert_int_equal(submit(crowd, &lone), 0);
    assert_int_equal(help(crowd, &tree, &value, -1), 0);
    assert_int_equal(value, 144);
    assert_int_equal(help(crowd, &lone, NULL, -1), -ENOTSUP);
    release(crowd);
    for (unsigned i = 0; i < 20; i++) { /* by caller and workers */
        tree.lo = 15;
        assert_int_equal(submit(crowd, &tree), 0);
        assert_int_equal(help(crowd, &tree, &value, -1), 0);
        assert_int_equal(value, 610);
    }
}

static void threads_are_helped(void **state)
{
    static const unsigned teams[] = {1, 2, 4};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct crowd crowd;
        begin(&crowd, i % 2 != 0, PRONY_THREADS, teams[i / 2]);
        unbegun_tasks_are_run_by_the_caller(&crowd);
        begun_and_cancelled_tasks_are_not(&crowd);
        tasks_run_once(&crowd);
        helped_tasks_may_spawn(&crowd);
        end(&crowd);
    }
}

static void processes_are_not(void **state)
{
    (void)state;
    for (int executor = 0; executor < 2; executor++) {
        struct crowd crowd;
        struct prony_task task;
        uint64_t value = 0;
        begin(&crowd, executor, PRONY_PROCESSES, 2);
        task = task_of(&crowd, COUNT, 3);
        hold(&crowd);
        assert_int_equal(submit(&crowd, &task), 0);
        assert_int_equal(help(&crowd, &task, NULL, 1000000), -ETIMEDOUT);
        assert_int_equal(prony_future_phase(future_of(&crowd, &task)), PRONY_QUEUED);
        release(&crowd);
        assert_int_equal(help(&crowd, &task, &value, LIMIT_NS), 0);
        assert_int_equal(value, 10);
        assert_true(future_of(&crowd, &task)->worker < crowd.workers);
        assert_int_equal(crowd.board->counts[3], 1);
        end(&crowd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_are_helped), cmocka_unit_test(processes_are_not)};
    (void)alarm(240);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
