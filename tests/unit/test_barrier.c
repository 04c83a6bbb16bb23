/* The barrier: what Python's documentation says of it, by threads and by processes. */
#include <prony/sync.h>

#include "tests/unit/family.h"

#include <errno.h>

struct shared {
    struct prony_barrier barrier;
    uint64_t sum;
    uint32_t numbers, inside, last;
};

/* Nobody is in meeting k + 1 before all are in meeting k, and every number is given once a meeting. */
static void *meet(void *memory)
{
    struct shared *shared = memory;
    for (unsigned i = 0; i < 500; i++) {
        int number;
        __atomic_fetch_add(&shared->sum, 1, __ATOMIC_SEQ_CST);
        number = prony_barrier_wait(&shared->barrier, LONG_NS);
        if (number < 0 || number >= MEMBERS || __atomic_load_n(&shared->sum, __ATOMIC_SEQ_CST) < (i + 1) * MEMBERS)
            return DISCONTENT;
        __atomic_fetch_add(&shared->numbers, 1u << 8 * number, __ATOMIC_SEQ_CST);
        if (prony_barrier_wait(&shared->barrier, -1) < 0 ||
            __atomic_load_n(&shared->numbers, __ATOMIC_SEQ_CST) != 0x010101u * (i % 200 + 1))
            return DISCONTENT;
        if (prony_barrier_wait(&shared->barrier, -1) == 0 && i % 200 == 199)
            __atomic_store_n(&shared->numbers, 0, __ATOMIC_SEQ_CST);
        if (prony_barrier_wait(&shared->barrier, -1) < 0)
            return DISCONTENT;
    }
    return NULL;
}

static void barrier_holds_until_all_are_there(void **state)
{
    struct shared *shared = shared_memory(sizeof *shared);
    (void)state;
    assert_int_equal(prony_barrier_init(&shared->barrier, 0), -EINVAL);
    assert_int_equal(prony_barrier_init(&shared->barrier, MEMBERS), 0);
    by_threads(meet, shared);
    shared->sum = shared->numbers = 0;
    by_processes(meet, shared);
    assert_int_equal(prony_barrier_waiting(&shared->barrier), 0);
    assert_false(prony_barrier_is_broken(&shared->barrier));
    assert_int_equal(prony_barrier_init(&shared->barrier, 1), 0);
    assert_int_equal(prony_barrier_wait(&shared->barrier, 0), 0);
    (void)munmap(shared, sizeof *shared);
}

static void *wait_for_break(void *memory)
{
    struct shared *shared = memory;
    return prony_barrier_wait(&shared->barrier, LONG_NS) == -ECANCELED ? NULL : DISCONTENT;
}

static pid_t one_waits(struct shared *shared)
{
    pid_t pid = process_of(wait_for_break, shared);
    for (unsigned i = 0; prony_barrier_waiting(&shared->barrier) == 0; i++) {
        assert_true(i < 20000);
        (void)usleep(1000);
    }
    return pid;
}

static void barrier_breaks_and_is_made_new(void **state)
{
    struct shared *shared = shared_memory(sizeof *shared);
    pid_t pid;
    (void)state;
    assert_int_equal(prony_barrier_init(&shared->barrier, MEMBERS), 0);
    pid = one_waits(shared);
    assert_int_equal(prony_barrier_wait(&shared->barrier, 5 * MS), -ETIMEDOUT);
    assert_int_equal(status_of(pid), 0);
    assert_true(prony_barrier_is_broken(&shared->barrier));
    assert_int_equal(prony_barrier_wait(&shared->barrier, -1), -ECANCELED);
    prony_barrier_reset(&shared->barrier);
    assert_false(prony_barrier_is_broken(&shared->barrier));
    pid = one_waits(shared);
    prony_barrier_reset(&shared->barrier); /* those who wait are told; the barrier is whole */
    assert_int_equal(status_of(pid), 0);
    assert_false(prony_barrier_is_broken(&shared->barrier));
    pid = one_waits(shared);
    prony_barrier_abort(&shared->barrier);
    assert_int_equal(status_of(pid), 0);
    assert_true(prony_barrier_is_broken(&shared->barrier));
    assert_int_equal(prony_barrier_wait(&shared->barrier, -1), -ECANCELED);
    prony_barrier_reset(&shared->barrier);
    shared->sum = shared->numbers = 0;
    by_threads(meet, shared);
    (void)munmap(shared, sizeof *shared);
}

