/* What runs first in every new worker of a pool or an executor, and what follows when it fails. */
#include <prony/executor.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TELL, DIE };
enum { TASKS = 40 };
#define LIMIT_NS 60000000000

/* The initializer's argument; `done` is shared by all workers, `refuse_from` is how many may succeed. */
struct orders {
    uint64_t *done;
    uint64_t refuse_from, word;
};

static int set_up(struct prony_worker *worker, void *context)
{
    const struct orders *orders = context;
    if (__atomic_fetch_add(orders->done, 1, __ATOMIC_SEQ_CST) >= orders->refuse_from)
        return -EACCES;
    worker->local = (void *)(uintptr_t)(orders->word + worker->index);
    return 0;
}

static int say_a_phase(struct prony_worker *worker, void *context)
{
    (void)worker, (void)context;
    return 1;
}

static int tell(struct prony_worker *worker, const struct prony_task *task)
{
    ((struct prony_future *)prony_at(worker, task->future))->value = (uint64_t)(uintptr_t)worker->local - worker->index;
    return 0;
}

static int die(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker, (void)task;
    return raise(SIGKILL);
}

static const struct prony_kernel kernels[] = {{"tell", tell}, {"die", die}, {NULL, NULL}};

struct crowd {
    struct prony_ground ground;
    struct orders orders;
    struct prony_policy policy;
    struct prony_pool *pool;
    struct prony_executor *executor;
};

static void make(struct crowd *crowd, int executor, enum prony_staff staff)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {2, executor ? prony_executor_area(2) : prony_pool_area(2), sizeof(uint64_t), TASKS};
    memset(crowd, 0, sizeof *crowd);
    assert_int_equal(prony_ground_make(&crowd->ground, kernels, &wish, &error), 0);
    crowd->orders =
        (struct orders){(uint64_t *)(void *)(crowd->ground.arena.base + crowd->ground.data.off), UINT64_MAX, 4711};
    crowd->policy = (struct prony_policy){
        .staff = staff, .idle = PRONY_IDLE_ADAPTIVE, .initializer = set_up, .context = &crowd->orders};
}

static int open_crowd(struct crowd *crowd, int executor, struct prony_error *error)
{
    return executor ? prony_executor_open(&crowd->ground.setup, &crowd->policy, &crowd->executor, error)
                    : prony_pool_open(&crowd->ground.setup, &crowd->policy, &crowd->pool, error);
}

static struct prony_future *future_at(const struct crowd *crowd, unsigned i)
{
    return (struct prony_future *)(void *)(crowd->ground.arena.base + crowd->ground.futures.off) + i;
}

/* One task of a kernel, waited for: the wait's code. */
static int run_one(struct crowd *crowd, uint16_t kernel, unsigned i)
{
    struct prony_task task = {.ref = {1, kernel},
                              .future = crowd->ground.futures.off + i * sizeof(struct prony_future)};
    int code = crowd->pool != NULL ? prony_pool_submit(crowd->pool, &task, 1)
                                   : prony_executor_submit(crowd->executor, &task, 1);
    if (code != 0)
        return code;
    return crowd->pool != NULL ? prony_pool_wait(crowd->pool, &task.future, 1, 1, LIMIT_NS)
                               : prony_executor_wait(crowd->executor, &task.future, 1, 1, LIMIT_NS);
}

static void end(struct crowd *crowd)
{
    assert_int_equal(prony_pool_close(crowd->pool, 1, LIMIT_NS), 0);
    assert_int_equal(prony_executor_close(crowd->executor, 1, LIMIT_NS), 0);
    prony_ground_free(&crowd->ground);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void runs_first_in_every_worker(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        struct prony_error error = {0, ""};
        struct crowd crowd;
        make(&crowd, way % 2 != 0, (enum prony_staff)(way / 2));
        assert_int_equal(open_crowd(&crowd, way % 2 != 0, &error), 0);
        assert_int_equal(*crowd.orders.done, 2); /* open waits for it: it may have had something to refuse */
        for (unsigned i = 0; i < TASKS; i++) {
            assert_int_equal(run_one(&crowd, TELL, i), 0);
            assert_int_equal(future_at(&crowd, i)->value, 4711);
        }
        assert_int_equal(*crowd.orders.done, 2);
        end(&crowd);
    }
}

/* Also in workers that come later: two tasks each, and then another. */
static void runs_in_replacements(void **state)
{
    struct prony_error error = {0, ""};
    const struct prony_slot *slots;
    struct crowd crowd;
    (void)state;
    make(&crowd, 0, PRONY_PROCESSES);
    crowd.policy.tasks_a_worker = 2;
    assert_int_equal(open_crowd(&crowd, 0, &error), 0);
    for (unsigned i = 0; i < TASKS; i++) {
        assert_int_equal(run_one(&crowd, TELL, i), 0);
        assert_int_equal(future_at(&crowd, i)->value, 4711);
    }
    slots = (const void *)(crowd.ground.arena.base + crowd.ground.setup.slots.off);
    assert_int_equal(prony_pool_close(crowd.pool, 1, LIMIT_NS), 0);
    crowd.pool = NULL;
    assert_true(*crowd.orders.done >= TASKS / 2);
    assert_true(*crowd.orders.done <= slots[0].generation + slots[1].generation);
    end(&crowd);
}

static void a_failing_one_fails_open(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        struct prony_error error = {0, ""};
        struct crowd crowd;
        make(&crowd, way % 2 != 0, (enum prony_staff)(way / 2));
        crowd.orders.refuse_from = 1;
        assert_int_equal(open_crowd(&crowd, way % 2 != 0, &error), -EACCES);
        assert_non_null(strstr(error.text, "Permission denied"));
        crowd.policy.initializer = say_a_phase; /* a code that is none is an error, too */
        assert_int_equal(open_crowd(&crowd, way % 2 != 0, &error), -EINVAL);
        end(&crowd);
    }
}

/* The first two start; the one that is to take a dead one's place does not. */
static void a_failing_replacement_breaks_the_pool(void **state)
{
    (void)state;
    for (int executor = 0; executor < 2; executor++) {
        struct prony_error error = {0, ""};
        struct crowd crowd;
        int code = 0;
        make(&crowd, executor, PRONY_PROCESSES);
        crowd.orders.refuse_from = 2;
        assert_int_equal(open_crowd(&crowd, executor, &error), 0);
        assert_int_equal(run_one(&crowd, TELL, 0), 0);
        assert_int_equal(run_one(&crowd, DIE, 1), 0);
        assert_int_equal(future_at(&crowd, 1)->status, -(PRONY_DIED + SIGKILL));
        for (unsigned i = 0; i < 30000 && code == 0; i++) { /* until the one that comes has said no */
            code = run_one(&crowd, TELL, 2);
            (void)usleep(1000);
        }
        assert_int_equal(code, -EACCES);
        assert_int_equal(run_one(&crowd, TELL, 3), -EACCES);
        (void)(executor ? prony_executor_close(crowd.executor, 1, LIMIT_NS)
                        : prony_pool_close(crowd.pool, 1, LIMIT_NS));
        assert_true(prony_future_done(future_at(&crowd, 3)));
        crowd.pool = NULL;
        crowd.executor = NULL;
        end(&crowd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_first_in_every_worker),
        cmocka_unit_test(runs_in_replacements),
        cmocka_unit_test(a_failing_one_fails_open),
        cmocka_unit_test(a_failing_replacement_breaks_the_pool),
    };
    (void)alarm(240);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
