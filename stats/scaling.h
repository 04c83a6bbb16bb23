/* Laws of scaling, fitted to rates X over numbers of workers N by nonlinear least squares on logarithms (an error of ten
 * per cent weighs the same everywhere). lambda is the rate of one worker under the law:
 *
 *   Amdahl      X(N) = lambda N / (1 + s (N-1))               the problem's size is fixed; s is the serial share
 *   Gustafson   X(N) = lambda (N - s (N-1))                   the problem grows with N; s is the serial share
 *   USL         X(N) = lambda N / (1 + s (N-1) + k N (N-1))   s contention, k coherency
 *
 * G. Amdahl, AFIPS 1967; J. Gustafson, CACM 31 (1988); N. Gunther, Guerrilla Capacity Planning (2007). s lies in [0, 1],
 * k is not negative: what scales better than linearly is fitted with 0, and shows in the misfit. */
#ifndef PRONY_STATS_SCALING_H
#define PRONY_STATS_SCALING_H

#include "stats/stats.h"

enum prony_law { PRONY_AMDAHL, PRONY_GUSTAFSON, PRONY_USL };
enum { PRONY_LAWS = 3 };
/* "amdahl", "gustafson", "usl". */
const char *prony_law_name(enum prony_law law);
/* Different numbers of workers that a fit needs: one more than it has parameters. */
size_t prony_law_least(enum prony_law law);

struct prony_scaling_point {
    double workers;
    const double *rates; /* borrowed: one a visit, positive */
    size_t visits;
};

struct prony_estimate {
    double value, low, high; /* low to high: the middle 95% of the bootstrap; NaN: none */
};

struct prony_scaling {
    enum prony_law law;
    struct prony_estimate lambda, serial, coherency; /* coherency: of the USL only, else NaN */
    struct prony_estimate peak; /* number of workers with the greatest rate, sqrt((1-s)/k); INFINITY: no peak */
    double misfit;              /* root mean square of ln(rate / law) over the points */
};

/* Fits the law to the medians of the points, and again to `resamples` draws of each point's visits with replacement, for
 * the intervals (percentile bootstrap; Efron and Tibshirani 1993, 13). Points have different numbers of workers.
 * -ERANGE: fewer points than prony_law_least; -EINVAL: a rate that is not positive, or a point without one, two points with the same workers;
 * -EDOM: no fit was found; -ENOMEM. */
int prony_scaling_fit(enum prony_law law, const struct prony_scaling_point *points, size_t n, unsigned resamples,
                      uint64_t seed, struct prony_scaling *fit);
/* What the law says for so many workers. */
double prony_scaling_rate(const struct prony_scaling *fit, double workers);

#endif
