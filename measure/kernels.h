/* prony's own kernels (table 0 of every worker): what the host asks of each worker by gang, so that it happens in one
 * place for every engine, also for runtimes that own their threads. */
#ifndef PRONY_MEASURE_KERNELS_H
#define PRONY_MEASURE_KERNELS_H

#include <prony/task.h>

enum prony_own {
    PRONY_OWN_BIND,   /* binds the worker to its PU, reads it back into its slot */
    PRONY_OWN_ATTACH, /* role i attaches end i of the channel; arg[0] 1: then closes the inherited originals */
    PRONY_OWN_DETACH,
    PRONY_OWN_COUNT_ENTER, /* opens and starts the provider's events */
    PRONY_OWN_COUNT_BEGIN, /* reads them at the start of a sample */
    PRONY_OWN_COUNT_END,   /* and at its end, adding to the sums */
    PRONY_OWN_COUNT_LEAVE,
    PRONY_OWN_TRACE /* arg[0] 1: notes what happens in the worker's timeline from here on; 0: no longer */
};

extern const struct prony_kernel prony_own_kernels[];

/* trace.c: the kernel behind PRONY_OWN_TRACE */
int prony_trace_worker(struct prony_worker *worker, const struct prony_task *task);

#endif
