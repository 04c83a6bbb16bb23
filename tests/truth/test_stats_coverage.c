/* Does the interval of the median hold what it promises? 10,000 seeded samples a distribution and size: the share of
 * intervals that hold the true median must be the exact coverage within four standard errors (at most 0.9%), and at
 * least 95% less the same. With ties (a clock that steps) it may only be higher. */
#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRIALS 10000

static double uniform(uint64_t *seed) /* in (0, 1) */
{
    return ((double)(prony_random_next(seed) >> 12) + 0.5) * 0x1p-52;
}

static double exponential(uint64_t *seed)
{
    return -log(uniform(seed));
}

static double normal(uint64_t *seed)
{
    double radius = sqrt(-2 * log(uniform(seed)));
    return radius * cos(2 * acos(-1) * uniform(seed));
}

static double lognormal(uint64_t *seed)
{
    return exp(2 * normal(seed));
}

static double cauchy(uint64_t *seed)
{
    return tan(acos(-1) * (uniform(seed) - 0.5));
}

/* Two states of a machine, equally often; the median lies in the empty middle. */
static double bimodal(uint64_t *seed)
{
    double side = uniform(seed) < 0.5 ? -3 : 3;
    return side + 0.5 * normal(seed);
}

/* A tenth is a hundred times slower: an outlier in every sample. The median is at 0.5 / 0.9 of the fast part. */
static double spiked(uint64_t *seed)
{
    double fast = uniform(seed) < 0.9 ? 1 : 0;
    return fast > 0 ? uniform(seed) : 100 + uniform(seed);
}

static double stepped(uint64_t *seed)
{
    return floor(10 * exponential(seed));
}

static const struct {
    double (*draw)(uint64_t *);
    double median;
    bool ties;
} distributions[] = {{uniform, 0.5, false}, {exponential, 0.69314718055994531, false},
                     {lognormal, 1, false}, {cauchy, 0, false},
                     {bimodal, 0, false},   {spiked, 0.5 / 0.9, false},
                     {stepped, 6, true}};

static void test_coverage(void **state)
{
    const size_t sizes[] = {6, 10, 30};
    (void)state;
    for (size_t d = 0; d < sizeof distributions / sizeof distributions[0]; d++)
        for (size_t s = 0; s < 3; s++) {
            uint64_t seed = 1000 * d + s;
            double sample[30], exact = 0, share, error;
            unsigned held = 0;
            for (int trial = 0; trial < TRIALS; trial++) {
                struct prony_interval interval;
                for (size_t i = 0; i < sizes[s]; i++)
                    sample[i] = distributions[d].draw(&seed);
                interval = prony_median_interval(sample, sizes[s], 0.95);
                held += interval.low <= distributions[d].median && distributions[d].median <= interval.high;
                exact = interval.coverage;
            }
            share = (double)held / TRIALS;
            error = 4 * sqrt(exact * (1 - exact) / TRIALS);
            print_message("distribution %zu, n %2zu: %.2f%% hold the median, exactly %.2f%%\n", d, sizes[s],
                          100 * share, 100 * exact);
            if (share < 0.95 - error || share < exact - error || (!distributions[d].ties && share > exact + error))
                fail_msg("distribution %zu, n %zu: %.4f of the intervals hold the median, not %.4f +- %.4f", d,
                         sizes[s], share, exact, error);
        }
}

/* The stopping rule looks after every value, as --precision does, and the 95% interval is told of what it stopped at.
 * Times: 1 and a spread of 2% in five shapes, with precisions from once to a quarter of that spread. */
static double spread(size_t shape, uint64_t *seed, double *median)
{
    static const double medians[] = {1, 1, 1 + 0.02 * 0.69314718055994531, 1, 1 + 0.02 * 0.5 / 0.9};
    *median = medians[shape];
    switch (shape) {
    case 0:
        return 1 + 0.02 * normal(seed);
    case 1:
        return exp(0.03 * normal(seed));
    case 2:
        return 1 + 0.02 * exponential(seed);
    case 3:
        return 1 + 0.04 * (uniform(seed) - 0.5);
    default:
        return 1 + 0.02 * spiked(seed);
    }
}

static double stopped(size_t shape, double precision, double *values)
{
    enum { MOST = 200 }; /* visits that --precision may take */
    uint64_t seed = 77 * shape + 5;
    unsigned held = 0;
    *values = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double sample[MOST], median = 0;
        struct prony_interval interval;
        size_t n = 0;
        do
            sample[n++] = spread(shape, &seed, &median);
        while (n < MOST && (n < 7 || !prony_is_precise(sample, n, precision)));
        interval = prony_median_interval(sample, n, 0.95);
        held += interval.low <= median && median <= interval.high;
        *values += (double)n / TRIALS;
    }
    return (double)held / TRIALS;
}

static void test_stopping(void **state)
{
    static const char *const shapes[] = {"normal", "lognormal", "exponential", "uniform", "spiked"};
    static const double precisions[] = {0.02, 0.01, 0.005};
    double error = 3 * sqrt(0.92 * 0.08 / TRIALS); /* 0.8% */
    (void)state;
    for (size_t shape = 0; shape < 5; shape++)
        for (size_t p = 0; p < 3; p++) {
            double values, share = stopped(shape, precisions[p], &values);
            print_message("%-11s precision %3.1f%%: %5.1f values, %.2f%% hold the median\n", shapes[shape],
                          100 * precisions[p], values, 100 * share);
            if (share < 0.92 - error)
                fail_msg("%s: %.4f of the intervals hold the median, not %.4f", shapes[shape], share, 0.92 - error);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_coverage), cmocka_unit_test(test_stopping)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
