/* Reading what commands print as JSON: Google Benchmark, a prony report, one field of anything. */
#include "results/judge/ab.h"
#include "results/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int parse(const struct prony_launched *launched, json_t **root, struct prony_error *error)
{
    json_error_t wrong;
    *root = json_loadb(launched->output, launched->output_bytes, JSON_DECODE_ANY, &wrong);
    if (*root != NULL)
        return 0;
    if (launched->output_bytes == 0)
        return prony_fail(error, -EINVAL, "it printed nothing, where JSON was expected");
    return prony_fail(error, -EINVAL, "its output is no JSON, at %d:%d: %s", wrong.line, wrong.column, wrong.text);
}

static double ns_a_unit(const char *unit)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].ns;
    return 0;
}

/* Keys of a row that are no user counters. */
static bool is_own(const char *key)
{
    static const char *const own[] = {"family_index", "per_family_instance_index",
                                      "repetitions",  "repetition_index",
                                      "threads",      "iterations",
                                      "real_time",    "cpu_time"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(key, own[i]) == 0)
            return true;
    return false;
}

static int read_row(const json_t *row, struct prony_readings *readings, struct prony_error *error)
{
    const char *name = prony_json_string(row, "name"), *key;
    double unit = ns_a_unit(prony_json_string(row, "time_unit"));
    const json_t *value;
    int code;
    if (strcmp(prony_json_string(row, "run_type"), "aggregate") == 0)
        return 0;
    if (json_is_true(json_object_get(row, "error_occurred")))
        return prony_fail(error, -EINVAL, "%s failed: %s", name, prony_json_string(row, "error_message"));
    if (name[0] == '\0' || unit <= 0 || !json_is_number(json_object_get(row, "real_time")))
        return prony_fail(error, -EINVAL, "a row of its \"benchmarks\" has no name, real_time or time_unit");
    code = prony_readings_add(readings, name, "time", prony_json_number(row, "real_time") * unit, error);
    if (code == 0 && json_is_number(json_object_get(row, "cpu_time")))
        code = prony_readings_add(readings, name, "cpu", prony_json_number(row, "cpu_time") * unit, error);
    json_object_foreach((json_t *)(uintptr_t)row, key, value) if (code == 0 && json_is_number(value) && !is_own(key))
        code = prony_readings_add(readings, name, key, json_number_value(value), error);
    return code;
}

int prony_read_gbench(void *context, const struct prony_launched *launched, struct prony_readings *readings,
                      struct prony_error *error)
{
    json_t *root, *row;
    size_t i;
    int code = parse(launched, &root, error);
    (void)context;
    if (code != 0)
        return code;
    if (!json_is_array(json_object_get(root, "benchmarks")))
        code = prony_fail(error, -EINVAL,
                          "its JSON has no \"benchmarks\": is it Google Benchmark's "
                          "(--benchmark_format=json)?");
    json_array_foreach(json_object_get(root, "benchmarks"), i, row) if (code == 0) code =
        read_row(row, readings, error);
    if (code == 0 && readings->count == 0)
        code = prony_fail(error, -EINVAL, "its \"benchmarks\" has no row that is not an aggregate");
    json_decref(root);
    return code;
}

/* What was counted, for one repetition of a sample; an event that took turns was counted in fewer samples. */
static int read_counters(const json_t *counters, const char *id, struct prony_readings *readings,
                         struct prony_error *error)
{
    const json_t *events = json_object_get(json_array_get(json_object_get(counters, "workers"), 0), "events"), *total;
    double repeats = prony_json_number(counters, "repeats");
    const char *name;
    int code = 0;
    json_object_foreach(json_object_get(counters, "total"), name, total)
    {
        double samples = prony_json_number(json_object_get(events, name), "samples");
        double value = prony_json_number(total, "value") / (samples > 0 ? samples * repeats : NAN);
        if (code == 0 && isfinite(value))
            code = prony_readings_add(readings, id, name, value, error);
    }
    return code;
}

