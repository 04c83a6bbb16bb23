/* Measuring external programs: blocks of visits, each launch a sample. */
#include "measure/exec.h"
#include "base/clock.h"
#include "base/log.h"
#include "measure/command.h"
#include "measure/counters.h"
#include "measure/disturb.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LEAST_VISITS = 6, PRECISE_VISITS_MOST = 200 };
static const uint64_t telling_ns = 100000000;
static const double steady_tolerance = 0.02;
static const char no_pulse[] =
    "no pulse of the machine is taken beside external programs: only stolen time marks a visit";

/* What wait4 tells of a launch and all the children that it waited for. The peak is that of its largest process. */
enum event { USER, SYSTEM, PEAK, MINOR, MAJOR, VOLUNTARY, INVOLUNTARY, BLOCKS_IN, BLOCKS_OUT, EVENTS };
static const char *const events[EVENTS + 1] = {
    [USER] = "user-time",
    [SYSTEM] = "system-time",
    [PEAK] = "process-memory-peak",
    [MINOR] = "minor-faults",
    [MAJOR] = "major-faults",
    [VOLUNTARY] = "voluntary-switches",
    [INVOLUNTARY] = "involuntary-switches",
    [BLOCKS_IN] = "blocks-in",
    [BLOCKS_OUT] = "blocks-out",
};

/* Who counts what wait4 does not tell, from outside; NULL: nobody. One run a process. */
static const struct prony_provider *beside;

static unsigned nature(const char *event)
{
    if (strcmp(event, events[PEAK]) == 0)
        return PRONY_EVENT_LEVEL;
    return beside != NULL && beside->nature != NULL ? beside->nature(event) : 0;
}

static const struct prony_provider wait4_provider = {
    .head = PRONY_HEAD(struct prony_provider, .name = "wait4", .summary = "what the kernel says of an ended process"),
    .events = events,
    .nature = nature,
};

struct bout {
    const struct prony_exec *exec;
    struct prony_run *run;
    const struct prony_watch *watch;
    struct prony_error *error;
    uint64_t started_ns, deadline_ns, told_ns; /* deadline 0: none */
    uint64_t *visit_ns;                        /* by cell: what its last visit took */
    unsigned extra; /* events that `beside` counts, the first of the run's; then come wait4's */
    struct prony_value seen[PRONY_EVENTS_MAX]; /* theirs in the last launch */
    void *attached;
};

/* The program and all that it starts, from its execve on. */
static void attend(void *context, int pid)
{
    struct bout *bout = context;
    struct prony_error reason = {0, ""};
    bout->attached = NULL;
    if (beside->attach(pid, PRONY_ATTACH_FAMILY | PRONY_ATTACH_AT_EXEC,
                       (const char *const *)bout->run->method.events.item, bout->extra, bout->seen, &bout->attached,
                       &reason) == 0)
        return;
    bout->attached = NULL;
    for (unsigned i = 0; i < bout->extra; i++) {
        bout->seen[i] = (struct prony_value){.status = PRONY_NOT_SUPPORTED};
        (void)snprintf(bout->seen[i].reason, sizeof bout->seen[i].reason, "%.103s", reason.text);
    }
}

static void survey(void *context)
{
    struct bout *bout = context;
    if (bout->attached == NULL)
        return;
    if (beside->survey(bout->attached, bout->seen, bout->extra) != 0)
        for (unsigned i = 0; i < bout->extra; i++) {
            bout->seen[i] = (struct prony_value){.status = PRONY_NOT_SUPPORTED};
            (void)snprintf(bout->seen[i].reason, sizeof bout->seen[i].reason, "its counter could not be read");
        }
    beside->detach(bout->attached);
    bout->attached = NULL;
}

static bool must_stop(const struct bout *bout)
{
    return bout->watch->interrupt != NULL && *bout->watch->interrupt != 0;
}

static bool is_precise(const struct prony_method *method, const struct prony_cell *cell)
{
    double medians[PRECISE_VISITS_MOST];
    bool launches;
    size_t n = prony_cell_units(cell, false, medians, PRECISE_VISITS_MOST, &launches);
    return prony_is_precise(medians, n, method->precision / 100);
}

static bool wants_more(const struct prony_method *method, const struct prony_cell *cell)
{
    if (cell->outcome != PRONY_PENDING)
        return false;
    if (cell->visits_count < method->visits)
        return true;
    return method->precision > 0 && cell->visits_count < PRECISE_VISITS_MOST && !is_precise(method, cell);
}

