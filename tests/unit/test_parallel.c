/* The arena, the lock and the waits; the pool's refusals; the examples' own words. */
#include "base/clock.h"

#include <prony/arena.h>
#include <prony/executor.h>
#include <prony/pool.h>
#include <prony/sync.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void arena_is_sealed(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_arena arena, other;
    (void)state;
    assert_int_equal(prony_arena_create(&arena, 10000, &error), 0);
    assert_int_equal(arena.bytes % (uint64_t)sysconf(_SC_PAGESIZE), 0);
    assert_int_not_equal(fcntl(arena.fd, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(fcntl(arena.fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    assert_int_equal(ftruncate(arena.fd, 4096), -1);
    assert_int_equal(prony_arena_attach(&other, dup(arena.fd), &error), 0);
    assert_ptr_not_equal(arena.base, other.base);
    arena.base[5000] = 42;
    assert_int_equal(other.base[5000], 42);
    prony_arena_close(&other);
    prony_arena_close(&arena);
    assert_int_equal(arena.fd, -1);
    prony_arena_close(&arena);
}

static void arena_hands_out(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_arena arena;
    struct prony_span a, b;
    (void)state;
    assert_int_equal(prony_arena_create(&arena, 4096, &error), 0);
    assert_int_equal(prony_arena_take(&arena, 10, 1, &a, &error), 0);
    assert_true(a.off > 0 && a.len == 10);
    assert_int_equal(prony_arena_take(&arena, 100, 64, &b, &error), 0);
    assert_true(b.off % 64 == 0 && b.off >= a.off + a.len);
    assert_int_equal(prony_arena_take(&arena, 1, 3, &b, &error), -EINVAL);
    assert_int_equal(prony_arena_take(&arena, 4096, 64, &b, &error), -ENOMEM);
    assert_non_null(strstr(error.text, "full"));
    assert_int_equal(prony_arena_take(&arena, UINT64_MAX - 10, 64, &b, &error), -ENOMEM);
    assert_int_equal(prony_arena_take(&arena, arena.bytes - arena.used, 1, &b, &error), 0);
    prony_arena_close(&arena);
    assert_int_equal(prony_arena_create(&arena, 0, &error), -EINVAL);
    assert_int_equal(prony_arena_create(&arena, UINT64_MAX, &error), -EINVAL);
    assert_int_equal(prony_arena_attach(&arena, -1, &error), -EBADF);
}

struct shared {
    struct prony_lock lock;
    uint64_t sum;
};

static void *add(void *argument)
{
    struct shared *shared = argument;
    for (unsigned i = 0; i < 20000; i++) {
        prony_lock_acquire(&shared->lock);
        shared->sum++;
        prony_lock_release(&shared->lock);
    }
    return NULL;
}

static void lock_excludes_threads(void **state)
{
    struct shared shared = {{0}, 0};
    pthread_t threads[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add, &shared), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared.sum, 60000);
}

static void lock_excludes_processes(void **state)
{
    struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid[2];
    int status;
    (void)state;
    assert_ptr_not_equal(shared, MAP_FAILED);
    for (unsigned i = 0; i < 2; i++)
        if ((pid[i] = fork()) == 0) {
            (void)add(shared);
            _exit(0);
        }
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
    assert_int_equal(shared->sum, 40000);
    (void)munmap(shared, 4096);
}

static void waits_are_limited(void **state)
{
    struct prony_lock lock = {0};
    uint32_t word = 7;
    uint64_t begun = prony_now_ns();
    (void)state;
    assert_int_equal(prony_lock_acquire_for(&lock, 0), 0);
    assert_int_equal(prony_lock_acquire_for(&lock, 0), -ETIMEDOUT);
    assert_int_equal(prony_lock_acquire_for(&lock, 2000000), -ETIMEDOUT);
    assert_true(prony_now_ns() - begun >= 2000000);
    prony_lock_release(&lock);
    assert_int_equal(prony_lock_acquire_for(&lock, 2000000), 0);
    prony_lock_release(&lock);
    assert_int_equal(prony_futex_wait(&word, 6, -1), 0);
    assert_int_equal(prony_futex_wait(&word, 7, 1000000), -ETIMEDOUT);
}

static int nothing(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker, (void)task;
    return 0;
}

/* Holds the worker until the first word of the data is set. */
static int held(struct prony_worker *worker, const struct prony_task *task)
{
    const uint32_t *gate = prony_at(worker, task->out.off);
    while (__atomic_load_n(gate, __ATOMIC_SEQ_CST) == 0)
        (void)usleep(100);
    return 0;
}

static int spin(struct prony_worker *worker, const struct prony_task *task)
{
    const uint64_t end = prony_now_ns() + 2000;
    (void)worker, (void)task;
    while (prony_now_ns() < end)
        ;
    return 0;
}

static const struct prony_kernel kernels[] = {{"nothing", nothing}, {"held", held}, {"spin", spin}, {NULL, NULL}};

static int refuse_start(struct prony_worker *worker)
{
    return worker->index == 1 ? -EPERM : 0;
}

static void openings_that_fail(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {2, prony_pool_area(2), 0, 1};
    struct prony_ground ground;
    struct prony_pool *pool = NULL;
    struct prony_executor *executor = NULL;
    (void)state;
    for (int staff = 0; staff < 2; staff++) {
        struct prony_policy policy = {.staff = (enum prony_staff)staff, .idle = PRONY_IDLE_ADAPTIVE};
        assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
        ground.setup.workers = 0;
        assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), -EINVAL);
        ground.setup.workers = PRONY_POOL_WORKERS + 1;
        assert_int_equal(prony_executor_open(&ground.setup, &policy, &executor, &error), -EINVAL);
        ground.setup.workers = 3; /* the area is for two */
        assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), -EINVAL);
        assert_non_null(strstr(error.text, "area"));
        ground.setup.workers = 2;
        ground.setup.started = refuse_start;
        assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), -EPERM);
        assert_non_null(strstr(error.text, "worker"));
        prony_ground_free(&ground);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
    assert_int_equal(prony_pool_close(NULL, 1, 0), 0);
    assert_int_equal(prony_executor_close(NULL, 1, 0), 0);
}

