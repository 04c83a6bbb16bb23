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
    struct prony_error error = {0, ""};
    int code;
    if (worker->channel == NULL)
        return 0;
    code = prony_worker_attach(worker, board->nends, board->star != 0, &error);
    *prony_board_reason(worker->base, worker->index) = error;
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

/* The events of one set, packed, and who counts them. */
struct chosen {
    const struct prony_provider *provider; /* of this image; NULL: nothing is counted */
    unsigned n;
    const char *names[PRONY_EVENTS_MAX];
    unsigned char at[PRONY_EVENTS_MAX]; /* place in the set -> place among all events */
};

static void choose(const struct prony_worker *worker, unsigned set, struct chosen *chosen)
{
    const struct prony_board *board = board_of(worker);
    const char *name = prony_at(worker, board->names.off);
    chosen->n = 0;
    for (unsigned i = 0; i < board->events; i++) {
        if (board->set[i] == set) {
            chosen->names[chosen->n] = name;
            chosen->at[chosen->n++] = (unsigned char)i;
        }
        while (*name++ != '\0')
            ;
    }
    chosen->provider = board->events == 0 ? NULL : prony_find_provider(board->provider, NULL);
}

static void leave(struct prony_worker *worker, const struct chosen *chosen)
{
    if (chosen->provider != NULL && worker->counting != NULL)
        chosen->provider->leave(worker);
    worker->counting = NULL;
}

/* Opens a set, unless it is open. What was summed before stays. */
static int enter(struct prony_worker *worker, unsigned set, const struct chosen *chosen)
{
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    int code;
    if (chosen->provider == NULL || (worker->counting != NULL && counts->set == set))
        return 0;
    leave(worker, chosen);
    counts->set = set;
    counts->error = (struct prony_error){0, ""};
    code = chosen->provider->enter(worker, chosen->names, chosen->n, counts->start, &counts->error);
    for (unsigned i = 0; i < chosen->n; i++) {
        struct prony_value *sum = &counts->sum[chosen->at[i]], before = *sum;
        *sum = counts->start[i];
        sum->value = before.value;
        sum->enabled_ns = before.enabled_ns;
        sum->running_ns = before.running_ns;
        sum->samples = before.samples;
    }
    return code;
}

/* Reads the running totals into `values` and notes what the reading cost. */
static int read_totals(struct prony_worker *worker, const struct chosen *chosen, struct prony_value *values)
{
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    uint64_t begun = prony_now_ns(), took;
    int code;
    if (chosen->provider == NULL || worker->counting == NULL)
        return 0;
    code = chosen->provider->read(worker, values, chosen->n);
    took = prony_now_ns() - begun;
    counts->read_ns[counts->reads++ % PRONY_READS_KEPT] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    return code;
}

static int count_enter(struct prony_worker *worker, const struct prony_task *task)
{
    struct chosen chosen;
    choose(worker, task->arg[0], &chosen);
    return enter(worker, task->arg[0], &chosen);
}

static int count_leave(struct prony_worker *worker, const struct prony_task *task)
{
    struct chosen chosen;
    (void)task;
    choose(worker, 0, &chosen);
    leave(worker, &chosen);
    return 0;
}

static int count_begin(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    struct chosen chosen;
    int code;
    choose(worker, task->arg[0], &chosen);
    code = enter(worker, task->arg[0], &chosen); /* a worker that was replaced enters here */
    if (code == 0)
        code = read_totals(worker, &chosen, counts->start);
    if (code == -ESTALE) { /* a runtime gave the worker another thread */
        leave(worker, &chosen);
        code = enter(worker, task->arg[0], &chosen);
        if (code == 0)
            code = read_totals(worker, &chosen, counts->start);
    }
    return code;
}

static int count_end(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_counts *counts = prony_board_counts(worker->base, worker->index);
    struct prony_value now[PRONY_EVENTS_MAX];
    struct chosen chosen;
    int code;
    (void)task;
    choose(worker, (unsigned)counts->set, &chosen);
    for (unsigned i = 0; i < chosen.n; i++)
        now[i] = counts->start[i];
    code = read_totals(worker, &chosen, now);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < chosen.n; i++) {
        struct prony_value *sum = &counts->sum[chosen.at[i]];
        if ((board_of(worker)->nature[chosen.at[i]] & PRONY_EVENT_LEVEL) != 0)
            sum->value = now[i].value > sum->value ? now[i].value : sum->value;
        else
            sum->value += now[i].value - counts->start[i].value;
        sum->enabled_ns += now[i].enabled_ns - counts->start[i].enabled_ns;
        sum->running_ns += now[i].running_ns - counts->start[i].running_ns;
        sum->samples++;
        if (now[i].status != PRONY_COUNTED)
            sum->status = now[i].status;
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
    [PRONY_OWN_TRACE] = {"trace", prony_trace_worker},
    {NULL, NULL},
};
