/* The profile of one cell: what the profiled visit left, in times and names, and what follows from it.
 *
 * A stretch is a time that a worker spent on one thing: a task, or a wait. Stretches of a worker nest: a task that joins
 * waits, and in that wait other tasks run. */
#ifndef PRONY_MEASURE_PROFILE_H
#define PRONY_MEASURE_PROFILE_H

#include "measure/measure.h"

#include <prony/timeline.h>

struct prony_stretch {
    uint64_t from_ns, to_ns; /* since the recorded part began */
    uint64_t future;         /* tasks; 0: none */
    int64_t lo;              /* first item */
    uint32_t items;
    uint32_t lane;      /* the worker; `workers`: the caller */
    int32_t thief_of;   /* the worker for whom it had been queued; -1: not stolen */
    int32_t wait;       /* enum prony_wait_on; -1: a task */
    uint32_t depth;     /* in the worker, from 0 */
    uint32_t queued_by; /* lane; meaningless without queued_ns */
    uint64_t queued_ns; /* UINT64_MAX: not known, or never queued */
};

/* Notes as they lie in a timeline, times turned into ns since the recorded part began. */
struct prony_lane {
    struct prony_note *notes;
    uint32_t count;
    uint64_t lost; /* overwritten: older than the first of `notes` */
};

struct prony_fold {
    char *stack; /* frames from the outermost on, joined by ';' */
    uint32_t worker;
    uint64_t count;
};

struct prony_profile {
    unsigned workers;
    uint64_t window_ns;       /* of the recorded part */
    struct prony_lane *lanes; /* workers + 1 */
    uint32_t stretches;
    struct prony_stretch *stretch; /* by start, within a lane outer before inner */
    uint32_t folds;
    struct prony_fold *fold; /* by worker and stack; each stack once */
    struct prony_digest digest;
};

/* Profiles the cells of a run that were measured, one after the other, each in a launch of its own; watch->profiled gets
 * each profile. What stands in the way of one is in its cell's digest; the run goes on. */
void prony_profile_cells(struct prony_run *run, const struct prony_watch *watch);

/* Stretches and digest from the lanes. 0 or -ENOMEM. Pure. */
int prony_profile_digest(struct prony_profile *profile);
void prony_profile_free(struct prony_profile *profile);
/* "work", "kids", "peers", "lock", "send", "receive", "tasks". */
const char *prony_wait_name(int wait);

#endif
