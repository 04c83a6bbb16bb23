/* One cell of a run as JSON: what it is, its raw samples, what its workers counted. */
#include "measure/counters.h"
#include "results/profile/profile.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

#define METRICS_MAX 32

static json_t *param_json(const struct prony_param *param)
{
    switch (param->option->type) {
    case PRONY_INT:
    case PRONY_BYTES:
    case PRONY_DURATION:
        return json_integer(param->integer);
    case PRONY_REAL:
        return prony_json_real(param->real);
    case PRONY_BOOL:
        return json_boolean(param->integer != 0);
    case PRONY_CHOICE:
    case PRONY_TEXT:
        break;
    }
    return prony_json_text(param->text);
}

static int params_add(json_t *into, const char *plugin, const struct prony_params *params)
{
    char key[128];
    int bad = 0;
    for (unsigned i = 0; i < params->count; i++) {
        (void)snprintf(key, sizeof key, "%s%s%s", plugin, plugin[0] == '\0' ? "" : ".", params->values[i].option->name);
        bad |= json_object_set_new(into, key, param_json(&params->values[i]));
    }
    return bad;
}

static json_t *params_json(const struct prony_cell *cell)
{
    json_t *params = json_object();
    int bad = params_add(params, cell->workload->head.name, &cell->workload_params);
    bad |= params_add(params, cell->engine->head.name, &cell->engine_params);
    if (cell->channel != NULL)
        bad |= params_add(params, cell->channel->head.name, &cell->channel_params);
    bad |= params_add(params, "", &cell->own_params);
    if (bad == 0)
        return params;
    json_decref(params);
    return NULL;
}

static json_t *pu_json(int pu)
{
    return pu < 0 ? json_null() : json_integer(pu);
}

static json_t *placement_json(const struct prony_cell *cell)
{
    json_t *pus = json_array(), *bound = json_array();
    for (unsigned i = 0; cell->placement.pus != NULL && i < cell->placement.workers; i++)
        (void)json_array_append_new(pus, pu_json(cell->placement.pus[i]));
    for (unsigned i = 0; cell->who != NULL && i < cell->workers; i++)
        (void)json_array_append_new(bound, pu_json(cell->who[i].pu));
    return json_pack("{s:o, s:o, s:o, s:b, s:b}", "policy", prony_json_text(cell->placement.policy), "pus", pus,
                     "bound", bound, "oversubscribed", cell->placement.oversubscribed, "binding",
                     cell->placement.binding);
}

static json_t *pulse_json(const struct prony_pulse *pulse)
{
    return json_pack("{s:o, s:o}", "line_ns", prony_json_real(pulse->line_ns), "compute_ns",
                     prony_json_real(pulse->compute_ns));
}

static json_t *visit_json(const struct prony_cell *cell, const struct prony_visit *visit)
{
    const struct prony_disturbed *seen = &visit->disturbed;
    json_t *samples = json_array(), *phases = json_object(), *disturbed;
    for (unsigned i = 0; i < visit->samples; i++)
        (void)json_array_append_new(samples, prony_json_count(visit->samples_ns[i]));
    for (unsigned i = 0; cell->workload->phases != NULL && i < 7 && cell->workload->phases[i] != NULL; i++)
        (void)json_object_set_new(phases, cell->workload->phases[i], prony_json_count(visit->phases_ns[i]));
    disturbed = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "marked", seen->marked, "why",
                          prony_json_text(seen->why), "steal_ns", prony_json_count(seen->steal_ns), "involuntary",
                          prony_json_count(seen->involuntary), "migrations", prony_json_count(seen->migrations),
                          "before", pulse_json(&seen->before), "after", pulse_json(&seen->after));
    return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o}", "block", (int)visit->block, "launch", (int)visit->launch, "t_ns",
                     prony_json_count(visit->t_ns), "samples_ns", samples, "phases_ns", phases, "disturbed", disturbed);
}

static json_t *visits_json(const struct prony_cell *cell)
{
    json_t *visits = json_array();
    for (unsigned i = 0; i < cell->visits_count; i++)
        if (json_array_append_new(visits, visit_json(cell, &cell->visits[i])) != 0) {
            json_decref(visits);
            return NULL;
        }
    return visits;
}

