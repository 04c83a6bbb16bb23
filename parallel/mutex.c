/* Locks that know their holder, and the condition that waits under one. */
#include <prony/sync.h>

#include "base/timeline.h"
#include "parallel/until.h"

#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

static _Thread_local uint32_t self_id;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void forget_self(void)
{
    self_id = 0;
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, forget_self);
}

static uint32_t self(void)
{
    if (self_id == 0) {
        (void)pthread_once(&once, watch_forks);
        self_id = (uint32_t)gettid();
    }
    return self_id;
}

int prony_mutex_init(struct prony_mutex *mutex)
{
    pthread_mutexattr_t attr;
    int code = pthread_mutexattr_init(&attr);
    if (code != 0)
        return -code;
    if ((code = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED)) == 0 &&
        (code = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST)) == 0 &&
        (code = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK)) == 0)
        code = pthread_mutex_init(&mutex->mutex, &attr);
    (void)pthread_mutexattr_destroy(&attr);
    return -code;
}

#ifdef __SANITIZE_THREAD__
/* The thread sanitizer of gcc 12 overlooks that a lock with a limit may be had from the dead, but not that a try may: so it
 * tries now and then. The first call tells the caller's own lock. */
static int lock_until(pthread_mutex_t *mutex, int64_t timeout_ns)
{
    const struct timespec at_once = {0, 0}, nap = {0, 200000};
    int code = pthread_mutex_timedlock(mutex, &at_once);
    for (int64_t left = timeout_ns; code == ETIMEDOUT && left > 0; left -= nap.tv_nsec) {
        (void)nanosleep(&nap, NULL);
        code = pthread_mutex_trylock(mutex);
        code = code == EBUSY ? ETIMEDOUT : code;
    }
    return code;
}
#else
static int lock_until(pthread_mutex_t *mutex, int64_t timeout_ns)
{
    struct timespec end = {0, 0};
    if (timeout_ns > 0) {
        (void)clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += timeout_ns / 1000000000;
        end.tv_nsec += timeout_ns % 1000000000;
        if (end.tv_nsec >= 1000000000) {
            end.tv_sec++;
            end.tv_nsec -= 1000000000;
        }
    }
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
}
#endif

/* It is another's, or the caller's: waits. A try is a wait whose end has passed, because trylock would not tell the two
 * apart. */
static int acquire_slowly(struct prony_mutex *mutex, int64_t timeout_ns)
{
    struct prony_timeline *timeline = prony_timeline_self;
    int code;
    prony_timeline_mark(timeline, PRONY_NOTE_WAIT, PRONY_ON_LOCK);
    code = timeout_ns < 0 ? pthread_mutex_lock(&mutex->mutex) : lock_until(&mutex->mutex, timeout_ns);
    prony_timeline_mark(timeline, PRONY_NOTE_GO_ON, PRONY_ON_LOCK);
    return code;
}

int prony_mutex_acquire(struct prony_mutex *mutex, int64_t timeout_ns)
{
    int code = pthread_mutex_trylock(&mutex->mutex);
    if (code == EBUSY)
        code = acquire_slowly(mutex, timeout_ns);
    if (code == EOWNERDEAD)
        (void)pthread_mutex_consistent(&mutex->mutex);
    return -code;
}

int prony_mutex_release(struct prony_mutex *mutex)
{
    return -pthread_mutex_unlock(&mutex->mutex);
}

int prony_rlock_init(struct prony_rlock *lock)
{
    lock->owner = lock->depth = 0;
    return prony_mutex_init(&lock->mutex);
}

/* Only the owner itself ever finds its own number there. */
static int is_mine(const struct prony_rlock *lock)
{
    return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == self();
}

static void own(struct prony_rlock *lock, uint32_t depth)
{
    __atomic_store_n(&lock->owner, self(), __ATOMIC_RELAXED);
    lock->depth = depth;
}

int prony_rlock_acquire(struct prony_rlock *lock, int64_t timeout_ns)
{
    int code = prony_mutex_acquire(&lock->mutex, timeout_ns);
    if (code == -EDEADLK) {
        lock->depth++;
        return 0;
    }
    if (code == 0 || code == -EOWNERDEAD)
        own(lock, 1);
    return code;
}

int prony_rlock_release(struct prony_rlock *lock)
{
    if (!is_mine(lock))
        return -EPERM;
    if (--lock->depth > 0)
        return 0;
    __atomic_store_n(&lock->owner, 0, __ATOMIC_RELAXED);
    return prony_mutex_release(&lock->mutex);
}

/* Without the lock: 0 when there is a notice that was not seen, or -ETIMEDOUT. It naps, because who was woken may die. */
static int await_notice(struct prony_condition *condition, uint32_t seen, uint64_t end)
{
    look_for_change(&condition->notices, seen);
    while (__atomic_load_n(&condition->notices, __ATOMIC_ACQUIRE) == seen) {
        if (left_ns(end) == 0)
            return -ETIMEDOUT;
        (void)prony_futex_wait(&condition->notices, seen, nap_ns(end));
    }
    return 0;
}

/* With the lock: is it this waiter that is let go? Who came after the last notice is not meant by it. */
static int take_unit(struct prony_condition *condition, uint32_t seen)
{
    if (__atomic_load_n(&condition->notices, __ATOMIC_RELAXED) == seen || condition->units == 0)
        return 0;
    condition->units--;
    return 1;
}

int prony_condition_wait(struct prony_condition *condition, struct prony_rlock *lock, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    uint32_t depth;
    int code = 0, again = 0, mine = 0;
    if (!is_mine(lock))
        return -EPERM;
    condition->waiters++;
    depth = lock->depth;
    while (code == 0 && again == 0 && !mine) {
        const uint32_t seen = __atomic_load_n(&condition->notices, __ATOMIC_RELAXED);
        lock->depth = 1;
        (void)prony_rlock_release(lock);
        code = await_notice(condition, seen, end);
        again = prony_mutex_acquire(&lock->mutex, -1);
        own(lock, depth);
        mine = take_unit(condition, seen);
    }
    condition->waiters--;
    return again != 0 ? again : mine ? 0 : code; /* a notice may have come while the lock did */
}

int prony_condition_wait_for(struct prony_condition *condition, struct prony_rlock *lock, int (*holds)(void *context),
                             void *context, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    int code = is_mine(lock) ? 0 : -EPERM, died = 0;
    while (code == 0 && !holds(context)) {
        code = prony_condition_wait(condition, lock, left_ns(end));
        if (code == -EOWNERDEAD) {
            died = code;
            code = 0;
        }
    }
    if (code == -ETIMEDOUT && holds(context)) /* it came about while the lock was waited for */
        code = 0;
    return code != 0 ? code : died;
}

int prony_condition_notify(struct prony_condition *condition, struct prony_rlock *lock, uint32_t n)
{
    if (!is_mine(lock))
        return -EPERM;
    if (n == 0 || condition->waiters == 0)
        return 0;
    condition->units = n < condition->waiters - condition->units ? condition->units + n : condition->waiters;
    __atomic_fetch_add(&condition->notices, 1, __ATOMIC_RELEASE);
    prony_futex_wake(&condition->notices, n > INT_MAX ? INT_MAX : (int)n);
    return 0;
}
