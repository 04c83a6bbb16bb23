/* Visits from a report's JSON, checked number by number. */
#include "results/visits.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_VISITS 6 /* for a 95% interval of a median */

static bool is_marked(const json_t *visit)
{
    return json_is_true(json_object_get(json_object_get(visit, "disturbed"), "marked"));
}

/* The median of one visit's samples. */
static int visit_take(const json_t *cell, size_t v, double repeats, double *ns, struct prony_error *error)
{
    const json_t *samples = json_object_get(json_array_get(json_object_get(cell, "visits"), v), "samples_ns");
    size_t n = json_array_size(samples);
    const char *id = prony_json_string(cell, "id");
    double *values = malloc((n + 1) * sizeof *values);
    int code = values == NULL ? prony_fail(error, -ENOMEM, "no memory for the samples of %s", id) : 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        const json_t *sample = json_array_get(samples, i);
        if (!json_is_integer(sample) || json_integer_value(sample) <= 0)
            code = prony_fail(error, -EINVAL, "%s: sample %zu of visit %zu is not a positive whole number of ns", id, i,
                              v);
        else
            values[i] = (double)json_integer_value(sample) / repeats;
    }
    if (code == 0 && n == 0)
        code = prony_fail(error, -EINVAL, "%s: visit %zu has no samples", id, v);
    if (code == 0)
        *ns = prony_median(values, n);
    free(values);
    return code;
}

/* Launches come in order; a number that differs from the one before is another launch. */
static void launches_count(struct prony_visits *visits)
{
    visits->launches = 0;
    for (size_t i = 0; i < visits->count; i++)
        visits->launches += i == 0 || visits->launch[i] != visits->launch[i - 1];
}

int prony_visits_take(const json_t *cell, struct prony_visits *visits, struct prony_error *error)
{
    const json_t *all = json_object_get(cell, "visits"), *visit;
    double repeats = prony_json_number(cell, "repeats");
    size_t i, clean = 0, n = json_array_size(all);
    bool dirty;
    int code = 0;
    memset(visits, 0, sizeof *visits);
    if (!(repeats > 0))
        return prony_fail(error, -EINVAL, "%s: \"repeats\" is not a positive number", prony_json_string(cell, "id"));
    visits->ns = malloc((n + 1) * sizeof *visits->ns);
    visits->launch = malloc((n + 1) * sizeof *visits->launch);
    if (visits->ns == NULL || visits->launch == NULL)
        code = prony_fail(error, -ENOMEM, "no memory for %zu visits", n);
    json_array_foreach(all, i, visit) clean += !is_marked(visit);
    dirty = clean < LEAST_VISITS;
    json_array_foreach(all, i, visit)
    {
        double ns = NAN;
        if (code != 0 || (code = visit_take(cell, i, repeats, &ns, error)) != 0)
            break;
        if (is_marked(visit) && !dirty) {
            visits->marked++;
            continue;
        }
        visits->launch[visits->count] = (unsigned)json_integer_value(json_object_get(visit, "launch"));
        visits->ns[visits->count++] = ns;
    }
    if (code != 0)
        prony_visits_free(visits);
    else
        launches_count(visits);
    return code;
}

void prony_visits_by_launch(struct prony_visits *visits)
{
    size_t n = 0;
    for (size_t first = 0, end; first < visits->count; first = end) {
        for (end = first + 1; end < visits->count && visits->launch[end] == visits->launch[first];)
            end++;
        visits->launch[n] = visits->launch[first];
        visits->ns[n++] = prony_median(visits->ns + first, end - first);
    }
    visits->count = n;
}

void prony_visits_free(struct prony_visits *visits)
{
    free(visits->ns);
    free(visits->launch);
    memset(visits, 0, sizeof *visits);
}
