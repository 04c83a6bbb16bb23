/* The figures of a report against answers worked out by hand, and what is said instead where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "report_run.h"
#include "results/model.h"

#include <unistd.h>

static char word[] = "prony";
static char *words[] = {word, NULL};

static struct prony_report *report_of(const struct prony_run *run)
{
    struct prony_report *report = NULL;
    struct prony_error error = {0, ""};
    if (prony_report_from_run(run, 1, words, false, &report, &error) != 0)
        fail_msg("%s", error.text);
    return report;
}

static const json_t *cell_at(const struct prony_report *report, size_t i)
{
    return json_array_get(json_object_get(report->root, "cells"), i);
}

static double stat_of(const struct prony_report *report, size_t i, const char *key)
{
    return prony_json_number(json_object_get(cell_at(report, i), "stats"), key);
}

/* A visit a time; all samples of a visit are alike. Blocks count from `first`. */
static struct prony_cell *timed(struct prony_run *run, const struct prony_engine *engine, unsigned workers,
                                unsigned first, const uint64_t *ns, unsigned n)
{
    struct prony_cell *cell = made_cell(run, engine, &made_primes, workers, "1k");
    cell->outcome = PRONY_OK;
    cell->repeats = 2;
    cell->verified = n;
    cell->visits = calloc(n, sizeof *cell->visits);
    cell->visits_count = n;
    for (unsigned i = 0; i < n; i++) {
        cell->visits[i].block = first + i;
        cell->visits[i].samples = 3;
        cell->visits[i].samples_ns = calloc(3, sizeof(uint64_t));
        cell->visits[i].samples_ns[0] = cell->visits[i].samples_ns[1] = ns[i];
        cell->visits[i].samples_ns[2] = ns[i] * 100; /* a median does not see it */
    }
    return cell;
}

static void medians_and_intervals(void **state)
{
    static const uint64_t serial[] = {2000, 2200, 2400, 2600, 2800, 3000, 3200},
                          fast[] = {1000, 1100, 1200, 1300, 1400, 1500, 1600};
    struct prony_run run;
    struct prony_report *report;
    (void)state;
    made_begin(&run, 4);
    (void)timed(&run, &made_serial, 1, 0, serial, 7);
    (void)timed(&run, &made_thread, 2, 0, fast, 7);
    (void)timed(&run, &made_fork, 2, 0, fast, 5);
    report = report_of(&run);
    assert_float_equal(stat_of(report, 0, "median"), 1300, 1e-9); /* by repetition: two in a sample */
    assert_float_equal(prony_json_end(json_object_get(cell_at(report, 0), "stats"), "ci95", 0), 1000, 1e-9);
    assert_float_equal(prony_json_end(json_object_get(cell_at(report, 0), "stats"), "ci95", 1), 1600, 1e-9);
    assert_float_equal(stat_of(report, 0, "rate"), 1000 / 1300e-9, 1);
    assert_float_equal(stat_of(report, 0, "speedup"), 1, 1e-12);
    assert_float_equal(stat_of(report, 1, "speedup"), 2, 1e-12); /* in every block, whatever the drift */
    assert_float_equal(prony_json_end(json_object_get(cell_at(report, 1), "stats"), "speedup_ci95", 0), 2, 1e-9);
    assert_float_equal(prony_json_end(json_object_get(cell_at(report, 1), "stats"), "speedup_ci95", 1), 2, 1e-9);
    assert_float_equal(stat_of(report, 1, "efficiency"), 1, 1e-12);
    assert_string_equal(prony_json_string(json_object_get(cell_at(report, 1), "stats"), "baseline"), run.cells[0].id);
    assert_true(json_is_null(json_object_get(json_object_get(cell_at(report, 2), "stats"), "ci95"))); /* 5 visits */
    prony_report_free(report);
    made_end(&run);
}

static void pairs_only_within_blocks(void **state)
{
    static const uint64_t serial[] = {2000, 2000, 8000, 8000}, fast[] = {4000, 4000, 1000, 1000};
    struct prony_run run;
    struct prony_report *report;
    (void)state;
    made_begin(&run, 4);
    (void)timed(&run, &made_serial, 1, 0, serial, 4); /* blocks 0 to 3 */
    (void)timed(&run, &made_thread, 2, 2, fast, 4);   /* blocks 2 to 5: 8000/4000 in 2 and in 3 */
    (void)timed(&run, &made_fork, 2, 9, fast, 4);     /* none in common */
    report = report_of(&run);
    assert_float_equal(stat_of(report, 1, "speedup"), 2, 1e-12);
    assert_true(isnan(stat_of(report, 2, "speedup")));
    prony_report_free(report);
    made_end(&run);
}

