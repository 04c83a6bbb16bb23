/* map: workers take chunks from one cursor. A chunk's range follows from where it begins, and each chunk has one owner
 * that stays known: who takes the next chunk first confirms the owner of the last. So when a worker dies, whether the
 * chunk that it was about to take was its own is not a guess. */
#include "parallel/pool.h"

#include <errno.h>

#define ITEMS_MOST (INT64_C(1) << 46)
#define GUIDED 4u   /* a guided chunk is 1 / (GUIDED x workers) of what is left ... */
#define FINEST 128u /* ... but not less than 1 / (FINEST x workers) of all */
#define GRACE_NS 100000000
#define RUN_BITS 16u
#define RUN_MOST 0xffffu
#define RUN_CHUNKS 32 /* most chunks of a run */

static int64_t chunk_at(const struct prony_round *round, unsigned workers, int64_t at)
{
    int64_t left = round->items - at, chunk = round->chunk;
    if (chunk == 0) {
        chunk = left / (int64_t)(GUIDED * workers);
        chunk = chunk < round->least ? round->least : chunk;
    }
    return chunk < left ? chunk : left;
}

static void confirm(struct prony_desk *desks, uint64_t cursor)
{
    uint64_t *confirmed, seen;
    if ((cursor & 0xffffu) == 0)
        return;
    confirmed = &desks[(cursor & 0xffffu) - 1].confirmed;
    seen = __atomic_load_n(confirmed, __ATOMIC_RELAXED);
    while (seen < cursor >> 16 &&
           !__atomic_compare_exchange_n(confirmed, &seen, cursor >> 16, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

/* The owner takes the first chunk of its run. It knows the word unless a peer has taken something since: reading it again
 * would have to wait for the last exchange. */
static bool take_own(struct prony_body *me, uint64_t *number)
{
    uint64_t next;
    while ((me->run & RUN_MOST) != 0) {
        next = me->run - 1 + (UINT64_C(1) << RUN_BITS);
        if (__atomic_compare_exchange_n(&me->desk->run, &me->run, next, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            *number = me->run >> RUN_BITS;
            me->run = next;
            return true;
        }
    }
    return false;
}

/* A peer takes the last one. */
static bool take_of_peer(uint64_t *run, uint64_t *number)
{
    uint64_t seen = __atomic_load_n(run, __ATOMIC_RELAXED);
    while ((seen & RUN_MOST) != 0)
        if (__atomic_compare_exchange_n(run, &seen, seen - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            *number = (seen >> RUN_BITS) + (seen & RUN_MOST) - 1;
            return true;
        }
    return false;
}

/* Takes a run of chunks from the cursor, which passes the end by at most a run a worker: gives the first, keeps the rest. */
static bool take_run(struct prony_body *me, struct prony_round *round, uint64_t *number)
{
    const int64_t chunks = round->chunks;
    int64_t at = (int64_t)(__atomic_load_n(&round->cursor, __ATOMIC_RELAXED) >> 16) / round->chunk, run;
    if (at >= chunks)
        return false;
    run = (chunks - at) / (int64_t)(GUIDED * me->worker.count);
    run = run < 1 ? 1 : run < RUN_CHUNKS ? run : RUN_CHUNKS;
    at = (int64_t)(__atomic_fetch_add(&round->cursor, (uint64_t)(run * round->chunk) << 16, __ATOMIC_SEQ_CST) >> 16) /
         round->chunk;
    if (at >= chunks)
        return false;
    run = run < chunks - at ? run : chunks - at;
    *number = (uint64_t)at;
    me->run = (*number + 1) << RUN_BITS | (uint64_t)(run - 1);
    __atomic_store_n(&me->desk->run, me->run, __ATOMIC_RELEASE);
    return true;
}

/* Threads do not die alone, so nobody asks who had which chunk. One addition to the cursor, whose line all want, hands out
 * a run of chunks; its owner takes them singly from a word of its own, and who finds the cursor at the end takes what is
 * left there. */
static bool take_plain(struct prony_body *me, struct prony_round *round, int64_t *lo, int64_t *hi)
{
    const unsigned workers = me->worker.count;
    uint64_t number = 0;
    bool taken = take_own(me, &number) || take_run(me, round, &number);
    for (unsigned i = 1; i < workers && !taken; i++)
        taken = take_of_peer(&me->crew->desks[(me->worker.index + i) % workers].run, &number);
    *lo = round->task.lo + (int64_t)number * round->chunk;
    *hi = (int64_t)number == round->chunks - 1 ? round->task.hi : *lo + round->chunk;
    __atomic_store_n(&me->worker.slot->lo, *lo, __ATOMIC_RELAXED);
    return taken;
}

/* Takes the next chunk: [*lo, *hi). slot->lo holds what is being taken before it is. */
static bool take(struct prony_body *me, struct prony_round *round, int64_t *lo, int64_t *hi)
{
    uint64_t cursor;
    if (round->plain)
        return take_plain(me, round, lo, hi);
    cursor = __atomic_load_n(&round->cursor, __ATOMIC_SEQ_CST);
    for (;;) {
        int64_t at = (int64_t)(cursor >> 16), next;
        if (at >= round->items)
            return false;
        next = at + chunk_at(round, me->worker.count, at);
        confirm(me->crew->desks, cursor);
        *lo = round->task.lo + at;
        *hi = round->task.lo + next;
        __atomic_store_n(&me->worker.slot->lo, *lo, __ATOMIC_RELEASE);
        if (__atomic_compare_exchange_n(&round->cursor, &cursor, (uint64_t)next << 16 | (me->worker.index + 1), 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    }
}

static void note_failure(struct prony_desk *desk, int status, int64_t lo, int64_t hi)
{
    if (desk->failed == 0 || lo < desk->first_lo) {
        desk->first_lo = lo;
        desk->first_hi = hi;
        desk->status = status;
    }
    desk->failed++;
    __atomic_store_n(&desk->last_lo, lo, __ATOMIC_RELEASE);
}

static int run_in_full(struct prony_worker *worker, const struct prony_task *task)
{
    return prony_task_run(worker, task);
}

/* What prony_task_run comes to for each chunk of a task: only its range changes. */
static prony_kernel_fn *kernel_of(const struct prony_worker *worker, const struct prony_task *task)
{
    if (!prony_task_fits(worker, task) || worker->timeline != NULL)
        return run_in_full;
    return worker->kernels[task->ref.workload][task->ref.kernel].fn;
}

bool prony_map_serve(struct prony_body *me)
{
    struct prony_round *round = prony_pool_of(me)->round;
    struct prony_slot *slot = me->worker.slot;
    uint32_t open = __atomic_load_n(&round->open, __ATOMIC_ACQUIRE);
    struct prony_task task;
    if (open == 0 || open == me->last_round)
        return false;
    me->last_round = open;
    __atomic_store_n(&me->desk->inside, open, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&round->open, __ATOMIC_SEQ_CST) == open) {
        prony_kernel_fn *kernel;
        task = round->task;
        kernel = kernel_of(&me->worker, &task);
        while (take(me, round, &task.lo, &task.hi)) {
            const int status = kernel(&me->worker, &task);
            if (status != 0)
                note_failure(me->desk, status, task.lo, task.hi);
            else
                __atomic_store_n(&slot->items, slot->items + (task.hi - task.lo), __ATOMIC_RELAXED);
            if (!round->plain)
                __atomic_store_n(&slot->lo, -1, __ATOMIC_RELEASE);
        }
        __atomic_store_n(&slot->lo, -1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&me->desk->inside, 0, __ATOMIC_SEQ_CST);
    prony_crew_tell(me->crew);
    return true;
}

bool prony_map_peek(const struct prony_body *me)
{
    uint32_t open = __atomic_load_n(&prony_pool_of(me)->round->open, __ATOMIC_SEQ_CST);
    return open != 0 && open != me->last_round;
}

static void add_failure(struct prony_tally *tally, unsigned failed, int status, int64_t lo, int64_t hi)
{
    if (failed > 0 && (tally->failed == 0 || lo < tally->first_lo)) {
        tally->status = status;
        tally->first_lo = lo;
        tally->first_hi = hi;
    }
    tally->failed += failed;
}

void prony_map_lost(struct prony_pool *pool, unsigned index, int code)
{
    struct prony_crew *crew = &pool->crew;
    struct prony_round *round = pool->round;
    struct prony_desk *desk = &crew->desks[index];
    int64_t lo = prony_crew_slot(crew, index)->lo, at = lo - round->task.lo, next;
    uint64_t cursor = __atomic_load_n(&round->cursor, __ATOMIC_SEQ_CST);
    if (desk->inside == 0)
        return;
    if (desk->inside == __atomic_load_n(&round->open, __ATOMIC_SEQ_CST) && lo != -1) {
        next = at + chunk_at(round, crew->workers, at);
        confirm(crew->desks, cursor);
        if (desk->confirmed == (uint64_t)next && !(desk->failed > 0 && desk->last_lo == lo))
            add_failure(&pool->lost, 1, code, lo, lo + (next - at));
    }
    prony_crew_slot(crew, index)->lo = -1;
    __atomic_store_n(&desk->inside, 0, __ATOMIC_SEQ_CST);
}

static bool nobody_inside(void *context, bool sleep)
{
    struct prony_pool *pool = context;
    (void)sleep;
    for (unsigned i = 0; i < pool->crew.workers; i++)
        if (__atomic_load_n(&pool->crew.desks[i].inside, __ATOMIC_SEQ_CST) != 0)
            return false;
    return true;
}

static bool is_over(void *context, bool sleep)
{
    struct prony_pool *pool = context;
    uint64_t cursor = __atomic_load_n(&pool->round->cursor, __ATOMIC_SEQ_CST);
    return (int64_t)(cursor >> 16) >= pool->round->items && nobody_inside(pool, sleep);
}

/* The same, with what is left of runs taken away. */
static bool is_dropped(void *context, bool sleep)
{
    struct prony_pool *pool = context;
    for (unsigned i = 0; i < pool->crew.workers && pool->round->plain; i++)
        __atomic_fetch_and(&pool->crew.desks[i].run, ~(uint64_t)RUN_MOST, __ATOMIC_SEQ_CST);
    return is_over(pool, sleep);
}

/* After a timeout: hands out no more, waits a little, then kills processes. A thread cannot be stopped: it stays inside,
 * and the next map waits for it (false). */
static bool give_up(struct prony_pool *pool)
{
    struct prony_round *round = pool->round;
    uint64_t cursor = __atomic_load_n(&round->cursor, __ATOMIC_SEQ_CST);
    do
        confirm(pool->crew.desks, cursor);
    while (!__atomic_compare_exchange_n(&round->cursor, &cursor, (uint64_t)round->items << 16, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST));
    if (prony_crew_await(&pool->crew, is_dropped, pool, prony_deadline(GRACE_NS)) == 0)
        return true;
    if (pool->crew.policy.staff == PRONY_THREADS)
        return false;
    for (unsigned i = 0; i < pool->crew.workers; i++)
        if (__atomic_load_n(&pool->crew.desks[i].inside, __ATOMIC_SEQ_CST) != 0)
            prony_crew_kill(&pool->crew, i, false);
    (void)prony_crew_await(&pool->crew, is_over, pool, UINT64_MAX);
    return true;
}

static void open_round(struct prony_pool *pool, const struct prony_task *task, int64_t chunk)
{
    struct prony_round *round = pool->round;
    for (unsigned i = 0; i < pool->crew.workers; i++) {
        pool->crew.desks[i].failed = 0;
        pool->crew.desks[i].confirmed = 0;
        pool->crew.desks[i].run = 0;
    }
    pool->lost = (struct prony_tally){0, 0, 0, 0};
    round->task = *task;
    round->items = task->hi - task->lo;
    round->chunk = chunk < round->items ? chunk : round->items;
    round->chunks = chunk > 0 ? (round->items - 1) / chunk + 1 : 0;
    round->plain = chunk > 0 && chunk <= ITEMS_MOST / PRONY_POOL_WORKERS && pool->crew.policy.staff == PRONY_THREADS;
    round->least = round->items / (int64_t)(FINEST * pool->crew.workers);
    round->least = round->least < 1 ? 1 : round->least;
    __atomic_store_n(&round->cursor, 0, __ATOMIC_SEQ_CST);
    pool->rounds = pool->rounds == UINT32_MAX ? 1 : pool->rounds + 1;
    __atomic_store_n(&round->open, pool->rounds, __ATOMIC_SEQ_CST);
}

int prony_pool_map(struct prony_pool *pool, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                   int64_t timeout_ns)
{
    uint64_t deadline = prony_deadline(timeout_ns);
    struct prony_crew *crew = &pool->crew;
    int64_t items = task->hi - task->lo, chunks = chunk > 0 ? (items - 1) / chunk + 1 : items;
    bool over;
    int code;
    *tally = (struct prony_tally){0, 0, 0, 0};
    if (items <= 0)
        return 0;
    if (chunk < 0 || items > ITEMS_MOST)
        return -EINVAL;
    if (crew->broken != 0)
        return crew->broken;
    code = prony_crew_await(crew, nobody_inside, pool, deadline);
    if (code != 0)
        return code;
    open_round(pool, task, chunk);
    prony_crew_wake_some(crew, chunks < crew->workers ? (unsigned)chunks : crew->workers);
    code = prony_crew_await(crew, is_over, pool, deadline);
    over = code == 0 || give_up(pool); /* from then on somebody may still come in, but finds nothing to do */
    __atomic_store_n(&pool->round->open, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < crew->workers && over; i++)
        add_failure(&pool->lost, crew->desks[i].failed, crew->desks[i].status, crew->desks[i].first_lo,
                    crew->desks[i].first_hi);
    *tally = pool->lost;
    return code;
}
