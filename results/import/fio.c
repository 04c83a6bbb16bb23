/* fio's JSON: reads, writes and trims of a job are a cell each, its whole running time one sample. fio does not repeat, so
 * there is no interval; latency percentiles are those of completions. */
#include "results/import/import.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* A percentile, under the rule of the method: at least ten operations lie beyond it. */
static json_t *percentile(const json_t *clat, double count, const char *key, double p)
{
    double value = prony_json_number(json_object_get(clat, "percentile"), key);
    return prony_json_real(count * (1 - p) >= 10 ? value : NAN);
}

static json_t *latency_json(const json_t *clat)
{
    double count = prony_json_number(clat, "N"), least = prony_json_number(clat, "min"),
           most = prony_json_number(clat, "max");
    if (!(count > 0))
        return NULL;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "p50", percentile(clat, count, "50.000000", 0.5),
                     "p90", percentile(clat, count, "90.000000", 0.9), "p99",
                     percentile(clat, count, "99.000000", 0.99), "p99.9", percentile(clat, count, "99.900000", 0.999),
                     "p99.99", percentile(clat, count, "99.990000", 0.9999), "min",
                     least >= 0 ? json_integer((json_int_t)least) : json_null(), "max",
                     most >= 0 ? json_integer((json_int_t)most) : json_null(), "count", (json_int_t)count);
}

static int direction_take(struct prony_import *import, const json_t *job, size_t at, const char *direction)
{
    const struct prony_step steps[] = {{"jobs", 0}, {NULL, at}, {direction, 0}, {"runtime", 0}};
    const json_t *part = json_object_get(job, direction);
    double runtime_ms = prony_json_number(part, "runtime"), operations = prony_json_number(part, "total_ios");
    double failed = prony_json_number(job, "error");
    char name[256];
    json_t *latency;
    struct prony_cell *cell;
    int code;
    if (!(operations > 0) && !(failed > 0))
        return 0; /* the job did none of these */
    (void)snprintf(name, sizeof name, "%s %s", prony_json_string(job, "jobname"), direction);
    cell = prony_import_cell(import, name, 1, "I/O", 1, operations > 0 && operations < 9e18 ? (int64_t)operations : 0);
    if (cell == NULL)
        return -ENOMEM;
    (void)snprintf(cell->about, sizeof cell->about, "%s, ioengine %s", prony_json_string(import->root, "fio version"),
                   prony_json_string(json_object_get(job, "job options"), "ioengine"));
    if (failed > 0) {
        cell->outcome = PRONY_FAILED;
        (void)prony_fail(&cell->reason, -EIO, "fio reports error %.0f", failed);
        return 0;
    }
    code =
        prony_import_visit(import, cell, 0, runtime_ms * 1e6, steps, json_object_get(part, "runtime") != NULL ? 4 : 3);
    if (code != 0)
        return code;
    latency = latency_json(json_object_get(part, "clat_ns"));
    if (latency != NULL &&
        json_object_set_new(json_array_get(import->extra, json_array_size(import->extra) - 1), "latency", latency) != 0)
        return -ENOMEM;
    return prony_import_derived(import, "bytes_per_second", prony_json_number(part, "bw_bytes"), "fio's bandwidth") != 0
               ? -ENOMEM
               : 0;
}

int prony_import_fio(struct prony_import *import)
{
    static const char *const directions[] = {"read", "write", "trim"};
    const json_t *jobs = json_object_get(import->root, "jobs"), *job;
    size_t i;
    int code = 0;
    if (!json_is_array(jobs))
        return prony_import_wrong(import, (const struct prony_step[]){{"jobs", 0}}, 1,
                                  "a file of fio needs a list of \"jobs\"");
    json_array_foreach(jobs, i, job)
    {
        if (prony_json_string(job, "jobname")[0] == '\0')
            return prony_import_wrong(import, (const struct prony_step[]){{"jobs", 0}, {NULL, i}}, 2,
                                      "a job without a \"jobname\"");
        for (size_t d = 0; d < sizeof directions / sizeof directions[0] && code == 0; d++)
            code = direction_take(import, job, i, directions[d]);
    }
    return code;
}
