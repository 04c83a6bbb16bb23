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

/* The head of a slot, with a small message in the same line: whoever looks whether it is filled has begun to fetch it. */
struct prony_slot_head {
    uint32_t number; /* of slots filled, this one included; written last */
    uint32_t word;   /* bytes in this slot, and PRONY_SLOT_MORE if the message goes on in the next */
};

enum { PRONY_SLOT_BYTES = 64 }; /* of a head, where the message is long */
#define PRONY_SLOT_MORE (UINT32_C(1) << 31)

static inline struct prony_slot_head *prony_slot_at(const struct prony_box *box, int way)
{
    return (struct prony_slot_head *)(void *)box->next[way];
}

static inline unsigned char *prony_slot_data(struct prony_slot_head *head, size_t bytes)
{
    return (unsigned char *)head +
           (bytes <= 2 * PRONY_SLOT_BYTES - sizeof *head ? sizeof *head : (size_t)PRONY_SLOT_BYTES);
}

/* What a filled slot says of its piece. The second line is asked for at once: not after the length has come. */
static inline uint32_t prony_slot_word(const struct prony_slot_head *head)
{
    __builtin_prefetch((const unsigned char *)head + PRONY_SLOT_BYTES);
    return head->word;
}

/* Goes on to the next slot; returns the new position. */
static inline uint32_t prony_box_advance(struct prony_box *box, int way)
{
    box->next[way] += box->step;
    if (box->next[way] == box->after[way])
        box->next[way] = box->slots[way];
    return ++box->position[way];
}

/* A message, or the piece of one, into the next slot, which is free. */
static inline void prony_box_fill(struct prony_box *box, const void *data, size_t bytes, bool more)
{
    struct prony_slot_head *head = prony_slot_at(box, PRONY_OUT);
    head->word = (uint32_t)bytes | (more ? PRONY_SLOT_MORE : 0);
    if (bytes > 0)
        memcpy(prony_slot_data(head, bytes), data, bytes);
    __atomic_store_n(&box->way[PRONY_OUT]->head, prony_box_advance(box, PRONY_OUT), __ATOMIC_RELAXED);
    __atomic_store_n(&head->number, box->position[PRONY_OUT], __ATOMIC_RELEASE);
}

void prony_box_wake_sender(struct prony_box *box);

/* Gives back the next slot, which has `piece` bytes, when `wanted` of them have been copied. Where both spin nobody sleeps,
 * and nobody needs waking. */
static inline void prony_box_empty(struct prony_box *box, void *data, size_t piece, size_t wanted)
{
    struct prony_box_way *way = box->way[PRONY_IN];
    struct prony_slot_head *head = prony_slot_at(box, PRONY_IN);
    if (wanted > 0)
        memcpy(data, prony_slot_data(head, piece), wanted);
    __atomic_store_n(&way->tail, prony_box_advance(box, PRONY_IN), __ATOMIC_RELEASE);
    if (box->line.wait == PRONY_WAIT_SPIN)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&way->full, __ATOMIC_RELAXED) != 0)
        prony_box_wake_sender(box);
}

/* The rest of prony_box_recv, all of it if no bell was heard. */
int64_t prony_box_take_on(struct prony_box *box, void *data, size_t bytes, uint64_t deadline, bool heard);

/* A message of which a bell told. */
static inline int64_t prony_box_take(struct prony_box *box, void *data, size_t bytes)
{
    const uint32_t word = prony_slot_word(prony_slot_at(box, PRONY_IN));
    if (word > bytes || (word & PRONY_SLOT_MORE) != 0)
        return prony_box_take_on(box, data, bytes, UINT64_MAX, true);
    prony_box_empty(box, data, word, word);
    return word;
}

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
