/* Percentiles and sums of histograms. */
#include "stats/stats.h"

#include <math.h>

#define TAIL 10.0  /* so many values must lie beyond a percentile before it is told */
#define SLACK 1e-9 /* 1 - 0.9 is a little less than a tenth */

double prony_histogram_percentile(const struct prony_histogram *histogram, double p)
{
    double count = (double)histogram->count, middle;
    uint64_t rank, seen = 0;
    if (!(p > 0 && p < 1) || count * (1 - p) < TAIL - SLACK * count)
        return NAN;
    rank = (uint64_t)ceil(count * (p - SLACK));
    if (rank < 1)
        rank = 1;
    if (rank > histogram->count - histogram->clipped)
        return NAN;
    for (unsigned i = 0; i < PRONY_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen < rank)
            continue;
        middle = 0.5 * (double)(prony_histogram_low(i) + prony_histogram_low(i + 1) - 1);
        return fmin(fmax(middle, (double)histogram->min_ns), (double)histogram->max_ns);
    }
    return NAN; /* the histogram's count is not the sum of its buckets */
}

void prony_histogram_add(struct prony_histogram *into, const struct prony_histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min_ns < into->min_ns)
        into->min_ns = from->min_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
    into->count += from->count;
    into->clipped += from->clipped;
    for (unsigned i = 0; i < PRONY_HISTOGRAM_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}
