/* openmp: the OpenMP runtime of the compiler (libgomp with gcc), a peer that owns its threads.
 *
 * map is `parallel for` whose iterations are chunks of items; submitted tasks are `omp task`s that start in wait, which
 * waits for all of them; kernels may spawn (`omp task`) and join (`omp taskwait`); a gang is one parallel region whose
 * roles meet at a barrier of our own. Every region has all workers, so that the runtime keeps thread i to worker i; the
 * caller is worker 0.
 *
 * It cannot time out: a region ends when its kernels do, and who watches the process is its timeout. The submit latency
 * is not measured, as tasks are deferred. The wait policy is read when the runtime loads; see env below. */
#include <prony/future.h>
#include <prony/plugin/engine.h>

#include "base/clock.h"
#include "engines/meeting.h"

#include <errno.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 32 }; /* chunks a worker when a schedule deals them out */

/* What a thread of the runtime is to this engine. One cache line pair, so that tallies do not share one. */
struct member {
    struct prony_worker worker;
    int started;              /* what setup->started said */
    struct prony_tally tally; /* of the present map */
} __attribute__((aligned(128)));

struct openmp {
    const struct prony_setup *setup;
    struct member *members;
    uint32_t meeting;         /* of the roles of a gang */
    struct prony_task *queue; /* deferred tasks */
    size_t queued, room;
    uint64_t life; /* tells the threads of an earlier engine */
    int times;     /* the futures of one task in so many note when they were queued, begun and ended; 0: none */
    bool passive;  /* idle threads block at once */
    char about[120];
};

static uint64_t lives;
static _Thread_local struct {
    uint64_t life;
    struct member *member;
} self;

static const char *const schedules[] = {"auto", "static", "dynamic", "guided", NULL};
enum { AUTO, STATIC, DYNAMIC, GUIDED };