static void futures_carry_times(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {1, prony_pool_area(1), 0, 1};
    struct prony_ground ground;
    struct prony_pool *pool;
    (void)state;
    for (int times = 0; times < 2; times++) {
        struct prony_policy policy = {.staff = PRONY_THREADS, .idle = PRONY_IDLE_PARK, .times = times};
        struct prony_task task = {.ref = {1, 0}};
        const struct prony_future *future;
        uint64_t begun = prony_now_ns();
        assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
        assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), 0);
        task.future = ground.futures.off;
        assert_int_equal(prony_pool_submit(pool, &task, 1), 0);
        assert_int_equal(prony_pool_wait(pool, &task.future, 1, 1, -1), 0);
        future = (const void *)(ground.arena.base + task.future);
        assert_true(prony_future_done(future) && !prony_future_cancelled(future) && !prony_future_running(future));
        if (times)
            assert_true(begun <= future->queued_ns && future->queued_ns <= future->begun_ns &&
                        future->begun_ns <= future->ended_ns && future->ended_ns <= future->done_ns);
        else
            assert_true(future->queued_ns == 0 && future->begun_ns == 0 && future->done_ns == 0);
        assert_int_equal(prony_pool_close(pool, 1, -1), 0);
        prony_ground_free(&ground);
    }
}

/* One worker is held until all are queued, so each waits at least as long as all before it run; only the times of one in
 * so many are noted, and which is known from their tickets. */
