/* The benchmarks of prony-gbench: families over the plug-ins there are, and what runs them. */
#ifndef PRONY_SHIMS_GBENCH_ENTRIES_H
#define PRONY_SHIMS_GBENCH_ENTRIES_H

#include "shims/gbench/stand.h"

struct gbench_tally {
    unsigned measured, skipped, failed; /* runs; skipped: it cannot be had here */
};

/* Registers kernel/WORKLOAD/ENGINE, submit/ENGINE/workers:N, map/ENGINE/workers:N and channel/NAME/size:BYTES, in the
 * order in which one process can run them: what forks comes before what leaves threads behind. `workers` is the larger
 * number of workers. The ground outlives the runs. -ENOMEM. */
int gbench_entries_register(const struct gbench_ground *ground, unsigned workers, struct prony_error *error);
/* Closes the last stand and frees the entries. What became of all runs. */
struct gbench_tally gbench_entries_end(void);

#endif
