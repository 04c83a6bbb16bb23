/* The pool: opening and closing, and the way of a submitted task through a worker's inbox. */
#include "parallel/pool.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RUN (PRONY_MORE_MOST + 1u) /* tasks put into one inbox before the next one's turn */
#define TELL 64u                   /* done tasks before a caller who waits for room is told */
#define STEAL_LOOKS 32u            /* idle looks before a worker takes from other inboxes */
#define CHOICES 8u                 /* inboxes that are compared before a run is put into one */
#define AHEAD 12u   /* entries from here to the one that is fetched early: its lines lie in the other's cache */
#define STRETCH 64u /* tasks put into the inbox of an only worker before it is woken */

static uint64_t line(uint64_t bytes)
{
    return (bytes + 63u) & ~UINT64_C(63);
}

uint64_t prony_pool_area(unsigned workers)
{
    return line(prony_crew_area(workers)) + sizeof(struct prony_round) +
           workers * (uint64_t)(sizeof(struct prony_inbox) + sizeof(struct prony_offers)) + prony_help_area();
}

/* The entry at `head`, or NULL when there is none yet. */
static struct prony_task *entry_at(struct prony_inbox *inbox, uint64_t head)
{
    struct prony_task *entry = &inbox->entry[head % PRONY_INBOX];
    const uint32_t lap = (head / PRONY_INBOX) % 2 == 0 ? PRONY_LAP : 0;
    return (prony_task_ticket(entry) & PRONY_LAP) == lap ? entry : NULL;
}

/* Is there a task in the inbox that nobody has begun? */
static bool waits(const struct prony_body *me, struct prony_inbox *inbox)
{
    const uint64_t head = __atomic_load_n(&inbox->head, __ATOMIC_ACQUIRE);
    uint64_t at = __atomic_load_n(&inbox->stolen, __ATOMIC_RELAXED);
    const struct prony_task *entry;
    for (at = at > head ? at : head; at - head < PRONY_INBOX && (entry = entry_at(inbox, at)) != NULL; at++) {
        const uint32_t ticket = prony_task_ticket(entry) & PRONY_TICKETS;
        const struct prony_future *future = prony_at(&me->worker, __atomic_load_n(&entry->future, __ATOMIC_RELAXED));
        if ((__atomic_load_n(&future->state, __ATOMIC_RELAXED) & ~PRONY_MARKS) == (ticket << 2 | PRONY_QUEUED))
            return true;
    }
    return false;
}

static bool any_waits(const struct prony_body *me)
{
    struct prony_pool *pool = prony_pool_of(me);
    for (unsigned i = 0; i < me->worker.count; i++)
        if (waits(me, &pool->inbox[i]))
            return true;
    return false;
}

/* Before a worker runs what may take long. Who was woken for one task wakes the next worker if there are more; so does one
 * that took something elsewhere, for what has come into its own inbox meanwhile. */
void prony_pool_pass_on(struct prony_body *me, bool elsewhere)
{
    if (elsewhere) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* that it is at work is to be seen before the look */
        me->rested |= entry_at(&prony_pool_of(me)->inbox[me->worker.index], me->head) != NULL;
    }
    if (me->rested && prony_crew_rests(me->crew) && any_waits(me))
        prony_crew_wake_helper(me->crew);
    me->rested = false;
}

/* A run of entries says at its first one how many there are, and that one is written last: so a worker does not look at
 * lines that the caller is about to write. */
static bool find_run(struct prony_body *me, struct prony_inbox *inbox)
{
    const struct prony_task *entry = entry_at(inbox, me->known);
    uint64_t more;
    if (entry == NULL)
        return false;
    more = prony_task_ticket(entry) >> PRONY_MORE_SHIFT & PRONY_MORE_MOST;
    for (uint64_t i = 1; i <= more; i++)
        __builtin_prefetch(&inbox->entry[(me->known + i) % PRONY_INBOX]);
    me->known += 1 + more;
    return true;
}

