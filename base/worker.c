/* A worker as its kernels see it: set up from the setup, its scratch, and the timed part of a gang. */
#include <prony/plugin/workload.h>

#include "base/clock.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void prony_worker_init(struct prony_worker *worker, const struct prony_setup *setup, unsigned index,
                       unsigned generation)
{
    uint64_t own = setup->own.off + index * setup->own_stride;
    memset(worker, 0, sizeof *worker);
    worker->index = index;
    worker->count = worker->roles = setup->workers;
    worker->generation = generation;
    worker->base = setup->base;
    worker->arena_bytes = setup->arena_bytes;
    worker->kernels = setup->kernels;
    worker->slot = (struct prony_slot *)(void *)(setup->base + setup->slots.off) + index;
    worker->latency = (struct prony_span){own, sizeof(struct prony_histogram)};
    worker->scratch =
        (struct prony_span){own + sizeof(struct prony_histogram), setup->own_stride - sizeof(struct prony_histogram)};
    worker->channel = setup->channel;
    worker->ends = setup->ends;
    worker->slot->pid = getpid();
    worker->slot->tid = (int32_t)syscall(SYS_gettid);
    worker->slot->lo = -1;
    worker->slot->held = 0;
    worker->slot->pu = -1;
    __atomic_store_n(&worker->slot->generation, generation, __ATOMIC_RELEASE);
}

uint64_t prony_worker_push(struct prony_worker *worker, uint64_t bytes)
{
    uint64_t off = worker->scratch.off + worker->top;
    bytes = (bytes + 63u) & ~(uint64_t)63u;
    if (worker->scratch.len - worker->top < bytes)
        return 0;
    worker->top += bytes;
    /* By atomic words: a thief with a stale copy of a kid may still compare the state of the future that lay here. */
    for (uint64_t *word = (uint64_t *)(void *)(worker->base + off), *end = word + bytes / sizeof *word; word < end;
         word++)
        __atomic_store_n(word, 0, __ATOMIC_RELAXED);
    return off;
}

void prony_worker_pop(struct prony_worker *worker, uint64_t bytes)
{
    worker->top -= (bytes + 63u) & ~(uint64_t)63u;
}

/* A barrier without limit: the host's timeout ends a gang that hangs. */
int prony_worker_begin(struct prony_worker *worker)
{
    int status = worker->ops->barrier(worker, -1);
    worker->slot->begun_ns = prony_now_ns();
    return status;
}

void prony_worker_end(struct prony_worker *worker)
{
    worker->slot->ended_ns = prony_now_ns();
}
