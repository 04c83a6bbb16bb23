/* Google Benchmark's JSON: rows of one name are repetitions; aggregates are left, prony computes its own. */
#include "results/import/import.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Members of a row that are no user counters. */
static const char *const members[] = {"family_index",
                                      "per_family_instance_index",
                                      "repetitions",
                                      "repetition_index",
                                      "threads",
                                      "iterations",
                                      "real_time",
                                      "cpu_time",
                                      "aggregate_unit",
                                      "big_o",
                                      "rms"};

static bool is_member(const char *key)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(members[i], key) == 0)
            return true;
    return false;
}

static double unit_ns(const json_t *row)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    const char *unit = prony_json_string(row, "time_unit");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].ns;
    return unit[0] == '\0' ? 1 : NAN;
}

/* The median of a member over the rows of a benchmark. */
static double median_of(const json_t *rows, const json_t *indices, const char *key, bool time)
{
    double *values = malloc((json_array_size(indices) + 1) * sizeof *values), median = NAN;
    size_t i, n = 0;
    const json_t *index;
    if (values == NULL)
        return NAN;
    json_array_foreach(indices, i, index)
    {
        const json_t *row = json_array_get(rows, (size_t)json_integer_value(index));
        double value = prony_json_number(row, key) * (time ? unit_ns(row) : 1);
        if (!isnan(value))
            values[n++] = value;
    }
    median = prony_median(values, n);
    free(values);
    return median;
}

static int counters_take(struct prony_import *import, const json_t *rows, const json_t *indices)
{
    json_t *first = json_array_get(rows, (size_t)json_integer_value(json_array_get(indices, 0))), *value;
    const char *key;
    int bad = prony_import_derived(import, "cpu_time_ns", median_of(rows, indices, "cpu_time", true),
                                   "CPU time an iteration, in ns: the median over repetitions");
    json_object_foreach(first, key, value) if (json_is_number(value) && !is_member(key)) bad |=
        prony_import_derived(import, key, median_of(rows, indices, key, false),
                             "a user counter of Google Benchmark: the median over repetitions");
    return bad != 0 ? -ENOMEM : 0;
}

/* One row as a visit of its cell. */
static int row_take(struct prony_import *import, const json_t *row, size_t index, struct prony_cell *cell)
{
    const struct prony_step steps[] = {{"benchmarks", 0}, {NULL, index}, {"real_time", 0}};
    if (json_is_true(json_object_get(row, "error_occurred"))) {
        cell->outcome = PRONY_FAILED;
        (void)prony_fail(&cell->reason, -EIO, "%s", prony_json_string(row, "error_message"));
        return 0;
    }
    if (isnan(unit_ns(row)))
        return prony_import_wrong(import, steps, 2, "\"time_unit\" is not ns, us, ms or s");
    return prony_import_visit(import, cell, 0,
                              prony_json_number(row, "real_time") * unit_ns(row) * (double)cell->repeats, steps,
                              json_object_get(row, "real_time") != NULL ? 3 : 2);
}

static int benchmark_take(struct prony_import *import, const char *name, const json_t *rows, const json_t *indices)
{
    const json_t *first = json_array_get(rows, (size_t)json_integer_value(json_array_get(indices, 0))), *index;
    double threads = prony_json_number(first, "threads"), iterations = prony_json_number(first, "iterations");
    struct prony_cell *cell =
        prony_import_cell(import, name, threads >= 1 && threads < 1e6 ? (unsigned)threads : 1, "iteration",
                          iterations >= 1 && iterations < 1e15 ? (int64_t)iterations : 1, 1);
    int code = cell == NULL ? -ENOMEM : 0;
    size_t i;
    json_array_foreach(indices, i, index)
    {
        size_t at = (size_t)json_integer_value(index);
        code = code != 0 ? code : row_take(import, json_array_get(rows, at), at, cell);
    }
    return code != 0 ? code : counters_take(import, rows, indices);
}

/* name -> positions of its rows, in order of appearance. */
static int rows_sort(struct prony_import *import, const json_t *rows, json_t *names)
{
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        const struct prony_step steps[] = {{"benchmarks", 0}, {NULL, i}};
        const char *name = prony_json_string(row, "name");
        json_t *indices;
        if (name[0] == '\0')
            return prony_import_wrong(import, steps, 2, "a benchmark without a \"name\"");
        if (strcmp(prony_json_string(row, "run_type"), "aggregate") == 0)
            continue;
        indices = json_object_get(names, name);
        if (indices == NULL && json_object_set_new(names, name, indices = json_array()) != 0)
            return -ENOMEM;
        if (json_array_append_new(indices, json_integer((json_int_t)i)) != 0)
            return -ENOMEM;
    }
    if (json_object_size(names) == 0 && json_array_size(rows) > 0)
        return prony_fail(import->error, -ENODATA,
                          "%s holds aggregates only: run without --benchmark_report_aggregates_only", import->path);
    return 0;
}

int prony_import_gbench(struct prony_import *import)
{
    const json_t *rows = json_object_get(import->root, "benchmarks");
    json_t *names = json_object(), *indices;
    const char *name;
    int code = names == NULL ? -ENOMEM : 0;
    if (!json_is_array(rows))
        code = prony_import_wrong(import, (const struct prony_step[]){{"benchmarks", 0}}, 1,
                                  "\"benchmarks\" is not a list");
    if (code == 0)
        code = rows_sort(import, rows, names);
    json_object_foreach(names, name, indices) if (code == 0) code = benchmark_take(import, name, rows, indices);
    json_decref(names);
    return code;
}
