/* Statistics of measurements: pure functions, no I/O. Times may be in any unit. Every interval is distribution-free.
 * NaN means "cannot be told from so little"; callers report it as null. */
#ifndef PRONY_STATS_STATS_H
#define PRONY_STATS_STATS_H

#include <prony/histogram.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prony_interval {
    double low, high; /* NaN when n is too small for the confidence */
    double coverage;  /* the exact coverage of the interval, at least what was asked */
};

/* The median of n values (mean of the middle two). NaN for n 0. Does not change `values`. */
double prony_median(const double *values, size_t n);
/* Quantile p of sorted values, Hyndman and Fan (1996) type 7. */
double prony_quantile_sorted(const double *sorted, size_t n, double p);
/* Median absolute deviation from the median (not scaled). */
double prony_mad(const double *values, size_t n);
/* Distribution-free interval of the median by order statistics (sign test): [x(k), x(n+1-k)] with the largest k for
 * which 1 - 2 BinCDF(k-1; n, 1/2) >= confidence. n < 6 has none at 95%. David and Nagaraja, Order Statistics
 * (2003), 7.1. */
struct prony_interval prony_median_interval(const double *values, size_t n, double confidence);
/* The stopping rule: is half the interval of the median narrower than a fraction of the median? The interval is of 98%,
 * because whoever looks after every value stops at those that are narrow by chance: with it, the 95% interval that is
 * told in the end still holds the median in at least 92 of 100. False for n < 7. */
bool prony_is_precise(const double *values, size_t n, double fraction);
/* The rank k of the interval of the median; 0: none. */
size_t prony_median_rank(size_t n, double confidence);

/* Percentile p in (0, 1) of a histogram: the middle of its bucket, within 0.8%; NaN unless count x (1 - p) >= 10,
 * and where it lies among the clipped values. */
double prony_histogram_percentile(const struct prony_histogram *histogram, double p);
void prony_histogram_add(struct prony_histogram *into, const struct prony_histogram *from);

/* A small fixed-state generator for seeded orders: SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t prony_random_next(uint64_t *state);
/* Uniform in [0, n), without modulo bias (Lemire 2019). n > 0. */
uint64_t prony_random_below(uint64_t *state, uint64_t n);
/* Order of 0 .. n-1 as a pure function of (seed, block): Fisher and Yates. */
void prony_shuffle(unsigned *order, unsigned n, uint64_t seed, uint64_t block);

#endif
