/* The C interface to Google Benchmark: runs, fixtures, results, and mistakes that must not abort. What the library reports
 * is read from the JSON that it writes. */
#include "shims/gbench/gbench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { REPORT_BYTES = 256 * 1024 };

static char report_path[] = "/tmp/prony-gbench-XXXXXX";
static char report[REPORT_BYTES];

/* Runs what the filter matches; the report is in `report`. */
static void run_matching(const char *filter, size_t expected)
{
    struct prony_error error = {0, ""};
    size_t matched = 0, got;
    FILE *file;
    assert_int_equal(prony_gbench_run(filter, &matched, &error), 0);
    assert_int_equal(matched, expected);
    file = fopen(report_path, "r");
    assert_non_null(file);
    got = fread(report, 1, sizeof report - 1, file);
    (void)fclose(file);
    report[got] = '\0';
}

static void assert_reported(const char *text)
{
    if (strstr(report, text) == NULL)
        fail_msg("no %s in\n%s", text, report);
}

/* What a benchmark saw of itself. Runs of one family follow each other, so plain words do, but for threads. */
struct seen {
    int set_ups, tear_downs, thread_set_ups, thread_tear_downs, functions, wrong;
    int64_t iterations, counted;
    int alive;
};

static int set_up(struct prony_gbench_state *state, void *context)
{
    struct seen *seen = context;
    seen->set_ups++;
    seen->wrong += seen->alive != 0 || prony_gbench_iterations(state) != 0;
    return 0;
}

static void tear_down(struct prony_gbench_state *state, void *context)
{
    struct seen *seen = context;
    (void)state;
    seen->tear_downs++;
    seen->wrong += __atomic_load_n(&seen->alive, __ATOMIC_ACQUIRE) != 0;
}

static int thread_set_up(struct prony_gbench_state *state, void *context)
{
    struct seen *seen = context;
    (void)state;
    (void)__atomic_fetch_add(&seen->alive, 1, __ATOMIC_ACQ_REL);
    (void)__atomic_fetch_add(&seen->thread_set_ups, 1, __ATOMIC_RELAXED);
    return 0;
}

