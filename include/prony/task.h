/* Tasks, futures and workers: what crosses fork, exec, ctypes and sockets.
 *
 * A task names its kernel and the memory it works on; it never holds a pointer. Names are resolved to table positions in
 * each image (process that loaded the kernels), offsets are bytes from the start of the arena, whose address differs in
 * each process. Layouts are fixed (see the assertions): Python packs them by hand. */
#ifndef PRONY_TASK_H
#define PRONY_TASK_H

#include <prony/timeline.h>

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which kernel: kernels[workload][kernel] of the worker. Workload 0 is prony's own (bind, touch, count), 1 the cell's. */
struct prony_ref {
    uint16_t workload, kernel;
};

/* Bytes of the arena: [off, off + len). */
struct prony_span {
    uint64_t off, len;
};

#define PRONY_ARG_BYTES 64

struct prony_task {
    struct prony_ref ref;
    uint32_t ticket; /* set by submit and spawn: claims this use of the future, never a later one */
    int64_t lo, hi;  /* the items of the task: [lo, hi) */
    struct prony_span in, out;
    uint64_t future;                    /* arena offset of its struct prony_future; 0: none (map and gang) */
    unsigned char arg[PRONY_ARG_BYTES]; /* the kernel's own parameters, by value */
};

enum prony_phase { PRONY_FREE, PRONY_QUEUED, PRONY_RUNNING, PRONY_DONE };

/* The outcome of one task. Lives in the arena, 64-byte aligned, owned by the submitter; reusable once DONE.
 * Written by the engine and the worker; read by anyone. Times are CLOCK_MONOTONIC nanoseconds, 0 where not taken. */
struct prony_future {
    uint32_t state;      /* futex word: ticket << 2 | phase; the three upper bits are the engine's, who is to be told.
                             Only through __atomic built-ins (C++ reads this header).
                             Whoever moves it QUEUED -> RUNNING runs the task; a cancelled task goes QUEUED -> DONE. */
    int32_t status;      /* valid when DONE: 0, the kernel's -errno, -ECANCELED, or -(1000 + signal) of a dead worker */
    uint32_t worker;     /* index of the worker that ran it; UINT32_MAX: the caller helped */
    uint32_t generation; /* of that worker */
    uint64_t value;      /* the kernel's result */
    uint64_t queued_ns;
    uint64_t begun_ns;
    uint64_t ended_ns; /* when the kernel ended, in the worker */
    uint64_t done_ns;  /* when the engine resolved it, in the submitter; differs from ended_ns where results travel */
    uint64_t outer;    /* engine's own: the future of the task that waits below this one in the same worker */
};

static inline enum prony_phase prony_future_phase(const struct prony_future *future)
{
    return (enum prony_phase)(__atomic_load_n(&future->state, __ATOMIC_ACQUIRE) & 3u);
}

/* One a worker, in the arena, a cache line: written by the worker, read by host and runner, survives its death. */
struct prony_slot {
    int32_t pid, tid;
    uint32_t generation;         /* counts the workers that have had this index: 1 is the first; 0: no worker yet */
    int32_t pu;                  /* OS index read back after binding; -1: not bound */
    int64_t items;               /* items completed since the engine opened; gang kernels do not count */
    int64_t lo;                  /* first item of the map chunk held; -1: none */
    uint64_t held;               /* arena offset of the future held: what fails if the worker dies; 0: none */
    uint64_t begun_ns, ended_ns; /* the last gang's timed part, written by the kernel (prony_worker_begin, _end) */
    uint64_t spare;
};

/* What a worker spent in the timed parts of its gangs; one a worker, in the arena behind its histogram. Written by
 * prony_worker_begin and prony_worker_end, cleared by the host. */
struct prony_usage {
    uint64_t gangs, cpu_ns;          /* timed parts, and the CPU time of the worker's thread in them */
    uint64_t voluntary, involuntary; /* context switches */
    int32_t node;                    /* memory node of the kernel's buffer, where the kernel asked; else -1 or -errno */
    uint32_t asked;                  /* it asked */
    uint64_t start[3];               /* cpu_ns, voluntary, involuntary when the timed part began */
};

/* What became of a map. */
struct prony_tally {
    int status;                 /* 0, or the first failure by range */
    unsigned failed;            /* chunks that failed */
    int64_t first_lo, first_hi; /* the range that failed first */
};

