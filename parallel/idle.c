/* Sleeping and waking. A worker shows that it sleeps before it looks for work a last time, and who brings work shows it
 * before it looks for sleepers; both steps are sequentially consistent, so one of the two sees the other. */
#include "parallel/crew.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>

#define LOOK_NS 2000000  /* how often a sleeping caller looks for dead processes */
#define DRAIN_YIELDS 50u /* looks of a caller that drains, before it sleeps between them */
/* The same of a caller whose PU a worker shares: to be woken from elsewhere costs more than many of them. */
#define BESIDE_YIELDS 200u

uint64_t prony_deadline(int64_t timeout_ns)
{
    return timeout_ns < 0 || timeout_ns > INT64_MAX / 2 ? UINT64_MAX : prony_now_ns() + (uint64_t)timeout_ns;
}

int64_t prony_left(uint64_t deadline)
{
    const uint64_t now = deadline == UINT64_MAX ? 0 : prony_now_ns();
    return deadline == UINT64_MAX ? -1 : deadline > now ? (int64_t)(deadline - now) : 0;
}

void prony_crew_rest(struct prony_body *me)
{
    struct prony_hall *hall = me->crew->hall;
    struct prony_desk *desk = me->desk;
    uint64_t *resting = &hall->resting[me->worker.index / 64];
    const uint64_t bit = UINT64_C(1) << me->worker.index % 64;
    __atomic_store_n(&desk->asleep, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(resting, bit, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&desk->call, __ATOMIC_SEQ_CST) & 3u) != PRONY_CALLED &&
        __atomic_load_n(&hall->closing, __ATOMIC_SEQ_CST) == 0 && !me->crew->trade->peek(me)) {
        if (__atomic_load_n(&hall->parked, __ATOMIC_SEQ_CST) != 0)
            prony_crew_tell(me->crew);
        prony_timeline_mark(me->worker.timeline, PRONY_NOTE_WAIT, PRONY_ON_WORK);
        (void)prony_futex_wait(&desk->asleep, 1, -1);
        prony_timeline_mark(me->worker.timeline, PRONY_NOTE_GO_ON, PRONY_ON_WORK);
    }
    __atomic_store_n(&desk->asleep, 0, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(resting, ~bit, __ATOMIC_SEQ_CST);
}

