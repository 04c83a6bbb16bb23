/* Two stored reports, cell by cell. Unpaired: the machine had other states when the second was taken, so this is weaker
 * than cells of one run, which meet in blocks. */
#include "results/judge/judge.h"
#include "results/visits.h"
#include "stats/ratio.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_LAUNCHES 6 /* from here on launches are the unit, and visits within them */

static json_t *side_json(const struct prony_visits *visits)
{
    return json_pack("{s:o, s:i, s:i, s:i}", "median", prony_json_real(prony_median(visits->ns, visits->count)),
                     "values", (int)visits->count, "launches", (int)visits->launches, "left_out", (int)visits->marked);
}

/* Time is the metric, and less is better. */
static const char *verdict_of(const struct prony_interval *ratio, double margin)
{
    if (isnan(ratio->low))
        return "inconclusive";
    if (ratio->low > 1 + margin)
        return "regressed";
    if (ratio->high < 1 / (1 + margin))
        return "improved";
    return ratio->low >= 1 / (1 + margin) && ratio->high <= 1 + margin ? "equivalent" : "inconclusive";
}

static json_t *judged(const json_t *a, struct prony_visits *before, struct prony_visits *after, double margin)
{
    bool by_launch = before->launches >= LEAST_LAUNCHES && after->launches >= LEAST_LAUNCHES;
    struct prony_interval ratio;
    char reason[160] = "";
    if (by_launch) {
        prony_visits_by_launch(before);
        prony_visits_by_launch(after);
    }
    ratio = prony_ratio_interval(before->ns, before->count, after->ns, after->count, PRONY_CONFIDENCE);
    if (isnan(ratio.low))
        (void)snprintf(reason, sizeof reason,
                       "%zu and %zu visits are too few for a 95%% interval of a ratio: 6 and 7 are the least",
                       before->count, after->count);
    return json_pack("{s:O, s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "id", json_object_get(a, "id"), "verdict",
                     verdict_of(&ratio, margin), "ratio",
                     prony_json_real(prony_median(after->ns, after->count) / prony_median(before->ns, before->count)),
                     "ratio_ci95", prony_json_pair(ratio.low, ratio.high), "coverage", prony_json_real(ratio.coverage),
                     "over", by_launch ? "launches" : "visits", "a", side_json(before), "b", side_json(after), "reason",
                     prony_json_text(reason[0] != '\0' ? reason : NULL));
}

static json_t *unjudged(const json_t *a, const char *verdict, const char *reason)
{
    return json_pack("{s:O, s:s, s:n, s:n, s:n, s:n, s:n, s:n, s:o}", "id", json_object_get(a, "id"), "verdict",
                     verdict, "ratio", "ratio_ci95", "coverage", "over", "a", "b", "reason", prony_json_text(reason));
}

json_t *prony_compare_cell(const json_t *a, const json_t *b, double margin_percent, struct prony_error *error)
{
    const json_t *const sides[] = {a, b};
    struct prony_visits before, after;
    char reason[512];
    json_t *cell;
    for (size_t i = 0; i < 2; i++) {
        const char *status = prony_json_string(sides[i], "status"), *why = prony_json_string(sides[i], "reason");
        if (strcmp(status, "ok") == 0)
            continue;
        (void)snprintf(reason, sizeof reason, "%s in %s%s%s", status[0] != '\0' ? status : "of no status",
                       i == 0 ? "A" : "B", why[0] != '\0' ? ": " : "", why);
        return unjudged(a, strcmp(status, "skipped") == 0 ? "skipped" : "uncompared", reason);
    }
    if (prony_json_number(a, "items") != prony_json_number(b, "items")) {
        (void)snprintf(reason, sizeof reason, "not the same work: %.0f items in A, %.0f in B",
                       prony_json_number(a, "items"), prony_json_number(b, "items"));
        return unjudged(a, "uncompared", reason);
    }
    if (prony_visits_take(a, &before, error) != 0)
        return NULL;
    if (prony_visits_take(b, &after, error) != 0) {
        prony_visits_free(&before);
        return NULL;
    }
    cell = judged(a, &before, &after, margin_percent / 100);
    prony_visits_free(&before);
    prony_visits_free(&after);
    if (cell == NULL)
        (void)prony_fail(error, -ENOMEM, "no memory to compare %s", prony_json_string(a, "id"));
    return cell;
}

static json_t *index_of(const struct prony_report *report, const char *name, struct prony_error *error)
{
    json_t *index = json_object(), *cell;
    size_t i;
    json_array_foreach(json_object_get(report->root, "cells"), i, cell)
    {
        const char *id = prony_json_string(cell, "id");
        if (id[0] == '\0' || json_object_get(index, id) != NULL) {
            (void)prony_fail(error, -EINVAL, "%s: cell %zu has %s", name, i,
                             id[0] == '\0' ? "no id" : "the id of another");
            json_decref(index);
            return NULL;
        }
        (void)json_object_set(index, id, cell);
    }
    if (json_object_size(index) == 0) {
        (void)prony_fail(error, -ENODATA, "%s has no cells: nothing can be compared", name);
        json_decref(index);
        return NULL;
    }
    return index;
}

