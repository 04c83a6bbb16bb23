/* From rows of axes to the list of cells. */
#ifndef PRONY_MEASURE_PLAN_H
#define PRONY_MEASURE_PLAN_H

#include "measure/cell.h"

/* One row of a suite, or the command line: every list is an axis, the cells are their product. Lists are as typed:
 *   engines, workloads   names, "all", or tags "@core", "@peers"
 *   channels             names or "all"; empty: each workload's default
 *   workers              "1", "1..8", "1..max*2", "cores", "pus", "max" (= the default worker count)
 *   params               "[PLUGIN.]KEY=V[,V...]"
 * Empty lists take the defaults: engines @core, workers "1,max", place "compact". */
struct prony_row {
    struct prony_list engines, workloads, channels, workers, places, params;
    unsigned
        named; /* axes typed on the command line: there what is unavailable is an error, else a skip with its reason */
    bool oversubscribe; /* more workers than PUs are wanted */
};
enum {
    PRONY_NAMED_ENGINES = 1,
    PRONY_NAMED_WORKLOADS = 2,
    PRONY_NAMED_CHANNELS = 4,
    PRONY_NAMED_WORKERS = 8,
    PRONY_NAMED_PLACES = 16
};
void prony_row_free(struct prony_row *row);

/* Expands rows into run->cells (duplicates dropped, serial baselines added for shapes map and tasks, each cell's `need`
 * asked, placement resolved). `only` and `skip` are globs over ids (empty: all). Cells that cannot run here are kept
 * with outcome SKIPPED and the reason.
 * -EINVAL, -ENOENT, -ERANGE: a wrong name or value (usage); -ENOTSUP: named but unavailable; -ENOMEM. */
int prony_plan_expand(struct prony_run *run, const struct prony_row *rows, unsigned n, const struct prony_list *only,
                      const struct prony_list *skip, bool oversubscribe, struct prony_error *error);

/* The least time the plan can take, by what is known before it starts: hosts, visits, sample lengths. */
int64_t prony_plan_least_ns(const struct prony_run *run);

#endif