/* Fetches what the next tasks need while this one runs. */
static void fetch_ahead(struct prony_body *me, struct prony_inbox *inbox)
{
    const uint64_t left = me->known - me->head;
    if (me->looks == 0 && (left == 1 || left == RUN / 2))
        (void)find_run(me, inbox);
    if (me->fetched <= me->head)
        me->fetched = me->head + 1;
    for (; me->fetched < me->known && me->fetched <= me->head + AHEAD; me->fetched++)
        prony_fetch_to_write(
            prony_at(&me->worker, __atomic_load_n(&inbox->entry[me->fetched % PRONY_INBOX].future, __ATOMIC_RELAXED)));
}

static void serve_next(struct prony_body *me, struct prony_inbox *inbox)
{
    const struct prony_task *entry = &inbox->entry[me->head % PRONY_INBOX];
    fetch_ahead(me, inbox);
    if (prony_future_claim(me, entry)) {
        prony_pool_pass_on(me, false);
        prony_future_run(me, entry);
    }
    if (++me->head % TELL == 0) {
        __atomic_store_n(&inbox->head, me->head, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&me->crew->hall->wants_room, __ATOMIC_SEQ_CST) != 0)
            prony_crew_ring(me->crew);
    } else if (me->head % RUN == 0 || me->crew->policy.tasks_a_worker != 0) { /* who follows goes on from there */
        __atomic_store_n(&inbox->head, me->head, __ATOMIC_RELEASE);
    }
}

/* Works off what is there: nothing else comes first. */
static bool serve_inbox(struct prony_body *me)
{
    struct prony_inbox *inbox = &prony_pool_of(me)->inbox[me->worker.index];
    if (me->head == me->known && !find_run(me, inbox)) {
        if (me->head % RUN != 0 && __atomic_load_n(&inbox->head, __ATOMIC_RELAXED) != me->head)
            __atomic_store_n(&inbox->head, me->head, __ATOMIC_RELEASE);
        return false;
    }
    serve_next(me, inbox);
    while (me->head != me->known && me->crew->policy.tasks_a_worker == 0) {
        prony_crew_worked(me);
        serve_next(me, inbox);
    }
    return true;
}

/* What a thief tries next: the upper half of what a peer still has to do, then the upper half of the rest. So of a batch that
 * comes again and again each of the two has the same part every time, whose data lie in its caches, and both go upward, the
 * last task being the last to end. */
static bool next_part(struct prony_theft *theft, struct prony_inbox *inbox)
{
    const uint64_t head = __atomic_load_n(&inbox->head, __ATOMIC_ACQUIRE);
    uint64_t floor = __atomic_load_n(&inbox->stolen, __ATOMIC_RELAXED);
    floor = floor > head ? floor : head;
    if (theft->begin > floor) {
        theft->end = theft->begin;
    } else {
        if (theft->tail > floor) /* all before it were tried */
            __atomic_store_n(&inbox->stolen, floor = theft->tail, __ATOMIC_RELAXED);
        for (theft->tail = floor; theft->tail - head < PRONY_INBOX && entry_at(inbox, theft->tail) != NULL;)
            theft->tail++;
        theft->end = theft->tail;
    }
    theft->at = theft->begin = floor + (theft->end - floor) / 2;
    return theft->end > floor;
}

/* Takes a task that waits behind a peer's. The copy is whole if the entry was not yet done with afterwards. */
static bool serve_peer(struct prony_body *me, struct prony_inbox *inbox)
{
    struct prony_theft *theft = &me->theft;
    struct prony_task task;
    if (theft->inbox != inbox)
        *theft = (struct prony_theft){.inbox = inbox};
    do {
        while (theft->at < theft->end) {
            const uint64_t at = theft->at++;
            prony_task_load(&task, &inbox->entry[at % PRONY_INBOX]);
            if (__atomic_load_n(&inbox->head, __ATOMIC_ACQUIRE) > at || !prony_future_claim(me, &task))
                continue;
            prony_timeline_mark(me->worker.timeline, PRONY_NOTE_STOLEN, (unsigned)(inbox - prony_pool_of(me)->inbox));
            prony_pool_pass_on(me, true);
            prony_future_run(me, &task);
            return true;
        }
    } while (next_part(theft, inbox));
    return false;
}

