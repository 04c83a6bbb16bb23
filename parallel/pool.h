/* Inside the pool: one ring of submitted tasks a worker, one map at a time, one deque of kids a worker. */
#ifndef PRONY_PARALLEL_POOL_H
#define PRONY_PARALLEL_POOL_H

#include "parallel/crew.h"

#define PRONY_INBOX 256u  /* submitted tasks a worker: a power of two */
#define PRONY_OFFERS 256u /* kids a worker */
/* In the ticket of an inbox entry: a bit that alternates from lap to lap, so that an entry says itself whether it is there;
 * and how many behind it are there if it is. */
#define PRONY_LAP 0x80000000u
#define PRONY_MORE_SHIFT 27u
#define PRONY_MORE_MOST 15u

/* The caller writes tasks, the worker runs them in place and then moves head on; idle peers may take copies. */
struct prony_inbox {
    alignas(64) uint64_t head;   /* entries before it are done with; survives the worker */
    alignas(64) uint64_t stolen; /* a hint: entries before it are claimed */
    alignas(64) struct prony_task entry[PRONY_INBOX];
};

/* Kids: the parent pushes and pops at `bottom`, peers take from `top`. Only the future says who has a kid, so indices may
 * run past each other and entries may be stale; `seq` (odd while it is written) tells a torn copy. */
struct prony_offer {
    alignas(64) struct prony_task task;
    uint64_t seq;
};
struct prony_offers {
    alignas(64) uint64_t top;
    alignas(64) uint64_t bottom;
    struct prony_offer entry[PRONY_OFFERS];
};

/* One map. The cursor is (items handed out) << 16 | (who took the last chunk) + 1. */
struct prony_round {
    alignas(64) uint32_t open; /* its number; 0: closed */
    int64_t items, chunk;      /* chunk 0: guided; */
    int64_t chunks;            /* else how many */
    int64_t least;             /* of a guided chunk */
    bool plain;                /* chunks need no owner: they are taken in runs */
    struct prony_task task;
    alignas(64) uint64_t cursor;
};

struct prony_pool {
    struct prony_crew crew;
    struct prony_round *round;
    struct prony_inbox *inbox;
    struct prony_offers *offers;
    alignas(64) uint64_t *tail, *seen; /* the caller's: entries put into each inbox, and its head as last seen */
    uint32_t rounds;
    unsigned next;           /* inbox */
    struct prony_tally lost; /* chunks of this round that died with their workers */
};

static inline struct prony_pool *prony_pool_of(const struct prony_body *me)
{
    return (struct prony_pool *)me->crew->owner;
}

/* Whose work a worker looks for, i = 0 .. count - 2. */
static inline unsigned prony_victim(const struct prony_body *me, unsigned i)
{
    const struct prony_worker *worker = &me->worker;
    const uint16_t *order = me->crew->setup->victims;
    return order != NULL ? order[worker->index * (worker->count - 1) + i] : (worker->index + 1 + i) % worker->count;
}

/* pool.c */
void prony_pool_pass_on(struct prony_body *me, bool elsewhere);

/* map.c */
bool prony_map_serve(struct prony_body *me);
bool prony_map_peek(const struct prony_body *me);
void prony_map_lost(struct prony_pool *pool, unsigned index, int code);

/* nest.c */
int prony_nest_spawn(struct prony_worker *worker, struct prony_task *kid);
int prony_nest_join(struct prony_worker *worker, const struct prony_task *kids, unsigned n);
bool prony_nest_serve(struct prony_body *me);
bool prony_nest_peek(const struct prony_body *me);
void prony_nest_lost(struct prony_pool *pool, unsigned index);

#endif
