/* Groups and names of cells: only what differs is said. Everything is linear in the cells, but for one sort. */
#include "results/view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What differs between the cells of a workload: "primes\nprimes.items" -> its first value, then true once another came. */
static int differences_note(json_t *seen, const char *scope, const char *key, json_t *value)
{
    char name[256];
    json_t *first;
    (void)snprintf(name, sizeof name, "%s\n%s", scope, key);
    first = json_object_get(seen, name);
    if (first == NULL) {
        json_t *holder = json_pack("[O]", value);
        return json_object_set_new_nocheck(seen, name, holder);
    }
    return json_array_size(first) == 1 && !json_equal(json_array_get(first, 0), value)
               ? json_array_append_new(first, json_true())
               : 0;
}

static bool differs(const json_t *seen, const char *scope, const char *key)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s\n%s", scope, key);
    return json_array_size(json_object_get(seen, name)) > 1;
}

static bool is_of(const char *key, const char *plugin)
{
    size_t length = strlen(plugin);
    return strncmp(key, plugin, length) == 0 && key[length] == '.';
}

/* Whose parameter is it, and under which key is it compared? Channels share how they wait; what else they take differs from
 * one to the other by its default alone. */
static const char *compared_as(const json_t *cell, const char *scope, const char *key, const char **under)
{
    const char *workload = prony_json_string(cell, "workload"), *channel = prony_json_string(cell, "channel");
    *under = is_of(key, prony_json_string(cell, "engine")) ? scope : workload;
    return channel[0] != '\0' && is_of(key, channel) && strcmp(strchr(key, '.'), ".wait") == 0 ? "channel.wait" : key;
}

static int differences_take(json_t *seen, const json_t *cell)
{
    const char *workload = prony_json_string(cell, "workload"), *engine = prony_json_string(cell, "engine"), *key;
    const char *under;
    json_t *policy = json_object_get(json_object_get(cell, "placement"), "policy"), *value;
    json_t *channel = json_object_get(cell, "channel");
    json_t *who = json_string(engine);
    char scope[256];
    int bad = who == NULL ? -1 : differences_note(seen, workload, "engine", who);
    json_decref(who);
    (void)snprintf(scope, sizeof scope, "%s\n%s", workload, engine);
    if (policy != NULL)
        bad |= differences_note(seen, workload, "placement", policy);
    if (channel != NULL)
        bad |= differences_note(seen, workload, "channel", channel);
    json_object_foreach(json_object_get(cell, "params"), key, value)
    {
        const char *as = compared_as(cell, scope, key, &under); /* the loop goes on from `key` */
        bad |= differences_note(seen, under, as, value);
    }
    return bad;
}

/* "items=20k": the key without its plug-in, numbers short where that loses nothing. */
static void param_say(FILE *out, const char *key, const json_t *value)
{
    const char *dot = strchr(key, '.');
    (void)fprintf(out, " %s=", dot != NULL ? dot + 1 : key);
    if (json_is_integer(value)) {
        json_int_t n = json_integer_value(value);
        if (n != 0 && n % 1000000 == 0)
            (void)fprintf(out, "%lldM", (long long)n / 1000000);
        else if (n != 0 && n % 1048576 == 0)
            (void)fprintf(out, "%lldMi", (long long)n / 1048576);
        else if (n != 0 && n % 1024 == 0)
            (void)fprintf(out, "%lldKi", (long long)n / 1024);
        else if (n != 0 && n % 1000 == 0)
            (void)fprintf(out, "%lldk", (long long)n / 1000);
        else
            (void)fprintf(out, "%lld", (long long)n);
    } else if (json_is_real(value)) {
        (void)fprintf(out, "%g", json_real_value(value));
    } else {
        (void)fputs(json_is_boolean(value) ? json_is_true(value) ? "yes" : "no" : json_string_value(value), out);
    }
}

static bool is_items(const char *key, const char *workload)
{
    return is_of(key, workload) && strcmp(key + strlen(workload), ".items") == 0;
}

static char *group_name(const json_t *seen, const json_t *cell, bool weak)
{
    const char *workload = prony_json_string(cell, "workload"), *key;
    char *name = NULL;
    size_t bytes;
    json_t *value;
    FILE *out = open_memstream(&name, &bytes);
    if (out == NULL)
        return NULL;
    (void)fputs(workload, out);
    json_object_foreach(json_object_get(cell, "params"), key,
                        value) if (is_of(key, workload) && differs(seen, workload, key) &&
                                   !(weak && is_items(key, workload))) param_say(out, key, value);
    return fclose(out) == 0 ? name : NULL;
}

