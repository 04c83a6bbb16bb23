/* Statistics against published values and exact answers. */
#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void near(double value, double expected, double by)
{
    if (!(fabs(value - expected) <= by))
        fail_msg("%.17g is not %.17g within %g", value, expected, by);
}

static void test_median(void **state)
{
    const double odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2}, kept[] = {9, 1, 5};
    (void)state;
    near(prony_median(odd, 3), 5, 0);
    near(prony_median(even, 4), 2.5, 0);
    near(prony_median(odd, 1), 9, 0);
    assert_memory_equal(odd, kept, sizeof odd);
    assert_true(isnan(prony_median(odd, 0)));
}

/* R: quantile(c(1, 2, 3, 4), c(.25, .75)), quantile(c(15, 20, 35, 40, 50), .4), type 7. */
static void test_quantile(void **state)
{
    const double four[] = {1, 2, 3, 4}, five[] = {15, 20, 35, 40, 50};
    (void)state;
    near(prony_quantile_sorted(four, 4, 0.25), 1.75, 1e-12);
    near(prony_quantile_sorted(four, 4, 0.75), 3.25, 1e-12);
    near(prony_quantile_sorted(five, 5, 0.4), 29, 1e-12);
    near(prony_quantile_sorted(five, 5, 0), 15, 0);
    near(prony_quantile_sorted(five, 5, 1), 50, 0);
    near(prony_quantile_sorted(five, 1, 0.3), 15, 0);
    assert_true(isnan(prony_quantile_sorted(five, 0, 0.5)));
    assert_true(isnan(prony_quantile_sorted(five, 5, 1.01)));
    assert_true(isnan(prony_quantile_sorted(five, 5, NAN)));
}

static void test_mad(void **state)
{
    const double values[] = {1, 1, 2, 2, 4, 6, 9};
    (void)state;
    near(prony_mad(values, 7), 1, 0); /* median 2, deviations 0 0 1 1 2 4 7 */
    assert_true(isnan(prony_mad(values, 0)));
}

/* The ranks of the published tables of the sign test at 95%, and their exact coverages. */
static void test_median_interval(void **state)
{
    static const struct {
        size_t n, k;
        double coverage;
    } table[] = {{6, 1, 0.96875},          {7, 1, 0.984375},         {8, 1, 0.9921875},       {9, 2, 0.9609375},
                 {10, 2, 0.978515625},     {11, 2, 0.98828125},      {12, 3, 0.96142578125},  {15, 4, 0.96484375},
                 {17, 5, 0.950958251953},  {20, 6, 0.958610534668},  {25, 8, 0.956714749336}, {30, 10, 0.957226054743},
                 {50, 18, 0.967160862436}, {100, 40, 0.964799799782}};
    const double values[5] = {1, 2, 3, 4, 5};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        double first[100];
        struct prony_interval interval;
        for (size_t j = 0; j < table[i].n; j++)
            first[j] = (double)(table[i].n - j); /* so that x(k) is k */
        assert_int_equal(prony_median_rank(table[i].n, 0.95), table[i].k);
        interval = prony_median_interval(first, table[i].n, 0.95);
        near(interval.coverage, table[i].coverage, 1e-10);
        near(interval.low, (double)table[i].k, 0);
        near(interval.high, (double)(table[i].n + 1 - table[i].k), 0);
    }
    for (size_t n = 0; n < 6; n++)
        assert_int_equal(prony_median_rank(n, 0.95), 0);
    assert_int_equal(prony_median_rank(8, 0.99), 1); /* 0.9921875 */
    assert_int_equal(prony_median_rank(7, 0.99), 0); /* 0.984375 */
    assert_true(isnan(prony_median_interval(values, 5, 0.95).low));
    assert_true(isnan(prony_median_interval(values, 5, 0.95).high));
    assert_true(isnan(prony_median_interval(values, 5, 0.95).coverage));
    /* Large n: the normal approximation, n/2 - 1.96 sqrt(n)/2. */
    near((double)prony_median_rank(1000000, 0.95), 500000 - 980, 2);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static struct prony_histogram *histogram_new(void)
{
    struct prony_histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    return histogram;
}

static void test_histogram_buckets(void **state)
{
    uint64_t edges[] = {0, 1, 255, 256, 257, 511, 512, 1023, 1024, 65535, 65536, (1ull << 41) - 1};
    (void)state;
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        unsigned bucket = prony_histogram_bucket(edges[i]);
        assert_in_range(bucket, 0, PRONY_HISTOGRAM_BUCKETS - 1);
        assert_true(prony_histogram_low(bucket) <= edges[i]);
        assert_true(edges[i] < prony_histogram_low(bucket + 1));
    }
}

