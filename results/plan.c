/* The JSON of `prony run --dry-run --json`: what would be measured, and where. */
#include "results/report.h"

#include <errno.h>
#include <jansson.h>

static json_t *params_json(const struct prony_cell *cell)
{
    const struct prony_params *tables[] = {&cell->workload_params, &cell->engine_params, &cell->channel_params,
                                           &cell->own_params};
    const char *owners[] = {"workload", "engine", "channel", "cell"};
    json_t *all = json_object();
    for (unsigned t = 0; t < 4; t++) {
        json_t *table = json_object();
        for (unsigned i = 0; i < tables[t]->count; i++)
            (void)json_object_set_new(table, tables[t]->values[i].option->name, json_string(tables[t]->values[i].text));
        (void)json_object_set_new(all, owners[t], table);
    }
    return all;
}

static json_t *cell_json(const struct prony_cell *cell)
{
    json_t *pus = json_array();
    for (unsigned i = 0; cell->placement.pus != NULL && i < cell->placement.workers; i++)
        (void)json_array_append_new(pus,
                                    cell->placement.pus[i] < 0 ? json_null() : json_integer(cell->placement.pus[i]));
    return json_pack("{s:s, s:s, s:s, s:s?, s:I, s:{s:s, s:o, s:b}, s:o, s:b, s:s, s:s?}", "id", cell->id, "engine",
                     cell->engine->head.name, "workload", cell->workload->head.name, "channel",
                     cell->channel == NULL ? NULL : cell->channel->head.name, "workers", (json_int_t)cell->workers,
                     "placement", "policy", cell->placement.policy, "pus", pus, "oversubscribed",
                     cell->placement.oversubscribed, "params", params_json(cell), "baseline", cell->baseline, "status",
                     prony_outcome_name(cell->outcome), "reason",
                     cell->outcome == PRONY_SKIPPED ? cell->reason.text : NULL);
}

int prony_plan_json(const struct prony_run *run, FILE *out)
{
    const struct prony_method *method = &run->method;
    json_t *cells = json_array(), *notes = json_array(), *plan;
    int code;
    for (unsigned i = 0; i < run->count; i++)
        (void)json_array_append_new(cells, cell_json(&run->cells[i]));
    for (size_t i = 0; i < run->notes.count; i++)
        (void)json_array_append_new(notes, json_string(run->notes.item[i]));
    plan = json_pack("{s:s, s:{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:s}, s:I, s:o, s:o}", "suite", run->suite, "method",
                     "visits", (json_int_t)method->visits, "samples", (json_int_t)method->samples, "launches",
                     (json_int_t)method->launches, "precision", method->precision, "budget_ns",
                     (json_int_t)method->budget_ns, "timeout_ns", (json_int_t)method->timeout_ns, "seed",
                     (json_int_t)method->seed, "size", method->weak ? "weak" : "strong", "least_ns",
                     (json_int_t)prony_plan_least_ns(run), "cells", cells, "notes", notes);
    code = plan != NULL && json_dumpf(plan, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF ? 0 : -EIO;
    json_decref(plan);
    return code;
}
