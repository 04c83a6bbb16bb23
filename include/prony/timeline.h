/* The timeline of a worker: what it did and when, as records of one size in a ring of the arena.
 *
 * One writer, the worker; no lock, no allocation, no system call. A full ring overwrites its oldest records, and `written`
 * says how many there were, so nothing is lost in silence. Off (a NULL timeline) it costs one branch a task. */
#ifndef PRONY_TIMELINE_H
#define PRONY_TIMELINE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum prony_note_kind {
    PRONY_NOTE_QUEUED = 1, /* by who queues it: the caller, or the worker whose task spawned it */
    PRONY_NOTE_BEGUN,
    PRONY_NOTE_ENDED,  /* detail 1: it failed */
    PRONY_NOTE_STOLEN, /* the next task to begin here was queued for the worker `detail` */
    PRONY_NOTE_WAIT,   /* detail: on what */
    PRONY_NOTE_GO_ON   /* the end of the last wait */
};

enum prony_wait_on {
    PRONY_ON_WORK,  /* an idle worker sleeps */
    PRONY_ON_KIDS,  /* a join; other tasks may run inside it */
    PRONY_ON_PEERS, /* a barrier */
    PRONY_ON_LOCK,
    PRONY_ON_SEND,
    PRONY_ON_RECEIVE,
    PRONY_ON_TASKS, /* the caller waits for submitted tasks, or for a map */
    PRONY_WAITS
};

struct prony_note {
    uint64_t ticks;  /* of the timeline's clock */
    uint64_t future; /* which task; 0: one without a future (a chunk, a gang's role) */
    int64_t lo;      /* its first item */
    uint32_t items;  /* held at 2^32-1 */
    uint16_t kind, detail;
};
static_assert(sizeof(struct prony_note) == 32, "two to a cache line");

/* The head of a ring; its `room` notes follow. Note i is at i % room. */
struct prony_timeline {
    uint64_t written; /* notes ever made; the last min(written, room) are there */
    uint64_t since;   /* the reader's: notes before this one do not interest it */
    uint64_t room;    /* a power of two */
    uint32_t counter; /* 1: ticks are the processor's counter; 0: nanoseconds */
    uint32_t pad[9];
};
static_assert(sizeof(struct prony_timeline) == 64, "a line of its own");

struct prony_task;
struct prony_worker;

/* Makes one note. `timeline` must not be NULL. Only its owner may call this. */
void prony_timeline_note(struct prony_timeline *timeline, enum prony_note_kind kind, unsigned detail, uint64_t future,
                         int64_t lo, int64_t items);
/* The present time on the timeline's clock. */
uint64_t prony_timeline_ticks(const struct prony_timeline *timeline);
/* Runs a task between two notes; prony_task_run calls it. */
int prony_timeline_run(struct prony_worker *worker, const struct prony_task *task);

static inline struct prony_note *prony_timeline_notes(struct prony_timeline *timeline)
{
    return (struct prony_note *)(void *)(timeline + 1);
}

/* A note without a task, where one is wanted at all. */
static inline void prony_timeline_mark(struct prony_timeline *timeline, enum prony_note_kind kind, unsigned detail)
{
    if (__builtin_expect(timeline != NULL, 0))
        prony_timeline_note(timeline, kind, detail, 0, 0, 0);
}

#ifdef __cplusplus
}
#endif
#endif
