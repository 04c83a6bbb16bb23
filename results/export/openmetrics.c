/* The report as OpenMetrics 1.0 text, which Prometheus scrapes or reads from a textfile collector. */
#include "results/view.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

static void label_say(FILE *out, const char *name, const char *value, bool first)
{
    (void)fprintf(out, "%s%s=\"", first ? "" : ",", name);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            (void)fputs("\\n", out);
        else
            (void)fprintf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    }
    (void)fputc('"', out);
}

static void labels_say(FILE *out, const struct prony_view_cell *cell)
{
    char workers[16];
    (void)snprintf(workers, sizeof workers, "%u", cell->workers);
    (void)fputc('{', out);
    label_say(out, "cell", cell->id, true);
    label_say(out, "engine", cell->engine, false);
    label_say(out, "workload", cell->workload, false);
    label_say(out, "channel", prony_json_string(cell->json, "channel"), false);
    label_say(out, "workers", workers, false);
    (void)fputc('}', out);
}

static double ok_of(const struct prony_view_cell *cell)
{
    return cell->ok;
}

static double visits_of(const struct prony_view_cell *cell)
{
    return cell->visits;
}

static double marked_of(const struct prony_view_cell *cell)
{
    return cell->marked;
}

/* A family of samples: a function of the cell, or one of its figures' numbers, scaled. */
static const struct family {
    const char *name, *unit, *help;
    double (*of)(const struct prony_view_cell *cell);
    size_t at;
    double scale;
} families[] = {
    {"prony_cell_ok", "", "Whether the cell was measured and its answers verified.", ok_of, 0, 1},
    {"prony_time_seconds", "seconds", "Median time of one repetition.", NULL,
     offsetof(struct prony_view_cell, time_ns.value), 1e-9},
    {"prony_time_low_seconds", "seconds", "Lower end of its 95% interval.", NULL,
     offsetof(struct prony_view_cell, time_ns.low), 1e-9},
    {"prony_time_high_seconds", "seconds", "Upper end of its 95% interval.", NULL,
     offsetof(struct prony_view_cell, time_ns.high), 1e-9},
    {"prony_rate", "", "Items per second of the median time.", NULL, offsetof(struct prony_view_cell, rate.value), 1},
    {"prony_speedup", "", "Times faster than the serial engine.", NULL, offsetof(struct prony_view_cell, speedup.value),
     1},
    {"prony_visits", "", "Visits to the cell.", visits_of, 0, 1},
    {"prony_visits_marked", "", "Visits during which the machine's state moved.", marked_of, 0, 1},
};

int prony_report_openmetrics(const struct prony_report *report, FILE *out)
{
    struct prony_view view;
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    (void)fputs("# TYPE prony info\n# HELP prony The run that was measured.\nprony_info{", out);
    label_say(out, "version", prony_json_string(json_object_get(report->root, "tool"), "version"), true);
    label_say(out, "suite", prony_json_string(json_object_get(report->root, "plan"), "suite"), false);
    label_say(out, "started", prony_json_string(json_object_get(report->root, "context"), "started"), false);
    (void)fputs("} 1\n", out);
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        const struct family *family = &families[f];
        (void)fprintf(out, "# TYPE %s gauge\n", family->name);
        if (family->unit[0] != '\0')
            (void)fprintf(out, "# UNIT %s %s\n", family->name, family->unit);
        (void)fprintf(out, "# HELP %s %s\n", family->name, family->help);
        for (unsigned i = 0; i < view.count; i++) {
            const struct prony_view_cell *cell = &view.cell[i];
            double value = family->of != NULL
                               ? family->of(cell)
                               : *(const double *)(const void *)((const char *)cell + family->at) * family->scale;
            if (!isfinite(value))
                continue;
            (void)fputs(family->name, out);
            labels_say(out, cell);
            (void)fprintf(out, " %.10g\n", value);
        }
    }
    (void)fputs("# EOF\n", out);
    prony_view_free(&view);
    return ferror(out) ? -EIO : 0;
}
