/* From a comparison to an exit code. */
#include "runner/judge.h"
#include "base/log.h"
#include "runner/command.h"
#include "runner/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int runner_judge_exit(const struct prony_comparison *comparison, const struct runner_judging *judging)
{
    struct prony_compare_counts counts;
    prony_comparison_count(comparison, &counts);
    if (counts.regressed > 0) {
        prony_error_say("%u regressed beyond %g%%", counts.regressed, judging->margin_percent);
        return EXIT_REGRESSED;
    }
    if (counts.uncompared > 0) {
        prony_error_say("%u could not be compared", counts.uncompared);
        return EXIT_CANNOT;
    }
    if (judging->require_power && counts.inconclusive > 0) {
        prony_error_say("%u inconclusive at a margin of %g%%: more visits or launches would narrow the intervals",
                        counts.inconclusive, judging->margin_percent);
        return EXIT_INCONCLUSIVE;
    }
    return EXIT_DONE;
}

int runner_judge_say(const struct prony_error *error)
{
    (void)runner_say(error);
    return EXIT_CANNOT;
}

int runner_baseline_read(const char *path, const struct prony_run *run, const struct runner_judging *judging,
                         struct prony_report **baseline, struct prony_error *error)
{
    struct prony_report *here = NULL;
    char machines[256] = "";
    int code = prony_report_read(path, baseline, error);
    if (code == 0 && !judging->different_machines &&
        (code = prony_report_from_run(run, 0, NULL, false, &here, error)) == 0 &&
        prony_compare_machines(*baseline, here, machines, sizeof machines)[0] != '\0')
        code = prony_fail(error, -EXDEV, "%s is of another machine (%s); --different-machines compares with it", path,
                          machines);
    prony_report_free(here);
    if (code != 0) {
        prony_report_free(*baseline);
        *baseline = NULL;
    }
    return code;
}

int runner_baseline_judge(const struct prony_report *baseline, const char *path, const struct prony_report *report,
                          const char *folder, bool show, const struct runner_judging *judging)
{
    const struct prony_compare_how how = {judging->margin_percent, judging->different_machines};
    struct prony_comparison *comparison = NULL;
    struct prony_error error = {0, ""};
    struct runner_out out;
    char what[1100];
    int code = prony_compare(baseline, path, report, folder, &how, &comparison, &error);
    if (code == 0 && show) {
        (void)printf("\nCompared with %s:\n\n", path);
        (void)prony_comparison_table(comparison, stdout, isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL);
    }
    (void)snprintf(what, sizeof what, "json:%s/comparison.json", folder);
    if (code == 0 && (code = runner_out_open(&out, what, NULL, &error)) == 0)
        code = runner_out_close(&out, prony_comparison_export(comparison, "json", out.file, &error), &error);
    code = code != 0 ? runner_judge_say(&error) : runner_judge_exit(comparison, judging);
    prony_comparison_free(comparison);
    return code;
}
