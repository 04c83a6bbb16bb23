/* What a report must satisfy beyond its schema: rules of the method, and numbers that must agree with each other. */
#include "results/model.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int find(struct prony_list *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int find(struct prony_list *findings, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return prony_list_add(findings, text, strlen(text));
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(fabs(a), fabs(b));
}

/* Visits: not empty, whole samples, no time that is not one. */
static int visits_check(const json_t *cell, const char *id, struct prony_list *findings)
{
    size_t i, j;
    const json_t *visit, *sample;
    int code = 0;
    json_array_foreach(json_object_get(cell, "visits"), i, visit)
    {
        const json_t *samples = json_object_get(visit, "samples_ns");
        if (!json_is_array(samples) || json_array_size(samples) == 0)
            code |= find(findings, "%s: visit %zu has no samples", id, i);
        json_array_foreach(samples, j, sample) if (!json_is_integer(sample) || json_integer_value(sample) <= 0) code |=
            find(findings, "%s: visit %zu: sample %zu is not a positive whole number of ns", id, i, j);
        if (json_is_true(json_object_get(json_object_get(visit, "disturbed"), "marked")) &&
            prony_json_string(json_object_get(visit, "disturbed"), "why")[0] == '\0')
            code |= find(findings, "%s: visit %zu is marked and does not say why", id, i);
    }
    return code;
}

/* The median again, from the raw samples. */
static double median_again(const json_t *cell, bool marked_too)
{
    const json_t *visits = json_object_get(cell, "visits"), *visit, *sample;
    double repeats = prony_json_number(cell, "repeats"),
           *medians = malloc((json_array_size(visits) + 1) * sizeof *medians);
    double median = NAN;
    size_t i, j, n = 0;
    repeats = repeats > 0 ? repeats : 1;
    json_array_foreach(visits, i, visit)
    {
        const json_t *samples = json_object_get(visit, "samples_ns");
        double *values = malloc((json_array_size(samples) + 1) * sizeof *values);
        if (values == NULL || medians == NULL) {
            free(values);
            break;
        }
        json_array_foreach(samples, j, sample) values[j] = json_number_value(sample) / repeats;
        if (json_array_size(samples) > 0 &&
            (marked_too || !json_is_true(json_object_get(json_object_get(visit, "disturbed"), "marked"))))
            medians[n++] = prony_median(values, json_array_size(samples));
        free(values);
    }
    if (medians != NULL)
        median = prony_median(medians, n);
    free(medians);
    return median;
}

static int stats_check(const json_t *cell, const char *id, struct prony_list *findings)
{
    const json_t *stats = json_object_get(cell, "stats");
    double median = prony_json_number(stats, "median"), again, rate = prony_json_number(stats, "rate");
    double low = prony_json_end(stats, "ci95", 0), high = prony_json_end(stats, "ci95", 1);
    double arrived = prony_json_number(json_object_get(cell, "wire"), "arrived"); /* of a channel that loses */
    int code = 0;
    arrived = isnan(arrived) ? 1 : arrived;
    again = median_again(cell, json_is_true(json_object_get(stats, "marked_used")));
    if (isnan(median) || isnan(again) || !near(median, again))
        code |= find(findings, "%s: the median %g ns is not that of its samples, %g ns", id, median, again);
    if (!isnan(low) && !(low <= median && median <= high))
        code |= find(findings, "%s: the median lies outside its interval", id);
    if (!isnan(low) && prony_json_number(stats, "visits") < 6)
        code |= find(findings, "%s: an interval from fewer than 6 visits", id);
    if (!isnan(rate) && !near(rate, prony_json_number(cell, "items") * arrived / median * 1e9))
        code |= find(findings, "%s: the rate is not items by median time", id);
    return code;
}

static int latency_check(const json_t *latency, const char *id, struct prony_list *findings)
{
    static const char *const names[] = {"p50", "p90", "p99", "p99.9", "p99.99"};
    static const double tails[] = {0.5, 0.1, 0.01, 0.001, 0.0001};
    const json_t *bucket;
    double count = prony_json_number(latency, "count"), before = 0, sum = 0;
    size_t i;
    int code = 0;
    for (i = 0; i < 5; i++) {
        double value = prony_json_number(latency, names[i]);
        if (isnan(value))
            continue;
        if (count * tails[i] < 10 * (1 - 1e-9))
            code |= find(findings, "%s: %s from %.0f operations: too few", id, names[i], count);
        if (value < before)
            code |= find(findings, "%s: %s is below the percentile before it", id, names[i]);
        before = value;
    }
    json_array_foreach(json_object_get(latency, "histogram"), i, bucket) sum +=
        json_number_value(json_array_get(bucket, 2));
    if (json_is_array(json_object_get(latency, "histogram")) && sum != count)
        code |= find(findings, "%s: the histogram holds %.0f operations of %.0f", id, sum, count);
    return code;
}

