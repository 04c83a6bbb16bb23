/* The inside of a cell host: one engine under one workload. host.c sets it up and takes orders, sample.c measures. */
#ifndef PRONY_MEASURE_HOST_H
#define PRONY_MEASURE_HOST_H

#include "base/params.h"
#include "measure/board.h"
#include "measure/drive.h"
#include "measure/kernels.h"
#include "measure/wire.h"

#include <prony/arena.h>
#include <prony/plugin/channel.h>
#include <prony/plugin/workload.h>

struct prony_host {
    int control_fd, runner_pid, caller_pu;
    struct prony_arena arena;
    const struct prony_workload *workload;
    const struct prony_channel *channel_ops;
    const struct prony_provider *provider;
    void *channel;
    bool counting, parked;
    unsigned char set; /* of events, that this visit counts */
    struct prony_params engine_params, workload_params, channel_params, own_params;
    const struct prony_kernel *kernels[2];
    struct prony_setup setup;
    struct prony_need need;
    struct prony_bench bench;
    prony_drive_fn *drive;
    uint64_t *offsets;                   /* of the futures */
    int *status;                         /* of gangs */
    uint64_t drove_from_ns, drove_to_ns; /* the last sample's timed region */
    struct prony_sampler *sampler;       /* runs while the clock does; NULL: none */
};

/* Opens what `host` names, in this process: the arena holds its board; engine, workload, channel, their parameters, seed,
 * limit and caller_pu are set, parked is true, control_fd -1 when there is none. Leaves the calling thread bound where
 * the caller sits, and the engine at rest. To be closed also when it failed. */
int prony_host_open(struct prony_host *host, struct prony_error *error);
/* Closes the engine, frees the rest and the arena. -errno when the engine does not close. */
int prony_host_close(struct prony_host *host, struct prony_error *error);

/* Runs one of prony's own kernels in every worker. -errno of the gang or of the first worker that failed. */
int prony_host_gang(struct prony_host *host, enum prony_own kernel, unsigned char argument, const char *doing,
                    struct prony_error *error);
/* Wakes the engine and binds its workers, which must be found where they belong; or puts it to rest. */
int prony_host_unpark(struct prony_host *host, struct prony_error *error);
void prony_host_park(struct prony_host *host);

/* After a drive: 0, or what failed, or what is wrong with the answer. */
int prony_host_check(struct prony_host *host, struct prony_error *error);
/* One sample: poison, clock, drive, clock, verify. *ns is its time; `counted` reads the counters at both ends. */
int prony_host_take(struct prony_host *host, int64_t repeats, bool counted, uint64_t *ns, struct prony_error *error);

/* Orders, answered in `answer`. */
void prony_host_warm(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer);
void prony_host_visit(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer);
void prony_host_count(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer);
void prony_host_profile(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer);

#endif
