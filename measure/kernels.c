#include "measure/kernels.h"
#include "base/clock.h"
#include "base/registry.h"
#include "measure/board.h"
#include "topology/bind.h"

#include <errno.h>

static struct prony_board *board_of(const struct prony_worker *worker)
{
    return (struct prony_board *)(void *)worker->base;
}

static int bind_worker(struct prony_worker *worker, const struct prony_task *task)
{
    const int32_t *pus = prony_at(worker, board_of(worker)->pus.off);
    (void)task;
    if (pus[worker->index] < 0) {
        worker->slot->pu = -1;
        return 0;
    }
    return prony_bind_self(pus[worker->index], &worker->slot->pu, NULL);
}

static int attach(struct prony_worker *worker, const struct prony_task *task)
{
    const struct prony_board *board = board_of(worker);
    int code;
    if (worker->channel == NULL)
        return 0;
    code = prony_worker_attach(worker, board->nends, board->star != 0);
    if (task->arg[0] != 0 && worker->channel->forget != NULL)
        for (unsigned i = 0; i < board->nends; i++)
            worker->channel->forget(&worker->ends[i]);
    return code;
}

static int detach(struct prony_worker *worker, const struct prony_task *task)
{
    (void)task;
    prony_worker_detach(worker, board_of(worker)->nends);
    return 0;
}

/* The provider of this image, and the event names as an array. */
static const struct prony_provider *provider_of(const struct prony_worker *worker, const char *names[PRONY_EVENTS_MAX])
{
    const struct prony_board *board = board_of(worker);
    const char *name = prony_at(worker, board->names.off);
    for (unsigned i = 0; i < board->events; i++) {
        names[i] = name;
        while (*name++ != '\0')
            ;
    }
    return board->events == 0 ? NULL : prony_find_provider(board->provider, NULL);
}

static int count_enter(struct prony_worker *worker, const struct prony_task *task)
{
    const char *names[PRONY_EVENTS_MAX];
    const struct prony_provider *provider = provider_of(worker, names);
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    unsigned events = board_of(worker)->events;
    int code;
    (void)task;
    if (provider == NULL || worker->counting != NULL)
        return 0;
    counts->error = (struct prony_error){0, ""};
    code = provider->enter(worker, names, events, counts->start, &counts->error);
    for (unsigned i = 0; i < events; i++) {
        int64_t sum = counts->sum[i].value;
        uint64_t enabled = counts->sum[i].enabled_ns, running = counts->sum[i].running_ns;
        counts->sum[i] = counts->start[i];
        counts->sum[i].value = sum;
        counts->sum[i].enabled_ns = enabled;
        counts->sum[i].running_ns = running;
    }
    return code;
}

/* Reads the running totals into `values` and notes what the reading cost. */
static int count_read(struct prony_worker *worker, struct prony_value *values)
{
    const char *names[PRONY_EVENTS_MAX];
    const struct prony_provider *provider = provider_of(worker, names);
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    uint64_t begun = prony_now_ns();
    int code;
    if (provider == NULL || worker->counting == NULL)
        return 0;
    code = provider->read(worker, values, board_of(worker)->events);
    counts->read_ns += prony_now_ns() - begun;
    counts->reads++;
    return code;
}

static int count_leave(struct prony_worker *worker, const struct prony_task *task)
{
    const char *names[PRONY_EVENTS_MAX];
    const struct prony_provider *provider = provider_of(worker, names);
    (void)task;
    if (provider != NULL && worker->counting != NULL)
        provider->leave(worker);
    worker->counting = NULL;
    return 0;
}

static int count_begin(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    int code = count_enter(worker, task); /* a worker that was replaced enters here */
    if (code == 0)
        code = count_read(worker, counts->start);
    if (code == -ESTALE) { /* a runtime gave the worker another thread */
        (void)count_leave(worker, task);
        code = count_enter(worker, task);
        if (code == 0)
            code = count_read(worker, counts->start);
    }
    return code;
}

static int count_end(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    struct prony_value now[PRONY_EVENTS_MAX];
    unsigned events = board_of(worker)->events;
    int code;
    (void)task;
    for (unsigned i = 0; i < events; i++)
        now[i] = counts->start[i];
    code = count_read(worker, now);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < events; i++) {
        counts->sum[i].value += now[i].value - counts->start[i].value;
        counts->sum[i].enabled_ns += now[i].enabled_ns - counts->start[i].enabled_ns;
        counts->sum[i].running_ns += now[i].running_ns - counts->start[i].running_ns;
        if (now[i].status != PRONY_COUNTED)
            counts->sum[i].status = now[i].status;
    }
    counts->samples++;
    return 0;
}

const struct prony_kernel prony_own_kernels[] = {
    [PRONY_OWN_BIND] = {"bind", bind_worker},
    [PRONY_OWN_ATTACH] = {"attach", attach},
    [PRONY_OWN_DETACH] = {"detach", detach},
    [PRONY_OWN_COUNT_ENTER] = {"count-enter", count_enter},
    [PRONY_OWN_COUNT_BEGIN] = {"count-begin", count_begin},
    [PRONY_OWN_COUNT_END] = {"count-end", count_end},
    [PRONY_OWN_COUNT_LEAVE] = {"count-leave", count_leave},
    {NULL, NULL},
};
