/* Whole programs under valgrind's callgrind, as sides of a comparison: what they did in simulated counts, which the same
 * program repeats on any machine, however noisy. Times taken under valgrind mean nothing and are not read.
 *
 * Counted are all threads and processes of a program with its start and its libraries; a process that was forked brings
 * its parent's counts before the fork with it, one that executes another program leaves its own before that out. */
#ifndef PRONY_MEASURE_SIMULATE_H
#define PRONY_MEASURE_SIMULATE_H

#include "measure/ab.h"

struct prony_simulation {
    const char *benchmark; /* what the readings are called; not owned */
    bool caches, branches; /* what is simulated beside instructions */
    char folder[512];      /* valgrind's files; empty: not open */
};

/* Is `metric` a count that this can take? */
bool prony_simulate_knows(const char *metric);
/* Puts valgrind before both commands of the plan, and sets its reader, for the metric that the plan has. -ENOTSUP
 * without valgrind, -ENOENT with the nearest names of metrics. */
int prony_simulate_open(struct prony_simulation *simulation, const char *benchmark, struct prony_ab_plan *plan,
                        struct prony_error *error);
void prony_simulate_close(struct prony_simulation *simulation);

#endif
