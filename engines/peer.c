/* What engines over the threads of somebody else's runtime have in common. */
#include "engines/peer.h"

#include "base/clock.h"
#include "engines/foreign.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 32 };         /* chunks a worker, when nobody says more */
#define GRACE_NS 1000000000ll /* for a stopped gang to come back */

static uint64_t lives;
static _Thread_local struct {
    uint64_t life;
    struct prony_peer_member *member;
    bool inside;
} self;

static struct prony_slot *slot_at(const struct prony_peer *peer, unsigned index)
{
    return &((struct prony_slot *)(void *)(peer->setup->base + peer->setup->slots.off))[index];
}

static struct prony_future *future_at(const struct prony_peer *peer, uint64_t offset)
{
    return (struct prony_future *)(void *)(peer->setup->base + offset);
}

static size_t whole(size_t bytes)
{
    size_t line = _Alignof(struct prony_peer_member);
    return (bytes + line - 1) / line * line;
}

void *prony_peer_make(size_t bytes, const struct prony_setup *setup, const struct prony_peer_ops *ops,
                      struct prony_error *error)
{
    size_t members = setup->workers * sizeof(struct prony_peer_member), meeting = whole(sizeof(struct prony_foreign));
    unsigned char *memory = NULL;
    struct prony_peer *peer;
    if (setup->workers == 0)
        (void)prony_fail(error, -EINVAL, "no workers");
    else if ((memory = aligned_alloc(_Alignof(struct prony_peer_member), whole(bytes) + meeting + members)) == NULL)
        (void)prony_fail(error, -ENOMEM, "no memory for %u workers", setup->workers);
    if (memory == NULL)
        return NULL;
    memset(memory, 0, whole(bytes) + meeting + members);
    peer = (void *)memory;
    peer->setup = setup;
    peer->ops = ops;
    peer->meeting = (void *)(memory + whole(bytes));
    peer->members = (void *)(memory + whole(bytes) + meeting);
    peer->life = __atomic_add_fetch(&lives, 1, __ATOMIC_RELAXED);
    return peer;
}

void prony_peer_free(struct prony_peer *peer)
{
    free(peer);
}

