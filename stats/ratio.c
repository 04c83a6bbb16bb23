/* The interval of a ratio of two medians, from two order-statistic intervals. */
#include "stats/ratio.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The chance that [x(k), x(n+1-k)] holds the median. */
static double coverage(size_t n, size_t k)
{
    return 2 * k > n ? 0 : 1 - 2 * gsl_cdf_binomial_P((unsigned)(k - 1), 0.5, (unsigned)n);
}

/* Raises both ranks, the looser interval's first, while the product allows it. False: even the widest cover too little. */
static bool ranks(size_t m, size_t n, double confidence, size_t *k, size_t *l)
{
    *k = *l = 1;
    if (coverage(m, 1) * coverage(n, 1) < confidence)
        return false;
    for (;;) {
        bool a_first = coverage(m, *k) >= coverage(n, *l);
        for (int turn = 0; turn < 2; turn++) {
            bool raise_a = (turn == 0) == a_first;
            size_t next_k = *k + raise_a, next_l = *l + !raise_a;
            if (coverage(m, next_k) * coverage(n, next_l) >= confidence) {
                *k = next_k;
                *l = next_l;
                break;
            }
            if (turn == 1)
                return true;
        }
    }
}

struct prony_interval prony_ratio_interval(const double *a, size_t m, const double *b, size_t n, double confidence)
{
    struct prony_interval interval = {NAN, NAN, NAN};
    size_t k, l;
    double *own;
    if (m == 0 || n == 0 || m > INT_MAX || n > INT_MAX || !ranks(m, n, confidence, &k, &l))
        return interval;
    own = malloc((m + n) * sizeof *own);
    if (own == NULL)
        return interval;
    memcpy(own, a, m * sizeof *own);
    memcpy(own + m, b, n * sizeof *own);
    gsl_sort(own, 1, m);
    gsl_sort(own + m, 1, n);
    interval.low = own[m + l - 1] / own[m - k];
    interval.high = own[m + n - l] / own[k - 1];
    interval.coverage = coverage(m, k) * coverage(n, l);
    free(own);
    return interval;
}
