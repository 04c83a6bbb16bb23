/* The worker's side of a carried pool: it listens at its end of the channel, runs what comes and says so. */
#include "base/clock.h"
#include "parallel/carry_lane.h"

#include <unistd.h>

void prony_carry_arrive(struct prony_body *me)
{
    struct prony_carry *carry = prony_carry_of(me);
    struct prony_error *reason = &carry->reasons[me->worker.index];
    struct prony_blob blob;
    struct prony_lane *mine = &carry->lanes[me->worker.index];
    int code = carry->channel->address(mine->channel, 1, &blob);
    if (code == 0)
        code = carry->channel->attach(&blob, &me->worker, &mine->workers, reason);
    if (code != 0) { /* nobody can be told but through the desk and that */
        __atomic_store_n(&me->desk->ready, code, __ATOMIC_SEQ_CST);
        prony_crew_tell(me->crew);
        _exit(1);
    }
    for (unsigned i = 0; carry->channel->forget != NULL && i < me->worker.count; i++)
        for (unsigned end = 0; end < 2; end++)
            if (carry->lanes[i].channel != NULL && carry->channel->address(carry->lanes[i].channel, end, &blob) == 0)
                carry->channel->forget(&blob);
}

static int32_t run_chunk(struct prony_body *me, const struct prony_task *task)
{
    struct prony_slot *slot = me->worker.slot;
    int32_t status;
    __atomic_store_n(&slot->lo, task->lo, __ATOMIC_RELEASE);
    status = prony_task_run(&me->worker, task);
    if (status == 0)
        __atomic_store_n(&slot->items, slot->items + (task->hi - task->lo), __ATOMIC_RELAXED);
    return status;
}

/* As prony_future_run, but for the last step: the caller makes the future DONE when it hears of it. */
static int32_t run_task(struct prony_body *me, const struct prony_task *task)
{
    struct prony_future *future = prony_at(&me->worker, task->future);
    struct prony_slot *slot = me->worker.slot;
    const uint64_t top = me->worker.top;
    const bool timed = me->crew->policy.times != 0 && future->queued_ns != 0;
    int32_t status;
    if (timed)
        future->begun_ns = prony_now_ns();
    status = prony_task_run(&me->worker, task);
    me->worker.top = top;
    if (timed)
        future->ended_ns = prony_now_ns();
    __atomic_store_n(&slot->items, slot->items + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&me->desk->turns, me->desk->turns + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->held, 0, __ATOMIC_RELEASE);
    return status;
}

/* One order. A worker whose channel is broken ends: what it had fails with it, and another one takes its place. */
static bool listen_once(struct prony_body *me)
{
    struct prony_carry *carry = prony_carry_of(me);
    void *end = carry->lanes[me->worker.index].workers;
    struct prony_carry_order order;
    struct prony_carry_reply reply = {0, 1};
    if (carry->channel->recv(end, &order, sizeof order, -1) != (int64_t)sizeof order)
        _exit(1);
    if (order.kind == PRONY_CARRY_REST) {
        __atomic_store_n(&me->desk->inside, PRONY_RESTS, __ATOMIC_SEQ_CST);
        return false;
    }
    if (order.task.future == 0)
        reply.status = run_chunk(me, &order.task);
    else if (prony_future_claim(me, &order.task))
        reply.status = run_task(me, &order.task);
    else
        reply.ran = 0;
    if (carry->channel->send(end, &reply, sizeof reply, -1) != (int64_t)sizeof reply)
        _exit(1);
    return true;
}

bool prony_carry_serve(struct prony_body *me)
{
    uint32_t inside = PRONY_MAY_LISTEN;
    if (!__atomic_compare_exchange_n(&me->desk->inside, &inside, PRONY_LISTENS, 0, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST) &&
        inside != PRONY_LISTENS)
        return false;
    return listen_once(me);
}

bool prony_carry_peek(const struct prony_body *me)
{
    return __atomic_load_n(&me->desk->inside, __ATOMIC_SEQ_CST) != PRONY_RESTS;
}
