/* Imap: the outcomes of a stream of tasks, one after the other, while at most `window` of them are under way or wait to
 * be taken, so that a stream without an end runs in bounded memory. */
#ifndef PRONY_ITERATE_H
#define PRONY_ITERATE_H

#include <prony/group.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_iteration;

/* Where the tasks come from. `next` fills the next one (it is zero before; its future is the group's) and returns 1; 0:
 * there are no more; below 0: it failed, which prony_iterate_next tells after all that came before. It is called inside
 * calls to prony_group_* and prony_iterate_*, and calls none of them. */
struct prony_source {
    int (*next)(void *context, struct prony_task *task);
    void *context;
};

enum prony_order { PRONY_IN_ORDER, PRONY_AS_ENDED };

/* Begins at once. window 0: four a worker. limit_ns: for the whole, counted from here: after it prony_iterate_next says
 * -ETIMEDOUT for what is not there; below 0: none. -ENOMEM, -EPIPE, -EBUSY as prony_group_submit. */
int prony_iterate_open(struct prony_group *group, const struct prony_source *source, unsigned window,
                       enum prony_order order, int64_t limit_ns, struct prony_iteration **iteration);
/* The next outcome: its task as it came from the source, and its future (either may be NULL). A failed task is an outcome
 * as any other: its status is not 0. -ENODATA: there are no more; below 0 else: a code of waiting, or the source's. */
int prony_iterate_next(struct prony_iteration *iteration, struct prony_task *task, struct prony_future *outcome,
                       int64_t timeout_ns);
/* Cancels what has not begun; what runs goes on, and nobody is told. NULL is allowed. Before the group is closed. */
void prony_iterate_close(struct prony_iteration *iteration);

#ifdef __cplusplus
}
#endif
#endif
