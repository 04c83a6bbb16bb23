/* Locks, semaphore, event, condition: what Python's documentation says of each, by threads and by processes. */
#include <prony/sync.h>

#include "base/clock.h"
#include "tests/unit/family.h"

#include <errno.h>

#define TURNS 5000

struct shared {
    struct prony_mutex mutex;
    struct prony_rlock lock;
    struct prony_semaphore semaphore, other;
    struct prony_event event, ready;
    struct prony_condition condition;
    uint64_t sum;
    uint32_t inside, most, numbers;
};

static struct shared *make(void)
{
    struct shared *shared = shared_memory(sizeof *shared);
    assert_int_equal(prony_mutex_init(&shared->mutex), 0);
    assert_int_equal(prony_rlock_init(&shared->lock), 0);
    return shared;
}

static void drop(struct shared *shared)
{
    (void)munmap(shared, sizeof *shared);
}

static void *add_by_mutex(void *memory)
{
    struct shared *shared = memory;
    for (unsigned i = 0; i < TURNS; i++) {
        if (prony_mutex_acquire(&shared->mutex, -1) != 0)
            return DISCONTENT;
        shared->sum++;
        if (prony_mutex_release(&shared->mutex) != 0)
            return DISCONTENT;
    }
    return NULL;
}

static void *add_by_rlock(void *memory)
{
    struct shared *shared = memory;
    for (unsigned i = 0; i < TURNS; i++) {
        if (prony_rlock_acquire(&shared->lock, LONG_NS) != 0 || prony_rlock_acquire(&shared->lock, 0) != 0)
            return DISCONTENT;
        shared->sum++;
        if (prony_rlock_release(&shared->lock) != 0 || prony_rlock_release(&shared->lock) != 0)
            return DISCONTENT;
    }
    return NULL;
}

static void locks_let_one_in(void **state)
{
    struct shared *shared = make();
    (void)state;
    by_threads(add_by_mutex, shared);
    by_processes(add_by_mutex, shared);
    by_threads(add_by_rlock, shared);
    by_processes(add_by_rlock, shared);
    assert_int_equal(shared->sum, 4 * MEMBERS * TURNS);
    drop(shared);
}

/* Another may neither acquire in time nor release. */
static void *other_is_refused(void *memory)
{
    struct shared *shared = memory;
    uint64_t begun = prony_now_ns();
    if (prony_mutex_acquire(&shared->mutex, 0) != -ETIMEDOUT || prony_rlock_acquire(&shared->lock, 0) != -ETIMEDOUT ||
        prony_mutex_acquire(&shared->mutex, 5 * MS) != -ETIMEDOUT ||
        prony_rlock_acquire(&shared->lock, 5 * MS) != -ETIMEDOUT)
        return DISCONTENT;
    if (prony_now_ns() - begun < (uint64_t)(9 * MS))
        return DISCONTENT;
    return prony_rlock_release(&shared->lock) == -EPERM ? NULL : DISCONTENT;
}

static void locks_know_their_holder(void **state)
{
    struct shared *shared = make();
    (void)state;
    assert_int_equal(prony_rlock_release(&shared->lock), -EPERM);
    assert_int_equal(prony_mutex_acquire(&shared->mutex, -1), 0);
    assert_int_equal(prony_mutex_acquire(&shared->mutex, -1), -EDEADLK);
    assert_int_equal(prony_mutex_acquire(&shared->mutex, 0), -EDEADLK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(prony_rlock_acquire(&shared->lock, i == 1 ? 0 : -1), 0);
    by_threads(other_is_refused, shared);
    by_processes(other_is_refused, shared);
    for (unsigned i = 0; i < 3; i++) {
        by_processes(other_is_refused, shared);
        assert_int_equal(prony_rlock_release(&shared->lock), 0);
    }
    assert_int_equal(prony_rlock_release(&shared->lock), -EPERM);
    assert_int_equal(prony_mutex_release(&shared->mutex), 0);
    by_processes(add_by_rlock, shared);
    drop(shared);
}

static void *release_plain(void *memory)
{
    return prony_lock_release(memory) == 0 ? NULL : DISCONTENT;
}

static void anyone_releases_a_plain_lock(void **state)
{
    struct prony_lock *lock = shared_memory(sizeof *lock);
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        prony_lock_acquire(lock);
        assert_int_equal(prony_lock_acquire_for(lock, 0), -ETIMEDOUT);
        if (i == 0)
            in_thread(release_plain, lock);
        else
            assert_int_equal(status_of(process_of(release_plain, lock)), 0);
    }
    assert_int_equal(prony_lock_release(lock), -EPERM); /* once too often */
    assert_int_equal(prony_lock_acquire_for(lock, 0), 0);
    assert_int_equal(prony_lock_acquire_for(lock, 0), -ETIMEDOUT);
    (void)munmap(lock, sizeof *lock);
}

