/* Tasks come to a pool's inboxes in runs of any length, over many laps of the rings: each is run once, by workers that come
 * and go as well, and while some are cancelled. */
#include <prony/future.h>
#include <prony/pool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 300, ROUNDS = 20 };
#define LIMIT_NS INT64_C(20000000000)

static int k_count(struct prony_worker *worker, const struct prony_task *task)
{
    uint32_t *times = prony_at(worker, task->out.off);
    __atomic_fetch_add(&times[task->lo], 1, __ATOMIC_RELAXED);
    ((struct prony_future *)prony_at(worker, task->future))->value = (uint64_t)task->hi;
    return 0;
}

static const struct prony_kernel kernels[] = {{"count", k_count}, {NULL, NULL}};

struct bed {
    struct prony_ground ground;
    struct prony_pool *pool;
    uint32_t *times;
    struct prony_task tasks[MOST];
    uint64_t futures[MOST];
};

static struct prony_future *future_of(const struct bed *bed, unsigned i)
{
    return (struct prony_future *)(void *)(bed->ground.arena.base + bed->futures[i]);
}

static void begin(struct bed *bed, enum prony_staff staff, unsigned workers, unsigned tasks_a_worker)
{
    const struct prony_policy policy = {.staff = staff, .idle = PRONY_IDLE_ADAPTIVE, .tasks_a_worker = tasks_a_worker};
    const struct prony_wish wish = {workers, prony_pool_area(workers), MOST * sizeof *bed->times, MOST};
    struct prony_error error = {0, ""};
    assert_int_equal(prony_ground_make(&bed->ground, kernels, &wish, &error), 0);
    assert_int_equal(prony_pool_open(&bed->ground.setup, &policy, &bed->pool, &error), 0);
    bed->times = (uint32_t *)(void *)(bed->ground.arena.base + bed->ground.data.off);
    for (unsigned i = 0; i < MOST; i++) {
        bed->futures[i] = bed->ground.futures.off + i * sizeof(struct prony_future);
        bed->tasks[i] = (struct prony_task){.ref = {1, 0}, .lo = i, .out = bed->ground.data, .future = bed->futures[i]};
    }
}

static void end(struct bed *bed)
{
    assert_int_equal(prony_pool_close(bed->pool, 1, LIMIT_NS), 0);
    prony_ground_free(&bed->ground);
}

/* n tasks in calls of `step` each. */
static void run(struct bed *bed, unsigned n, unsigned step, int64_t round)
{
    for (unsigned i = 0; i < n; i++) {
        bed->tasks[i].hi = round;
        bed->times[i] = 0;
    }
    for (unsigned i = 0; i < n; i += step)
        assert_int_equal(prony_pool_submit(bed->pool, &bed->tasks[i], n - i < step ? n - i : step), 0);
    assert_int_equal(prony_pool_wait(bed->pool, bed->futures, n, n, LIMIT_NS), 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(future_of(bed, i)->status, 0);
        assert_int_equal(future_of(bed, i)->value, round);
        assert_int_equal(__atomic_load_n(&bed->times[i], __ATOMIC_RELAXED), 1);
    }
}

static void any_length(void **state)
{
    static const unsigned steps[] = {1, 2, 7, 15, 16, 17, 63, 64, 65, 255, 256, 257, MOST};
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        struct bed bed;
        begin(&bed, kind % 2 == 0 ? PRONY_THREADS : PRONY_PROCESSES, kind < 2 ? 1 : 3, 0);
        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned k = 0; k < sizeof steps / sizeof *steps; k++)
                run(&bed, round % 2 == 0 ? MOST : MOST - 11 * k, steps[k], round);
        end(&bed);
    }
}

/* A worker that leaves in the middle of a run leaves the rest to the next one. */
static void changing_workers(void **state)
{
    struct bed bed;
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        begin(&bed, PRONY_PROCESSES, 1 + i % 2, i < 2 ? 21 : 3);
        for (unsigned round = 0; round < 3; round++)
            run(&bed, i < 2 ? MOST : MOST / 5, round % 2 == 0 ? MOST : 5, round);
        end(&bed);
    }
}

/* Every task was cancelled or run, never both. */
static void cancelled_between(void **state)
{
    (void)state;
    for (unsigned staff = PRONY_THREADS; staff <= PRONY_PROCESSES; staff++) {
        struct bed bed;
        begin(&bed, staff, 1, 0);
        for (unsigned round = 0; round < ROUNDS; round++) {
            memset(bed.times, 0, MOST * sizeof *bed.times);
            assert_int_equal(prony_pool_submit(bed.pool, bed.tasks, MOST), 0);
            for (unsigned i = MOST; i-- > 0; i -= i % 3)
                (void)prony_pool_cancel(bed.pool, bed.futures[i], 0);
            assert_int_equal(prony_pool_wait(bed.pool, bed.futures, MOST, MOST, LIMIT_NS), 0);
            for (unsigned i = 0; i < MOST; i++)
                assert_int_equal(__atomic_load_n(&bed.times[i], __ATOMIC_RELAXED),
                                 !prony_future_cancelled(future_of(&bed, i)));
        }
        end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_length),
        cmocka_unit_test(changing_workers),
        cmocka_unit_test(cancelled_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
