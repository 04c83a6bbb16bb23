/* How a pool shares out what was taken at one go: runs of chunks and tasks behind a busy peer. */
#include "base/clock.h"

#include <prony/pool.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

enum { ITEMS = 5003, TASKS = 200 };
#define LIMIT_NS INT64_C(20000000000)

/* In the arena, for processes too. */
struct record {
    uint32_t calls, odd;   /* chunks begun; those of a wrong size */
    uint32_t done;         /* items */
    uint32_t times[ITEMS]; /* each item was run */
};

static struct record *record_of(struct prony_worker *worker, const struct prony_task *task)
{
    return (struct record *)prony_at(worker, task->out.off);
}

static int64_t chunk_of(const struct prony_task *task)
{
    return task->in.len != 0 ? (int64_t)task->in.len : ITEMS;
}

/* Fails in every chunk whose first item is a multiple of 100. */
static int k_count(struct prony_worker *worker, const struct prony_task *task)
{
    struct record *record = record_of(worker, task);
    if (task->hi - task->lo != chunk_of(task) && task->hi != ITEMS)
        __atomic_fetch_add(&record->odd, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&record->calls, 1, __ATOMIC_RELAXED);
    for (int64_t i = task->lo; i < task->hi; i++)
        __atomic_fetch_add(&record->times[i], 1, __ATOMIC_RELAXED);
    return task->lo % 100 == 0 ? -EIO : 0;
}

/* The first item ends when all others have. */
static int k_last(struct prony_worker *worker, const struct prony_task *task)
{
    struct record *record = record_of(worker, task);
    const uint64_t end = prony_now_ns() + LIMIT_NS;
    const struct timespec nap = {0, 100000};
    while (task->lo == 0 && __atomic_load_n(&record->done, __ATOMIC_ACQUIRE) < (uint32_t)task->in.off - 1) {
        if (prony_now_ns() > end)
            return -ETIMEDOUT;
        (void)nanosleep(&nap, NULL);
    }
    __atomic_fetch_add(&record->done, 1, __ATOMIC_ACQ_REL);
    return 0;
}

static int k_nap(struct prony_worker *worker, const struct prony_task *task)
{
    const struct timespec nap = {0, 5000000};
    __atomic_fetch_add(&record_of(worker, task)->done, 1, __ATOMIC_ACQ_REL);
    return nanosleep(&nap, NULL) == 0 ? 0 : -EINTR;
}

enum { COUNT, LAST, NAP };
static const struct prony_kernel kernels[] = {{"count", k_count}, {"last", k_last}, {"nap", k_nap}, {NULL, NULL}};

struct bed {
    struct prony_ground ground;
    struct prony_pool *pool;
    struct record *record;
    struct prony_task task;
};

static void make(struct bed *bed, enum prony_staff staff, enum prony_idle idle, unsigned workers)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {workers, prony_pool_area(workers), sizeof(struct record), TASKS};
    struct prony_policy policy = {.staff = staff, .idle = idle};
    assert_int_equal(prony_ground_make(&bed->ground, kernels, &wish, &error), 0);
    assert_int_equal(prony_pool_open(&bed->ground.setup, &policy, &bed->pool, &error), 0);
    bed->record = (struct record *)(void *)(bed->ground.arena.base + bed->ground.data.off);
    bed->task = (struct prony_task){.ref = {1, COUNT}, .hi = ITEMS, .out = bed->ground.data};
}

static void clear(struct bed *bed)
{
    assert_int_equal(prony_pool_close(bed->pool, 1, -1), 0);
    prony_ground_free(&bed->ground);
}

