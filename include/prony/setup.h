/* What an engine or a pool is given when it opens: workers, memory, kernels. */
#ifndef PRONY_SETUP_H
#define PRONY_SETUP_H

#include <prony/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An address of a channel end: bytes, and descriptors that are inherited at the same number. */
struct prony_blob {
    uint32_t bytes, fds;
    int32_t fd[4];
    unsigned char data[104];
};
static_assert(sizeof(struct prony_blob) == 128, "crosses exec");

struct prony_params;
struct prony_channel;

/* Owned by the caller and unchanged until close; may be used to open many engines in turn, never two at once. */
struct prony_setup {
    uint32_t size; /* sizeof(struct prony_setup): checked by who reads it */
    unsigned workers;
    const int *pus; /* OS indices, one a worker; NULL: no placement. Engines do not bind; the host does, by gang.
                                  They may use it to order steals and wake-ups. */
    const uint16_t *victims; /* workers rows of workers - 1 indices: whom each takes work from, nearest first; NULL: the
                                  next ones by index */
    int caller_pu;           /* where the caller's thread sits; -1: anywhere */
    unsigned char *base;
    uint64_t arena_bytes;
    int arena_fd;
    struct prony_span area;  /* the engine's own part of the arena: rings, slots; zeroed before each open */
    struct prony_span slots; /* workers x struct prony_slot */
    struct prony_span own;   /* workers x own_stride bytes: each worker's struct prony_histogram, struct
                                prony_usage, then its scratch */
    uint64_t own_stride;
    const struct prony_kernel *const *kernels; /* [0] prony's own, [1] the workload's */
    unsigned workloads;                        /* entries of kernels */
    const char *workload; /* its name, and the file it came from (NULL: built in): for images that resolve again */
    const char *plugin_path;
    const struct prony_channel *channel; /* NULL: none */
    const struct prony_blob *ends;       /* its ends, created before open, so that forked workers inherit them */
    unsigned nends;
    const struct prony_params *params;         /* the engine's own parameters */
    const struct prony_channel *carrier;       /* what an engine with PRONY_CAP_CHANNEL is to carry its tasks over; */
    const struct prony_params *carrier_params; /* it makes the ends itself. NULL: its own way */
    /* Called first by every NEW worker, in its own thread: parent-death signal, signal mask, its slot. May be NULL.
     * -errno: the worker must not start. */
    int (*started)(struct prony_worker *worker);
    int host_pid;   /* the host: /proc/HOST/fd/ARENA_FD opens the arena where nothing is inherited */
    int control_fd; /* worker processes close it, or the host's end is never seen; -1: none */
};

/* Fills `worker` from the setup: index, base, slot, scratch, latency, kernels, ends. Leaves ops and engine to the caller.
 * Writes pid, tid, generation into its slot. Call it in the worker itself. */
void prony_worker_init(struct prony_worker *worker, const struct prony_setup *setup, unsigned index,
                       unsigned generation);

#ifdef __cplusplus
}
#endif
#endif
