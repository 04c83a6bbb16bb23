/* Percentiles of the log-linear histogram against exact ones of the sorted values, on five distributions. */
#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 100000, WHOLE = 10000 /* parts of a percentile */, TAIL = 10 };

static const uint64_t parts[] = {1, 1000, 2500, 5000, 9000, 9900, 9990, 9999};
static const size_t counts[] = {1, 19, 20, 99, 100, 999, 1000, 1001, 9999, 10000, 99999, MOST};

static double uniform(uint64_t *seed)
{
    return ((double)(prony_random_next(seed) >> 11) + 0.5) / 9007199254740992.0;
}

static double flat(uint64_t *seed)
{
    return 1000 * uniform(seed);
}

static double exponential(uint64_t *seed)
{
    return -50000 * log(uniform(seed));
}

static double lognormal(uint64_t *seed)
{
    double radius = sqrt(-2 * log(uniform(seed)));
    return exp(12 + 1.5 * radius * cos(2 * M_PI * uniform(seed)));
}

/* A tail so long that some values are beyond the last bucket. */
static double pareto(uint64_t *seed)
{
    return fmin(1e6 * pow(uniform(seed), -2), 1e18);
}

/* Two modes far apart: percentiles between them jump. */
static double bimodal(uint64_t *seed)
{
    return (uniform(seed) < 0.9 ? 300 : 3e6) * (1 + 0.1 * uniform(seed));
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The least value that at least p of n are not above: rank ceil(n p), in whole numbers. */
static void check(const struct prony_histogram *histogram, const uint64_t *sorted, size_t n, uint64_t part)
{
    double told = prony_histogram_percentile(histogram, (double)part / WHOLE);
    uint64_t exact = sorted[(n * part + WHOLE - 1) / WHOLE - 1];
    if (n * (WHOLE - part) < (uint64_t)TAIL * WHOLE || exact >> PRONY_HISTOGRAM_TOP) {
        assert_true(isnan(told));
        return;
    }
    assert_false(isnan(told));
    assert_int_equal(prony_histogram_bucket((uint64_t)told), prony_histogram_bucket(exact));
    assert_true(fabs(told - (double)exact) * PRONY_HISTOGRAM_SUB <= (double)exact);
    if (exact < 2u * PRONY_HISTOGRAM_SUB)
        assert_true(told == (double)exact);
}

static void distribution(double (*draw)(uint64_t *), uint64_t seed)
{
    struct prony_histogram *histogram = calloc(1, sizeof *histogram);
    uint64_t *values = calloc(MOST, sizeof *values);
    assert_non_null(histogram);
    assert_non_null(values);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        *histogram = (struct prony_histogram){.count = 0};
        for (size_t i = 0; i < counts[c]; i++) {
            values[i] = (uint64_t)draw(&seed);
            prony_histogram_record(histogram, values[i]);
        }
        qsort(values, counts[c], sizeof *values, rising);
        assert_int_equal(histogram->count, counts[c]);
        assert_int_equal(histogram->min_ns, values[0]);
        assert_int_equal(histogram->max_ns, values[counts[c] - 1]);
        for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
            check(histogram, values, counts[c], parts[p]);
    }
    free(values);
    free(histogram);
}

static void flat_values(void **state)
{
    (void)state;
    distribution(flat, 1);
}

static void exponential_values(void **state)
{
    (void)state;
    distribution(exponential, 2);
}

static void lognormal_values(void **state)
{
    (void)state;
    distribution(lognormal, 3);
}

static void pareto_values(void **state)
{
    (void)state;
    distribution(pareto, 4);
}

static void bimodal_values(void **state)
{
    (void)state;
    distribution(bimodal, 5);
}

/* Every bucket begins where the one before ends, and is no wider than 1/128 of its least value. */
static void buckets_are_narrow(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PRONY_HISTOGRAM_BUCKETS; i++) {
        uint64_t low = prony_histogram_low(i), next = prony_histogram_low(i + 1);
        assert_int_equal(prony_histogram_bucket(low), i);
        assert_int_equal(prony_histogram_bucket(next - 1), i);
        assert_true(next - low == 1 || (next - low) * PRONY_HISTOGRAM_SUB <= low);
    }
    assert_int_equal(prony_histogram_low(PRONY_HISTOGRAM_BUCKETS), 1ull << PRONY_HISTOGRAM_TOP);
}

/* Percentiles among values beyond the last bucket are not told; those below them are. */
static void clipped_values_have_no_percentile(void **state)
{
    struct prony_histogram *histogram = calloc(1, sizeof *histogram);
    (void)state;
    assert_non_null(histogram);
    for (unsigned i = 0; i < 1000; i++)
        prony_histogram_record(histogram, i < 900 ? 100 : 1ull << 50);
    assert_int_equal(histogram->clipped, 100);
    assert_true(prony_histogram_percentile(histogram, 0.9) == 100);
    assert_true(isnan(prony_histogram_percentile(histogram, 0.95)));
    free(histogram);
}

/* The histograms of two workers together are the histogram of all values. */
static void a_sum_is_the_whole(void **state)
{
    struct prony_histogram *three = calloc(3, sizeof *three);
    uint64_t seed = 6;
    (void)state;
    assert_non_null(three);
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t value = (uint64_t)lognormal(&seed);
        prony_histogram_record(&three[i % 2], value);
        prony_histogram_record(&three[2], value);
    }
    prony_histogram_add(&three[0], &three[1]);
    assert_memory_equal(&three[0], &three[2], sizeof *three);
    free(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_values),
        cmocka_unit_test(exponential_values),
        cmocka_unit_test(lognormal_values),
        cmocka_unit_test(pareto_values),
        cmocka_unit_test(bimodal_values),
        cmocka_unit_test(buckets_are_narrow),
        cmocka_unit_test(clipped_values_have_no_percentile),
        cmocka_unit_test(a_sum_is_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
