/* Futures: how a task is claimed, run and completed, and how the caller waits.
 *
 * The state word decides everything: whoever moves it from QUEUED to RUNNING runs the task, and the ticket in it keeps
 * stale copies of earlier tasks away. Before a worker touches a future it names it in desk->intent, and while it runs the
 * task, slot->held names it (with `outer` a chain: tasks that wait below it in the same worker). So a death at any
 * instruction leaves written down what has to fail. */
#include "parallel/crew.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#define STOP_NS 1000000000 /* how long a process may take to stop */
#define FETCH 16u          /* futures from the one that is looked at to the one that is fetched early */

struct prony_future *prony_crew_future(const struct prony_crew *crew, uint64_t off)
{
    return (struct prony_future *)(void *)(crew->setup->base + off);
}

uint32_t prony_future_queue(struct prony_crew *crew, uint64_t off, uint32_t ticket)
{
    struct prony_future *future = prony_crew_future(crew, off);
    const uint32_t mark = (ticket & PRONY_LISTED) << 2;
    ticket &= PRONY_TICKETS;
    __atomic_store_n(&future->worker, PRONY_NOBODY, __ATOMIC_RELAXED);
    future->generation = 0;
    future->queued_ns = prony_future_timed(crew->policy.times, ticket) ? prony_now_ns() : 0;
    future->begun_ns = future->ended_ns = future->done_ns = 0;
    __atomic_store_n(&future->state, mark | ticket << 2 | PRONY_QUEUED, __ATOMIC_RELEASE);
    return ticket;
}

