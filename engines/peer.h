/* What engines over the threads of somebody else's runtime have in common: who a thread is, gangs, the outcome of tasks,
 * waiting. An engine's file adds how a job is handed to its runtime, and how that starts and ends.
 *
 * The caller runs no task. Its functions (gang .. cancel) are the engine's own; `handle` is a struct prony_peer. */
#ifndef PRONY_ENGINES_PEER_H
#define PRONY_ENGINES_PEER_H

#include <prony/plugin/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_foreign;
struct prony_peer;

enum prony_peer_kind { PRONY_PEER_TASK, PRONY_PEER_CHUNK, PRONY_PEER_PART };

/* What a runtime carries to one of its threads. */
struct prony_peer_job {
    struct prony_peer *peer;
    struct prony_task task;
    enum prony_peer_kind kind;
    int ran; /* set by prony_peer_job_run: the task was not cancelled before */
};

/* What a thread of the runtime is to this engine. A pair of cache lines, so that tallies do not share one. */
struct prony_peer_member {
    struct prony_worker worker;
    int started;              /* what setup->started said */
    uint32_t taken;           /* by a thread */
    struct prony_tally tally; /* of the present map */
    void *own;                /* the engine's */
} __attribute__((aligned(128)));

struct prony_peer_ops {
    /* Hands a copy of the job to the runtime, which calls prony_peer_job_run in a worker and prony_peer_job_done after
     * it, there or in the caller. 0 or -errno. */
    int (*post)(struct prony_peer *peer, const struct prony_peer_job *job);
    /* The runtime's own loop: calls prony_peer_chunk for parts of the task that make up the whole, then prony_peer_left
     * once. chunk 0: as it likes. NULL: a job a chunk. */
    int (*loop)(struct prony_peer *peer, const struct prony_task *task, int64_t chunk);
    /* Blocks the caller while *word == value, or until another thread wakes it there, or the time is up. NULL: a futex. */
    void (*pause)(struct prony_peer *peer, uint32_t *word, uint32_t value, int64_t timeout_ns);
    const struct prony_worker_ops *worker; /* for kernels */
};

struct prony_peer {
    const struct prony_setup *setup;
    const struct prony_peer_ops *ops;
    struct prony_peer_member *members;
    struct prony_foreign *meeting; /* of gangs */
    uint64_t life;                 /* tells threads that served an earlier engine */
    int broken;                    /* the code that every call returns from now on; 0: none */
    int closing;                   /* tasks that have not begun are cancelled when their turn comes */
    int *status;                   /* of the present gang */
    unsigned roles;
    uint32_t left;     /* jobs of the gang or map that are not done; a futex */
    uint32_t accepted; /* tasks */
    uint32_t resolved; /* tasks that are done, in a futex; the caller is woken when it becomes: */
    uint32_t wake_at;
};

/* `bytes`: of the engine's struct, which begins with the peer; zeroed. NULL: no memory, with the reason. */
void *prony_peer_make(size_t bytes, const struct prony_setup *setup, const struct prony_peer_ops *ops,
                      struct prony_error *error);
void prony_peer_free(struct prony_peer *peer);

/* Called in the runtime's threads. self: the worker that this thread is; it stays the same until `leave`. */
struct prony_peer_member *prony_peer_self(struct prony_peer *peer);
void prony_peer_leave(struct prony_peer *peer);
void prony_peer_job_run(struct prony_peer_job *job);
void prony_peer_job_done(struct prony_peer_job *job);
void prony_peer_chunk(struct prony_peer *peer, const struct prony_task *whole, int64_t lo, int64_t hi);
void prony_peer_left(struct prony_peer *peer);
/* Runs a task that has a future, unless it was cancelled: whether it ran. Its future is still RUNNING. */
int prony_peer_task_run(struct prony_peer *peer, const struct prony_task *task);
/* Makes a future QUEUED for its next use, and DONE. */
void prony_peer_queue(struct prony_peer *peer, struct prony_task *task);
void prony_peer_finish(struct prony_peer *peer, const struct prony_task *task);

int prony_peer_barrier(struct prony_worker *worker, int64_t timeout_ns);
int prony_peer_stopped(struct prony_worker *worker);

int prony_peer_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns);
int prony_peer_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                   int64_t timeout_ns);
int prony_peer_submit(void *handle, const struct prony_task *tasks, unsigned n);
int prony_peer_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns);
int prony_peer_cancel(void *handle, uint64_t future, int kill);
/* The first step of close: 0 when no task is left, -ETIMEDOUT. */
int prony_peer_drain(struct prony_peer *peer, int drain, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
