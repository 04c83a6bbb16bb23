/* The engine contract: something that executes tasks on workers.
 *
 * Threads: all functions are called by one thread, the host's main thread (the caller), unless said otherwise.
 * Life: area -> open -> [gang | map | submit, wait, cancel | park]* -> close. One handle at a time in a process, but many
 * in turn: a life workload opens and closes it over and over.
 * An engine never binds its workers, counts nothing and touches no memory of the workload: the host does all of that by
 * gang, so that it happens in one place also for runtimes that own their threads. */
#ifndef PRONY_PLUGIN_ENGINE_H
#define PRONY_PLUGIN_ENGINE_H

#include <prony/plugin/head.h>
#include <prony/setup.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PRONY_CAP_MAP = 1,
    PRONY_CAP_SUBMIT = 2,
    PRONY_CAP_GANG = 4,
    PRONY_CAP_NEST = 8, /* kernels may spawn and join */
    PRONY_CAP_CANCEL = 16,
    PRONY_CAP_KILL = 32,          /* cancel may kill a running task and lose no other */
    PRONY_CAP_HELPS = 64,         /* the caller's own thread is worker 0 */
    PRONY_CAP_OWNS_THREADS = 128, /* a runtime's threads: their number and ids may change between calls */
    PRONY_CAP_CHANNEL = 256,      /* carries its tasks over a channel (-c) */
    PRONY_CAP_DEFERS = 512,       /* tasks start in wait, which waits for all: no submit latency, no timeout */
    PRONY_CAP_ISOLATES = 1024,    /* a worker may die and the engine lives; else the host dies with it, or: */
    PRONY_CAP_FRAGILE = 2048,     /* a dead worker fails every pending task and the engine must be opened again */
    PRONY_CAP_SHARED = 4096,      /* workers share address space and descriptors: nobody may `forget` a channel */
    PRONY_CAP_DRY = 8192,    /* completes tasks without running kernels (null): only answers that need no kernel hold */
    PRONY_CAP_PYTHON = 16384 /* workers are processes of CPython, which have its own channels */
};

enum { PRONY_WHO_CALLER = 1, PRONY_WHO_REMOTE = 2 };

/* Who a worker is: enough to read its /proc files. */
struct prony_who {
    int pid, tid; /* tid 0: not started yet (lazy) */
    int pu;       /* -1: not bound */
    unsigned generation, flags;
};

struct prony_engine {
    struct prony_head head;
    /* Bytes of the arena it wants for itself. NULL: none. */
    uint64_t (*area)(const struct prony_params *params, unsigned workers);
    /* Workers may be started lazily: the host's first gang makes, binds and registers them. *handle is owned by the
     * engine and freed by close. On failure nothing is left behind. */
    int (*open)(const struct prony_setup *setup, void **handle, struct prony_error *error);
    /* Fills who[0 .. n-1]; NULL: the slots tell. Asked after every gang and every failure. */
    int (*workers)(void *handle, struct prony_who *who, unsigned n);
    /* parked 1: on return nothing runs or spins; 0: workers may be warmed, tids may change. NULL: idle workers block
     * at once. */
    int (*park)(void *handle, int parked);
    /* Runs the kernel once in each of the workers 0 .. roles-1, all alive at the same time (they may use ops->barrier);
     * the others stay idle and alive. status[i]: the kernel's result in worker i, -(1000+signal) if it died.
     * 0 when the gang ran (whatever the statuses), -ETIMEDOUT, -ECANCELED. roles <= workers. */
    int (*gang)(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns);
    /* Runs [task->lo, task->hi) in chunks of `chunk` items, 0: the engine's choice. Returns when all are done, also after
     * a failure (tally says which); 0, -ETIMEDOUT, or what broke the engine. */
    int (*map)(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
               int64_t timeout_ns);
    /* Takes copies of n tasks, each with its own future that is FREE or DONE; sets the futures QUEUED. May block while
     * queues are full. 0, or -errno with nothing of the rest queued (their futures are DONE with that status). */
    int (*submit)(void *handle, const struct prony_task *tasks, unsigned n);
    /* Returns when at least `need` of the n futures are DONE. 0, -ETIMEDOUT. need 0 polls. */
    int (*wait)(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns);
    /* Cancels a task that has not begun (its future is DONE with -ECANCELED); with `kill`, also a running one.
     * 0, -EALREADY when it is done or cannot be stopped any more. */
    int (*cancel)(void *handle, uint64_t future, int kill);
    /* drain 1: lets queued tasks end; 0: cancels them. Bounded by timeout_ns: -ETIMEDOUT means that something is stuck
     * and the process should go; the handle is gone in any case. */
    int (*close)(void *handle, int drain, int64_t timeout_ns);
    const char *const *env; /* NAME=VALUE, set before the host starts and reported; NULL: none */
    /* One line about the runtime: "CPython 3.11.2, GIL on". Owned by the engine, valid until close. NULL: nothing to say. */
    const char *(*about)(void *handle);
};

#ifdef __cplusplus
}
#endif
#endif