bool prony_future_claim(struct prony_body *me, const struct prony_task *task)
{
    struct prony_future *future = prony_at(&me->worker, task->future);
    struct prony_slot *slot = me->worker.slot;
    const uint32_t ticket = (task->ticket & PRONY_TICKETS) << 2;
    uint32_t seen = __atomic_load_n(&future->state, __ATOMIC_RELAXED);
    if ((seen & ~PRONY_MARKS) != (ticket | PRONY_QUEUED))
        return false;
    __atomic_store_n(&me->desk->intent, task->future, __ATOMIC_RELEASE);
    while (!__atomic_compare_exchange_n(&future->state, &seen, (seen & PRONY_MARKS) | ticket | PRONY_RUNNING, 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        if ((seen & ~PRONY_MARKS) != (ticket | PRONY_QUEUED)) {
            __atomic_store_n(&me->desk->intent, 0, __ATOMIC_RELEASE);
            return false;
        }
    future->generation = me->worker.generation;
    __atomic_store_n(&future->worker, me->worker.index, __ATOMIC_RELEASE);
    __atomic_store_n(&future->outer, slot->held, __ATOMIC_RELEASE);
    __atomic_store_n(&me->desk->turns, me->desk->turns + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->held, task->future, __ATOMIC_RELEASE);
    __atomic_store_n(&me->desk->intent, 0, __ATOMIC_RELEASE);
    return true;
}

/* Most tasks end without anybody to be told. */
static bool end_unmarked(struct prony_future *future, uint32_t ticket, int status)
{
    uint32_t seen = ticket << 2 | PRONY_RUNNING;
    if (__atomic_load_n(&future->state, __ATOMIC_RELAXED) != seen)
        return false;
    __atomic_store_n(&future->status, status, __ATOMIC_RELAXED);
    return __atomic_compare_exchange_n(&future->state, &seen, ticket << 2 | PRONY_DONE, 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* Is the stack nearly used up? An eighth is kept for what kernels call. A stack of which nothing is known is never deep. */
static bool is_deep(struct prony_body *me)
{
    pthread_attr_t attr;
    void *low;
    size_t bytes;
    if (me->deep == NULL) {
        me->deep = (const char *)1;
        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
            if (pthread_attr_getstack(&attr, &low, &bytes) == 0)
                me->deep = (const char *)low + bytes / 8;
            (void)pthread_attr_destroy(&attr);
        }
    }
    return (const char *)__builtin_frame_address(0) < me->deep;
}

void prony_future_run(struct prony_body *me, const struct prony_task *task)
{
    struct prony_future *future = prony_at(&me->worker, task->future);
    struct prony_slot *slot = me->worker.slot;
    const uint64_t off = task->future, outer = future->outer;
    const uint32_t ticket = task->ticket & PRONY_TICKETS;
    const uint64_t top = me->worker.top;
    const bool timed = me->crew->policy.times != 0 && future->queued_ns != 0;
    int64_t items = 1;
    int status;
    if (timed)
        future->begun_ns = prony_now_ns();
    status = outer != 0 && is_deep(me) ? -ENOMEM : prony_task_run(&me->worker, task);
    me->worker.top = top;
    if (timed)
        future->done_ns = future->ended_ns = prony_now_ns();
    if (off - me->crew->chunks.off < me->crew->chunks.len)
        items = status == 0 ? task->hi - task->lo : 0;
    __atomic_store_n(&slot->items, slot->items + items, __ATOMIC_RELAXED);
    __atomic_store_n(&me->desk->intent, off, __ATOMIC_RELEASE);
    __atomic_store_n(&me->desk->turns, me->desk->turns + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->held, outer, __ATOMIC_RELEASE);
    if (!end_unmarked(future, ticket, status))
        (void)prony_future_end(me->crew, off, ticket, PRONY_RUNNING, status);
    __atomic_store_n(&me->desk->intent, 0, __ATOMIC_RELEASE);
}

static void list(struct prony_crew *crew, struct prony_future *future, uint64_t off)
{
    uint64_t *ended = &crew->hall->ended, last = __atomic_load_n(ended, __ATOMIC_RELAXED);
    do
        __atomic_store_n(&future->outer, last, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(ended, &last, off, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (last == 0)
        prony_crew_tell(crew);
}

/* Moves a future from a phase to DONE and wakes who waits for it; false when it is no longer in that phase. */
bool prony_future_end(struct prony_crew *crew, uint64_t off, uint32_t ticket, enum prony_phase from, int status)
{
    struct prony_future *future = prony_crew_future(crew, off);
    const uint32_t expected = ticket << 2 | (uint32_t)from;
    uint32_t seen = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    if (from == PRONY_QUEUED) { /* first make it ours, as any worker would: then the status is ours to write */
        do {
            if ((seen & ~PRONY_MARKS) != expected)
                return false;
        } while (!__atomic_compare_exchange_n(&future->state, &seen, (seen & PRONY_MARKS) | ticket << 2 | PRONY_RUNNING,
                                              0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
        return prony_future_end(crew, off, ticket, PRONY_RUNNING, status);
    }
    if ((seen & ~PRONY_MARKS) != expected)
        return false;
    __atomic_store_n(&future->status, status, __ATOMIC_RELAXED);
    do {
        if ((seen & ~PRONY_MARKS) != expected)
            return false;
    } while (!__atomic_compare_exchange_n(&future->state, &seen, (seen & PRONY_MARK_LISTED) | ticket << 2 | PRONY_DONE,
                                          0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    if ((seen & PRONY_MARKS) == 0)
        return true;
    if ((seen & PRONY_MARK_SLEEPER) != 0)
        prony_futex_wake(&future->state, INT_MAX);
    if ((seen & PRONY_MARK_LISTED) != 0)
        list(crew, future, off);
    if ((seen & PRONY_MARK_BELL) != 0)
        prony_crew_ring(crew);
    return true;
}

/* Blocks a worker until the future is DONE, or for a while. */
void prony_future_sleep(struct prony_future *future, int64_t timeout_ns)
{
    uint32_t seen = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    while ((seen & 3u) != PRONY_DONE && (seen & PRONY_MARK_SLEEPER) == 0)
        if (__atomic_compare_exchange_n(&future->state, &seen, seen | PRONY_MARK_SLEEPER, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_ACQUIRE))
            seen |= PRONY_MARK_SLEEPER;
    if ((seen & 3u) != PRONY_DONE)
        (void)prony_futex_wait(&future->state, seen, timeout_ns);
}

uint64_t prony_crew_collect(struct prony_crew *crew)
{
    uint64_t at = __atomic_exchange_n(&crew->hall->ended, 0, __ATOMIC_SEQ_CST), first = 0;
    while (at != 0) {
        struct prony_future *future = prony_crew_future(crew, at);
        const uint64_t before = __atomic_load_n(&future->outer, __ATOMIC_RELAXED);
        const uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
        __atomic_store_n(&future->state, state & ~PRONY_MARK_LISTED, __ATOMIC_RELAXED);
        __atomic_store_n(&future->outer, first, __ATOMIC_RELAXED);
        first = at;
        at = before;
    }
    return first;
}

bool prony_crew_listed(void *context, bool sleep)
{
    const struct prony_crew *crew = context;
    (void)sleep;
    return __atomic_load_n(&crew->hall->ended, __ATOMIC_SEQ_CST) != 0;
}

bool prony_crew_idle(const struct prony_crew *crew)
{
    for (unsigned i = 0; i < crew->workers; i++)
        if (__atomic_load_n(&crew->desks[i].intent, __ATOMIC_SEQ_CST) != 0 ||
            __atomic_load_n(&prony_crew_slot(crew, i)->held, __ATOMIC_SEQ_CST) != 0)
            return false;
    return true;
}

/* Is a live worker just claiming it? */
static bool claimed_by_peer(const struct prony_crew *crew, uint64_t off, unsigned dead)
{
    for (unsigned i = 0; i < crew->workers; i++)
        if (i != dead && crew->mates[i].life == PRONY_ALIVE &&
            __atomic_load_n(&crew->desks[i].intent, __ATOMIC_SEQ_CST) == off)
            return true;
    return false;
}

/* Fails a future if it is the dead worker's. False: a peer is just claiming it, ask again. */
static bool fail_one(struct prony_crew *crew, unsigned index, uint64_t off, int code)
{
    struct prony_future *future = prony_crew_future(crew, off);
    uint32_t state = __atomic_load_n(&future->state, __ATOMIC_SEQ_CST);
    uint32_t worker = __atomic_load_n(&future->worker, __ATOMIC_SEQ_CST);
    if ((state & 3u) != PRONY_RUNNING)
        return true;
    if (worker == PRONY_NOBODY) { /* claimed by someone who has not said so yet: a live peer, or the dead one */
        if (claimed_by_peer(crew, off, index))
            return false;
        worker = __atomic_load_n(&future->worker, __ATOMIC_SEQ_CST);
        if (worker == PRONY_NOBODY)
            worker = index;
        else if (worker == index)
            return false;
    } else if (future->generation != crew->mates[index].generation) {
        return true;
    }
    if (worker == index)
        (void)prony_future_end(crew, off, state >> 2 & PRONY_TICKETS, PRONY_RUNNING, code);
    return true;
}

/* A worker that died between the last step of a task and its place in the list: lists the future if it is not there. */
static void list_once(struct prony_crew *crew, unsigned index, uint64_t off)
{
    struct prony_future *future = prony_crew_future(crew, off);
    const uint32_t state = __atomic_load_n(&future->state, __ATOMIC_SEQ_CST);
    uint64_t at = __atomic_load_n(&crew->hall->ended, __ATOMIC_SEQ_CST);
    if ((state & 3u) != PRONY_DONE || (state & PRONY_MARK_LISTED) == 0 || future->worker != index ||
        future->generation != crew->mates[index].generation)
        return;
    while (at != 0 && at != off) /* only the caller takes from the list, so what is behind its head stays */
        at = __atomic_load_n(&prony_crew_future(crew, at)->outer, __ATOMIC_ACQUIRE);
    if (at == 0)
        list(crew, future, off);
}

bool prony_future_lost(struct prony_crew *crew, unsigned index, int code)
{
    struct prony_slot *slot = prony_crew_slot(crew, index);
    struct prony_desk *desk = &crew->desks[index];
    if (desk->intent != 0 && slot->held == desk->intent) /* `outer` is read before the end gives it another meaning */
        slot->held = prony_crew_future(crew, desk->intent)->outer;
    if (desk->intent != 0)
        list_once(crew, index, desk->intent);
    if (desk->intent != 0 && !fail_one(crew, index, desk->intent, code))
        return false;
    desk->intent = 0;
    while (slot->held != 0) {
        uint64_t off = slot->held, outer = prony_crew_future(crew, off)->outer;
        (void)fail_one(crew, index, off, code);
        slot->held = outer;
    }
    return true;
}

/* What the caller waits for. */
struct waiting {
    struct prony_crew *crew;
    const uint64_t *futures;
    unsigned n, need, first; /* futures before `first` are DONE, when all are waited for */
};

/* True when it is DONE; else leaves the mark that rings the bell. */
static bool mark(struct prony_future *future)
{
    uint32_t seen = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    while ((seen & 3u) != PRONY_DONE && (seen & PRONY_MARK_BELL) == 0)
        if (__atomic_compare_exchange_n(&future->state, &seen, seen | PRONY_MARK_BELL, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_ACQUIRE))
            return false;
    return (seen & 3u) == PRONY_DONE;
}

static bool all_done(struct waiting *waiting, bool sleep)
{
    if (waiting->first < waiting->n && !sleep && /* one line to look at, not each that a worker is about to take */
        prony_future_phase(prony_crew_future(waiting->crew, waiting->futures[waiting->n - 1])) != PRONY_DONE)
        return false;
    while (waiting->first < waiting->n) {
        struct prony_future *future = prony_crew_future(waiting->crew, waiting->futures[waiting->first]);
        if (waiting->first + FETCH < waiting->n) /* their lines lie in the workers' caches */
            __builtin_prefetch(prony_crew_future(waiting->crew, waiting->futures[waiting->first + FETCH]));
        if (prony_future_phase(future) != PRONY_DONE)
            break;
        waiting->first++;
    }
    if (waiting->first == waiting->n)
        return true;
    if (!sleep)
        return false;
    for (unsigned i = waiting->n; i-- > waiting->first;) /* the last one: when it is DONE, most are */
        if (!mark(prony_crew_future(waiting->crew, waiting->futures[i])))
            return false;
    return true;
}

static bool enough(void *context, bool sleep)
{
    struct waiting *waiting = context;
    unsigned done = 0;
    if (waiting->need >= waiting->n)
        return all_done(waiting, sleep);
    for (unsigned i = 0; i < waiting->n && done < waiting->need; i++) {
        struct prony_future *future = prony_crew_future(waiting->crew, waiting->futures[i]);
        done += sleep ? mark(future) : prony_future_phase(future) == PRONY_DONE;
    }
    return done >= waiting->need;
}

int prony_crew_wait(struct prony_crew *crew, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct waiting waiting = {crew, futures, n, need, 0};
    if (need > n)
        return -EINVAL;
    if (enough(&waiting, false))
        return 0;
    prony_crew_wake_beside(crew); /* who shares the caller's PU begins when the caller sleeps, and helps the others */
    if (timeout_ns == 0) {        /* a poll: looks for the dead now and then */
        if (crew->polls++ % 64 == 0)
            prony_crew_reap(crew);
        return enough(&waiting, false) ? 0 : crew->broken != 0 ? crew->broken : -ETIMEDOUT;
    }
    return prony_crew_await(crew, enough, &waiting, prony_deadline(timeout_ns));
}

/* Does a stopped worker still run the task, or wait in it for another one? Where completions travel, a task may have
 * ended before its future says so. */
static bool holds(const struct prony_crew *crew, unsigned index, const struct prony_future *future)
{
    const uint64_t off = (uint64_t)((const unsigned char *)future - crew->setup->base);
    uint64_t at = __atomic_load_n(&prony_crew_slot(crew, index)->held, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&crew->desks[index].intent, __ATOMIC_ACQUIRE) == off)
        return true;
    while (at != 0 && at != off)
        at = __atomic_load_n(&prony_crew_future(crew, at)->outer, __ATOMIC_ACQUIRE);
    return at == off;
}

/* Stops the process that runs a task, and kills it only if it runs that task still: it may have gone on to another. */
static int kill_runner(struct prony_crew *crew, struct prony_future *future, uint32_t state)
{
    unsigned index = __atomic_load_n(&future->worker, __ATOMIC_ACQUIRE);
    uint64_t end = prony_deadline(STOP_NS);
    struct prony_mate *mate;
    siginfo_t info = {0};
    bool stopped = false;
    if (index >= crew->workers || crew->mates[index].life != PRONY_ALIVE)
        return -EAGAIN;
    mate = &crew->mates[index];
    if (kill(mate->pid, SIGSTOP) != 0)
        return -EAGAIN;
    while (!stopped && prony_now_ns() < end) {
        info.si_pid = 0;
        if (waitid(P_PID, (id_t)mate->pid, &info, WSTOPPED | WEXITED | WNOWAIT | WNOHANG) != 0)
            return -EAGAIN;
        stopped = info.si_pid != 0;
    }
    if (info.si_pid != 0 && info.si_code == CLD_STOPPED)
        (void)waitid(P_PID, (id_t)mate->pid, &info, WSTOPPED | WNOHANG);
    if ((__atomic_load_n(&future->state, __ATOMIC_ACQUIRE) & ~PRONY_MARKS) == (state & ~PRONY_MARKS) &&
        __atomic_load_n(&future->worker, __ATOMIC_ACQUIRE) == index && holds(crew, index, future))
        prony_crew_kill(crew, index, true);
    (void)kill(mate->pid, SIGCONT);
    return 0;
}

void prony_future_kill(struct prony_crew *crew, uint64_t off)
{
    struct prony_future *future = prony_crew_future(crew, off);
    uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    if ((state & 3u) == PRONY_RUNNING)
        (void)kill_runner(crew, future, state);
}

int prony_crew_cancel(struct prony_crew *crew, uint64_t off, int stop)
{
    struct prony_future *future = prony_crew_future(crew, off);
    uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    int code;
    if (prony_future_end(crew, off, state >> 2 & PRONY_TICKETS, PRONY_QUEUED, -ECANCELED))
        return 0;
    while (stop && crew->policy.staff == PRONY_PROCESSES && crew->broken == 0) {
        state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
        if ((state & 3u) != PRONY_RUNNING)
            break;
        (void)kill_runner(crew, future, state);
        code = prony_crew_wait(crew, &off, 1, 1, 10000000);
        if (code == 0)
            return __atomic_load_n(&future->status, __ATOMIC_ACQUIRE) == -ECANCELED ? 0 : -EALREADY;
    }
    return -EALREADY;
}
