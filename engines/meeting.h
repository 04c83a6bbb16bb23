/* Where a known number of workers meet, again and again: one futex word in shared memory, between threads or processes.
 * Its lower half counts those who wait, the upper half the meetings held, the top bit says that there will be no more. */
#ifndef PRONY_ENGINES_MEETING_H
#define PRONY_ENGINES_MEETING_H

#include <prony/sync.h>

#include "base/clock.h"

#include <errno.h>
#include <limits.h>

#define PRONY_MEETING_OVER 0x80000000u
#define PRONY_MEETING_PHASE 0x7fff0000u
#define PRONY_MEETING_ONE 0x00010000u /* meeting */
#define PRONY_MEETING_SPINS 200u      /* pauses before a waiter blocks */

/* Waits until n have come. 0; -ETIMEDOUT; -ECANCELED when it is over and n had not come. timeout_ns < 0: no limit. */
static inline int prony_meeting_join(uint32_t *word, unsigned n, int64_t timeout_ns)
{
    uint64_t end_ns = timeout_ns < 0 ? 0 : prony_now_ns() + (uint64_t)timeout_ns;
    uint32_t seen = __atomic_add_fetch(word, 1, __ATOMIC_ACQ_REL), phase = seen & PRONY_MEETING_PHASE;
    for (unsigned spins = 0;; seen = __atomic_load_n(word, __ATOMIC_ACQUIRE)) {
        int64_t left_ns = -1;
        if ((seen & PRONY_MEETING_PHASE) != phase)
            return 0;
        if ((seen & PRONY_MEETING_OVER) != 0)
            return -ECANCELED;
        if ((seen & 0xffffu) == n) { /* the last; whoever waits may see it first */
            if (__atomic_compare_exchange_n(word, &seen, (seen - n + PRONY_MEETING_ONE) & PRONY_MEETING_PHASE, 0,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
                prony_futex_wake(word, INT_MAX);
            continue;
        }
        if (spins++ < PRONY_MEETING_SPINS) {
            prony_pause();
            continue;
        }
        if (timeout_ns >= 0 && (left_ns = (int64_t)(end_ns - prony_now_ns())) <= 0) {
            if (__atomic_compare_exchange_n(word, &seen, seen - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
                return -ETIMEDOUT;
            continue;
        }
        (void)prony_futex_wait(word, seen, left_ns);
    }
}

/* Sends everyone away who waits or comes. */
static inline void prony_meeting_end(uint32_t *word)
{
    __atomic_fetch_or(word, PRONY_MEETING_OVER, __ATOMIC_ACQ_REL);
    prony_futex_wake(word, INT_MAX);
}

static inline int prony_meeting_is_over(const uint32_t *word)
{
    return (__atomic_load_n(word, __ATOMIC_ACQUIRE) & PRONY_MEETING_OVER) != 0;
}

/* Ready for new ones. Nobody may be there. */
static inline void prony_meeting_reset(uint32_t *word)
{
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

#endif
