/* Limits of waits: an end on the clock, and what is left of it. */
#ifndef PRONY_PARALLEL_UNTIL_H
#define PRONY_PARALLEL_UNTIL_H

#include "base/clock.h"

/* A waiter that another's death may have left unwoken looks again after this. */
#define PRONY_NAP_NS 100000000

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
