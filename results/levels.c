/* Where a cell's spread lies (launches, visits, samples), and its figures with and without the marked visits. */
#include "results/model.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>

/* Relative spread of values: their median absolute deviation in percent of the median. NaN for fewer than two. */
static double spread(const double *values, size_t n)
{
    return n < 2 ? NAN : prony_mad(values, n) / prony_median(values, n) * 100;
}

/* The visits of one launch, which follow one another, as a cell of their own. Returns the index after them. */
static unsigned one_launch(const struct prony_cell *cell, unsigned from, struct prony_cell *part)
{
    unsigned to = from;
    while (to < cell->visits_count && cell->visits[to].launch == cell->visits[from].launch)
        to++;
    *part = *cell;
    part->visits = cell->visits + from;
    part->visits_count = to - from;
    return to;
}

/* Between launches: of their medians. Between visits: within each launch, the median over launches. */
static void outer_levels(const struct prony_cell *cell, bool clean, double *launch, double *visit, double *scratch)
{
    double *medians = scratch, *spreads = medians + cell->visits_count, *visits = spreads + cell->visits_count;
    size_t launches = 0, told = 0;
    for (unsigned from = 0; from < cell->visits_count;) {
        struct prony_cell part;
        size_t n;
        from = one_launch(cell, from, &part);
        n = prony_cell_medians(&part, clean, visits, part.visits_count);
        if (n > 0)
            medians[launches++] = prony_median(visits, n);
        if (n > 1)
            spreads[told++] = spread(visits, n);
    }
    *launch = spread(medians, launches);
    *visit = prony_median(spreads, told);
}

/* Between samples: within each visit, the median over visits. NaN also when there is no memory for it. */
static double sample_level(const struct prony_cell *cell, bool clean, double *spreads)
{
    size_t told = 0, longest = 1;
    double *samples;
    for (unsigned i = 0; i < cell->visits_count; i++)
        longest = cell->visits[i].samples > longest ? cell->visits[i].samples : longest;
    samples = malloc(longest * sizeof *samples);
    for (unsigned i = 0; samples != NULL && i < cell->visits_count; i++) {
        const struct prony_visit *visit = &cell->visits[i];
        if (visit->samples < 2 || (clean && visit->disturbed.marked))
            continue;
        for (unsigned j = 0; j < visit->samples; j++)
            samples[j] = (double)visit->samples_ns[j];
        spreads[told++] = spread(samples, visit->samples);
    }
    free(samples);
    return prony_median(spreads, told);
}

json_t *prony_levels_json(const struct prony_cell *cell, bool clean)
{
    double *scratch = calloc(3u * cell->visits_count + 1u, sizeof *scratch), launch = NAN, visit = NAN, sample = NAN;
    if (scratch == NULL)
        return NULL;
    if (cell->outcome != PRONY_FAILED) {
        outer_levels(cell, clean, &launch, &visit, scratch);
        sample = sample_level(cell, clean, scratch);
    }
    free(scratch);
    return json_pack("{s:o, s:o, s:o}", "launch", prony_json_real(launch), "visit", prony_json_real(visit), "sample",
                     prony_json_real(sample));
}

static json_t *summary_json(const struct prony_cell *cell, bool clean)
{
    double *units = malloc((cell->visits_count + 1u) * sizeof *units);
    struct prony_interval ci;
    size_t n = 0, visits = 0;
    bool launches = false;
    json_t *made;
    if (units == NULL)
        return NULL;
    if (cell->outcome != PRONY_FAILED) {
        visits = prony_cell_medians(cell, clean, units, cell->visits_count);
        n = prony_cell_units(cell, clean, units, cell->visits_count, &launches);
    }
    ci = prony_median_interval(units, n, PRONY_CONFIDENCE);
    made =
        json_pack("{s:I, s:s, s:o, s:o}", "visits", (json_int_t)visits, "interval_of", launches ? "launches" : "visits",
                  "median", prony_json_real(prony_median(units, n)), "ci95", prony_json_pair(ci.low, ci.high));
    free(units);
    return made;
}

json_t *prony_summaries_json(const struct prony_cell *cell)
{
    return json_pack("{s:o, s:o}", "all", summary_json(cell, false), "clean", summary_json(cell, true));
}
