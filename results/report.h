/* The report: report.json, report.html, plots/, and exports. The only room that sees jansson and gnuplot. */
#ifndef PRONY_RESULTS_REPORT_H
#define PRONY_RESULTS_REPORT_H

#include "measure/plan.h"
#include <stdio.h>

struct prony_report; /* a report in memory, in the published schema */

/* Builds the report of a run, with its context (kernel, CPU, limits, versions, command line). redact leaves out host
 * names. */
int prony_report_from_run(const struct prony_run *run, int argc, char **argv, bool redact, struct prony_report **report,
                          struct prony_error *error);
/* Reads report.json, or the one in a folder. Malformed: file, line and column; another schema version is said. */
int prony_report_read(const char *path, struct prony_report **report, struct prony_error *error);
/* Says where the report's files are, those of profiles too: in which the page and exports look for them. */
int prony_report_lies_in(struct prony_report *report, const char *folder, struct prony_error *error);
void prony_report_free(struct prony_report *report);

/* Writes report.json, report.html, plots/ and topology.xml into the folder (which exists). Each file is written whole
 * beside its place and renamed: no partial report. Without gnuplot the page is written without plots and says why. */
int prony_report_write(const struct prony_report *report, const char *folder, struct prony_error *error);
/* One format into a file or stream: "json", "md", "csv", "html", "junit", "gab" (github-action-benchmark, smaller is
 * better), "gab-bigger", "bmf" (Bencher), "gbench" (Google Benchmark), "openmetrics"; of profiles "trace", "folded",
 * "flamegraph", "speedscope". -ENODATA without a profile, -EINVAL for an unknown format (the known are named). */
int prony_report_export(const struct prony_report *report, const char *format, FILE *out, struct prony_error *error);
int prony_report_format_check(const char *format, struct prony_error *error);
/* The table a person sees on stdout after a run. width: of the terminal. */
int prony_report_table(const struct prony_report *report, FILE *out, unsigned width, bool colour);
/* Checks a report against what the schema and the method demand; each finding is a line in `findings`. */
int prony_report_check(const struct prony_report *report, struct prony_list *findings, struct prony_error *error);
/* Leaves the files of a cell's profile in FOLDER/profile: the trace, drawings, stacks; at most 50 MB a cell. Sets the
 * digest's stem. -ENOSPC when the disk has no room for them. */
struct prony_profile;
int prony_profile_write(const struct prony_cell *cell, unsigned number, struct prony_profile *profile,
                        const char *folder, struct prony_error *error);

/* How many cells are ok, failed, skipped, interrupted. */
struct prony_report_counts {
    unsigned ok, failed, skipped, interrupted;
};
void prony_report_count(const struct prony_report *report, struct prony_report_counts *counts);

/* Reads a suite: rows and method (fields the file does not give stay as they are). Malformed: file, line and column;
 * unknown keys are errors with the nearest names. rows is malloc'ed. */
int prony_suite_read(const char *path, struct prony_row **rows, unsigned *n, struct prony_method *method,
                     char **summary, struct prony_error *error);

/* The plan as JSON: `prony run --dry-run --json`. */
int prony_plan_json(const struct prony_run *run, FILE *out);
/* JSON of `prony list` and `prony topo`. */
struct prony_list_entry {
    const char *kind, *name, *summary;
    bool available;
    const char *reason;
    const struct prony_option *options;
};
int prony_list_json(const struct prony_list_entry *entries, unsigned n, FILE *out);
int prony_topo_json(const struct prony_topology *topology, const struct prony_placement *placement, FILE *out,
                    struct prony_error *error);

#endif
