#include "measure/live.h"
#include "base/clock.h"
#include "measure/disturb.h"
#include "measure/record.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool interrupted(const struct prony_bout *bout)
{
    return bout->watch->interrupt != NULL && *bout->watch->interrupt != 0;
}

/* Ends a cell that cannot go on. An interrupted one is not a failed one. */
static bool give_up(struct prony_bout *bout, struct prony_live *live, const struct prony_error *error)
{
    struct prony_cell *cell = live->cell;
    prony_client_kill(&live->client);
    live->done = true;
    if (error->code == -EINTR && interrupted(bout)) {
        live->done = false;
    } else if ((error->code == -ENOTSUP || (error->code == -EMSGSIZE && cell->channel != NULL)) &&
               cell->visits_count == 0) {
        cell->outcome = PRONY_SKIPPED;
        cell->reason = *error;
        prony_journal_say(&bout->journal, "skip\t%u\t%s", live->number, error->text);
    } else {
        cell->outcome = PRONY_FAILED;
        cell->reason = *error;
        prony_journal_say(&bout->journal, "fail\t%u\t%s", live->number, error->text);
    }
    prony_live_close(live);
    return false;
}

/* How long a step may take: the timeout, but a stuck cell must not spend the budget of all others. When little or nothing
 * is left of that, a host that a busy machine holds up for some seconds is not stuck yet. */
static int64_t step_timeout(const struct prony_bout *bout)
{
    const int64_t least_ns = 10000000000;
    int64_t timeout = bout->run->method.timeout_ns, left;
    if (bout->deadline_ns == 0)
        return timeout;
    left = (int64_t)(bout->deadline_ns - prony_now_ns());
    left = left < least_ns ? least_ns : left;
    return left < timeout ? left : timeout;
}

/* Asks, and takes the answer's own error for the cell's. */
static bool ask(struct prony_bout *bout, struct prony_live *live, const struct prony_order *order,
                struct prony_answer *answer)
{
    struct prony_error error = {0, ""};
    int code = prony_client_ask(&live->client, order, NULL, answer, step_timeout(bout), bout->watch->interrupt, &error);
    if (code == 0 && answer->error.code != 0)
        error = answer->error;
    live->cell->verified += code == 0 ? answer->verified : 0;
    return error.code == 0 || give_up(bout, live, &error);
}

static bool warm(struct prony_bout *bout, struct prony_live *live)
{
    struct prony_order order = {.kind = PRONY_ORDER_WARM, .target_ns = bout->target_ns};
    struct prony_cell *cell = live->cell;
    struct prony_answer answer;
    order.limit_ns = 30 * bout->target_ns > 50000000 ? 30 * bout->target_ns : 50000000;
    if (!ask(bout, live, &order, &answer))
        return false;
    prony_cell_take_warm_up(cell, &(struct prony_warm_up){answer.repeats, answer.calibrate_ns,
                                                          (enum prony_course)answer.course, answer.warm_samples,
                                                          answer.steady_from, answer.warm_ns});
    prony_record_warm_up(&bout->journal, live->number, &answer);
    return true;
}

bool prony_live_open(struct prony_bout *bout, struct prony_live *live)
{
    struct prony_cell *cell = live->cell;
    struct prony_error error = {0, ""};
    struct prony_answer answer;
    uint64_t begun = prony_now_ns();
    int code = prony_cell_make_room(cell, &bout->run->method, &error);
    cell->caller_pu = prony_caller_pu(cell, bout->run->topology);
    if (code == 0)
        code = prony_client_start(&live->client, cell, &bout->run->method, NULL, &error);
    if (code == 0)
        code = prony_client_open(&live->client, cell, &bout->run->method, &answer, step_timeout(bout),
                                 bout->watch->interrupt, &error);
    if (code == 0 && answer.error.code != 0) {
        error = answer.error;
        code = error.code;
    }
    if (code != 0)
        return give_up(bout, live, &error);
    memcpy(cell->about, answer.about, sizeof cell->about);
    cell->launches = live->launch + 1;
    prony_journal_say(&bout->journal, "open\t%u\t%u\t%d\t%s", live->number, live->launch, live->client.pid,
                      cell->about);
    if (!warm(bout, live))
        return false;
    live->open_ns = prony_now_ns() - begun;
    cell->spent_ns += live->open_ns;
    bout->last_end_ns = 0; /* an opening is no bookkeeping */
    return true;
}

/* The two PUs between which the cell's pulse is taken: the first, and the next that is another. */
static void pulse_pair(const struct prony_cell *cell, int pair[2])
{
    pair[0] = cell->placement.binding ? cell->placement.pus[0] : -1;
    pair[1] = -1;
    for (unsigned i = 1; i < cell->workers && pair[0] >= 0 && pair[1] < 0; i++)
        if (cell->placement.pus[i] != pair[0])
            pair[1] = cell->placement.pus[i];
}

