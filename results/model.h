/* What the files of this room share: the report in memory is its JSON, so that a report that was read and one that was
 * just measured go the same ways. jansson is seen in this room only. */
#ifndef PRONY_RESULTS_MODEL_H
#define PRONY_RESULTS_MODEL_H

#include "results/report.h"

#include <jansson.h>

#define PRONY_REPORT_SCHEMA "prony.report/1"
#define PRONY_CONFIDENCE 0.95

struct prony_report {
    json_t *root;
    char *folder; /* where it lies, for the files beside it; NULL: nowhere yet */
    char *xml;    /* the topology as hwloc XML, for topology.xml; NULL: none */
};

/* A number, or null for NaN and infinities. */
json_t *prony_json_real(double value);
/* A string that is valid UTF-8 whatever the bytes were (others become '?'); null for NULL. */
json_t *prony_json_text(const char *text);
/* An unsigned count; beyond 2^63-1 it is held at that. */
json_t *prony_json_count(uint64_t value);
/* [low, high], or null when either is not a number. */
json_t *prony_json_pair(double low, double high);
/* A member's number (NaN when absent or null) or string ("" then). */
double prony_json_number(const json_t *object, const char *key);
const char *prony_json_string(const json_t *object, const char *key);
/* A member that is a count; UINT_MAX when it is none. */
unsigned prony_json_whole(const json_t *object, const char *key);
/* One of a pair's ends. */
double prony_json_end(const json_t *object, const char *key, size_t end);
/* Writes a value as indented text with its newline. 0; -ENOMEM for NULL, -EIO. */
int prony_json_print(const json_t *value, FILE *out);
/* The same, and lets go of it. */
int prony_json_print_free(json_t *value, FILE *out);
/* A whole file's bytes, at most 256 MiB; freed by the caller. */
int prony_json_slurp(const char *path, char **text, size_t *bytes, struct prony_error *error);
/* Parses a file; a mistake is told as FILE:LINE:COLUMN. The text goes with the root, for prony_where; both are owned by
 * the caller. */
int prony_json_load(const char *path, json_t **root, char **text, struct prony_error *error);

/* Where something stands in a text that is valid JSON. */
struct prony_where {
    unsigned line, column; /* from 1; columns are characters */
};
struct prony_step {
    const char *key; /* of an object; NULL: */
    size_t index;    /* of an array */
};
/* The place of the key (of an object) or the value (of an array) that n steps lead to; the start of the text when they
 * lead nowhere. */
struct prony_where prony_where_is(const char *text, const struct prony_step *steps, unsigned n);

/* The context and the plan of a run, as JSON; NULL without memory. */
json_t *prony_context_json(const struct prony_run *run, int argc, char **argv);
json_t *prony_tool_json(void);
/* Of a cell whose workers send messages, else null. median_ns: of one repetition. */
double
prony_wire_arrived(const struct prony_cell *cell); /* part of the items that arrived; 1 where nothing can be lost */
json_t *prony_wire_json(const struct prony_run *run, const struct prony_cell *cell, double median_ns);
json_t *prony_cell_json(const struct prony_run *run, const struct prony_cell *cell);
/* Takes the host's name out of context, notes and reasons, and out of the topology. */
int prony_context_redact(struct prony_report *report);

/* Statistics over the visits of each cell, and speed-ups against the serial cells; `cells` is the JSON array of the run's
 * cells, in the same order. */
int prony_stats_add(const struct prony_run *run, json_t *cells);

/* Relative spread in percent between launches, between the visits of a launch, between the samples of a visit; null where
 * there is one of them only. With `clean`, marked visits are left out. NULL: no memory. */
json_t *prony_levels_json(const struct prony_cell *cell, bool clean);
/* The figures of all visits, and of those that are not marked: { all, clean }. */
json_t *prony_summaries_json(const struct prony_cell *cell);
/* Laws of scaling fitted to each series of cells that differ in their workers only; an array. */
json_t *prony_scaling_json(const struct prony_run *run);
/* A file under way: written as `temporary`, to be renamed to `path`. */
struct prony_writing {
    char *path, *temporary;
    FILE *out;
};
int prony_writing_begin(struct prony_writing *writing, const char *folder, const char *name, struct prony_error *error);
/* Ends it: in place when code is 0 and all bytes reached the disk, else gone. */
int prony_writing_end(struct prony_writing *writing, int code, struct prony_error *error);

/* The layout of report.json: one line a cell. */
int prony_report_dump(const struct prony_report *report, FILE *out);
int prony_report_markdown(const struct prony_report *report, FILE *out);
int prony_report_csv(const struct prony_report *report, FILE *out);
int prony_report_junit(const struct prony_report *report, FILE *out);
/* github-action-benchmark: times for customSmallerIsBetter, rates for customBiggerIsBetter. */
int prony_report_gab(const struct prony_report *report, FILE *out);
int prony_report_gab_bigger(const struct prony_report *report, FILE *out);
/* Bencher Metric Format. */
int prony_report_bmf(const struct prony_report *report, FILE *out);
/* Google Benchmark's JSON: a visit is a repetition. */
int prony_report_gbench(const struct prony_report *report, FILE *out);
/* OpenMetrics text, for Prometheus. */
int prony_report_openmetrics(const struct prony_report *report, FILE *out);
/* plots: a folder with NAME.svg and index of names, or NULL; `missing` says why there are none. */
struct prony_plot {
    const char *kind; /* "rate"; a page puts those of a kind together */
    char name[64], title[128], caption[256];
};
struct prony_plots {
    unsigned count;
    struct prony_plot *plot;
    char missing[200]; /* why some or all are not there; empty: all are */
};
/* Draws into a folder that exists. 0 also without gnuplot (see missing). */
int prony_plots_draw(const struct prony_report *report, const char *folder, struct prony_plots *plots,
                     struct prony_error *error);
int prony_report_page(const struct prony_report *report, const char *plots_folder, const struct prony_plots *plots,
                      FILE *out);

#endif
