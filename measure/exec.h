/* External programs as workloads: commands, and lists of values that are put for {NAME} into their words.
 *
 * Every command with every combination of the values that it uses is a cell of a run: its engine is the command, its
 * workload `exec`, its item one run of it. So reports, exporters and comparisons take it as any other. */
#ifndef PRONY_MEASURE_EXEC_H
#define PRONY_MEASURE_EXEC_H

#include "measure/measure.h"

struct prony_exec_axis {
    char *name;
    struct prony_list values;
};

struct prony_exec_command {
    char *name; /* in reports */
    struct prony_list words;
    struct prony_engine *engine;         /* stands for it in cells */
    struct prony_option *options;        /* of its cells: the axes that it uses */
    const struct prony_exec_axis **axis; /* as many */
    unsigned axes;
};

/* What is launched for a cell: words with their values. */
struct prony_exec_point {
    struct prony_list words, prepare, cleanup;
};

struct prony_exec {
    struct prony_exec_command *commands;
    unsigned commands_count;
    struct prony_list prepare, cleanup; /* words, run before and after every launch; may be empty */
    struct prony_exec_axis *axes;
    unsigned axes_count;
    const int *pus; /* not owned; NULL: not bound */
    unsigned npus;
    unsigned warmup;                 /* launches of each cell before its first visit */
    struct prony_exec_point *points; /* by cell of the run */
    unsigned points_count;
};

/* Adds a command; takes copies. `name` is made unique by " (2)". */
int prony_exec_add(struct prony_exec *exec, const char *name, const struct prony_list *words,
                   struct prony_error *error);
/* Adds "NAME=V,V" or "NAME=1..8". -EINVAL, -ERANGE, -EEXIST with the reason. */
int prony_exec_add_axis(struct prony_exec *exec, const char *text, struct prony_error *error);
/* Makes the cells of the run. `exec` must outlive it. -EINVAL: nothing uses one of the names; -ERANGE: too many cells. */
int prony_exec_expand(struct prony_exec *exec, struct prony_run *run, struct prony_error *error);
void prony_exec_free(struct prony_exec *exec);

/* Measures the cells, as prony_measure does: blocks of visits in seeded order, each launch a sample, until there are
 * enough visits or the interval is narrow enough or the budget is spent. A command that fails, fails its cell. What
 * wait4 tells of the launches is counted, and the run's events by its provider, which must be able to attach. watch->journal is not used. */
int prony_exec_measure(const struct prony_exec *exec, struct prony_run *run, const struct prony_watch *watch,
                       struct prony_error *error);

#endif
