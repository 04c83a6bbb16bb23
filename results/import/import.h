/* Between import.c (which tool's file it is, and the report around it) and one reader a tool. A reader fills the model of a
 * run, so that the figures of an imported report are computed as those of one that was measured. */
#ifndef PRONY_RESULTS_IMPORT_H
#define PRONY_RESULTS_IMPORT_H

#include "results/model.h"

struct prony_import {
    const char *path, *text;
    const json_t *root;
    const struct prony_engine *engine; /* stands for the tool */
    struct prony_run run;
    json_t *extra; /* by cell: what the model has no place for, laid over its JSON: {latency, derived} */
    json_t *names; /* ids given so far */
    struct prony_error *error;
};

/* A new cell named after a benchmark; NULL without memory. The pointer holds until the next one. */
struct prony_cell *prony_import_cell(struct prony_import *import, const char *name, unsigned workers, const char *unit,
                                     int64_t repeats, int64_t items);
/* One repetition, as a visit of one sample. -EINVAL for a time that cannot be one, with its place. */
int prony_import_visit(struct prony_import *import, struct prony_cell *cell, unsigned launch, double sample_ns,
                       const struct prony_step *steps, unsigned n);
/* A figure beside the times of the newest cell. NaN is left out. */
int prony_import_derived(struct prony_import *import, const char *name, double value, const char *text);
/* Fails with FILE:LINE:COLUMN. */
int prony_import_wrong(struct prony_import *import, const struct prony_step *steps, unsigned n, const char *what);

int prony_import_gbench(struct prony_import *import);
int prony_import_hyperfine(struct prony_import *import);
int prony_import_fio(struct prony_import *import);

/* Makes a report's root of another tool's file. 0 with *root replaced; 1: it is none that is known. */
int prony_import(const char *path, const char *text, json_t **root, struct prony_error *error);

#endif
