/* A report as tables and pages show it: cells with their figures, in groups that can be compared (one workload with one
 * set of parameters), each cell named by what sets it apart in its group. Borrows from the report, which must outlive it. */
#ifndef PRONY_RESULTS_VIEW_H
#define PRONY_RESULTS_VIEW_H

#include "results/model.h"

struct prony_figure {
    double value, low, high; /* NaN: none */
};

struct prony_view_cell {
    const json_t *json;
    const char *id, *engine, *workload, *status, *reason, *unit, *shape;
    char *series; /* "fork", "thread wait=spin", "fork over pipe, spread" */
    unsigned workers, group, visits, marked;
    bool ok, baseline, dry;
    struct prony_figure time_ns, rate, speedup, efficiency;
    const char *mirror;         /* of a cell of Python's: the id of ours that it stands beside; "": none */
    struct prony_figure factor; /* how many times as fast ours is */
};

struct prony_view_group {
    char *label; /* "primes", "primes items=20k", "pingpong over pipe" */
    const char *workload, *unit, *shape;
    unsigned first, count; /* in view->order: measured ones first, by falling rate */
};

struct prony_view {
    unsigned count, groups;
    struct prony_view_cell *cell;   /* in the order of the report */
    struct prony_view_group *group; /* in the order in which they first appear */
    unsigned *order;                /* all cells, group by group */
    const json_t *scaling;          /* the report's; may be NULL */
    const json_t *roofline;         /* the report's; may be NULL */
    bool weak;                      /* sizes grew with the workers: `items` does not set groups apart */
    unsigned ok, failed, skipped, interrupted, marked_visits, visits;
};

int prony_view_make(const struct prony_report *report, struct prony_view *view);
void prony_view_free(struct prony_view *view);
/* The cell at place i of a group. */
const struct prony_view_cell *prony_view_at(const struct prony_view *view, const struct prony_view_group *group,
                                            unsigned i);
/* What a time of one repetition is divided by to be shown: the messages or round trips where some are sent, else 1. */
double prony_view_by(const struct prony_view_cell *cell);
/* The cell's time, so divided. */
struct prony_figure prony_view_time(const struct prony_view_cell *cell);
/* The best measured cell of each series of a group, fastest first; dry engines do not race. Writes at most `room`. */
unsigned prony_view_race(const struct prony_view *view, const struct prony_view_group *group,
                         const struct prony_view_cell **racers, unsigned room);
/* Brings those of n > 0 racers whose intervals overlap the first one's to the front, in order; returns how many, the first
 * included. A missing interval overlaps everything. */
unsigned prony_view_tied(const struct prony_view_cell **racers, unsigned n);
/* Which engine was fastest, in words; no winner where intervals overlap. "" when nothing was measured. */
const char *prony_view_verdict(const struct prony_view *view, const struct prony_view_group *group, char *text,
                               size_t bytes);
/* Did more than one way carry messages: another channel, or another wait? */
bool prony_view_has_choice(const struct prony_view *view);
/* Which way processes should talk here: for small messages, for large ones, for the least CPU time. "" when there was
 * no choice. */
const char *prony_view_advice(const struct prony_view *view, char *text, size_t bytes);
/* How the group's fastest series scales, in one line; "" when nothing was fitted. With `whole`, says why not. */
const char *prony_view_scaling_say(const struct prony_view *view, const struct prony_view_group *group, bool whole,
                                   char *text, size_t bytes);
/* The report's scaling entry that holds the cell, and the law to draw of it with its name. NULL: none. */
const json_t *prony_view_scaling(const struct prony_view *view, const char *id);
const json_t *prony_view_law(const json_t *entry, const char **name);
/* "interrupted: 12 of 40 cells were measured" and "2 cells failed" in one line; "" when all is well. */
const char *prony_view_trouble(const struct prony_view *view, const struct prony_report *report, char *text,
                               size_t bytes);
/* "1.93 M numbers/s" */
const char *prony_view_rate(double rate, const char *unit, char *text, size_t bytes);
/* How long the cell's tasks waited (p50, p99, longest) and ran (the same), in ns, NaN where it is not known; `timed` is
 * how many were. False: that was not asked for. */
enum { PRONY_VIEW_TIMES = 6 };
bool prony_view_task_times(const struct prony_view_cell *cell, double times[PRONY_VIEW_TIMES], double *timed);

#endif
