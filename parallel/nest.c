/* Recursion: kids lie in their parent's deque, whoever claims a kid's future runs it.
 *
 * A joiner runs kids that nobody took. While a kid runs elsewhere the joiner takes that worker's later kids, which
 * descend from it, and blocks when there are none. This cannot deadlock: a blocked worker waits for a task that began
 * later than the one that waits, and what lies above a task on its worker's stack began later too; a circle of waits would
 * have to lead back in time. */
#include "parallel/pool.h"

#include <errno.h>

#define JOIN_LOOKS 2000u
#define JOIN_NAP_NS 500000 /* then it looks for something to take again */

static void put(struct prony_offers *offers, const struct prony_task *kid, uint32_t ticket)
{
    uint64_t bottom = offers->bottom, top = __atomic_load_n(&offers->top, __ATOMIC_ACQUIRE);
    struct prony_offer *entry;
    if (bottom < top)
        bottom = top;
    if (bottom - top >= PRONY_OFFERS)
        return; /* full: the parent runs it in join */
    entry = &offers->entry[bottom % PRONY_OFFERS];
    __atomic_store_n(&entry->seq, entry->seq + 1, __ATOMIC_RELAXED);
    prony_task_store(&entry->task, kid, ticket);
    __atomic_store_n(&entry->seq, entry->seq + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&offers->bottom, bottom + 1, __ATOMIC_SEQ_CST);
}

int prony_nest_spawn(struct prony_worker *worker, struct prony_task *kid)
{
    struct prony_body *me = prony_body_of(worker);
    struct prony_pool *pool = prony_pool_of(me);
    if (kid->future == 0)
        return -EINVAL;
    me->desk->ticket = (me->desk->ticket + 1) & PRONY_TICKETS;
    kid->ticket = prony_future_queue(me->crew, kid->future, me->desk->ticket);
    put(&pool->offers[worker->index], kid, kid->ticket);
    prony_crew_wake_helper(me->crew);
    return 0;
}

/* Claims one of the victim's kids from entry `from` on; copies it. */
static bool steal(struct prony_body *me, struct prony_offers *offers, uint64_t from, struct prony_task *kid)
{
    uint64_t top = __atomic_load_n(&offers->top, __ATOMIC_ACQUIRE);
    uint64_t bottom = __atomic_load_n(&offers->bottom, __ATOMIC_SEQ_CST);
    for (uint64_t i = from > top ? from : top; i < bottom && bottom - i <= PRONY_OFFERS; i++) {
        struct prony_offer *entry = &offers->entry[i % PRONY_OFFERS];
        uint64_t seq = __atomic_load_n(&entry->seq, __ATOMIC_ACQUIRE);
        bool claimed;
        if (seq % 2 != 0)
            continue;
        prony_task_load(kid, &entry->task);
        if (__atomic_load_n(&entry->seq, __ATOMIC_ACQUIRE) != seq)
            continue;
        claimed = prony_future_claim(me, kid);
        if (i == top && __atomic_compare_exchange_n(&offers->top, &top, i + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            top = i + 1;
        if (claimed) {
            prony_timeline_mark(me->worker.timeline, PRONY_NOTE_STOLEN, (unsigned)(offers - prony_pool_of(me)->offers));
            return true;
        }
    }
    return false;
}

/* Runs a claimed kid; its future says meanwhile from which offer on its own kids lie. */
static void run(struct prony_body *me, const struct prony_task *kid)
{
    struct prony_future *future = prony_at(&me->worker, kid->future);
    __atomic_store_n(&future->status, (int32_t)prony_pool_of(me)->offers[me->worker.index].bottom, __ATOMIC_RELAXED);
    prony_future_run(me, kid);
}

bool prony_nest_serve(struct prony_body *me)
{
    struct prony_pool *pool = prony_pool_of(me);
    struct prony_task kid;
    for (unsigned i = 0; i + 1 < me->worker.count; i++) {
        struct prony_offers *offers = &pool->offers[prony_victim(me, i)];
        if (__atomic_load_n(&offers->bottom, __ATOMIC_RELAXED) > __atomic_load_n(&offers->top, __ATOMIC_RELAXED) &&
            steal(me, offers, 0, &kid)) {
            prony_pool_pass_on(me, true);
            run(me, &kid);
            return true;
        }
    }
    return false;
}

bool prony_nest_peek(const struct prony_body *me)
{
    const struct prony_pool *pool = prony_pool_of(me);
    for (unsigned i = 0; i < me->worker.count; i++)
        if (i != me->worker.index && __atomic_load_n(&pool->offers[i].bottom, __ATOMIC_SEQ_CST) >
                                         __atomic_load_n(&pool->offers[i].top, __ATOMIC_SEQ_CST))
            return true;
    return false;
}

/* Takes one descendant of a kid that runs elsewhere. */
static bool help(struct prony_body *me, const struct prony_future *future)
{
    struct prony_pool *pool = prony_pool_of(me);
    uint32_t worker = __atomic_load_n(&future->worker, __ATOMIC_ACQUIRE);
    uint32_t base = (uint32_t)__atomic_load_n(&future->status, __ATOMIC_RELAXED);
    uint64_t bottom;
    struct prony_task kid;
    if (worker >= me->worker.count || worker == me->worker.index)
        return false;
    bottom = __atomic_load_n(&pool->offers[worker].bottom, __ATOMIC_ACQUIRE);
    if ((int32_t)((uint32_t)bottom - base) <= 0)
        return false;
    if (!steal(me, &pool->offers[worker], bottom - ((uint32_t)bottom - base), &kid))
        return false;
    run(me, &kid);
    return true;
}

int prony_nest_join(struct prony_worker *worker, const struct prony_task *kids, unsigned n)
{
    struct prony_body *me = prony_body_of(worker);
    struct prony_offers *offers = &prony_pool_of(me)->offers[worker->index];
    for (unsigned i = n; i-- > 0;) {
        struct prony_future *future = prony_at(worker, kids[i].future);
        unsigned looks = 0;
        if (prony_future_claim(me, &kids[i])) {
            uint64_t bottom = offers->bottom; /* it is most likely the last one offered: take the offer back */
            if (bottom > 0 && offers->entry[(bottom - 1) % PRONY_OFFERS].task.future == kids[i].future)
                __atomic_store_n(&offers->bottom, bottom - 1, __ATOMIC_RELEASE);
            run(me, &kids[i]);
            continue;
        }
        while (prony_future_phase(future) != PRONY_DONE) {
            if (help(me, future)) {
                looks = 0;
            } else if (looks++ < JOIN_LOOKS) {
                prony_pause();
            } else {
                prony_future_sleep(future, JOIN_NAP_NS);
                looks = 0;
            }
        }
    }
    return 0;
}

/* Kids of a dead parent that nobody took are nobody's any more. */
void prony_nest_lost(struct prony_pool *pool, unsigned index)
{
    struct prony_offers *offers = &pool->offers[index];
    for (unsigned i = 0; i < PRONY_OFFERS; i++)
        if (offers->entry[i].seq != 0)
            (void)prony_future_end(&pool->crew, offers->entry[i].task.future,
                                   offers->entry[i].task.ticket & PRONY_TICKETS, PRONY_QUEUED, -ECANCELED);
    for (unsigned i = 0; i < PRONY_OFFERS; i++)
        if (offers->entry[i].seq % 2 != 0)
            offers->entry[i].seq++;
    if (offers->bottom < offers->top)
        offers->bottom = offers->top;
    offers->top = offers->bottom;
}
