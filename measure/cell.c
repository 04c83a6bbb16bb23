/* The model of a run: names, freeing, and the medians of a cell's visits. */
#include "measure/cell.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct prony_option prony_cell_options[] = {
    {"chunk", PRONY_INT, "0", 0, 1e12, NULL, "items a worker takes at once from a map; 0: the engine's choice"},
    {"repeats", PRONY_INT, "0", 0, 1e12, NULL,
     "repetitions in a sample; 0: calibrated, so that a sample is long enough"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

const char *prony_outcome_name(enum prony_outcome outcome)
{
    static const char *const names[] = {[PRONY_PENDING] = "pending",
                                        [PRONY_OK] = "ok",
                                        [PRONY_FAILED] = "failed",
                                        [PRONY_SKIPPED] = "skipped",
                                        [PRONY_INTERRUPTED] = "interrupted"};
    return outcome <= PRONY_INTERRUPTED ? names[outcome] : "unknown";
}

int64_t prony_cell_times(const struct prony_cell *cell)
{
    if (cell->workload->shape != PRONY_TASKS || prony_option_find(cell->engine->head.options, "times") == NULL)
        return 0;
    return prony_param_int(&cell->engine_params, "times");
}

void prony_cell_free(struct prony_cell *cell)
{
    free(cell->id);
    prony_placement_free(&cell->placement);
    prony_params_free(&cell->engine_params);
    prony_params_free(&cell->workload_params);
    prony_params_free(&cell->channel_params);
    prony_params_free(&cell->own_params);
    for (unsigned i = 0; i < cell->visits_count; i++)
        free(cell->visits[i].samples_ns);
    free(cell->visits);
    free(cell->warm_ns);
    for (unsigned i = 0; cell->who != NULL && i < cell->workers; i++)
        free(cell->who[i].values);
    free(cell->who);
    free(cell->latency);
    free(cell->times);
    free(cell->profile.who);
    free(cell->profile.stem);
    memset(cell, 0, sizeof *cell);
}

void prony_run_free(struct prony_run *run)
{
    for (unsigned i = 0; i < run->count; i++)
        prony_cell_free(&run->cells[i]);
    free(run->cells);
    free(run->suite);
    free(run->name);
    free(run->resumed);
    prony_list_free(&run->method.events);
    prony_list_free(&run->notes);
    memset(run, 0, sizeof *run);
}

int prony_cell_make_room(struct prony_cell *cell, const struct prony_method *method, struct prony_error *error)
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

struct prony_visit *prony_cell_next_visit(struct prony_cell *cell, unsigned samples)
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

void prony_cell_take_warm_up(struct prony_cell *cell, const struct prony_warm_up *warm_up)
{
    uint64_t *kept;
    if (cell->repeats == 0) {
        cell->repeats = warm_up->repeats;
        cell->calibrate_ns = warm_up->calibrate_ns;
        cell->steady = true;
    }
    cell->steady = cell->steady && prony_course_is_steady(warm_up->course);
    if (cell->warm_ns != NULL && (cell->course == PRONY_COURSE_UNKNOWN ||
                                  (warm_up->course != PRONY_COURSE_UNKNOWN && warm_up->course <= cell->course)))
        return;
    kept = malloc((warm_up->samples + 1u) * sizeof *kept);
    if (kept == NULL)
        return;
    memcpy(kept, warm_up->ns, warm_up->samples * sizeof *kept);
    free(cell->warm_ns);
    cell->warm_ns = kept;
    cell->warm_samples = warm_up->samples;
    cell->course = warm_up->course;
    cell->steady_from = warm_up->steady_from;
}

void prony_cell_take_share(struct prony_cell *cell)
{
    const bool helps = (cell->engine->head.caps & PRONY_CAP_HELPS) != 0;
    int64_t all = 0;
    for (unsigned i = 0; i < cell->workers; i++) {
        cell->who[i].flags = helps && i == 0 ? PRONY_WHO_CALLER : 0;
        all += cell->who[i].items;
    }
    cell->caller_share = all == 0 ? NAN : helps ? (double)cell->who[0].items / (double)all : 0;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Median of one visit's samples; a visit holds few. 0 without memory, which no sample can be. */
static double visit_median(const struct prony_visit *visit)
{
    uint64_t *sorted = malloc(visit->samples * sizeof *sorted);
    double median;
    unsigned n = visit->samples;
    if (sorted == NULL)
        return 0;
    memcpy(sorted, visit->samples_ns, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    median = n % 2 == 1 ? (double)sorted[n / 2] : ((double)sorted[n / 2 - 1] + (double)sorted[n / 2]) / 2;
    free(sorted);
    return median;
}

size_t prony_cell_medians(const struct prony_cell *cell, bool clean, double *ns, size_t room)
{
    double repeats = cell->repeats > 0 ? (double)cell->repeats : 1;
    size_t n = 0;
    for (unsigned i = 0; i < cell->visits_count && n < room; i++) {
        const struct prony_visit *visit = &cell->visits[i];
        double median;
        if (visit->samples == 0 || (clean && visit->disturbed.marked))
            continue;
        median = visit_median(visit);
        if (median > 0)
            ns[n++] = median / repeats;
    }
    return n;
}

bool prony_cell_clean(const struct prony_cell *cell)
{
    unsigned clean = 0;
    for (unsigned i = 0; i < cell->visits_count; i++)
        clean += cell->visits[i].samples > 0 && !cell->visits[i].disturbed.marked;
    return clean >= PRONY_UNITS_LEAST;
}

/* Medians over the medians of each launch's visits, which follow one another. */
static size_t launch_medians(const struct prony_cell *cell, bool clean, double *ns, size_t room)
{
    struct prony_cell part = *cell;
    double *scratch = malloc((cell->visits_count + 1u) * sizeof *scratch);
    size_t n = 0;
    for (unsigned from = 0, to; scratch != NULL && from < cell->visits_count && n < room; from = to) {
        size_t visits;
        for (to = from; to < cell->visits_count && cell->visits[to].launch == cell->visits[from].launch;)
            to++;
        part.visits = cell->visits + from;
        part.visits_count = to - from;
        visits = prony_cell_medians(&part, clean, scratch, part.visits_count);
        if (visits > 0)
            ns[n++] = prony_median(scratch, visits);
    }
    free(scratch);
    return n;
}

size_t prony_cell_units(const struct prony_cell *cell, bool clean, double *ns, size_t room, bool *launches)
{
    size_t n = launch_medians(cell, clean, ns, room);
    *launches = n >= PRONY_UNITS_LEAST;
    return *launches ? n : prony_cell_medians(cell, clean, ns, room);
}