/* Ends with both locks held. */
static void *hold_and_end(void *memory)
{
    struct shared *shared = memory;
    (void)prony_mutex_acquire(&shared->mutex, -1);
    (void)prony_rlock_acquire(&shared->lock, -1);
    (void)prony_rlock_acquire(&shared->lock, -1);
    return NULL;
}

static void *hold_and_die(void *memory)
{
    (void)hold_and_end(memory);
    (void)raise(SIGKILL);
    return DISCONTENT;
}

/* Only the first to come after the death is told. */
static void expect_owner_dead(struct shared *shared, int64_t limit)
{
    assert_int_equal(prony_mutex_acquire(&shared->mutex, limit), -EOWNERDEAD);
    assert_int_equal(prony_mutex_release(&shared->mutex), 0);
    assert_int_equal(prony_mutex_acquire(&shared->mutex, limit), 0);
    assert_int_equal(prony_mutex_release(&shared->mutex), 0);
    assert_int_equal(prony_rlock_acquire(&shared->lock, limit), -EOWNERDEAD);
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    assert_int_equal(prony_rlock_release(&shared->lock), -EPERM);
    assert_int_equal(prony_rlock_acquire(&shared->lock, limit), 0);
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
}

static void a_dead_holder_is_told_once(void **state)
{
    struct shared *shared = make();
    (void)state;
    assert_int_equal(WTERMSIG(status_of(process_of(hold_and_die, shared))), SIGKILL);
    expect_owner_dead(shared, -1);
    assert_int_equal(status_of(process_of(hold_and_end, shared)), 0);
    expect_owner_dead(shared, 0);
    in_thread(hold_and_end, shared);
    expect_owner_dead(shared, 50 * MS);
    drop(shared);
}

static void *hold_until_killed(void *memory)
{
    struct shared *shared = memory;
    (void)hold_and_end(shared);
    prony_event_set(&shared->ready);
    for (unsigned i = 0; i < 20; i++)
        (void)sleep(1);
    return DISCONTENT;
}

static void a_waiter_outlives_the_holder(void **state)
{
    struct shared *shared = make();
    pid_t pid;
    (void)state;
    pid = process_of(hold_until_killed, shared);
    assert_int_equal(prony_event_wait(&shared->ready, LONG_NS), 0);
    assert_int_equal(prony_mutex_acquire(&shared->mutex, 2 * MS), -ETIMEDOUT);
    assert_int_equal(kill(pid, SIGKILL), 0);
    expect_owner_dead(shared, LONG_NS);
    (void)status_of(pid);
    drop(shared);
}

/* At most two are inside, and both places are used in the end. */
static void *pass_semaphore(void *memory)
{
    struct shared *shared = memory;
    for (unsigned i = 0; i < TURNS; i++) {
        if (prony_semaphore_acquire(&shared->semaphore, -1) != 0)
            return DISCONTENT;
        if (__atomic_add_fetch(&shared->inside, 1, __ATOMIC_SEQ_CST) > 2)
            return DISCONTENT;
        __atomic_fetch_sub(&shared->inside, 1, __ATOMIC_SEQ_CST);
        if (prony_semaphore_release(&shared->semaphore, 1) != 0)
            return DISCONTENT;
    }
    return NULL;
}