/* The parameters of one plug-in that differ; of "" all that are no plug-in's. */
static void params_say(FILE *out, const json_t *seen, const json_t *cell, const char *owner, bool bracket_wait)
{
    const char *workload = prony_json_string(cell, "workload"), *engine = prony_json_string(cell, "engine"), *key;
    char scope[256];
    json_t *value;
    (void)snprintf(scope, sizeof scope, "%s\n%s", workload, engine);
    json_object_foreach(json_object_get(cell, "params"), key, value)
    {
        const char *under, *as = compared_as(cell, scope, key, &under);
        if (owner[0] == '\0'
                ? is_of(key, workload) || is_of(key, engine) || is_of(key, prony_json_string(cell, "channel"))
                : !is_of(key, owner))
            continue;
        if (!differs(seen, under, as))
            continue;
        if (bracket_wait && strcmp(as, "channel.wait") == 0 && json_is_string(value))
            (void)fprintf(out, " (%s)", json_string_value(value));
        else
            param_say(out, key, value);
    }
}

/* Engine and its parameters, channel and its own, placement, the rest: only what tells the cells of a workload apart. A
 * channel's wait stands in brackets behind it. The engine is left out where there is one only and the channel says more. */
static char *series_name(const json_t *seen, const json_t *cell, bool weak)
{
    const char *workload = prony_json_string(cell, "workload"), *engine = prony_json_string(cell, "engine");
    const char *channel = prony_json_string(cell, "channel");
    bool over = channel[0] != '\0' && differs(seen, workload, "channel"), named;
    char *name = NULL, key[256];
    size_t bytes;
    FILE *out = open_memstream(&name, &bytes);
    if (out == NULL)
        return NULL;
    named = !over || differs(seen, workload, "engine");
    if (named)
        (void)fputs(engine, out);
    if (named)
        params_say(out, seen, cell, engine, false);
    if (over)
        (void)fprintf(out, "%s%s", named ? " over " : "", channel);
    if (channel[0] != '\0')
        params_say(out, seen, cell, channel, over);
    if (!named)
        params_say(out, seen, cell, engine, false);
    if (differs(seen, workload, "placement"))
        (void)fprintf(out, " %s", prony_json_string(json_object_get(cell, "placement"), "policy"));
    params_say(out, seen, cell, "", false);
    (void)snprintf(key, sizeof key, "%s.items", workload);
    if (weak && strcmp(engine, "serial") == 0 && json_object_get(json_object_get(cell, "params"), key) != NULL)
        param_say(out, key, json_object_get(json_object_get(cell, "params"), key)); /* one of each size */
    return fclose(out) == 0 ? name : NULL;
}

static struct prony_figure figure(const json_t *stats, const char *key, const char *interval)
{
    struct prony_figure found = {prony_json_number(stats, key), prony_json_end(stats, interval, 0),
                                 prony_json_end(stats, interval, 1)};
    return found;
}

static void cell_take(const json_t *json, struct prony_view_cell *cell)
{
    const json_t *stats = json_object_get(json, "stats"), *visit;
    size_t i;
    cell->json = json;
    cell->id = prony_json_string(json, "id");
    cell->engine = prony_json_string(json, "engine");
    cell->workload = prony_json_string(json, "workload");
    cell->status = prony_json_string(json, "status");
    cell->reason = prony_json_string(json, "reason");
    cell->unit = prony_json_string(json, "unit");
    cell->shape = prony_json_string(json, "shape");
    cell->workers = (unsigned)json_integer_value(json_object_get(json, "workers"));
    cell->ok = strcmp(cell->status, "ok") == 0;
    cell->baseline = json_is_true(json_object_get(json, "baseline"));
    cell->dry = json_is_true(json_object_get(json, "dry"));
    if (strcmp(cell->status, "failed") == 0)
        stats = NULL; /* whatever an importer wrote there */
    cell->time_ns = figure(stats, "median", "ci95");
    cell->rate = figure(stats, "rate", "rate_ci95");
    cell->speedup = figure(stats, "speedup", "speedup_ci95");
    cell->efficiency = figure(stats, "efficiency", "efficiency_ci95");
    cell->mirror = prony_json_string(json_object_get(stats, "beside"), "cell");
    cell->factor = figure(json_object_get(stats, "beside"), "factor", "ci95");
    json_array_foreach(json_object_get(json, "visits"), i, visit)
    {
        cell->visits++;
        cell->marked += json_is_true(json_object_get(json_object_get(visit, "disturbed"), "marked"));
    }
}

double prony_view_by(const struct prony_view_cell *cell)
{
    double items = json_is_object(json_object_get(cell->json, "wire")) ? prony_json_number(cell->json, "items") : 1;
    return items > 0 ? items : 1;
}

struct prony_figure prony_view_time(const struct prony_view_cell *cell)
{
    double by = prony_view_by(cell);
    return (struct prony_figure){cell->time_ns.value / by, cell->time_ns.low / by, cell->time_ns.high / by};
}

