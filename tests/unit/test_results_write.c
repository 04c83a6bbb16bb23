/* Writing reports: every file whole, nothing partial, and a page and plots that hold what they should. PRONY_KEEP=FOLDER
 * keeps the made report there, to look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "report_run.h"
#include "results/model.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char words[5][16] = {"prony", "run", "quick", "--name", "it's a test"};
static char *argv_made[] = {words[0], words[1], words[2], words[3], words[4], NULL};

static struct prony_report *report_of(struct prony_run *run)
{
    struct prony_report *report = NULL;
    struct prony_error error = {0, ""};
    int code = prony_report_from_run(run, 5, argv_made, false, &report, &error);
    if (code != 0)
        fail_msg("%s", error.text);
    return report;
}

static void folder_make(char *folder)
{
    const char *keep = getenv("PRONY_KEEP");
    if (keep != NULL) {
        (void)snprintf(folder, 64, "%s", keep);
        (void)mkdir(folder, 0755);
    } else {
        (void)snprintf(folder, 64, "/tmp/prony.report.XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
}

static unsigned folder_clear(const char *folder)
{
    DIR *entries = opendir(folder);
    unsigned n = 0;
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n++;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_DIR)
            (void)folder_clear(path);
        else
            (void)unlink(path);
    }
    (void)closedir(entries);
    (void)rmdir(folder);
    return n;
}

static void writes_all(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    struct prony_error error = {0, ""};
    char folder[64];
    (void)state;
    made_run(&run);
    report = report_of(&run);
    folder_make(folder);
    for (int again = 0; again < 2; again++)
        assert_int_equal(prony_report_write(report, folder, &error), 0);
    prony_report_free(report);
    made_end(&run);
    if (getenv("PRONY_KEEP") == NULL)
        assert_int_equal(folder_clear(folder), 4); /* report.json, topology.xml, report.html, plots; no left-overs */
}

/* Everything that a format writes, as one text. */
static char *exported(const struct prony_report *report, const char *format)
{
    char *text = NULL;
    size_t bytes;
    struct prony_error error = {0, ""};
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    if (prony_report_export(report, format, out, &error) != 0)
        fail_msg("%s", error.text);
    (void)fclose(out);
    return text;
}

static void table_fits_eighty_columns(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    (void)state;
    made_run(&run);
    run.interrupted = true;
    report = report_of(&run);
    assert_int_equal(prony_report_table(report, out, 80, false), 0);
    (void)fclose(out);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "interrupted: 43 of 46 cells were measured; 1 of 46 cells failed"));
    assert_non_null(strstr(text, "failed: worker 1 was killed by SIGKILL"));
    assert_non_null(strstr(text, "no winner: "));
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        if (strlen(line) > 80)
            fail_msg("%zu columns: %s", strlen(line), line);
    free(text);
    prony_report_free(report);
    made_end(&run);
}

/* Text of a report is nowhere taken for markup, formulas or further columns. */
static void exports_escape(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    char *html, *md, *csv;
    (void)state;
    made_run(&run);
    (void)prony_fail(&run.cells[run.count - 1].reason, -ENOTSUP, "a|b <script>alert(1)</script>, \"c\"");
    report = report_of(&run);
    html = exported(report, "html");
    md = exported(report, "md");
    csv = exported(report, "csv");
    assert_null(strstr(html, "<script>alert"));
    assert_non_null(strstr(html, "a|b &lt;script&gt;alert(1)"));
    assert_null(strstr(html, "http")); /* opens offline */
    assert_non_null(strstr(html, "prony run quick --name 'it'\\''s a test' --seed 20261124"));
    assert_non_null(strstr(md, "a\\|b &lt;script>"));
    assert_non_null(strstr(csv, "\"a|b <script>alert(1)</script>, \"\"c\"\"\""));
    free(html);
    free(md);
    free(csv);
    prony_report_free(report);
    made_end(&run);
}

