/* A pool of workers, threads or processes: map, separate tasks with futures, gangs, recursion.
 *
 * The two kinds of worker are one piece of code: rings, slots and futures lie in the arena and are named by offset, and
 * only the way a worker starts differs. A process may die: what it held fails with -(PRONY_DIED + signal), another one
 * takes its place, nothing else is lost.
 *
 * Threads: the thread that opened a pool makes all calls. A process that keeps processes must have no other threads.
 * The caller runs tasks itself only where it is asked to help. Errors are 0 or a negative errno as in prony/error.h. */
#ifndef PRONY_POOL_H
#define PRONY_POOL_H

#include <prony/arena.h>
#include <prony/setup.h>

#ifdef __cplusplus
extern "C" {
#endif

enum prony_staff { PRONY_THREADS, PRONY_PROCESSES };

/* What a worker without work does: keeps looking, looks for a while and then sleeps, sleeps at once. */
enum prony_idle { PRONY_IDLE_SPIN, PRONY_IDLE_ADAPTIVE, PRONY_IDLE_PARK };

struct prony_policy {
    enum prony_staff staff;
    enum prony_idle idle;
    int times; /* the futures of one task in so many carry times, at the price of three clock readings; 0: of none */
    /* After this many tasks (parts of a map: one task) a worker process ends and another takes its place, so that what
     * tasks leave behind does not pile up; 0: never. Threads leave nothing that their end would free: -EINVAL. */
    unsigned tasks_a_worker;
    /* Run first in every new worker, in the worker itself, with `context` (by fork: a copy of what it points to); NULL:
     * none. It fails: so does open, with its code. It fails in a worker that takes a dead one's place: the pool is broken,
     * and what is submitted or waited for fails with that code. */
    int (*initializer)(struct prony_worker *worker, void *context);
    void *context;
};

struct prony_pool;

#define PRONY_POOL_WORKERS 256u /* at most */

/* Bytes that setup->area must have. */
uint64_t prony_pool_area(unsigned workers);
/* `setup` stays the caller's and outlives the pool; its area is zeroed here. */
int prony_pool_open(const struct prony_setup *setup, const struct prony_policy *policy, struct prony_pool **pool,
                    struct prony_error *error);
/* Runs the kernel once in each of the workers 0 .. roles-1, all alive at once; status[i] is what it returned there. */
int prony_pool_gang(struct prony_pool *pool, const struct prony_task *task, unsigned roles, int *status,
                    int64_t timeout_ns);
/* Runs the items [task->lo, task->hi) in chunks; chunk 0: large ones first, small ones at the end. */
int prony_pool_map(struct prony_pool *pool, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                   int64_t timeout_ns);
/* Queues copies of n tasks, each with its own future (FREE or DONE). Blocks while the queues are full. */
int prony_pool_submit(struct prony_pool *pool, const struct prony_task *tasks, unsigned n);
/* Returns when `need` of the n futures are DONE, or -ETIMEDOUT. timeout_ns < 0: no limit. */
int prony_pool_wait(struct prony_pool *pool, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns);
/* Waits for one submitted task and gives its result: 0 and *value (may be NULL), the task's own error, or -ETIMEDOUT.
 * Threads: when nobody has begun it, the caller runs it at once (its future says worker UINT32_MAX, and so does the index
 * that the kernel sees), and no limit holds while it does. Processes never: a task's crash would be the caller's.
 * The task's place in its queue is free once a worker has passed it. */
int prony_pool_help(struct prony_pool *pool, const struct prony_task *task, uint64_t *value, int64_t timeout_ns);
/* Takes back a task that has not begun; `stop`: also kills a process that runs it. -EALREADY: too late. */
int prony_pool_cancel(struct prony_pool *pool, uint64_t future, int stop);
/* 1: returns when no worker runs or spins; 0: they may spin again. */
int prony_pool_park(struct prony_pool *pool, int parked);
/* drain 1: queued tasks end first; 0: they are cancelled. The pool is gone in any case; -ETIMEDOUT: a worker was stuck
 * (a process was killed; a thread is left behind with the memory that it uses). NULL is allowed. */
int prony_pool_close(struct prony_pool *pool, int drain, int64_t timeout_ns);

/* The ground under a pool or an executor, for programs that have no setup of their own: one arena with the area, slots,
 * scratch, and `data` bytes and `futures` of the program's. Kernels are named {1, position in `kernels`}. */
struct prony_ground {
    struct prony_arena arena;
    struct prony_setup setup;
    struct prony_span data, futures;
    const struct prony_kernel *kernels[2]; /* [0] has none */
};

struct prony_wish {
    unsigned workers;
    uint64_t area;    /* prony_pool_area(workers) or prony_executor_area(workers) */
    uint64_t data;    /* bytes */
    uint64_t futures; /* how many struct prony_future */
};

/* The ground must not move afterwards: its setup points into it. */
int prony_ground_make(struct prony_ground *ground, const struct prony_kernel *kernels, const struct prony_wish *wish,
                      struct prony_error *error);
void prony_ground_free(struct prony_ground *ground);

#ifdef __cplusplus
}
#endif
#endif