/* What a worker spent in this visit; the host clears it before each. */
static uint64_t take_over_usage(struct prony_cell_worker *who, const struct prony_usage *usage)
{
    who->usage.gangs += usage->gangs;
    who->usage.cpu_ns += usage->cpu_ns;
    who->usage.voluntary += usage->voluntary;
    who->usage.involuntary += usage->involuntary;
    who->usage.node = usage->asked != 0 ? usage->node : who->usage.node;
    who->usage.asked |= usage->asked;
    return usage->cpu_ns;
}

static void take_over_workers(struct prony_live *live, struct prony_visit *visit)
{
    struct prony_cell *cell = live->cell;
    const struct prony_slot *slots = prony_board_slots(live->client.arena.base);
    const struct prony_board *board = (const struct prony_board *)(const void *)live->client.arena.base;
    for (unsigned i = 0; i < cell->workers; i++) {
        struct prony_cell_worker *who = &cell->who[i];
        who->pid = slots[i].pid;
        who->tid = slots[i].tid;
        who->pu = slots[i].tid == 0 ? -1 : slots[i].pu;
        who->generation = slots[i].generation;
        who->items = slots[i].items;
        if (cell->workload->shape == PRONY_GANG)
            visit->cpu_ns +=
                take_over_usage(who, (const struct prony_usage *)(const void *)(live->client.arena.base +
                                                                                board->own.off + i * board->own_stride +
                                                                                sizeof(struct prony_histogram)));
        if (cell->latency != NULL)
            prony_histogram_add(cell->latency,
                                (const struct prony_histogram *)(const void *)(live->client.arena.base +
                                                                               board->own.off + i * board->own_stride));
    }
    if (cell->times != NULL && board->times.len != 0) {
        const struct prony_task_times *times = (const void *)(live->client.arena.base + board->times.off);
        prony_histogram_add(&cell->times->wait, &times->wait);
        prony_histogram_add(&cell->times->run, &times->run);
    }
    prony_cell_take_share(cell);
}

/* A visit is judged again when more of them show what is usual for the cell. */
static void count_marked(struct prony_live *live)
{
    prony_switches_judge(live->cell);
    live->marked = 0;
    for (unsigned i = 0; i < live->cell->visits_count; i++)
        live->marked += live->cell->visits[i].disturbed.marked;
}

static void note_gap(struct prony_bout *bout, uint64_t begun)
{
    if (bout->last_end_ns != 0 && bout->gaps < bout->gaps_room)
        bout->gaps_ns[bout->gaps++] = (double)(begun - bout->last_end_ns);
}

/* The machine's state at one end of a visit. The clocks are read right after the pulse, which keeps these two PUs busy:
 * that of a PU at rest says nothing. */
struct state {
    struct prony_doings doings;
    double khz[2];
};

/* The visit itself, between two looks at the machine. */
static bool observe(struct prony_bout *bout, struct prony_live *live, const struct prony_order *order,
                    struct prony_visit *visit, struct prony_answer *answer)
{
    struct prony_cell *cell = live->cell;
    const struct prony_slot *slots = prony_board_slots(live->client.arena.base);
    struct prony_disturbed *disturbed = &visit->disturbed;
    struct prony_error error = {0, ""};
    struct state before = {.doings = {0, NULL}}, after = {.doings = {0, NULL}};
    uint64_t asked;
    int pair[2];
    bool done = false;
    pulse_pair(cell, pair);
    disturbed->before = prony_pulser_take(&bout->pulser, pair[0], pair[1]);
    prony_clocks_read("", pair, before.khz);
    if (prony_doings_read("", cell, slots, &before.doings, &error) != 0) {
        (void)give_up(bout, live, &error);
        goto out;
    }
    asked = prony_now_ns();
    visit->t_ns = bout->past_ns + (asked - bout->started_ns);
    note_gap(bout, asked);
    if (!ask(bout, live, order, answer))
        goto out;
    bout->last_end_ns = prony_now_ns();
    if (prony_doings_read("", cell, slots, &after.doings, &error) != 0) {
        (void)give_up(bout, live, &error);
        goto out;
    }
    disturbed->after = prony_pulser_take(&bout->pulser, pair[0], pair[1]);
    prony_clocks_read("", pair, after.khz);
    disturbed->marked = prony_pulse_moved(&disturbed->before, &disturbed->after, cell->workers > 1, disturbed->why,
                                          sizeof disturbed->why);
    prony_doings_compare(cell, &before.doings, &after.doings, disturbed);
    prony_clocks_compare(pair, before.khz, after.khz, disturbed);
    done = true;
out:
    prony_doings_free(&before.doings);
    prony_doings_free(&after.doings);
    return done;
}