static json_t *source_json(const struct prony_report *report, const char *name)
{
    const json_t *context = json_object_get(report->root, "context");
    return json_pack("{s:o, s:O?, s:O?, s:O?}", "file", prony_json_text(name), "started",
                     json_object_get(context, "started"), "host", json_object_get(context, "host"), "name",
                     json_object_get(json_object_get(report->root, "plan"), "name"));
}

/* Ids of x that y has not. */
static json_t *alone(const json_t *x, const json_t *y)
{
    json_t *ids = json_array(), *cell;
    const char *id;
    json_object_foreach((json_t *)(uintptr_t)x, id, cell) if (json_object_get(y, id) == NULL)(void)
        json_array_append_new(ids, prony_json_text(id));
    return ids;
}

static int cells_compare(const json_t *before, const json_t *after, double margin_percent, json_t *cells,
                         struct prony_error *error)
{
    const char *id;
    json_t *cell;
    json_object_foreach((json_t *)(uintptr_t)before, id, cell)
    {
        const json_t *other = json_object_get(after, id);
        json_t *verdict = other == NULL ? NULL : prony_compare_cell(cell, other, margin_percent, error);
        if (other != NULL && (verdict == NULL || json_array_append_new(cells, verdict) != 0))
            return error != NULL && error->code != 0 ? error->code : prony_fail(error, -ENOMEM, "no memory to compare");
    }
    return 0;
}

/* Fails unless at least one cell has a ratio. */
static int any_check(const json_t *cells, const char *a_name, const char *b_name, struct prony_error *error)
{
    const json_t *cell;
    size_t i;
    json_array_foreach(cells, i, cell) if (json_is_number(json_object_get(cell, "ratio"))) return 0;
    if (json_array_size(cells) == 0)
        return prony_fail(error, -ENODATA, "%s and %s have no cell in common: cells are matched by id", a_name, b_name);
    cell = json_array_get(cells, 0);
    return prony_fail(error, -ENODATA, "no cell was measured in both %s and %s; %s: %s", a_name, b_name,
                      prony_json_string(cell, "id"), prony_json_string(cell, "reason"));
}

int prony_compare(const struct prony_report *a, const char *a_name, const struct prony_report *b, const char *b_name,
                  const struct prony_compare_how *how, struct prony_comparison **comparison, struct prony_error *error)
{
    char machines[256];
    json_t *before = NULL, *after = NULL, *cells = json_array();
    struct prony_comparison *made = calloc(1, sizeof *made);
    int code = -ENOMEM;
    if (prony_compare_machines(a, b, machines, sizeof machines)[0] != '\0' && !how->different_machines) {
        code =
            prony_fail(error, -EXDEV, "%s and %s are from different machines (%s); --different-machines compares them",
                       a_name, b_name, machines);
        goto out;
    }
    if (made == NULL || (before = index_of(a, a_name, error)) == NULL || (after = index_of(b, b_name, error)) == NULL ||
        cells == NULL) {
        code = error != NULL && error->code != 0 ? error->code : -ENOMEM;
        goto out;
    }
    code = cells_compare(before, after, how->margin_percent, cells, error);
    if (code == 0)
        code = any_check(cells, a_name, b_name, error);
    if (code != 0)
        goto out;
    made->root = json_pack("{s:s, s:b, s:s, s:f, s:b, s:o, s:o, s:o, s:O, s:o, s:o}", "schema", PRONY_COMPARE_SCHEMA,
                           "paired", 0, "metric", "time", "margin_percent", how->margin_percent, "same_machine",
                           machines[0] == '\0', "a", source_json(a, a_name), "b", source_json(b, b_name), "differences",
                           prony_differences(a->root, b->root), "cells", cells, "only_a", alone(before, after),
                           "only_b", alone(after, before));
    if (made->root == NULL)
        code = prony_fail(error, -ENOMEM, "no memory to compare");
out:
    json_decref(before);
    json_decref(after);
    json_decref(cells);
    if (code == 0)
        *comparison = made;
    else
        prony_comparison_free(made);
    return code;
}

void prony_comparison_free(struct prony_comparison *comparison)
{
    if (comparison == NULL)
        return;
    json_decref(comparison->root);
    free(comparison);
}

void prony_comparison_count(const struct prony_comparison *comparison, struct prony_compare_counts *counts)
{
    const json_t *cell;
    size_t i;
    memset(counts, 0, sizeof *counts);
    json_array_foreach(json_object_get(comparison->root, "cells"), i, cell)
    {
        const struct {
            const char *name;
            unsigned *count;
        } verdicts[] = {{"regressed", &counts->regressed},   {"improved", &counts->improved},
                        {"equivalent", &counts->equivalent}, {"inconclusive", &counts->inconclusive},
                        {"uncompared", &counts->uncompared}, {"skipped", &counts->skipped}};
        for (size_t v = 0; v < sizeof verdicts / sizeof verdicts[0]; v++)
            *verdicts[v].count += strcmp(prony_json_string(cell, "verdict"), verdicts[v].name) == 0;
    }
    counts->alone = (unsigned)(json_array_size(json_object_get(comparison->root, "only_a")) +
                               json_array_size(json_object_get(comparison->root, "only_b")));
}