static json_t *latency_json(const struct prony_histogram *histogram)
{
    static const double points[] = {0.5, 0.9, 0.99, 0.999, 0.9999};
    static const char *const names[] = {"p50", "p90", "p99", "p99.9", "p99.99"};
    json_t *latency = json_object(), *buckets;
    bool any = histogram != NULL && histogram->count > 0;
    int bad = 0;
    for (unsigned i = 0; i < 5; i++)
        bad |= json_object_set_new(latency, names[i],
                                   prony_json_real(any ? prony_histogram_percentile(histogram, points[i]) : NAN));
    bad |= json_object_set_new(latency, "max", any ? prony_json_count(histogram->max_ns) : json_null());
    bad |= json_object_set_new(latency, "min", any ? prony_json_count(histogram->min_ns) : json_null());
    bad |= json_object_set_new(latency, "count", json_integer(any ? (json_int_t)histogram->count : 0));
    bad |= json_object_set_new(latency, "clipped", json_integer(any ? (json_int_t)histogram->clipped : 0));
    buckets = any ? json_array() : json_null();
    for (unsigned i = 0; any && i < PRONY_HISTOGRAM_BUCKETS; i++)
        if (histogram->bucket[i] > 0)
            bad |= json_array_append_new(buckets, json_pack("[o,o,o]", prony_json_count(prony_histogram_low(i)),
                                                            prony_json_count(prony_histogram_low(i + 1)),
                                                            prony_json_count(histogram->bucket[i])));
    bad |= json_object_set_new(latency, "histogram", buckets);
    if (bad == 0)
        return latency;
    json_decref(latency);
    return NULL;
}

/* In the cell, when the times of tasks were asked for. */
static int task_times_add(const struct prony_cell *cell, json_t *object)
{
    if (cell->times == NULL || cell->outcome == PRONY_FAILED)
        return 0;
    return json_object_set_new(object, "task_times",
                               json_pack("{s:I, s:o, s:o}", "one_in", (json_int_t)prony_cell_times(cell), "wait",
                                         latency_json(&cell->times->wait), "run", latency_json(&cell->times->run)));
}

static const char *status_name(uint32_t status)
{
    static const char *const names[] = {"not tried",  "counted",     "not supported", "denied",
                                        "no counter", "implausible", "scaled"};
    return status < sizeof names / sizeof names[0] ? names[status] : "not tried";
}

static bool has_value(const struct prony_value *value)
{
    return value->status == PRONY_COUNTED || value->status == PRONY_SCALED;
}

static json_t *event_json(const struct prony_value *value)
{
    return json_pack("{s:o, s:i, s:s, s:o, s:o, s:o, s:o}", "value",
                     has_value(value) ? json_integer(value->value) : json_null(), "samples", (int)value->samples,
                     "status", status_name(value->status), "source", prony_json_text(value->source), "reason",
                     prony_json_text(value->reason), "enabled_ns", prony_json_count(value->enabled_ns), "running_ns",
                     prony_json_count(value->running_ns));
}

static json_t *worker_json(const struct prony_run *run, const struct prony_cell *cell, unsigned index)
{
    const struct prony_cell_worker *worker = &cell->who[index];
    json_t *events = json_object();
    for (size_t i = 0; worker->values != NULL && i < run->method.events.count; i++)
        (void)json_object_set_new(events, run->method.events.item[i], event_json(&worker->values[i]));
    return json_pack("{s:i, s:o, s:i, s:i, s:i, s:b, s:b, s:I, s:o}", "worker", (int)index, "pu", pu_json(worker->pu),
                     "pid", worker->pid, "tid", worker->tid, "generation", (int)worker->generation, "caller",
                     (worker->flags & PRONY_WHO_CALLER) != 0, "remote", (worker->flags & PRONY_WHO_REMOTE) != 0,
                     "items", (json_int_t)worker->items, "events", events);
}

/* What the workers' values make together: their sum, or for an event that they share the largest. */
static int64_t together(const struct prony_run *run, size_t event, int64_t sum, int64_t value)
{
    const struct prony_provider *provider = run->method.provider;
    if (provider == NULL || provider->nature == NULL ||
        (provider->nature(run->method.events.item[event]) & PRONY_EVENT_SHARED) == 0)
        return sum + value;
    return value > sum ? value : sum;
}