static_assert(sizeof(struct prony_task) == 128 && sizeof(struct prony_future) == 64 &&
                  sizeof(struct prony_slot) == 64 && sizeof(struct prony_usage) == 64 &&
                  offsetof(struct prony_task, lo) == 8 && offsetof(struct prony_task, future) == 56,
              "layouts that Python packs by hand");

struct prony_worker;

/* A kernel: runs the items [lo, hi) of the task. Returns 0, or a negative errno that reaches the future or the tally.
 * Must not exit, block signals or start threads. Called by many workers at once. */
typedef int prony_kernel_fn(struct prony_worker *worker, const struct prony_task *task);

struct prony_kernel {
    const char *name; /* tables end with a NULL name */
    prony_kernel_fn *fn;
};

/* What a kernel may ask of the engine that runs it. */
struct prony_worker_ops {
    /* Recursive tasks; NULL without PRONY_CAP_NEST. spawn sets the kid's ticket, needs kid->future (from
     * prony_worker_push) and may run it at once; 0 or -errno. Who spawned a kid joins it before it returns, even when
     * it fails. */
    int (*spawn)(struct prony_worker *worker, struct prony_task *kid);
    /* Returns when all n kids are done; runs a kid nobody took, else blocks. Their status is in their futures. */
    int (*join)(struct prony_worker *worker, const struct prony_task *kids, unsigned n);
    /* Gangs only: over the roles of the gang. 0, -ETIMEDOUT, or -ECANCELED when a peer died. */
    int (*barrier)(struct prony_worker *worker, int64_t timeout_ns);
    /* Gangs only: true when the gang was cancelled and the kernel should return. */
    int (*stopped)(struct prony_worker *worker);
};

/* An executor of tasks, in its own address space. Owned by the engine; kernels may write `local` and `top`. */
struct prony_worker {
    unsigned index; /* claimed once a life, 0 .. count-1 */
    unsigned count; /* workers of the engine */
    unsigned roles; /* workers in the present gang; outside a gang: count */
    unsigned generation;
    unsigned char *base; /* the arena in this address space */
    uint64_t arena_bytes;
    const struct prony_kernel *const *kernels;
    struct prony_slot *slot;
    struct prony_span scratch; /* this worker's own memory in the arena, a stack: kids' futures and the like */
    uint64_t top;              /* bytes of scratch in use */
    struct prony_span latency; /* this worker's struct prony_histogram in the arena (prony/histogram.h) */
    const struct prony_channel *channel; /* in this image; NULL: no channel */
    const struct prony_blob *ends;       /* its ends, by role */
    void *attached; /* the end this worker attached (role i takes end i), for channel->send and recv; NULL: none */
    void *local;    /* the kernels' own */
    void *counting; /* the counter provider's own */
    void *engine;   /* the engine's own */
    struct prony_usage *usage; /* this worker's, in the arena */
    void **spokes;             /* of a star's hub (need.star): its end of the pair with each other role; else NULL */
    const struct prony_worker_ops *ops;
    struct prony_timeline *timeline; /* where its tasks are noted; NULL: they are not */
};

/* An address in this image of a span or offset. */
static inline void *prony_at(const struct prony_worker *worker, uint64_t off)
{
    return worker->base + off;
}

/* Do the spans of a task lie in the arena? */
static inline int prony_task_fits(const struct prony_worker *worker, const struct prony_task *task)
{
    const uint64_t all = worker->arena_bytes;
    return task->in.len <= all && task->in.off <= all - task->in.len && task->out.len <= all &&
           task->out.off <= all - task->out.len;
}

/* Runs one task where it stands: resolves the kernel and calls it. Engines call this and nothing else to run a task.
 * -EFAULT: what it is to work on lies outside the arena. */
static inline int prony_task_run(struct prony_worker *worker, const struct prony_task *task)
{
    if (__builtin_expect(!prony_task_fits(worker, task), 0))
        return -EFAULT;
    if (__builtin_expect(worker->timeline != NULL, 0) && task->ref.workload != 0)
        return prony_timeline_run(worker, task);
    return worker->kernels[task->ref.workload][task->ref.kernel].fn(worker, task);
}

/* Takes `bytes` (rounded up to 64) of the worker's scratch, zeroed; returns the arena offset, 0 when it is full. What a
 * task with a future does not give back is given back when it ends. */
uint64_t prony_worker_push(struct prony_worker *worker, uint64_t bytes);
/* Gives the last `bytes` back; pops come in the reverse order of pushes. */
void prony_worker_pop(struct prony_worker *worker, uint64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
