#include "measure/live.h"
#include "base/clock.h"
#include "measure/disturb.h"
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

/* Samples as fields of a line of the journal. */
static void samples_say(const uint64_t *ns, unsigned n, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < n && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "\t%llu", (unsigned long long)ns[i]);
}

/* Of several launches the one that ran worst is kept: a course that cannot be told is the worst of all. */
static void keep_warm_up(struct prony_live *live, const struct prony_answer *answer)
{
    struct prony_cell *cell = live->cell;
    enum prony_course course = (enum prony_course)answer->course;
    uint64_t *kept;
    if (cell->warm_ns != NULL &&
        (cell->course == PRONY_COURSE_UNKNOWN || (course != PRONY_COURSE_UNKNOWN && course <= cell->course)))
        return;
    kept = malloc((answer->warm_samples + 1u) * sizeof *kept);
    if (kept == NULL)
        return;
    memcpy(kept, answer->warm_ns, answer->warm_samples * sizeof *kept);
    free(cell->warm_ns);
    cell->warm_ns = kept;
    cell->warm_samples = answer->warm_samples;
    cell->course = course;
    cell->steady_from = answer->steady_from;
}

static bool warm(struct prony_bout *bout, struct prony_live *live)
{
    struct prony_order order = {.kind = PRONY_ORDER_WARM, .target_ns = bout->target_ns};
    struct prony_cell *cell = live->cell;
    struct prony_answer answer;
    char samples[PRONY_WARM_MOST * 21 + 1];
    order.limit_ns = 30 * bout->target_ns > 50000000 ? 30 * bout->target_ns : 50000000;
    if (!ask(bout, live, &order, &answer))
        return false;
    if (live->launch == 0) { /* later launches keep it, so that their samples compare */
        cell->repeats = answer.repeats;
        cell->calibrate_ns = answer.calibrate_ns;
        cell->steady = true;
    }
    cell->steady = cell->steady && prony_course_is_steady((enum prony_course)answer.course);
    keep_warm_up(live, &answer);
    samples_say(answer.warm_ns, answer.warm_samples, samples, sizeof samples);
    prony_journal_say(&bout->journal, "warm\t%u\t%lld\t%llu\t%u\t%s\t%u%s", live->number, (long long)answer.repeats,
                      (unsigned long long)answer.calibrate_ns, answer.warm_samples,
                      prony_course_name((enum prony_course)answer.course), answer.steady_from, samples);
    return true;
}