static void queue_waits_add_up(void **state)
{
    enum { TASKS = 250 };
    (void)state;
    for (unsigned way = 0; way < 8; way++) {
        const int one_in = way % 2 == 0 ? 1 : 5;
        const bool executor = way / 2 % 2 != 0;
        struct prony_error error = {0, ""};
        struct prony_wish wish = {1, executor ? prony_executor_area(1) : prony_pool_area(1), 64, TASKS};
        struct prony_policy policy = {
            .staff = (enum prony_staff)(way / 4), .idle = PRONY_IDLE_ADAPTIVE, .times = one_in};
        struct prony_pool *pool = NULL;
        struct prony_executor *executors = NULL;
        struct prony_ground ground;
        struct prony_task tasks[TASKS];
        uint64_t futures[TASKS], ran_ns = 0;
        uint32_t *gate;
        unsigned timed = 0;
        assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
        gate = (uint32_t *)(void *)(ground.arena.base + ground.data.off);
        for (unsigned i = 0; i < TASKS; i++) {
            futures[i] = ground.futures.off + i * sizeof(struct prony_future);
            tasks[i] = (struct prony_task){.ref = {1, i == 0 ? 1 : 2}, .out = ground.data, .future = futures[i]};
        }
        if (executor) {
            assert_int_equal(prony_executor_open(&ground.setup, &policy, &executors, &error), 0);
            assert_int_equal(prony_executor_submit(executors, tasks, TASKS), 0);
        } else {
            assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), 0);
            assert_int_equal(prony_pool_submit(pool, tasks, TASKS), 0);
        }
        __atomic_store_n(gate, 1, __ATOMIC_SEQ_CST);
        if (executor)
            assert_int_equal(prony_executor_wait(executors, futures, TASKS, TASKS, 60000000000), 0);
        else
            assert_int_equal(prony_pool_wait(pool, futures, TASKS, TASKS, 60000000000), 0);
        for (unsigned i = 0; i < TASKS; i++) {
            const struct prony_future *future = (const void *)(ground.arena.base + futures[i]);
            assert_int_equal(future->queued_ns != 0, prony_future_timed(one_in, future->state >> 2 & 0x0fffffffu));
            assert_int_equal(future->queued_ns != 0, future->begun_ns != 0);
            assert_int_equal(future->queued_ns != 0, future->ended_ns != 0);
            if (future->queued_ns == 0)
                continue;
            assert_true(i == 0 || future->begun_ns - future->queued_ns >= ran_ns);
            ran_ns += i == 0 ? 0 : future->ended_ns - future->begun_ns;
            timed++;
        }
        assert_true(one_in == 1 ? timed == TASKS : timed > TASKS / 10 && timed < TASKS / 3);
        assert_true(ran_ns > 0);
        assert_int_equal(prony_pool_close(pool, 1, -1), 0);
        assert_int_equal(prony_executor_close(executors, 1, -1), 0);
        prony_ground_free(&ground);
    }
}

/* Wakes are not lost: single tasks to workers that sleep at once, one after the other. */
static void no_wake_is_lost(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {2, prony_pool_area(2), 0, 1};
    struct prony_policy policy = {.staff = PRONY_THREADS, .idle = PRONY_IDLE_PARK};
    struct prony_ground ground;
    struct prony_pool *pool;
    struct prony_task task = {.ref = {1, 0}};
    (void)state;
    assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
    assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), 0);
    task.future = ground.futures.off;
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(prony_pool_submit(pool, &task, 1), 0);
        assert_int_equal(prony_pool_wait(pool, &task.future, 1, 1, 20000000000), 0);
    }
    assert_int_equal(prony_pool_close(pool, 1, -1), 0);
    prony_ground_free(&ground);
}

/* Far more workers than processors: all of them come to work, and every task is done once. */
static void crowds_are_right(void **state)
{
    static const unsigned crowd[] = {16, 64, 256};
    struct prony_error error = {0, ""};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        const unsigned workers = crowd[i / 2], tasks = 4 * workers;
        struct prony_wish wish = {workers, prony_pool_area(workers), 0, tasks};
        struct prony_policy policy = {.staff = i % 2 == 0 ? PRONY_THREADS : PRONY_PROCESSES,
                                      .idle = PRONY_IDLE_ADAPTIVE};
        struct prony_task task = {.ref = {1, 0}, .hi = 100000};
        struct prony_tally tally;
        struct prony_ground ground;
        struct prony_pool *pool;
        uint64_t futures[4 * 256];
        int status[256];
        int64_t items = 0;
        assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
        assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), 0);
        assert_int_equal(prony_pool_gang(pool, &task, workers, status, 60000000000), 0);
        for (unsigned k = 0; k < workers; k++)
            assert_int_equal(status[k], 0);
        assert_int_equal(prony_pool_map(pool, &task, 0, &tally, 60000000000), 0);
        assert_int_equal(tally.failed, 0);
        for (unsigned k = 0; k < tasks; k++) {
            task.future = futures[k] = ground.futures.off + k * sizeof(struct prony_future);
            assert_int_equal(prony_pool_submit(pool, &task, 1), 0);
        }
        assert_int_equal(prony_pool_wait(pool, futures, tasks, tasks, 60000000000), 0);
        assert_int_equal(prony_pool_close(pool, 1, -1), 0);
        for (unsigned k = 0; k < workers; k++)
            items += ((struct prony_slot *)(void *)(ground.arena.base + ground.setup.slots.off))[k].items;
        assert_int_equal(items, 100000 + tasks);
        prony_ground_free(&ground);
    }
}

