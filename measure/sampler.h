/* Stacks of workers, taken by the kernel at even steps of each worker's own CPU time (perf_event_open on the task clock,
 * which needs no PMU). The host opens one event a worker by thread id, so threads, forked processes and foreign ones are
 * alike. It writes raw addresses; names are found later, by the runner (measure/symbols.h).
 *
 * In `stacks` lies one record after the other: a struct prony_stack, then `depth` addresses, innermost first. */
#ifndef PRONY_MEASURE_SAMPLER_H
#define PRONY_MEASURE_SAMPLER_H

#include "measure/board.h"

struct prony_stack {
    uint32_t worker, depth;
};

struct prony_sampler;

/* Opens stopped events for all workers in the board's slots. -ENOTSUP with a reason a person can act on. */
int prony_sampler_open(unsigned char *base, uint64_t period_ns, struct prony_sampler **sampler,
                       struct prony_error *error);
/* Starts or stops all events. */
void prony_sampler_run(struct prony_sampler *sampler, bool on);
/* Takes over what the kernel has left in its buffers, into the board's stacks. While stopped. */
void prony_sampler_collect(struct prony_sampler *sampler);
void prony_sampler_close(struct prony_sampler *sampler);

#endif