static void semaphore_counts(void **state)
{
    struct shared *shared = make();
    uint64_t begun;
    (void)state;
    assert_int_equal(prony_semaphore_init(&shared->semaphore, 2, 0), 0);
    by_threads(pass_semaphore, shared);
    by_processes(pass_semaphore, shared);
    assert_int_equal(prony_semaphore_value(&shared->semaphore), 2);
    assert_int_equal(prony_semaphore_acquire(&shared->semaphore, 0), 0);
    assert_int_equal(prony_semaphore_acquire(&shared->semaphore, 0), 0);
    assert_int_equal(prony_semaphore_acquire(&shared->semaphore, 0), -ETIMEDOUT);
    begun = prony_now_ns();
    assert_int_equal(prony_semaphore_acquire(&shared->semaphore, 5 * MS), -ETIMEDOUT);
    assert_true(prony_now_ns() - begun >= (uint64_t)(5 * MS));
    assert_int_equal(prony_semaphore_release(&shared->semaphore, 5), 0); /* beyond where it began: not bounded */
    assert_int_equal(prony_semaphore_value(&shared->semaphore), 5);
    assert_int_equal(prony_semaphore_release(&shared->semaphore, 0), -EINVAL);
    assert_int_equal(prony_semaphore_release(&shared->semaphore, UINT32_MAX), -EOVERFLOW);
    drop(shared);
}

static void bounded_semaphore_refuses_one_too_many(void **state)
{
    struct prony_semaphore semaphore;
    (void)state;
    assert_int_equal(prony_semaphore_init(&semaphore, 3, 2), -EINVAL);
    assert_int_equal(prony_semaphore_init(&semaphore, 2, 2), 0);
    assert_int_equal(prony_semaphore_release(&semaphore, 1), -EOVERFLOW);
    assert_int_equal(prony_semaphore_acquire(&semaphore, -1), 0);
    assert_int_equal(prony_semaphore_release(&semaphore, 2), -EOVERFLOW);
    assert_int_equal(prony_semaphore_value(&semaphore), 1);
    assert_int_equal(prony_semaphore_release(&semaphore, 1), 0);
    assert_int_equal(prony_semaphore_value(&semaphore), 2);
}

static void *take_one(void *memory)
{
    struct shared *shared = memory;
    __atomic_fetch_add(&shared->numbers, 1, __ATOMIC_RELEASE);
    return prony_semaphore_acquire(&shared->semaphore, LONG_NS) == 0 ? NULL : DISCONTENT;
}

static void a_dead_waiter_takes_no_unit_along(void **state)
{
    struct shared *shared = make();
    pid_t victim, heir;
    (void)state;
    assert_int_equal(prony_semaphore_init(&shared->semaphore, 0, 0), 0);
    victim = process_of(take_one, shared);
    heir = process_of(take_one, shared);
    while (__atomic_load_n(&shared->numbers, __ATOMIC_ACQUIRE) < 2)
        (void)usleep(1000);
    assert_int_equal(kill(victim, SIGKILL), 0);
    (void)status_of(victim);
    assert_int_equal(prony_semaphore_release(&shared->semaphore, 1), 0);
    assert_int_equal(status_of(heir), 0);
    assert_int_equal(prony_semaphore_value(&shared->semaphore), 0);
    drop(shared);
}

static void *wait_for_event(void *memory)
{
    struct shared *shared = memory;
    (void)prony_semaphore_release(&shared->other, 1);
    if (prony_event_wait(&shared->event, LONG_NS) != 0)
        return DISCONTENT;
    return shared->sum == 7 ? NULL : DISCONTENT;
}

static void event_is_a_flag(void **state)
{
    struct shared *shared = make();
    pid_t pids[MEMBERS];
    (void)state;
    assert_false(prony_event_is_set(&shared->event));
    assert_int_equal(prony_event_wait(&shared->event, 0), -ETIMEDOUT);
    assert_int_equal(prony_event_wait(&shared->event, 2 * MS), -ETIMEDOUT);
    for (unsigned i = 0; i < MEMBERS; i++)
        pids[i] = process_of(wait_for_event, shared);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(prony_semaphore_acquire(&shared->other, LONG_NS), 0);
    shared->sum = 7;
    prony_event_set(&shared->event);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(status_of(pids[i]), 0);
    prony_event_set(&shared->event);
    assert_true(prony_event_is_set(&shared->event));
    by_threads(wait_for_event, shared);
    prony_event_clear(&shared->event);
    assert_false(prony_event_is_set(&shared->event));
    assert_int_equal(prony_event_wait(&shared->event, 0), -ETIMEDOUT);
    drop(shared);
}

