/* Semaphore and event: one word each, which is whole after every step, whoever dies. */
#include <prony/sync.h>

#include "parallel/until.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>

int prony_semaphore_init(struct prony_semaphore *semaphore, uint32_t value, uint32_t bound)
{
    if (bound != 0 && value > bound)
        return -EINVAL;
    *semaphore = (struct prony_semaphore){value, 0, bound};
    return 0;
}

static int take(struct prony_semaphore *semaphore)
{
    uint32_t value = __atomic_load_n(&semaphore->value, __ATOMIC_RELAXED);
    while (value > 0)
        if (__atomic_compare_exchange_n(&semaphore->value, &value, value - 1, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return 1;
    return 0;
}

/* It naps, because who was woken for a unit may die before it takes it. */
int prony_semaphore_acquire(struct prony_semaphore *semaphore, int64_t timeout_ns)
{
    uint64_t end;
    int code = 0;
    if (take(semaphore))
        return 0;
    if (timeout_ns == 0)
        return -ETIMEDOUT;
    end = until_ns(timeout_ns);
    look_for_change(&semaphore->value, 0);
    __atomic_fetch_add(&semaphore->waiters, 1, __ATOMIC_SEQ_CST);
    while (!take(semaphore)) {
        if (left_ns(end) == 0) {
            code = -ETIMEDOUT;
            break;
        }
        (void)prony_futex_wait(&semaphore->value, 0, nap_ns(end));
    }
    __atomic_fetch_sub(&semaphore->waiters, 1, __ATOMIC_RELAXED);
    return code;
}

int prony_semaphore_release(struct prony_semaphore *semaphore, uint32_t n)
{
    const uint32_t bound = semaphore->bound != 0 ? semaphore->bound : UINT32_MAX;
    uint32_t value = __atomic_load_n(&semaphore->value, __ATOMIC_RELAXED);
    if (n == 0)
        return -EINVAL;
    do {
        if (n > bound || value > bound - n)
            return -EOVERFLOW;
    } while (!__atomic_compare_exchange_n(&semaphore->value, &value, value + n, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (__atomic_load_n(&semaphore->waiters, __ATOMIC_SEQ_CST) != 0)
        prony_futex_wake(&semaphore->value, n > INT_MAX ? INT_MAX : (int)n);
    return 0;
}

uint32_t prony_semaphore_value(const struct prony_semaphore *semaphore)
{
    return __atomic_load_n(&semaphore->value, __ATOMIC_ACQUIRE);
}

enum { SET = 1, WAITED = 2, ONE_SET = 4 };

void prony_event_set(struct prony_event *event)
{
    uint32_t word = __atomic_load_n(&event->word, __ATOMIC_RELAXED), next;
    do {
        next = (word & SET) != 0 ? word : (((word & ~(uint32_t)WAITED) + ONE_SET) | SET);
    } while (!__atomic_compare_exchange_n(&event->word, &word, next, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if ((word & WAITED) != 0)
        prony_futex_wake(&event->word, INT_MAX);
}

void prony_event_clear(struct prony_event *event)
{
    __atomic_fetch_and(&event->word, ~(uint32_t)SET, __ATOMIC_RELAXED);
}

int prony_event_is_set(const struct prony_event *event)
{
    return (__atomic_load_n(&event->word, __ATOMIC_ACQUIRE) & SET) != 0;
}

int prony_event_wait(struct prony_event *event, int64_t timeout_ns)
{
    uint32_t word = __atomic_load_n(&event->word, __ATOMIC_ACQUIRE);
    const uint32_t sets = word / ONE_SET;
    uint64_t end = 0;
    if ((word & SET) != 0)
        return 0;
    if (timeout_ns == 0)
        return -ETIMEDOUT;
    end = until_ns(timeout_ns);
    look_for_change(&event->word, word);
    word = __atomic_load_n(&event->word, __ATOMIC_ACQUIRE);
    while ((word & SET) == 0 && word / ONE_SET == sets) {
        if (left_ns(end) == 0)
            return -ETIMEDOUT;
        if ((word & WAITED) != 0 ||
            __atomic_compare_exchange_n(&event->word, &word, word | WAITED, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
            (void)prony_futex_wait(&event->word, word | WAITED, nap_ns(end));
            word = __atomic_load_n(&event->word, __ATOMIC_ACQUIRE);
        }
    }
    return 0;
}