static void marked_visits_are_left_out_while_enough_remain(void **state)
{
    static const uint64_t ns[] = {900, 2000, 2000, 2000, 2000, 2000, 2000};
    struct prony_run run;
    struct prony_report *report;
    (void)state;
    made_begin(&run, 4);
    timed(&run, &made_serial, 1, 0, ns, 7)->visits[0].disturbed.marked = true;
    timed(&run, &made_thread, 1, 0, ns, 3)->visits[0].disturbed.marked = true;
    report = report_of(&run);
    assert_int_equal((int)stat_of(report, 0, "visits"), 6);
    assert_int_equal((int)stat_of(report, 0, "left_out"), 1);
    assert_int_equal((int)stat_of(report, 1, "visits"), 3);
    assert_true(json_is_true(json_object_get(json_object_get(cell_at(report, 1), "stats"), "marked_used")));
    prony_report_free(report);
    made_end(&run);
}

static const json_t *part_of(const struct prony_report *report, size_t i, const char *part, const char *key)
{
    return json_object_get(json_object_get(json_object_get(cell_at(report, i), "stats"), part), key);
}

static void both_summaries_are_there(void **state)
{
    static const uint64_t ns[] = {9000, 2000, 2200, 2400, 2600, 2800, 3000, 8000};
    struct prony_run run;
    struct prony_report *report;
    struct prony_cell *cell;
    const json_t *all, *clean;
    (void)state;
    made_begin(&run, 4);
    cell = timed(&run, &made_thread, 2, 0, ns, 8);
    cell->visits[0].disturbed.marked = cell->visits[7].disturbed.marked = true;
    timed(&run, &made_fork, 2, 0, ns, 2)->visits[0].disturbed.marked = true;
    timed(&run, &made_serial, 1, 0, ns, 8)->outcome = PRONY_FAILED;
    (void)prony_fail(&run.cells[2].reason, -EBADMSG, "the answer was 41");
    report = report_of(&run);
    all = part_of(report, 0, "summaries", "all");
    clean = part_of(report, 0, "summaries", "clean");
    assert_float_equal(prony_json_number(all, "visits"), 8, 0);
    assert_float_equal(prony_json_number(all, "median"), 1350, 1e-9);
    assert_float_equal(prony_json_end(all, "ci95", 0), 1000, 1e-9);
    assert_float_equal(prony_json_end(all, "ci95", 1), 4500, 1e-9);
    assert_float_equal(prony_json_number(clean, "visits"), 6, 0);
    assert_float_equal(prony_json_number(clean, "median"), 1250, 1e-9);
    assert_float_equal(prony_json_end(clean, "ci95", 1), 1500, 1e-9);
    assert_float_equal(stat_of(report, 0, "median"), 1250, 1e-9);
    clean = part_of(report, 1, "summaries", "clean"); /* one visit: a median, and no interval */
    assert_float_equal(prony_json_number(clean, "median"), 1000, 1e-9);
    assert_true(json_is_null(json_object_get(clean, "ci95")));
    all = part_of(report, 2, "summaries", "all");
    assert_true(json_is_null(json_object_get(all, "median")));
    assert_true(json_is_null(part_of(report, 2, "levels", "visit")));
    prony_report_free(report);
    made_end(&run);
}

static void the_spread_is_told_by_level(void **state)
{
    /* Launches of three visits: medians 2000, 3000, 3600. Deviations within them: 200, 600 and 360 of those. */
    static const uint64_t ns[] = {1800, 2000, 2400, 2400, 3000, 4000, 3600, 3240, 3960};
    static const uint64_t samples[] = {90, 100, 120};
    struct prony_run run;
    struct prony_report *report;
    struct prony_cell *cell;
    (void)state;
    made_begin(&run, 4);
    cell = timed(&run, &made_thread, 2, 0, ns, 9);
    for (unsigned i = 0; i < 9; i++) {
        cell->visits[i].launch = i / 3;
        for (unsigned j = 0; j < 3; j++)
            cell->visits[i].samples_ns[j] = ns[i] * samples[j] / 100;
    }
    (void)timed(&run, &made_fork, 2, 0, ns, 3);
    cell = timed(&run, &made_serial, 1, 0, ns, 1);
    cell->visits[0].samples = 1;
    report = report_of(&run);
    assert_float_equal(json_number_value(part_of(report, 0, "levels", "launch")), 20, 1e-9); /* 600 of 3000 */
    assert_float_equal(json_number_value(part_of(report, 0, "levels", "visit")), 10, 1e-9);  /* of 10, 20, 10 */
    assert_float_equal(json_number_value(part_of(report, 0, "levels", "sample")), 10, 1e-9); /* in every visit */
    assert_true(json_is_null(part_of(report, 1, "levels", "launch")));                       /* one launch */
    assert_float_equal(json_number_value(part_of(report, 1, "levels", "visit")), 10, 1e-9);
    assert_true(json_is_null(part_of(report, 2, "levels", "visit"))); /* one visit, of one sample */
    assert_true(json_is_null(part_of(report, 2, "levels", "sample")));
    prony_report_free(report);
    made_end(&run);
}