static void test_histogram_percentiles(void **state)
{
    enum { COUNT = 50000 };
    const double ps[] = {0.5, 0.9, 0.99, 0.999};
    uint64_t *values = malloc(COUNT * sizeof *values), seed = 7;
    struct prony_histogram *histogram = histogram_new(), *half = histogram_new(), *sum = histogram_new();
    (void)state;
    assert_non_null(values);
    for (int i = 0; i < COUNT; i++) { /* over nine decades */
        double u = (double)(prony_random_next(&seed) >> 11) * 0x1p-53;
        values[i] = (uint64_t)exp(u * 20);
        prony_histogram_record(i % 3 == 0 ? half : sum, values[i]);
        prony_histogram_record(histogram, values[i]);
    }
    prony_histogram_add(sum, half);
    assert_memory_equal(sum, histogram, sizeof *sum);
    qsort(values, COUNT, sizeof *values, by_value);
    for (size_t i = 0; i < 4; i++) {
        double exact = (double)values[(size_t)ceil(ps[i] * COUNT - 1e-6) - 1];
        near(prony_histogram_percentile(histogram, ps[i]), exact, exact / 128);
    }
    near(prony_histogram_percentile(histogram, 0.9998), (double)values[(size_t)(0.9998 * COUNT) - 1],
         (double)values[COUNT - 1] / 128);                             /* ten values beyond it */
    assert_true(isnan(prony_histogram_percentile(histogram, 0.9999))); /* five */
    free(values);
    free(histogram);
    free(half);
    free(sum);
}

static void test_histogram_small(void **state)
{
    struct prony_histogram *histogram = histogram_new();
    (void)state;
    assert_true(isnan(prony_histogram_percentile(histogram, 0.5)));
    for (uint64_t i = 1; i <= 100; i++)
        prony_histogram_record(histogram, i);
    near(prony_histogram_percentile(histogram, 0.5), 50, 0);
    near(prony_histogram_percentile(histogram, 0.9), 90, 0); /* exactly ten beyond it */
    assert_true(isnan(prony_histogram_percentile(histogram, 0.91)));
    assert_true(isnan(prony_histogram_percentile(histogram, 1)));
    assert_true(isnan(prony_histogram_percentile(histogram, 0)));
    free(histogram);
}

/* What was clipped is only known to be large: no percentile is told from it. */
static void test_histogram_clipped(void **state)
{
    struct prony_histogram *histogram = histogram_new();
    (void)state;
    for (int i = 0; i < 60; i++)
        prony_histogram_record(histogram, i < 30 ? 5 : 1ull << 42);
    assert_int_equal(histogram->clipped, 30);
    near(prony_histogram_percentile(histogram, 0.5), 5, 0);
    assert_true(isnan(prony_histogram_percentile(histogram, 0.6)));
    free(histogram);
}

/* SplitMix64 from seed 1234567, as published with its reference code. */
static void test_random(void **state)
{
    const uint64_t published[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                  4593380528125082431u, 16408922859458223821u};
    uint64_t seed = 1234567, counts[6] = {0};
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_true(prony_random_next(&seed) == published[i]);
    for (int i = 0; i < 60000; i++) {
        uint64_t value = prony_random_below(&seed, 6);
        assert_true(value < 6);
        counts[value]++;
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(counts[i], 9500, 10500); /* 10,000 each, five standard deviations */
    for (int i = 0; i < 100; i++)
        assert_true(prony_random_below(&seed, 1) == 0);
    /* Half of the draws are rejected for such an n; none may come out too large. */
    for (int i = 0; i < 1000; i++)
        assert_true(prony_random_below(&seed, (1ull << 63) + 1) <= 1ull << 63);
}

static void test_shuffle(void **state)
{
    unsigned order[500], again[500], other[500], first[6] = {0};
    bool seen[500] = {false};
    (void)state;
    prony_shuffle(order, 500, 42, 7);
    for (int i = 0; i < 500; i++) {
        assert_in_range(order[i], 0, 499);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
    memset(again, 0xff, sizeof again); /* what lay there before plays no part */
    prony_shuffle(again, 500, 42, 7);
    assert_memory_equal(order, again, sizeof order);
    prony_shuffle(other, 500, 42, 8);
    assert_memory_not_equal(order, other, sizeof order);
    prony_shuffle(other, 500, 7, 42);
    assert_memory_not_equal(order, other, sizeof order);
    for (unsigned block = 0; block < 6000; block++) { /* all six orders of three, equally often */
        unsigned three[3];
        prony_shuffle(three, 3, 1, block);
        first[three[0] * 2 + (three[1] > three[2])]++;
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(first[i], 850, 1150);
    prony_shuffle(order, 0, 1, 1);
    prony_shuffle(order, 1, 1, 1);
    assert_int_equal(order[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_mad),
        cmocka_unit_test(test_median_interval),
        cmocka_unit_test(test_histogram_buckets),
        cmocka_unit_test(test_histogram_percentiles),
        cmocka_unit_test(test_histogram_small),
        cmocka_unit_test(test_histogram_clipped),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
