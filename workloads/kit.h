/* What several workloads share: addresses in the host, a hash for fills, futures poisoned and checked. */
#ifndef PRONY_WORKLOADS_KIT_H
#define PRONY_WORKLOADS_KIT_H

#include <prony/plugin/workload.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64u

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that leaves no pattern. */
static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Byte `off` of the workload's data, in the host. */
static inline void *data_at(const struct prony_bench *bench, uint64_t off)
{
    return bench->setup->base + bench->data.off + off;
}

/* A part of the workload's data as a span of the arena. */
static inline struct prony_span data_span(const struct prony_bench *bench, uint64_t off, uint64_t len)
{
    return (struct prony_span){bench->data.off + off, len};
}

/* Kernel `kernel` of this workload over the whole data, with its own parameters by value. */
static inline void task_fill(const struct prony_bench *bench, struct prony_task *task, unsigned kernel, const void *arg,
                             size_t bytes)
{
    task->ref = (struct prony_ref){1, (uint16_t)kernel};
    task->in = task->out = bench->data;
    memcpy(task->arg, arg, bytes);
}

static inline struct prony_future *future_at(const struct prony_bench *bench, uint64_t i)
{
    return (struct prony_future *)(void *)(bench->setup->base + bench->futures.off) + i;
}

/* What a kernel leaves as its task's result. */
static inline void future_value(const struct prony_worker *worker, const struct prony_task *task, uint64_t value)
{
    ((struct prony_future *)prony_at(worker, task->future))->value = value;
}

/* A kid that runs beside what its parent does itself: gives it a future and spawns it. 0 or -errno. */
static inline int kid_begin(struct prony_worker *worker, struct prony_task *kid)
{
    int code;
    kid->future = prony_worker_push(worker, sizeof(struct prony_future));
    if (kid->future == 0)
        return -ENOMEM;
    code = worker->ops->spawn(worker, kid);
    if (code != 0)
        prony_worker_pop(worker, sizeof(struct prony_future));
    return code;
}

/* Waits for it, also when the parent failed (`code`), since the kid writes into the parent's scratch. The first of their
 * failures, and *value (may be NULL). */
static inline int kid_end(struct prony_worker *worker, const struct prony_task *kid, int code, uint64_t *value)
{
    const struct prony_future *future = prony_at(worker, kid->future);
    const int joined = worker->ops->join(worker, kid, 1);
    code = code != 0 ? code : joined != 0 ? joined : future->status;
    if (value != NULL)
        *value = future->value;
    prony_worker_pop(worker, sizeof *future);
    return code;
}

/* No future is done any more, and none has a right value. The ticket stays: old ring entries must not fit again. */
static inline void futures_poison(const struct prony_bench *bench)
{
    for (uint64_t i = 0; i < bench->need->futures; i++) {
        struct prony_future *future = future_at(bench, i);
        const uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE); /* after who completed it */
        __atomic_store_n(&future->state, (state & ~3u) | PRONY_FREE, __ATOMIC_RELEASE);
        future->status = -EINPROGRESS;
        future->value = UINT64_MAX;
    }
}

static inline int futures_verify(const struct prony_bench *bench, struct prony_error *error)
{
    char text[64];
    for (uint64_t i = 0; i < bench->need->futures; i++) {
        const struct prony_future *future = future_at(bench, i);
        if (prony_future_phase(future) != PRONY_DONE)
            return prony_fail(error, -EBADMSG, "task %llu is not done", (unsigned long long)i);
        if (future->status != 0)
            return prony_fail(error, -EBADMSG, "task %llu ended with: %s", (unsigned long long)i,
                              prony_code_text(future->status, text, sizeof text));
    }
    return 0;
}

/* Turns of one role: the items are dealt out evenly. */
static inline int64_t share(int64_t items, unsigned role, unsigned roles)
{
    return items / roles + (role < items % roles);
}

/* Where a gang's worker leaves how many turns it had: a line each, `off` bytes into the data. */
static inline uint64_t *turns_of(const struct prony_worker *worker, const struct prony_task *task, uint64_t off)
{
    return prony_at(worker, task->out.off + off + worker->index * (uint64_t)LINE_BYTES);
}

static inline void turns_poison(const struct prony_bench *bench, uint64_t off)
{
    memset(data_at(bench, off), 0xff, bench->setup->workers * (uint64_t)LINE_BYTES);
}

/* Each had its share. */
static inline int turns_verify(const struct prony_bench *bench, uint64_t off, struct prony_error *error)
{
    const unsigned workers = bench->setup->workers;
    for (unsigned i = 0; i < workers; i++) {
        const int64_t *turns = data_at(bench, off + i * (uint64_t)LINE_BYTES);
        const int64_t due = share(bench->need->items * bench->repeats, i, workers);
        if (*turns != due)
            return prony_fail(error, -EBADMSG, "worker %u had %lld turns, not %lld", i, (long long)*turns,
                              (long long)due);
    }
    return 0;
}

/* In a gang a wait that lasts this long has lost its peer. */
#define STUCK_NS INT64_C(20000000000)

#endif