/* Each chunk comes to a kernel by itself, each item once, and every failure is counted. */
static void chunks_come_singly(void **state)
{
    static const int64_t chunks[] = {1, 3, 100, 4999, ITEMS + 1};
    (void)state;
    for (unsigned i = 0; i < 2 * sizeof chunks / sizeof *chunks; i++) {
        const int64_t chunk = chunks[i / 2] < ITEMS ? chunks[i / 2] : ITEMS, step = chunk == 3 ? 300 : 100;
        const int64_t failing = chunk >= 4999 ? 1 : (ITEMS - 1) / step + 1;
        struct prony_tally tally;
        struct bed bed;
        make(&bed, i % 2 == 0 ? PRONY_THREADS : PRONY_PROCESSES, PRONY_IDLE_ADAPTIVE, 4);
        bed.task.in.len = (uint64_t)chunk;
        assert_int_equal(prony_pool_map(bed.pool, &bed.task, chunks[i / 2], &tally, LIMIT_NS), 0);
        for (unsigned k = 0; k < ITEMS; k++)
            assert_int_equal(bed.record->times[k], 1);
        assert_int_equal(bed.record->calls, (ITEMS - 1) / chunk + 1);
        assert_int_equal(bed.record->odd, 0);
        assert_int_equal(tally.failed, failing);
        assert_int_equal(tally.status, -EIO);
        assert_int_equal(tally.first_lo, 0);
        assert_int_equal(tally.first_hi, chunk);
        clear(&bed);
    }
}

/* A worker that is held up keeps no chunk but the one that it runs. */
static void runs_are_taken_over(void **state)
{
    struct prony_tally tally;
    struct bed bed;
    (void)state;
    make(&bed, PRONY_THREADS, PRONY_IDLE_ADAPTIVE, 2);
    bed.task.ref.kernel = LAST;
    bed.task.in.off = ITEMS;
    assert_int_equal(prony_pool_map(bed.pool, &bed.task, 1, &tally, -1), 0);
    assert_int_equal(tally.failed, 0);
    assert_int_equal(bed.record->done, ITEMS);
    clear(&bed);
}

/* The same of the tasks in its inbox. */
static void tasks_are_taken_over(void **state)
{
    struct prony_task tasks[TASKS];
    uint64_t futures[TASKS];
    struct bed bed;
    (void)state;
    for (unsigned staff = PRONY_THREADS; staff <= PRONY_PROCESSES; staff++) {
        make(&bed, staff, PRONY_IDLE_SPIN, 2);
        for (unsigned i = 0; i < TASKS; i++) {
            tasks[i] = bed.task;
            tasks[i].ref.kernel = LAST;
            tasks[i].in.off = TASKS;
            tasks[i].lo = i;
            tasks[i].future = futures[i] = bed.ground.futures.off + i * sizeof(struct prony_future);
        }
        assert_int_equal(prony_pool_submit(bed.pool, tasks, TASKS), 0);
        assert_int_equal(prony_pool_wait(bed.pool, futures, TASKS, TASKS, 2 * LIMIT_NS), 0);
        for (unsigned i = 0; i < TASKS; i++)
            assert_int_equal(((struct prony_future *)(void *)(bed.ground.arena.base + futures[i]))->status, 0);
        clear(&bed);
    }
}

/* After a timeout nothing is left of a run to be done, and the next map has the workers. The limit grows until workers
 * have begun within it. */
static void runs_end_with_time(void **state)
{
    struct prony_tally tally;
    struct bed bed;
    (void)state;
    make(&bed, PRONY_THREADS, PRONY_IDLE_ADAPTIVE, 2);
    bed.task.ref.kernel = NAP;
    for (int64_t limit = 20000000; limit < LIMIT_NS / 2 && bed.record->done == 0; limit *= 2)
        assert_int_equal(prony_pool_map(bed.pool, &bed.task, 1, &tally, limit), -ETIMEDOUT);
    assert_true(bed.record->done > 0);
    bed.task.ref.kernel = COUNT;
    bed.task.in.len = 1;
    bed.task.hi = 10;
    assert_int_equal(prony_pool_map(bed.pool, &bed.task, 1, &tally, LIMIT_NS), 0);
    for (unsigned k = 0; k < ITEMS; k++)
        assert_int_equal(bed.record->times[k], k < 10);
    clear(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_come_singly),
        cmocka_unit_test(runs_are_taken_over),
        cmocka_unit_test(tasks_are_taken_over),
        cmocka_unit_test(runs_end_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
