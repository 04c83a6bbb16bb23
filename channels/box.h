/* A box: messages in slots of shared memory, and a bell by which the sender tells the receiver that one is there. The
 * bell is the mechanism under test (a semaphore, an eventfd, a signal, ...); slots, room and order are the same for all.
 *
 * A message longer than a slot goes in several, each with a ring of the bell. Waiting for room, when all slots are taken,
 * is by a futex in every box: flow control is no part of the mechanism. */
#ifndef PRONY_CHANNELS_BOX_H
#define PRONY_CHANNELS_BOX_H

#include "channels/line.h"

#define PRONY_BOX_OPTIONS                                                                                              \
    {"slot", PRONY_BYTES, "64Ki", 64, 16777216.0, NULL, "bytes of a slot; longer messages take several"},              \
    {                                                                                                                  \
        "slots", PRONY_INT, "8", 1, 65536, NULL, "messages that one direction holds"                                   \
    }

/* One direction, in shared memory. Positions count slots and wrap at 2^32. Lines are fetched in pairs: what one side writes
 * is kept two lines away from what the other does. */
struct prony_box_way {
    _Alignas(128) uint32_t head;          /* the sender's: slots filled */
    _Alignas(128) uint32_t tail;          /* the receiver's: slots emptied */
    _Alignas(128) uint32_t full;          /* futex: 1 while the sender waits for room */
    uint32_t dead;                        /* set by a keeper */
    _Alignas(128) unsigned char own[256]; /* the bell's */
};

struct prony_box;

struct prony_bell {
    bool counts; /* each ring is heard once; else the bell is a hint, and the slots are looked at first */
    bool memory; /* hearing without a sleep is a look at memory, no system call */
    void (*set_up)(struct prony_box_way *way); /* in the host, on zeroed memory. NULL: nothing */
    void (*tear_down)(struct prony_box_way *way);
    int (*ring)(struct prony_box *box);
    /* 0 heard, -EAGAIN not within sleep_ns (0: one try), -errno. `forever`: may sleep for longer. */
    int (*hear)(struct prony_box *box, uint64_t sleep_ns, bool forever);
};

/* What a blob says of a box, in prony_call.own; `bell` is the bell's own. */
struct prony_box_plan {
    uint64_t bytes;
    uint32_t slots, slot;
    int32_t bell[4];
};

struct prony_box {
    struct prony_line line;
    const struct prony_bell *bell;
    unsigned char *base;
    struct prony_box_plan plan;
    unsigned number;                    /* of this end, 0 or 1 within its pair */
    struct prony_box_way *way[2];       /* in, out */
    unsigned char *slots[2], *after[2]; /* the first slot, and behind the last */
    uint64_t step;                      /* from slot to slot */
    uint32_t position[2];
    unsigned char *next[2]; /* the slot at that position */
    uint32_t room;          /* the tail as the sender last saw it */
    void (*unmap)(struct prony_box *box);
};

static inline struct prony_box_plan *prony_box_plan_of(struct prony_blob *blob)
{
    return (struct prony_box_plan *)(void *)prony_call_of(blob)->own;
}

/* Fills the plan of both blobs from the options. */
void prony_box_lay_out(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b);
/* Sets up both directions in memory that is mapped at base. */
void prony_box_set_up(const struct prony_bell *bell, void *base);
/* A memfd for a box, set up, in both blobs; it is the first descriptor. *base: where the creator sees the first page or
 * more of it; NULL: it is unmapped again. */
int prony_box_connect(const struct prony_params *params, const struct prony_bell *bell, struct prony_blob *a,
                      struct prony_blob *b, void **base, struct prony_error *error);
/* That and a lifeline, for bells that have nothing of their own to join. */
int prony_box_join(const struct prony_params *params, const struct prony_bell *bell, struct prony_blob *a,
                   struct prony_blob *b, struct prony_error *error);
