/* Inside a carried pool: a lane is one worker's pair of channel ends, seen from the caller. */
#ifndef PRONY_PARALLEL_CARRY_LANE_H
#define PRONY_PARALLEL_CARRY_LANE_H

#include "parallel/carry.h"
#include "parallel/crew.h"

#include <poll.h>

#define PRONY_CARRY_QUEUE 1024u /* submitted tasks that wait for a worker, and one more for each worker that dies */

enum { PRONY_CARRY_RUN, PRONY_CARRY_REST, PRONY_CARRY_KINDS };
/* Values of desk->inside. A worker listens only when it may; a word over the channel sends it to rest. */
enum { PRONY_MAY_LISTEN, PRONY_LISTENS, PRONY_RESTS };

struct prony_carry_order {
    uint32_t kind, spare;
    struct prony_task task;
};
static_assert(sizeof(struct prony_carry_order) == PRONY_CARRY_MESSAGE, "what channels are asked for");

struct prony_carry_reply {
    int32_t status;
    uint32_t ran; /* 0: the task had been taken back */
};

struct prony_lane {
    void *channel; /* of two ends: 0 is the caller's */
    void *end;     /* the caller's, attached once the worker is there; NULL: not yet, or no more */
    void *workers; /* in the worker only: its end */
    bool busy;
    struct prony_task task;                            /* what it has, when busy; chunks of a map have no future */
    struct prony_carry_order order[PRONY_CARRY_KINDS]; /* the last of each kind: a slow worker may read it later */
};

/* The map under way. */
struct prony_carry_map {
    struct prony_task task;
    int64_t at, items, chunk, least;
    unsigned pending; /* chunks handed out */
    struct prony_tally tally;
};

struct prony_carry {
    struct prony_crew crew;
    const struct prony_channel *channel;
    struct prony_lane *lanes;
    struct prony_error *reasons; /* shared: why a worker could not attach */
    struct pollfd *polls;
    unsigned *polled; /* lane of each */
    bool parked, spins, adapts;
    bool lost; /* a lane was found broken: look for the dead */
    uint64_t budget_ns;
    unsigned next; /* lane to look at */
    struct prony_task *queue;
    unsigned head, count, room;
    struct prony_carry_map map;
};

static inline struct prony_carry *prony_carry_of(const struct prony_body *me)
{
    return (struct prony_carry *)me->crew->owner;
}

/* carry_lane.c: the caller's side of the lanes */
int prony_lane_make(struct prony_carry *carry, unsigned index, struct prony_error *error);
void prony_lane_unmake(struct prony_carry *carry, unsigned index);
/* Sends; attaches the caller's end first where that was not done. False: that worker takes nothing now. */
bool prony_lane_send(struct prony_carry *carry, unsigned index, uint32_t kind, const struct prony_task *task);
/* Takes in completions that are there, waiting at most until the deadline for the first: how many. */
unsigned prony_lanes_collect(struct prony_carry *carry, uint64_t deadline);
/* Takes in the last words of a dead worker. */
void prony_lane_drain(struct prony_carry *carry, unsigned index);

/* carry_work.c: the worker's side */
bool prony_carry_serve(struct prony_body *me);
bool prony_carry_peek(const struct prony_body *me);
void prony_carry_arrive(struct prony_body *me);

/* carry.c */
void prony_carry_resolve(struct prony_carry *carry, unsigned index, const struct prony_carry_reply *reply);

#endif
