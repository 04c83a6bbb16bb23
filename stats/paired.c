/* Paired comparisons: sign test, Holm's procedure, verdicts against a margin. */
#include "stats/paired.h"

#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *prony_verdict_name(enum prony_verdict verdict)
{
    static const char *const names[] = {
        [PRONY_INCONCLUSIVE] = "inconclusive",
        [PRONY_EQUIVALENT] = "equivalent",
        [PRONY_IMPROVED] = "improved",
        [PRONY_REGRESSED] = "regressed",
    };
    return names[verdict];
}

size_t prony_pairs_least(size_t m, double alpha)
{
    size_t n = 1;
    for (double p = 1; p > alpha / (double)m && n < PRONY_PAIRS_MOST; p /= 2) /* 2 / 2^n is the least p of n pairs */
        n++;
    return n;
}

/* The chance of at most `few` heads in n throws of a fair coin, doubled for the other side. */
static double two_sided(size_t few, size_t n)
{
    return fmin(1, 2 * gsl_cdf_binomial_P((unsigned)few, 0.5, (unsigned)n));
}

double prony_sign_test(size_t above, size_t below)
{
    return two_sided(above < below ? above : below, above + below);
}

int prony_holm(const double *p, size_t m, double *adjusted)
{
    size_t *order = calloc(m == 0 ? 1 : m, sizeof *order);
    double most = 0;
    if (order == NULL)
        return -ENOMEM;
    gsl_sort_index(order, p, 1, m);
    for (size_t i = 0; i < m; i++) {
        most = fmax(most, fmin(1, (double)(m - i) * p[order[i]]));
        adjusted[order[i]] = most;
    }
    free(order);
    return 0;
}

/* Where the interval lies. Beyond the zone means beyond: an end that lies on its border is within. */
static enum prony_verdict place(double low, double high, double zone)
{
    if (low > zone)
        return PRONY_REGRESSED;
    if (high < -zone)
        return PRONY_IMPROVED;
    return low >= -zone && high <= zone ? PRONY_EQUIVALENT : PRONY_INCONCLUSIVE; /* inconclusive for NaN */
}

/* The x(position) that would be found among more values like these: position counts from 1 and may lie between. */
static double between(const double *sorted, size_t n, double position)
{
    double at = fmin(fmax(position - 1, 0), (double)(n - 1));
    size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

/* The least number of pairs whose interval would decide, if more pairs were spread like these: their x(k) is taken to be
 * where the k/(n+1) quantile of these lies. */
static size_t decisive(const double *sorted, size_t n, double level, double zone)
{
    for (size_t pairs = n + 1; pairs <= PRONY_PAIRS_MOST; pairs += 1 + pairs / 64) {
        double k = (double)prony_median_rank(pairs, 1 - level), scale = (double)(n + 1) / (double)(pairs + 1);
        if (k > 0 && place(between(sorted, n, k * scale), between(sorted, n, ((double)pairs + 1 - k) * scale), zone) !=
                         PRONY_INCONCLUSIVE)
            return pairs;
    }
    return 0;
}

static bool is_sound(const struct prony_comparison *family, size_t m, double alpha)
{
    if (m == 0 || !(alpha > 0 && alpha < 1))
        return false;
    for (size_t i = 0; i < m; i++) {
        if (!(family[i].margin >= 0 && family[i].margin < INFINITY) || family[i].pairs > UINT_MAX)
            return false;
        for (size_t j = 0; j < family[i].pairs; j++)
            if (!isfinite(family[i].d[j]))
                return false;
    }
    return true;
}

static void count(struct prony_comparison *comparison)
{
    double zone = log1p(comparison->margin);
    size_t above = 0, below = 0, over = 0, under = 0;
    for (size_t i = 0; i < comparison->pairs; i++) {
        double d = comparison->d[i];
        above += d > 0;
        below += d < 0;
        over += d > zone;
        under += d < -zone;
    }
    comparison->median = prony_median(comparison->d, comparison->pairs);
    comparison->p_sign = prony_sign_test(above, below);
    comparison->p = fmin(two_sided(comparison->pairs - over, comparison->pairs),
                         two_sided(comparison->pairs - under, comparison->pairs));
}

static int decide(struct prony_comparison *comparison)
{
    double zone = log1p(comparison->margin), *sorted;
    comparison->interval = prony_median_interval(comparison->d, comparison->pairs, 1 - comparison->level);
    comparison->verdict = place(comparison->interval.low, comparison->interval.high, zone);
    comparison->decisive_pairs = 0;
    if (comparison->verdict != PRONY_INCONCLUSIVE || comparison->pairs == 0)
        return 0;
    sorted = malloc(comparison->pairs * sizeof *sorted);
    if (sorted == NULL)
        return -ENOMEM;
    memcpy(sorted, comparison->d, comparison->pairs * sizeof *sorted);
    gsl_sort(sorted, 1, comparison->pairs);
    comparison->decisive_pairs = decisive(sorted, comparison->pairs, comparison->level, zone);
    free(sorted);
    return 0;
}

/* Holm goes from the smallest p upwards, with alpha / m, alpha / (m-1), ..., and stops at the first that is too large.
 * What is left is told at the level at which he stopped, where none of it is beyond its margin. */
int prony_compare_judge(struct prony_comparison *family, size_t m, double alpha)
{
    double *p, *adjusted;
    size_t *order, rejected = 0;
    int code = 0;
    if (!is_sound(family, m, alpha))
        return -EINVAL;
    p = calloc(2 * m, sizeof *p);
    order = calloc(m, sizeof *order);
    if (p == NULL || order == NULL) {
        code = -ENOMEM;
        goto out;
    }
    adjusted = p + m;
    for (size_t i = 0; i < m; i++) {
        count(&family[i]);
        p[i] = family[i].p;
    }
    code = prony_holm(p, m, adjusted);
    gsl_sort_index(order, p, 1, m);
    for (size_t i = 0; i < m && code == 0; i++) {
        struct prony_comparison *comparison = &family[order[i]];
        comparison->p_adjusted = adjusted[order[i]];
        comparison->level = alpha / (double)(m - rejected);
        if (rejected == i && comparison->p <= comparison->level)
            rejected++;
        code = decide(comparison);
    }
out:
    free(order);
    free(p);
    return code;
}
