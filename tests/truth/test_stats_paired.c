/* Paired comparisons against published tables: the sign test, Holm's procedure, and verdicts with known answers. */
#include "stats/paired.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ALPHA 0.05
#define assert_near(value, want, slack) assert_true(fabs((value) - (want)) <= (slack))

/* The largest number of the rarer sign that is significant in n throws; -1: none is. */
static int critical(size_t n, double alpha)
{
    int most = -1;
    for (size_t few = 0; 2 * few < n && prony_sign_test(few, n - few) <= alpha; few++)
        most = (int)few;
    return most;
}

/* Critical values of the two-sided sign test: Dixon and Mood (1946), J. Am. Stat. Assoc. 41, table 1; the rows to
 * 25 also in Triola, Elementary Statistics, table A-7. */
static void test_sign_table(void **state)
{
    static const struct {
        size_t n;
        int at5, at1;
    } table[] = {
        {5, -1, -1},  {6, 0, -1},   {7, 0, -1},   {8, 0, 0},    {9, 1, 0},    {10, 1, 0},    {11, 1, 0},
        {12, 2, 1},   {13, 2, 1},   {14, 2, 1},   {15, 3, 2},   {16, 3, 2},   {17, 4, 2},    {18, 4, 3},
        {19, 4, 3},   {20, 5, 3},   {25, 7, 5},   {30, 9, 7},   {35, 11, 9},  {40, 13, 11},  {45, 15, 13},
        {50, 17, 15}, {60, 21, 19}, {70, 26, 23}, {80, 30, 28}, {90, 35, 32}, {100, 39, 36},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(critical(table[i].n, 0.05), table[i].at5);
        assert_int_equal(critical(table[i].n, 0.01), table[i].at1);
        /* the interval is the same test turned round */
        assert_int_equal((int)prony_median_rank(table[i].n, 0.95), table[i].at5 + 1);
        assert_int_equal((int)prony_median_rank(table[i].n, 0.99), table[i].at1 + 1);
    }
}

/* p-values that can be counted by hand: sums of binomial coefficients over powers of two. */
static void test_sign_exact(void **state)
{
    (void)state;
    assert_near(prony_sign_test(0, 0), 1, 0);
    assert_near(prony_sign_test(6, 0), 2.0 / 64, 1e-12);
    assert_near(prony_sign_test(1, 9), 2.0 * (1 + 10) / 1024, 1e-12);
    assert_near(prony_sign_test(9, 1), 2.0 * (1 + 10) / 1024, 1e-12);
    assert_near(prony_sign_test(12, 3), 2.0 * (1 + 15 + 105 + 455) / 32768, 1e-12);
    assert_near(prony_sign_test(5, 5), 1, 0);
}

/* The usual worked example: 0.01 0.04 0.03 0.005 become 0.03 0.06 0.06 0.02 (4 x .005, 3 x .01, 2 x .03, and .04 raised
 * to the one before it), so that two of four are significant at 5%. And the
 * published example of another implementation: pingouin's manual, function holm. */
static void test_holm(void **state)
{
    static const double p[] = {0.01, 0.04, 0.03, 0.005}, want[] = {0.03, 0.06, 0.06, 0.02};
    static const double manual[] = {.50, .003, .32, .054, .0003}, printed[] = {0.64, 0.012, 0.64, 0.162, 0.0015};
    static const double large[] = {0.9, 0.5};
    double adjusted[5];
    (void)state;
    assert_int_equal(prony_holm(p, 4, adjusted), 0);
    for (size_t i = 0; i < 4; i++)
        assert_near(adjusted[i], want[i], 1e-12);
    assert_int_equal(prony_holm(manual, 5, adjusted), 0);
    for (size_t i = 0; i < 5; i++)
        assert_near(adjusted[i], printed[i], 1e-12);
    assert_int_equal(prony_holm(large, 2, adjusted), 0);
    assert_near(adjusted[0], 1, 0); /* never above 1 */
    assert_near(adjusted[1], 1, 0);
    assert_int_equal(prony_holm(p, 0, adjusted), 0);
}

static void test_least(void **state)
{
    (void)state;
    for (size_t m = 1; m <= 1000; m++) {
        size_t n = prony_pairs_least(m, ALPHA);
        assert_int_equal(n, (size_t)ceil(1 + log2((double)m / ALPHA)));
        assert_true(prony_sign_test(n, 0) <= ALPHA / (double)m);
        assert_true(prony_sign_test(n - 1, 0) > ALPHA / (double)m);
    }
    assert_int_equal(prony_pairs_least(1, ALPHA), 6);
}

static struct prony_comparison of(const double *d, size_t n, double margin)
{
    return (struct prony_comparison){.d = d, .pairs = n, .margin = margin};
}

