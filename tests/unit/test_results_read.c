/* Malformed reports and suites are told with file, line and column; unsound reports with what is wrong in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "results/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void malformed_reports(void **state)
{
    static const struct {
        const char *file, *said;
        int code;
    } cases[] = {
        {"truncated.json", "truncated.json:4:0: not valid JSON", -EINVAL},
        {"no-report.json", "not a prony report", -EINVAL},
        {"other-version.json", "prony.report/9 is not the one this prony reads (prony.report/1)", -EPROTO},
        {"cells-is-object.json", "cells-is-object.json:3:2: \"cells\" is not an array", -EINVAL},
        {"cell-is-number.json", "cell-is-number.json:4:3: a cell is an object", -EINVAL},
        {"nowhere.json", "No such file", -ENOENT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prony_report *report = NULL;
        struct prony_error error = {0, ""};
        char path[512];
        (void)snprintf(path, sizeof path, "%s/reports/%s", FIXTURES, cases[i].file);
        assert_int_equal(prony_report_read(path, &report, &error), cases[i].code);
        if (strstr(error.text, cases[i].said) == NULL)
            fail_msg("%s: said '%s', not '%s'", cases[i].file, error.text, cases[i].said);
    }
}

static bool found(const struct prony_list *findings, const char *id, const char *words)
{
    for (size_t i = 0; i < findings->count; i++)
        if (strncmp(findings->item[i], id, strlen(id)) == 0 && strstr(findings->item[i], words) != NULL)
            return true;
    return false;
}

static void unsound_reports(void **state)
{
    static const char *const wanted[][2] = {{"twice", "more than one cell"}, {"silent", "without a reason"},
                                            {"idle", "ok without a visit"},  {"unverified", "no answer was verified"},
                                            {"hollow", "has no samples"},    {"wrong", "not that of its samples"},
                                            {"wrong", "one PU a worker"},    {"bold", "p99 from 500 operations"},
                                            {"zero", "does not fit"},        {"zero", "does not say why"}};
    struct prony_report *report = NULL;
    struct prony_list findings = {0};
    (void)state;
    assert_int_equal(prony_report_read(FIXTURES "/reports/unsound.json", &report, NULL), 0);
    assert_int_equal(prony_report_check(report, &findings, NULL), 0);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!found(&findings, wanted[i][0], wanted[i][1]))
            fail_msg("%s: '%s' was not found", wanted[i][0], wanted[i][1]);
    assert_false(found(&findings, "bold", "p50"));
    prony_list_free(&findings);
    prony_report_free(report);
}

/* Writes a suite's text into a file and reads it. */
static int suite_read(const char *text, struct prony_row **rows, unsigned *n, struct prony_method *method,
                      char **summary, struct prony_error *error)
{
    char path[] = "/tmp/prony.suite.XXXXXX";
    int fd = mkstemp(path), code;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    code = prony_suite_read(path, rows, n, method, summary, error);
    (void)unlink(path);
    return code;
}

static void good_suite(void **state)
{
    struct prony_row *rows = NULL;
    struct prony_method method = {.visits = 9, .samples = 4, .launches = 3};
    struct prony_error error = {0, ""};
    char *summary = NULL;
    unsigned n = 0;
    (void)state;
    if (suite_read("{\"suite\": \"s\", \"summary\": \"one line\", \"budget\": \"90s\", \"visits\": 7, \"precision\": "
                   "\"1.5%\",\n"
                   " \"rows\": [{\"engines\": [\"@core\"], \"workloads\": [\"primes\"], \"workers\": [1, \"cores\"]},\n"
                   "  {\"workloads\": [\"empty\"], \"place\": [\"spread\"], \"params\": [\"empty.items=1k,2k\"]}]}",
                   &rows, &n, &method, &summary, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(n, 2);
    assert_string_equal(summary, "one line");
    assert_int_equal(method.visits, 7);
    assert_int_equal(method.samples, 4); /* not given: as it was */
    assert_true(method.budget_ns == 90000000000 && method.precision > 1.49 && method.precision < 1.51);
    assert_string_equal(rows[0].workers.item[0], "1");
    assert_string_equal(rows[0].workers.item[1], "cores");
    assert_string_equal(rows[1].places.item[0], "spread");
    assert_string_equal(rows[1].params.item[0], "empty.items=1k,2k");
    for (unsigned i = 0; i < n; i++)
        prony_row_free(&rows[i]);
    free(rows);
    free(summary);
}

static void malformed_suites(void **state)
{
    static const char *const cases[][2] = {
        {"{", ":1:1: not valid JSON"},
        {"{\"rows\": [],\n \"rows\": []}", "duplicate object key"},
        {"[]", ":1:1: a suite is an object"},
        {"{\n  \"visit\": 6}", ":2:3: unknown key \"visit\"; did you mean visits?"},
        {"{\"visits\": 6}", "a suite needs \"rows\""},
        {"{\"rows\": []}", ":1:2: \"rows\" is a list of at least one row"},
        {"{\"visits\": 0, \"rows\": [{\"workloads\": [\"a\"]}]}", ":1:2: \"visits\" is a whole number from 1"},
        {"{\"visits\": \"6\", \"rows\": [{\"workloads\": [\"a\"]}]}", ":1:2: \"visits\" is a whole number"},
        {"{\"budget\": 60, \"rows\": [{\"workloads\": [\"a\"]}]}", ":1:2: \"budget\" is a duration"},
        {"{\"precision\": \"200%\", \"rows\": [{\"workloads\": [\"a\"]}]}", "\"precision\" is a percentage"},
        {"{\"suite\": 3, \"rows\": [{\"workloads\": [\"a\"]}]}", "are texts"},
        {"{\"rows\": [{\"workloads\": [\"a\"]},\n {\"workloads\": [\"a\"],\n\t\"engine\": [\"b\"]}]}",
         ":3:2: unknown key \"engine\"; did you mean engines?"},
        {"{\"rows\": [{\"workloads\": \"a\"}]}", ":1:12: a row's keys hold lists"},
        {"{\"rows\": [{\"workloads\": [\"\303\244\", true]}]}", ":1:31: lists hold names and numbers"},
        {"{\"rows\": [7]}", ":1:11: a row is an object"},
        {"{\"rows\": [{\"engines\": [\"a\"]}]}", ":1:11: a row needs \"workloads\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prony_row *rows = NULL;
        struct prony_method method = {.visits = 9};
        struct prony_error error = {0, ""};
        char *summary = NULL;
        unsigned n = 0;
        assert_int_equal(suite_read(cases[i][0], &rows, &n, &method, &summary, &error), -EINVAL);
        if (strstr(error.text, cases[i][1]) == NULL)
            fail_msg("%s: said '%s', not '%s'", cases[i][0], error.text, cases[i][1]);
        assert_int_equal(method.visits, 9);
        assert_null(rows);
        assert_null(summary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(malformed_reports), cmocka_unit_test(unsound_reports),
                                       cmocka_unit_test(good_suite), cmocka_unit_test(malformed_suites)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
