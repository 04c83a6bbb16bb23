/* The measuring loop. Cells are measured in groups of hosts that may be alive together; within a group, blocks of visits
 * in an order that is a pure function of (seed, block). */
#include "measure/measure.h"
#include "base/clock.h"
#include "base/log.h"
#include "measure/calls.h"
#include "measure/counters.h"
#include "measure/live.h"
#include "measure/profile.h"
#include "measure/record.h"
#include "measure/rerun.h"
#include "measure/resume.h"
#include "measure/same.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ALIVE_MOST = 128, LEAST_VISITS = 6, WARM_SAMPLES = 12, PRECISE_VISITS_MOST = 200 };
static const int64_t open_cost_ns = 15000000, visit_cost_ns = 3000000;
static const int64_t target_least_ns = 200000, target_most_ns = 20000000, target_plain_ns = 10000000;

struct group {
    struct prony_live *live;
    unsigned count, from, done_before; /* of all cells to be measured */
    uint64_t deadline_ns, end_ns;      /* of its visits, and of all that it does; 0: none */
    unsigned blocks;
};

static bool must_stop(const struct prony_bout *bout)
{
    return (bout->watch->interrupt != NULL && *bout->watch->interrupt != 0) || bout->journal.error.code != 0;
}

/* How long a sample should be, so that the planned visits of `cells` cells fit into what is left. */
static int64_t sample_target(const struct prony_method *method, int64_t left_ns, unsigned cells)
{
    int64_t per_cell, samples = WARM_SAMPLES + (int64_t)method->visits * (method->samples + 1), target;
    if (left_ns <= 0)
        return target_plain_ns;
    per_cell = left_ns / 10 * 9 / (cells == 0 ? 1 : cells);
    target = (per_cell - open_cost_ns - (int64_t)method->visits * visit_cost_ns) / samples;
    return target < target_least_ns ? target_least_ns : target > target_most_ns ? target_most_ns : target;
}

/* Is the cell's interval narrow enough? */
static bool is_precise(const struct prony_method *method, const struct prony_cell *cell)
{
    double medians[PRECISE_VISITS_MOST];
    bool launches;
    size_t n;
    if (method->precision <= 0 || cell->visits_count < LEAST_VISITS)
        return false;
    n = prony_cell_units(cell, prony_cell_clean(cell), medians, PRECISE_VISITS_MOST, &launches);
    return prony_is_precise(medians, n, method->precision / 100);
}

/* Visits a cell is still to get: the planned ones, and one for each marked one, up to half as many again. */
static bool wants_more(const struct prony_method *method, const struct prony_live *live)
{
    unsigned extra = live->marked < (method->visits + 1) / 2 ? live->marked : (method->visits + 1) / 2;
    if (live->done)
        return false;
    if (method->precision > 0)
        return live->cell->visits_count < PRECISE_VISITS_MOST && !is_precise(method, live->cell);
    return live->cell->visits_count < method->visits + extra;
}

static uint64_t visit_estimate(const struct prony_live *live, int64_t target_ns, unsigned samples)
{
    if (live->visit_ns != 0)
        return live->visit_ns;
    return (uint64_t)(open_cost_ns + visit_cost_ns + target_ns * (int64_t)(samples + 1 + WARM_SAMPLES));
}

/* Fewer samples a visit when the planned visits would not fit any more; never fewer than one. */
static unsigned samples_now(const struct prony_bout *bout, const struct group *group)
{
    const struct prony_method *method = &bout->run->method;
    uint64_t now = prony_now_ns();
    double need = 0, left;
    if (group->deadline_ns == 0 || group->blocks == 0)
        return method->samples;
    for (unsigned i = 0; i < group->count; i++) {
        const struct prony_live *live = &group->live[i];
        unsigned visits = live->cell->visits_count;
        if (!live->done && visits < method->visits)
            need +=
                (double)(method->visits - visits) * ((double)visit_cost_ns + live->sample_ns * (method->samples + 1));
    }
    left = now >= group->deadline_ns ? 0 : (double)(group->deadline_ns - now);
    if (need <= left)
        return method->samples;
    return (unsigned)fmax(1, floor((double)method->samples * left / need));
}

static void show_progress(const struct prony_bout *bout, const struct group *group, const struct prony_cell *cell)
{
    static uint64_t last_ns;
    const struct prony_run *run = bout->run;
    uint64_t now = prony_now_ns(), spent = bout->past_ns + (now - bout->started_ns);
    double done = group->done_before;
    unsigned all = 0;
    if (bout->watch->progress == NULL || now - last_ns < 100000000)
        return;
    last_ns = now;
    for (unsigned i = 0; i < group->count; i++)
        done += group->live[i].done ? 1 : fmin(1, (double)group->live[i].cell->visits_count / run->method.visits);
    for (unsigned i = 0; i < run->count; i++)
        all += run->cells[i].outcome != PRONY_SKIPPED;
    done = all == 0 ? 1 : fmin(1, done / all);
    bout->watch->progress(bout->watch->context, done, done < 0.02 ? -1 : (int64_t)((double)spent * (1 - done) / done),
                          cell);
}

