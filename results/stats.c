/* The figures of a report. The visit is the independent unit: a visit gives one median, a cell the median of those with a
 * distribution-free interval, a speed-up the median of the logs of ratios within blocks. */
#include "stats/stats.h"
#include "results/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_VISITS 6 /* for a 95% interval of a median */

/* A cell's visits, reduced: time of one repetition in ns by visit. */
struct series {
    size_t count, marked; /* used; left out because the machine's state moved */
    bool dirty;           /* marked visits are used, because too few others are left */
    double *ns;
    unsigned *block;
};

/* The median of a visit's samples, for one repetition. */
static double visit_ns(const struct prony_cell *cell, const struct prony_visit *visit, double *scratch)
{
    for (unsigned i = 0; i < visit->samples; i++)
        scratch[i] = (double)visit->samples_ns[i] / (double)(cell->repeats > 0 ? cell->repeats : 1);
    return prony_median(scratch, visit->samples);
}

/* A failed cell has samples, perhaps, but no figures: a wrong answer is never a fast one. */
static int series_take(const struct prony_cell *cell, struct series *series)
{
    unsigned visits = cell->outcome == PRONY_FAILED ? 0 : cell->visits_count;
    size_t clean = 0, all = 0, longest = 1;
    double *scratch;
    memset(series, 0, sizeof *series);
    for (unsigned i = 0; i < visits; i++) {
        const struct prony_visit *visit = &cell->visits[i];
        all += visit->samples > 0;
        clean += visit->samples > 0 && !visit->disturbed.marked;
        longest = visit->samples > longest ? visit->samples : longest;
    }
    series->dirty = clean < all && clean < LEAST_VISITS;
    series->marked = series->dirty ? 0 : all - clean;
    series->ns = malloc((all + 1) * sizeof *series->ns);
    series->block = malloc((all + 1) * sizeof *series->block);
    scratch = malloc(longest * sizeof *scratch);
    for (unsigned i = 0; scratch != NULL && series->ns != NULL && series->block != NULL && i < visits; i++) {
        const struct prony_visit *visit = &cell->visits[i];
        if (visit->samples == 0 || (visit->disturbed.marked && !series->dirty))
            continue;
        series->ns[series->count] = visit_ns(cell, visit, scratch);
        series->block[series->count++] = visit->block;
    }
    free(scratch);
    return scratch != NULL && series->ns != NULL && series->block != NULL ? 0 : -ENOMEM;
}

static void series_free(struct series *series)
{
    free(series->ns);
    free(series->block);
}

/* Over launches where there are enough of them, as the stopping rule takes them. */
static json_t *figures(const struct prony_cell *cell, const struct series *series)
{
    double *units = malloc((series->count + 1) * sizeof *units), median,
           items = (double)cell->need.items * prony_wire_arrived(cell);
    struct prony_interval ci;
    bool launches = false, counted;
    size_t n = units == NULL || series->count == 0
                   ? 0
                   : prony_cell_units(cell, !series->dirty, units, series->count, &launches);
    median = prony_median(units, n);
    ci = prony_median_interval(units, n, PRONY_CONFIDENCE);
    free(units);
    counted = cell->need.items > 0 && median > 0;
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:n, s:n, s:n, s:n, s:n, s:o, s:o}", "interval_of",
        launches ? "launches" : "visits", "median", prony_json_real(median), "ci95", prony_json_pair(ci.low, ci.high),
        "coverage", prony_json_real(isfinite(ci.low) ? ci.coverage : NAN), "visits", (int)series->count, "left_out",
        (int)series->marked, "marked_used", series->dirty, "mad", prony_json_real(prony_mad(series->ns, series->count)),
        "half_width_percent", prony_json_real((ci.high - ci.low) / 2 / median * 100), "rate",
        prony_json_real(counted ? items / median * 1e9 : NAN), "rate_ci95",
        prony_json_pair(counted ? items / ci.high * 1e9 : NAN, counted && ci.low > 0 ? items / ci.low * 1e9 : NAN),
        "speedup", "speedup_ci95", "efficiency", "efficiency_ci95", "baseline", "levels",
        prony_levels_json(cell, !series->dirty), "summaries", prony_summaries_json(cell));
}

/* Logs of base / cell over the blocks that both visited. Both series are in the order of their blocks. */
static size_t paired_logs(const struct series *base, const struct series *cell, double scale, double *logs)
{
    size_t n = 0;
    for (size_t i = 0, j = 0; i < base->count && j < cell->count;) {
        if (base->block[i] < cell->block[j]) {
            i++;
        } else if (base->block[i] > cell->block[j]) {
            j++;
        } else {
            if (base->ns[i] > 0 && cell->ns[j] > 0)
                logs[n++] = log(scale * base->ns[i] / cell->ns[j]);
            i++;
            j++;
        }
    }
    return n;
}