/* Fails the cell, unless the user ended the run. */
static int launch(struct bout *bout, unsigned i, struct prony_launched *launched)
{
    const struct prony_exec_point *point = &bout->exec->points[i];
    struct prony_cell *cell = &bout->run->cells[i];
    struct prony_command_how how = {
        .prepare = &point->prepare,
        .cleanup = &point->cleanup,
        .pus = bout->exec->pus,
        .npus = bout->exec->npus,
        .timeout_ns = bout->run->method.timeout_ns,
        .interrupt = bout->watch->interrupt,
        .attend = beside != NULL ? attend : NULL,
        .ended = beside != NULL ? survey : NULL,
        .context = bout,
    };
    int code = prony_command_launch(&how, &point->words, launched, &cell->reason);
    cell->launches++;
    if (code == -EINTR)
        cell->reason = (struct prony_error){0, ""};
    else if (code != 0)
        cell->outcome = PRONY_FAILED;
    launched->wall_ns = launched->wall_ns == 0 ? 1 : launched->wall_ns;
    return code;
}

static int warm_up(struct bout *bout, unsigned i)
{
    struct prony_cell *cell = &bout->run->cells[i];
    unsigned wanted = bout->exec->warmup;
    double *times = calloc(wanted + 1u, sizeof *times);
    int code = 0;
    cell->warm_ns = calloc(wanted + 1u, sizeof *cell->warm_ns);
    if (times == NULL || cell->warm_ns == NULL)
        code = prony_fail(bout->error, -ENOMEM, "no memory for the warm-up");
    while (code == 0 && cell->warm_samples < wanted) {
        struct prony_launched launched;
        code = launch(bout, i, &launched);
        if (code == 0) {
            times[cell->warm_samples] = (double)launched.wall_ns;
            cell->warm_ns[cell->warm_samples++] = launched.wall_ns;
        }
        prony_launched_free(&launched);
    }
    if (code == 0) {
        struct prony_steady found = prony_steady_find(times, cell->warm_samples, steady_tolerance);
        cell->course = found.course;
        cell->steady = prony_course_is_steady(found.course);
        cell->steady_from = (unsigned)found.from;
    }
    free(times);
    return code;
}

static void count_beside(const struct bout *bout, struct prony_value *values)
{
    for (unsigned i = 0; i < bout->extra; i++) {
        const struct prony_value *seen = &bout->seen[i];
        struct prony_value *sum = &values[i];
        uint32_t samples = sum->samples + 1;
        if (seen->status == PRONY_COUNTED && (samples == 1 || sum->status == PRONY_COUNTED)) {
            sum->value += seen->value;
            sum->enabled_ns += seen->enabled_ns;
            sum->running_ns += seen->running_ns;
            sum->status = PRONY_COUNTED;
            memcpy(sum->source, seen->source, sizeof sum->source);
        } else if (seen->status != PRONY_COUNTED) {
            *sum = *seen;
        }
        sum->samples = samples;
    }
}

static int count(struct bout *bout, struct prony_cell *cell, const struct prony_launched *launched)
{
    const int64_t seen[EVENTS] = {
        [USER] = (int64_t)launched->user_ns,
        [SYSTEM] = (int64_t)launched->system_ns,
        [PEAK] = (int64_t)launched->max_rss_bytes,
        [MINOR] = (int64_t)launched->minor_faults,
        [MAJOR] = (int64_t)launched->major_faults,
        [VOLUNTARY] = (int64_t)launched->voluntary,
        [INVOLUNTARY] = (int64_t)launched->involuntary,
        [BLOCKS_IN] = (int64_t)launched->blocks_in,
        [BLOCKS_OUT] = (int64_t)launched->blocks_out,
    };
    struct prony_value *values;
    if (cell->who == NULL) {
        cell->who = calloc(1, sizeof *cell->who);
        if (cell->who == NULL || (cell->who->values = calloc(bout->extra + EVENTS, sizeof *cell->who->values)) == NULL)
            return prony_fail(bout->error, -ENOMEM, "no memory for what wait4 tells");
        cell->who->pu = cell->placement.pus[0]; /* else the launch would have failed */
        cell->who->flags = PRONY_WHO_REMOTE;
    }
    count_beside(bout, cell->who->values);
    values = cell->who->values + bout->extra;
    for (unsigned i = 0; i < EVENTS; i++) {
        (void)snprintf(values[i].source, sizeof values[i].source, "wait4");
        values[i].status = PRONY_COUNTED;
        values[i].samples++;
        values[i].value = i != PEAK ? values[i].value + seen[i] : seen[i] > values[i].value ? seen[i] : values[i].value;
    }
    if (values[PEAK].value == 0) {
        values[PEAK].status = PRONY_NOT_SUPPORTED;
        (void)snprintf(values[PEAK].reason, sizeof values[PEAK].reason,
                       "not above what the process held before the program was executed in it");
    }
    cell->who->items++;
    cell->counted_samples++;
    cell->verified++; /* it ended with 0 */
    return 0;
}