static bool serve(struct prony_body *me)
{
    struct prony_pool *pool = prony_pool_of(me);
    if (serve_inbox(me) || prony_map_serve(me) || prony_nest_serve(me))
        return true;
    if (!me->yields && me->looks % STEAL_LOOKS != STEAL_LOOKS - 1 && me->crew->spins > STEAL_LOOKS)
        return false;
    for (unsigned i = 0; i + 1 < me->worker.count; i++)
        if (serve_peer(me, &pool->inbox[prony_victim(me, i)]))
            return true;
    return false;
}

static bool peek(const struct prony_body *me)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* that it sleeps is to be seen before the look */
    return any_waits(me) || entry_at(&prony_pool_of(me)->inbox[me->worker.index], me->head) != NULL ||
           prony_map_peek(me) || prony_nest_peek(me);
}

static void arrive(struct prony_body *me)
{
    me->head = __atomic_load_n(&prony_pool_of(me)->inbox[me->worker.index].head, __ATOMIC_ACQUIRE);
    me->known = me->fetched = me->head;
}

static bool lost(struct prony_crew *crew, unsigned index, int code)
{
    prony_map_lost(crew->owner, index, code);
    prony_nest_lost(crew->owner, index);
    return true;
}

static bool offer(struct prony_crew *crew, const struct prony_task *kid);

static const struct prony_trade trade = {
    .ops = {prony_nest_spawn, prony_nest_join, prony_crew_barrier, prony_crew_stopped},
    .serve = serve,
    .peek = peek,
    .arrive = arrive,
    .lost = lost,
    .offer = offer,
};

static void free_pool(struct prony_pool *pool)
{
    free(pool->tail);
    free(pool->seen);
    free(pool);
}

int prony_pool_open(const struct prony_setup *setup, const struct prony_policy *policy, struct prony_pool **handle,
                    struct prony_error *error)
{
    struct prony_pool *pool;
    unsigned char *at;
    int code;
    if (setup->workers == 0 || setup->workers > PRONY_POOL_WORKERS)
        return prony_fail(error, -EINVAL, "a pool takes 1 to %u workers, not %u", PRONY_POOL_WORKERS, setup->workers);
    if (setup->area.len < prony_pool_area(setup->workers) || setup->area.off % 64 != 0)
        return prony_fail(error, -EINVAL, "the area has %llu bytes, the pool needs %llu, at a multiple of 64",
                          (unsigned long long)setup->area.len, (unsigned long long)prony_pool_area(setup->workers));
    pool = prony_crew_owner(sizeof *pool);
    if (pool == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a pool");
    pool->tail = calloc(setup->workers, sizeof *pool->tail);
    pool->seen = calloc(setup->workers, sizeof *pool->seen);
    if (pool->tail == NULL || pool->seen == NULL) {
        free_pool(pool);
        return prony_fail(error, -ENOMEM, "no memory for a pool");
    }
    at = setup->base + setup->area.off;
    memset(at, 0, prony_pool_area(setup->workers) - prony_help_area());
    pool->round = (struct prony_round *)(void *)(at + line(prony_crew_area(setup->workers)));
    pool->inbox = (struct prony_inbox *)(void *)(pool->round + 1);
    pool->offers = (struct prony_offers *)(void *)(pool->inbox + setup->workers);
    pool->crew = (struct prony_crew){.setup = setup, .trade = &trade, .policy = *policy, .owner = pool};
    pool->crew.help_off = setup->area.off + prony_pool_area(setup->workers) - prony_help_area();
    code = prony_crew_open(&pool->crew, error);
    if (code != 0)
        free_pool(pool);
    else
        *handle = pool;
    return code;
}

/* Entries of an inbox that may still be in use. */
static uint64_t pending(struct prony_pool *pool, unsigned i, bool look)
{
    if (look)
        pool->seen[i] = __atomic_load_n(&pool->inbox[i].head, __ATOMIC_SEQ_CST);
    return pool->tail[i] - pool->seen[i];
}

static bool any_room(void *context, bool sleep)
{
    struct prony_pool *pool = context;
    bool room = false;
    if (sleep)
        __atomic_store_n(&pool->crew.hall->wants_room, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < pool->crew.workers && !room; i++)
        room = pending(pool, i, true) < PRONY_INBOX - (sleep ? 0 : TELL); /* else each run would wait for a line */
    if (room)
        __atomic_store_n(&pool->crew.hall->wants_room, 0, __ATOMIC_RELAXED);
    return room;
}

/* How much a worker has to do, as far as it matters to the next run. One that shares the caller's PU comes last, since it
 * cannot work while the caller does. */
static uint64_t load_of(struct prony_pool *pool, unsigned i)
{
    uint64_t load = pending(pool, i, false);
    if (load > (pool->crew.workers > 1 ? 0 : PRONY_INBOX / 2)) /* its head is a line of its own: seldom looked at */
        load = pending(pool, i, true);
    return prony_crew_beside(&pool->crew, i) && load < PRONY_INBOX ? PRONY_INBOX - RUN + load / RUN : load;
}

/* The inbox whose turn it is, or one of the following that is emptier. */
static unsigned choose(struct prony_pool *pool)
{
    unsigned best = pool->next, workers = pool->crew.workers;
    uint64_t least = load_of(pool, best);
    for (unsigned i = 1; i < workers && i < CHOICES && least > 0; i++) {
        unsigned at = (pool->next + i) % workers;
        uint64_t its = load_of(pool, at);
        if (its < least) {
            least = its;
            best = at;
        }
    }
    pool->next = (best + 1) % workers;
    return best;
}

static void refuse(struct prony_pool *pool, const struct prony_task *tasks, unsigned n, int code)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t ticket = prony_future_queue(&pool->crew, tasks[i].future, prony_crew_ticket(&pool->crew));
        (void)prony_future_end(&pool->crew, tasks[i].future, ticket, PRONY_QUEUED, code);
    }
}

