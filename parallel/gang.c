/* Gangs: one kernel in every worker at once. The caller puts a call on each worker's desk, so a call is neither lost nor
 * given twice, whoever starts, sleeps or dies meanwhile. */
#include "parallel/crew.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define STOP 0x80000000u    /* in hall->barrier: a peer died, or the caller gave up */
#define ARRIVED 0x0000ffffu /* how many wait; between the two the phase */
#define PHASE 0x00010000u
#define GRACE_NS 500000000 /* for kernels that look at ops->stopped, after a timeout, when they are scheduled */

struct gang {
    struct prony_crew *crew;
    unsigned roles;
};

/* The worker's part. */
void prony_crew_perform(struct prony_body *me)
{
    struct prony_desk *desk = me->desk;
    uint32_t call = __atomic_load_n(&desk->call, __ATOMIC_ACQUIRE), number = call & ~3u;
    struct prony_task task;
    if (!__atomic_compare_exchange_n(&desk->call, &call, number | PRONY_CALL_RUNS, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return; /* taken back */
    task = me->crew->hall->gang;
    me->worker.roles = me->crew->hall->roles;
    desk->answer = prony_task_run(&me->worker, &task);
    me->worker.roles = me->worker.count;
    __atomic_store_n(&desk->call, number | PRONY_CALL_DONE, __ATOMIC_SEQ_CST);
    prony_crew_tell(me->crew);
}

static void stop(struct prony_crew *crew)
{
    __atomic_fetch_or(&crew->hall->barrier, STOP, __ATOMIC_SEQ_CST);
    prony_futex_wake(&crew->hall->barrier, INT_MAX);
}

/* A dead worker's call: one that had not begun is its successor's, one that ran is over and its peers are told. */
bool prony_crew_gang_lost(struct prony_crew *crew, unsigned index, int code)
{
    struct prony_desk *desk = &crew->desks[index];
    uint32_t call = __atomic_load_n(&desk->call, __ATOMIC_ACQUIRE);
    if ((call & 3u) == PRONY_CALL_RUNS) {
        desk->answer = code;
        __atomic_store_n(&desk->call, (call & ~3u) | PRONY_CALL_DONE, __ATOMIC_RELEASE);
        stop(crew);
    }
    return true;
}

static bool is_over(void *context, bool sleep)
{
    const struct gang *gang = context;
    (void)sleep;
    for (unsigned i = 0; i < gang->roles; i++) {
        uint32_t phase = __atomic_load_n(&gang->crew->desks[i].call, __ATOMIC_SEQ_CST) & 3u;
        if (phase == PRONY_CALLED || phase == PRONY_CALL_RUNS)
            return false;
    }
    return true;
}

/* After a timeout: takes back calls that nobody began, asks kernels to stop, kills processes that do not. */
static void give_up(struct gang *gang)
{
    struct prony_crew *crew = gang->crew;
    stop(crew);
    for (unsigned i = 0; i < gang->roles; i++) {
        uint32_t call = __atomic_load_n(&crew->desks[i].call, __ATOMIC_ACQUIRE);
        int32_t *answer = &crew->desks[i].answer;
        if ((call & 3u) == PRONY_CALLED &&
            __atomic_compare_exchange_n(&crew->desks[i].call, &call, (call & ~3u) | PRONY_CALL_DONE, 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            *answer = -ECANCELED;
    }
    if (prony_crew_await(crew, is_over, gang, prony_deadline(GRACE_NS)) == 0 || crew->policy.staff == PRONY_THREADS)
        return;
    for (unsigned i = 0; i < gang->roles; i++)
        if ((__atomic_load_n(&crew->desks[i].call, __ATOMIC_ACQUIRE) & 3u) == PRONY_CALL_RUNS)
            prony_crew_kill(crew, i, false);
    (void)prony_crew_await(crew, is_over, gang, UINT64_MAX);
}

int prony_crew_gang(struct prony_crew *crew, const struct prony_task *task, unsigned roles, int *status,
                    int64_t timeout_ns)
{
    struct gang all = {crew, crew->workers}, gang = {crew, roles};
    uint64_t deadline = prony_deadline(timeout_ns);
    int code;
    if (roles == 0 || roles > crew->workers)
        return -EINVAL;
    code = prony_crew_await(crew, is_over, &all, deadline); /* an earlier one that was given up may still run */
    if (code != 0)
        return code;
    crew->hall->gang = *task;
    crew->hall->roles = roles;
    __atomic_store_n(&crew->hall->barrier, 0, __ATOMIC_SEQ_CST);
    crew->gangs++;
    for (unsigned i = 0; i < roles; i++) {
        __atomic_store_n(&crew->desks[i].call, crew->gangs << 2 | PRONY_CALLED, __ATOMIC_SEQ_CST);
        (void)prony_crew_wake(crew, i);
    }
    code = prony_crew_await(crew, is_over, &gang, deadline);
    if (code != 0)
        give_up(&gang);
    for (unsigned i = 0; i < roles; i++)
        status[i] = (__atomic_load_n(&crew->desks[i].call, __ATOMIC_ACQUIRE) & 3u) == PRONY_CALL_DONE
                        ? crew->desks[i].answer
                        : -ETIMEDOUT;
    return code;
}

int prony_crew_stopped(struct prony_worker *worker)
{
    return (__atomic_load_n(&prony_body_of(worker)->crew->hall->barrier, __ATOMIC_ACQUIRE) & STOP) != 0;
}

/* Leaves a barrier that did not open in time. 0 when it opened just now. */
static int withdraw(uint32_t *word, uint32_t phase)
{
    uint32_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    while ((seen & ~ARRIVED) == phase)
        if (__atomic_compare_exchange_n(word, &seen, seen - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return -ETIMEDOUT;
    return (seen & STOP) != 0 ? -ECANCELED : 0;
}

int prony_crew_barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    const struct prony_crew *crew = prony_body_of(worker)->crew;
    uint32_t *word = &crew->hall->barrier;
    uint32_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE), phase, next;
    uint64_t deadline = timeout_ns < 0 ? UINT64_MAX : prony_deadline(timeout_ns);
    do {
        if ((seen & STOP) != 0)
            return -ECANCELED;
        phase = seen & ~ARRIVED;
        next = (seen & ARRIVED) + 1 == worker->roles ? (phase + PHASE) & ~STOP : seen + 1;
    } while (!__atomic_compare_exchange_n(word, &seen, next, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    if ((next & ARRIVED) == 0) {
        if (worker->roles > 1)
            prony_futex_wake(word, INT_MAX);
        return 0;
    }
    for (unsigned spins = 0;; spins++) {
        int64_t left = -1;
        seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
        if ((seen & STOP) != 0)
            return (seen & ~ARRIVED & ~STOP) == phase ? -ECANCELED : 0;
        if ((seen & ~ARRIVED) != phase)
            return 0;
        if (spins < crew->spins) {
            prony_pause();
            continue;
        }
        if (deadline != UINT64_MAX && (left = (int64_t)(deadline - prony_now_ns())) <= 0)
            return withdraw(word, phase);
        (void)prony_futex_wait(word, seen, left);
    }
}
