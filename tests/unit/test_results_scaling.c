/* Laws of scaling in reports: what is fitted, what is not and why, and where it is said and drawn. */
#include "report_run.h"
#include "results/view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

/* The rate of one worker is 1 number a microsecond; contention 4%, coherency 0.2%. */
static double usl_ns(unsigned workers)
{
    double n = workers;
    return 20e6 * (1 + 0.04 * (n - 1) + 0.002 * n * (n - 1)) / n;
}

static struct prony_report *report_of(struct prony_run *run, const unsigned *counts, unsigned n)
{
    struct prony_report *report = NULL;
    char *words[] = {(char *)(uintptr_t) "prony", NULL};
    made_begin(run, 40);
    made_measured(run, made_cell(run, &made_serial, &made_primes, 1, "20k"), 20e6, 0);
    for (unsigned i = 0; i < n; i++)
        made_measured(run, made_cell(run, &made_thread, &made_primes, counts[i], "20k"), usl_ns(counts[i]), 0);
    assert_int_equal(prony_report_from_run(run, 1, words, false, &report, NULL), 0);
    return report;
}

static void test_fitted(void **state)
{
    static const unsigned counts[] = {1, 2, 4, 8, 16};
    struct prony_run run;
    struct prony_report *report = report_of(&run, counts, 5);
    const json_t *entry = json_array_get(json_object_get(report->root, "scaling"), 0);
    const json_t *usl = json_object_get(json_object_get(entry, "laws"), "usl");
    struct prony_view view;
    char text[512];
    (void)state;
    assert_int_equal(json_array_size(json_object_get(report->root, "scaling")), 1); /* serial is no series */
    assert_int_equal(json_array_size(json_object_get(entry, "points")), 5);
    assert_true(json_is_null(json_object_get(entry, "reason")));
    assert_true(fabs(prony_json_number(usl, "contention") - 0.04) < 0.01);
    assert_true(fabs(prony_json_number(usl, "coherency") - 0.002) < 0.0005);
    assert_true(fabs(prony_json_number(usl, "peak_workers") - 21.9) < 3);
    assert_true(prony_json_end(usl, "peak_workers_ci95", 0) < 21.9 &&
                21.9 < prony_json_end(usl, "peak_workers_ci95", 1));
    assert_true(json_is_object(json_object_get(json_object_get(entry, "laws"), "amdahl")));
    assert_null(json_object_get(json_object_get(entry, "laws"), "gustafson"));
    assert_int_equal(prony_view_make(report, &view), 0);
    (void)prony_view_scaling_say(&view, &view.group[0], false, text, sizeof text);
    assert_non_null(strstr(text, "scaling of thread by the USL: contention "));
    assert_non_null(strstr(text, ", peak at 2"));
    prony_view_free(&view);
    prony_report_free(report);
    made_end(&run);
}

/* Three points allow Amdahl's law and not the USL; two allow none, and only the page says so. */
static void test_too_few(void **state)
{
    static const unsigned counts[] = {1, 2, 4};
    for (unsigned n = 2; n <= 3; n++) {
        struct prony_run run;
        struct prony_report *report = report_of(&run, counts, n);
        const json_t *entry = json_array_get(json_object_get(report->root, "scaling"), 0);
        struct prony_view view;
        char text[512];
        assert_non_null(strstr(prony_json_string(entry, "reason"), "usl needs 4 numbers of workers"));
        assert_int_equal(json_object_size(json_object_get(entry, "laws")), n == 3 ? 1 : 0);
        assert_int_equal(prony_view_make(report, &view), 0);
        (void)prony_view_scaling_say(&view, &view.group[0], false, text, sizeof text);
        assert_int_equal(text[0] != '\0', n == 3);
        (void)prony_view_scaling_say(&view, &view.group[0], true, text, sizeof text);
        assert_non_null(strstr(text, n == 3 ? "by Amdahl's law: serial share" : "is not fitted: amdahl needs 3"));
        prony_view_free(&view);
        prony_report_free(report);
        made_end(&run);
    }
    (void)state;
}

/* The law is drawn over the points. */
static void test_drawn(void **state)
{
    static const unsigned counts[] = {1, 2, 4, 8};
    char folder[] = "/tmp/prony-scaling-XXXXXX", command[200];
    struct prony_run run;
    struct prony_report *report = report_of(&run, counts, 4);
    struct prony_plots plots;
    struct prony_error error = {0, ""};
    char *gp = NULL, *path;
    size_t bytes;
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(prony_plots_draw(report, folder, &plots, &error), 0);
    assert_true(asprintf(&path, "%s/speedup-primes.gp", folder) > 0);
    assert_int_equal(prony_json_slurp(path, &gp, &bytes, &error), 0);
    assert_non_null(strstr(gp, "\nf0(x) = "));
    assert_non_null(strstr(gp, "f0(x)/x with lines"));
    assert_non_null(strstr(gp, "with yerrorbars"));
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    free(gp);
    free(path);
    free(plots.plot);
    prony_report_free(report);
    made_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fitted),
        cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