static void put(struct prony_pool *pool, unsigned i, uint64_t at, const struct prony_task *task, uint32_t ticket,
                uint32_t more)
{
    const uint32_t lap = (at / PRONY_INBOX) % 2 == 0 ? PRONY_LAP : 0;
    prony_task_store(&pool->inbox[i].entry[at % PRONY_INBOX], task,
                     (ticket & PRONY_TICKETS) | more << PRONY_MORE_SHIFT | lap);
}

static void put_run(struct prony_pool *pool, unsigned i, const struct prony_task *tasks, unsigned run, unsigned n)
{
    uint32_t tickets[PRONY_MORE_MOST + 1];
    const uint64_t tail = pool->tail[i], end = pool->seen[i] + PRONY_INBOX;
    for (unsigned k = 0; k < run; k++) {
        if (k + AHEAD < n)
            prony_fetch_to_write(prony_crew_future(&pool->crew, tasks[k + AHEAD].future));
        if (tail + k + AHEAD < end)
            prony_fetch_to_write(&pool->inbox[i].entry[(tail + k + AHEAD) % PRONY_INBOX]);
        tickets[k] = prony_future_queue(&pool->crew, tasks[k].future, prony_crew_ticket(&pool->crew));
    }
    for (unsigned k = run; k-- > 0;)
        put(pool, i, tail + k, &tasks[k], tickets[k], run - 1 - k);
    pool->tail[i] = tail + run;
}

static bool is_busy(const struct prony_crew *crew, unsigned i)
{
    return __atomic_load_n(&crew->desks[i].intent, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&prony_crew_slot(crew, i)->held, __ATOMIC_RELAXED) != 0;
}

/* Wakes the worker into whose inbox a run was put; and one more that rests, where that may leave a task waiting behind
 * another, or was at work already. */
static void wake_for(struct prony_pool *pool, unsigned i, unsigned run)
{
    struct prony_crew *crew = &pool->crew;
    bool woken;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* entries first, then the look for a sleeper */
    woken = !prony_crew_beside(crew, i) && prony_crew_wake(crew, i);
    if (prony_crew_rests(crew) && (run > 1 || (!woken && (is_busy(crew, i) || pending(pool, i, true) > run))))
        prony_crew_wake_other(crew);
}