static void thread_tear_down(struct prony_gbench_state *state, void *context)
{
    struct seen *seen = context;
    (void)state;
    (void)__atomic_fetch_add(&seen->thread_tear_downs, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_sub(&seen->alive, 1, __ATOMIC_ACQ_REL);
}

static const struct prony_gbench_fixture whole = {set_up, tear_down, thread_set_up, thread_tear_down};

static void count(struct prony_gbench_state *state, void *context)
{
    struct seen *seen = context;
    int64_t mine = 0;
    PRONY_GBENCH_EACH(state)
    {
        mine++;
        PRONY_GBENCH_KEEP(mine);
    }
    (void)__atomic_fetch_add(&seen->functions, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&seen->counted, mine, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&seen->iterations, prony_gbench_iterations(state), __ATOMIC_RELAXED);
}

static void loop_runs_exactly_the_iterations(void **unused)
{
    struct seen seen = {0};
    struct prony_gbench *family = prony_gbench_register("exact", count, &seen);
    (void)unused;
    assert_int_equal(prony_gbench_iterations_are(family, 12345), 0);
    run_matching("^exact/", 1);
    assert_int_equal(seen.counted, 12345);
    assert_int_equal(seen.iterations, 12345);
    assert_reported("\"iterations\": 12345,");
}

static void calibrated_runs_count_what_they_say(void **unused)
{
    struct seen seen = {0};
    (void)unused;
    assert_int_equal(prony_gbench_min_time(prony_gbench_register("calibrated", count, &seen), 0.001), 0);
    run_matching("^calibrated/", 1);
    assert_true(seen.functions >= 2); /* it begins with one iteration */
    assert_int_equal(seen.counted, seen.iterations);
}

static void fixtures_surround_runs_and_threads(void **unused)
{
    struct seen seen = {0};
    struct prony_gbench *family = prony_gbench_register("fixture", count, &seen);
    (void)unused;
    assert_int_equal(prony_gbench_use_fixture(family, &whole), 0);
    assert_int_equal(prony_gbench_threads(family, 3), 0);
    assert_int_equal(prony_gbench_repetitions(family, 2), 0);
    assert_int_equal(prony_gbench_iterations_are(family, 50), 0);
    run_matching("^fixture/", 1);
    assert_int_equal(seen.set_ups, 2);
    assert_int_equal(seen.tear_downs, 2);
    assert_int_equal(seen.thread_set_ups, 6);
    assert_int_equal(seen.thread_tear_downs, 6);
    assert_int_equal(seen.functions, 6);
    assert_int_equal(seen.counted, 300);
    assert_int_equal(seen.wrong, 0);
}

static int refuse(struct prony_gbench_state *state, void *context)
{
    (void)state, (void)context;
    return -ENOENT;
}

static void failed_set_up_runs_nothing(void **unused)
{
    static const struct prony_gbench_fixture refused = {.set_up = refuse, .tear_down = tear_down};
    struct seen seen = {0};
    struct prony_gbench *family = prony_gbench_register("refused", count, &seen);
    (void)unused;
    assert_int_equal(prony_gbench_use_fixture(family, &refused), 0);
    assert_int_equal(prony_gbench_threads(family, 2), 0);
    run_matching("^refused/", 1);
    assert_reported("the set-up failed: No such file or directory");
    assert_int_equal(seen.functions, 0);
    assert_int_equal(seen.tear_downs, 0);
}

static void add_arguments(struct prony_gbench_state *state, void *context)
{
    int64_t *sum = context;
    PRONY_GBENCH_EACH(state)
    PRONY_GBENCH_CLOBBER();
    *sum += 1000 * prony_gbench_arg_of(state, 0) + prony_gbench_arg_of(state, 1);
}

static void arguments_arrive(void **unused)
{
    static const int64_t bounds[][2] = {{1, 16}, {5, 5}}, one[] = {3, 4}, two[] = {7}, pair[] = {100, 200};
    static const struct prony_gbench_list lists[] = {{one, 2}, {two, 1}};
    static const char *const names[] = {"high", "low"};
    int64_t sum = 0;
    struct prony_gbench *family = prony_gbench_register("arguments", add_arguments, &sum);
    (void)unused;
    assert_int_equal(prony_gbench_iterations_are(family, 1), 0);
    assert_int_equal(prony_gbench_arg_names(family, names, 2), 0);
    assert_int_equal(prony_gbench_multiplier(family, 4), 0);
    assert_int_equal(prony_gbench_ranges(family, bounds, 2), 0); /* 1, 4, 16 with 5 */
    assert_int_equal(prony_gbench_product(family, lists, 2), 0); /* 3, 4 with 7 */
    assert_int_equal(prony_gbench_args(family, pair, 2), 0);
    run_matching("^arguments/", 6);
    assert_int_equal(sum, 1000 * (1 + 4 + 16 + 3 + 4 + 100) + 3 * 5 + 2 * 7 + 200);
    assert_reported("\"name\": \"arguments/high:16/low:5/iterations:1\"");
}

static void tell(struct prony_gbench_state *state, void *context)
{
    (void)context;
    PRONY_GBENCH_EACH(state)
    prony_gbench_iteration_time(state, 0.5);
    prony_gbench_items(state, 40);
    prony_gbench_counter(state, "plain", 7, 0);
    prony_gbench_counter(state, "average", 80, PRONY_GBENCH_PER_ITERATION);
    prony_gbench_counter(state, "all", 3, PRONY_GBENCH_EACH_ITERATION);
    prony_gbench_counter(state, "rate", 40, PRONY_GBENCH_RATE);
    prony_gbench_counter(state, "inverse", 8, PRONY_GBENCH_INVERT);
    prony_gbench_counter(state, "threads", 6, PRONY_GBENCH_PER_THREAD);
    prony_gbench_label(state, "%s of %d", "label", 42);
}

static void results_are_reported(void **unused)
{
    struct prony_gbench *family = prony_gbench_register("told", tell, NULL);
    (void)unused;
    assert_int_equal(prony_gbench_clocks(family, PRONY_GBENCH_MANUAL), 0);
    assert_int_equal(prony_gbench_unit(family, PRONY_GBENCH_MS), 0);
    assert_int_equal(prony_gbench_iterations_are(family, 4), 0); /* 2 s by the manual clock */
    run_matching("^told/", 1);
    assert_reported("\"real_time\": 5.00000");
    assert_reported("\"time_unit\": \"ms\"");
    assert_reported("\"items_per_second\": 2.0000000000000000e+01");
    assert_reported("\"plain\": 7.0000000000000000e+00");
    assert_reported("\"average\": 2.0000000000000000e+01");
    assert_reported("\"all\": 1.2000000000000000e+01");
    assert_reported("\"rate\": 2.0000000000000000e+01");
    assert_reported("\"inverse\": 1.2500000000000000e-01");
    assert_reported("\"threads\": 6.0000000000000000e+00");
    assert_reported("\"label\": \"label of 42\"");
}

static double always_42(const double *values, size_t n)
{
    (void)values;
    return n == 3 ? 42.0 : -1.0;
}

static double of_count(const double *values, size_t n)
{
    (void)values;
    return (double)n;
}

static void statistics_are_computed(void **unused)
{
    struct seen seen = {0};
    struct prony_gbench *family = prony_gbench_register("aggregated", tell, &seen);
    (void)unused;
    assert_int_equal(prony_gbench_clocks(family, PRONY_GBENCH_MANUAL), 0);
    assert_int_equal(prony_gbench_iterations_are(family, 1), 0);
    assert_int_equal(prony_gbench_repetitions(family, 3), 0);
    assert_int_equal(prony_gbench_rows(family, PRONY_GBENCH_ONLY_AGGREGATES), 0);
    assert_int_equal(prony_gbench_statistic(family, "answer", always_42, false), 0);
    assert_int_equal(prony_gbench_statistic(family, "count", of_count, false), 0);
    run_matching("^aggregated/", 1);
    assert_reported("\"aggregate_name\": \"answer\"");
    assert_reported("\"plain\": 4.2000000000000000e+01");
    assert_reported("\"aggregate_name\": \"count\"");
    assert_null(strstr(report, "\"run_type\": \"iteration\""));
}

static void grow(struct prony_gbench_state *state, void *context)
{
    int64_t n = prony_gbench_arg_of(state, 0);
    (void)context;
    PRONY_GBENCH_EACH(state)
    prony_gbench_iteration_time(state, 1e-9 * (double)(n * n * n));
    prony_gbench_complexity_n(state, n);
}

static double cube(int64_t n)
{
    return (double)n * (double)n * (double)n;
}

static void assert_coefficient_is_1(void)
{
    static const char key[] = "\"real_coefficient\": ";
    const char *found = strstr(report, key);
    double value;
    assert_non_null(found);
    value = strtod(found + sizeof key - 1, NULL);
    assert_true(value > 0.999999 && value < 1.000001);
}

static void complexity_is_found(void **unused)
{
    struct prony_gbench *family = prony_gbench_register("cubic", grow, NULL);
    (void)unused;
    assert_int_equal(prony_gbench_clocks(family, PRONY_GBENCH_MANUAL), 0);
    assert_int_equal(prony_gbench_iterations_are(family, 1), 0);
    assert_int_equal(prony_gbench_range(family, 8, 512), 0);
    assert_int_equal(prony_gbench_complexity(family, PRONY_GBENCH_O_N3), 0);
    run_matching("^cubic/", 3);
    assert_reported("\"big_o\": \"N^3\"");
    assert_coefficient_is_1();
    family = prony_gbench_register("fitted", grow, NULL);
    assert_int_equal(prony_gbench_clocks(family, PRONY_GBENCH_MANUAL), 0);
    assert_int_equal(prony_gbench_iterations_are(family, 1), 0);
    assert_int_equal(prony_gbench_range(family, 8, 512), 0);
    assert_int_equal(prony_gbench_complexity_fn(family, cube), 0);
    run_matching("^fitted/", 3);
    assert_reported("\"big_o\": \"f(N)\"");
    assert_coefficient_is_1();
}

/* Misuse number *context of a state. */
static void misuse(struct prony_gbench_state *state, void *context)
{
    switch (*(const char *)context) {
    case 'p': /* paused twice */
        (void)prony_gbench_begin(state);
        prony_gbench_pause(state);
        prony_gbench_pause(state);
        break;
    case 'r':
        (void)prony_gbench_begin(state);
        prony_gbench_resume(state);
        prony_gbench_end(state);
        break;
    case 'e': /* ends while paused */
        (void)prony_gbench_begin(state);
        prony_gbench_pause(state);
        prony_gbench_end(state);
        break;
    case 'b':
        PRONY_GBENCH_EACH(state)
        break;
        break;
    case 't':
        PRONY_GBENCH_EACH(state)
        PRONY_GBENCH_CLOBBER();
        PRONY_GBENCH_EACH(state)
        PRONY_GBENCH_CLOBBER();
        break;
    case 'o':
        prony_gbench_pause(state);
        break;
    case 'a':
        (void)prony_gbench_arg_of(state, 1);
        break;
    default: /* nothing at all */
        break;
    }
}

static void misuse_fails_with_words(void **unused)
{
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"p", "the clock was paused twice"},
        {"r", "the clock was resumed, but not paused"},
        {"e", "its loop ended with the clock paused"},
        {"b", "it left its loop before the end"},
        {"t", "it ran its loop twice"},
        {"o", "pause outside its loop"},
        {"a", "it asked for argument 1 of 0"},
        {"n", "it never ran its loop"},
    };
    enum { CASES = sizeof cases / sizeof cases[0] };
    (void)unused;
    for (unsigned i = 0; i < CASES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "misuse/%s", cases[i].name);
        assert_int_equal(prony_gbench_threads(prony_gbench_register(name, misuse, (void *)(uintptr_t)cases[i].name), 2),
                         0);
    }
    run_matching("^misuse/", CASES);
    for (unsigned i = 0; i < CASES; i++)
        assert_reported(cases[i].says);
}

