/* An executor: one bounded queue for all workers, every task a future that is resolved by itself, in the manner of
 * Python's concurrent.futures (PEP 3148) and Java's ExecutorService. Workers are threads or processes, as in a pool.
 *
 * Against a pool: whoever is free takes the oldest task, so nothing waits behind a long one; the price is one queue that
 * all of them meet at. Threads, errors and ownership are those of prony/pool.h. */
#ifndef PRONY_EXECUTOR_H
#define PRONY_EXECUTOR_H

#include <prony/future.h>
#include <prony/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_executor;

/* Bytes that setup->area must have. */
uint64_t prony_executor_area(unsigned workers);
int prony_executor_open(const struct prony_setup *setup, const struct prony_policy *policy,
                        struct prony_executor **executor, struct prony_error *error);
/* As prony_pool_gang. */
int prony_executor_gang(struct prony_executor *executor, const struct prony_task *task, unsigned roles, int *status,
                        int64_t timeout_ns);
/* Submits the range in chunks and collects them in order; chunk 0: PRONY_CHUNK_AUTO of prony/group.h. */
int prony_executor_map(struct prony_executor *executor, const struct prony_task *task, int64_t chunk,
                       struct prony_tally *tally, int64_t timeout_ns);
/* Queues copies of n tasks, each with its own future. Blocks while the queue is full. */
int prony_executor_submit(struct prony_executor *executor, const struct prony_task *tasks, unsigned n);
int prony_executor_wait(struct prony_executor *executor, const uint64_t *futures, unsigned n, unsigned need,
                        int64_t timeout_ns);
/* Waits for one task and gives its result: 0 and *value (may be NULL), the task's own error, or -ETIMEDOUT. */
int prony_executor_result(struct prony_executor *executor, uint64_t future, uint64_t *value, int64_t timeout_ns);
/* The same of a task that was submitted; as prony_pool_help, the caller runs it when nobody has begun it. */
int prony_executor_help(struct prony_executor *executor, const struct prony_task *task, uint64_t *value,
                        int64_t timeout_ns);
int prony_executor_cancel(struct prony_executor *executor, uint64_t future, int stop);
int prony_executor_park(struct prony_executor *executor, int parked);
int prony_executor_close(struct prony_executor *executor, int drain, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
