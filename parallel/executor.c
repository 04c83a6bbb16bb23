/* The executor: one queue under a lock that survives its holder, and futures.
 *
 * A worker that dies inside the lock leaves nothing half done: an entry counts once `tail` moves, a claimed task is
 * named on the worker's desk before `head` moves, and the caller takes the lock from the dead. */
#include "parallel/crew.h"

#include <prony/executor.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE 1024u    /* tasks: a power of two */
#define WINDOW 512u    /* chunks of a map that are under way at once */
#define BATCH 32u      /* tasks queued under one lock */
#define CALLER 0xffffu /* as a holder of the lock; workers are their index + 1 */
#define WANTED 0x80000000u
#define LOOKS 200u
#define NAP_NS 2000000 /* a sleeper's wake may die with the one who was woken: look again */

struct queue {
    alignas(64) uint32_t lock; /* futex: holder, and whether somebody waits */
    alignas(64) uint64_t head;
    alignas(64) uint64_t tail;
    alignas(64) struct prony_task entry[QUEUE];
    alignas(64) struct prony_future chunk[WINDOW];
};

struct prony_executor {
    struct prony_crew crew;
    struct queue *queue;
};

static struct queue *queue_of(const struct prony_body *me)
{
    return ((struct prony_executor *)me->crew->owner)->queue;
}

struct prony_crew *prony_executor_crew(struct prony_executor *executor)
{
    return &executor->crew;
}

uint64_t prony_executor_area(unsigned workers)
{
    return ((prony_crew_area(workers) + 63u) & ~UINT64_C(63)) + sizeof(struct queue) + prony_help_area();
}

