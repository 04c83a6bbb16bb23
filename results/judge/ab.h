/* What a paired comparison of two commands leaves: a table, and JSON (schema/verdict.schema.json), Markdown, a page and
 * JUnit XML; and the readers of commands that print JSON. */
#ifndef PRONY_RESULTS_AB_H
#define PRONY_RESULTS_AB_H

#include "measure/ab.h"
#include "topology/topology.h"

#include <stdio.h>

/* What is told beside the comparison itself. */
struct prony_ab_telling {
    const struct prony_ab_plan *plan;
    const struct prony_ab *ab;
    const char *base, *head, *read; /* as typed */
    const struct prony_topology *topology;
    int argc;
    char **argv;
    int64_t started_s; /* Unix time */
    bool colour;       /* of the table */
    bool redact;       /* leaves the host's name out of JSON */
};

/* "table", "json", "md", "html", "junit", "gab" (github-action-benchmark), "bmf" (Bencher). -EINVAL for another, naming those. */
int prony_ab_export(const struct prony_ab_telling *telling, const char *format, FILE *out, struct prony_error *error);
/* The whole as JSON. */
int prony_ab_json(const struct prony_ab_telling *telling, FILE *out);
/* The head's medians for tools that keep trends; smaller is better unless the plan says higher. */
int prony_ab_gab(const struct prony_ab_telling *telling, FILE *out);
int prony_ab_bmf(const struct prony_ab_telling *telling, FILE *out);
int prony_ab_format_check(const char *format, struct prony_error *error);
/* The whole in one word: "regressed", "inconclusive", "improved" or "equivalent"; "failed" or "interrupted" when it was
 * not judged. */
const char *prony_ab_word(const struct prony_ab *ab);

/* Readers of stdout. Google Benchmark's JSON: rows are benchmarks (aggregates are left out), time and cpu in ns, user
 * counters by name. A prony report: cells are benchmarks, with time (ns), rate, and the latency's p50, p99 and max. */
prony_read_fn prony_read_gbench;
prony_read_fn prony_read_report;
/* One number of a JSON text, or an array of samples of it. */
struct prony_read_field {
    const char *path, *metric; /* "results.0.mean" or "results[0].mean" */
};
prony_read_fn prony_read_field; /* context: struct prony_read_field */

/* What a reader's numbers are, for people: "ns", "bytes" or "". */
const char *prony_ab_unit(const char *read, const char *metric);

#endif
