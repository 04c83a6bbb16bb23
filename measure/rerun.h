/* Counting by running a cell again, in a host under a tool such as valgrind. */
#ifndef PRONY_MEASURE_RERUN_H
#define PRONY_MEASURE_RERUN_H

#include "measure/live.h"

/* After the measurement of a cell: runs it once more under the tool of the run's provider and takes the counts over into
 * cell->who. Does nothing for providers that need no tool. What cannot be counted gets its reason; the cell's outcome and
 * times stay. */
void prony_rerun(struct prony_bout *bout, struct prony_live *live);

/* In the host: a table in which each of the workload's kernels is wrapped in provider->region. Lives as long as the
 * program; one a process. */
const struct prony_kernel *prony_rerun_wrap(const struct prony_kernel *kernels, const struct prony_provider *provider);
/* Takes away a folder of a tool, and the files in it. */
void prony_rerun_remove(const char *folder);

#endif