static void counts_take(struct prony_view *view, const struct prony_view_cell *cell)
{
    view->visits += cell->visits;
    view->marked_visits += cell->marked;
    if (cell->ok)
        view->ok++;
    else if (strcmp(cell->status, "failed") == 0)
        view->failed++;
    else if (strcmp(cell->status, "skipped") == 0)
        view->skipped++;
    else
        view->interrupted++;
}

/* Measured before not, greater rate before lesser, then as in the report. */
static int by_group_and_rate(const void *a, const void *b, void *context)
{
    const struct prony_view *view = context;
    unsigned i = *(const unsigned *)a, j = *(const unsigned *)b;
    const struct prony_view_cell *x = &view->cell[i], *y = &view->cell[j];
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (isnan(x->rate.value) != isnan(y->rate.value))
        return isnan(x->rate.value) ? 1 : -1;
    if (!isnan(x->rate.value) && x->rate.value != y->rate.value)
        return x->rate.value > y->rate.value ? -1 : 1;
    return i < j ? -1 : i > j;
}

/* Gives a cell its group: the one of its name, or a new one. */
static int group_take(struct prony_view *view, json_t *groups, char *name, struct prony_view_cell *cell)
{
    const json_t *known = name == NULL ? NULL : json_object_get(groups, name);
    if (name == NULL)
        return -ENOMEM;
    if (known != NULL) {
        cell->group = (unsigned)json_integer_value(known);
        free(name);
    } else {
        struct prony_view_group *group = &view->group[view->groups];
        cell->group = view->groups++;
        group->label = name;
        group->workload = cell->workload;
        group->unit = cell->unit;
        group->shape = cell->shape;
        if (json_object_set_new_nocheck(groups, name, json_integer(cell->group)) != 0)
            return -ENOMEM;
    }
    view->group[cell->group].count++;
    return 0;
}

int prony_view_make(const struct prony_report *report, struct prony_view *view)
{
    const json_t *cells = json_object_get(report->root, "cells"), *json;
    json_t *seen = json_object(), *groups = json_object();
    size_t i, n = json_array_size(cells);
    int code = seen == NULL || groups == NULL ? -ENOMEM : 0;
    memset(view, 0, sizeof *view);
    view->scaling = json_object_get(report->root, "scaling");
    view->roofline = json_object_get(report->root, "roofline");
    view->weak = strcmp(prony_json_string(json_object_get(report->root, "plan"), "size"), "weak") == 0;
    view->cell = calloc(n + 1, sizeof *view->cell);
    view->group = calloc(n + 1, sizeof *view->group);
    view->order = calloc(n + 1, sizeof *view->order);
    if (view->cell == NULL || view->group == NULL || view->order == NULL)
        code = -ENOMEM;
    json_array_foreach(cells, i, json) if (code == 0 && differences_take(seen, json) != 0) code = -ENOMEM;
    for (i = 0; i < n && code == 0; i++) {
        struct prony_view_cell *cell = &view->cell[view->count];
        cell_take(json_array_get(cells, i), cell);
        cell->series = series_name(seen, cell->json, view->weak);
        view->order[view->count++] = (unsigned)i;
        counts_take(view, cell);
        code =
            cell->series == NULL ? -ENOMEM : group_take(view, groups, group_name(seen, cell->json, view->weak), cell);
    }
    json_decref(seen);
    json_decref(groups);
    if (code != 0) {
        prony_view_free(view);
        return code;
    }
    for (unsigned g = 0, first = 0; g < view->groups; first += view->group[g++].count)
        view->group[g].first = first;
    qsort_r(view->order, view->count, sizeof *view->order, by_group_and_rate, view);
    return 0;
}

void prony_view_free(struct prony_view *view)
{
    for (unsigned i = 0; i < view->count; i++)
        free(view->cell[i].series);
    for (unsigned i = 0; i < view->groups; i++)
        free(view->group[i].label);
    free(view->cell);
    free(view->group);
    free(view->order);
    memset(view, 0, sizeof *view);
}

const struct prony_view_cell *prony_view_at(const struct prony_view *view, const struct prony_view_group *group,
                                            unsigned i)
{
    return &view->cell[view->order[group->first + i]];
}

bool prony_view_task_times(const struct prony_view_cell *cell, double times[PRONY_VIEW_TIMES], double *timed)
{
    static const char *const parts[] = {"wait", "run"}, *const points[] = {"p50", "p99", "max"};
    const json_t *told = json_object_get(cell->json, "task_times");
    for (unsigned i = 0; i < PRONY_VIEW_TIMES; i++)
        times[i] = prony_json_number(json_object_get(told, parts[i / 3]), points[i % 3]);
    *timed = prony_json_number(json_object_get(told, "wait"), "count");
    return told != NULL;
}