/* A new launch after every visits/launches visits, and one more for each time that the run was interrupted in between. */
static bool step(struct prony_bout *bout, struct prony_live *live, unsigned block, unsigned samples)
{
    const struct prony_method *method = &bout->run->method;
    unsigned stay = method->visits / method->launches == 0 ? 1 : method->visits / method->launches;
    unsigned planned = live->cell->visits_count / stay;
    if (method->precision <= 0 && planned >= method->launches)
        planned = method->launches - 1; /* with a precision nobody knows how many visits there will be */
    if (live->client.pid != 0 && planned != live->planned)
        prony_live_close(live);
    live->planned = planned;
    if (live->client.pid == 0) {
        live->launch = live->cell->launches;
        if (!prony_live_open(bout, live))
            return false;
    }
    return prony_live_visit(bout, live, block, samples);
}

/* One visit of every cell that wants more. False: the group is to end. */
static bool block(struct prony_bout *bout, struct group *group, unsigned *order, bool *any)
{
    unsigned samples = samples_now(bout, group);
    *any = false;
    prony_shuffle(order, group->count, bout->run->method.seed, group->blocks);
    for (unsigned i = 0; i < group->count; i++) {
        struct prony_live *live = &group->live[order[i]];
        uint64_t least = visit_estimate(live, bout->target_ns, samples);
        if (must_stop(bout))
            return false;
        if (!wants_more(&bout->run->method, live))
            continue;
        if (group->deadline_ns != 0 && prony_now_ns() + least > group->deadline_ns && live->cell->visits_count > 0)
            continue; /* another may still fit */
        if (group->deadline_ns != 0 && prony_now_ns() > group->deadline_ns)
            return false;
        show_progress(bout, group, live->cell);
        *any |= step(bout, live, group->blocks, samples) || live->done;
        if (live->client.pid != 0 && !wants_more(&bout->run->method, live)) {
            live->done = true;
            if (!prony_calls_wanted(live->cell)) /* else its host is needed once more, after all visits */
                prony_live_close(live);
        }
    }
    group->blocks++;
    return true;
}

/* After all visits, of which none shall meet what it does; before any host is closed, which takes time. */
static void count_calls(struct prony_bout *bout, struct group *group)
{
    for (unsigned i = 0; i < group->count && !must_stop(bout); i++) {
        struct prony_live *live = &group->live[i];
        if (live->client.pid != 0 && live->cell->visits_count != 0 && prony_calls_wanted(live->cell))
            prony_calls(bout, live, group->end_ns);
    }
}

static void finish(struct prony_bout *bout, struct group *group)
{
    bool stopped = must_stop(bout);
    unsigned few = 0;
    for (unsigned i = 0; i < group->count; i++) {
        struct prony_live *live = &group->live[i];
        struct prony_cell *cell = live->cell;
        prony_live_close(live);
        if (cell->outcome != PRONY_PENDING)
            continue;
        if (cell->visits_count != 0 && (!stopped || live->done || cell->visits_count >= bout->run->method.visits)) {
            cell->outcome = PRONY_OK;
            few += cell->visits_count < LEAST_VISITS;
        } else {
            cell->outcome = PRONY_INTERRUPTED;
            (void)prony_fail(&cell->reason, -EINTR,
                             stopped ? "the run was interrupted after %u visits"
                                     : "the budget was spent before its first visit (%u)",
                             cell->visits_count);
        }
    }
    if (few != 0) {
        char note[160];
        int length =
            snprintf(note, sizeof note, "%u cells got fewer than %d visits within the budget: no 95%% interval", few,
                     LEAST_VISITS);
        (void)prony_list_add(&bout->run->notes, note, (size_t)length);
    }
}

/* Counting by a second run comes after all timing: it shares the machine with no visit. */
static void rerun_group(struct prony_bout *bout, struct group *group)
{
    for (unsigned i = 0; i < group->count && !must_stop(bout); i++)
        prony_rerun(bout, &group->live[i]);
}

