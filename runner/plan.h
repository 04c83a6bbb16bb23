/* The plan of `prony run`: command line and suite become cells. */
#ifndef PRONY_RUNNER_PLAN_H
#define PRONY_RUNNER_PLAN_H

#include "results/report.h"
#include "runner/judge.h"

/* The command line of `prony run`. Numbers that were not given are negative or 0, as their range allows. */
struct runner_request {
    struct prony_list engines, workloads, channels, workers, places, params, only, skip, plugins, outs;
    const char *topology, *counters, *folder, *resume, *name, *baseline;
    struct runner_judging judging; /* with the baseline */
    int64_t budget_ns, timeout_ns, seed;
    double precision;
    unsigned visits, launches, samples;
    const char *scaling; /* strong or weak; NULL: strong */
    bool oversubscribe, dry_run, redact, json, profile, quiet, verbose;
};

/* With nothing on it. */
extern const struct runner_request runner_request_none;
void runner_request_free(struct runner_request *request);

/* Loads the plug-ins named by path, reads the suite (NULL: `quick`, or the command line alone when it names workloads),
 * lays the command line over it and expands it into `run`, whose topology is set. *method of the run is filled. */
int runner_plan(struct runner_request *request, const char *suite, struct prony_run *run, struct prony_error *error);
/* The plan on stdout: a line a cell, or JSON. */
int runner_plan_show(const struct prony_run *run, bool json, struct prony_error *error);

#endif
