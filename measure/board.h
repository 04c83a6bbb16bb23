/* The board: what lies where in a cell's arena. It stands at offset 0, written by the runner before the host starts, and
 * read by the host, by its workers and by foreign images (CPython) that map the arena.
 *
 *   [board][PUs][victims][channel ends][event names][slots][values][own: histogram and scratch, one a worker]
 *   [engine's area][futures][times][data][trail, timelines, stacks: only of a profiled launch]
 *
 * Each part starts on a page of its own where workers write it, so that first touch decides its memory node. */
#ifndef PRONY_MEASURE_BOARD_H
#define PRONY_MEASURE_BOARD_H

#include "measure/cell.h"

#include <prony/plugin/counter.h>
#include <prony/setup.h>

#define PRONY_BOARD_MAGIC 0x796e6f72705f3031u

struct prony_board {
    uint64_t magic, bytes;                 /* of the whole arena */
    uint32_t workers, nends, events, star; /* star: of prony_need */
    uint32_t sets;                         /* of events, which take turns; 1 when all fit */
    uint8_t set[PRONY_EVENTS_MAX];         /* of each event */
    uint8_t nature[PRONY_EVENTS_MAX];      /* PRONY_EVENT_* of each event */
    struct prony_span pus;                 /* int32_t, one a worker; -1: not to be bound */
    struct prony_span victims;             /* uint16_t, as setup->victims; length 0: no order is known */
    struct prony_span ends;                /* struct prony_blob, written by the host */
    struct prony_span names;               /* event names, each ended by a NUL */
    struct prony_span slots;               /* struct prony_slot, one a worker */
    struct prony_span values;              /* struct prony_counts, one a worker */
    struct prony_span own;
    uint64_t own_stride;
    struct prony_span area, futures, data;
    struct prony_span times;                 /* struct prony_task_times; length 0: they were not asked for */
    struct prony_span trail;                 /* struct prony_trail; length 0: this launch is not profiled */
    struct prony_span timelines;             /* one a worker and one for the caller */
    uint64_t timeline_stride, notes;         /* notes: the room of each */
    struct prony_span stacks;                /* of the sampled profile: see measure/sampler.h */
    char workload[64];                       /* the name under which an image finds the kernels */
    char channel[32];                        /* the channel's name, for images that attach it; empty: none */
    char provider[32];                       /* the counter provider; empty: none */
    int32_t plugin_fd;                       /* in the host: the workload's shared object; -1: built in */
    unsigned char argument[PRONY_ARG_BYTES]; /* of the workload's tasks; written by the host before the engine opens */
};

enum { PRONY_READS_KEPT = 64 };

/* A worker's counters: running totals at the last begin, of the events of the set that is counted, and the sums over
 * measured samples, of all events. */
struct prony_counts {
    uint64_t samples, reads;
    uint32_t read_ns[PRONY_READS_KEPT]; /* what the last reads took */
    uint64_t set;                       /* the one that was entered */
    struct prony_error error;           /* of enter */
    struct prony_value start[PRONY_EVENTS_MAX], sum[PRONY_EVENTS_MAX];
};

/* What a profiled launch says of itself; written by the host. */
struct prony_trail {
    uint64_t from_ns, to_ns;                               /* the timed region that was recorded */
    uint64_t begun_ticks, begun_ns, ended_ticks, ended_ns; /* both clocks at either end of the recorded part */
    int64_t repeats;                                       /* in the recorded part */
    double note_ns;                                        /* what one note costs, measured in this host */
    uint64_t period_ns;                                    /* of a worker's own time, between two stacks */
    uint64_t stacks_bytes, stacks, dropped;                /* used of `stacks`; how many; for which there was no room */
    struct prony_error reason;                             /* why there is no sampled profile, or a part of it */
};

/* Lays the arena out for a cell. Pure. */
void prony_board_lay(struct prony_board *board, const struct prony_cell *cell, const struct prony_method *method);
/* Writes the board, the PUs and the event names into a fresh arena. */
void prony_board_write(unsigned char *base, const struct prony_board *board, const struct prony_cell *cell,
                       const struct prony_method *method);
/* Fills what a setup takes from the board: workers, PUs, memory, slots. Kernels, params, started and descriptors are the
 * caller's to add. -EINVAL when there is no board. */
int prony_board_setup(unsigned char *base, uint64_t bytes, struct prony_setup *setup, struct prony_error *error);

static inline struct prony_slot *prony_board_slots(unsigned char *base)
{
    return (struct prony_slot *)(void *)(base + ((struct prony_board *)(void *)base)->slots.off);
}

static inline struct prony_trail *prony_board_trail(unsigned char *base)
{
    return (struct prony_trail *)(void *)(base + ((struct prony_board *)(void *)base)->trail.off);
}

/* The timeline of a worker; of the caller, for index `workers`. NULL: none is kept. */
static inline struct prony_timeline *prony_board_timeline(unsigned char *base, unsigned index)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    if (board->timelines.len == 0)
        return NULL;
    return (struct prony_timeline *)(void *)(base + board->timelines.off + index * board->timeline_stride);
}

static inline struct prony_counts *prony_board_counts(unsigned char *base, unsigned worker)
{
    return (struct prony_counts *)(void *)(base + ((struct prony_board *)(void *)base)->values.off) + worker;
}

/* Why a worker could not attach its channel: in its scratch, which nobody else uses by then. */
static inline struct prony_error *prony_board_reason(unsigned char *base, unsigned worker)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    return (struct prony_error *)(void *)(base + board->own.off + worker * board->own_stride +
                                          sizeof(struct prony_histogram) + sizeof(struct prony_usage));
}

#endif
