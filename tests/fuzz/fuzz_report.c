/* Reports, and the files of other tools that become reports: whatever is in them, they are read or refused with a reason,
 * and what was read can be checked, told and exported. */
#include "tests/fuzz/fuzz.h"

#include "results/judge/compare.h"
#include "results/model.h"

static void told(const struct prony_report *report, FILE *out)
{
    static const char *const formats[] = {"json",       "md",  "csv",    "junit",      "gab",
                                          "gab-bigger", "bmf", "gbench", "openmetrics"};
    const struct prony_plots none = {0, NULL, "not drawn"};
    struct prony_list findings = {NULL, 0, 0};
    struct prony_error error = {0, ""};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        (void)prony_report_export(report, formats[i], out, &error);
    (void)prony_report_page(report, NULL, &none, out);
    (void)prony_report_table(report, out, 80, false);
    (void)prony_report_check(report, &findings, &error);
    prony_list_free(&findings);
}

static void judged(const struct prony_report *report, FILE *out)
{
    static const struct prony_compare_how how = {5, true};
    struct prony_comparison *comparison = NULL;
    struct prony_error error = {0, ""};
    if (prony_compare(report, "a", report, "b", &how, &comparison, &error) == 0) {
        struct prony_compare_counts counts;
        prony_comparison_count(comparison, &counts);
        FUZZ_CHECK(counts.regressed == 0 && counts.improved == 0 && counts.alone == 0); /* it is itself */
        (void)prony_comparison_export(comparison, "md", out, &error);
        prony_comparison_free(comparison);
    }
    if (prony_rank(report, "a", &comparison, &error) == 0) {
        (void)prony_comparison_table(comparison, out, false);
        prony_comparison_free(comparison);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prony_report *report = NULL;
    struct prony_error error = {0, ""};
    FILE *out = fopen("/dev/null", "w");
    char path[32];
    int fd = fuzz_file(data, size, path);
    FUZZ_CHECK(out != NULL);
    if (prony_report_read(path, &report, &error) == 0) {
        told(report, out);
        judged(report, out);
        prony_report_free(report);
    } else {
        FUZZ_CHECK(report == NULL && error.text[0] != '\0');
    }
    (void)fclose(out);
    (void)close(fd);
    return 0;
}
