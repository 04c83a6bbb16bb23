/* The verdict on paired comparisons. A pair is two adjacent launches, base and head; d = ln head - ln base, larger is
 * worse (callers negate d where larger is better). All is exact and distribution-free: the sign test and its interval.
 * A margin is a fraction (0.01: one per cent) and symmetric in logs: the zone is [-ln(1 + margin), ln(1 + margin)]. */
#ifndef PRONY_STATS_PAIRED_H
#define PRONY_STATS_PAIRED_H

#include "stats/stats.h"

enum prony_verdict { PRONY_INCONCLUSIVE, PRONY_EQUIVALENT, PRONY_IMPROVED, PRONY_REGRESSED };
/* "inconclusive", "equivalent", "improved", "regressed". */
const char *prony_verdict_name(enum prony_verdict verdict);

/* One comparison among those that are judged together. */
struct prony_comparison {
    const double *d; /* borrowed; finite */
    size_t pairs;
    double margin;

    enum prony_verdict verdict;     /* from here on: filled in by prony_compare_judge */
    double median;                  /* of d; the change in per cent is 100 (exp(median) - 1) */
    double level;                   /* the alpha that Holm's procedure left to this comparison */
    struct prony_interval interval; /* of the median of d at 1 - level; NaN when pairs < prony_pairs_least(1, level) */
    double p_sign;                  /* sign test of "the median is 0", two-sided, zeros dropped; informs only */
    double p;                       /* of "the median is within the margin", two-sided */
    double p_adjusted;              /* by Holm; <= alpha if and only if regressed or improved */
    size_t decisive_pairs; /* inconclusive: about so many pairs would decide; 0: not even PRONY_PAIRS_MOST would */
};
enum { PRONY_PAIRS_MOST = 4096 };

/* Judges m comparisons together: the chance of calling any of them regressed or improved wrongly is at most alpha (Holm
 * 1979). Verdict and interval always agree: regressed is an interval wholly above the zone, improved wholly below,
 * equivalent wholly within, inconclusive all others. 0; -EINVAL for a d that is not finite, m 0, alpha not in (0, 1) or
 * a negative margin; -ENOMEM. */
int prony_compare_judge(struct prony_comparison *family, size_t m, double alpha);

/* The least pairs with which any of m comparisons can be decided: n >= 1 + log2(m / alpha). */
size_t prony_pairs_least(size_t m, double alpha);
/* Two-sided p-value of the sign test; callers drop ties. 1 for 0 and 0. Conover, Practical Nonparametric Statistics
 * (1999), 3.4. */
double prony_sign_test(size_t above, size_t below);
/* Holm's step-down: adjusted[i] belongs to p[i]. Holm, A simple sequentially rejective multiple test procedure, Scand.
 * J. Statist. 6 (1979). -ENOMEM. */
int prony_holm(const double *p, size_t m, double *adjusted);

#endif