static void a_failed_cell_has_no_figures(void **state)
{
    static const uint64_t ns[] = {10, 10, 10, 10, 10, 10, 10};
    struct prony_run run;
    struct prony_report *report;
    struct prony_report_counts counts;
    (void)state;
    made_begin(&run, 4);
    timed(&run, &made_thread, 1, 0, ns, 7)->outcome = PRONY_FAILED;
    (void)prony_fail(&run.cells[0].reason, -EBADMSG, "the answer was 41");
    (void)made_cell(&run, &made_fork, &made_primes, 1, "1k"); /* pending: never reached */
    run.interrupted = true;
    report = report_of(&run);
    assert_true(isnan(stat_of(report, 0, "median")) && isnan(stat_of(report, 0, "rate")));
    assert_int_equal(json_array_size(json_object_get(cell_at(report, 0), "visits")), 7); /* raw samples stay */
    assert_string_equal(prony_json_string(cell_at(report, 0), "reason"), "the answer was 41");
    assert_string_equal(prony_json_string(cell_at(report, 1), "status"), "interrupted");
    assert_true(prony_json_string(cell_at(report, 1), "reason")[0] != '\0');
    prony_report_count(report, &counts);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.interrupted, 1);
    prony_report_free(report);
    made_end(&run);
}

static void percentiles_need_ten_beyond(void **state)
{
    static const uint64_t ns[] = {10, 10};
    struct prony_run run;
    struct prony_report *report;
    struct prony_histogram *latency = calloc(1, sizeof *latency);
    const json_t *made;
    (void)state;
    made_begin(&run, 4);
    timed(&run, &made_thread, 1, 0, ns, 2)->latency = latency;
    for (unsigned i = 0; i < 1000; i++)
        prony_histogram_record(latency, 100 + i % 2);
    report = report_of(&run);
    made = json_object_get(cell_at(report, 0), "latency");
    assert_true(prony_json_number(made, "p50") >= 100 && prony_json_number(made, "p99") <= 102);
    assert_true(json_is_null(json_object_get(made, "p99.9"))); /* one operation lies beyond, not ten */
    assert_int_equal(json_integer_value(json_object_get(made, "max")), 101);
    assert_int_equal(json_array_size(json_object_get(made, "histogram")), 2);
    prony_report_free(report);
    made_end(&run);
}

static void what_was_not_counted_is_null(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    const json_t *counters, *event;
    (void)state;
    made_begin(&run, 4);
    made_measured(&run, made_cell(&run, &made_thread, &made_primes, 2, "1k"), 1e6, 0);
    run.cells[0].who[1].values[2].status = PRONY_DENIED;
    report = report_of(&run);
    counters = json_object_get(cell_at(report, 0), "counters");
    event = json_object_get(json_object_get(json_array_get(json_object_get(counters, "workers"), 0), "events"),
                            "PAPI_TOT_INS");
    assert_true(json_is_null(json_object_get(event, "value")));
    assert_string_equal(prony_json_string(event, "status"), "not supported");
    assert_true(prony_json_string(event, "reason")[0] != '\0');
    assert_int_equal(
        (int)prony_json_number(json_object_get(json_object_get(counters, "total"), "page-faults"), "value"), 12 + 17);
    event = json_object_get(json_object_get(counters, "total"), "context-switches"); /* one of two workers was denied */
    assert_true(json_is_null(json_object_get(event, "value")));
    assert_string_equal(prony_json_string(event, "status"), "denied");
    prony_report_free(report);
    made_end(&run);
}

static void redaction_takes_the_host_out(void **state)
{
    struct prony_run run;
    struct prony_report *report = NULL;
    char host[256] = "", path[300], *typed[] = {word, path, NULL}, *all;
    (void)state;
    (void)gethostname(host, sizeof host - 1);
    if (host[0] == '\0')
        skip();
    (void)snprintf(path, sizeof path, "/net/%s/suite.json", host);
    made_begin(&run, 4);
    (void)prony_list_add(&run.notes, path, strlen(path));
    assert_int_equal(prony_report_from_run(&run, 2, typed, true, &report, NULL), 0);
    all = json_dumps(json_object_get(report->root, "context"), 0);
    assert_non_null(strstr(all, "/net/HOST/suite.json"));
    assert_null(strstr(all, path));
    assert_true(json_is_null(json_object_get(json_object_get(report->root, "context"), "host")));
    assert_null(strstr(
        json_string_value(json_array_get(json_object_get(json_object_get(report->root, "plan"), "notes"), 0)), path));
    if (report->xml != NULL) {
        char info[400];
        (void)snprintf(info, sizeof info, "value=\"%s\"", host);
        assert_null(strstr(report->xml, info));
    }
    free(all);
    prony_report_free(report);
    made_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians_and_intervals),
        cmocka_unit_test(pairs_only_within_blocks),
        cmocka_unit_test(marked_visits_are_left_out_while_enough_remain),
        cmocka_unit_test(both_summaries_are_there),
        cmocka_unit_test(the_spread_is_told_by_level),
        cmocka_unit_test(a_failed_cell_has_no_figures),
        cmocka_unit_test(percentiles_need_ten_beyond),
        cmocka_unit_test(what_was_not_counted_is_null),
        cmocka_unit_test(redaction_takes_the_host_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
