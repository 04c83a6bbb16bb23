/* The model of a run: cells, visits, samples, and what was seen beside them. Filled by plan.c and measure.c, read by
 * results/. Everything is owned by the run and freed by prony_run_free.
 *
 * Times: nanoseconds; t_ns is since the start of the run. One sample holds `repeats` repetitions of `items` items. */
#ifndef PRONY_MEASURE_CELL_H
#define PRONY_MEASURE_CELL_H

#include "base/params.h"
#include "base/registry.h"
#include "base/text.h"
#include "stats/steady.h"
#include "topology/topology.h"

#include <prony/histogram.h>

enum prony_outcome { PRONY_PENDING, PRONY_OK, PRONY_FAILED, PRONY_SKIPPED, PRONY_INTERRUPTED };
/* "pending", "ok", "failed", "skipped", "interrupted". */
const char *prony_outcome_name(enum prony_outcome outcome);

/* The state of the machine, taken between visits: line RT between two PUs, and a fixed compute loop. */
struct prony_pulse {
    double line_ns;    /* NaN: not taken (one PU) */
    double compute_ns; /* NaN: not taken */
};

/* What happened during a visit. Deltas over its workers and PUs. */
struct prony_disturbed {
    struct prony_pulse before, after;
    uint64_t steal_ns;    /* taken by the hypervisor on the cell's PUs */
    uint64_t involuntary; /* involuntary context switches of the workers */
    uint64_t migrations;  /* of the workers */
    bool marked;          /* the machine's state moved: the visit is repeated if the budget allows */
    char why[192];        /* in words; empty when undisturbed */
};

struct prony_visit {
    unsigned block, launch;
    uint64_t t_ns;
    unsigned samples;
    uint64_t *samples_ns;  /* the whole sample: divide by repeats for one repetition */
    uint64_t phases_ns[7]; /* medians over the samples of bench->ns[1..7] */
    uint64_t cpu_ns;       /* gangs: CPU time of all roles in the timed parts of its samples; 0: not taken */
    struct prony_disturbed disturbed;
};

/* How long tasks waited in a queue, and how long they ran. */
struct prony_task_times {
    struct prony_histogram wait, run;
};

/* System calls for a message, by a worker or by all of a cell; NaN: not counted. */
struct prony_calls {
    double done;  /* that did something */
    double futex; /* of those: sleeping and waking, as often as the timing wants it, which tracing changes */
    double vain;  /* beside those: that found nothing to do: EAGAIN, a time that was up, a poll of nothing */
};

/* What a worker counted over all measured samples, by event: same order as prony_method.events. */
struct prony_cell_worker {
    int pid, tid, pu;           /* pu: read back in the worker; -1: not bound */
    unsigned generation, flags; /* PRONY_WHO_* */
    int64_t items;              /* completed in all samples, warm-up included */
    struct prony_value *values; /* one an event; NULL: nothing counted */
    struct prony_usage usage;   /* gangs: sums over the measured samples; start[] means nothing here */
    struct prony_calls calls;   /* of its own threads */
};

/* Where a worker's time went in the recorded part of the profiled visit. The four add up to it. */
struct prony_spending {
    uint64_t busy_ns;     /* in tasks */
    uint64_t waiting_ns;  /* in tasks, for kids, peers, locks or messages */
    uint64_t idle_ns;     /* before its first task, after its last, and asleep */
    uint64_t overhead_ns; /* between two tasks: finding the next one */
    uint64_t tasks, steals;
};

/* What a profile says in numbers. */
struct prony_digest {
    bool taken;
    struct prony_error reason;         /* not taken: why */
    struct prony_error sampled_reason; /* what the sampled part lacks; code 0: nothing */
    int64_t repeats;
    uint64_t window_ns, notes, lost;          /* lost: notes that were overwritten */
    double note_ns;                           /* what recording one costs */
    uint64_t tasks, steals, work_ns, path_ns; /* path: the longest chain of tasks, from parents to kids */
    double imbalance;                         /* the busiest worker's time over the mean, less 1 */
    double queue_p50_ns, queue_p99_ns;        /* NaN: nothing was queued, or too few for a percentile */
    uint64_t queued;                          /* tasks whose wait in a queue is known */
    uint64_t period_ns, samples, dropped, frames, unnamed;
    struct prony_spending *who; /* one a worker; NULL: not taken */
    char *stem;                 /* of the files written for it, in the report's folder; NULL: none */
    struct prony_error files_reason;
};

struct prony_cell {
    char *id; /* unique in the plan, the same in every run of it: "primes/thread/n2/compact/items=1000" */
    const struct prony_engine *engine;
    const struct prony_workload *workload;
    const struct prony_channel *channel; /* NULL: none */
    unsigned workers;
    struct prony_placement placement;
    struct prony_params engine_params, workload_params, channel_params, own_params; /* own: prony_cell_options */
    struct prony_need need;
    bool baseline; /* added by the plan: serial, for the speed-up */

