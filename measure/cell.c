/* The model of a run: names, freeing, and the medians of a cell's visits. */
#include "measure/cell.h"

#include <stdlib.h>
#include <string.h>

const struct prony_option prony_cell_options[] = {
    {"chunk", PRONY_INT, "0", 0, 1e12, NULL, "items a worker takes at once from a map; 0: the engine's choice"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

const char *prony_outcome_name(enum prony_outcome outcome)
{
    static const char *const names[] = {[PRONY_PENDING] = "pending",
                                        [PRONY_OK] = "ok",
                                        [PRONY_FAILED] = "failed",
                                        [PRONY_SKIPPED] = "skipped",
                                        [PRONY_INTERRUPTED] = "interrupted"};
    return outcome <= PRONY_INTERRUPTED ? names[outcome] : "unknown";
}

void prony_cell_free(struct prony_cell *cell)
{
    free(cell->id);
    prony_placement_free(&cell->placement);
    prony_params_free(&cell->engine_params);
    prony_params_free(&cell->workload_params);
    prony_params_free(&cell->channel_params);
    prony_params_free(&cell->own_params);
    for (unsigned i = 0; i < cell->visits_count; i++)
        free(cell->visits[i].samples_ns);
    free(cell->visits);
    for (unsigned i = 0; cell->who != NULL && i < cell->workers; i++)
        free(cell->who[i].values);
    free(cell->who);
    free(cell->latency);
    free(cell->profile.who);
    free(cell->profile.stem);
    memset(cell, 0, sizeof *cell);
}

void prony_run_free(struct prony_run *run)
{
    for (unsigned i = 0; i < run->count; i++)
        prony_cell_free(&run->cells[i]);
    free(run->cells);
    free(run->suite);
    free(run->name);
    prony_list_free(&run->method.events);
    prony_list_free(&run->notes);
    memset(run, 0, sizeof *run);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Median of one visit's samples; a visit holds few. 0 without memory, which no sample can be. */
static double visit_median(const struct prony_visit *visit)
{
    uint64_t *sorted = malloc(visit->samples * sizeof *sorted);
    double median;
    unsigned n = visit->samples;
    if (sorted == NULL)
        return 0;
    memcpy(sorted, visit->samples_ns, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    median = n % 2 == 1 ? (double)sorted[n / 2] : ((double)sorted[n / 2 - 1] + (double)sorted[n / 2]) / 2;
    free(sorted);
    return median;
}

size_t prony_cell_medians(const struct prony_cell *cell, bool clean, double *ns, size_t room)
{
    double repeats = cell->repeats > 0 ? (double)cell->repeats : 1;
    size_t n = 0;
    for (unsigned i = 0; i < cell->visits_count && n < room; i++) {
        const struct prony_visit *visit = &cell->visits[i];
        double median;
        if (visit->samples == 0 || (clean && visit->disturbed.marked))
            continue;
        median = visit_median(visit);
        if (median > 0)
            ns[n++] = median / repeats;
    }
    return n;
}
