/* A worker as its kernels see it: set up from the setup, its scratch, the timed part of a gang, its ends of a channel. */
#include <prony/plugin/channel.h>
#include <prony/plugin/workload.h>

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void prony_worker_init(struct prony_worker *worker, const struct prony_setup *setup, unsigned index,
                       unsigned generation)
{
    const uint64_t before_scratch = sizeof(struct prony_histogram) + sizeof(struct prony_usage);
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
    worker->scratch = (struct prony_span){own + before_scratch, setup->own_stride - before_scratch};
    worker->usage = (struct prony_usage *)(void *)(setup->base + own + sizeof(struct prony_histogram));
    worker->channel = setup->channel;
    worker->ends = setup->ends;
    worker->slot->pid = getpid();
    worker->slot->tid = (int32_t)syscall(SYS_gettid);
    __atomic_store_n(&worker->slot->lo, -1, __ATOMIC_RELAXED); /* the caller may look already */
    __atomic_store_n(&worker->slot->held, 0, __ATOMIC_RELAXED);
    worker->slot->pu = -1;
    __atomic_store_n(&worker->slot->generation, generation, __ATOMIC_RELEASE);
}

uint64_t prony_worker_push(struct prony_worker *worker, uint64_t bytes)
{
    uint64_t off = worker->scratch.off + worker->top;
    const uint64_t room = worker->scratch.len - worker->top;
    bytes = bytes <= room ? (bytes + 63u) & ~(uint64_t)63u : UINT64_MAX; /* rounding up must not wrap */
    if (bytes > room)
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

/* The thread's own CPU time and switches, so that the engine's other threads are not in them. */
static void spent(uint64_t out[3])
{
    struct timespec cpu = {0, 0};
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    (void)getrusage(RUSAGE_THREAD, &usage);
    out[0] = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
    out[1] = (uint64_t)usage.ru_nvcsw;
    out[2] = (uint64_t)usage.ru_nivcsw;
}

/* A barrier without limit: the host's timeout ends a gang that hangs. */
int prony_worker_begin(struct prony_worker *worker)
{
    int status = worker->ops->barrier(worker, -1);
    spent(worker->usage->start);
    worker->slot->begun_ns = prony_now_ns();
    return status;
}

void prony_worker_end(struct prony_worker *worker)
{
    struct prony_usage *usage = worker->usage;
    uint64_t now[3];
    worker->slot->ended_ns = prony_now_ns();
    spent(now);
    usage->gangs++;
    usage->cpu_ns += now[0] - usage->start[0];
    usage->voluntary += now[1] - usage->start[1];
    usage->involuntary += now[2] - usage->start[2];
}

static int attach_star(struct prony_worker *worker, unsigned nends, struct prony_error *error)
{
    int code = 0;
    worker->spokes = calloc(nends / 2, sizeof *worker->spokes);
    if (worker->spokes == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the hub's ends");
    for (unsigned i = 0; i < nends / 2 && code == 0; i++)
        code = worker->channel->attach(&worker->ends[2 * i], worker, &worker->spokes[i], error);
    worker->attached = worker->spokes[0];
    if (code != 0)
        prony_worker_detach(worker, nends);
    return code;
}

int prony_worker_attach(struct prony_worker *worker, unsigned nends, int star, struct prony_error *error)
{
    unsigned end = star ? 2 * worker->index - 1 : worker->index;
    if (worker->attached != NULL)
        return 0;
    if (star && worker->index == 0)
        return attach_star(worker, nends, error);
    return end < nends ? worker->channel->attach(&worker->ends[end], worker, &worker->attached, error) : 0;
}

/* In the reverse order: an end may restore what it found in the thread. */
void prony_worker_detach(struct prony_worker *worker, unsigned nends)
{
    for (unsigned i = nends / 2; worker->spokes != NULL && i > 0; i--)
        if (worker->spokes[i - 1] != NULL)
            worker->channel->detach(worker->spokes[i - 1]);
    if (worker->spokes == NULL && worker->attached != NULL)
        worker->channel->detach(worker->attached);
    free(worker->spokes);
    worker->spokes = NULL;
    worker->attached = NULL;
}