    enum prony_outcome outcome;
    struct prony_error reason; /* why it failed or was skipped */
    int64_t repeats;           /* calibrated */
    uint64_t calibrate_ns;     /* what one repetition took at calibration */
    unsigned warm_samples;     /* of the warm-up that ran worst, among the launches */
    unsigned steady_from;      /* the first of its samples that belongs to the last level; warm_samples: none does */
    enum prony_course course;  /* of that warm-up */
    uint64_t *warm_ns;         /* its samples; NULL: none */
    bool steady;               /* of all launches; false: warm-up ended by its limit, not by steadiness */
    int caller_pu;
    char about[128];     /* the engine's runtime, in its own words: "CPython 3.11.2, GIL on"; may be empty */
    double caller_share; /* of the items, done by the caller's own thread; NaN: not known */
    unsigned visits_count, visits_room, launches;
    struct prony_visit *visits;
    struct prony_cell_worker *who;   /* `workers` of them; NULL: it never opened */
    struct prony_histogram *latency; /* measured operations of PRONY_PER_OP workloads; NULL: none */
    struct prony_task_times *times; /* of submitted tasks, of the last repetition of each sample; NULL: not asked for */
    uint64_t counted_samples;       /* that the workers' values are sums over */
    int64_t counted_repeats;        /* in each of them; 0: `repeats` */
    int64_t verified;               /* samples whose answer was checked and right */
    int64_t measured_samples;       /* of all visits */
    int64_t shortfall, reordered;   /* of a channel that loses: items missing, messages out of order, in those */
    struct prony_calls calls;       /* of all its workers, and of threads that several of them share */
    int64_t called_messages;        /* that those are means over; 0: not counted, because of: */
    struct prony_error calls_reason;
    double counter_read_ns;      /* median cost of one read in a worker; NaN: nothing read */
    uint64_t spent_ns;           /* wall time given to the cell */
    struct prony_digest profile; /* with method.profile */
    bool restored; /* how it ended was read back from the journal: it keeps its place in the order and is not visited */
};

/* The times of one task in how many are wanted (the engine's option `times`); 0: of none. */
int64_t prony_cell_times(const struct prony_cell *cell);

/* Parameters of a cell that belong to no plug-in, set as -p chunk= and -p repeats=. `chunk`, the first, is for maps. */
extern const struct prony_option prony_cell_options[];
static inline const struct prony_option *prony_cell_options_of(const struct prony_workload *workload)
{
    return workload->shape == PRONY_MAP ? prony_cell_options : prony_cell_options + 1;
}

struct prony_method {
    unsigned visits;  /* asked; at least 6 for a 95% interval */
    unsigned samples; /* a visit */
    unsigned launches;
    double precision;   /* half width of the interval / median, in percent, at which a cell stops; 0: off */
    int64_t budget_ns;  /* of the whole run; 0: none */
    int64_t timeout_ns; /* of one step of one cell */
    uint64_t seed;
    const struct prony_topology *topology; /* not owned; tells workers who is near. NULL: nobody knows */
    bool weak;                             /* weak scaling: `items` grow with the workers; else they stay */
    bool profile;  /* one more visit of each cell, after the measured ones, is recorded and sampled */
    bool profiled; /* this launch is that visit */
    const struct prony_provider *provider; /* NULL: none */
    char provider_why[160];                /* why this one, when it was `auto`; empty otherwise */
    struct prony_list events;
    bool rerun;                                /* this host is counted under a RERUN provider's tool */
    unsigned event_sets;                       /* sets of events that take turns, a visit each; 0 and 1: all fit */
    unsigned char event_set[PRONY_EVENTS_MAX]; /* the set of each event */
};

/* A run that was interrupted went on. Times of the run leave out the pause before it. */
struct prony_resumption {
    int64_t at_s;  /* Unix time */
    uint64_t t_ns; /* of the run: visits from here on were made after it */
};

struct prony_run {
    char *suite; /* its name; "custom" for an ad-hoc plan */
    char *name;  /* --name, or NULL */
    struct prony_method method;
    const struct prony_topology *topology; /* not owned */
    unsigned count;
    struct prony_cell *cells;
    struct prony_list notes; /* of the plan and of the run: what was left out and why, what disturbed it */
    /* filled by prony_measure: */
    int64_t started_s; /* Unix time */
    uint64_t wall_ns;
    bool interrupted;
    unsigned resumed_count;
    struct prony_resumption *resumed; /* NULL: never */
    double clock_ns;                  /* cost of one clock reading */
    double bookkeeping_ns;            /* median time between visits that is not a visit */
    unsigned blocks;
};
void prony_run_free(struct prony_run *run);
/* What a cell owns; for who builds one that does not join a run. */
void prony_cell_free(struct prony_cell *cell);

/* Makes room for what the cell's workers and operations are to leave, where it is not there yet. -ENOMEM. */
int prony_cell_make_room(struct prony_cell *cell, const struct prony_method *method, struct prony_error *error);
/* A cleared visit with room for its samples, behind the last one; it counts once visits_count is raised. NULL: no memory,
 * and nothing to free. */
struct prony_visit *prony_cell_next_visit(struct prony_cell *cell, unsigned samples);
/* Takes a launch's warm-up, of which the cell keeps the one that ran worst: a course that cannot be told is the worst of
 * all. Repetitions and `calibrate_ns` are the first launch's, so that the samples of all compare. */
struct prony_warm_up {
    int64_t repeats;
    uint64_t calibrate_ns;
    enum prony_course course;
    unsigned samples, steady_from;
    const uint64_t *ns;
};
void prony_cell_take_warm_up(struct prony_cell *cell, const struct prony_warm_up *warm_up);
/* Finds the caller's share and place from its workers' items. */
void prony_cell_take_share(struct prony_cell *cell);

/* The time of one repetition in ns, by visit: medians of the visit's samples divided by repeats. Writes at most `room`,
 * returns how many. With `clean`, leaves marked visits out. */
size_t prony_cell_medians(const struct prony_cell *cell, bool clean, double *ns, size_t room);
/* Are enough visits for an interval left without the marked ones? Then figures are taken from those. */
bool prony_cell_clean(const struct prony_cell *cell);
/* What the interval is taken from: the medians of launches, when at least PRONY_UNITS_LEAST of them have visits (and
 * *launches is true), else those of visits. As prony_cell_medians. */
size_t prony_cell_units(const struct prony_cell *cell, bool clean, double *ns, size_t room, bool *launches);
enum { PRONY_UNITS_LEAST = 6 }; /* for a 95% interval of the median */

#endif
