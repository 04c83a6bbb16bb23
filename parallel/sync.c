/* The lock and the futex under it. */
#include <prony/sync.h>

#include "base/clock.h"
#include "base/timeline.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS 100

int prony_futex_wait(uint32_t *word, uint32_t value, int64_t timeout_ns)
{
    struct timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT, value, timeout_ns < 0 ? NULL : &limit, NULL, 0);
    return rc != 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

void prony_futex_wake(uint32_t *word, int waiters)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, waiters, NULL, NULL, 0);
}

static int take(struct prony_lock *lock)
{
    uint32_t free_word = 0;
    return __atomic_compare_exchange_n(&lock->word, &free_word, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* The lock is another's: looks for a while, then sleeps. */
static int take_in_turn(struct prony_lock *lock, int64_t timeout_ns)
{
    uint64_t end;
    for (int i = 0; i < SPINS; i++) {
        if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == 0 && take(lock))
            return 0;
        prony_pause();
    }
    end = timeout_ns < 0 ? 0 : prony_now_ns() + (uint64_t)timeout_ns;
    while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0) {
        int64_t left = -1;
        if (timeout_ns >= 0 && (left = (int64_t)(end - prony_now_ns())) <= 0)
            return -ETIMEDOUT;
        (void)prony_futex_wait(&lock->word, 2, left);
    }
    return 0;
}

int prony_lock_acquire_for(struct prony_lock *lock, int64_t timeout_ns)
{
    struct prony_timeline *timeline;
    int code;
    if (take(lock))
        return 0;
    if (timeout_ns == 0)
        return -ETIMEDOUT;
    timeline = prony_timeline_self;
    prony_timeline_mark(timeline, PRONY_NOTE_WAIT, PRONY_ON_LOCK);
    code = take_in_turn(lock, timeout_ns);
    prony_timeline_mark(timeline, PRONY_NOTE_GO_ON, PRONY_ON_LOCK);
    return code;
}

void prony_lock_acquire(struct prony_lock *lock)
{
    (void)prony_lock_acquire_for(lock, -1);
}

int prony_lock_release(struct prony_lock *lock)
{
    const uint32_t word = __atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE);
    if (word == 2)
        prony_futex_wake(&lock->word, 1);
    return word != 0 ? 0 : -EPERM;
}