/* Up to 64 workers the bound is exact; beyond, two may pass it at the same moment in different words. */
bool prony_crew_look_on(struct prony_body *me)
{
    uint64_t *looking = me->crew->hall->looking, *mine = &looking[me->worker.index / 64];
    const uint64_t bit = UINT64_C(1) << me->worker.index % 64;
    uint64_t seen = __atomic_load_n(mine, __ATOMIC_RELAXED);
    unsigned others = 0;
    for (unsigned i = 0; i * 64 < me->worker.count; i++)
        if (i != me->worker.index / 64)
            others += (unsigned)__builtin_popcountll(__atomic_load_n(&looking[i], __ATOMIC_RELAXED));
    do {
        if (others + (unsigned)__builtin_popcountll(seen) >= me->crew->lookers)
            return false;
    } while (!__atomic_compare_exchange_n(mine, &seen, seen | bit, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    me->looking = true;
    return true;
}

void prony_crew_look_away(struct prony_body *me)
{
    __atomic_fetch_and(&me->crew->hall->looking[me->worker.index / 64], ~(UINT64_C(1) << me->worker.index % 64),
                       __ATOMIC_RELAXED);
    me->looking = false;
}

bool prony_crew_wake(struct prony_crew *crew, unsigned index)
{
    struct prony_desk *desk = &crew->desks[index];
    if (__atomic_load_n(&desk->asleep, __ATOMIC_SEQ_CST) == 0 ||
        __atomic_exchange_n(&desk->asleep, 0, __ATOMIC_SEQ_CST) == 0)
        return false;
    __atomic_fetch_and(&crew->hall->resting[index / 64], ~(UINT64_C(1) << index % 64), __ATOMIC_SEQ_CST);
    prony_futex_wake(&desk->asleep, 1);
    return true;
}

bool prony_crew_rests(const struct prony_crew *crew)
{
    for (unsigned i = 0; i * 64 < crew->workers; i++)
        if (__atomic_load_n(&crew->hall->resting[i], __ATOMIC_SEQ_CST) != 0)
            return true;
    return false;
}

void prony_crew_wake_other(struct prony_crew *crew)
{
    for (unsigned i = 0; i * 64 < crew->workers; i++)
        for (uint64_t resting = __atomic_load_n(&crew->hall->resting[i], __ATOMIC_SEQ_CST); resting != 0;
             resting &= resting - 1) {
            const unsigned index = i * 64 + (unsigned)__builtin_ctzll(resting);
            if (!prony_crew_beside(crew, index) && prony_crew_wake(crew, index))
                return;
        }
}

void prony_crew_wake_some(struct prony_crew *crew, unsigned n)
{
    for (unsigned i = 0; i * 64 < crew->workers && n > 0; i++) {
        uint64_t resting = __atomic_load_n(&crew->hall->resting[i], __ATOMIC_SEQ_CST);
        for (; resting != 0 && n > 0; n--) {
            (void)prony_crew_wake(crew, i * 64 + (unsigned)__builtin_ctzll(resting));
            resting &= resting - 1;
        }
    }
}

/* Where only some look on, they find the kid; a parent that woke a sleeper for each would do little else. */
void prony_crew_wake_helper(struct prony_crew *crew)
{
    for (unsigned i = 0; i * 64 < crew->workers; i++)
        if (__atomic_load_n(&crew->hall->looking[i], __ATOMIC_RELAXED) != 0)
            return;
    prony_crew_wake_some(crew, 1);
}

bool prony_crew_beside(const struct prony_crew *crew, unsigned index)
{
    const struct prony_setup *setup = crew->setup;
    return setup->pus != NULL && setup->caller_pu >= 0 && setup->pus[index] == setup->caller_pu;
}

void prony_crew_wake_beside(struct prony_crew *crew)
{
    for (unsigned i = 0; crew->setup->pus != NULL && i < crew->workers; i++)
        if (prony_crew_beside(crew, i))
            (void)prony_crew_wake(crew, i);
}

void prony_crew_ring(struct prony_crew *crew)
{
    __atomic_fetch_add(&crew->hall->bell, 1, __ATOMIC_SEQ_CST);
    prony_futex_wake(&crew->hall->bell, INT_MAX);
}

void prony_crew_tell(struct prony_crew *crew)
{
    if (__atomic_load_n(&crew->hall->caller_waits, __ATOMIC_SEQ_CST) != 0)
        prony_crew_ring(crew);
}

/* How long to sleep: to the deadline, but where processes may die only to the next look. */
static int64_t nap(const struct prony_crew *crew, uint64_t deadline)
{
    int64_t left = -1;
    if (deadline != UINT64_MAX) {
        uint64_t now = prony_now_ns();
        left = deadline > now ? (int64_t)(deadline - now) : 0;
    }
    if ((crew->policy.staff == PRONY_PROCESSES || crew->draining) && (left < 0 || left > LOOK_NS))
        left = LOOK_NS;
    return left;
}

int prony_crew_await(struct prony_crew *crew, bool (*done)(void *context, bool sleep), void *context, uint64_t deadline)
{
    struct prony_hall *hall = crew->hall;
    const unsigned yields = crew->patience < crew->spins ? BESIDE_YIELDS : crew->draining ? DRAIN_YIELDS : 0;
    for (unsigned i = 0; i < crew->patience && crew->broken == 0; i++) {
        if (done(context, false))
            return 0;
        if (deadline != UINT64_MAX && (i & 63u) == 63u && prony_now_ns() >= deadline)
            break;
        if (crew->policy.staff == PRONY_PROCESSES && (i & 0xffffu) == 0xffffu)
            prony_crew_reap(crew);
        prony_pause();
    }
    for (unsigned i = 0; i < yields && crew->broken == 0; i++, (void)sched_yield()) {
        if (done(context, false))
            return 0;
        if (deadline != UINT64_MAX && prony_now_ns() >= deadline)
            break;
    }
    for (;;) {
        uint32_t bell = __atomic_load_n(&hall->bell, __ATOMIC_SEQ_CST);
        int64_t left = nap(crew, deadline);
        bool is_done;
        __atomic_store_n(&hall->caller_waits, 1, __ATOMIC_SEQ_CST);
        is_done = done(context, true);
        if (!is_done && crew->broken == 0 && left != 0)
            (void)prony_futex_wait(&hall->bell, bell, left);
        __atomic_store_n(&hall->caller_waits, 0, __ATOMIC_RELAXED);
        if (is_done)
            return 0;
        prony_crew_reap(crew);
        if (crew->broken != 0)
            return done(context, false) ? 0 : crew->broken;
        if (deadline != UINT64_MAX && prony_now_ns() >= deadline)
            return done(context, false) ? 0 : -ETIMEDOUT;
    }
}

bool prony_crew_all_rest(void *context, bool sleep)
{
    struct prony_crew *crew = context;
    (void)sleep;
    for (unsigned i = 0; i < crew->workers; i++)
        if (__atomic_load_n(&crew->desks[i].asleep, __ATOMIC_SEQ_CST) == 0)
            return false;
    return true;
}

int prony_crew_park(struct prony_crew *crew, int parked)
{
    __atomic_store_n(&crew->hall->parked, parked != 0, __ATOMIC_SEQ_CST);
    return parked != 0 ? prony_crew_await(crew, prony_crew_all_rest, crew, UINT64_MAX) : 0;
}
