/* A group: following many tasks of a pool or an executor, as Python's Pool and concurrent.futures do. Callbacks, results,
 * as-completed, wait for the first, priorities, deadlines, one map with one callback.
 *
 * Everything happens in the calls: there is no hidden thread (a process that keeps processes may have no other ones), so
 * callbacks run in the caller, inside calls to prony_group_*, once for each task, in the order in which tasks ended. A
 * group keeps what its futures say, so it needs only as many futures as are to be in flight at once; tasks beyond them
 * wait in the caller and are handed over as others end, again in the calls. Following a task costs the same however many
 * there are: who ends it puts it in a list, which is taken whole.
 *
 * One group at a time on a pool or executor, used by the thread that opened that, and closed before it. Codes of calls that wait, beside 0:
 * -ETIMEDOUT; -EPROTO: a callback failed meanwhile (prony_group_complaint says which; what was asked for goes on, ask
 * again); -EBUSY: all workers are stuck in tasks that passed their limit; -EDEADLK: a callback wants to wait. */
#ifndef PRONY_GROUP_H
#define PRONY_GROUP_H

#include <prony/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_group;

/* Told when a task is over. Below 0: it failed, which prony_group_complaint tells. It may submit, cancel and look, but
 * not wait. */
typedef int prony_over_fn(void *context, uint64_t handle, const struct prony_future *outcome);

/* How a task is to be treated; NULL where one is asked for: all zero. */
struct prony_terms {
    int priority; /* larger ones are handed over first, equal ones in order. From the first one that is not 0 on, only two
                     tasks a worker are in flight, so that a late one need not wait behind many */
    /* Over 0: so long after it was submitted the task has failed with -ETIMEDOUT. If it had not begun, it never does. If a
     * process runs it, that process is killed and replaced. A thread cannot be stopped: it is stuck until the task
     * returns, other workers go on, and what the task uses stays in use. A task that was found done in time is done. */
    int64_t limit_ns;
    prony_over_fn *done, *failed; /* the first for status 0, the second for any other; may be NULL, or the same */
    void *context;
};

/* `futures`: of the arena, for the tasks in flight; the group's until it is closed. -EBUSY: there is a group already. */
int prony_pool_group(struct prony_pool *pool, struct prony_span futures, struct prony_group **group,
                     struct prony_error *error);
int prony_executor_group(struct prony_executor *executor, struct prony_span futures, struct prony_group **group,
                         struct prony_error *error);
/* drain 1: all tasks end first; 0: what has not begun is cancelled, and processes that run something are killed. After the
 * limit what is left is cancelled in any case. All callbacks have run; the pool or executor goes on. -ETIMEDOUT: a thread
 * is stuck, and the futures and what its task uses stay in use. NULL is allowed. */
int prony_group_close(struct prony_group *group, int drain, int64_t timeout_ns);
/* No task is taken any more (-EPIPE). `cancel`: nor does one begin. `wait`: returns when all are over; else at once, and
 * what is left goes on in later calls. */
int prony_group_shutdown(struct prony_group *group, int wait, int cancel, int64_t timeout_ns);

/* Takes a copy of the task; its `future` is the group's to choose. The handle is good until prony_group_forget; NULL: the
 * task is forgotten when it is over, and prony_group_next does not give it. -EPIPE: shut down; -EBUSY: all workers are
 * stuck; else why the engine is broken. */
int prony_group_submit(struct prony_group *group, const struct prony_task *task, const struct prony_terms *terms,
                       uint64_t *handle, struct prony_error *error);
/* Submits one task, waits for it, and forgets it: its error, or 0 and *value. After -ETIMEDOUT it may still run. */
int prony_group_apply(struct prony_group *group, const struct prony_task *task, uint64_t *value, int64_t timeout_ns);

#define PRONY_CHUNK_AUTO 0      /* sixteen a worker; no single items where there are more than four a worker */
#define PRONY_CHUNK_GUIDED (-1) /* large ones first, small ones at the end */

/* The items [task->lo, task->hi) in chunks, under one handle that is over, with one callback, when all are: its status is
 * the first failure by range. `terms` are those of the whole. */
int prony_group_map(struct prony_group *group, const struct prony_task *task, int64_t chunk,
                    const struct prony_terms *terms, uint64_t *handle, struct prony_error *error);
/* The same over n tasks, each with its own arguments. They stay the caller's and must last until it is over. */
int prony_group_starmap(struct prony_group *group, const struct prony_task *tasks, unsigned n,
                        const struct prony_terms *terms, uint64_t *handle, struct prony_error *error);
/* What became of a map; of a starmap first_lo is the number of the task that failed first. -ENOENT, -EAGAIN: not over. */
int prony_group_tally(struct prony_group *group, uint64_t handle, struct prony_tally *tally);

/* As-completed: gives each handle once, in the order in which tasks ended. -ENODATA: all have been given. */
int prony_group_next(struct prony_group *group, uint64_t *handle, int64_t timeout_ns);

enum prony_until { PRONY_FIRST_COMPLETED, PRONY_FIRST_EXCEPTION, PRONY_ALL_COMPLETED };

/* Waits for n tasks (handles NULL: all of the group) until one is over; until one failed, where being cancelled is not
 * failing, or all are over; or until all are. -ENOENT: a handle is not known. */
int prony_group_wait(struct prony_group *group, const uint64_t *handles, unsigned n, enum prony_until until,
                     int64_t timeout_ns);
/* Waits for one task: 0 and *value (may be NULL), the task's own error, or a code of waiting. */
int prony_group_result(struct prony_group *group, uint64_t handle, uint64_t *value, int64_t timeout_ns);
/* The task's future as it is now, to be read as prony/future.h says. Never waits. */
int prony_group_outcome(struct prony_group *group, uint64_t handle, struct prony_future *outcome);
/* A further callback, after those that are there; called at once if the task is over. 0 or -ENOENT, -ENOMEM. */
int prony_group_then(struct prony_group *group, uint64_t handle, prony_over_fn *done, prony_over_fn *failed,
                     void *context);
/* Takes back a task that has not begun; `stop`: also kills a process that runs it. Of a map: what has not begun.
 * 0, also when it was cancelled before; -EALREADY: too late, at least for a part. */
int prony_group_cancel(struct prony_group *group, uint64_t handle, int stop);
/* The handle ends; the task does not. */
int prony_group_forget(struct prony_group *group, uint64_t handle);

struct prony_complaint {
    uint64_t handle; /* the first task whose callback failed since the last complaint was taken; 0: none */
    int code;        /* what that returned */
    unsigned count;  /* how many failed */
};
/* Gives the complaint and forgets it. */
void prony_group_complaint(struct prony_group *group, struct prony_complaint *complaint);
/* Workers that are stuck in a task that passed its limit. */
unsigned prony_group_stuck(const struct prony_group *group);

#ifdef __cplusplus
}
#endif
#endif
