/* How series of cells scale with their workers: laws fitted to their rates, and what is said of them. */
#include "stats/scaling.h"
#include "results/view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Resamples: of one fit at most, and of all in a report about, so that a large plan costs no minutes. */
enum { RESAMPLES_MOST = 1000, RESAMPLES_LEAST = 100, RESAMPLES_ALL = 20000, CLEAN_LEAST = 6, POINTS_MOST = 256 };

/* Cells of one engine under one workload that differ in their workers only. */
struct series {
    unsigned count;
    const struct prony_cell *cell[POINTS_MOST];
    struct prony_scaling_point point[POINTS_MOST];
};

static bool takes_part(const struct prony_cell *cell)
{
    return (cell->outcome == PRONY_OK || cell->outcome == PRONY_INTERRUPTED) && cell->visits_count > 0 &&
           cell->need.items > 0 && !cell->placement.oversubscribed &&
           (cell->workload->shape == PRONY_MAP || cell->workload->shape == PRONY_TASKS) &&
           (cell->engine->head.caps & PRONY_CAP_DRY) == 0 && strcmp(cell->engine->head.name, "serial") != 0;
}

static void params_say(FILE *out, const struct prony_params *params, bool weak)
{
    for (unsigned i = 0; i < params->count; i++)
        if (!weak || strcmp(params->values[i].option->name, "items") != 0)
            (void)fprintf(out, "\n%s=%s", params->values[i].option->name, params->values[i].text);
}

static char *key_of(const struct prony_cell *cell, bool weak)
{
    char *key = NULL;
    size_t bytes;
    FILE *out = open_memstream(&key, &bytes);
    if (out == NULL)
        return NULL;
    (void)fprintf(out, "%s\n%s\n%s\n%s", cell->workload->head.name, cell->engine->head.name,
                  cell->channel != NULL ? cell->channel->head.name : "", cell->placement.policy);
    params_say(out, &cell->workload_params, weak);
    params_say(out, &cell->engine_params, false);
    params_say(out, &cell->channel_params, false);
    params_say(out, &cell->own_params, false);
    return fclose(out) == 0 ? key : NULL;
}

/* The rate of the serial engine at the same parameters; NaN: it was not measured. */
static double serial_rate(const struct prony_run *run, const struct prony_cell *cell)
{
    for (unsigned i = 0; i < run->count; i++) {
        const struct prony_cell *serial = &run->cells[i];
        bool same = serial->workload == cell->workload && strcmp(serial->engine->head.name, "serial") == 0 &&
                    serial->outcome == PRONY_OK && serial->workload_params.count == cell->workload_params.count;
        double *ns, rate;
        for (unsigned p = 0; same && p < cell->workload_params.count; p++)
            same = strcmp(serial->workload_params.values[p].text, cell->workload_params.values[p].text) == 0;
        if (!same || (ns = malloc((serial->visits_count + 1u) * sizeof *ns)) == NULL)
            continue;
        rate = (double)serial->need.items * 1e9 /
               prony_median(ns, prony_cell_medians(serial, false, ns, serial->visits_count));
        free(ns);
        return rate;
    }
    return NAN;
}

/* Items of a larger problem may cost more each. So that weak scaling does not blame the engine for it, rates are taken
 * against those of the serial engine at the same size; in items of the smallest size. */
static void even_out(const struct prony_run *run, struct series *series)
{
    double first = NAN;
    for (unsigned i = 0; i < series->count; i++) {
        double rate = serial_rate(run, series->cell[i]), *rates = (double *)(uintptr_t)series->point[i].rates;
        first = i == 0 ? rate : first;
        for (size_t j = 0; isfinite(rate) && isfinite(first) && j < series->point[i].visits; j++)
            rates[j] *= first / rate;
    }
}

