/* Scaling laws recovered from curves that were made with known parameters, with and without noise. */
#include "stats/scaling.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { POINTS = 8, VISITS = 9, ROUNDS = 100, RESAMPLES = 200 };
#define assert_near(value, want, slack) assert_true(fabs((value) - (want)) <= (slack))

static const double workers[POINTS] = {1, 2, 4, 8, 12, 16, 24, 32};

struct curve {
    double rates[POINTS][VISITS];
    struct prony_scaling_point points[POINTS];
};

static double uniform(uint64_t *seed)
{
    return ((double)(prony_random_next(seed) >> 11) + 0.5) / 9007199254740992.0;
}

/* Visits that follow the law, with noise of `spread` around the median; to the right it reaches further, as times do. */
static void make(enum prony_law law, double s, double k, double spread, uint64_t *seed, struct curve *curve)
{
    for (size_t i = 0; i < POINTS; i++) {
        double n = workers[i];
        double rate = law == PRONY_GUSTAFSON ? n - s * (n - 1) : n / (1 + s * (n - 1) + k * n * (n - 1));
        for (size_t j = 0; j < VISITS; j++)
            curve->rates[i][j] = 5e6 * rate / (1 + spread * (-log(uniform(seed)) - M_LN2));
        curve->points[i] = (struct prony_scaling_point){n, curve->rates[i], VISITS};
    }
}

static void test_exact(void **state)
{
    static const struct {
        enum prony_law law;
        double s, k;
    } cases[] = {
        {PRONY_AMDAHL, 0.05, 0}, {PRONY_AMDAHL, 0.5, 0},     {PRONY_AMDAHL, 0, 0},   {PRONY_GUSTAFSON, 0.1, 0},
        {PRONY_GUSTAFSON, 0, 0}, {PRONY_USL, 0.03, 0.0005},  {PRONY_USL, 0.2, 0.02}, {PRONY_USL, 0, 0.001},
        {PRONY_USL, 0.08, 0},    {PRONY_USL, 0.0255, 0.021},
    };
    uint64_t seed = 3;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct curve curve;
        struct prony_scaling fit;
        make(cases[i].law, cases[i].s, cases[i].k, 0, &seed, &curve);
        assert_int_equal(prony_scaling_fit(cases[i].law, curve.points, POINTS, 0, 1, &fit), 0);
        assert_near(fit.serial.value, cases[i].s, 1e-4);
        assert_near(fit.lambda.value / 5e6, 1, 1e-4);
        assert_true(fit.misfit < 1e-4);
        if (cases[i].law == PRONY_USL)
            assert_near(fit.coherency.value, cases[i].k, 1e-5);
        if (cases[i].law == PRONY_USL && cases[i].k > 0)
            assert_near(fit.peak.value, sqrt((1 - cases[i].s) / cases[i].k), 0.5);
        for (size_t j = 0; j < POINTS; j++)
            assert_near(prony_scaling_rate(&fit, workers[j]) / curve.rates[j][0], 1, 1e-3);
    }
}

/* How often the bootstrap's interval holds the truth, and how far off the middle estimate is. */
static void recover(double s, double k, double spread)
{
    uint64_t seed = 17;
    double values[2][ROUNDS];
    unsigned held[3] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct curve curve;
        struct prony_scaling fit;
        double peak = sqrt((1 - s) / k);
        make(PRONY_USL, s, k, spread, &seed, &curve);
        assert_int_equal(prony_scaling_fit(PRONY_USL, curve.points, POINTS, RESAMPLES, round, &fit), 0);
        values[0][round] = fit.serial.value;
        values[1][round] = fit.coherency.value;
        held[0] += fit.serial.low <= s && s <= fit.serial.high;
        held[1] += fit.coherency.low <= k && k <= fit.coherency.high;
        held[2] += fit.peak.low <= peak && peak <= fit.peak.high;
    }
    print_message("USL s %g k %g, noise %2.0f%%: found s %.4f k %.6f; held s %.1f%% k %.1f%% peak %.1f%% of %d\n", s, k,
                  100 * spread, prony_median(values[0], ROUNDS), prony_median(values[1], ROUNDS),
                  100.0 * held[0] / ROUNDS, 100.0 * held[1] / ROUNDS, 100.0 * held[2] / ROUNDS, ROUNDS);
    assert_near(prony_median(values[0], ROUNDS), s, 0.1 * s);
    assert_near(prony_median(values[1], ROUNDS), k, 0.1 * k);
    for (size_t i = 0; i < 3; i++)
        assert_true(held[i] >= ROUNDS * 85 / 100);
}

static void test_recovered(void **state)
{
    (void)state;
    recover(0.05, 0.002, 0.02);
    recover(0.05, 0.002, 0.05);
    recover(0.02, 0.0005, 0.02);
}

static void test_refused(void **state)
{
    struct curve curve;
    struct prony_scaling fit;
    uint64_t seed = 3;
    (void)state;
    make(PRONY_USL, 0.1, 0.01, 0.01, &seed, &curve);
    assert_int_equal(prony_law_least(PRONY_AMDAHL), 3);
    assert_int_equal(prony_law_least(PRONY_GUSTAFSON), 3);
    assert_int_equal(prony_law_least(PRONY_USL), 4);
    assert_int_equal(prony_scaling_fit(PRONY_USL, curve.points, 3, 10, 1, &fit), -ERANGE);
    assert_int_equal(prony_scaling_fit(PRONY_AMDAHL, curve.points, 2, 10, 1, &fit), -ERANGE);
    assert_int_equal(prony_scaling_fit(PRONY_AMDAHL, curve.points, 3, 10, 1, &fit), 0);
    curve.points[3].workers = 2;
    assert_int_equal(prony_scaling_fit(PRONY_USL, curve.points, 4, 10, 1, &fit), -EINVAL);
    curve.points[3].workers = 8;
    curve.rates[1][2] = 0;
    assert_int_equal(prony_scaling_fit(PRONY_USL, curve.points, 4, 10, 1, &fit), -EINVAL);
    curve.points[1].visits = 0;
    assert_int_equal(prony_scaling_fit(PRONY_USL, curve.points, 4, 10, 1, &fit), -EINVAL);
}

/* The same seed gives the same intervals; without resamples there are none. */
static void test_seeded(void **state)
{
    struct curve curve;
    struct prony_scaling one, two;
    uint64_t seed = 5;
    (void)state;
    make(PRONY_USL, 0.1, 0.01, 0.03, &seed, &curve);
    assert_int_equal(prony_scaling_fit(PRONY_USL, curve.points, POINTS, 100, 9, &one), 0);
    assert_int_equal(prony_scaling_fit(PRONY_USL, curve.points, POINTS, 100, 9, &two), 0);
    assert_true(one.serial.low == two.serial.low && one.peak.high == two.peak.high);
    assert_true(one.serial.low <= one.serial.value && one.serial.value <= one.serial.high);
    assert_int_equal(prony_scaling_fit(PRONY_AMDAHL, curve.points, POINTS, 0, 9, &two), 0);
    assert_true(isnan(two.serial.low) && isnan(two.coherency.value) && isinf(two.peak.value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_recovered),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_seeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
