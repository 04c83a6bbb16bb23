/* A cell while it is being measured: its host, and what the loop must remember of it. live.c does one step of one cell;
 * measure.c decides which step comes next. */
#ifndef PRONY_MEASURE_LIVE_H
#define PRONY_MEASURE_LIVE_H

#include "measure/client.h"
#include "measure/journal.h"
#include "measure/measure.h"
#include "measure/pulse.h"

struct prony_live {
    struct prony_cell *cell;
    unsigned number; /* of the cell in the plan */
    struct prony_client client;
    unsigned launch;  /* the present one, from 0; a cell that is gone on with has more than were planned */
    unsigned planned; /* which of the planned ones it stands for */
    unsigned marked;  /* marked visits */
    bool done;
    uint64_t open_ns, visit_ns; /* what the last opening and the last visit took, all in all */
    double sample_ns;           /* of the last visit: mean */
};

struct prony_bout { /* what all steps share */
    struct prony_run *run;
    const struct prony_watch *watch;
    struct prony_journal journal;
    struct prony_pulser pulser;
    uint64_t started_ns, deadline_ns; /* deadline: of the run's budget; 0: none */
    uint64_t past_ns;                 /* how long the run had lasted when it was interrupted; 0: it never was */
    int64_t target_ns;                /* how long a sample should take */
    double *gaps_ns;                  /* between visits: what bookkeeping cost */
    size_t gaps, gaps_room;
    uint64_t last_end_ns;
};

/* Starts a host for the next launch of the cell, opens it, calibrates and warms up. False: the cell failed or was skipped
 * (its outcome and reason are set, the host is gone), or the run was interrupted. */
bool prony_live_open(struct prony_bout *bout, struct prony_live *live);
/* One visit of `samples` samples, with what disturbed it. False as above. */
bool prony_live_visit(struct prony_bout *bout, struct prony_live *live, unsigned block, unsigned samples);
/* Takes the counters over, closes the host and frees its arena. Harmless when there is none. */
void prony_live_close(struct prony_live *live);

/* What a worker counted of an event up to now, in this launch and those before; in how many samples; what a read costs. */
struct prony_value prony_live_count(const struct prony_live *live, unsigned worker, unsigned event);
uint64_t prony_live_counted(const struct prony_live *live);
double prony_live_read_ns(const struct prony_live *live);

#endif
