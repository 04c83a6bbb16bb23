/* No task of a pool waits while a worker sleeps: batches smaller than the pool begin all at once, and what is submitted
 * while others run something long is taken by who is free. */
#include <prony/pool.h>

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MOST 5u
#define LONG_NS 60000000000 /* never reached where all is well */

enum { TOGETHER, HOLD, QUICK };

struct board {
    uint32_t begun, wanted, open;
};

static struct board *board_of(struct prony_worker *worker, const struct prony_task *task)
{
    return prony_at(worker, task->out.off);
}

/* Waits until as many have begun as there are in the batch. */
static int together(struct prony_worker *worker, const struct prony_task *task)
{
    struct board *board = board_of(worker, task);
    const uint64_t end = prony_now_ns() + LONG_NS;
    (void)__atomic_add_fetch(&board->begun, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&board->begun, __ATOMIC_SEQ_CST) < __atomic_load_n(&board->wanted, __ATOMIC_SEQ_CST)) {
        if (prony_now_ns() > end)
            return -ETIMEDOUT;
        (void)usleep(20);
    }
    return 0;
}

static int hold(struct prony_worker *worker, const struct prony_task *task)
{
    struct board *board = board_of(worker, task);
    const uint64_t end = prony_now_ns() + LONG_NS;
    (void)__atomic_add_fetch(&board->begun, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&board->open, __ATOMIC_SEQ_CST) == 0) {
        if (prony_now_ns() > end)
            return -ETIMEDOUT;
        (void)usleep(20);
    }
    return 0;
}

static int quick(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker, (void)task;
    return 0;
}

static const struct prony_kernel kernels[] = {{"together", together}, {"hold", hold}, {"quick", quick}, {NULL, NULL}};

struct bed {
    struct prony_ground ground;
    struct prony_pool *pool;
    struct board *board;
};

static void begin(struct bed *bed, enum prony_staff staff, enum prony_idle idle, unsigned workers)
{
    const struct prony_policy policy = {.staff = staff, .idle = idle};
    const struct prony_wish wish = {workers, prony_pool_area(workers), sizeof *bed->board, MOST};
    struct prony_error error = {0, ""};
    if (prony_ground_make(&bed->ground, kernels, &wish, &error) != 0 ||
        prony_pool_open(&bed->ground.setup, &policy, &bed->pool, &error) != 0)
        fail_msg("%s", error.text);
    bed->board = (struct board *)(void *)(bed->ground.arena.base + bed->ground.data.off);
}

static void end(struct bed *bed)
{
    assert_int_equal(prony_pool_close(bed->pool, 1, LONG_NS), 0);
    prony_ground_free(&bed->ground);
}

/* Submits n of a kind from future number `first` on. */
static void submit(struct bed *bed, unsigned kind, unsigned first, unsigned n)
{
    struct prony_task tasks[MOST] = {{.lo = 0}};
    for (unsigned i = 0; i < n; i++)
        tasks[i] = (struct prony_task){.ref = {1, (uint16_t)kind},
                                       .hi = 1,
                                       .out = bed->ground.data,
                                       .future = bed->ground.futures.off + (first + i) * sizeof(struct prony_future)};
    assert_int_equal(prony_pool_submit(bed->pool, tasks, n), 0);
}

static void await(struct bed *bed, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        const uint64_t off = bed->ground.futures.off + i * sizeof(struct prony_future);
        assert_int_equal(prony_pool_wait(bed->pool, &off, 1, 1, LONG_NS), 0);
        assert_int_equal(((struct prony_future *)(void *)(bed->ground.arena.base + off))->status, 0);
    }
}

static void for_all(void (*test)(enum prony_staff staff, enum prony_idle idle, unsigned workers))
{
    for (enum prony_staff staff = PRONY_THREADS; staff <= PRONY_PROCESSES; staff++)
        for (enum prony_idle idle = PRONY_IDLE_ADAPTIVE; idle <= PRONY_IDLE_PARK; idle++)
            for (unsigned workers = 2; workers <= MOST; workers++)
                test(staff, idle, workers);
}

static void batch(enum prony_staff staff, enum prony_idle idle, unsigned workers)
{
    struct bed bed;
    begin(&bed, staff, idle, workers);
    for (unsigned n = 1; n <= workers; n++) {
        assert_int_equal(prony_pool_park(bed.pool, 1), 0); /* all of them sleep */
        assert_int_equal(prony_pool_park(bed.pool, 0), 0);
        bed.board->begun = 0;
        bed.board->wanted = n;
        submit(&bed, TOGETHER, 0, n);
        await(&bed, 0, n);
    }
    end(&bed);
}

static void a_small_batch_begins_at_once(void **state)
{
    (void)state;
    for_all(batch);
}

static void beside_long_ones(enum prony_staff staff, enum prony_idle idle, unsigned workers)
{
    struct bed bed;
    begin(&bed, staff, idle, workers);
    for (unsigned round = 0; round < 40; round++) {
        const unsigned held = 1 + round % (workers - 1);
        bed.board->begun = bed.board->open = 0;
        submit(&bed, HOLD, 0, held);
        while (__atomic_load_n(&bed.board->begun, __ATOMIC_SEQ_CST) < held)
            (void)usleep(20);
        for (unsigned i = 0; i < 6; i++) {
            submit(&bed, QUICK, MOST - 1, 1);
            await(&bed, MOST - 1, 1);
        }
        __atomic_store_n(&bed.board->open, 1, __ATOMIC_SEQ_CST);
        await(&bed, 0, held);
    }
    end(&bed);
}

static void nothing_waits_behind_a_long_one(void **state)
{
    (void)state;
    for_all(beside_long_ones);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_batch_begins_at_once),
        cmocka_unit_test(nothing_waits_behind_a_long_one),
    };
    (void)alarm(250);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
