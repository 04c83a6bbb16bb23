/* What the parts of ipc_loops share: a pair of processes that run the same loops in lockstep, each on its PU. */
#ifndef PRONY_BENCH_IPC_H
#define PRONY_BENCH_IPC_H

#include "base/params.h"

#include <prony/plugin/channel.h>

enum { IPC_LINE = 128, IPC_LARGEST = 16 << 20, IPC_SAMPLES = 4096 };

/* Zeroed memory of both. */
struct ipc_shared {
    _Alignas(IPC_LINE) uint64_t line[2 * IPC_LINE / sizeof(uint64_t)]; /* line RT: a line each */
    _Alignas(IPC_LINE) uint64_t at[2 * IPC_LINE / sizeof(uint64_t)];   /* how many meetings each has come to */
    _Alignas(IPC_LINE) double told[4];                                 /* from role 1 to role 0 */
    _Alignas(IPC_LINE) unsigned char bare[1 << 16];                    /* the bare loops' own */
};

struct ipc_pair {
    struct ipc_shared *shared;
    unsigned role;
    int peer;         /* role 0: the other process */
    uint64_t met;     /* meetings so far */
    uint64_t hold_ns; /* see ipc_hold */
    unsigned char *buffer;
};

/* A channel that both hold an end of. */
struct ipc_talk {
    const struct prony_channel *channel;
    struct prony_params params;
    struct prony_blob blob[2];
    void *handle, *end;
};

/* Before the fork. settings: "wait=spin,layout=bytes". */
void ipc_open(struct ipc_talk *talk, const char *name, const char *settings);
/* Forks, pins both, attaches their ends. */
void ipc_part(struct ipc_pair *pair, const int pus[2], struct ipc_talk *talks, unsigned count);
/* Gives everything back; role 1 ends here. */
void ipc_close(struct ipc_pair *pair, struct ipc_talk *talks, unsigned count);
void ipc_meet(struct ipc_pair *pair);
_Noreturn void ipc_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A loop: what one side does, `count` times over. Does not come back if it fails. */
typedef void ipc_loop_fn(struct ipc_pair *pair, void *with, long count);
/* ns a time, clocked by role 0 over all of them; role 1 gets 0. */
double ipc_time(struct ipc_pair *pair, ipc_loop_fn *loop, void *with, long count);
/* ns of a round trip of two cache lines. */
double ipc_line_rt(struct ipc_pair *pair, long count);
double ipc_median(double *values, unsigned count);
/* Keeps a message back until the other side, which waits for it, is asleep. */
void ipc_hold(const struct ipc_pair *pair);

/* The bare loop of a mechanism's own system calls: over the channel's own descriptors where it has some. */
struct ipc_bare {
    const struct ipc_mechanism *mechanism;
    struct ipc_way *way[2]; /* in, out */
    int in, out, peer;      /* descriptors or numbers of queues */
    bool blocks;
    uint64_t sent, got;
    unsigned char *pages; /* vmsplice: a ring of them */
    void *own;            /* the mechanism's */
};

void ipc_bare_open(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk);
ipc_loop_fn ipc_bare_trips; /* with: struct ipc_bare */
bool ipc_bare_has(const char *channel);

#endif
