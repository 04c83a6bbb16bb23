/* Order statistics: medians, quantiles, the sign-test interval. */
#include "stats/stats.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A copy of the values, with room for n more behind it when `spare`; NULL for none, or without memory. */
static double *copy(const double *values, size_t n, bool spare)
{
    double *own;
    if (n == 0 || n > SIZE_MAX / sizeof *own / 2)
        return NULL;
    own = malloc((spare ? 2 : 1) * n * sizeof *own);
    if (own != NULL)
        memcpy(own, values, n * sizeof *own);
    return own;
}

double prony_median(const double *values, size_t n)
{
    double *sorted = copy(values, n, false), median;
    if (sorted == NULL)
        return NAN;
    gsl_sort(sorted, 1, n);
    median = gsl_stats_median_from_sorted_data(sorted, 1, n);
    free(sorted);
    return median;
}

double prony_quantile_sorted(const double *sorted, size_t n, double p)
{
    if (n == 0 || !(p >= 0 && p <= 1))
        return NAN;
    return gsl_stats_quantile_from_sorted_data(sorted, 1, n, p);
}

double prony_mad(const double *values, size_t n)
{
    double *own = copy(values, n, true), mad;
    if (own == NULL)
        return NAN;
    mad = gsl_stats_mad0(own, 1, n, own + n);
    free(own);
    return mad;
}

/* How often [x(k), x(n+1-k)] holds the median: the chance that a fair coin shows heads k to n-k times in n throws. */
static double coverage(size_t n, size_t k)
{
    return 1 - 2 * gsl_cdf_binomial_P((unsigned)(k - 1), 0.5, (unsigned)n);
}

size_t prony_median_rank(size_t n, double confidence)
{
    size_t low = 0, high = n / 2;
    if (n > UINT_MAX)
        return 0;
    while (low < high) { /* coverage falls as k grows */
        size_t k = low + (high - low + 1) / 2;
        if (coverage(n, k) >= confidence)
            low = k;
        else
            high = k - 1;
    }
    return low;
}

struct prony_interval prony_median_interval(const double *values, size_t n, double confidence)
{
    struct prony_interval interval = {NAN, NAN, NAN};
    size_t k = prony_median_rank(n, confidence);
    double *sorted;
    if (k == 0)
        return interval;
    sorted = copy(values, n, false);
    if (sorted == NULL)
        return interval;
    gsl_sort(sorted, 1, n);
    interval.low = sorted[k - 1];
    interval.high = sorted[n - k];
    interval.coverage = coverage(n, k);
    free(sorted);
    return interval;
}

bool prony_is_precise(const double *values, size_t n, double fraction)
{
    struct prony_interval interval = prony_median_interval(values, n, 0.98);
    return (interval.high - interval.low) / 2 <= fraction * prony_median(values, n); /* false for NaN */
}