/* An event over all workers: null as soon as one of them could not count it. */
static json_t *total_json(const struct prony_run *run, const struct prony_cell *cell, size_t event)
{
    const struct prony_value *missing = NULL;
    uint32_t status = PRONY_COUNTED;
    int64_t sum = 0;
    for (unsigned i = 0; i < cell->workers && missing == NULL; i++) {
        static const struct prony_value nothing;
        const struct prony_value *value = cell->who[i].values != NULL ? &cell->who[i].values[event] : &nothing;
        if (!has_value(value))
            missing = value;
        else if (value->status == PRONY_SCALED)
            status = PRONY_SCALED;
        sum = together(run, event, sum, has_value(value) ? value->value : 0);
    }
    if (missing != NULL)
        return json_pack("{s:n, s:s, s:o}", "value", "status", status_name(missing->status), "reason",
                         prony_json_text(missing->reason));
    return json_pack("{s:I, s:s, s:s}", "value", (json_int_t)sum, "status", status_name(status), "reason", "");
}

static int64_t in_all_samples(const struct prony_cell *cell, const struct prony_value *value)
{
    if (value->samples == 0 || value->samples == cell->counted_samples)
        return value->value;
    return llround((double)value->value * (double)cell->counted_samples / value->samples);
}

/* The totals as the formulas of derived metrics take them: sums over the workers, nothing where one did not count. Events
 * that took turns were counted in fewer samples, and are taken as if they had been counted in all. */
static void totals(const struct prony_run *run, const struct prony_cell *cell, struct prony_value *sums)
{
    for (size_t i = 0; i < run->method.events.count && i < PRONY_EVENTS_MAX; i++) {
        sums[i].status = PRONY_COUNTED;
        for (unsigned w = 0; w < cell->workers; w++) {
            if (cell->who[w].values == NULL || !has_value(&cell->who[w].values[i])) {
                sums[i].status = PRONY_NOT_SUPPORTED;
                break;
            }
            sums[i].value = together(run, i, sums[i].value, in_all_samples(cell, &cell->who[w].values[i]));
        }
    }
}

/* What formulas may use beside events: the items, and the time, of the samples that were counted. */
static void given_take(const struct prony_cell *cell, double *given)
{
    double samples = 0, ns = 0;
    int64_t repeats = cell->counted_repeats != 0 ? cell->counted_repeats : cell->repeats;
    for (unsigned i = 0; i < cell->visits_count; i++)
        for (unsigned s = 0; s < cell->visits[i].samples; s++, samples++)
            ns += (double)cell->visits[i].samples_ns[s];
    given[0] = (double)cell->counted_samples * (double)repeats * (double)cell->need.items;
    given[1] = cell->counted_repeats != 0 ? NAN : ns / samples * (double)cell->counted_samples;
}

static json_t *derived_json(const struct prony_run *run, const struct prony_cell *cell)
{
    const struct prony_metric *metrics[METRICS_MAX];
    struct prony_value sums[PRONY_EVENTS_MAX];
    const char *provider = run->method.provider != NULL ? run->method.provider->head.name : "none";
    unsigned n = prony_counters_metrics(provider, &run->method.events, metrics, METRICS_MAX);
    json_t *derived = json_object();
    double given[PRONY_GROUP_GIVEN];
    given_take(cell, given);
    memset(sums, 0, sizeof sums);
    totals(run, cell, sums);
    for (unsigned i = 0; i < n && i < METRICS_MAX; i++) {
        double value = prony_counters_metric(metrics[i], &run->method.events, sums, given);
        (void)json_object_set_new(derived, metrics[i]->name,
                                  json_pack("{s:o, s:o, s:o}", "value", prony_json_real(value), "text",
                                            prony_json_text(metrics[i]->text), "formula",
                                            prony_json_text(metrics[i]->formula)));
    }
    return derived;
}

static json_t *counters_json(const struct prony_run *run, const struct prony_cell *cell)
{
    const struct prony_provider *provider = run->method.provider;
    json_t *workers = json_array(), *total = json_object();
    for (unsigned i = 0; cell->who != NULL && i < cell->workers; i++)
        (void)json_array_append_new(workers, worker_json(run, cell, i));
    for (size_t i = 0; cell->who != NULL && i < run->method.events.count; i++)
        (void)json_object_set_new(total, run->method.events.item[i], total_json(run, cell, i));
    return json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o}", "provider", provider != NULL ? provider->head.name : "none",
                     "samples", prony_json_count(cell->counted_samples), "repeats",
                     (json_int_t)(cell->counted_repeats != 0 ? cell->counted_repeats : cell->repeats), "read_ns",
                     prony_json_real(cell->counter_read_ns), "workers", workers, "total", total, "derived",
                     cell->who != NULL ? derived_json(run, cell) : json_object());
}