static void library_tells_its_build(void **unused)
{
    char text[64];
    (void)unused;
    run_matching("^exact/", 1);
    (void)snprintf(text, sizeof text, "\"library_build_type\": \"%s\"", prony_gbench_library_build());
    assert_reported(text);
}

/* Last: a family that was made wrongly stops all later runs. */
static void mistakes_are_refused(void **unused)
{
    static const int64_t pair[] = {1, 2}, wrong[][2] = {{2, 1}};
    static const char *const names[] = {"a", "b"};
    static const struct prony_gbench_list empty[] = {{NULL, 0}};
    struct seen seen = {0};
    struct prony_error error = {0, ""};
    struct prony_gbench *family = prony_gbench_register("mistaken", count, &seen);
    (void)unused;
    assert_int_equal(prony_gbench_arg(family, 1), 0);
    assert_int_equal(prony_gbench_args(family, pair, 2), -EINVAL);
    assert_int_equal(prony_gbench_arg_names(family, names, 2), -EINVAL);
    assert_int_equal(prony_gbench_range(family, 2, 1), -EINVAL);
    assert_int_equal(prony_gbench_ranges(family, wrong, 1), -EINVAL);
    assert_int_equal(prony_gbench_dense(family, 1, 2, 0), -EINVAL);
    assert_int_equal(prony_gbench_dense(family, INT64_MIN, INT64_MAX, 1), -EINVAL);
    assert_int_equal(prony_gbench_product(family, empty, 1), -EINVAL);
    assert_int_equal(prony_gbench_multiplier(family, 1), -EINVAL);
    assert_int_equal(prony_gbench_threads(family, 0), -EINVAL);
    assert_int_equal(prony_gbench_thread_range(family, 2, 1), -EINVAL);
    assert_int_equal(prony_gbench_thread_dense(family, 1, 2, 0), -EINVAL);
    assert_int_equal(prony_gbench_min_time(family, 0), -EINVAL);
    assert_int_equal(prony_gbench_iterations_are(family, 0), -EINVAL);
    assert_int_equal(prony_gbench_iterations_are(family, 5), 0);
    assert_int_equal(prony_gbench_min_time(family, 1), -EINVAL);
    assert_int_equal(prony_gbench_warm_up(family, 1), -EINVAL);
    assert_int_equal(prony_gbench_repetitions(family, 0), -EINVAL);
    assert_int_equal(prony_gbench_clocks(family, PRONY_GBENCH_REAL | PRONY_GBENCH_MANUAL), -EINVAL);
    assert_int_equal(prony_gbench_complexity_fn(family, NULL), -EINVAL);
    assert_int_equal(prony_gbench_use_fixture(family, NULL), -EINVAL);
    assert_int_equal(prony_gbench_arg(NULL, 1), -EINVAL);
    assert_null(prony_gbench_register("", count, NULL));
    assert_int_equal(prony_gbench_run("^mistaken/", NULL, &error), -EINVAL);
    assert_string_equal(error.text, "benchmark mistaken: 2 arguments, where it has 1");
    assert_int_equal(seen.functions, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_runs_exactly_the_iterations),
        cmocka_unit_test(calibrated_runs_count_what_they_say),
        cmocka_unit_test(fixtures_surround_runs_and_threads),
        cmocka_unit_test(failed_set_up_runs_nothing),
        cmocka_unit_test(arguments_arrive),
        cmocka_unit_test(results_are_reported),
        cmocka_unit_test(statistics_are_computed),
        cmocka_unit_test(complexity_is_found),
        cmocka_unit_test(misuse_fails_with_words),
        cmocka_unit_test(library_tells_its_build),
        cmocka_unit_test(mistakes_are_refused),
    };
    char program[] = "test_gbench", out[sizeof report_path + 16], format[] = "--benchmark_out_format=json",
         *argv[] = {program, out, format, NULL};
    int argc = 3, failed, fd = mkstemp(report_path);
    if (fd < 0)
        return 1;
    (void)close(fd);
    (void)snprintf(out, sizeof out, "--benchmark_out=%s", report_path);
    prony_gbench_initialize(&argc, argv, NULL);
    failed = argc != 1 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    prony_gbench_shutdown();
    (void)unlink(report_path);
    return failed;
}
