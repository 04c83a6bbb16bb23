/* What the bare loops share: a way in shared memory for those that need one, and the loop itself. */
#ifndef PRONY_BENCH_IPC_BARE_H
#define PRONY_BENCH_IPC_BARE_H

#include "scripts/bench/ipc.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

enum { BYTES = 64, IN = 0, OUT = 1 };

/* One direction in shared memory. */
struct ipc_way {
    _Alignas(64) uint64_t number; /* of the last message in the slot */
    unsigned char slot[BYTES];
    _Alignas(64) uint32_t word; /* futex: messages that nobody took */
    uint32_t asleep;
    int32_t tid;
    _Alignas(64) sem_t sem, readers, writers;
    _Alignas(64) pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t count;
};

struct ipc_mechanism {
    const char *name;
    void (*trips)(struct ipc_pair *pair, struct ipc_bare *bare, long count);
    void (*open)(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk);
};

typedef void move_fn(struct ipc_bare *bare, void *data);

static inline __attribute__((always_inline)) void trips(struct ipc_pair *pair, struct ipc_bare *bare, long count,
                                                        move_fn *put, move_fn *get, bool holds)
{
    for (long i = 0; i < count; i++) {
        if (pair->role == 0) {
            if (holds)
                ipc_hold(pair);
            put(bare, pair->buffer);
        }
        get(bare, pair->buffer);
        if (pair->role == 1) {
            if (holds)
                ipc_hold(pair);
            put(bare, pair->buffer);
        }
    }
}

#define TRIPS(name, put, get)                                                                                          \
    static void name##_trips(struct ipc_pair *pair, struct ipc_bare *bare, long count)                                 \
    {                                                                                                                  \
        if (pair->hold_ns == 0)                                                                                        \
            trips(pair, bare, count, put, get, false);                                                                 \
        else                                                                                                           \
            trips(pair, bare, count, put, get, true);                                                                  \
    }

static inline void want(bool holds, const char *what)
{
    if (!holds)
        ipc_die("bare loop: %s: %s", what, strerrordesc_np(errno));
}

/* An open for those with a descriptor for each direction, and for those with one for both. */
void ipc_bare_two(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk);
void ipc_bare_one(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk);
/* One that is built over others, by a library or by hand; NULL: there is none of that name here. */
const struct ipc_mechanism *ipc_built(const char *name);

#endif