/* Cells that the end of the run left waiting are interrupted ones; the reason says that they never began. */
static const char *reason_of(const struct prony_cell *cell)
{
    if (cell->outcome == PRONY_PENDING)
        return "the run ended before this cell was measured";
    if (cell->outcome == PRONY_INTERRUPTED && cell->reason.text[0] == '\0')
        return "the run was interrupted; what was measured is kept";
    return cell->reason.text[0] != '\0' ? cell->reason.text : NULL;
}

static int profile_add(const struct prony_run *run, const struct prony_cell *cell, json_t *into)
{
    if (!run->method.profile || cell->outcome != PRONY_OK)
        return 0;
    return json_object_set_new(into, "profile", prony_digest_json(&cell->profile, cell->workers));
}

static const char *shape_name(enum prony_shape shape)
{
    static const char *const names[] = {"map", "tasks", "gang", "life"};
    return names[shape];
}

static json_t *warm_json(const struct prony_cell *cell)
{
    json_t *samples = json_array();
    bool any = cell->warm_samples > 0;
    for (unsigned i = 0; cell->warm_ns != NULL && i < cell->warm_samples; i++)
        (void)json_array_append_new(samples, prony_json_count(cell->warm_ns[i]));
    return json_pack("{s:i, s:b, s:o, s:o, s:o, s:o}", "samples", (int)cell->warm_samples, "steady", cell->steady,
                     "course", prony_json_text(any ? prony_course_name(cell->course) : NULL), "steady_from",
                     any && prony_course_is_steady(cell->course) ? json_integer(cell->steady_from) : json_null(),
                     "samples_ns", samples, "calibrate_ns", prony_json_count(cell->calibrate_ns));
}

json_t *prony_cell_json(const struct prony_run *run, const struct prony_cell *cell)
{
    enum prony_outcome outcome = cell->outcome == PRONY_PENDING ? PRONY_INTERRUPTED : cell->outcome;
    json_t *what, *figures, *warm;
    what = json_pack("{s:o, s:o, s:o, s:s, s:o, s:i, s:o, s:o, s:b, s:b, s:o, s:s, s:o}", "id",
                     prony_json_text(cell->id), "engine", prony_json_text(cell->engine->head.name), "workload",
                     prony_json_text(cell->workload->head.name), "shape", shape_name(cell->workload->shape), "channel",
                     prony_json_text(cell->channel != NULL ? cell->channel->head.name : NULL), "workers",
                     (int)cell->workers, "placement", placement_json(cell), "params", params_json(cell), "baseline",
                     cell->baseline, "dry", (cell->engine->head.caps & PRONY_CAP_DRY) != 0, "about",
                     prony_json_text(cell->about), "status", prony_outcome_name(outcome), "reason",
                     prony_json_text(reason_of(cell)));
    warm = warm_json(cell);
    figures = json_pack(
        "{s:I, s:o, s:o, s:I, s:o, s:i, s:o, s:n, s:o, s:o, s:o, s:o, s:I, s:o}", "items", (json_int_t)cell->need.items,
        "unit", prony_json_text(cell->workload->unit), "operations",
        cell->need.operations > 0 ? json_integer(cell->need.operations) : json_null(), "repeats",
        (json_int_t)cell->repeats, "warm", warm, "launches", (int)cell->launches, "visits", visits_json(cell), "stats",
        "latency", latency_json(cell->outcome == PRONY_FAILED ? NULL : cell->latency), "caller_pu",
        pu_json(cell->caller_pu), "caller_share", prony_json_real(cell->caller_share), "counters",
        counters_json(run, cell), "verified", (json_int_t)cell->verified, "spent_ns", prony_json_count(cell->spent_ns));
    if (what != NULL && figures != NULL && json_object_update(what, figures) == 0 && task_times_add(cell, what) == 0 &&
        profile_add(run, cell, what) == 0) {
        json_decref(figures);
        return what;
    }
    json_decref(what);
    json_decref(figures);
    return NULL;
}
