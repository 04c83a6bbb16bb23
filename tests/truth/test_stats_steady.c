/* The changepoint detector on series whose course is known because they were made so. */
#include "stats/stats.h"
#include "stats/steady.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LENGTH = 100, ROUNDS = 1000 };
#define TOLERANCE 0.03

static double uniform(uint64_t *seed)
{
    return ((double)(prony_random_next(seed) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *seed)
{
    return sqrt(-2 * log(uniform(seed))) * cos(2 * M_PI * uniform(seed));
}

/* What times are multiplied by: 1, with noise of scale s, and now and then a hiccup of several times that. */
static double noise(unsigned kind, double s, uint64_t *seed)
{
    switch (kind) {
    case 0:
        return exp(s * normal(seed));
    case 1:
        return 1 + s * -log(uniform(seed)); /* to the right only */
    case 2:
        return 1 + s * (uniform(seed) - 0.5);
    default:
        return exp(s * normal(seed)) * (uniform(seed) < 0.04 ? 2 : 1);
    }
}
enum { KINDS = 4 };

/* How often, of 100, a series of this shape is given this course. */
static double rate(double (*shape)(size_t), size_t n, double s, enum prony_course course, double slack, size_t from)
{
    uint64_t seed = 11;
    unsigned hits = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double series[LENGTH];
        struct prony_steady found;
        for (size_t i = 0; i < n; i++)
            series[i] = 1e6 * shape(i) * noise(round % KINDS, s, &seed);
        found = prony_steady_find(series, n, TOLERANCE);
        hits += found.course == course && fabs((double)found.from - (double)from) <= slack;
    }
    return 100.0 * hits / ROUNDS;
}

static double flat(size_t i)
{
    (void)i;
    return 1;
}

static double warming(size_t i)
{
    return i < 30 ? 1.4 : 1;
}

static double cooling(size_t i)
{
    return 1 + 3 * exp(-(double)i / 4); /* within 3% from the 19th on */
}

static double slowing(size_t i)
{
    return i < 40 ? 1 : 1.3;
}

static double restless(size_t i)
{
    return i / 10 % 2 == 0 ? 1 : 1.4;
}

static double sloping(size_t i)
{
    return 1 + 0.02 * (double)i;
}

static double late(size_t i)
{
    return i < 95 ? 1.5 : 1;
}

static void expect(const char *what, double found, double least)
{
    print_message("%-34s %5.1f%%, at least %.0f%%\n", what, found, least);
    assert_true(found >= least);
}

/* A hiccup in the very first value cannot be told from a warm-up: of these series, one in a hundred has it. */
static void test_flat(void **state)
{
    (void)state;
    expect("flat, 8 values, noise 1%", rate(flat, 8, 0.01, PRONY_COURSE_FLAT, 0, 0), 97);
    expect("flat, 8 values, noise 5%", rate(flat, 8, 0.05, PRONY_COURSE_FLAT, 0, 0), 95);
    expect("flat, 100 values, noise 1%", rate(flat, LENGTH, 0.01, PRONY_COURSE_FLAT, 0, 0), 97);
    expect("flat, 100 values, noise 5%", rate(flat, LENGTH, 0.05, PRONY_COURSE_FLAT, 0, 0), 95);
}

static void test_courses(void **state)
{
    (void)state;
    expect("warm-up of 30 values", rate(warming, LENGTH, 0.02, PRONY_COURSE_WARMED, 1, 30), 95);
    expect("warm-up that decays", rate(cooling, LENGTH, 0.01, PRONY_COURSE_WARMED, 8, 18), 95);
    expect("slowing after 40 values", rate(slowing, LENGTH, 0.02, PRONY_COURSE_SLOWING, 1, 40), 95);
    expect("to and fro", rate(restless, LENGTH, 0.02, PRONY_COURSE_NEVER, 0, LENGTH), 99);
    expect("ever slower", rate(sloping, LENGTH, 0.01, PRONY_COURSE_NEVER, 0, LENGTH), 99);
    expect("a change at the very end", rate(late, LENGTH, 0.02, PRONY_COURSE_NEVER, 0, LENGTH), 99);
}

/* Without noise every answer is exact. */
static void test_exact(void **state)
{
    static const double start[] = {100, 50, 20, 12, 11, 10, 10, 10}, hiccup[] = {10, 10, 10, 90, 10, 10, 10, 10};
    static const double first[] = {30, 10, 10, 10, 10, 10, 10, 10, 10, 10};
    double changing[60];
    struct prony_steady found;
    (void)state;
    assert_int_equal(prony_steady_find(start, 8, TOLERANCE).course, PRONY_COURSE_NEVER);
    assert_int_equal(prony_steady_find(start, 7, TOLERANCE).course, PRONY_COURSE_UNKNOWN);
    assert_int_equal(prony_steady_find(start, 0, TOLERANCE).course, PRONY_COURSE_UNKNOWN);
    assert_int_equal(prony_steady_find(hiccup, 8, TOLERANCE).course, PRONY_COURSE_FLAT);
    found = prony_steady_find(first, 10, TOLERANCE);
    assert_int_equal(found.course, PRONY_COURSE_WARMED);
    assert_int_equal(found.from, 1);
    assert_int_equal(found.levels, 2);
    for (size_t i = 0; i < 60; i++)
        changing[i] = i < 20 ? 10 : i < 40 ? 10.2 : 10.1; /* all within the tolerance */
    assert_int_equal(prony_steady_find(changing, 60, TOLERANCE).course, PRONY_COURSE_FLAT);
    changing[10] = 0; /* no time at all */
    assert_int_equal(prony_steady_find(changing, 60, TOLERANCE).course, PRONY_COURSE_UNKNOWN);
}

/* Of a very long series the end is looked at; positions count from its beginning. */
static void test_long(void **state)
{
    static double series[2000];
    struct prony_steady found;
    (void)state;
    for (size_t i = 0; i < 2000; i++)
        series[i] = i < 1600 ? 20 : 10;
    found = prony_steady_find(series, 2000, TOLERANCE);
    assert_int_equal(found.course, PRONY_COURSE_WARMED);
    assert_int_equal(found.from, 1600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_courses),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