static int counters_check(const json_t *cell, const char *id, struct prony_list *findings)
{
    const json_t *worker;
    size_t i;
    int code = 0;
    json_array_foreach(json_object_get(json_object_get(cell, "counters"), "workers"), i, worker)
    {
        const char *name;
        json_t *event;
        json_object_foreach(json_object_get(worker, "events"), name, event)
        {
            const char *status = prony_json_string(event, "status");
            bool counted = strcmp(status, "counted") == 0 || strcmp(status, "scaled") == 0;
            if (counted != json_is_integer(json_object_get(event, "value")))
                code |=
                    find(findings, "%s: worker %zu: %s is '%s' and its value does not fit that", id, i, name, status);
            if (!counted && prony_json_string(event, "reason")[0] == '\0')
                code |= find(findings, "%s: worker %zu: %s was not counted and does not say why", id, i, name);
        }
    }
    return code;
}

static int placement_check(const json_t *cell, const char *id, struct prony_list *findings)
{
    const json_t *placement = json_object_get(cell, "placement"), *pu;
    json_t *bound = json_object_get(placement, "bound");
    size_t i;
    int code = 0;
    if (json_array_size(json_object_get(placement, "pus")) != prony_json_whole(cell, "workers"))
        code |= find(findings, "%s: the placement does not have one PU a worker", id);
    json_array_foreach(json_object_get(placement, "pus"), i, pu)
    {
        const json_t *sat = json_array_get(bound, i);
        if (json_is_true(json_object_get(placement, "binding")) && json_is_integer(sat) &&
            json_integer_value(sat) != json_integer_value(pu))
            code |= find(findings, "%s: worker %zu was to sit on PU %lld and sat on %lld", id, i,
                         (long long)json_integer_value(pu), (long long)json_integer_value(sat));
    }
    return code;
}

/* imported: from another tool's file, where nothing is verified. */
static int cell_check(const json_t *cell, const char *id, bool imported, struct prony_list *findings)
{
    const char *status = prony_json_string(cell, "status");
    bool ok = strcmp(status, "ok") == 0;
    int code = 0;
    if (!ok && prony_json_string(cell, "reason")[0] == '\0')
        code |= find(findings, "%s: %s without a reason", id, status[0] != '\0' ? status : "no status and");
    if (ok && json_array_size(json_object_get(cell, "visits")) == 0)
        code |= find(findings, "%s: ok without a visit", id);
    if (ok && !imported && !(prony_json_number(cell, "verified") > 0))
        code |= find(findings, "%s: ok, but no answer was verified", id);
    code |= visits_check(cell, id, findings);
    code |= ok ? stats_check(cell, id, findings) | placement_check(cell, id, findings) : 0;
    code |= latency_check(json_object_get(cell, "latency"), id, findings);
    code |= latency_check(json_object_get(json_object_get(cell, "task_times"), "wait"), id, findings);
    code |= latency_check(json_object_get(json_object_get(cell, "task_times"), "run"), id, findings);
    return code | counters_check(cell, id, findings);
}

int prony_report_check(const struct prony_report *report, struct prony_list *findings, struct prony_error *error)
{
    json_t *seen = json_object();
    const json_t *cell;
    size_t i;
    int code = seen == NULL ? -ENOMEM : 0;
    bool imported = json_is_object(json_object_get(json_object_get(report->root, "context"), "imported"));
    json_array_foreach(json_object_get(report->root, "cells"), i, cell)
    {
        char number[32];
        const char *id = prony_json_string(cell, "id");
        if (id[0] == '\0') {
            (void)snprintf(number, sizeof number, "cells[%zu]", i);
            id = number;
            code |= find(findings, "%s has no id", id);
        } else if (json_object_get(seen, id) != NULL) {
            code |= find(findings, "%s: more than one cell has this id", id);
        }
        code |= json_object_set_new(seen, id, json_true());
        code |= cell_check(cell, id, imported, findings);
    }
    json_decref(seen);
    return code == 0 ? 0 : prony_fail(error, -ENOMEM, "no memory to check the report");
}