/* One acts, when all are there and nobody has gone on. */
static int act(void *memory)
{
    struct shared *shared = memory;
    shared->numbers += shared->sum == MEMBERS;
    (void)usleep(500);
    shared->sum = 0;
    return shared->last == shared->numbers ? -EIO : 0;
}

static void *meet_and_act(void *memory)
{
    struct shared *shared = memory;
    for (unsigned i = 1; i <= 20; i++) {
        int number;
        __atomic_fetch_add(&shared->sum, 1, __ATOMIC_SEQ_CST);
        number = prony_barrier_wait_action(&shared->barrier, act, shared, LONG_NS);
        if (number < 0 && (i != shared->last || (number != -EIO && number != -ECANCELED)))
            return DISCONTENT;
        __atomic_fetch_add(&shared->inside, number == -EIO, __ATOMIC_SEQ_CST);
        if (number < 0)
            return NULL;
        if (shared->numbers != i || __atomic_load_n(&shared->sum, __ATOMIC_SEQ_CST) != 0)
            return DISCONTENT; /* who went on before the action sees what came before */
        if (prony_barrier_wait(&shared->barrier, LONG_NS) < 0)
            return DISCONTENT;
    }
    return NULL;
}

static void an_action_comes_before_all_go_on(void **state)
{
    struct shared *shared = shared_memory(sizeof *shared);
    (void)state;
    assert_int_equal(prony_barrier_init(&shared->barrier, MEMBERS), 0);
    by_threads(meet_and_act, shared);
    assert_int_equal(shared->numbers, 20);
    shared->numbers = 0;
    shared->last = 7; /* the action fails then: it is told to one, and the others find the barrier broken */
    by_processes(meet_and_act, shared);
    assert_int_equal(shared->numbers, 7);
    assert_int_equal(shared->inside, 1);
    assert_true(prony_barrier_is_broken(&shared->barrier));
    (void)munmap(shared, sizeof *shared);
}

static int die_in_the_action(void *memory)
{
    (void)memory;
    return raise(SIGKILL);
}

static void *act_and_die(void *memory)
{
    struct shared *shared = memory;
    while (prony_barrier_waiting(&shared->barrier) != MEMBERS - 1)
        (void)usleep(1000);
    (void)prony_barrier_wait_action(&shared->barrier, die_in_the_action, NULL, LONG_NS);
    return DISCONTENT;
}

static void *die_in_the_barrier(void *memory)
{
    struct shared *shared = memory;
    (void)prony_mutex_acquire(&shared->barrier.mutex, -1);
    (void)raise(SIGKILL);
    return DISCONTENT;
}

static void a_death_inside_breaks_the_barrier(void **state)
{
    struct shared *shared = shared_memory(sizeof *shared);
    pid_t waiter, waiters[MEMBERS - 1];
    (void)state;
    assert_int_equal(prony_barrier_init(&shared->barrier, MEMBERS), 0);
    waiter = one_waits(shared);
    assert_int_equal(WTERMSIG(status_of(process_of(die_in_the_barrier, shared))), SIGKILL);
    assert_int_equal(status_of(waiter), 0);
    assert_true(prony_barrier_is_broken(&shared->barrier));
    prony_barrier_reset(&shared->barrier);
    for (unsigned i = 0; i + 1 < MEMBERS; i++)
        waiters[i] = process_of(wait_for_break, shared);
    assert_int_equal(WTERMSIG(status_of(process_of(act_and_die, shared))), SIGKILL);
    for (unsigned i = 0; i + 1 < MEMBERS; i++)
        assert_int_equal(status_of(waiters[i]), 0);
    assert_true(prony_barrier_is_broken(&shared->barrier));
    (void)munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barrier_holds_until_all_are_there),
        cmocka_unit_test(barrier_breaks_and_is_made_new),
        cmocka_unit_test(an_action_comes_before_all_go_on),
        cmocka_unit_test(a_death_inside_breaks_the_barrier),
    };
    (void)alarm(200);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