static bool take(struct prony_peer_member *member)
{
    uint32_t none = 0;
    return __atomic_compare_exchange_n(&member->taken, &none, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

struct prony_peer_member *prony_peer_self(struct prony_peer *peer)
{
    struct prony_peer_member *member = NULL;
    if (self.life == peer->life) {
        if (self.inside)
            return self.member;
        self.inside = take(self.member); /* back, and nobody else became this worker meanwhile */
        if (self.inside)
            return self.member;
    }
    while (member == NULL) /* a runtime runs no more threads at once than there are workers */
        for (unsigned i = 0; i < peer->setup->workers && member == NULL; i++)
            member = take(&peer->members[i]) ? &peer->members[i] : NULL;
    self.life = peer->life;
    self.member = member;
    self.inside = true;
    prony_worker_init(&member->worker, peer->setup, (unsigned)(member - peer->members),
                      slot_at(peer, (unsigned)(member - peer->members))->generation + 1);
    member->worker.engine = peer;
    member->worker.ops = peer->ops->worker;
    member->started = peer->setup->started == NULL ? 0 : peer->setup->started(&member->worker);
    return member;
}

void prony_peer_leave(struct prony_peer *peer)
{
    if (self.life != peer->life || !self.inside)
        return;
    self.inside = false;
    __atomic_store_n(&self.member->taken, 0, __ATOMIC_RELEASE);
}

int prony_peer_barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    return prony_meeting_join(&((struct prony_peer *)worker->engine)->meeting->role, worker->roles, timeout_ns);
}

int prony_peer_stopped(struct prony_worker *worker)
{
    return prony_meeting_is_over(&((struct prony_peer *)worker->engine)->meeting->role);
}

int prony_peer_task_run(struct prony_peer *peer, const struct prony_task *task)
{
    struct prony_peer_member *member = prony_peer_self(peer);
    struct prony_worker *worker = &member->worker;
    struct prony_future *future = future_at(peer, task->future);
    uint32_t state = task->ticket << 2 | PRONY_QUEUED;
    uint64_t held = worker->slot->held;
    if (!__atomic_compare_exchange_n(&future->state, &state, task->ticket << 2 | PRONY_RUNNING, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return 0;
    worker->slot->held = task->future;
    future->worker = worker->index;
    future->generation = worker->generation;
    future->begun_ns = prony_now_ns();
    if (member->started != 0)
        future->status = member->started;
    else if (__atomic_load_n(&peer->closing, __ATOMIC_ACQUIRE))
        future->status = -ECANCELED;
    else
        future->status = prony_task_run(worker, task);
    future->ended_ns = prony_now_ns();
    worker->slot->held = held;
    worker->slot->items += task->hi - task->lo;
    return 1;
}

void prony_peer_queue(struct prony_peer *peer, struct prony_task *task)
{
    struct prony_future *future = future_at(peer, task->future);
    task->ticket = ((__atomic_load_n(&future->state, __ATOMIC_RELAXED) >> 2) + 1) & (UINT32_MAX >> 2);
    future->status = 0;
    future->begun_ns = future->ended_ns = future->done_ns = 0;
    future->queued_ns = prony_now_ns();
    __atomic_store_n(&future->state, task->ticket << 2 | PRONY_QUEUED, __ATOMIC_RELEASE);
}

void prony_peer_finish(struct prony_peer *peer, const struct prony_task *task)
{
    struct prony_future *future = future_at(peer, task->future);
    future->done_ns = prony_now_ns();
    __atomic_store_n(&future->state, task->ticket << 2 | PRONY_DONE, __ATOMIC_RELEASE);
}

/* One task more is done. */
static void count(struct prony_peer *peer)
{
    if (__atomic_add_fetch(&peer->resolved, 1, __ATOMIC_SEQ_CST) == __atomic_load_n(&peer->wake_at, __ATOMIC_SEQ_CST))
        prony_futex_wake(&peer->resolved, 1);
}

void prony_peer_left(struct prony_peer *peer)
{
    if (__atomic_sub_fetch(&peer->left, 1, __ATOMIC_ACQ_REL) == 0)
        prony_futex_wake(&peer->left, 1);
}

void prony_peer_chunk(struct prony_peer *peer, const struct prony_task *all, int64_t lo, int64_t hi)
{
    struct prony_peer_member *member = prony_peer_self(peer);
    struct prony_worker *worker = &member->worker;
    struct prony_task task = *all;
    int status;
    task.lo = worker->slot->lo = lo;
    task.hi = hi;
    status = member->started != 0 ? member->started : prony_task_run(worker, &task);
    worker->slot->lo = -1;
    worker->slot->items += hi - lo;
    if (status == 0)
        return;
    if (member->tally.failed++ == 0 || lo < member->tally.first_lo) {
        member->tally.status = status;
        member->tally.first_lo = lo;
        member->tally.first_hi = hi;
    }
}

/* A part of a gang: all workers meet, so that each takes exactly one; the roles among them run the kernel; all leave
 * together. */
static void part_run(struct prony_peer *peer, const struct prony_task *task)
{
    struct prony_peer_member *member = prony_peer_self(peer);
    struct prony_worker *worker = &member->worker;
    int status = prony_meeting_join(&peer->meeting->enter, worker->count, -1);
    if (status == 0 && worker->index < peer->roles) {
        worker->roles = peer->roles;
        status = member->started != 0 ? member->started : prony_task_run(worker, task);
        worker->roles = worker->count;
        peer->status[worker->index] = status;
        if (status != 0)
            prony_foreign_stop(peer->meeting);
    }
    (void)prony_meeting_join(&peer->meeting->leave, worker->count, -1);
}

void prony_peer_job_run(struct prony_peer_job *job)
{
    if (job->kind == PRONY_PEER_TASK)
        job->ran = prony_peer_task_run(job->peer, &job->task);
    else if (job->kind == PRONY_PEER_CHUNK)
        prony_peer_chunk(job->peer, &job->task, job->task.lo, job->task.hi);
    else
        part_run(job->peer, &job->task);
}

void prony_peer_job_done(struct prony_peer_job *job)
{
    if (job->kind != PRONY_PEER_TASK)
        prony_peer_left(job->peer);
    else if (job->ran) {
        prony_peer_finish(job->peer, &job->task);
        count(job->peer);
    }
}

/* The caller's waiting: false when the time was up. timeout_ns < 0: no limit; 0: one look at what has happened. */
static bool pause_until(struct prony_peer *peer, uint32_t *word, uint32_t value, uint64_t end_ns, bool *late)
{
    int64_t left_ns = -1;
    if (*late)
        return false;
    if (end_ns != UINT64_MAX) {
        uint64_t now_ns = prony_now_ns();
        *late = now_ns >= end_ns;
        left_ns = *late ? 0 : (int64_t)(end_ns - now_ns);
    }
    if (peer->ops->pause != NULL)
        peer->ops->pause(peer, word, value, left_ns);
    else
        (void)prony_futex_wait(word, value, left_ns);
    return true;
}

static uint64_t end_of(int64_t timeout_ns)
{
    return timeout_ns < 0 ? UINT64_MAX : prony_now_ns() + (uint64_t)timeout_ns;
}

/* Waits until no job of the gang or map is left. */
static int jobs_wait(struct prony_peer *peer, int64_t timeout_ns)
{
    uint64_t end_ns = end_of(timeout_ns);
    bool late = false;
    for (;;) {
        uint32_t left = __atomic_load_n(&peer->left, __ATOMIC_ACQUIRE);
        if (left == 0)
            return 0;
        if (!pause_until(peer, &peer->left, left, end_ns, &late))
            return -ETIMEDOUT;
    }
}

/* Posts a job that belongs to a gang or map. One that cannot be posted counts as done. */
static int post(struct prony_peer *peer, const struct prony_task *task, enum prony_peer_kind kind)
{
    struct prony_peer_job job = {.peer = peer, .task = *task, .kind = kind};
    int code = peer->ops->post(peer, &job);
    if (code != 0)
        prony_peer_left(peer);
    return code;
}

int prony_peer_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct prony_peer *peer = handle;
    int code = 0, posted = 0;
    if (peer->broken != 0 || roles == 0 || roles > peer->setup->workers)
        return peer->broken != 0 ? peer->broken : -EINVAL;
    for (unsigned i = 0; i < roles; i++)
        status[i] = -ECANCELED;
    prony_foreign_reset(peer->meeting);
    peer->status = status;
    peer->roles = roles;
    __atomic_store_n(&peer->left, peer->setup->workers, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < peer->setup->workers; i++) {
        code = post(peer, task, PRONY_PEER_PART);
        posted = posted != 0 ? posted : code;
    }
    if (posted != 0)
        prony_foreign_stop(peer->meeting);
    code = jobs_wait(peer, timeout_ns);
    if (code != 0) {
        prony_foreign_stop(peer->meeting);
        peer->broken = jobs_wait(peer, GRACE_NS);
    }
    return posted != 0 ? posted : code;
}

static void tally_sum(const struct prony_peer *peer, struct prony_tally *tally)
{
    for (unsigned i = 0; i < peer->setup->workers; i++) {
        const struct prony_tally *its = &peer->members[i].tally;
        if (its->failed != 0 && (tally->failed == 0 || its->first_lo < tally->first_lo)) {
            tally->status = its->status;
            tally->first_lo = its->first_lo;
            tally->first_hi = its->first_hi;
        }
        tally->failed += its->failed;
    }
}

int prony_peer_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                   int64_t timeout_ns)
{
    struct prony_peer *peer = handle;
    int64_t items = task->hi - task->lo, chunks;
    int code = 0;
    memset(tally, 0, sizeof *tally);
    if (peer->broken != 0 || items < 0 || chunk < 0)
        return peer->broken != 0 ? peer->broken : -EINVAL;
    for (unsigned i = 0; i < peer->setup->workers; i++)
        memset(&peer->members[i].tally, 0, sizeof peer->members[i].tally);
    if (items > 0 && peer->ops->loop != NULL) {
        __atomic_store_n(&peer->left, 1, __ATOMIC_RELEASE);
        code = peer->ops->loop(peer, task, chunk);
        if (code != 0)
            return code;
    } else {
        if (chunk == 0)
            chunk = items / (PIECES * (int64_t)peer->setup->workers);
        chunk = chunk < 1 ? 1 : chunk;
        chunks = items / chunk + (items % chunk != 0);
        if (chunks > INT32_MAX)
            return -E2BIG;
        __atomic_store_n(&peer->left, (uint32_t)chunks, __ATOMIC_RELEASE);
        for (int64_t i = 0; i < chunks; i++) {
            struct prony_task its = *task;
            int posted;
            its.lo = task->lo + i * chunk;
            its.hi = task->hi - its.lo < chunk ? task->hi : its.lo + chunk;
            posted = post(peer, &its, PRONY_PEER_CHUNK);
            code = code != 0 ? code : posted;
        }
    }
    peer->broken = jobs_wait(peer, timeout_ns);
    tally_sum(peer, tally);
    return peer->broken != 0 ? peer->broken : code;
}

int prony_peer_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct prony_peer *peer = handle;
    int code = peer->broken;
    for (unsigned i = 0; i < n; i++) {
        struct prony_peer_job job = {.peer = peer, .task = tasks[i], .kind = PRONY_PEER_TASK};
        struct prony_future *future = future_at(peer, tasks[i].future);
        prony_peer_queue(peer, &job.task);
        code = code != 0 ? code : peer->ops->post(peer, &job);
        if (code == 0) {
            peer->accepted++;
            continue;
        }
        future->status = code;
        prony_peer_finish(peer, &job.task);
    }
    return code;
}