/* A set counts for those who wait even when a clear follows: sets and clears until the waiter has seen one. */
static void *wait_once(void *memory)
{
    struct shared *shared = memory;
    int code = prony_event_wait(&shared->event, LONG_NS);
    prony_event_set(&shared->ready);
    return code == 0 ? NULL : DISCONTENT;
}

static void a_short_set_is_seen(void **state)
{
    struct shared *shared = make();
    pthread_t thread;
    void *said;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wait_once, shared), 0);
    do {
        prony_event_set(&shared->event);
        prony_event_clear(&shared->event);
    } while (prony_event_wait(&shared->ready, 1 * MS) != 0);
    assert_int_equal(pthread_join(thread, &said), 0);
    assert_null(said);
    drop(shared);
}

/* Consumers of what the test puts into `sum`, one each, by the loop that the header asks for. */
static void *consume(void *memory)
{
    struct shared *shared = memory;
    void *said = NULL;
    if (prony_rlock_acquire(&shared->lock, -1) != 0 || prony_rlock_acquire(&shared->lock, -1) != 0)
        return DISCONTENT;
    shared->inside++;
    while (shared->sum == 0 && said == NULL)
        if (prony_condition_wait(&shared->condition, &shared->lock, LONG_NS) != 0)
            said = DISCONTENT;
    if (said == NULL)
        shared->sum--;
    shared->inside--;
    if (prony_rlock_release(&shared->lock) != 0 || prony_rlock_release(&shared->lock) != 0)
        return DISCONTENT; /* it was held twice, and so it came back */
    return said;
}

static void expect_inside(struct shared *shared, uint32_t n)
{
    for (unsigned i = 0;; i++) {
        uint32_t inside;
        assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
        inside = shared->inside;
        assert_int_equal(prony_rlock_release(&shared->lock), 0);
        if (inside == n)
            return;
        assert_true(i < 20000);
        (void)usleep(1000);
    }
}

static void condition_lets_waiters_go(void **state)
{
    struct shared *shared = make();
    pid_t pids[MEMBERS];
    (void)state;
    for (unsigned i = 0; i < MEMBERS; i++)
        pids[i] = process_of(consume, shared);
    expect_inside(shared, MEMBERS);
    assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
    shared->sum = 1;
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, 1), 0);
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    expect_inside(shared, MEMBERS - 1);
    assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
    shared->sum = MEMBERS - 1;
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, UINT32_MAX), 0);
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(status_of(pids[i]), 0);
    assert_int_equal(shared->sum, 0);
    drop(shared);
}

/* Waits once, whatever for. */
static void *wait_unasked(void *memory)
{
    struct shared *shared = memory;
    void *said = NULL;
    if (prony_rlock_acquire(&shared->lock, -1) != 0)
        return DISCONTENT;
    shared->inside++;
    if (prony_condition_wait(&shared->condition, &shared->lock, LONG_NS) != 0)
        said = DISCONTENT;
    shared->inside--;
    return prony_rlock_release(&shared->lock) == 0 ? said : DISCONTENT;
}

/* As many go as are named, also when those who stay look again meanwhile; who comes after a notice is not meant by it. */
static void a_notice_is_for_so_many(void **state)
{
    struct shared *shared = make();
    pid_t pids[MEMBERS + 1];
    (void)state;
    for (unsigned i = 0; i < MEMBERS; i++)
        pids[i] = process_of(wait_unasked, shared);
    expect_inside(shared, MEMBERS);
    assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, 1), 0);
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, 1), 0);
    assert_int_equal(prony_condition_wait(&shared->condition, &shared->lock, 0), -ETIMEDOUT);
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    expect_inside(shared, MEMBERS - 2);
    pids[MEMBERS] = process_of(wait_unasked, shared);
    expect_inside(shared, MEMBERS - 1);
    (void)usleep(250000); /* longer than a nap */
    expect_inside(shared, MEMBERS - 1);
    assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, UINT32_MAX), 0);
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, UINT32_MAX), 0);
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    for (unsigned i = 0; i <= MEMBERS; i++)
        assert_int_equal(status_of(pids[i]), 0);
    assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
    assert_int_equal(prony_condition_wait(&shared->condition, &shared->lock, 0), -ETIMEDOUT); /* nothing is left over */
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    drop(shared);
}

