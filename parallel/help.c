/* Help: the caller runs a task that it waits for, when nobody has begun it. Threads only: what a process runs must not run
 * where its crash would take the caller along.
 *
 * The caller is then a worker of its own body, whose slot, desk and scratch lie behind the workers'. It claims the task
 * as any worker does; the entry that it leaves in a queue is stale by its ticket. Kids that the task spawns are queued
 * for the workers, and those that nobody took the caller runs when it joins them. It waits for nothing else: what a
 * worker runs waits only for kids of its own, so this ends. */
#include "parallel/crew.h"

#include <prony/histogram.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SCRATCH 32768u

struct helper {
    struct prony_slot slot;
    struct prony_usage usage;
    struct prony_desk desk;
    struct prony_histogram latency;
    alignas(64) unsigned char scratch[SCRATCH];
};

uint64_t prony_help_area(void)
{
    return sizeof(struct helper);
}

static int spawn(struct prony_worker *worker, struct prony_task *kid)
{
    struct prony_crew *crew = prony_body_of(worker)->crew;
    if (kid->future == 0)
        return -EINVAL;
    kid->ticket = prony_future_queue(crew, kid->future, prony_crew_ticket(crew) & PRONY_TICKETS);
    (void)crew->trade->offer(crew, kid); /* no room: it is run in join */
    return 0;
}

static int join(struct prony_worker *worker, const struct prony_task *kids, unsigned n)
{
    struct prony_body *me = prony_body_of(worker);
    int code = 0;
    for (unsigned i = n; i-- > 0;)
        if (prony_future_claim(me, &kids[i]))
            prony_future_run(me, &kids[i]);
    for (unsigned i = n; i-- > 0 && code == 0;)
        code = prony_crew_wait(me->crew, &kids[i].future, 1, 1, -1);
    return code;
}

static int barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    (void)worker, (void)timeout_ns;
    return -ENOTSUP; /* of gangs; a task has no peers */
}

static int stopped(struct prony_worker *worker)
{
    (void)worker;
    return 0;
}

static const struct prony_worker_ops ops = {spawn, join, barrier, stopped};

/* The caller's body, made when it first helps. NULL: no memory. */
static struct prony_body *body_of(struct prony_crew *crew)
{
    const struct prony_setup *setup = crew->setup;
    struct helper *helper = (struct helper *)(void *)(setup->base + crew->help_off);
    struct prony_body *me = crew->helper;
    if (me != NULL || (me = prony_crew_owner(sizeof *me)) == NULL)
        return me;
    memset(helper, 0, offsetof(struct helper, scratch));
    helper->slot = (struct prony_slot){getpid(), (int32_t)syscall(SYS_gettid), 1, -1, 0, -1, 0, 0, 0, 0};
    me->worker = (struct prony_worker){
        .index = UINT32_MAX,
        .count = crew->workers,
        .roles = crew->workers,
        .generation = 1,
        .base = setup->base,
        .arena_bytes = setup->arena_bytes,
        .kernels = setup->kernels,
        .slot = &helper->slot,
        .scratch = {crew->help_off + offsetof(struct helper, scratch), SCRATCH},
        .latency = {crew->help_off + offsetof(struct helper, latency), sizeof helper->latency},
        .engine = me,
        .usage = &helper->usage,
        .ops = &ops,
    };
    me->crew = crew;
    me->desk = &helper->desk;
    crew->helper = me;
    return me;
}

int prony_crew_help(struct prony_crew *crew, const struct prony_task *task, uint64_t *value, int64_t timeout_ns)
{
    struct prony_future *future = prony_crew_future(crew, task->future);
    const uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    struct prony_body *me;
    if ((state & 3u) == PRONY_QUEUED && crew->policy.staff == PRONY_THREADS && (me = body_of(crew)) != NULL) {
        struct prony_task mine = *task;
        mine.ticket = state >> 2 & PRONY_TICKETS;
        if (prony_future_claim(me, &mine))
            prony_future_run(me, &mine);
    }
    return prony_crew_result(crew, task->future, value, timeout_ns);
}

int prony_crew_result(struct prony_crew *crew, uint64_t off, uint64_t *value, int64_t timeout_ns)
{
    const struct prony_future *future = prony_crew_future(crew, off);
    int code = prony_crew_wait(crew, &off, 1, 1, timeout_ns);
    if (code != 0)
        return code;
    if (value != NULL)
        *value = future->value;
    return future->status;
}