static int make_room(struct prony_cell *cell, const struct prony_method *method, struct prony_error *error)
{
    if (cell->who == NULL) {
        cell->who = calloc(cell->workers, sizeof *cell->who);
        if (cell->who == NULL)
            return prony_fail(error, -ENOMEM, "no memory for %u workers", cell->workers);
    }
    for (unsigned i = 0; i < cell->workers && method->provider != NULL && cell->workload->shape != PRONY_LIFE; i++)
        if (cell->who[i].values == NULL &&
            (cell->who[i].values = calloc(method->events.count + 1, sizeof *cell->who[i].values)) == NULL)
            return prony_fail(error, -ENOMEM, "no memory for counters");
    if (cell->latency == NULL && cell->workload->clock == PRONY_PER_OP &&
        (cell->latency = calloc(1, sizeof *cell->latency)) == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a histogram");
    if (cell->times == NULL && prony_cell_times(cell) != 0 && (cell->times = calloc(1, sizeof *cell->times)) == NULL)
        return prony_fail(error, -ENOMEM, "no memory for two histograms");
    return 0;
}

bool prony_live_open(struct prony_bout *bout, struct prony_live *live)
{
    struct prony_cell *cell = live->cell;
    struct prony_error error = {0, ""};
    struct prony_answer answer;
    uint64_t begun = prony_now_ns();
    int code = make_room(cell, &bout->run->method, &error);
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
    prony_journal_say(&bout->journal, "open\t%u\t%u\t%d", live->number, live->launch, live->client.pid);
    if (!warm(bout, live))
        return false;
    live->open_ns = prony_now_ns() - begun;
    cell->spent_ns += live->open_ns;
    bout->last_end_ns = 0; /* an opening is no bookkeeping */
    return true;
}

static struct prony_visit *next_visit(struct prony_cell *cell, unsigned samples)
{
    struct prony_visit *visit;
    if (cell->visits_count == cell->visits_room) {
        unsigned room = cell->visits_room == 0 ? 16 : 2 * cell->visits_room;
        struct prony_visit *grown = realloc(cell->visits, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        cell->visits = grown;
        cell->visits_room = room;
    }
    visit = &cell->visits[cell->visits_count];
    memset(visit, 0, sizeof *visit);
    visit->samples_ns = calloc(samples, sizeof *visit->samples_ns);
    return visit->samples_ns == NULL ? NULL : visit;
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
    int64_t all = 0;
    bool helps = (cell->engine->head.caps & PRONY_CAP_HELPS) != 0;
    for (unsigned i = 0; i < cell->workers; i++) {
        struct prony_cell_worker *who = &cell->who[i];
        who->pid = slots[i].pid;
        who->tid = slots[i].tid;
        who->pu = slots[i].tid == 0 ? -1 : slots[i].pu;
        who->generation = slots[i].generation;
        who->items = slots[i].items;
        who->flags = helps && i == 0 ? PRONY_WHO_CALLER : 0;
        all += who->items;
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
    cell->caller_share = all == 0 ? NAN : helps ? (double)cell->who[0].items / (double)all : 0;
}

static void journal_visit(struct prony_bout *bout, const struct prony_live *live, const struct prony_visit *visit)
{
    const struct prony_disturbed *d = &visit->disturbed;
    char samples[PRONY_SAMPLES_MOST * 21 + 1];
    samples_say(visit->samples_ns, visit->samples, samples, sizeof samples);
    prony_journal_say(&bout->journal, "visit\t%u\t%u\t%u\t%llu\t%.1f\t%.1f\t%.0f\t%.0f\t%llu\t%llu\t%llu%s",
                      live->number, visit->block, visit->launch, (unsigned long long)visit->t_ns, d->before.line_ns,
                      d->after.line_ns, d->before.compute_ns, d->after.compute_ns, (unsigned long long)d->steal_ns,
                      (unsigned long long)d->involuntary, (unsigned long long)d->migrations, samples);
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
    visit->t_ns = asked - bout->started_ns;
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
    struct prony_visit *visit = next_visit(cell, samples);
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
    journal_visit(bout, live, visit);
    live->visit_ns = prony_now_ns() - begun;
    cell->spent_ns += live->visit_ns;
    return true;
}

/* The median over what all workers kept: one read that was interrupted tells nothing of the others. */
static double read_cost(unsigned char *base, unsigned workers)
{
    double *costs = calloc((size_t)workers * PRONY_READS_KEPT + 1, sizeof *costs), cost;
    size_t n = 0;
    for (unsigned i = 0; i < workers && costs != NULL; i++) {
        const struct prony_counts *counts = prony_board_counts(base, i);
        for (unsigned j = 0; j < PRONY_READS_KEPT && j < counts->reads; j++)
            costs[n++] = counts->read_ns[j];
    }
    cost = n == 0 ? NAN : prony_median(costs, n);
    free(costs);
    return cost;
}

/* Adds the launch's counters to the cell's. A worker's event that failed in any launch is not whole. */
static void take_over_counters(struct prony_live *live)
{
    struct prony_cell *cell = live->cell;
    const struct prony_board *board = (const struct prony_board *)(const void *)live->client.arena.base;
    for (unsigned i = 0; i < cell->workers && board->events != 0; i++) {
        const struct prony_counts *counts = prony_board_counts(live->client.arena.base, i);
        for (unsigned j = 0; j < board->events && cell->who[i].values != NULL; j++) {
            struct prony_value *into = &cell->who[i].values[j];
            const struct prony_value *from = &counts->sum[j];
            struct prony_value sum = *from;
            if (into->status != PRONY_NOT_TRIED &&
                (from->status == PRONY_NOT_TRIED || (into->status != PRONY_COUNTED && from->status == PRONY_COUNTED)))
                sum = *into;
            if ((board->nature[j] & PRONY_EVENT_LEVEL) == 0)
                sum.value = into->value + from->value;
            else
                sum.value = into->value > from->value ? into->value : from->value;
            sum.enabled_ns = into->enabled_ns + from->enabled_ns;
            sum.running_ns = into->running_ns + from->running_ns;
            sum.samples = into->samples + from->samples;
            if (sum.status == PRONY_NOT_TRIED && board->sets > 1)
                (void)snprintf(sum.reason, sizeof sum.reason,
                               "its turn never came: %u sets of events take turns over visits", board->sets);
            *into = sum;
        }
        if (i == 0)
            cell->counted_samples += counts->samples;
    }
    cell->counter_read_ns = board->events == 0 ? NAN : read_cost(live->client.arena.base, cell->workers);
}

void prony_live_close(struct prony_live *live)
{
    if (live->client.arena.base != NULL && live->cell->who != NULL)
        take_over_counters(live);
    prony_client_close(&live->client);
    prony_client_free(&live->client);
}
