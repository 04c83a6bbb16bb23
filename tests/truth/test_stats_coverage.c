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
            if (share < 0.95 - error || share < exact - error || (!distributions[d].ties && share > exact + error))
                fail_msg("distribution %zu, n %zu: %.4f of the intervals hold the median, not %.4f +- %.4f", d,
                         sizes[s], share, exact, error);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