/* Adds the cell's rates by visit, items a second; without the marked visits where enough others are left. */
static int series_add(struct series *series, const struct prony_cell *cell)
{
    double *rates = malloc((cell->visits_count + 1u) * sizeof *rates);
    size_t n;
    if (rates == NULL)
        return -ENOMEM;
    n = prony_cell_medians(cell, true, rates, cell->visits_count);
    if (n < CLEAN_LEAST)
        n = prony_cell_medians(cell, false, rates, cell->visits_count);
    if (n == 0 || series->count == POINTS_MOST) {
        free(rates);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        rates[i] = (double)cell->need.items * 1e9 / rates[i];
    series->cell[series->count] = cell;
    series->point[series->count++] = (struct prony_scaling_point){cell->workers, rates, n};
    return 0;
}

static void series_free(struct series *series)
{
    for (unsigned i = 0; i < series->count; i++)
        free((void *)(uintptr_t)series->point[i].rates);
}

static void estimate_set(json_t *law, const char *name, const struct prony_estimate *estimate)
{
    char interval[32];
    (void)snprintf(interval, sizeof interval, "%s_ci95", name);
    (void)json_object_set_new(law, name, prony_json_real(estimate->value));
    (void)json_object_set_new(
        law, interval,
        isnan(estimate->low) ? json_null()
                             : json_pack("[o, o]", prony_json_real(estimate->low), prony_json_real(estimate->high)));
}

static json_t *law_json(const struct prony_scaling *fit)
{
    json_t *law = json_pack("{s:o}", "misfit_percent", prony_json_real(100 * fit->misfit));
    estimate_set(law, "rate_of_one", &fit->lambda);
    estimate_set(law, fit->law == PRONY_USL ? "contention" : "serial", &fit->serial);
    if (fit->law == PRONY_USL) {
        estimate_set(law, "coherency", &fit->coherency);
        estimate_set(law, "peak_workers", &fit->peak);
    }
    return law;
}

/* The laws that go with how the size was chosen, and why some are not there. */
static void laws_add(json_t *entry, const struct series *series, bool weak, unsigned resamples, uint64_t seed)
{
    const enum prony_law wanted[] = {weak ? PRONY_GUSTAFSON : PRONY_AMDAHL, PRONY_USL};
    json_t *laws = json_object();
    char reason[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < 2; i++) {
        const char *name = prony_law_name(wanted[i]);
        struct prony_scaling fit;
        int code = prony_scaling_fit(wanted[i], series->point, series->count, resamples, seed, &fit);
        if (code == 0)
            (void)json_object_set_new(laws, name, law_json(&fit));
        else if (code == -ERANGE)
            used += (size_t)snprintf(reason + used, sizeof reason - used, "%s%s needs %zu numbers of workers",
                                     used > 0 ? ", " : "", name, prony_law_least(wanted[i]));
        else
            used += (size_t)snprintf(reason + used, sizeof reason - used, "%s%s fits nothing here",
                                     used > 0 ? ", " : "", name);
    }
    if (used > 0)
        (void)snprintf(reason + used, sizeof reason - used, "; %u were measured", series->count);
    (void)json_object_set_new(entry, "laws", laws);
    (void)json_object_set_new(entry, "reason", prony_json_text(used > 0 ? reason : NULL));
}

static json_t *entry_json(const struct series *series, bool weak, unsigned resamples, uint64_t seed)
{
    const struct prony_cell *first = series->cell[0];
    json_t *points = json_array(), *entry;
    for (unsigned i = 0; i < series->count; i++)
        (void)json_array_append_new(
            points, json_pack("{s:o, s:i, s:I, s:o}", "cell", prony_json_text(series->cell[i]->id), "workers",
                              (int)series->cell[i]->workers, "items", (json_int_t)series->cell[i]->need.items, "rate",
                              prony_json_real(prony_median(series->point[i].rates, series->point[i].visits))));
    entry = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}", "workload", prony_json_text(first->workload->head.name),
                      "engine", prony_json_text(first->engine->head.name), "channel",
                      prony_json_text(first->channel != NULL ? first->channel->head.name : NULL), "placement",
                      prony_json_text(first->placement.policy), "size", weak ? "weak" : "strong", "points", points);
    if (entry != NULL)
        laws_add(entry, series, weak, resamples, seed);
    return entry;
}

/* Positions of cells by series, in the order of the plan. */
static json_t *gather(const struct prony_run *run, bool weak)
{
    json_t *groups = json_object();
    for (unsigned i = 0; i < run->count && groups != NULL; i++) {
        char *key = takes_part(&run->cells[i]) ? key_of(&run->cells[i], weak) : NULL;
        json_t *group;
        if (key == NULL)
            continue;
        group = json_object_get(groups, key);
        if (group == NULL) {
            group = json_array();
            (void)json_object_set_new_nocheck(groups, key, group);
        }
        (void)json_array_append_new(group, json_integer(i));
        free(key);
    }
    return groups;
}

