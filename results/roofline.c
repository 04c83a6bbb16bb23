/* The roofline of a run (Williams, Waterman, Patterson 2009): ceilings out of the cells that measured peaks, and for every
 * other cell with known or counted work its place under them. */
#include "results/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FLOPS_BY "peak-flops" /* the workloads that measure peaks */
#define BYTES_BY "bandwidth"
#define COUNTED_FLOPS "PAPI_DP_OPS"
#define COUNTED_MISSES "PAPI_L3_TCM"
#define LINE_BYTES 64

struct prony_roof prony_roof_at(double peak_flop_per_s, double bytes_per_s, double intensity)
{
    struct prony_roof roof = {intensity * bytes_per_s, true};
    if (isnan(peak_flop_per_s) || isnan(roof.flop_per_s))
        return (struct prony_roof){NAN, false};
    if (roof.flop_per_s > peak_flop_per_s)
        return (struct prony_roof){peak_flop_per_s, false};
    return roof;
}

unsigned prony_roof_level(const struct prony_cache *caches, double bytes, unsigned workers)
{
    for (unsigned level = 1; level <= PRONY_CACHE_LEVELS; level++) {
        unsigned sharers = caches[level - 1].sharers < workers ? caches[level - 1].sharers : workers;
        if (caches[level - 1].bytes > 0 && bytes * sharers <= (double)caches[level - 1].bytes)
            return level;
    }
    return 0;
}

static const char *level_name(unsigned level)
{
    static const char *const names[] = {"memory", "l1", "l2", "l3", "l4"};
    return names[level];
}

static bool measures_flops(const struct prony_cell *cell)
{
    return strcmp(cell->workload->head.name, FLOPS_BY) == 0;
}

static bool measures_bytes(const struct prony_cell *cell)
{
    return strcmp(cell->workload->head.name, BYTES_BY) == 0;
}

static const char *param_of(const struct prony_cell *cell, const char *name)
{
    for (unsigned i = 0; i < cell->workload_params.count; i++)
        if (strcmp(cell->workload_params.values[i].option->name, name) == 0)
            return cell->workload_params.values[i].text;
    return "";
}

/* Bandwidth over arrays of a size that somebody chose is no level's. */
static bool is_of_level(const struct prony_cell *cell)
{
    for (unsigned i = 0; i < cell->workload_params.count; i++)
        if (strcmp(cell->workload_params.values[i].option->name, "size") == 0)
            return cell->workload_params.values[i].integer == 0;
    return true;
}

/* Items a second in the best visit: a limit is what the machine was seen to do, not what it mostly does. */
static double best_rate(const struct prony_cell *cell)
{
    double *ns = malloc((cell->visits_count + 1u) * sizeof *ns), least = INFINITY;
    size_t n = ns == NULL ? 0 : prony_cell_medians(cell, false, ns, cell->visits_count);
    for (size_t i = 0; i < n; i++)
        least = fmin(least, ns[i]);
    free(ns);
    return (double)cell->need.items * 1e9 / least;
}

static json_t *ceiling_json(const struct prony_cell *cell)
{
    double rate = best_rate(cell);
    bool flops = measures_flops(cell);
    if ((!flops && !measures_bytes(cell)) || cell->outcome != PRONY_OK || cell->placement.oversubscribed ||
        !(rate > 0) || (!flops && !is_of_level(cell)))
        return NULL;
    if (flops)
        return json_pack("{s:s, s:o, s:o, s:i, s:f, s:s, s:o}", "kind", "compute", "width",
                         prony_json_text(param_of(cell, "width")), "precision",
                         prony_json_text(param_of(cell, "precision")), "workers", (int)cell->workers, "rate", rate,
                         "unit", "FLOP/s", "cell", prony_json_text(cell->id));
    return json_pack("{s:s, s:o, s:o, s:i, s:f, s:s, s:o}", "kind", "bandwidth", "level",
                     prony_json_text(param_of(cell, "level")), "op", prony_json_text(param_of(cell, "op")), "workers",
                     (int)cell->workers, "rate", rate, "unit", "bytes/s", "cell", prony_json_text(cell->id));
}