static struct prony_visit *next_visit(struct bout *bout, struct prony_cell *cell)
{
    struct prony_visit *visit;
    if (cell->visits_count == cell->visits_room) {
        unsigned room = cell->visits_room == 0 ? 16 : 2 * cell->visits_room;
        visit = realloc(cell->visits, room * sizeof *visit);
        if (visit == NULL)
            return NULL;
        cell->visits = visit;
        cell->visits_room = room;
    }
    visit = &cell->visits[cell->visits_count];
    *visit = (struct prony_visit){.t_ns = prony_now_ns() - bout->started_ns};
    visit->disturbed.before = visit->disturbed.after = (struct prony_pulse){NAN, NAN};
    visit->samples_ns = calloc(bout->run->method.samples, sizeof *visit->samples_ns);
    return visit->samples_ns != NULL ? visit : NULL;
}

/* One stay at a cell. A visit that breaks off keeps the samples it has. */
static int take_visit(struct bout *bout, unsigned i)
{
    static const struct prony_slot nobody; /* the program is gone when its doings are read: its PU's steal is left */
    struct prony_cell *cell = &bout->run->cells[i];
    struct prony_visit *visit = next_visit(bout, cell);
    struct prony_doings before = {0, NULL}, after = {0, NULL};
    uint64_t involuntary = 0;
    int code = visit == NULL ? prony_fail(bout->error, -ENOMEM, "no memory for a visit")
                             : prony_doings_read("", cell, &nobody, &before, bout->error);
    if (code != 0)
        return code;
    while (code == 0 && visit->samples < bout->run->method.samples) {
        struct prony_launched launched;
        code = launch(bout, i, &launched);
        if (code == 0) {
            visit->samples_ns[visit->samples++] = launched.wall_ns;
            involuntary += launched.involuntary;
            code = count(bout, cell, &launched);
        }
        prony_launched_free(&launched);
    }
    if (prony_doings_read("", cell, &nobody, &after, NULL) == 0)
        prony_doings_compare(cell, &before, &after, &visit->disturbed);
    visit->disturbed.involuntary = involuntary;
    prony_doings_free(&before);
    prony_doings_free(&after);
    visit->block = bout->run->blocks;
    if (visit->samples > 0)
        cell->visits_count++;
    else
        free(visit->samples_ns);
    return code;
}

static int step(struct bout *bout, unsigned i)
{
    struct prony_cell *cell = &bout->run->cells[i];
    uint64_t begun = prony_now_ns();
    int code = cell->launches == 0 ? warm_up(bout, i) : 0;
    if (code == 0) {
        uint64_t arrived = prony_now_ns();
        code = take_visit(bout, i);
        bout->visit_ns[i] = prony_now_ns() - arrived;
    }
    cell->spent_ns += prony_now_ns() - begun;
    return cell->outcome == PRONY_FAILED || code == -EINTR ? 0 : code;
}

static void tell(struct bout *bout, const struct prony_cell *cell)
{
    const struct prony_run *run = bout->run;
    uint64_t now = prony_now_ns(), spent = now - bout->started_ns;
    double done = 0;
    int64_t left;
    if (bout->watch->progress == NULL || now - bout->told_ns < telling_ns)
        return;
    bout->told_ns = now;
    for (unsigned i = 0; i < run->count; i++)
        done += run->cells[i].outcome == PRONY_PENDING
                    ? fmin(1, (double)run->cells[i].visits_count / run->method.visits)
                    : 1;
    done /= run->count;
    left = done < 0.02 ? -1 : (int64_t)((double)spent * (1 - done) / done);
    if (bout->deadline_ns != 0 && (run->method.precision > 0 || left < 0 || now + (uint64_t)left > bout->deadline_ns))
        left = now < bout->deadline_ns ? (int64_t)(bout->deadline_ns - now) : 0;
    bout->watch->progress(bout->watch->context, done, left, cell);
}

/* One visit of every cell that wants more, in an order that is a pure function of (seed, block). *any: some wanted. */
static int take_block(struct bout *bout, unsigned *order, bool *any)
{
    struct prony_run *run = bout->run;
    int code = 0;
    *any = false;
    prony_shuffle(order, run->count, run->method.seed, run->blocks);
    for (unsigned i = 0; i < run->count && code == 0 && !must_stop(bout); i++) {
        struct prony_cell *cell = &run->cells[order[i]];
        uint64_t now = prony_now_ns();
        if (!wants_more(&run->method, cell))
            continue;
        if (bout->deadline_ns != 0 &&
            (now > bout->deadline_ns || (cell->visits_count > 0 && now + bout->visit_ns[order[i]] > bout->deadline_ns)))
            continue; /* another may still fit */
        tell(bout, cell);
        *any = true;
        code = step(bout, order[i]);
    }
    run->blocks++;
    return code;
}