static void test_verdicts(void **state)
{
    static const double slow[10] = {.05, .02, .04, .03, .06, .05, .045, .035, .055, .001};
    static const double fast[10] = {-.05, -.02, -.04, -.03, -.06, -.05, -.045, -.035, -.055, -.001};
    static const double same[10] = {.001, -.002, .003, -.004, .005, -.005, .5, -.5, 0, .002};
    static const double loose[10] = {.02, -.03, .04, -.01, .05, -.02, .03, -.04, .01, .015};
    struct prony_comparison one;
    (void)state;
    one = of(slow, 10, 0.01);
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), 0);
    assert_int_equal(one.verdict, PRONY_REGRESSED);
    assert_near(one.interval.low, .02, 0); /* the second smallest: n = 10 gives k = 2 */
    assert_near(one.interval.high, .055, 0);
    assert_near(one.p, 2.0 * 11 / 1024, 1e-12); /* one of ten within the margin */
    assert_near(one.p_sign, 2.0 / 1024, 1e-12);
    assert_string_equal(prony_verdict_name(one.verdict), "regressed");
    one = of(fast, 10, 0.01);
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), 0);
    assert_int_equal(one.verdict, PRONY_IMPROVED);
    one = of(same, 10, 0.01);
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), 0);
    assert_int_equal(one.verdict, PRONY_EQUIVALENT);
    assert_near(one.p_sign, prony_sign_test(5, 4), 0); /* the zero is dropped */
    one = of(loose, 10, 0.01);
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), 0);
    assert_int_equal(one.verdict, PRONY_INCONCLUSIVE);
    assert_true(one.decisive_pairs > 10);
    one = of(slow, 10, 0.1); /* 5% slower is within a margin of 10% */
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), 0);
    assert_int_equal(one.verdict, PRONY_EQUIVALENT);
}

static void test_too_few(void **state)
{
    static const double slow[5] = {.05, .05, .05, .05, .05};
    struct prony_comparison one = of(slow, 5, 0.01), none = of(NULL, 0, 0.01);
    (void)state;
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), 0);
    assert_int_equal(one.verdict, PRONY_INCONCLUSIVE);
    assert_true(isnan(one.interval.low));
    assert_int_equal(one.decisive_pairs, 6);
    assert_int_equal(prony_compare_judge(&none, 1, ALPHA), 0);
    assert_int_equal(none.verdict, PRONY_INCONCLUSIVE);
}

/* Red alone, not red in company: seven pairs give p = 1/64, which four comparisons do not allow. Eight do: then Holm
 * stops at the second. */
static void test_family(void **state)
{
    static const double slow[8] = {.05, .06, .04, .05, .03, .05, .06, .04};
    static const double mixed[8] = {.05, -.06, .04, -.05, .03, -.05, .06, -.04};
    struct prony_comparison family[4] = {of(slow, 7, 0), of(mixed, 7, 0), of(mixed, 7, 0), of(mixed, 7, 0)};
    (void)state;
    assert_int_equal(prony_compare_judge(family, 1, ALPHA), 0);
    assert_int_equal(family[0].verdict, PRONY_REGRESSED);
    assert_int_equal(prony_compare_judge(family, 4, ALPHA), 0);
    assert_int_equal(family[0].verdict, PRONY_INCONCLUSIVE);
    assert_int_equal(family[0].decisive_pairs, 8);
    for (size_t i = 0; i < 4; i++)
        family[i].pairs = 8;
    assert_int_equal(prony_compare_judge(family, 4, ALPHA), 0);
    assert_int_equal(family[0].verdict, PRONY_REGRESSED);
    assert_near(family[0].level, ALPHA / 4, 0);
    assert_near(family[0].p_adjusted, 4 * 2.0 / 256, 1e-12);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(family[i].verdict, PRONY_INCONCLUSIVE);
        assert_near(family[i].level, ALPHA / 3, 1e-12);
    }
}

/* Verdict, interval and adjusted p never contradict each other, whatever the data. */
static void test_agreement(void **state)
{
    uint64_t seed = 5;
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        double d[6][24];
        struct prony_comparison family[6];
        size_t n = 4 + prony_random_below(&seed, 21), m = 1 + prony_random_below(&seed, 6);
        for (size_t i = 0; i < m; i++) {
            double shift = ((double)prony_random_below(&seed, 9) - 4) * 0.01;
            for (size_t j = 0; j < n; j++)
                d[i][j] = shift + ((double)prony_random_below(&seed, 21) - 10) * 0.002; /* with ties */
            family[i] = of(d[i], n, 0.01);
        }
        assert_int_equal(prony_compare_judge(family, m, ALPHA), 0);
        for (size_t i = 0; i < m; i++) {
            bool red = family[i].verdict == PRONY_REGRESSED || family[i].verdict == PRONY_IMPROVED;
            double zone = log1p(0.01);
            assert_int_equal(red, family[i].p_adjusted <= ALPHA);
            assert_int_equal(family[i].verdict == PRONY_REGRESSED, family[i].interval.low > zone);
            assert_int_equal(family[i].verdict == PRONY_IMPROVED, family[i].interval.high < -zone);
        }
    }
}

static void test_refused(void **state)
{
    static const double bad[6] = {1, 2, NAN, 4, 5, 6}, endless[6] = {1, 2, INFINITY, 4, 5, 6},
                        good[6] = {1, 2, 3, 4, 5, 6};
    struct prony_comparison one = of(bad, 6, 0.01);
    (void)state;
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), -EINVAL);
    one = of(endless, 6, 0.01);
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), -EINVAL);
    one = of(good, 6, -0.01);
    assert_int_equal(prony_compare_judge(&one, 1, ALPHA), -EINVAL);
    one = of(good, 6, 0.01);
    assert_int_equal(prony_compare_judge(&one, 0, ALPHA), -EINVAL);
    assert_int_equal(prony_compare_judge(&one, 1, 0), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_table), cmocka_unit_test(test_sign_exact), cmocka_unit_test(test_holm),
        cmocka_unit_test(test_least),      cmocka_unit_test(test_verdicts),   cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_family),     cmocka_unit_test(test_agreement),  cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