static const struct prony_option options[] = {
    {"schedule", PRONY_CHOICE, "auto", 0, 0, schedules,
     "how chunks are dealt to threads; auto: one piece a thread (static), dynamic when a chunk is given"},
    {"times", PRONY_INT, "0", 0, 1000000, NULL,
     "note when one task in so many was queued, begun and ended (costs clock readings); 0: none"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static const struct prony_worker_ops ops;

/* The member of this thread, made at its first task: a runtime may replace its threads at any time. */
static struct member *member_self(struct openmp *openmp)
{
    unsigned index = (unsigned)omp_get_thread_num();
    struct member *member = &openmp->members[index];
    if (self.life == openmp->life && self.member == member)
        return member;
    self.life = openmp->life;
    self.member = member;
    prony_worker_init(
        &member->worker, openmp->setup, index,
        member->worker.slot == NULL
            ? ((struct prony_slot *)(void *)(openmp->setup->base + openmp->setup->slots.off))[index].generation + 1
            : member->worker.generation + 1);
    member->worker.engine = openmp;
    member->worker.ops = &ops;
    member->started = index == 0 || openmp->setup->started == NULL ? 0 : openmp->setup->started(&member->worker);
    return member;
}

/* Runs a task that has a future, unless it was cancelled. */
static void future_run(struct member *member, const struct prony_task *task)
{
    struct prony_worker *worker = &member->worker;
    struct prony_future *future = prony_at(worker, task->future);
    uint32_t state = task->ticket << 2 | PRONY_QUEUED;
    uint64_t held = worker->slot->held;
    bool timed;
    if (!__atomic_compare_exchange_n(&future->state, &state, task->ticket << 2 | PRONY_RUNNING, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return;
    timed = ((struct openmp *)worker->engine)->times != 0 && future->queued_ns != 0;
    worker->slot->held = task->future;
    future->worker = worker->index;
    future->generation = worker->generation;
    if (timed)
        future->begun_ns = prony_now_ns();
    future->status = member->started != 0 ? member->started : prony_task_run(worker, task);
    if (timed)
        future->ended_ns = future->done_ns = prony_now_ns();
    worker->slot->held = held;
    worker->slot->items += task->hi - task->lo;
    __atomic_store_n(&future->state, task->ticket << 2 | PRONY_DONE, __ATOMIC_RELEASE);
}

/* The next use of a future: its new ticket. */
static uint32_t future_queue(const struct openmp *openmp, struct prony_future *future)
{
    uint32_t ticket = ((__atomic_load_n(&future->state, __ATOMIC_RELAXED) >> 2) + 1) & (UINT32_MAX >> 2);
    future->status = 0;
    future->begun_ns = future->ended_ns = future->done_ns = 0;
    future->queued_ns =
        prony_future_timed(openmp->times, ticket + (uint32_t)((uintptr_t)future / sizeof *future)) ? prony_now_ns() : 0;
    __atomic_store_n(&future->state, ticket << 2 | PRONY_QUEUED, __ATOMIC_RELEASE);
    return ticket;
}

static int nest_spawn(struct prony_worker *worker, struct prony_task *kid)
{
    struct openmp *openmp = worker->engine;
    struct prony_task task;
    kid->ticket = future_queue(openmp, prony_at(worker, kid->future));
    task = *kid;
#pragma omp task default(none) firstprivate(task, openmp)
    future_run(member_self(openmp), &task);
    return 0;
}

static int nest_join(struct prony_worker *worker, const struct prony_task *kids, unsigned n)
{
    (void)worker, (void)kids, (void)n;
#pragma omp taskwait
    return 0;
}

static int gang_barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    return prony_meeting_join(&((struct openmp *)worker->engine)->meeting, worker->roles, timeout_ns);
}

static int gang_stopped(struct prony_worker *worker)
{
    return prony_meeting_is_over(&((struct openmp *)worker->engine)->meeting);
}

static const struct prony_worker_ops ops = {nest_spawn, nest_join, gang_barrier, gang_stopped};

static int openmp_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    struct openmp *openmp;
    const char *policy = getenv("OMP_WAIT_POLICY");
    if (setup->workers == 0 || setup->workers > (unsigned)omp_get_thread_limit())
        return prony_fail(error, -EINVAL, "engine openmp: %u workers, but OMP_THREAD_LIMIT allows 1 to %d",
                          setup->workers, omp_get_thread_limit());
    openmp = calloc(1, sizeof *openmp);
    if (openmp == NULL)
        return prony_fail(error, -ENOMEM, "engine openmp: no memory");
    openmp->members = aligned_alloc(_Alignof(struct member), setup->workers * sizeof(struct member));
    if (openmp->members == NULL) {
        free(openmp);
        return prony_fail(error, -ENOMEM, "engine openmp: no memory for %u workers", setup->workers);
    }
    memset(openmp->members, 0, setup->workers * sizeof(struct member));
    openmp->setup = setup;
    openmp->life = ++lives;
    openmp->times = setup->params == NULL ? 0 : (int)prony_param_int(setup->params, "times");
    openmp->passive = policy != NULL && (policy[0] == 'p' || policy[0] == 'P');
    (void)snprintf(openmp->about, sizeof openmp->about, "%s, OpenMP %d, wait policy %s",
#ifdef __clang__
                   "libomp (clang " __clang_version__ ")",
#else
                   "libgomp (gcc " __VERSION__ ")",
#endif
                   _OPENMP, policy == NULL ? "of the runtime" : policy);
    omp_set_dynamic(0);
    *handle = openmp;
    return 0;
}

static const char *openmp_about(void *handle)
{
    return ((struct openmp *)handle)->about;
}

static int openmp_workers(void *handle, struct prony_who *who, unsigned n)
{
    struct openmp *openmp = handle;
    const struct prony_slot *slots = (const void *)(openmp->setup->base + openmp->setup->slots.off);
    for (unsigned i = 0; i < n && i < openmp->setup->workers; i++)
        who[i] = (struct prony_who){.pid = openmp->members[i].worker.slot == NULL ? 0 : slots[i].pid,
                                    .tid = openmp->members[i].worker.slot == NULL ? 0 : slots[i].tid,
                                    .pu = slots[i].pu,
                                    .generation = slots[i].generation,
                                    .flags = i == 0 ? PRONY_WHO_CALLER : 0};
    return 0;
}

/* Without the passive policy idle threads spin for a while: gives them back to the system, and gets new ones later. */
static int openmp_park(void *handle, int parked)
{
    struct openmp *openmp = handle;
    if (parked && !openmp->passive)
        (void)omp_pause_resource_all(omp_pause_soft);
    return 0;
}

static int openmp_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct openmp *openmp = handle;
    int n = (int)openmp->setup->workers, got = 0;
    (void)timeout_ns;
    if (roles == 0 || roles > openmp->setup->workers)
        return -EINVAL;
    prony_meeting_reset(&openmp->meeting);
#pragma omp parallel num_threads(n)
    {
        struct member *member = member_self(openmp);
        unsigned index = member->worker.index;
        if (index == 0)
            got = omp_get_num_threads();
        if (index < roles && omp_get_num_threads() == n) {
            member->worker.roles = roles;
            status[index] = member->started != 0 ? member->started : prony_task_run(&member->worker, task);
            member->worker.roles = member->worker.count;
            if (status[index] != 0) /* a role that failed never comes to the barrier again */
                prony_meeting_end(&openmp->meeting);
        }
    }
    return got == n ? 0 : -EAGAIN;
}

static void chunk_run(struct member *member, const struct prony_task *whole, int64_t chunk, int64_t i)
{
    struct prony_task task = *whole;
    struct prony_worker *worker = &member->worker;
    int status;
    task.lo = whole->lo + i * chunk;
    task.hi = whole->hi - task.lo < chunk ? whole->hi : task.lo + chunk;
    worker->slot->lo = task.lo;
    status = member->started != 0 ? member->started : prony_task_run(worker, &task);
    worker->slot->lo = -1;
    worker->slot->items += task.hi - task.lo;
    if (status == 0)
        return;
    if (member->tally.failed++ == 0 || task.lo < member->tally.first_lo) {
        member->tally.status = status;
        member->tally.first_lo = task.lo;
        member->tally.first_hi = task.hi;
    }
}

/* Sets the schedule of the next loop; returns the items of one iteration. */
static int64_t schedule_set(const struct openmp *openmp, int64_t items, int64_t chunk)
{
    int64_t n = openmp->setup->workers, kind = AUTO;
    if (openmp->setup->params != NULL)
        kind = prony_param_int(openmp->setup->params, "schedule");
    if (kind == AUTO)
        kind = chunk == 0 ? STATIC : DYNAMIC;
    omp_set_schedule(kind == STATIC    ? omp_sched_static
                     : kind == DYNAMIC ? omp_sched_dynamic
                                       : omp_sched_guided,
                     kind == STATIC && chunk == 0 ? 0 : 1);
    if (chunk == 0)
        chunk = kind == STATIC ? (items + n - 1) / n : items / (n * PIECES);
    return chunk < 1 ? 1 : chunk;
}

static int openmp_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                      int64_t timeout_ns)
{
    struct openmp *openmp = handle;
    int64_t items = task->hi - task->lo, chunks;
    int n = (int)openmp->setup->workers;
    (void)timeout_ns;
    memset(tally, 0, sizeof *tally);
    if (items < 0 || chunk < 0)
        return -EINVAL;
    chunk = schedule_set(openmp, items, chunk);
    chunks = items / chunk + (items % chunk != 0);
#pragma omp parallel num_threads(n)
    {
        struct member *member = member_self(openmp);
        memset(&member->tally, 0, sizeof member->tally);
#pragma omp for schedule(runtime) nowait
        for (int64_t i = 0; i < chunks; i++)
            chunk_run(member, task, chunk, i);
    }
    for (int i = 0; i < n; i++) {
        const struct prony_tally *its = &openmp->members[i].tally;
        if (its->failed != 0 && (tally->failed == 0 || its->first_lo < tally->first_lo)) {
            tally->status = its->status;
            tally->first_lo = its->first_lo;
            tally->first_hi = its->first_hi;
        }
        tally->failed += its->failed;
    }
    return 0;
}