/* How many times as fast as `base` the cell is, item by item. 1, 0: no block visited both, or -ENOMEM. */
static int times_as_fast(const struct prony_cell *base, const struct series *base_series, const struct prony_cell *cell,
                         const struct series *series, double *by, struct prony_interval *ci)
{
    double scale =
        base->need.items > 0 && cell->need.items > 0 ? (double)cell->need.items / (double)base->need.items : 1;
    double *logs = malloc((series->count + 1) * sizeof *logs);
    size_t n;
    if (logs == NULL)
        return -ENOMEM;
    n = paired_logs(base_series, series, scale, logs);
    *ci = prony_median_interval(logs, n, PRONY_CONFIDENCE);
    *by = exp(prony_median(logs, n));
    ci->low = exp(ci->low);
    ci->high = exp(ci->high);
    free(logs);
    return n != 0;
}

static int speedup(const struct prony_cell *base, const struct series *base_series, const struct prony_cell *cell,
                   const struct series *series, json_t *stats)
{
    struct prony_interval ci;
    double by;
    int bad = 0, code = times_as_fast(base, base_series, cell, series, &by, &ci);
    if (code <= 0)
        return code;
    bad |= json_object_set_new(stats, "speedup", prony_json_real(by));
    bad |= json_object_set_new(stats, "speedup_ci95", prony_json_pair(ci.low, ci.high));
    bad |= json_object_set_new(stats, "efficiency", prony_json_real(by / cell->workers));
    bad |=
        json_object_set_new(stats, "efficiency_ci95", prony_json_pair(ci.low / cell->workers, ci.high / cell->workers));
    bad |= json_object_set_new(stats, "baseline", prony_json_text(base->id));
    return bad != 0 ? -ENOMEM : 0;
}

static bool talks(const struct prony_cell *cell)
{
    return cell->channel != NULL && cell->need.ends != 0;
}

/* What two cells must share to be compared: the workload with all its parameters, and the channel, where it is the
 * workload's. */
static char *key_over(const struct prony_cell *cell, const char *channel, bool with_policy)
{
    char *key = NULL;
    size_t bytes;
    FILE *out = open_memstream(&key, &bytes);
    if (out == NULL)
        return NULL;
    (void)fprintf(out, "%s", cell->workload->head.name);
    for (unsigned i = 0; i < cell->workload_params.count; i++)
        (void)fprintf(out, "\n%s=%s", cell->workload_params.values[i].option->name,
                      cell->workload_params.values[i].text);
    if (talks(cell))
        (void)fprintf(out, "\n%s", channel);
    if (with_policy)
        (void)fprintf(out, "\n@%s", cell->placement.policy);
    return fclose(out) == 0 ? key : NULL;
}

static char *key_of(const struct prony_cell *cell, bool with_policy)
{
    return key_over(cell, talks(cell) ? cell->channel->head.name : NULL, with_policy);
}

static int index_add(json_t *index, const struct prony_cell *cell, bool with_policy, size_t i)
{
    char *key = key_of(cell, with_policy);
    int bad = 0;
    if (key == NULL)
        return -ENOMEM;
    if (json_object_get(index, key) == NULL)
        bad = json_object_set_new_nocheck(index, key, json_integer((json_int_t)i));
    free(key);
    return bad != 0 ? -ENOMEM : 0;
}

/* The position of the serial cell to compare with; the same policy is preferred. -1: none; -ENOMEM. */
static json_int_t index_find(const json_t *index, const struct prony_cell *cell)
{
    for (int with_policy = 1; with_policy >= 0; with_policy--) {
        char *key = key_of(cell, with_policy != 0);
        const json_t *found;
        if (key == NULL)
            return -ENOMEM;
        found = json_object_get(index, key);
        free(key);
        if (found != NULL)
            return json_integer_value(found);
    }
    return -1;
}

static bool measured(const struct prony_cell *cell)
{
    return (cell->outcome == PRONY_OK || cell->outcome == PRONY_INTERRUPTED) && cell->visits_count > 0;
}

/* Shapes that the speed-up is defined for. */
static bool scales(const struct prony_cell *cell)
{
    return cell->workload->shape == PRONY_MAP || cell->workload->shape == PRONY_TASKS;
}

static int speedups_add(const struct prony_run *run, const struct series *series, json_t *cells)
{
    json_t *index = json_object();
    int code = index == NULL ? -ENOMEM : 0;
    for (unsigned i = 0; i < run->count && code == 0; i++) {
        const struct prony_cell *cell = &run->cells[i];
        if (measured(cell) && scales(cell) && strcmp(cell->engine->head.name, "serial") == 0) {
            code = index_add(index, cell, true, i);
            code = code != 0 ? code : index_add(index, cell, false, i);
        }
    }
    for (unsigned i = 0; i < run->count && code == 0; i++) {
        const struct prony_cell *cell = &run->cells[i];
        json_int_t base;
        if (!measured(cell) || !scales(cell) || (cell->engine->head.caps & PRONY_CAP_DRY) != 0)
            continue;
        base = index_find(index, cell);
        if (base >= 0)
            code = speedup(&run->cells[base], &series[base], cell, &series[i],
                           json_object_get(json_array_get(cells, i), "stats"));
        else if (base == -ENOMEM)
            code = -ENOMEM;
    }
    json_decref(index);
    return code;
}

