/* Judging stored reports: one against another cell by cell, or the engines of one against each other. */
#ifndef PRONY_RESULTS_COMPARE_H
#define PRONY_RESULTS_COMPARE_H

#include "results/report.h"

struct prony_comparison; /* in memory; the JSON of results/schema/compare.schema.json or rank.schema.json */

struct prony_compare_how {
    double margin_percent;   /* a regression is a slowdown whose whole interval lies beyond it */
    bool different_machines; /* compare them all the same */
};

struct prony_compare_counts {
    unsigned regressed, improved, equivalent, inconclusive;
    unsigned uncompared; /* failed, interrupted or of different work on one side */
    unsigned skipped;    /* not measured on one side, by plan */
    unsigned alone;      /* in one report only */
};

/* Compares b with a: cells by id, the ratio of their medians b / a with an unpaired interval (stats/ratio.h) over launches
 * when both have at least 6 of them, else over visits. Says what differs between the contexts.
 * -EXDEV: different machines; -ENODATA: nothing in common was measured; -EINVAL: a time that is none. No verdict then. */
int prony_compare(const struct prony_report *a, const char *a_name, const struct prony_report *b, const char *b_name,
                  const struct prony_compare_how *how, struct prony_comparison **comparison, struct prony_error *error);
/* The first reason for which prony_compare would refuse these two as different machines; "" when they are one, as far as
 * both tell. */
const char *prony_compare_machines(const struct prony_report *a, const struct prony_report *b, char *text,
                                   size_t bytes);
/* Ranks what was measured of each workload, in groups that cannot be told apart. -ENODATA: nothing was. */
int prony_rank(const struct prony_report *report, const char *name, struct prony_comparison **comparison,
               struct prony_error *error);
void prony_comparison_free(struct prony_comparison *comparison);
void prony_comparison_count(const struct prony_comparison *comparison, struct prony_compare_counts *counts);

int prony_comparison_table(const struct prony_comparison *comparison, FILE *out, bool colour);
/* "json", "md", "html"; "junit" for two reports. */
int prony_comparison_export(const struct prony_comparison *comparison, const char *format, FILE *out,
                            struct prony_error *error);
/* -EINVAL with the known ones. */
int prony_comparison_format_check(const char *format, struct prony_error *error);

#endif
