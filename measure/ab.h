/* Paired comparison of two commands: adjacent launches in random ABBA and BAAB blocks. What a pair says is
 * d = ln head - ln base of one metric; what all pairs say is judged by stats/paired.h. Two commands that are measured one
 * after the other differ from themselves too often: here a drift of the machine meets both sides alike.
 *
 * A contest is one series of such blocks. With a null control every block also holds base against base, judged by the
 * same rule; with confirmation a second contest on fresh pairs follows when the first one is red. */
#ifndef PRONY_MEASURE_AB_H
#define PRONY_MEASURE_AB_H

#include "base/text.h"
#include "measure/readings.h"
#include "stats/paired.h"

enum prony_side { PRONY_BASE, PRONY_HEAD, PRONY_SIDES };

struct prony_ab_margin {
    const char *glob;
    double margin;
};

struct prony_ab_plan {
    struct prony_list command[PRONY_SIDES], prepare, cleanup; /* words; prepare and cleanup may be empty */
    prony_read_fn *read;
    void *read_context;
    bool capture; /* the reader wants stdout */
    enum prony_reduce reduce;
    const char *metric; /* the primary one */
    bool higher;        /* is better */
    double alpha, margin;
    const struct prony_ab_margin *margins; /* the last that matches a benchmark's name holds */
    unsigned margins_count;
    unsigned pairs;    /* exactly so many (an even number); the least when precision is asked */
    double precision;  /* half width of the intervals, a fraction; 0: off */
    int64_t budget_ns; /* 0: none */
    int64_t timeout_ns;
    unsigned warmup; /* launches of each side before the first block */
    bool null_control, confirm;
    const int *pus; /* NULL: not bound */
    unsigned npus;
    uint64_t seed;
    const volatile int *interrupt;
    void (*progress)(void *context, double done, int64_t left_ns); /* NULL: nobody looks */
    void *progress_context;
};

/* One benchmark and metric: its values by pair. */
struct prony_ab_series {
    char *benchmark, *metric;
    bool primary, comparable; /* comparable: all values are finite and above zero */
    double *value[PRONY_SIDES], *d;
    double median[PRONY_SIDES];
    struct prony_comparison judged; /* of the primary ones; the others have median and interval alone */
};

struct prony_ab_contest {
    unsigned pairs, room, series_count;
    struct prony_ab_series *series;
    const struct prony_list *command[PRONY_SIDES];
    enum prony_side opener; /* whose launch was the first, and said what there is */
};

struct prony_ab {
    enum { PRONY_AB_JUDGED, PRONY_AB_FAILED, PRONY_AB_INTERRUPTED } status;
    struct prony_error reason;                 /* why it is not judged */
    struct prony_ab_contest main, null, fresh; /* null and fresh may have no pairs */
    enum prony_verdict *verdict; /* by series of main, the final ones; PRONY_INCONCLUSIVE for those not primary */
    bool null_red, unconfirmed;  /* some red verdict of the first contest did not come back */
    unsigned launches;           /* with warm-up */
    char *sequence; /* a letter a launch after warm-up: A base, B head, a and b base and itself; NULL: none */
    unsigned sequence_count, sequence_room;
    uint64_t wall_ns, least_pairs;
};

/* Measures and judges. 0 when judged, whatever the verdicts; else -errno with the reason (-EINTR: interrupted), and what
 * was measured is in `ab`. prony_ab_free in any case. */
int prony_ab_run(const struct prony_ab_plan *plan, struct prony_ab *ab, struct prony_error *error);
void prony_ab_free(struct prony_ab *ab);

/* How many primary series have this final verdict. */
unsigned prony_ab_count(const struct prony_ab *ab, enum prony_verdict verdict);

#endif