static void condition_needs_the_lock(void **state)
{
    struct shared *shared = make();
    (void)state;
    assert_int_equal(prony_condition_wait(&shared->condition, &shared->lock, 0), -EPERM);
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, 1), -EPERM);
    assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
    assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, 1), 0); /* to nobody: not kept */
    assert_int_equal(prony_condition_wait(&shared->condition, &shared->lock, 5 * MS), -ETIMEDOUT);
    assert_int_equal(prony_condition_wait(&shared->condition, &shared->lock, 0), -ETIMEDOUT);
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    assert_int_equal(prony_rlock_release(&shared->lock), -EPERM);
    drop(shared);
}

static int is_some(void *memory)
{
    const struct shared *shared = memory;
    return shared->sum != 0;
}

static void *wait_for_some(void *memory)
{
    struct shared *shared = memory;
    void *said = NULL;
    if (prony_rlock_acquire(&shared->lock, -1) != 0)
        return DISCONTENT;
    shared->inside++;
    if (prony_condition_wait_for(&shared->condition, &shared->lock, is_some, shared, LONG_NS) != 0 || shared->sum == 0)
        said = DISCONTENT;
    shared->sum--;
    shared->inside--;
    return prony_rlock_release(&shared->lock) == 0 ? said : DISCONTENT;
}

static void wait_for_asks_again(void **state)
{
    struct shared *shared = make();
    pid_t pid;
    (void)state;
    assert_int_equal(prony_condition_wait_for(&shared->condition, &shared->lock, is_some, shared, 0), -EPERM);
    assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
    assert_int_equal(prony_condition_wait_for(&shared->condition, &shared->lock, is_some, shared, 0), -ETIMEDOUT);
    assert_int_equal(prony_condition_wait_for(&shared->condition, &shared->lock, is_some, shared, 5 * MS), -ETIMEDOUT);
    shared->sum = 1;
    assert_int_equal(prony_condition_wait_for(&shared->condition, &shared->lock, is_some, shared, 0), 0);
    shared->sum = 0;
    assert_int_equal(prony_rlock_release(&shared->lock), 0);
    pid = process_of(wait_for_some, shared);
    expect_inside(shared, 1);
    for (unsigned i = 0; i < 4; i++) { /* the last notice has something to tell */
        assert_int_equal(prony_rlock_acquire(&shared->lock, -1), 0);
        shared->sum = i == 3;
        assert_int_equal(shared->inside, 1);
        assert_int_equal(prony_condition_notify(&shared->condition, &shared->lock, 1), 0);
        assert_int_equal(prony_rlock_release(&shared->lock), 0);
        (void)usleep(2000);
    }
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(shared->sum, 0);
    drop(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_let_one_in),
        cmocka_unit_test(locks_know_their_holder),
        cmocka_unit_test(anyone_releases_a_plain_lock),
        cmocka_unit_test(a_dead_holder_is_told_once),
        cmocka_unit_test(a_waiter_outlives_the_holder),
        cmocka_unit_test(semaphore_counts),
        cmocka_unit_test(bounded_semaphore_refuses_one_too_many),
        cmocka_unit_test(a_dead_waiter_takes_no_unit_along),
        cmocka_unit_test(event_is_a_flag),
        cmocka_unit_test(a_short_set_is_seen),
        cmocka_unit_test(condition_lets_waiters_go),
        cmocka_unit_test(a_notice_is_for_so_many),
        cmocka_unit_test(condition_needs_the_lock),
        cmocka_unit_test(wait_for_asks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