/* Which engines of ours mirror one of Python's, the first that the run has; NULL: it is none of Python's. */
static const char *const *mirrors_of(const char *engine)
{
    static const struct {
        const char *python, *ours[3];
    } known[] = {{"python-threads", {"thread", "futures-thread", NULL}},
                 {"python-processes", {"futures-process", "fork", NULL}},
                 {"python-pool", {"fork", "futures-process", NULL}}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].python, engine) == 0)
            return known[i].ours;
    return NULL;
}

/* The channel of ours that does what Python's own does; NULL: it is none of Python's. */
static const char *twin_of(const char *channel)
{
    static const char *const known[][2] = {
        {"python-queue", "mp-queue"}, {"python-simplequeue", "pipe"}, {"python-pipe", "unix-stream"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i][0], channel) == 0)
            return known[i][1];
    return NULL;
}

static const char *wait_of(const struct prony_cell *cell)
{
    for (unsigned i = 0; i < cell->channel_params.count; i++)
        if (strcmp(cell->channel_params.values[i].option->name, "wait") == 0)
            return cell->channel_params.values[i].text;
    return "";
}

/* The position of the cell of that engine that does the same work with as many workers; -1: none; -ENOMEM. What Python's
 * processes say to each other over a channel of ours has no counterpart; over their own it is our twin of that, waiting in
 * the same way. */
static int mirror_find(const struct prony_run *run, const char *engine, const struct prony_cell *cell)
{
    const char *twin = talks(cell) ? twin_of(cell->channel->head.name) : NULL;
    char *key;
    int found = -1;
    if (talks(cell) && twin == NULL)
        return -1;
    key = key_over(cell, twin, true);
    if (key == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < run->count && found == -1; i++) {
        const struct prony_cell *other = &run->cells[i];
        char *its;
        if (strcmp(other->engine->head.name, engine) != 0 || other->workload != cell->workload ||
            other->workers != cell->workers || !measured(other) ||
            (talks(cell) && strcmp(wait_of(other), wait_of(cell)) != 0))
            continue;
        its = key_of(other, true);
        if (its == NULL || strcmp(its, key) == 0)
            found = its == NULL ? -ENOMEM : (int)i;
        free(its);
    }
    free(key);
    return found;
}

/* What Python's engines did, beside ours. */
static int besides_add(const struct prony_run *run, const struct series *series, json_t *cells)
{
    for (unsigned i = 0; i < run->count; i++) {
        const struct prony_cell *cell = &run->cells[i];
        const char *const *mirrors = measured(cell) ? mirrors_of(cell->engine->head.name) : NULL;
        struct prony_interval ci;
        int code = 0, found = -1;
        double by;
        for (; mirrors != NULL && *mirrors != NULL && found == -1; mirrors++)
            found = mirror_find(run, *mirrors, cell);
        if (found >= 0)
            code = times_as_fast(cell, &series[i], &run->cells[found], &series[found], &by, &ci);
        if (code > 0)
            code = json_object_set_new(json_object_get(json_array_get(cells, i), "stats"), "beside",
                                       json_pack("{s:o, s:o, s:o}", "cell", prony_json_text(run->cells[found].id),
                                                 "factor", prony_json_real(by), "ci95",
                                                 prony_json_pair(ci.low, ci.high))) != 0
                       ? -ENOMEM
                       : 0;
        if (code == -ENOMEM || found == -ENOMEM)
            return -ENOMEM;
    }
    return 0;
}

int prony_stats_add(const struct prony_run *run, json_t *cells)
{
    struct series *series = calloc(run->count + 1u, sizeof *series);
    int code = series == NULL ? -ENOMEM : 0;
    for (unsigned i = 0; i < run->count && code == 0; i++) {
        if ((code = series_take(&run->cells[i], &series[i])) == 0 &&
            (json_object_set_new(json_array_get(cells, i), "stats", figures(&run->cells[i], &series[i])) != 0 ||
             json_object_set_new(json_array_get(cells, i), "wire",
                                 prony_wire_json(run, &run->cells[i], prony_median(series[i].ns, series[i].count))) !=
                 0))
            code = -ENOMEM;
    }
    if (code == 0)
        code = speedups_add(run, series, cells);
    if (code == 0)
        code = besides_add(run, series, cells);
    for (unsigned i = 0; series != NULL && i < run->count; i++)
        series_free(&series[i]);
    free(series);
    return code;
}
