/* The workload contract: kernels with parameters, a known answer and a unit.
 *
 * prepare, poison, drive and verify run in the host's main thread; kernels run in workers, which may be threads of the
 * host, other processes, or CPython processes that loaded the kernels through ctypes.
 * A sample is: poison, [clock] drive [clock], verify. A wrong answer fails the cell. */
#ifndef PRONY_PLUGIN_WORKLOAD_H
#define PRONY_PLUGIN_WORKLOAD_H

#include <prony/histogram.h>
#include <prony/plugin/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

enum prony_shape {
    PRONY_MAP,   /* one kernel over a range of items */
    PRONY_TASKS, /* separate tasks, each with a future */
    PRONY_GANG,  /* all workers live at once: ping-pong, locks, collectives */
    PRONY_LIFE   /* opens and closes the engine itself */
};
enum prony_clock {
    PRONY_PER_BATCH, /* the sample's time divided by its items */
    PRONY_PER_OP     /* the kernels also record every operation into their worker's histogram */
};

/* What a cell of this workload needs; filled by `need`. */
struct prony_need {
    uint64_t bytes;       /* of the arena, for data; 64-byte aligned and zeroed */
    uint64_t futures;     /* struct prony_future, for submit */
    uint64_t scratch;     /* bytes a worker; 0: 64 KiB */
    int64_t items;        /* what one repetition completes, in `unit`; at least 1 */
    int64_t operations;   /* known operations (FLOP, bytes moved, ...) of one repetition; 0: not known */
    unsigned roles;       /* workers a gang takes; 0: all of the cell's. The cell is skipped when it has fewer */
    unsigned ends;        /* channel ends; 0: takes no channel. Role i holds end i, unless: */
    unsigned star;        /* role 0 is the hub: it holds the even ends (worker->spokes), role i the end 2 i - 1 */
    unsigned spins;       /* its roles spin for each other: never two on one PU */
    uint64_t engine_caps; /* beyond what its shape needs: PRONY_CAP_NEST, say */
    uint64_t message;     /* bytes of the largest message it sends */
    int64_t messages;     /* messages of one repetition, both ways together, answers that are waited for not */
    int64_t flops;        /* floating-point operations of one repetition, all workers together; 0: none, or not known */
    int64_t moved;        /* bytes of data that a repetition must read or write at least, each once; 0: not known */
    int64_t few; /* for its option `items`: the fewest with which its messages still have their share of answers,
                             so that their system calls can be counted in a short sample; 0: leave items as they are */
};

/* One cell as a workload sees it. Lives in the host only. */
struct prony_bench {
    const struct prony_engine *engine;
    void *handle;                      /* the open engine; NULL for PRONY_LIFE and before open */
    const struct prony_setup *setup;   /* setup->base + offset is an address in the host */
    const struct prony_params *params; /* the workload's own */
    const struct prony_need *need;
    struct prony_span data, futures; /* the workload's parts of the arena */
    const uint64_t *future_offsets;  /* of each of need->futures, for engine->wait */
    void *local;                     /* the workload's own, in the host; freed by `release` */
    uint64_t seed;                   /* of the cell */
    uint64_t sample;                 /* number of this sample in the launch */
    int64_t chunk;                   /* for map; 0: the engine's choice */
    int64_t repeats;                 /* repetitions in a sample, at least 1; drive does them all */
    int64_t timeout_ns;
    /* out, by drive: */
    uint64_t ns[8]; /* ns[0]: the sample's time, when drive took it itself (gangs, phases of a life);
                                        0: the host's clock around drive holds. Others: further phases, reported */
    struct prony_tally tally;
    struct prony_error *error; /* for drive: why it failed */
    int64_t shortfall;         /* items not completed that were reported as such (a lossy channel) */
    int64_t reordered;         /* messages that came after a later one (a lossy channel) */
};

struct prony_workload {
    struct prony_head head;
    const char *unit;                   /* of an item, singular: "number", "round trip" */
    const struct prony_kernel *kernels; /* [0] is the main one */
    enum prony_shape shape;
    enum prony_clock clock;
    const char *const *phases; /* names of ns[1..], NULL-terminated; NULL: none */
    /* Pure: called in runner and host. -EINVAL with a reason when the parameters do not go together or a file is missing;
     * -ENOTSUP: this cell cannot run here (skipped with the reason). */
    int (*need)(const struct prony_params *params, unsigned workers, struct prony_need *need,
                struct prony_error *error);
    /* Once a launch, before the engine opens (forked workers inherit what it loads): fill from the seed. NULL: nothing. */
    int (*prepare)(struct prony_bench *bench, struct prony_error *error);
    /* Fills the task that map, tasks and gang loops send: kernel, spans, arg. NULL: kernel 0, in = out = data, no arg.
     * lo and hi are set by the loop: map [0, items); tasks [i, i + 1); gang [0, items x repeats). */
    void (*task)(const struct prony_bench *bench, struct prony_task *task);
    /* Before each sample: makes every output wrong, so that yesterday's answer does not pass. NULL: nothing to poison
     * (only for workloads whose answers are counts that the loop itself resets). */
    void (*poison)(struct prony_bench *bench);
    /* One sample: `repeats` repetitions. NULL: the default loop of its shape. */
    int (*drive)(struct prony_bench *bench);
    /* After each sample, off the clock: 0, or -EBADMSG with what was wrong. */
    int (*verify)(struct prony_bench *bench, struct prony_error *error);
    /* Frees what prepare left in bench->local. NULL: nothing. */
    void (*release)(struct prony_bench *bench);
};

/* For gang kernels: the timed part. begin meets the other roles at the barrier, then notes the time in the worker's
 * slot; end notes the time, and in worker->usage what the thread spent between them. The default gang loop reports last end - first begin. 0 or the barrier's error. */
int prony_worker_begin(struct prony_worker *worker);
void prony_worker_end(struct prony_worker *worker);

/* The worker's ends of its channel, from setup->ends: its own, or the hub's in a star. 0 or the channel's error with
 * nothing attached; again is harmless. */
int prony_worker_attach(struct prony_worker *worker, unsigned nends, int star, struct prony_error *error);
void prony_worker_detach(struct prony_worker *worker, unsigned nends);

/* "Which engine for my function?": a whole map workload in one line. fn(i) is any pure function of the item's number;
 * its results are checked after every sample against the same function called in order.
 *
 *     #include <prony/plugin/simple.h>
 *     static int64_t collatz(int64_t i) { ... }
 *     PRONY_MAP_WORKLOAD(collatz, collatz)
 *
 * (simple.h, because it brings code with it.) */

#ifdef __cplusplus
}
#endif
#endif