enum { TASKS = 100, SHARE = 3 };

/* No worker ran more than its share. */
static void check_shares(const struct prony_ground *ground)
{
    unsigned char served[2][TASKS + 8] = {{0}};
    for (unsigned i = 0; i < TASKS; i++) {
        const struct prony_future *future =
            (const struct prony_future *)(void *)(ground->arena.base + ground->futures.off) + i;
        assert_int_equal(future->status, 0);
        assert_true(future->worker < 2 && future->generation < TASKS + 8);
        assert_true(++served[future->worker][future->generation] <= SHARE);
    }
}

static void executors_replace_them_too(struct prony_ground *ground, const struct prony_policy *policy)
{
    struct prony_task task = {.ref = {1, 0}};
    struct prony_executor *executor;
    struct prony_error error = {0, ""};
    uint64_t futures[TASKS];
    assert_int_equal(prony_executor_open(&ground->setup, policy, &executor, &error), 0);
    for (unsigned i = 0; i < TASKS; i++) {
        task.future = futures[i] = ground->futures.off + i * sizeof(struct prony_future);
        assert_int_equal(prony_executor_submit(executor, &task, 1), 0);
    }
    assert_int_equal(prony_executor_wait(executor, futures, TASKS, TASKS, 60000000000), 0);
    check_shares(ground);
    assert_int_equal(prony_executor_close(executor, 1, -1), 0);
}

/* Workers that leave after three tasks each: others come, and no task is lost. */
static void workers_are_replaced(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {2, prony_pool_area(2) + prony_executor_area(2), 0, TASKS};
    struct prony_policy policy = {.staff = PRONY_THREADS, .idle = PRONY_IDLE_ADAPTIVE, .tasks_a_worker = SHARE};
    struct prony_task task = {.ref = {1, 0}};
    const struct prony_slot *slots;
    struct prony_ground ground;
    struct prony_pool *pool;
    uint64_t futures[TASKS];
    (void)state;
    assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
    assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), -EINVAL);
    assert_non_null(strstr(error.text, "3 tasks"));
    policy.staff = PRONY_PROCESSES;
    assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), 0);
    for (unsigned i = 0; i < TASKS; i++) {
        task.future = futures[i] = ground.futures.off + i * sizeof(struct prony_future);
        assert_int_equal(prony_pool_submit(pool, &task, 1), 0);
    }
    assert_int_equal(prony_pool_wait(pool, futures, TASKS, TASKS, 60000000000), 0);
    check_shares(&ground);
    slots = (const void *)(ground.arena.base + ground.setup.slots.off);
    assert_int_equal(slots[0].items + slots[1].items, TASKS);
    assert_in_range(slots[0].generation + slots[1].generation, TASKS / 3,
                    TASKS + 2); /* a task a peer took counts, too */
    assert_int_equal(prony_pool_close(pool, 1, -1), 0);
    executors_replace_them_too(&ground, &policy);
    prony_ground_free(&ground);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_is_sealed),       cmocka_unit_test(arena_hands_out),
        cmocka_unit_test(lock_excludes_threads), cmocka_unit_test(lock_excludes_processes),
        cmocka_unit_test(waits_are_limited),     cmocka_unit_test(openings_that_fail),
        cmocka_unit_test(futures_carry_times),   cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(crowds_are_right),      cmocka_unit_test(workers_are_replaced),
        cmocka_unit_test(queue_waits_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
