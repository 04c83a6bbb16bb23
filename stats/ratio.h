/* The ratio of two medians that were measured apart. */
#ifndef PRONY_STATS_RATIO_H
#define PRONY_STATS_RATIO_H

#include "stats/stats.h"

/* An interval for median(b) / median(a) from two independent samples of positive values, distribution-free: the two
 * order-statistic intervals [a(k), a(m+1-k)] and [b(l), b(n+1-l)] hold both medians with the product of their coverages,
 * and then the ratio lies in [b(l) / a(m+1-k), b(n+1-l) / a(k)]. Ranks depend on the sizes alone: beginning at 1, the one
 * whose interval covers more is raised, as long as the product stays at least `confidence`. NaN when the samples are too
 * small (7 and 7, or 6 and 8, are the least at 95%). Wider than an interval for pairs, and it assumes no common shape of
 * the two distributions. David and Nagaraja, Order Statistics (2003), 7.1, for the two; their product by independence. */
struct prony_interval prony_ratio_interval(const double *a, size_t m, const double *b, size_t n, double confidence);

#endif