static bool offer(struct prony_crew *crew, const struct prony_task *kid)
{
    struct prony_pool *pool = crew->owner;
    const unsigned i = choose(pool);
    if (pending(pool, i, true) >= PRONY_INBOX / 2) /* stale entries of kids must not keep submit waiting */
        return false;
    put(pool, i, pool->tail[i]++, kid, kid->ticket, 0);
    wake_for(pool, i, 1);
    return true;
}

int prony_pool_submit(struct prony_pool *pool, const struct prony_task *tasks, unsigned n)
{
    const unsigned workers = pool->crew.workers, share = (n + workers - 1) / workers;
    const unsigned stretch = workers == 1 ? STRETCH : share < RUN ? share : RUN;
    while (n > 0) {
        unsigned i = choose(pool), put = 0;
        uint64_t room = PRONY_INBOX - pending(pool, i, false);
        unsigned most = n < stretch ? n : stretch;
        most = room < most ? (unsigned)room : most;
        if (most == 0 || pool->crew.broken != 0) {
            int code = pool->crew.broken;
            prony_crew_wake_beside(&pool->crew);
            if (code == 0)
                code = prony_crew_await(&pool->crew, any_room, pool, UINT64_MAX);
            if (code != 0) {
                refuse(pool, tasks, n, code);
                return code;
            }
            continue;
        }
        for (unsigned run; put < most; put += run) {
            run = most - put < RUN ? most - put : RUN;
            put_run(pool, i, tasks + put, run, n - put);
        }
        wake_for(pool, i, most);
        tasks += most;
        n -= most;
    }
    return 0;
}

int prony_pool_gang(struct prony_pool *pool, const struct prony_task *task, unsigned roles, int *status,
                    int64_t timeout_ns)
{
    return prony_crew_gang(&pool->crew, task, roles, status, timeout_ns);
}

int prony_pool_wait(struct prony_pool *pool, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    return prony_crew_wait(&pool->crew, futures, n, need, timeout_ns);
}

int prony_pool_help(struct prony_pool *pool, const struct prony_task *task, uint64_t *value, int64_t timeout_ns)
{
    return prony_crew_help(&pool->crew, task, value, timeout_ns);
}

int prony_pool_cancel(struct prony_pool *pool, uint64_t future, int stop)
{
    return prony_crew_cancel(&pool->crew, future, stop);
}

int prony_pool_park(struct prony_pool *pool, int parked)
{
    return prony_crew_park(&pool->crew, parked);
}

static bool drained(void *context, bool sleep)
{
    struct prony_pool *pool = context;
    (void)sleep;
    for (unsigned i = 0; i < pool->crew.workers; i++)
        if (pending(pool, i, true) != 0)
            return false;
    return prony_crew_idle(&pool->crew);
}

static void cancel_queued(struct prony_pool *pool)
{
    for (unsigned i = 0; i < pool->crew.workers; i++)
        for (uint64_t at = pending(pool, i, true), tail = pool->tail[i]; at > 0; at--) {
            struct prony_task *entry = &pool->inbox[i].entry[(tail - at) % PRONY_INBOX];
            (void)prony_future_end(&pool->crew, entry->future, entry->ticket & PRONY_TICKETS, PRONY_QUEUED, -ECANCELED);
        }
}

int prony_pool_close(struct prony_pool *pool, int drain, int64_t timeout_ns)
{
    uint64_t deadline = prony_deadline(timeout_ns);
    int code = 0, left;
    if (pool == NULL)
        return 0;
    pool->crew.draining = true;
    if (drain)
        code = prony_crew_await(&pool->crew, drained, pool, deadline);
    cancel_queued(pool);
    left = prony_crew_close(&pool->crew, deadline);
    if (left == 0 || pool->crew.policy.staff == PRONY_PROCESSES)
        free_pool(pool);
    return code != 0 ? code : left;
}
