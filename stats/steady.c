/* Changepoints and the course of a series. */
#include "stats/steady.h"
#include "stats/stats.h"

#include <math.h>

enum { HICCUP = 3 };
/* Penalty of a changepoint in units of ln n. BIC has 2; times are neither normal nor independent, and want more. */
static const double penalty = 6;

struct level {
    size_t from, to;
    double mean;
};

const char *prony_course_name(enum prony_course course)
{
    static const char *const names[] = {
        [PRONY_COURSE_UNKNOWN] = "too few",          [PRONY_COURSE_FLAT] = "flat",
        [PRONY_COURSE_WARMED] = "warm-up then flat", [PRONY_COURSE_SLOWING] = "slowing",
        [PRONY_COURSE_NEVER] = "never steady",
    };
    return names[course];
}

bool prony_course_is_steady(enum prony_course course)
{
    return course == PRONY_COURSE_FLAT || course == PRONY_COURSE_WARMED || course == PRONY_COURSE_SLOWING;
}

static double middle(double a, double b, double c)
{
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* The noise of a series whose level may change: steps between neighbours see it and hardly see the changes. The median
 * of |normal step| is 0.954 sigma. */
static double noise(const double *logs, size_t n)
{
    double steps[PRONY_STEADY_MOST];
    for (size_t i = 0; i + 1 < n; i++)
        steps[i] = fabs(logs[i + 1] - logs[i]);
    return prony_median(steps, n - 1) / 0.954;
}

/* PELT. cut[t]: the last changepoint before t in the best partition of the first t values. */
static void partition(const double *values, size_t n, double sigma, size_t *cut)
{
    double sum[PRONY_STEADY_MOST + 1] = {0}, square[PRONY_STEADY_MOST + 1] = {0}, best[PRONY_STEADY_MOST + 1];
    double cost[PRONY_STEADY_MOST + 1], beta = penalty * log(fmax(32, (double)n));
    size_t candidates[PRONY_STEADY_MOST + 1] = {0}, count = 1;
    best[0] = -beta;
    for (size_t t = 1; t <= n; t++) {
        size_t kept = 0;
        sum[t] = sum[t - 1] + values[t - 1];
        square[t] = square[t - 1] + values[t - 1] * values[t - 1];
        best[t] = INFINITY;
        for (size_t i = 0; i < count; i++) {
            size_t s = candidates[i];
            double total = sum[t] - sum[s], spread = square[t] - square[s] - total * total / (double)(t - s);
            cost[i] = best[s] + fmax(0, spread) / (sigma * sigma);
            if (cost[i] + beta < best[t]) {
                best[t] = cost[i] + beta;
                cut[t] = s;
            }
        }
        for (size_t i = 0; i < count; i++) /* one that is behind by a whole penalty never comes first again */
            if (cost[i] <= best[t])
                candidates[kept++] = candidates[i];
        candidates[kept++] = t;
        count = kept;
    }
}

/* The levels from first to last; returns how many. */
static size_t levels_of(const double *values, size_t n, const size_t *cut, struct level *levels)
{
    size_t count = 0;
    for (size_t t = n; t > 0; t = cut[t])
        count++;
    for (size_t t = n, i = count; t > 0; t = cut[t]) {
        struct level *level = &levels[--i];
        *level = (struct level){cut[t], t, 0};
        for (size_t j = cut[t]; j < t; j++)
            level->mean += values[j] / (double)(t - cut[t]);
    }
    return count;
}

/* The last level reaches back over its equals and over hiccups between them. */
static void classify(const struct level *levels, size_t count, size_t n, double near, struct prony_steady *steady)
{
    const struct level *last = &levels[count - 1];
    bool slower = false, faster = false;
    steady->from = last->from;
    for (size_t i = count - 1; i-- > 0;) {
        const struct level *level = &levels[i];
        bool equal = fabs(level->mean - last->mean) <= near, brief = level->to - level->from < HICCUP && i > 0;
        if (equal && !slower && !faster)
            steady->from = level->from;
        slower |= !equal && !brief && level->mean > last->mean;
        faster |= !equal && !brief && level->mean < last->mean;
    }
    steady->course = faster ? PRONY_COURSE_SLOWING : slower ? PRONY_COURSE_WARMED : PRONY_COURSE_FLAT;
    if (n - steady->from < PRONY_STEADY_LEAST || 4 * (n - steady->from) < n) {
        steady->course = PRONY_COURSE_NEVER;
        steady->from = n;
    }
}

struct prony_steady prony_steady_find(const double *times, size_t n, double tolerance)
{
    double logs[PRONY_STEADY_MOST], calm[PRONY_STEADY_MOST], sigma;
    size_t cut[PRONY_STEADY_MOST + 1] = {0}, skipped = n > PRONY_STEADY_MOST ? n - PRONY_STEADY_MOST : 0;
    struct level levels[PRONY_STEADY_MOST];
    struct prony_steady steady = {PRONY_COURSE_UNKNOWN, n, 0};
    n -= skipped;
    if (n < PRONY_STEADY_LEAST)
        return steady;
    for (size_t i = 0; i < n; i++) {
        if (!(times[skipped + i] > 0))
            return steady;
        logs[i] = log(times[skipped + i]);
    }
    for (size_t i = 0; i < n; i++) /* the first is left as it is: a slow start is no hiccup */
        calm[i] = i == 0      ? logs[0]
                  : i + 1 < n ? middle(logs[i - 1], logs[i], logs[i + 1])
                              : middle(logs[i - 2], logs[i - 1], logs[i]);
    sigma = fmax(noise(logs, n), tolerance / 6);
    partition(calm, n, sigma, cut);
    steady.levels = levels_of(calm, n, cut, levels);
    classify(levels, steady.levels, n, log1p(tolerance), &steady);
    steady.from += skipped;
    return steady;
}