json_t *prony_scaling_json(const struct prony_run *run)
{
    bool weak = run->method.weak;
    json_t *all = json_array(), *groups = gather(run, weak), *group, *position;
    const char *key;
    unsigned resamples;
    size_t i;
    resamples = RESAMPLES_ALL / (1 + (unsigned)json_object_size(groups));
    resamples = resamples > RESAMPLES_MOST ? RESAMPLES_MOST : resamples < RESAMPLES_LEAST ? RESAMPLES_LEAST : resamples;
    json_object_foreach(groups, key, group)
    {
        struct series series = {.count = 0};
        json_array_foreach(group, i, position)(void) series_add(&series, &run->cells[json_integer_value(position)]);
        if (weak)
            even_out(run, &series);
        if (series.count >= 2)
            (void)json_array_append_new(all, entry_json(&series, weak, resamples, run->method.seed));
        series_free(&series);
    }
    json_decref(groups);
    return all;
}

const json_t *prony_view_scaling(const struct prony_view *view, const char *id)
{
    const json_t *entry, *point;
    size_t i, j;
    json_array_foreach(view->scaling, i, entry) json_array_foreach(
        json_object_get(entry, "points"), j, point) if (strcmp(prony_json_string(point, "cell"), id) == 0) return entry;
    return NULL;
}

/* The law that says most of a series: the USL where it was fitted. NULL: none was. */
const json_t *prony_view_law(const json_t *entry, const char **name)
{
    static const char *const names[] = {"usl", "amdahl", "gustafson"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *law = json_object_get(json_object_get(entry, "laws"), *name = names[i]);
        if (json_is_object(law))
            return law;
    }
    return NULL;
}

static void interval_say(FILE *out, const json_t *law, const char *interval, double by, const char *unit)
{
    double low = prony_json_end(law, interval, 0), high = prony_json_end(law, interval, 1);
    if (isfinite(low) && isfinite(high))
        (void)fprintf(out, " (%.3g to %.3g%s)", by * low, by * high, unit);
    else if (isfinite(low))
        (void)fprintf(out, " (%.3g or more)", by * low);
}

static void law_say(FILE *out, const json_t *law, const char *name, const char *series)
{
    double peak = prony_json_number(law, "peak_workers");
    bool usl = strcmp(name, "usl") == 0;
    const char *key = usl ? "contention" : "serial", *interval = usl ? "contention_ci95" : "serial_ci95";
    (void)fprintf(out, "scaling of %s by %s: ", series,
                  usl                           ? "the USL"
                  : strcmp(name, "amdahl") == 0 ? "Amdahl's law"
                                                : "Gustafson's law");
    (void)fprintf(out, "%s %.3g%%", usl ? "contention" : "serial share", 100 * prony_json_number(law, key));
    interval_say(out, law, interval, 100, "%");
    if (usl) {
        (void)fprintf(out, ", coherency %.2g", prony_json_number(law, "coherency"));
        (void)fputs(isfinite(peak) ? ", peak at " : ", no peak", out);
        if (isfinite(peak)) {
            (void)fprintf(out, "%.0f workers", peak);
            interval_say(out, law, "peak_workers_ci95", 1, "");
        }
    }
    (void)fprintf(out, ", misfit %.2g%%", prony_json_number(law, "misfit_percent"));
}

const char *prony_view_scaling_say(const struct prony_view *view, const struct prony_view_group *group, bool whole,
                                   char *text, size_t bytes)
{
    text[0] = '\0';
    for (unsigned i = 0; i < group->count; i++) { /* the fastest first */
        const struct prony_view_cell *cell = prony_view_at(view, group, i);
        const json_t *entry = prony_view_scaling(view, cell->id), *law;
        const char *name;
        FILE *out;
        if (entry == NULL)
            continue;
        law = prony_view_law(entry, &name);
        if (law == NULL && !whole)
            continue;
        out = fmemopen(text, bytes, "w");
        if (out == NULL)
            return text;
        if (law == NULL)
            (void)fprintf(out, "scaling of %s is not fitted: %s", cell->series, prony_json_string(entry, "reason"));
        else
            law_say(out, law, name, cell->series);
        (void)fclose(out);
        text[bytes - 1] = '\0';
        return text;
    }
    return text;
}
