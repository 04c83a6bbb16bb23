/* Limits of waits: an end on the clock, and what is left of it. */
#ifndef PRONY_PARALLEL_UNTIL_H
#define PRONY_PARALLEL_UNTIL_H

#include <prony/sync.h>

#include "base/clock.h"

/* A waiter that another's death may have left unwoken looks again after this. */
#define PRONY_NAP_NS 100000000
#define PRONY_LOOKS 200u /* about 5 us */

/* Looks at a word for a little longer than a sleep and a wake take, until it is not `seen` any more: what is waited for
 * mostly comes soon, and then neither side calls the kernel. */
static inline void look_for_change(const uint32_t *word, uint32_t seen)
{
    for (unsigned looks = 0; looks < PRONY_LOOKS && __atomic_load_n(word, __ATOMIC_ACQUIRE) == seen; looks++)
        prony_pause();
}

/* When a limit of so many nanoseconds from now is over; 0: never. */
static inline uint64_t until_ns(int64_t timeout_ns)
{
    uint64_t now;
    if (timeout_ns < 0)
        return 0;
    now = prony_now_ns();
    return now + (uint64_t)timeout_ns;
}

/* What is left; 0 when it is over, -1 when there is no limit. */
static inline int64_t left_ns(uint64_t end_ns)
{
    uint64_t now;
    if (end_ns == 0)
        return -1;
    now = prony_now_ns();
    return now >= end_ns ? 0 : (int64_t)(end_ns - now);
}

/* The same, but never longer than a nap. */
static inline int64_t nap_ns(uint64_t end_ns)
{
    int64_t left = left_ns(end_ns);
    return left < 0 || left > PRONY_NAP_NS ? PRONY_NAP_NS : left;
}

#endif