static void scale_group(const struct prony_bout *bout, const struct group *group)
{
    static const char note[] =
        "some events shared the CPU's counters: their counts are scaled from the time they had one";
    struct prony_run *run = bout->run;
    unsigned scaled = 0;
    for (unsigned i = 0; i < group->count; i++)
        for (unsigned j = 0; group->live[i].cell->who != NULL && j < group->live[i].cell->workers; j++)
            if (group->live[i].cell->who[j].values != NULL)
                scaled += prony_counters_scale(group->live[i].cell->who[j].values, (unsigned)run->method.events.count);
    if (scaled > 0 && !prony_list_has(&run->notes, note))
        (void)prony_list_add(&run->notes, note, sizeof note - 1);
}

/* Cells that were visited before the run was interrupted: the next block is a new one. */
static void take_up(struct group *group)
{
    group->blocks = 0;
    for (unsigned i = 0; i < group->count; i++) {
        struct prony_live *live = &group->live[i];
        const struct prony_visit *visits = live->cell->visits;
        live->cell->restored = false;
        for (unsigned v = 0; v < live->cell->visits_count; v++) {
            live->marked += visits[v].disturbed.marked;
            group->blocks = visits[v].block >= group->blocks ? visits[v].block + 1 : group->blocks;
        }
    }
}

static int measure_group(struct prony_bout *bout, struct group *group, struct prony_error *error)
{
    unsigned *order = calloc(group->count, sizeof *order);
    bool any = true;
    if (order == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the order of %u cells", group->count);
    while (any && block(bout, group, order, &any))
        ;
    count_calls(bout, group);
    finish(bout, group);
    scale_group(bout, group);
    rerun_group(bout, group);
    free(order);
    return 0;
}

/* Of its channel: the workload's, or those of a pool that it carries. */
static unsigned ends_of(const struct prony_cell *cell)
{
    return cell->need.ends != 0 ? cell->need.ends : 2 * cell->workers;
}

/* Does the channel of this cell have no room for it beside those that are alive? */
static bool is_crowded(const struct prony_cell *cell, const struct prony_live *live, unsigned n)
{
    const unsigned most = cell->channel == NULL ? 0 : cell->channel->ends_most;
    unsigned ends = ends_of(cell);
    bool alone = true;
    for (unsigned i = 0; i < n && most != 0; i++)
        if (live[i].cell->channel == cell->channel) {
            ends += ends_of(live[i].cell);
            alone = false;
        }
    return !alone && ends > most;
}

/* What of the group's share of the budget is kept for counting calls after the visits; at most a tenth. */
static int64_t calls_share(const struct group *group, int64_t share)
{
    int64_t wanted = 0;
    for (unsigned i = 0; i < group->count; i++)
        wanted += prony_calls_wanted(group->live[i].cell) ? PRONY_CALLS_NS : 0;
    return wanted < share / 10 ? wanted : share / 10;
}

/* A cell that had ended before the run was interrupted comes into its group, so that the order of blocks stays. */
static bool is_waiting(const struct prony_cell *cell)
{
    return cell->outcome == PRONY_PENDING || cell->restored;
}

/* Cells that may be alive together: by number, by their channels' limits, by a quarter of the memory. */
static unsigned together(const struct prony_run *run, struct prony_live *live)
{
    uint64_t room = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4, used = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < run->count && n < ALIVE_MOST; i++) {
        struct prony_board board;
        if (!is_waiting(&run->cells[i]) || is_crowded(&run->cells[i], live, n))
            continue;
        prony_board_lay(&board, &run->cells[i], &run->method);
        used += board.bytes;
        if (used > room && n != 0)
            break;
        live[n] = (struct prony_live){.cell = &run->cells[i], .number = i, .done = run->cells[i].restored};
        live[n].client.control_fd = live[n].client.arena.fd = -1;
        n++;
    }
    return n;
}