int prony_peer_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct prony_peer *peer = handle;
    uint64_t end_ns = end_of(timeout_ns);
    unsigned first = 0; /* all before are done */
    bool late = false;
    if (need > n)
        return -EINVAL;
    for (;;) {
        uint32_t resolved = __atomic_load_n(&peer->resolved, __ATOMIC_SEQ_CST), wake_at;
        unsigned done;
        while (first < n && prony_future_phase(future_at(peer, futures[first])) == PRONY_DONE)
            first++;
        done = first;
        for (unsigned i = first + 1; i < n && done < need; i++)
            done += prony_future_phase(future_at(peer, futures[i])) == PRONY_DONE;
        if (done >= need)
            return 0;
        /* So many must follow at least. Others may be among them: then it counts again. */
        wake_at = resolved + need - done;
        __atomic_store_n(&peer->wake_at, wake_at, __ATOMIC_SEQ_CST);
        resolved = __atomic_load_n(&peer->resolved, __ATOMIC_SEQ_CST);
        if ((int32_t)(resolved - wake_at) < 0 && !pause_until(peer, &peer->resolved, resolved, end_ns, &late))
            return -ETIMEDOUT;
    }
}

int prony_peer_cancel(void *handle, uint64_t offset, int kill)
{
    struct prony_peer *peer = handle;
    struct prony_future *future = future_at(peer, offset);
    uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    (void)kill;
    if ((state & 3u) != PRONY_QUEUED ||
        !__atomic_compare_exchange_n(&future->state, &state, (state & ~3u) | PRONY_RUNNING, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return -EALREADY;
    future->status = -ECANCELED;
    future->done_ns = prony_now_ns();
    __atomic_store_n(&future->state, (state & ~3u) | PRONY_DONE, __ATOMIC_RELEASE);
    count(peer);
    return 0;
}

int prony_peer_drain(struct prony_peer *peer, int drain, int64_t timeout_ns)
{
    uint64_t end_ns = end_of(timeout_ns);
    bool late = false;
    if (!drain)
        __atomic_store_n(&peer->closing, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&peer->wake_at, peer->accepted, __ATOMIC_SEQ_CST);
    for (;;) {
        uint32_t resolved = __atomic_load_n(&peer->resolved, __ATOMIC_SEQ_CST);
        if (resolved == peer->accepted)
            return peer->broken;
        if (!pause_until(peer, &peer->resolved, resolved, end_ns, &late))
            return -ETIMEDOUT;
    }
}