static bool try_lock(struct queue *queue, uint32_t holder)
{
    uint32_t nobody = 0;
    return __atomic_compare_exchange_n(&queue->lock, &nobody, holder, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* `crew`: the caller, who looks for dead holders; NULL in a worker. */
static void lock(struct queue *queue, uint32_t holder, struct prony_crew *crew)
{
    for (unsigned looks = 0; !try_lock(queue, holder); looks++) {
        uint32_t seen;
        if (looks < LOOKS) {
            prony_pause();
            continue;
        }
        seen = __atomic_load_n(&queue->lock, __ATOMIC_RELAXED);
        if (seen != 0 && ((seen & WANTED) != 0 || __atomic_compare_exchange_n(&queue->lock, &seen, seen | WANTED, 0,
                                                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED)))
            (void)prony_futex_wait(&queue->lock, seen | WANTED, NAP_NS);
        if (crew != NULL)
            prony_crew_reap(crew);
    }
}

static void unlock(struct queue *queue)
{
    if ((__atomic_exchange_n(&queue->lock, 0, __ATOMIC_RELEASE) & WANTED) != 0)
        prony_futex_wake(&queue->lock, 1);
}

/* With the lock. False when it is full. */
static bool put(struct queue *queue, const struct prony_task *task, uint32_t ticket)
{
    struct prony_task *entry = &queue->entry[queue->tail % QUEUE];
    if (queue->tail - queue->head >= QUEUE)
        return false;
    *entry = *task;
    entry->ticket = ticket;
    __atomic_store_n(&queue->tail, queue->tail + 1, __ATOMIC_SEQ_CST);
    return true;
}

static bool is_empty(const struct queue *queue)
{
    return __atomic_load_n(&queue->tail, __ATOMIC_SEQ_CST) == __atomic_load_n(&queue->head, __ATOMIC_SEQ_CST);
}

static bool serve(struct prony_body *me)
{
    struct queue *queue = queue_of(me);
    struct prony_hall *hall = me->crew->hall;
    struct prony_task task;
    bool claimed = false;
    if (is_empty(queue))
        return false;
    lock(queue, me->worker.index + 1, NULL);
    while (queue->head != queue->tail && !claimed) {
        task = queue->entry[queue->head % QUEUE];
        claimed = prony_future_claim(me, &task);
        __atomic_store_n(&queue->head, queue->head + 1, __ATOMIC_SEQ_CST);
    }
    if (__atomic_load_n(&hall->wants_room, __ATOMIC_SEQ_CST) != 0 && queue->tail - queue->head <= QUEUE / 2)
        prony_crew_ring(me->crew);
    unlock(queue);
    if (claimed)
        prony_future_run(me, &task);
    return claimed;
}

static bool peek(const struct prony_body *me)
{
    return !is_empty(queue_of(me));
}

static void arrive(struct prony_body *me)
{
    (void)me;
}

static int spawn(struct prony_worker *worker, struct prony_task *kid)
{
    struct prony_body *me = prony_body_of(worker);
    struct queue *queue = queue_of(me);
    bool queued;
    if (kid->future == 0)
        return -EINVAL;
    me->desk->ticket = (me->desk->ticket + 1) & PRONY_TICKETS;
    kid->ticket = prony_future_queue(me->crew, kid->future, me->desk->ticket);
    lock(queue, worker->index + 1, NULL);
    queued = put(queue, kid, kid->ticket); /* when it is full, the parent runs the kid in join */
    unlock(queue);
    if (queued)
        prony_crew_wake_helper(me->crew);
    return 0;
}

/* Runs kids that nobody took and blocks for the others. They run on some worker, and wait for nothing but kids of their
 * own, so this ends. */
static int join(struct prony_worker *worker, const struct prony_task *kids, unsigned n)
{
    struct prony_body *me = prony_body_of(worker);
    for (unsigned i = n; i-- > 0;) {
        struct prony_future *future = prony_at(worker, kids[i].future);
        if (prony_future_claim(me, &kids[i])) {
            prony_future_run(me, &kids[i]);
            continue;
        }
        for (unsigned looks = 0; !prony_future_done(future) && looks < me->crew->spins; looks++)
            prony_pause();
        while (!prony_future_done(future))
            prony_future_sleep(future, -1);
    }
    return 0;
}

/* The lock of a dead worker is free, and kids that nobody took from it are nobody's. False while another one holds it. */
static bool lost(struct prony_crew *crew, unsigned index, int code)
{
    struct queue *queue = ((struct prony_executor *)crew->owner)->queue;
    const uint64_t low = crew->setup->own.off + index * crew->setup->own_stride, high = low + crew->setup->own_stride;
    uint32_t holder = __atomic_load_n(&queue->lock, __ATOMIC_ACQUIRE) & ~WANTED;
    (void)code;
    if (holder == index + 1)
        unlock(queue);
    if (holder == CALLER)
        return false;
    if (!try_lock(queue, CALLER))
        return false;
    for (uint64_t at = queue->head; at != queue->tail; at++) {
        const struct prony_task *entry = &queue->entry[at % QUEUE];
        if (entry->future >= low && entry->future < high)
            (void)prony_future_end(crew, entry->future, entry->ticket, PRONY_QUEUED, -ECANCELED);
    }
    unlock(queue);
    return true;
}

static bool offer(struct prony_crew *crew, const struct prony_task *kid)
{
    struct queue *queue = ((struct prony_executor *)crew->owner)->queue;
    bool queued;
    lock(queue, CALLER, crew);
    queued = put(queue, kid, kid->ticket);
    unlock(queue);
    if (queued)
        prony_crew_wake_some(crew, 1);
    return queued;
}

static const struct prony_trade trade = {
    .ops = {spawn, join, prony_crew_barrier, prony_crew_stopped},
    .serve = serve,
    .peek = peek,
    .arrive = arrive,
    .lost = lost,
    .offer = offer,
};

int prony_executor_open(const struct prony_setup *setup, const struct prony_policy *policy,
                        struct prony_executor **handle, struct prony_error *error)
{
    struct prony_executor *executor;
    unsigned char *at;
    int code;
    if (setup->workers == 0 || setup->workers > PRONY_POOL_WORKERS)
        return prony_fail(error, -EINVAL, "an executor takes 1 to %u workers, not %u", PRONY_POOL_WORKERS,
                          setup->workers);
    if (setup->area.len < prony_executor_area(setup->workers) || setup->area.off % 64 != 0)
        return prony_fail(error, -EINVAL, "the area has %llu bytes, the executor needs %llu, at a multiple of 64",
                          (unsigned long long)setup->area.len, (unsigned long long)prony_executor_area(setup->workers));
    executor = prony_crew_owner(sizeof *executor);
    if (executor == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an executor");
    at = setup->base + setup->area.off;
    memset(at, 0, prony_executor_area(setup->workers) - prony_help_area());
    executor->queue = (struct queue *)(void *)(at + ((prony_crew_area(setup->workers) + 63u) & ~UINT64_C(63)));
    executor->crew = (struct prony_crew){.setup = setup, .trade = &trade, .policy = *policy, .owner = executor};
    executor->crew.help_off = setup->area.off + prony_executor_area(setup->workers) - prony_help_area();
    executor->crew.chunks.off = (uint64_t)((unsigned char *)executor->queue->chunk - setup->base);
    executor->crew.chunks.len = sizeof executor->queue->chunk;
    code = prony_crew_open(&executor->crew, error);
    if (code != 0)
        free(executor);
    else
        *handle = executor;
    return code;
}

static bool any_room(void *context, bool sleep)
{
    struct prony_executor *executor = context;
    const struct queue *queue = executor->queue;
    bool room;
    if (sleep)
        __atomic_store_n(&executor->crew.hall->wants_room, 1, __ATOMIC_SEQ_CST);
    room =
        __atomic_load_n(&queue->tail, __ATOMIC_SEQ_CST) - __atomic_load_n(&queue->head, __ATOMIC_SEQ_CST) <= QUEUE / 2;
    if (room)
        __atomic_store_n(&executor->crew.hall->wants_room, 0, __ATOMIC_RELAXED);
    return room;
}

/* Queues tasks until the deadline; *done says how many went in. */
static int queue_up(struct prony_executor *executor, const struct prony_task *tasks, unsigned n, unsigned *done,
                    uint64_t deadline)
{
    struct prony_crew *crew = &executor->crew;
    struct queue *queue = executor->queue;
    int code = crew->broken;
    for (*done = 0; *done < n && code == 0;) {
        unsigned run = 0;
        lock(queue, CALLER, crew);
        while (run < BATCH && *done + run < n && queue->tail - queue->head < QUEUE) {
            const struct prony_task *task = &tasks[*done + run++];
            (void)put(queue, task, prony_future_queue(crew, task->future, prony_crew_ticket(crew)));
        }
        unlock(queue);
        *done += run;
        prony_crew_wake_some(crew, run);
        if (run == 0)
            code = prony_crew_await(crew, any_room, executor, deadline);
    }
    return code;
}

int prony_executor_submit(struct prony_executor *executor, const struct prony_task *tasks, unsigned n)
{
    unsigned done;
    int code = queue_up(executor, tasks, n, &done, UINT64_MAX);
    for (; code != 0 && done < n; done++) {
        uint32_t ticket = prony_future_queue(&executor->crew, tasks[done].future, prony_crew_ticket(&executor->crew));
        (void)prony_future_end(&executor->crew, tasks[done].future, ticket, PRONY_QUEUED, code);
    }
    return code;
}

/* A map under way: chunk number k has the future k % WINDOW and is collected before chunk k + WINDOW is submitted. */
struct progress {
    struct prony_executor *executor;
    const struct prony_task *task;
    struct prony_tally *tally;
    int64_t chunk, chunks, sent, got;
    uint64_t deadline;
};

static struct prony_task chunk_of(const struct progress *map, int64_t k)
{
    struct prony_task part = *map->task;
    part.lo = map->task->lo + k * map->chunk;
    part.hi = k == map->chunks - 1 ? map->task->hi : part.lo + map->chunk;
    part.future = map->executor->crew.chunks.off + (uint64_t)(k % WINDOW) * sizeof(struct prony_future);
    return part;
}

/* Waits for what is under way, all of it at the end of the map and else half a window, and takes it in order. One wait
 * for many: a caller that looked at chunk after chunk would keep a processor from the workers. */
static int collect(struct progress *map)
{
    uint64_t futures[WINDOW] = {0};
    int64_t n = map->sent - map->got;
    int code;
    if (map->sent < map->chunks && n > WINDOW / 2)
        n = WINDOW / 2;
    for (int64_t k = 0; k < n; k++)
        futures[k] = chunk_of(map, map->got + k).future;
    code = prony_crew_wait(&map->executor->crew, futures, (unsigned)n, (unsigned)n, prony_left(map->deadline));
    for (int64_t k = 0; k < n && code == 0; k++, map->got++) {
        const struct prony_task part = chunk_of(map, map->got);
        const struct prony_future *future = prony_crew_future(&map->executor->crew, part.future);
        if (future->status != 0 && map->tally->failed++ == 0)
            *map->tally = (struct prony_tally){future->status, 1, part.lo, part.hi};
    }
    return code;
}

static int send_some(struct progress *map)
{
    struct prony_task parts[BATCH];
    unsigned n = 0, done;
    int code;
    while (n < BATCH && map->sent + n < map->chunks && map->sent + n - map->got < WINDOW) {
        parts[n] = chunk_of(map, map->sent + n);
        n++;
    }
    code = queue_up(map->executor, parts, n, &done, map->deadline);
    map->sent += done;
    return code;
}

/* Chunks that a map which ran out of time left behind: a thread may still run one. */
static int await_chunks(struct prony_executor *executor, uint64_t deadline)
{
    int code = 0;
    for (unsigned i = 0; i < WINDOW && code == 0; i++) {
        uint64_t off = executor->crew.chunks.off + i * sizeof(struct prony_future);
        if (prony_future_phase(prony_crew_future(&executor->crew, off)) != PRONY_FREE)
            code = prony_crew_wait(&executor->crew, &off, 1, 1, prony_left(deadline));
    }
    return code;
}

int prony_executor_map(struct prony_executor *executor, const struct prony_task *task, int64_t chunk,
                       struct prony_tally *tally, int64_t timeout_ns)
{
    int64_t items = task->hi - task->lo;
    struct progress map = {.executor = executor, .task = task, .tally = tally, .deadline = prony_deadline(timeout_ns)};
    int code;
    *tally = (struct prony_tally){0, 0, 0, 0};
    if (items <= 0)
        return 0;
    if (chunk < 0)
        return -EINVAL;
    map.chunk = chunk > 0 ? chunk : prony_chunk_auto(items, executor->crew.workers);
    map.chunks = (items - 1) / map.chunk + 1;
    code = await_chunks(executor, map.deadline);
    while (map.got < map.chunks && code == 0) {
        if (map.sent < map.chunks && map.sent - map.got < WINDOW)
            code = send_some(&map);
        else
            code = collect(&map);
    }
    for (; code != 0 && map.got < map.sent; map.got++)
        (void)prony_crew_cancel(&executor->crew, chunk_of(&map, map.got).future, 1);
    return code;
}

int prony_executor_gang(struct prony_executor *executor, const struct prony_task *task, unsigned roles, int *status,
                        int64_t timeout_ns)
{
    return prony_crew_gang(&executor->crew, task, roles, status, timeout_ns);
}

int prony_executor_wait(struct prony_executor *executor, const uint64_t *futures, unsigned n, unsigned need,
                        int64_t timeout_ns)
{
    return prony_crew_wait(&executor->crew, futures, n, need, timeout_ns);
}

int prony_executor_result(struct prony_executor *executor, uint64_t future, uint64_t *value, int64_t timeout_ns)
{
    return prony_crew_result(&executor->crew, future, value, timeout_ns);
}

int prony_executor_help(struct prony_executor *executor, const struct prony_task *task, uint64_t *value,
                        int64_t timeout_ns)
{
    return prony_crew_help(&executor->crew, task, value, timeout_ns);
}

int prony_executor_cancel(struct prony_executor *executor, uint64_t future, int stop)
{
    return prony_crew_cancel(&executor->crew, future, stop);
}

int prony_executor_park(struct prony_executor *executor, int parked)
{
    return prony_crew_park(&executor->crew, parked);
}

static bool drained(void *context, bool sleep)
{
    struct prony_executor *executor = context;
    (void)sleep;
    return is_empty(executor->queue) && prony_crew_idle(&executor->crew);
}

int prony_executor_close(struct prony_executor *executor, int drain, int64_t timeout_ns)
{
    uint64_t deadline = prony_deadline(timeout_ns);
    int code = 0, left;
    if (executor == NULL)
        return 0;
    executor->crew.draining = true;
    if (drain)
        code = prony_crew_await(&executor->crew, drained, executor, deadline);
    lock(executor->queue, CALLER, &executor->crew);
    for (uint64_t at = executor->queue->head; at != executor->queue->tail; at++) {
        const struct prony_task *entry = &executor->queue->entry[at % QUEUE];
        (void)prony_future_end(&executor->crew, entry->future, entry->ticket, PRONY_QUEUED, -ECANCELED);
    }
    unlock(executor->queue);
    left = prony_crew_close(&executor->crew, deadline);
    if (left == 0 || executor->crew.policy.staff == PRONY_PROCESSES)
        free(executor);
    return code != 0 ? code : left;
}