const json_t *prony_roofline_highest(const json_t *ceilings, const char *kind, const char *level, unsigned workers)
{
    const json_t *ceiling, *highest = NULL;
    size_t i;
    json_array_foreach(ceilings, i, ceiling)
    {
        const char *precision = prony_json_string(ceiling, "precision");
        if (strcmp(prony_json_string(ceiling, "kind"), kind) != 0 || prony_json_whole(ceiling, "workers") != workers ||
            strcmp(precision, "float") == 0 ||
            (level != NULL && strcmp(prony_json_string(ceiling, "level"), level) != 0))
            continue;
        if (highest == NULL || prony_json_number(ceiling, "rate") > prony_json_number(highest, "rate"))
            highest = ceiling;
    }
    return highest;
}

unsigned prony_roofline_workers(const json_t *ceilings, unsigned *workers, unsigned room)
{
    const json_t *ceiling;
    unsigned n = 0;
    size_t i;
    json_array_foreach(ceilings, i, ceiling)
    {
        unsigned count = prony_json_whole(ceiling, "workers"), at = 0;
        while (at < n && workers[at] < count)
            at++;
        if ((at < n && workers[at] == count) || n == room)
            continue;
        memmove(&workers[at + 1], &workers[at], (n - at) * sizeof *workers);
        workers[at] = count;
        n++;
    }
    return n;
}

/* What the workers counted, for one repetition; NaN: they did not. */
static double counted(const json_t *json, const char *event)
{
    const json_t *counters = json_object_get(json, "counters");
    return prony_json_number(json_object_get(json_object_get(counters, "total"), event), "value") /
           (prony_json_number(counters, "samples") * prony_json_number(counters, "repeats"));
}

/* The work of one repetition, and where its data lie. */
struct work {
    double flops, bytes, footprint; /* NaN: not known */
    bool flops_counted, bytes_counted;
    const char *level;
};

static struct work work_of(const struct prony_cell *cell, const json_t *json)
{
    struct work work = {.flops = NAN, .bytes = NAN};
    struct prony_cache caches[PRONY_CACHE_LEVELS];
    double misses = counted(json, COUNTED_MISSES);
    bool known = cell->need.flops > 0 || cell->need.moved > 0;
    if (known) {
        work.flops = (double)cell->need.flops;
        work.bytes = cell->need.moved > 0 ? (double)cell->need.moved : NAN;
    } else {
        work.flops = counted(json, COUNTED_FLOPS);
        work.flops_counted = !isnan(work.flops);
    }
    if (isnan(work.bytes) && misses > 0) {
        work.bytes = misses * LINE_BYTES;
        work.bytes_counted = true;
    }
    for (unsigned i = 0; i < PRONY_CACHE_LEVELS; i++)
        caches[i] = prony_cache_of(i + 1);
    work.footprint = (double)cell->need.bytes / cell->workers;
    work.level = level_name(work.bytes_counted ? 0 : prony_roof_level(caches, work.footprint, cell->workers));
    return work;
}

/* The ceiling over this work: sets it with its unit and what it is of. NULL, or why there is none. */
static const char *ceiling_of(const struct work *work, const json_t *ceilings, unsigned workers, json_t *into,
                              double *ceiling, char *reason, size_t bytes)
{
    const json_t *peak = prony_roofline_highest(ceilings, "compute", NULL, workers), *slope;
    struct prony_roof roof;
    bool flops = work->flops > 0;
    if (!flops && !(work->bytes > 0))
        return "its floating-point operations and bytes are neither known nor counted";
    if (json_array_size(ceilings) == 0)
        return "no peaks were measured in this run (prony run roofline does it)";
    if (isnan(work->bytes))
        return "the bytes that it moves are neither known nor counted";
    slope = prony_roofline_highest(ceilings, "bandwidth", work->level, workers);
    if (slope == NULL || (flops && peak == NULL)) {
        (void)snprintf(reason, bytes, "no peak %s%s was measured with %u worker%s",
                       slope == NULL ? "bandwidth of " : "rate of operations", slope == NULL ? work->level : "",
                       workers, workers == 1 ? "" : "s");
        return reason;
    }
    roof = prony_roof_at(prony_json_number(peak, "rate"), prony_json_number(slope, "rate"), work->flops / work->bytes);
    *ceiling = flops ? roof.flop_per_s : prony_json_number(slope, "rate");
    (void)json_object_set_new(into, "bound", json_string(!flops || roof.by_bandwidth ? "bandwidth" : "compute"));
    (void)json_object_set_new(into, "unit", json_string(flops ? "FLOP/s" : "bytes/s"));
    (void)json_object_set_new(into, "under",
                              prony_json_text(prony_json_string(!flops || roof.by_bandwidth ? slope : peak, "cell")));
    return NULL;
}