/* In the worker: takes the line and maps the memfd. */
int prony_box_attach(const struct prony_blob *blob, const struct prony_bell *bell, struct prony_box *box,
                     struct prony_error *error);
/* The same on memory that is mapped already; unmap gives it back. */
void prony_box_place(const struct prony_blob *blob, const struct prony_bell *bell, struct prony_box *box, void *base);
int prony_box_new(const struct prony_blob *blob, const struct prony_bell *bell, void **end, struct prony_error *error);
void prony_box_free(void *end);
int64_t prony_box_send(void *end, const void *data, size_t bytes, int64_t timeout_ns);
int64_t prony_box_recv(void *end, void *data, size_t bytes, int64_t timeout_ns);

/* The short way of both, with the bell's system calls in the channel's own functions (as prony_packet_recv). */

static inline bool prony_box_is_full(struct prony_box *box)
{
    if (box->position[PRONY_OUT] - box->room < box->plan.slots)
        return false;
    box->room = __atomic_load_n(&box->way[PRONY_OUT]->tail, __ATOMIC_ACQUIRE);
    return box->position[PRONY_OUT] - box->room >= box->plan.slots;
}

static inline bool prony_box_is_dead(const struct prony_box *box)
{
    return __atomic_load_n(&box->way[PRONY_IN]->dead, __ATOMIC_ACQUIRE) != 0;
}

/* A slot begins with the number of slots filled, it included. */
static inline bool prony_box_is_empty(const struct prony_box *box)
{
    const uint32_t *number = (const uint32_t *)(const void *)box->next[PRONY_IN];
    return __atomic_load_n(number, __ATOMIC_ACQUIRE) != box->position[PRONY_IN] + 1;
}

/* A message, or the piece of one, into the next slot, which is free. */
void prony_box_fill(struct prony_box *box, const void *data, size_t bytes, bool more);
/* As prony_box_recv when the bell has been heard. */
int64_t prony_box_take(struct prony_box *box, void *data, size_t bytes);

static inline int64_t prony_box_send_by(const struct prony_bell *bell, void *end, const void *data, size_t bytes,
                                        int64_t timeout_ns)
{
    struct prony_box *box = end;
    int code;
    if (bytes > box->plan.slot || prony_box_is_full(box))
        return prony_box_send(end, data, bytes, timeout_ns);
    prony_box_fill(box, data, bytes, false);
    code = bell->ring(box);
    (void)prony_box_is_full(box); /* looked at while the peer reads, not when the next message waits for it */
    return code != 0 ? code : (int64_t)bytes;
}

static inline int64_t prony_box_recv_by(const struct prony_bell *bell, void *end, void *data, size_t bytes,
                                        int64_t timeout_ns)
{
    struct prony_box *box = end;
    const uint64_t nap_ns = box->line.wait == PRONY_WAIT_BLOCK ? PRONY_LOOK_NS : 0;
    unsigned left = timeout_ns < 0 && !prony_box_is_dead(box) ? box->line.burst : 0;
    for (; left > 0; left--) {
        if ((bell->counts || prony_box_is_empty(box)) && bell->hear(box, nap_ns, true) != 0) {
            if (bell->memory)
                prony_pause();
        } else if (!prony_box_is_empty(box)) {
            return prony_box_take(box, data, bytes);
        }
    }
    return prony_box_recv(end, data, bytes, timeout_ns);
}

/* name_send and name_recv, with the calls of a constant bell in them. */
#define PRONY_BOX_MOVES(name, bell)                                                                                    \
    static __attribute__((flatten)) int64_t name##_send(void *end, const void *data, size_t bytes, int64_t timeout_ns) \
    {                                                                                                                  \
        return prony_box_send_by(bell, end, data, bytes, timeout_ns);                                                  \
    }                                                                                                                  \
    static __attribute__((flatten)) int64_t name##_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)       \
    {                                                                                                                  \
        return prony_box_recv_by(bell, end, data, bytes, timeout_ns);                                                  \
    }

#endif