static int openmp_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct openmp *openmp = handle;
    unsigned char *base = openmp->setup->base;
    if (openmp->queued + n > openmp->room) {
        size_t room = openmp->queued + n + openmp->room;
        struct prony_task *queue = realloc(openmp->queue, room * sizeof *queue);
        if (queue == NULL) {
            for (unsigned i = 0; i < n; i++) {
                struct prony_future *future = (void *)(base + tasks[i].future);
                uint32_t ticket = future_queue(openmp, future);
                future->status = -ENOMEM;
                __atomic_store_n(&future->state, ticket << 2 | PRONY_DONE, __ATOMIC_RELEASE);
            }
            return -ENOMEM;
        }
        openmp->queue = queue;
        openmp->room = room;
    }
    for (unsigned i = 0; i < n; i++) {
        struct prony_task *task = &openmp->queue[openmp->queued++];
        *task = tasks[i];
        task->ticket = future_queue(openmp, (void *)(base + task->future));
    }
    return 0;
}

/* Runs everything that was submitted. */
static void queue_run(struct openmp *openmp)
{
    int n = (int)openmp->setup->workers;
#pragma omp parallel num_threads(n)
    {
        (void)member_self(openmp);
#pragma omp single nowait
        for (size_t i = 0; i < openmp->queued; i++)
#pragma omp task firstprivate(i)
            future_run(member_self(openmp), &openmp->queue[i]);
    }
    openmp->queued = 0;
}

