/* Inside a group: what is known of each task, where it waits, and the future that it has while it is in flight. */
#ifndef PRONY_PARALLEL_GROUP_H
#define PRONY_PARALLEL_GROUP_H

#include "parallel/crew.h"
#include "parallel/heap.h"

#include <prony/iterate.h>

#define PRONY_NO_SEAT UINT32_MAX

/* How far a stop goes: what has not begun; what runs in a process, too; and what cannot be stopped is given up. */
enum prony_stop { PRONY_STOP_WAITING, PRONY_STOP_RUNNING, PRONY_STOP_ALL };

/* What a group needs of the engine below it. */
struct prony_drive {
    unsigned most; /* tasks in flight, so that its queues never fill */
    int (*submit)(void *owner, const struct prony_task *tasks, unsigned n);
    int (*cancel)(void *owner, uint64_t future, int stop);
    int (*await)(void *owner,
                 uint64_t deadline); /* until a listed future is DONE: 0, -ETIMEDOUT, or why it is broken */
};

/* An outcome that an iteration has not given yet. */
struct prony_cell {
    struct prony_task task;
    struct prony_future outcome;
    bool filled;
};

/* Many tasks under one record: a map, a starmap, an iteration. Its parts are made when they can be handed over. */
struct prony_batch {
    struct prony_source source;
    bool dry; /* the source has no more */
    int code; /* with which it failed */
    uint64_t pulled, ended;
    struct prony_tally tally;
    struct prony_task task; /* of a map */
    int64_t at, chunk, least;
    unsigned workers;
    const struct prony_task *tasks; /* of a starmap */
    uint64_t count;
    struct prony_cell *ring; /* of an iteration */
    enum prony_order order;
    unsigned window;
    uint64_t put, given;
};

struct prony_then {
    struct prony_then *next;
    prony_over_fn *done, *failed;
    void *context;
};

struct prony_record;
struct prony_list {
    struct prony_record *first, *last;
};

struct prony_record {
    union {
        struct prony_task task;
        struct prony_future outcome; /* once it is over */
    };
    struct prony_batch *batch; /* NULL: one task */
    struct prony_terms terms;
    struct prony_then *thens;
    uint64_t handle;
    bool used, over, told, kept,
        quiet;                  /* told: callbacks have run; kept: it has a handle; quiet: next does not give it */
    int verdict;                /* what it ends with because it was stopped; 0: nothing */
    unsigned seat, rank, alarm; /* its future; its places in the two heaps */
    uint32_t waited;            /* the wait that counts it */
    struct prony_list *list;    /* the one it is in */
    struct prony_record *before, *after;
};

/* One future. */
struct prony_seat {
    struct prony_record *record; /* NULL: empty, or left behind */
    bool behind;                 /* a thread is stuck in its task, which counts as over */
    int verdict;
    uint64_t number; /* of a part in its batch */
    struct prony_task part;
};

struct prony_group {
    const struct prony_drive *drive;
    void *owner;
    struct prony_crew *crew;
    struct prony_span futures;
    struct prony_seat *seats;
    unsigned *empty, nseats, nempty, flying, stuck;
    struct prony_record **blocks, *spare;
    unsigned nblocks;
    struct prony_list turns, ended, ready; /* to be handed over; callbacks to run; for next */
    struct prony_heap ranked, alarms;      /* to be handed over by priority; by deadline */
    uint64_t order, given;                 /* tasks that next gave */
    unsigned unfinished, promised;         /* not over; those of them that next is to give */
    bool ranks, closed, telling, complains;
    int broken;
    struct prony_complaint complaint;
    struct {
        uint32_t number;
        unsigned left;
        bool any, failed;
    } wait;
};

/* group.c: the course of tasks */
int prony_group_make(const struct prony_drive *drive, void *owner, struct prony_crew *crew, struct prony_span futures,
                     struct prony_group **handle, struct prony_error *error);
void prony_group_unmake(struct prony_group *group);
struct prony_record *prony_record_make(struct prony_group *group, const struct prony_terms *terms);
void prony_record_drop(struct prony_group *group, struct prony_record *record);    /* its handle ends */
void prony_record_give_up(struct prony_group *group, struct prony_record *record); /* one that never began */
bool prony_record_next(struct prony_group *group, uint64_t *handle);               /* of those that are over */
struct prony_record *prony_record_find(struct prony_group *group, uint64_t handle);
/* The i-th, or NULL when it is not in use; i < 256 x nblocks. */
struct prony_record *prony_record_at(struct prony_group *group, unsigned i);
#define PRONY_RECORDS 256u /* a block */
void prony_record_call(struct prony_group *group, const struct prony_record *record, prony_over_fn *done,
                       prony_over_fn *failed, void *context);
int prony_group_queue(struct prony_group *group, struct prony_record *record); /* 0 or -ENOMEM */
void prony_group_finish(struct prony_group *group, struct prony_record *record, const struct prony_future *outcome);
/* False: something of it goes on. */
bool prony_group_stop(struct prony_group *group, struct prony_record *record, int code, enum prony_stop how);
void prony_group_stop_all(struct prony_group *group, int code, enum prony_stop how);
/* Takes in what has ended, stops what is late, hands over what there is room for, runs callbacks. */
void prony_group_advance(struct prony_group *group);
/* The same after a submit: while there is room, the list is left alone, which workers write to. */
void prony_group_go_on(struct prony_group *group);
/* Goes on until enough(...), or gives a code of waiting. */
int prony_group_until(struct prony_group *group, bool (*enough)(struct prony_group *group, void *context),
                      void *context, int64_t timeout_ns);

/* group_calls.c */
int prony_group_refuses(const struct prony_group *group,
                        struct prony_error *error); /* new tasks: why; 0: it does not */
/* Queues a new record and sets its alarm; releases it when that fails. kept: it has a handle. */
int prony_group_begin(struct prony_group *group, struct prony_record *record, bool kept, struct prony_error *error);

/* iterate.c: batches */
bool prony_batch_pull(struct prony_batch *batch, struct prony_task *task);
void prony_batch_part(struct prony_group *group, const struct prony_seat *seat, const struct prony_future *outcome);
void prony_batch_check(struct prony_group *group, struct prony_record *record); /* it may be over */
void prony_batch_free(struct prony_batch *batch);

#endif
