/* A paired comparison as JSON: what was asked, every value by pair, and the verdicts with what they rest on. */
#include "results/judge/ab.h"
#include "results/model.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define VERDICT_SCHEMA "prony.verdict/1"

static json_t *percent(double d)
{
    return prony_json_real(100 * expm1(d));
}

static json_t *values_json(const double *values, unsigned n)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < n; i++)
        (void)json_array_append_new(array, prony_json_real(values[i]));
    return array;
}

static json_t *series_json(const struct prony_ab_telling *telling, const struct prony_ab_contest *contest,
                           const struct prony_ab_series *series)
{
    const struct prony_comparison *judged = &series->judged;
    const struct prony_interval *ci = &judged->interval;
    bool judging = series->primary && telling->ab->status != PRONY_AB_FAILED;
    json_t *values = json_pack("{s:o, s:o}", "base", values_json(series->value[PRONY_BASE], contest->pairs), "head",
                               values_json(series->value[PRONY_HEAD], contest->pairs));
    json_t *row =
        json_pack("{s:o, s:o, s:s, s:b, s:i, s:o, s:o}", "benchmark", prony_json_text(series->benchmark), "metric",
                  prony_json_text(series->metric), "unit", prony_ab_unit(telling->read, series->metric), "primary",
                  series->primary, "pairs", (int)contest->pairs, "base", prony_json_real(series->median[PRONY_BASE]),
                  "head", prony_json_real(series->median[PRONY_HEAD]));
    /* d is larger when head is worse; the change is that of the metric. */
    double sign = series->primary && telling->plan->higher ? -1 : 1;
    double low = sign > 0 ? ci->low : -ci->high, high = sign > 0 ? ci->high : -ci->low;
    (void)json_object_update_new(
        row, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "change_percent",
                       percent(contest->pairs > 0 ? sign * judged->median : NAN), "interval_percent",
                       contest->pairs > 0 ? prony_json_pair(100 * expm1(low), 100 * expm1(high)) : json_null(),
                       "coverage", prony_json_real(ci->coverage), "margin_percent",
                       series->primary ? prony_json_real(100 * judged->margin) : json_null(), "level",
                       judging ? prony_json_real(judged->level) : json_null(), "p_adjusted",
                       judging ? prony_json_real(judged->p_adjusted) : json_null(), "values", values));
    return row;
}

/* The rows of a contest, each with its own verdict. */
static json_t *contest_json(const struct prony_ab_telling *telling, const struct prony_ab_contest *contest)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < contest->series_count; i++) {
        const struct prony_ab_series *series = &contest->series[i];
        json_t *row = series_json(telling, contest, series);
        bool judged = series->primary && telling->ab->status != PRONY_AB_FAILED && contest->pairs > 0;
        (void)json_object_set_new(row, "verdict",
                                  judged ? json_string(prony_verdict_name(series->judged.verdict)) : json_null());
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

/* The rows of the first contest, with the final verdicts. */
static json_t *rows_json(const struct prony_ab_telling *telling)
{
    const struct prony_ab *ab = telling->ab;
    json_t *rows = contest_json(telling, &ab->main), *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        const struct prony_ab_series *series = &ab->main.series[i];
        bool final = series->primary && ab->status == PRONY_AB_JUDGED;
        bool open = final && ab->verdict[i] == PRONY_INCONCLUSIVE;
        (void)json_object_set_new(row, "verdict",
                                  final ? json_string(prony_verdict_name(ab->verdict[i])) : json_null());
        (void)json_object_set_new(row, "decisive_pairs",
                                  open && series->judged.decisive_pairs > 0
                                      ? json_integer((json_int_t)series->judged.decisive_pairs)
                                      : json_null());
        (void)json_object_set_new(row, "confirmed",
                                  final && ab->fresh.pairs > 0 && series->judged.verdict == PRONY_REGRESSED
                                      ? json_boolean(ab->verdict[i] == PRONY_REGRESSED)
                                      : json_null());
    }
    return rows;
}

static json_t *plan_json(const struct prony_ab_telling *telling)
{
    const struct prony_ab_plan *plan = telling->plan;
    json_t *pus = json_array(), *margins = json_object(), *json;
    char seed[24];
    bool same = plan->command[0].count == plan->command[1].count;
    for (size_t i = 0; same && i < plan->command[0].count; i++)
        same = strcmp(plan->command[0].item[i], plan->command[1].item[i]) == 0;
    for (unsigned i = 0; i < plan->npus; i++)
        (void)json_array_append_new(pus, json_integer(plan->pus[i]));
    for (unsigned i = 0; i < plan->margins_count; i++)
        (void)json_object_set_new(margins, plan->margins[i].glob, json_real(100 * plan->margins[i].margin));
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)plan->seed);
    json =
        json_pack("{s:o, s:o, s:b, s:s, s:s, s:s, s:s, s:f, s:f, s:o}", "base", prony_json_text(telling->base), "head",
                  prony_json_text(telling->head), "same_command", same, "read", telling->read, "metric", plan->metric,
                  "better", plan->higher ? "higher" : "lower", "reduce", plan->reduce == PRONY_BEST ? "best" : "median",
                  "alpha", plan->alpha, "margin_percent", 100 * plan->margin, "margins_percent", margins);
    (void)json_object_update_new(
        json, json_pack("{s:i, s:f, s:I, s:I, s:i, s:b, s:b, s:s, s:o}", "pairs", (int)plan->pairs, "precision_percent",
                        100 * plan->precision, "budget_ns", (json_int_t)plan->budget_ns, "timeout_ns",
                        (json_int_t)plan->timeout_ns, "warmup", (int)plan->warmup, "null_control", plan->null_control,
                        "confirm", plan->confirm, "seed", seed, "pus", pus));
    return json;
}

int prony_ab_json(const struct prony_ab_telling *telling, FILE *out)
{
    const struct prony_ab *ab = telling->ab;
    struct prony_run run = {
        .topology = telling->topology, .started_s = telling->started_s, .method.seed = telling->plan->seed};
    json_t *null = json_null(), *fresh = json_null(), *root;
    const char *word = prony_ab_word(ab);
    bool judged = ab->status == PRONY_AB_JUDGED;
    if (telling->plan->null_control)
        null = json_pack("{s:b, s:o}", "red", ab->null_red, "benchmarks", contest_json(telling, &ab->null));
    if (ab->fresh.pairs > 0)
        fresh = json_pack("{s:b, s:o}", "agrees", !ab->unconfirmed, "benchmarks", contest_json(telling, &ab->fresh));
    root = json_pack("{s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", VERDICT_SCHEMA,
                     "tool", prony_tool_json(), "context", prony_context_json(&run, telling->argc, telling->argv),
                     "plan", plan_json(telling), "status", judged ? "judged" : word, "reason",
                     judged ? json_null() : prony_json_text(ab->reason.text), "verdict",
                     judged ? json_string(word) : json_null(), "launches", (int)ab->launches, "wall_ns",
                     prony_json_count(ab->wall_ns), "least_pairs", prony_json_count(ab->least_pairs), "sequence",
                     json_stringn(ab->sequence != NULL ? ab->sequence : "", ab->sequence_count), "benchmarks",
                     rows_json(telling), "null_control", null, "confirmation", fresh);
    if (root == NULL)
        return -ENOMEM;
    (void)json_object_set_new(json_object_get(json_object_get(root, "context"), "topology"), "file", json_null());
    if (telling->redact && prony_context_redact(&(struct prony_report){.root = root}) != 0) {
        json_decref(root);
        return -ENOMEM;
    }
    return prony_json_print_free(root, out);
}