static unsigned count_done(const struct openmp *openmp, const uint64_t *futures, unsigned n)
{
    unsigned done = 0;
    for (unsigned i = 0; i < n; i++)
        done += prony_future_phase((const void *)(openmp->setup->base + futures[i])) == PRONY_DONE;
    return done;
}

static int openmp_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct openmp *openmp = handle;
    (void)timeout_ns;
    if (need > n)
        return -EINVAL;
    if (need == 0)
        return 0;
    if (openmp->queued == 0 || count_done(openmp, futures, n) < need)
        queue_run(openmp);
    return count_done(openmp, futures, n) >= need ? 0 : -ETIMEDOUT;
}

static int openmp_cancel(void *handle, uint64_t offset, int kill)
{
    struct openmp *openmp = handle;
    struct prony_future *future = (void *)(openmp->setup->base + offset);
    uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    (void)kill;
    if ((state & 3u) != PRONY_QUEUED)
        return -EALREADY;
    future->status = -ECANCELED;
    future->done_ns = prony_now_ns();
    __atomic_store_n(&future->state, (state & ~3u) | PRONY_DONE, __ATOMIC_RELEASE);
    return 0;
}

static int openmp_close(void *handle, int drain, int64_t timeout_ns)
{
    struct openmp *openmp = handle;
    (void)timeout_ns;
    if (drain && openmp->queued != 0)
        queue_run(openmp);
    for (size_t i = 0; i < openmp->queued; i++)
        (void)openmp_cancel(openmp, openmp->queue[i].future, 0);
    (void)omp_pause_resource_all(omp_pause_hard);
    free(openmp->queue);
    free(openmp->members);
    free(openmp);
    return 0;
}

/* Idle threads block instead of spinning beside other cells, and stay where the host binds them. */
static const char *const env[] = {"OMP_WAIT_POLICY=passive", "OMP_PROC_BIND=false", "OMP_DYNAMIC=false", NULL};

PRONY_EXPORT(engine, openmp) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "openmp", .summary = "the compiler's OpenMP runtime",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_HELPS | PRONY_CAP_OWNS_THREADS | PRONY_CAP_DEFERS | PRONY_CAP_SHARED,
                       .options = options),
    .open = openmp_open,
    .workers = openmp_workers,
    .park = openmp_park,
    .gang = openmp_gang,
    .map = openmp_map,
    .submit = openmp_submit,
    .wait = openmp_wait,
    .cancel = openmp_cancel,
    .close = openmp_close,
    .env = env,
    .about = openmp_about,
};
