/* A report from a run: tool, context, plan, cells with their figures. */
#include "results/roofline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *strings(const struct prony_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        (void)json_array_append_new(array, prony_json_text(list->item[i]));
    return array;
}

/* Events by the sets that took turns. */
static json_t *sets_json(const struct prony_method *method)
{
    json_t *sets = json_array();
    for (unsigned set = 0; set < method->event_sets && method->events.count > 0; set++) {
        json_t *names = json_array();
        for (size_t i = 0; i < method->events.count; i++)
            if (method->event_set[i] == set)
                (void)json_array_append_new(names, prony_json_text(method->events.item[i]));
        (void)json_array_append_new(sets, names);
    }
    return sets;
}

static json_t *plan_json(const struct prony_run *run)
{
    const struct prony_method *method = &run->method;
    char seed[24];
    json_t *counters, *plan;
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)method->seed);
    counters = json_pack(
        "{s:s, s:o, s:o, s:o}", "provider", method->provider != NULL ? method->provider->head.name : "none", "why",
        prony_json_text(method->provider_why), "events", strings(&method->events), "sets", sets_json(method));
    plan =
        json_pack("{s:o, s:o, s:s, s:i, s:i, s:i, s:f, s:I, s:I, s:o, s:o, s:s}", "suite", prony_json_text(run->suite),
                  "name", prony_json_text(run->name), "seed", seed, "visits", (int)method->visits, "samples",
                  (int)method->samples, "launches", (int)method->launches, "precision_percent", method->precision,
                  "budget_ns", (json_int_t)method->budget_ns, "timeout_ns", (json_int_t)method->timeout_ns, "counters",
                  counters, "notes", strings(&run->notes), "size", method->weak ? "weak" : "strong");
    if (plan == NULL)
        return NULL;
    (void)json_object_update_new(plan,
                                 json_pack("{s:i, s:o, s:i, s:b, s:o, s:o}", "cells", (int)run->count, "wall_ns",
                                           prony_json_count(run->wall_ns), "blocks", (int)run->blocks, "interrupted",
                                           run->interrupted, "clock_ns", prony_json_real(run->clock_ns),
                                           "bookkeeping_ns", prony_json_real(run->bookkeeping_ns)));
    return plan;
}

static json_t *cells_json(const struct prony_run *run)
{
    json_t *cells = json_array();
    for (unsigned i = 0; i < run->count; i++)
        if (json_array_append_new(cells, prony_cell_json(run, &run->cells[i])) != 0) {
            json_decref(cells);
            return NULL;
        }
    if (cells != NULL && prony_stats_add(run, cells) != 0) {
        json_decref(cells);
        return NULL;
    }
    return cells;
}

int prony_report_lies_in(struct prony_report *report, const char *folder, struct prony_error *error)
{
    char *copy = strdup(folder);
    if (copy == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a path");
    free(report->folder);
    report->folder = copy;
    return 0;
}

int prony_report_from_run(const struct prony_run *run, int argc, char **argv, bool redact, struct prony_report **report,
                          struct prony_error *error)
{
    struct prony_report *made = calloc(1, sizeof *made);
    int code = -ENOMEM;
    if (made == NULL)
        goto out;
    made->root = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "schema", PRONY_REPORT_SCHEMA, "tool", prony_tool_json(),
                           "context", prony_context_json(run, argc, argv), "plan", plan_json(run), "cells",
                           cells_json(run), "scaling", prony_scaling_json(run));
    if (made->root == NULL ||
        json_object_set_new(made->root, "roofline", prony_roofline_add(run, json_object_get(made->root, "cells"))) != 0)
        goto out;
    if (run->topology != NULL && (code = prony_topology_xml(run->topology, &made->xml, error)) != 0)
        goto failed;
    code = redact ? prony_context_redact(made) : 0;
out:
    if (code == 0) {
        *report = made;
        return 0;
    }
    (void)prony_fail(error, code, "no memory for the report of %u cells", run->count);
failed:
    prony_report_free(made);
    return code;
}

void prony_report_free(struct prony_report *report)
{
    if (report == NULL)
        return;
    json_decref(report->root);
    free(report->xml);
    free(report->folder);
    free(report);
}

void prony_report_count(const struct prony_report *report, struct prony_report_counts *counts)
{
    size_t i;
    json_t *cell;
    memset(counts, 0, sizeof *counts);
    json_array_foreach(json_object_get(report->root, "cells"), i, cell)
    {
        const char *status = prony_json_string(cell, "status");
        if (strcmp(status, "ok") == 0)
            counts->ok++;
        else if (strcmp(status, "failed") == 0)
            counts->failed++;
        else if (strcmp(status, "skipped") == 0)
            counts->skipped++;
        else
            counts->interrupted++;
    }
}
