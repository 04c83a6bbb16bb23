/* The barrier: a count under a mutex, and a word that each meeting changes when it ends.
 *
 * Who wakes late asks the bits of the last meetings how its own ended, so that nobody has to wait until all have left:
 * one that died on its way out would hold up the next meeting for ever. */
#include <prony/sync.h>

#include "base/timeline.h"
#include "parallel/until.h"

#include <errno.h>
#include <limits.h>

int prony_barrier_init(struct prony_barrier *barrier, uint32_t parties)
{
    if (parties == 0 || parties > INT_MAX)
        return -EINVAL;
    barrier->parties = parties;
    barrier->waiting = barrier->meetings = barrier->broken = 0;
    barrier->failed = 0;
    return prony_mutex_init(&barrier->mutex);
}

/* The present meeting is over. With the mutex held. */
static void end_meeting(struct prony_barrier *barrier, int failed)
{
    const uint64_t bit = UINT64_C(1) << barrier->meetings % 64;
    barrier->failed = failed ? barrier->failed | bit : barrier->failed & ~bit;
    __atomic_store_n(&barrier->waiting, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&barrier->meetings, barrier->meetings + 1, __ATOMIC_RELEASE);
    prony_futex_wake(&barrier->meetings, INT_MAX);
}

static void break_up(struct prony_barrier *barrier)
{
    __atomic_store_n(&barrier->broken, 1, __ATOMIC_RELEASE);
    end_meeting(barrier, 1);
}

/* Who died with the mutex held had not finished what it did to the meeting: that is broken. */
static void enter(struct prony_barrier *barrier)
{
    if (prony_mutex_acquire(&barrier->mutex, -1) == -EOWNERDEAD)
        break_up(barrier);
}

static void leave(struct prony_barrier *barrier)
{
    (void)prony_mutex_release(&barrier->mutex);
}

/* How the meeting ended; if it has not, its time is up. */
static int outcome(struct prony_barrier *barrier, uint32_t meeting, uint32_t number)
{
    int code;
    enter(barrier);
    if (barrier->meetings == meeting) {
        break_up(barrier);
        code = -ETIMEDOUT;
    } else {
        code = (barrier->failed >> meeting % 64 & 1) != 0 ? -ECANCELED : (int)number;
    }
    leave(barrier);
    return code;
}

int prony_barrier_wait(struct prony_barrier *barrier, int64_t timeout_ns)
{
    return prony_barrier_wait_action(barrier, NULL, NULL, timeout_ns);
}

/* All are there. With the mutex held: others leave when they have it in turn. */
static int meet(struct prony_barrier *barrier, int (*action)(void *context), void *context)
{
    const int code = action != NULL ? action(context) : 0;
    if (code < 0)
        break_up(barrier);
    else
        end_meeting(barrier, 0);
    return code < 0 ? code : 0;
}

int prony_barrier_wait_action(struct prony_barrier *barrier, int (*action)(void *context), void *context,
                              int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    struct prony_timeline *timeline = prony_timeline_self;
    uint32_t meeting, number;
    int code, last;
    enter(barrier);
    meeting = barrier->meetings;
    number = barrier->waiting;
    code = barrier->broken ? -ECANCELED : (int)number;
    last = code >= 0 && number + 1 == barrier->parties;
    if (last)
        code = (code = meet(barrier, action, context)) < 0 ? code : (int)number;
    else if (code >= 0)
        __atomic_store_n(&barrier->waiting, number + 1, __ATOMIC_RELAXED);
    leave(barrier);
    if (code < 0 || last)
        return code;
    prony_timeline_mark(timeline, PRONY_NOTE_WAIT, PRONY_ON_PEERS);
    look_for_change(&barrier->meetings, meeting);
    while (__atomic_load_n(&barrier->meetings, __ATOMIC_ACQUIRE) == meeting) {
        if (left_ns(end) == 0)
            break;
        if (prony_futex_wait(&barrier->meetings, meeting, nap_ns(end)) == -ETIMEDOUT) {
            enter(barrier);
            leave(barrier);
        }
    }
    prony_timeline_mark(timeline, PRONY_NOTE_GO_ON, PRONY_ON_PEERS);
    return outcome(barrier, meeting, number);
}

void prony_barrier_abort(struct prony_barrier *barrier)
{
    enter(barrier);
    break_up(barrier);
    leave(barrier);
}

void prony_barrier_reset(struct prony_barrier *barrier)
{
    enter(barrier);
    if (barrier->waiting > 0)
        end_meeting(barrier, 1);
    __atomic_store_n(&barrier->broken, 0, __ATOMIC_RELEASE);
    leave(barrier);
}

int prony_barrier_is_broken(const struct prony_barrier *barrier)
{
    return __atomic_load_n(&barrier->broken, __ATOMIC_ACQUIRE) != 0;
}

uint32_t prony_barrier_waiting(const struct prony_barrier *barrier)
{
    return __atomic_load_n(&barrier->waiting, __ATOMIC_ACQUIRE);
}