/* Cells that compute or move memory; others (messages, locks, lives) have no place here. */
static bool takes_part(const struct prony_cell *cell)
{
    bool works = cell->workload->shape == PRONY_MAP || cell->workload->shape == PRONY_TASKS || cell->need.flops > 0 ||
                 cell->need.moved > 0;
    return works && !measures_flops(cell) && !measures_bytes(cell) && (cell->engine->head.caps & PRONY_CAP_DRY) == 0;
}

static json_t *place_json(const struct prony_cell *cell, const json_t *json, const json_t *ceilings)
{
    struct work work = work_of(cell, json);
    double seconds = prony_json_number(json_object_get(json, "stats"), "median") / 1e9, ceiling = NAN, rate;
    bool flops = work.flops > 0;
    char reason[128];
    const char *why = NULL;
    json_t *place = json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:n, s:n, s:n}", "flops", prony_json_real(work.flops), "bytes",
        prony_json_real(work.bytes), "source", work.flops_counted || work.bytes_counted ? "counted" : "known",
        "footprint_bytes", prony_json_real(work.footprint), "level", prony_json_text(work.level), "intensity",
        prony_json_real(work.flops / work.bytes), "flop_per_s", prony_json_real(work.flops / seconds), "bytes_per_s",
        prony_json_real(work.bytes / seconds), "bound", "unit", "under");
    if (place == NULL)
        return NULL;
    if (cell->outcome != PRONY_OK)
        why = "the cell was not measured to its end";
    else if (cell->placement.oversubscribed)
        why = "workers shared a PU, and the peaks are of workers that do not";
    else
        why = ceiling_of(&work, ceilings, cell->workers, place, &ceiling, reason, sizeof reason);
    rate = (flops ? work.flops : work.bytes) / seconds;
    (void)json_object_set_new(place, "ceiling", prony_json_real(ceiling));
    (void)json_object_set_new(place, "fraction", prony_json_real(rate / ceiling));
    (void)json_object_set_new(place, "reason", prony_json_text(why));
    return place;
}

json_t *prony_roofline_add(const struct prony_run *run, json_t *cells)
{
    json_t *ceilings = json_array();
    int bad = ceilings == NULL;
    for (unsigned i = 0; i < run->count && !bad; i++) {
        json_t *ceiling = ceiling_json(&run->cells[i]);
        if (ceiling != NULL)
            bad = json_array_append_new(ceilings, ceiling);
    }
    for (unsigned i = 0; i < run->count && !bad; i++) {
        json_t *json = json_array_get(cells, i);
        bad = json_object_set_new(
            json, "roofline", takes_part(&run->cells[i]) ? place_json(&run->cells[i], json, ceilings) : json_null());
    }
    if (bad) {
        json_decref(ceilings);
        return NULL;
    }
    if (json_array_size(ceilings) == 0) {
        json_decref(ceilings);
        return json_null();
    }
    return json_pack("{s:o}", "ceilings", ceilings);
}

bool prony_roofline_is_peak(const struct prony_view *view, unsigned group)
{
    const char *workload = view->group[group].workload;
    return prony_roofline_ceilings(view) != NULL &&
           (strcmp(workload, FLOPS_BY) == 0 || strcmp(workload, BYTES_BY) == 0);
}

const json_t *prony_roofline_ceilings(const struct prony_view *view)
{
    return json_object_get(view->roofline, "ceilings");
}
