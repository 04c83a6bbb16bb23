/* A pool of processes whose tasks and completions travel over a channel: one pair of ends a worker, the caller drives
 * them all.
 *
 * A worker has one task at a time, and each task is one message there and one back: what is seen is the price of the
 * channel, and no task waits behind a long one. Memory, futures and gangs are those of the crew; only the word that
 * there is a task, and that it is done, goes through the channel. The calls are those of prony/pool.h. No recursion. */
#ifndef PRONY_PARALLEL_CARRY_H
#define PRONY_PARALLEL_CARRY_H

#include <prony/group.h>
#include <prony/plugin/channel.h>

struct prony_carry;

#define PRONY_CARRY_MESSAGE 136u /* bytes of the largest message */

/* Can this channel carry a pool of processes? 0, or -ENOTSUP with the reason. */
int prony_carry_fits(const struct prony_channel *channel, const struct prony_params *params,
                     struct prony_error *reason);
/* Over setup->carrier; the area is that of a crew, which a pool's is enough for. */
int prony_carry_open(const struct prony_setup *setup, const struct prony_policy *policy, struct prony_carry **carry,
                     struct prony_error *error);
int prony_carry_gang(struct prony_carry *carry, const struct prony_task *task, unsigned roles, int *status,
                     int64_t timeout_ns);
int prony_carry_map(struct prony_carry *carry, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                    int64_t timeout_ns);
int prony_carry_submit(struct prony_carry *carry, const struct prony_task *tasks, unsigned n);
int prony_carry_wait(struct prony_carry *carry, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns);
int prony_carry_cancel(struct prony_carry *carry, uint64_t future, int stop);
/* As prony_pool_group. */
int prony_carry_group(struct prony_carry *carry, struct prony_span futures, struct prony_group **group,
                      struct prony_error *error);
int prony_carry_park(struct prony_carry *carry, int parked);
int prony_carry_close(struct prony_carry *carry, int drain, int64_t timeout_ns);

#endif
