/* Writing reports: every file whole, nothing partial, and a page and plots that hold what they should. PRONY_KEEP=FOLDER
 * keeps the made report there, to look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "report_run.h"

#include <dirent.h>
#include <fcntl.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