static void json_comes_back(void **state)
{
    struct prony_run run;
    struct prony_report *report, *again = NULL;
    struct prony_list findings = {0};
    struct prony_error error = {0, ""};
    char path[] = "/tmp/prony.report.XXXXXX", *before, *after;
    int fd = mkstemp(path);
    (void)state;
    made_run(&run);
    report = report_of(&run);
    before = exported(report, "json");
    assert_int_equal(write(fd, before, strlen(before)), (ssize_t)strlen(before));
    (void)close(fd);
    if (prony_report_read(path, &again, &error) != 0)
        fail_msg("%s", error.text);
    after = exported(again, "json");
    assert_string_equal(before, after);
    assert_int_equal(prony_report_check(again, &findings, &error), 0);
    if (findings.count > 0)
        fail_msg("%s", findings.item[0]);
    (void)unlink(path);
    free(before);
    free(after);
    prony_report_free(report);
    prony_report_free(again);
    made_end(&run);
}

static void formats_are_known(void **state)
{
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(prony_report_format_check("md", &error), 0);
    assert_int_equal(prony_report_format_check("htlm", &error), -EINVAL);
    assert_non_null(strstr(error.text, "did you mean html?"));
    assert_non_null(strstr(error.text, "html, md, json, csv"));
}

/* A full disk and a folder that is none: the reason, and nothing partial. */
static void what_cannot_be_written(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    struct prony_error error = {0, ""};
    struct rlimit before, small;
    char folder[64] = "/tmp/prony.report.XXXXXX";
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    made_run(&run);
    report = report_of(&run);
    assert_non_null(full);
    assert_int_equal(prony_report_export(report, "json", full, &error), -ENOSPC);
    assert_non_null(strstr(error.text, "No space left on device"));
    (void)fclose(full);
    assert_int_equal(prony_report_write(report, "/dev/null/folder", &error), -ENOTDIR);
    assert_non_null(strstr(error.text, "/dev/null/folder"));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 20000;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(prony_report_write(report, folder, &error), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(strstr(error.text, "report.json"));
    assert_int_equal(folder_clear(folder), 0);
    prony_report_free(report);
    made_end(&run);
}

static void without_gnuplot_the_page_says_so(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    struct prony_error error = {0, ""};
    char folder[64] = "/tmp/prony.report.XXXXXX", page[128], *text = NULL, *path = strdup(getenv("PATH"));
    size_t bytes;
    (void)state;
    made_run(&run);
    report = report_of(&run);
    assert_non_null(mkdtemp(folder));
    (void)setenv("PATH", "/dev/null", 1);
    assert_int_equal(prony_report_write(report, folder, &error), 0);
    (void)setenv("PATH", path, 1);
    (void)snprintf(page, sizeof page, "%s/report.html", folder);
    assert_int_equal(prony_json_slurp(page, &text, &bytes, &error), 0);
    assert_non_null(strstr(text, "gnuplot is not installed"));
    (void)folder_clear(folder);
    free(text);
    free(path);
    prony_report_free(report);
    made_end(&run);
}

/* Many cells: all are on the page, plots stay few, and it is said how many were not drawn. */
static void two_thousand_cells(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    struct prony_error error = {0, ""};
    struct prony_plots plots = {0};
    char folder[64] = "/tmp/prony.report.XXXXXX", items[16], *html;
    unsigned rows = 0;
    (void)state;
    made_begin(&run, 2000);
    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(items, sizeof items, "%u", 1000 + i / 20);
        made_measured(&run, made_cell(&run, made_engines[i % 5], &made_primes, 1 + i / 5 % 4, items), 1e6 + i, 0);
    }
    report = report_of(&run);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(prony_plots_draw(report, folder, &plots, &error), 0);
    assert_true(plots.count >= 10 && plots.count <= 24);
    assert_non_null(strstr(plots.missing, "more plots"));
    html = exported(report, "html");
    for (const char *at = html; (at = strstr(at, "<tr><td class=label>")) != NULL; at++)
        rows++;
    assert_int_equal(rows, 2000);
    (void)folder_clear(folder);
    free(html);
    free(plots.plot);
    prony_report_free(report);
    made_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_all),
        cmocka_unit_test(table_fits_eighty_columns),
        cmocka_unit_test(exports_escape),
        cmocka_unit_test(json_comes_back),
        cmocka_unit_test(formats_are_known),
        cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(without_gnuplot_the_page_says_so),
        cmocka_unit_test(two_thousand_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
