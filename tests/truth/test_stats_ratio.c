/* Does the interval of a ratio of medians hold what it promises? 10,000 seeded pairs of samples: the share of intervals that
 * hold the true ratio must be at least the coverage that is stated, less four standard errors of the trial. */
#include "stats/ratio.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TRIALS 10000

static double uniform(uint64_t *seed) /* in (0, 1) */
{
    return ((double)(prony_random_next(seed) >> 12) + 0.5) * 0x1p-52;
}

/* Positive and skewed, median 1. */
static double skewed(uint64_t *seed)
{
    return exp(sqrt(-2 * log(uniform(seed))) * cos(2 * acos(-1) * uniform(seed)));
}

/* Another shape, median 1. */
static double flat(uint64_t *seed)
{
    return 0.5 + uniform(seed);
}

static void test_coverage(void **state)
{
    static const size_t sizes[][2] = {{7, 7}, {6, 8}, {9, 9}, {9, 30}, {20, 20}};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint64_t seed = 11 + s;
        unsigned held = 0;
        struct prony_interval interval = {NAN, NAN, NAN};
        for (unsigned trial = 0; trial < TRIALS; trial++) {
            double a[32], b[32];
            for (size_t i = 0; i < sizes[s][0]; i++)
                a[i] = skewed(&seed);
            for (size_t i = 0; i < sizes[s][1]; i++)
                b[i] = 1.25 * flat(&seed);
            interval = prony_ratio_interval(a, sizes[s][0], b, sizes[s][1], 0.95);
            held += interval.low <= 1.25 && interval.high >= 1.25;
        }
        (void)printf("%zu and %zu: %.2f%% held, %.2f%% stated\n", sizes[s][0], sizes[s][1], 100.0 * held / TRIALS,
                     100 * interval.coverage);
        assert_true(interval.coverage >= 0.95);
        assert_true((double)held / TRIALS >= interval.coverage - 4 * sqrt(0.05 * 0.95 / TRIALS));
    }
}

static void test_too_few(void **state)
{
    double values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    (void)state;
    assert_true(isnan(prony_ratio_interval(values, 6, values, 6, 0.95).low));
    assert_true(isnan(prony_ratio_interval(values, 5, values, 8, 0.95).low));
    assert_true(isnan(prony_ratio_interval(values, 0, values, 8, 0.95).low));
    assert_true(prony_ratio_interval(values, 7, values, 7, 0.95).high == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_coverage), cmocka_unit_test(test_too_few)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