bool prony_live_visit(struct prony_bout *bout, struct prony_live *live, unsigned block, unsigned samples)
{
    struct prony_cell *cell = live->cell;
    struct prony_order order = {
        .kind = PRONY_ORDER_VISIT, .samples = samples, .turn = cell->visits_count, .repeats = cell->repeats};
    struct prony_answer answer;
    struct prony_visit *visit = prony_cell_next_visit(cell, samples);
    uint64_t begun = prony_now_ns();
    if (visit == NULL)
        return give_up(bout, live, &(struct prony_error){-ENOMEM, "no memory for another visit"});
    visit->block = block;
    visit->launch = live->launch;
    if (!observe(bout, live, &order, visit, &answer)) {
        free(visit->samples_ns);
        return false;
    }
    visit->samples = answer.samples;
    live->sample_ns = 0;
    for (unsigned i = 0; i < answer.samples; i++) {
        visit->samples_ns[i] = answer.samples_ns[i];
        live->sample_ns += (double)answer.samples_ns[i] / answer.samples;
    }
    memcpy(visit->phases_ns, answer.phases_ns, sizeof visit->phases_ns);
    cell->visits_count++;
    count_marked(live);
    take_over_workers(live, visit);
    cell->measured_samples += answer.samples;
    cell->shortfall += answer.shortfall;
    cell->reordered += answer.reordered;
    live->visit_ns = prony_now_ns() - begun;
    cell->spent_ns += live->visit_ns;
    prony_record_visit(&bout->journal, live, visit);
    return true;
}

struct prony_value prony_live_count(const struct prony_live *live, unsigned worker, unsigned event)
{
    const struct prony_value before = live->cell->who[worker].values[event];
    const struct prony_board *board = (const struct prony_board *)(const void *)live->client.arena.base;
    const struct prony_value *now;
    struct prony_value sum;
    if (board == NULL || event >= board->events)
        return before;
    now = &prony_board_counts(live->client.arena.base, worker)->sum[event];
    sum = *now;
    /* an event that failed in any launch is not whole */
    if (before.status != PRONY_NOT_TRIED &&
        (now->status == PRONY_NOT_TRIED || (before.status != PRONY_COUNTED && now->status == PRONY_COUNTED)))
        sum = before;
    if ((board->nature[event] & PRONY_EVENT_LEVEL) == 0)
        sum.value = before.value + now->value;
    else
        sum.value = before.value > now->value ? before.value : now->value;
    sum.enabled_ns = before.enabled_ns + now->enabled_ns;
    sum.running_ns = before.running_ns + now->running_ns;
    sum.samples = before.samples + now->samples;
    if (sum.status == PRONY_NOT_TRIED && board->sets > 1)
        (void)snprintf(sum.reason, sizeof sum.reason, "its turn never came: %u sets of events take turns over visits",
                       board->sets);
    return sum;
}

uint64_t prony_live_counted(const struct prony_live *live)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)live->client.arena.base;
    return live->cell->counted_samples +
           (board == NULL || board->events == 0 ? 0 : prony_board_counts(live->client.arena.base, 0)->samples);
}

/* The median over what all workers kept: one read that was interrupted tells nothing of the others. */
double prony_live_read_ns(const struct prony_live *live)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)live->client.arena.base;
    const unsigned workers = live->cell->workers;
    double *costs, cost;
    size_t n = 0;
    if (board == NULL)
        return live->cell->counter_read_ns;
    costs = board->events == 0 ? NULL : calloc((size_t)workers * PRONY_READS_KEPT + 1, sizeof *costs);
    for (unsigned i = 0; i < workers && costs != NULL; i++) {
        const struct prony_counts *counts = prony_board_counts(live->client.arena.base, i);
        for (unsigned j = 0; j < PRONY_READS_KEPT && j < counts->reads; j++)
            costs[n++] = counts->read_ns[j];
    }
    cost = n == 0 ? NAN : prony_median(costs, n);
    free(costs);
    return cost;
}

/* Adds the launch's counters to the cell's. */
static void take_over_counters(struct prony_live *live)
{
    struct prony_cell *cell = live->cell;
    const struct prony_board *board = (const struct prony_board *)(const void *)live->client.arena.base;
    for (unsigned i = 0; i < cell->workers; i++)
        for (unsigned j = 0; j < board->events && cell->who[i].values != NULL; j++)
            cell->who[i].values[j] = prony_live_count(live, i, j);
    cell->counted_samples = prony_live_counted(live);
    cell->counter_read_ns = prony_live_read_ns(live);
}

void prony_live_close(struct prony_live *live)
{
    if (live->client.arena.base != NULL && live->cell->who != NULL)
        take_over_counters(live);
    prony_client_close(&live->client);
    prony_client_free(&live->client);
}