/* How long commands take is not known before the first block. */
static void warn_of_budget(const struct bout *bout)
{
    const struct prony_run *run = bout->run;
    uint64_t needs = prony_now_ns() - bout->started_ns;
    char takes[32], budget[32];
    for (unsigned i = 0; i < run->count; i++)
        if (run->cells[i].outcome == PRONY_PENDING)
            needs += bout->visit_ns[i] * (run->method.visits - 1);
    if (run->method.budget_ns > 0 && needs > (uint64_t)run->method.budget_ns)
        prony_warn("%u visits take about %s and the budget is %s: some will be missing", run->method.visits,
                   prony_text_of_ns((double)needs, takes, sizeof takes),
                   prony_text_of_ns((double)run->method.budget_ns, budget, sizeof budget));
}

static void finish(struct bout *bout)
{
    struct prony_run *run = bout->run;
    unsigned few = 0;
    char note[160];
    run->interrupted = must_stop(bout);
    for (unsigned i = 0; i < run->count; i++) {
        struct prony_cell *cell = &run->cells[i];
        if (cell->who != NULL)
            (void)prony_counters_scale(cell->who->values, bout->extra);
        if (cell->outcome != PRONY_PENDING)
            continue;
        if (cell->visits_count > 0 && (!run->interrupted || !wants_more(&run->method, cell))) {
            cell->outcome = PRONY_OK;
            few += cell->visits_count < LEAST_VISITS;
            continue;
        }
        cell->outcome = PRONY_INTERRUPTED;
        (void)prony_fail(&cell->reason, -EINTR,
                         run->interrupted ? "the run was interrupted after %u visits"
                                          : "the budget was spent before its first visit (%u)",
                         cell->visits_count);
    }
    if (few > 0) {
        int length =
            snprintf(note, sizeof note, "%u cells got fewer than %d visits: no 95%% interval", few, LEAST_VISITS);
        (void)prony_list_add(&run->notes, note, (size_t)length);
    }
}

/* The report has one provider: the one from outside where it was asked for, with what wait4 tells after its events. */
static int choose_counters(struct bout *bout, struct prony_error *error)
{
    static struct prony_provider both;
    struct prony_method *method = &bout->run->method;
    beside = method->provider;
    if (beside != NULL && beside->attach == NULL)
        return prony_fail(error, -ENOTSUP,
                          "the provider %s cannot count a program from outside: --counters perf:EVENTS",
                          beside->head.name);
    both = wait4_provider;
    if (beside != NULL)
        both.head.name = beside->head.name;
    bout->extra = (unsigned)method->events.count;
    method->provider = &both;
    method->event_sets = 0;
    if (bout->extra + EVENTS > PRONY_EVENTS_MAX)
        return prony_fail(error, -E2BIG, "at most %d events can be counted beside what wait4 tells",
                          PRONY_EVENTS_MAX - EVENTS);
    return 0;
}

int prony_exec_measure(const struct prony_exec *exec, struct prony_run *run, const struct prony_watch *watch,
                       struct prony_error *error)
{
    struct bout bout = {.exec = exec, .run = run, .watch = watch, .error = error, .started_ns = prony_now_ns()};
    unsigned *order = calloc(run->count + 1u, sizeof *order);
    bool any = true;
    int code = 0;
    bout.visit_ns = calloc(run->count + 1u, sizeof *bout.visit_ns);
    if (order == NULL || bout.visit_ns == NULL)
        code = prony_fail(error, -ENOMEM, "no memory to measure %u cells", run->count);
    code = code == 0 ? choose_counters(&bout, error) : code;
    for (unsigned i = 0; i < EVENTS && code == 0; i++)
        if ((code = prony_list_add(&run->method.events, events[i], strlen(events[i]))) != 0)
            (void)prony_fail(error, code, "no memory for events");
    if (code == 0 && (code = prony_list_add(&run->notes, no_pulse, strlen(no_pulse))) != 0)
        (void)prony_fail(error, code, "no memory for notes");
    run->started_s = (int64_t)time(NULL);
    run->clock_ns = run->bookkeeping_ns = NAN;
    bout.deadline_ns = run->method.budget_ns > 0 ? bout.started_ns + (uint64_t)run->method.budget_ns : 0;
    while (code == 0 && any && !must_stop(&bout)) {
        code = take_block(&bout, order, &any);
        if (code == 0 && run->blocks == 1 && !must_stop(&bout))
            warn_of_budget(&bout);
    }
    finish(&bout);
    if (beside != NULL)
        prony_counters_note(run);
    run->wall_ns = prony_now_ns() - bout.started_ns;
    free(order);
    free(bout.visit_ns);
    return code;
}
