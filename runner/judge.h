/* Comparing with a stored report, for `prony compare` and `prony run --baseline`. */
#ifndef PRONY_RUNNER_JUDGE_H
#define PRONY_RUNNER_JUDGE_H

#include "results/judge/compare.h"

struct runner_judging {
    double margin_percent;
    bool different_machines, require_power;
};

#define RUNNER_MARGIN_DEFAULT 5.0

/* What a comparison is worth as an exit code: 1 for a regression, 3 when a cell could not be compared, 4 when one is
 * inconclusive and power is required. What is wrong is said on stderr. */
int runner_judge_exit(const struct prony_comparison *comparison, const struct runner_judging *judging);
/* Reads a baseline before anything is measured, and finds out whether it is of this machine. */
int runner_baseline_read(const char *path, const struct prony_run *run, const struct runner_judging *judging,
                         struct prony_report **baseline, struct prony_error *error);
/* Compares the run's report with it: comparison.json in the folder, a table on stdout when `show`. Returns the exit code. */
int runner_baseline_judge(const struct prony_report *baseline, const char *path, const struct prony_report *report,
                          const char *folder, bool show, const struct runner_judging *judging);
/* Whatever a comparison stumbles on is "could not": exit code 3. */
int runner_judge_say(const struct prony_error *error);

#endif
