/* One report: who was fastest at each workload, in groups whose members this run cannot tell apart. */
#include "results/judge/judge.h"
#include "results/view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *racer_json(const struct prony_view_cell *racer)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o}", "series", prony_json_text(racer->series), "id",
                     prony_json_text(racer->id), "engine", prony_json_text(racer->engine), "channel",
                     prony_json_text(json_string_value(json_object_get(racer->json, "channel"))), "workers",
                     (int)racer->workers, "rate", prony_json_real(racer->rate.value), "rate_ci95",
                     prony_json_pair(racer->rate.low, racer->rate.high), "median",
                     prony_json_real(racer->time_ns.value));
}

/* The fastest and those like it, then the fastest of the rest and those like it, and so on. */
static json_t *groups_json(const struct prony_view_cell **racers, unsigned n)
{
    json_t *groups = json_array();
    for (unsigned first = 0; first < n;) {
        unsigned tied = prony_view_tied(racers + first, n - first);
        json_t *group = json_array();
        for (unsigned i = 0; i < tied; i++)
            (void)json_array_append_new(group, racer_json(racers[first + i]));
        (void)json_array_append_new(groups, group);
        first += tied;
    }
    return groups;
}

static int workload_add(const struct prony_view *view, const struct prony_view_group *group, json_t *workloads)
{
    const struct prony_view_cell **racers = malloc((group->count + 1u) * sizeof *racers);
    unsigned n = racers == NULL ? 0 : prony_view_race(view, group, racers, group->count);
    char verdict[512];
    int bad = racers == NULL ? -ENOMEM : 0;
    if (n > 0)
        bad = json_array_append_new(workloads,
                                    json_pack("{s:o, s:o, s:o, s:o}", "workload", prony_json_text(group->label), "unit",
                                              prony_json_text(group->unit), "verdict",
                                              prony_json_text(prony_view_verdict(view, group, verdict, sizeof verdict)),
                                              "groups", groups_json(racers, n)));
    free(racers);
    return bad;
}

int prony_rank(const struct prony_report *report, const char *name, struct prony_comparison **comparison,
               struct prony_error *error)
{
    struct prony_comparison *made = calloc(1, sizeof *made);
    json_t *workloads = json_array();
    struct prony_view view;
    int code = made == NULL || workloads == NULL ? -ENOMEM : prony_view_make(report, &view);
    if (code == 0) {
        for (unsigned g = 0; g < view.groups && code == 0; g++)
            code = workload_add(&view, &view.group[g], workloads) != 0 ? -ENOMEM : 0;
        prony_view_free(&view);
    }
    if (code == 0 && json_array_size(workloads) == 0)
        code = prony_fail(error, -ENODATA, "%s: nothing was measured, so nothing can be ranked", name);
    if (code == 0 && (made->root = json_pack("{s:s, s:o, s:O}", "schema", PRONY_RANK_SCHEMA, "file",
                                             prony_json_text(name), "workloads", workloads)) == NULL)
        code = -ENOMEM;
    json_decref(workloads);
    if (code == 0) {
        *comparison = made;
        return 0;
    }
    prony_comparison_free(made);
    return code == -ENODATA ? code : prony_fail(error, code, "no memory to rank %s", name);
}