static double clock_cost(void)
{
    enum { READS = 2000 };
    uint64_t begun = prony_now_ns(), last = begun;
    for (int i = 0; i < READS; i++)
        last = prony_now_ns();
    return (double)(last - begun) / READS;
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : limit.rlim_cur < 4096 ? 4096 : limit.rlim_cur;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int begin(struct prony_bout *bout, struct prony_error *error)
{
    struct prony_run *run = bout->run;
    struct prony_resume *resume = bout->watch->resume;
    int64_t left_ns;
    int code = prony_pulser_start(&bout->pulser, error);
    if (code != 0) {
        prony_warn("%s: disturbances are told without it", error->text);
        *error = (struct prony_error){0, ""};
    }
    if (resume == NULL) {
        run->started_s = (int64_t)time(NULL);
        code = prony_journal_open(&bout->journal, bout->watch->journal, error);
        if (code == 0)
            code = prony_record_head(&bout->journal, run, bout->watch, error);
    } else {
        code = prony_resume_take(resume, run, &bout->journal, error);
        bout->past_ns = resume->elapsed_ns;
    }
    if (code != 0)
        return code;
    allow_descriptors();
    bout->gaps_room = 4096;
    bout->gaps_ns = calloc(bout->gaps_room, sizeof *bout->gaps_ns);
    if (bout->gaps_ns == NULL)
        return prony_fail(error, -ENOMEM, "no memory to measure");
    run->clock_ns = clock_cost();
    bout->started_ns = prony_now_ns();
    left_ns = run->method.budget_ns - (int64_t)bout->past_ns;
    bout->deadline_ns = run->method.budget_ns == 0 ? 0 : bout->started_ns + (left_ns > 0 ? (uint64_t)left_ns : 1);
    return 0;
}

static void end(struct prony_bout *bout, bool broken, struct prony_error *error)
{
    struct prony_run *run = bout->run;
    run->wall_ns = bout->past_ns + (prony_now_ns() - bout->started_ns);
    run->interrupted = must_stop(bout) || broken;
    for (unsigned i = 0; i < run->count; i++)
        if (run->cells[i].outcome == PRONY_PENDING) {
            run->cells[i].outcome = PRONY_INTERRUPTED;
            (void)prony_fail(&run->cells[i].reason, -EINTR, "the run ended before it was reached");
        }
    run->bookkeeping_ns = prony_median(bout->gaps_ns, bout->gaps);
    prony_journal_say(&bout->journal, "end\t%s\t%llu", run->interrupted ? "interrupted" : "done",
                      (unsigned long long)run->wall_ns);
    if (bout->journal.error.code != 0)
        *error = bout->journal.error;
    prony_pulser_stop(&bout->pulser);
    if (bout->watch->kept != NULL)
        *bout->watch->kept = bout->journal;
    else
        prony_journal_close(&bout->journal);
    free(bout->gaps_ns);
}

/* Events that took turns were not counted in the same samples: whoever compares them must know. */
static void note_sets(struct prony_run *run)
{
    char note[200];
    int length;
    if (run->method.event_sets < 2)
        return;
    length = snprintf(note, sizeof note,
                      "%zu events do not fit into this CPU's counters at once: %u sets of them took "
                      "turns, a visit each, instead of being multiplexed",
                      run->method.events.count, run->method.event_sets);
    (void)prony_list_add(&run->notes, note, (size_t)length);
}

static void note_resumed(struct prony_run *run)
{
    char note[200];
    int length;
    if (run->resumed_count == 0)
        return;
    length = snprintf(note, sizeof note,
                      "the run was interrupted and went on, %u time%s: then every cell that lacked visits got a fresh "
                      "process, and times of the run leave out the pause",
                      run->resumed_count, run->resumed_count == 1 ? "" : "s");
    (void)prony_list_add(&run->notes, note, (size_t)length);
}

int prony_measure(struct prony_run *run, const struct prony_watch *watch, struct prony_error *error)
{
    struct prony_bout bout = {.run = run, .watch = watch, .pulser = {0, -1}, .journal = {.fd = -1}};
    struct group group = {.live = calloc(ALIVE_MOST, sizeof *group.live)};
    unsigned left = 0, groups = 0;
    int code = group.live == NULL ? prony_fail(error, -ENOMEM, "no memory to measure") : begin(&bout, error);
    for (unsigned i = 0; i < run->count; i++)
        left += is_waiting(&run->cells[i]);
    while (code == 0 && left != 0 && !must_stop(&bout)) {
        int64_t budget = run->method.budget_ns - (int64_t)(bout.past_ns + (prony_now_ns() - bout.started_ns)), share;
        int64_t calls;
        group.count = together(run, group.live);
        share = run->method.budget_ns == 0 ? 0 : (int64_t)((double)budget * group.count / left);
        calls = share < 1 ? 0 : calls_share(&group, share);
        bout.target_ns = sample_target(&run->method, share - calls, group.count);
        group.end_ns = run->method.budget_ns == 0 ? 0 : prony_now_ns() + (uint64_t)(share < 1 ? 1 : share);
        group.deadline_ns = group.end_ns - (uint64_t)calls;
        take_up(&group);
        code = measure_group(&bout, &group, error);
        left -= group.count;
        group.done_before += group.count;
        run->blocks += group.blocks;
        groups++;
    }
    note_sets(run);
    note_resumed(run);
    prony_counters_note(run);
    if (groups > 1) {
        char note[160];
        int length = snprintf(note, sizeof note,
                              "the cells were measured in %u groups one after another: compare across "
                              "groups with care",
                              groups);
        (void)prony_list_add(&run->notes, note, (size_t)length);
    }
    if (code == 0 && run->method.profile)
        prony_profile_cells(run, watch);
    end(&bout, code != 0, error);
    free(group.live);
    return code != 0 ? code : error->code;
}