static int read_cell(const json_t *cell, struct prony_readings *readings, struct prony_error *error)
{
    static const char *const percentiles[] = {"p50", "p99", "max"};
    const char *id = prony_json_string(cell, "id"), *status = prony_json_string(cell, "status");
    const json_t *stats = json_object_get(cell, "stats"), *latency = json_object_get(cell, "latency");
    int code;
    if (strcmp(status, "skipped") == 0)
        return 0;
    if (strcmp(status, "ok") != 0)
        return prony_fail(error, -EINVAL, "cell %s is %s: %s", id, status, prony_json_string(cell, "reason"));
    code = prony_readings_add(readings, id, "time", prony_json_number(stats, "median"), error);
    if (code == 0 && json_is_number(json_object_get(stats, "rate")))
        code = prony_readings_add(readings, id, "rate", prony_json_number(stats, "rate"), error);
    for (unsigned i = 0; i < 3 && code == 0; i++)
        if (json_is_number(json_object_get(latency, percentiles[i])))
            code = prony_readings_add(readings, id, percentiles[i], prony_json_number(latency, percentiles[i]), error);
    return code == 0 ? read_counters(json_object_get(cell, "counters"), id, readings, error) : code;
}

int prony_read_report(void *context, const struct prony_launched *launched, struct prony_readings *readings,
                      struct prony_error *error)
{
    json_t *root, *cell;
    const char *schema;
    size_t i;
    int code = parse(launched, &root, error);
    (void)context;
    if (code != 0)
        return code;
    schema = prony_json_string(root, "schema");
    if (strcmp(schema, PRONY_REPORT_SCHEMA) != 0)
        code = prony_fail(error, -EINVAL, "its JSON is no report of this prony (%s): its schema is '%s'",
                          PRONY_REPORT_SCHEMA, schema);
    json_array_foreach(json_object_get(root, "cells"), i, cell) if (code == 0) code = read_cell(cell, readings, error);
    if (code == 0 && readings->count == 0)
        code = prony_fail(error, -EINVAL, "its report has no cell that was measured");
    json_decref(root);
    return code;
}

/* One step along a path: a key, or a place in an array. */
static const json_t *step(const json_t *at, const char *word)
{
    char *end;
    unsigned long index;
    if (json_is_object(at))
        return json_object_get(at, word);
    index = strtoul(word, &end, 10);
    return json_is_array(at) && *end == '\0' && end != word ? json_array_get(at, index) : NULL;
}

int prony_read_field(void *context, const struct prony_launched *launched, struct prony_readings *readings,
                     struct prony_error *error)
{
    const struct prony_read_field *field = context;
    char *path = strdup(field->path), *rest = path, *word;
    const json_t *at;
    json_t *root = NULL;
    int code = path == NULL ? prony_fail(error, -ENOMEM, "no memory for a path") : parse(launched, &root, error);
    at = root;
    while (code == 0 && (word = strsep(&rest, ".[]")) != NULL)
        if (word[0] != '\0' && (at = step(at, word)) == NULL)
            code = prony_fail(error, -EINVAL, "its JSON has no '%s' (at '%s')", field->path, word);
    if (code == 0 && json_is_number(at)) {
        code = prony_readings_add(readings, field->path, field->metric, json_number_value(at), error);
    } else if (code == 0 && json_is_array(at) && json_array_size(at) > 0) {
        for (size_t i = 0; i < json_array_size(at) && code == 0; i++)
            code = !json_is_number(json_array_get(at, i))
                       ? prony_fail(error, -EINVAL, "'%s' of its JSON holds what is no number", field->path)
                       : prony_readings_add(readings, field->path, field->metric,
                                            json_number_value(json_array_get(at, i)), error);
    } else if (code == 0) {
        code = prony_fail(error, -EINVAL, "'%s' of its JSON is no number", field->path);
    }
    json_decref(root);
    free(path);
    return code;
}
