/* Exports that other tools read: github-action-benchmark, Bencher, Google Benchmark. Cells without figures are left out,
 * except where the format has a place for an error. */
#include "results/view.h"
#include "results/visits.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *gab_row(const struct prony_view_cell *cell, const struct prony_figure *figure, const char *unit)
{
    char range[48], extra[160], low[32], high[32];
    json_t *row = json_pack("{s:s, s:s, s:f}", "name", cell->id, "unit", unit, "value", figure->value);
    if (!isnan(figure->low)) {
        (void)snprintf(range, sizeof range, "± %.4g", fmax(figure->high - figure->value, figure->value - figure->low));
        (void)json_object_set_new(row, "range", json_string(range));
        (void)snprintf(low, sizeof low, "%.6g", figure->low);
        (void)snprintf(high, sizeof high, "%.6g", figure->high);
        (void)snprintf(extra, sizeof extra, "median of %u visits, 95%% interval %s to %s", cell->visits, low, high);
        (void)json_object_set_new(row, "extra", json_string(extra));
    }
    return row;
}

/* One direction a file, as that action demands. */
static int gab(const struct prony_report *report, bool rates, FILE *out)
{
    struct prony_view view;
    json_t *rows = json_array();
    int code = prony_view_make(report, &view);
    if (code == 0) {
        for (unsigned i = 0; i < view.count; i++) {
            const struct prony_view_cell *cell = &view.cell[i];
            const struct prony_figure *figure = rates ? &cell->rate : &cell->time_ns;
            char unit[96];
            (void)snprintf(unit, sizeof unit, "%s%s/s", cell->unit[0] != '\0' ? cell->unit : "item",
                           cell->unit[0] != '\0' && cell->unit[strlen(cell->unit) - 1] == 's' ? "" : "s");
            if (cell->ok && isfinite(figure->value))
                (void)json_array_append_new(rows, gab_row(cell, figure, rates ? unit : "ns"));
        }
        prony_view_free(&view);
        return prony_json_print_free(rows, out);
    }
    json_decref(rows);
    return code;
}

int prony_report_gab(const struct prony_report *report, FILE *out)
{
    return gab(report, false, out);
}

int prony_report_gab_bigger(const struct prony_report *report, FILE *out)
{
    return gab(report, true, out);
}

static json_t *bmf_measure(const struct prony_figure *figure)
{
    json_t *measure = json_pack("{s:f}", "value", figure->value);
    if (!isnan(figure->low)) {
        (void)json_object_set_new(measure, "lower_value", json_real(figure->low));
        (void)json_object_set_new(measure, "upper_value", json_real(figure->high));
    }
    return measure;
}

int prony_report_bmf(const struct prony_report *report, FILE *out)
{
    struct prony_view view;
    json_t *root;
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    root = json_object();
    for (unsigned i = 0; i < view.count; i++) {
        const struct prony_view_cell *cell = &view.cell[i];
        json_t *row;
        if (!cell->ok || !isfinite(cell->time_ns.value))
            continue;
        row = json_pack("{s:o}", "latency", bmf_measure(&cell->time_ns));
        if (isfinite(cell->rate.value))
            (void)json_object_set_new(row, "throughput", bmf_measure(&cell->rate));
        (void)json_object_set_new(root, cell->id, row);
    }
    prony_view_free(&view);
    return prony_json_print_free(root, out);
}

static json_t *gbench_context(const struct prony_report *report)
{
    const json_t *context = json_object_get(report->root, "context"), *tool = json_object_get(report->root, "tool");
    const char *governor = prony_json_string(json_object_get(context, "clocks"), "governor");
    const char *host = prony_json_string(context, "host");
    double pus = prony_json_number(json_object_get(context, "topology"), "pus_present");
    double mhz = strtod(prony_json_string(json_object_get(context, "cpu"), "mhz_at_start"), NULL);
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:b, s:[], s:[], s:s, s:o, s:s}", "date",
                     prony_json_string(context, "started"), "host_name", host[0] != '\0' ? host : "unknown",
                     "executable", "prony", "num_cpus", isnan(pus) ? 0 : (int)pus, "mhz_per_cpu", (int)lround(mhz),
                     "cpu_scaling_enabled", governor[0] != '\0' && strcmp(governor, "performance") != 0, "caches",
                     "load_avg", "library_build_type",
                     strcmp(prony_json_string(tool, "build"), "Debug") == 0 ? "debug" : "release", "prony_version",
                     prony_json_text(prony_json_string(tool, "version")), "prony_note",
                     "cpu_time repeats real_time: prony times by the wall clock; a repetition is a visit");
}

static json_t *gbench_head(const struct prony_view_cell *cell, unsigned family, size_t repetitions, size_t index)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:s, s:i, s:i, s:i}", "name", cell->id, "family_index", (int)family,
                     "per_family_instance_index", 0, "run_name", cell->id, "run_type", "iteration", "repetitions",
                     (int)repetitions, "repetition_index", (int)index, "threads", (int)cell->workers);
}

static int gbench_rows(const struct prony_view_cell *cell, unsigned family, json_t *rows)
{
    double repeats = prony_json_number(cell->json, "repeats"), items = prony_json_number(cell->json, "items");
    struct prony_visits visits;
    int code = prony_visits_take(cell->json, &visits, NULL);
    for (size_t i = 0; code == 0 && i < visits.count; i++) {
        json_t *row = gbench_head(cell, family, visits.count, i);
        (void)json_object_update_new(row,
                                     json_pack("{s:I, s:f, s:f, s:s}", "iterations", (json_int_t)repeats, "real_time",
                                               visits.ns[i], "cpu_time", visits.ns[i], "time_unit", "ns"));
        if (items > 0)
            (void)json_object_set_new(row, "items_per_second", json_real(items / visits.ns[i] * 1e9));
        code = json_array_append_new(rows, row) != 0 ? -ENOMEM : 0;
    }
    if (code == 0)
        prony_visits_free(&visits);
    return code;
}

int prony_report_gbench(const struct prony_report *report, FILE *out)
{
    struct prony_view view;
    json_t *rows = json_array();
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < view.count && code == 0; i++) {
        const struct prony_view_cell *cell = &view.cell[i];
        if (cell->ok) {
            code = gbench_rows(cell, i, rows);
        } else if (strcmp(cell->status, "failed") == 0) {
            json_t *row = gbench_head(cell, i, 1, 0);
            (void)json_object_update_new(row, json_pack("{s:b, s:o, s:i, s:f, s:f, s:s}", "error_occurred", 1,
                                                        "error_message", prony_json_text(cell->reason), "iterations", 0,
                                                        "real_time", 0.0, "cpu_time", 0.0, "time_unit", "ns"));
            (void)json_array_append_new(rows, row);
        }
    }
    prony_view_free(&view);
    if (code == 0)
        return prony_json_print_free(json_pack("{s:o, s:o}", "context", gbench_context(report), "benchmarks", rows),
                                     out);
    json_decref(rows);
    return code;
}
