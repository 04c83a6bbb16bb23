/* What the operating system did to a visit: read from /proc and /sys before and after it, by the runner, and what of it
 * marks the visit. `root` stands before the paths: empty for the machine's own files. What cannot be read counts as 0. */
#ifndef PRONY_MEASURE_DISTURB_H
#define PRONY_MEASURE_DISTURB_H

#include "measure/cell.h"

struct prony_worker_doings {
    int pid, tid; /* 0: there was no worker */
    bool bound;
    uint64_t involuntary, migrations;
};

struct prony_doings {
    uint64_t steal_ns;               /* on the cell's PUs */
    struct prony_worker_doings *who; /* one a worker of the cell */
};

/* Reads them for the workers in `slots`. -ENOMEM. */
int prony_doings_read(const char *root, const struct prony_cell *cell, const struct prony_slot *slots,
                      struct prony_doings *doings, struct prony_error *error);
void prony_doings_free(struct prony_doings *doings);
/* What happened between the two, over the workers that were there at both times: engines that replace their workers do
 * so undisturbed. Time stolen, and migrations of bound workers, mark the visit; `why` is added to. */
void prony_doings_compare(const struct prony_cell *cell, const struct prony_doings *before,
                          const struct prony_doings *after, struct prony_disturbed *disturbed);

/* The clock frequencies of two PUs by cpufreq; 0: not known. */
void prony_clocks_read(const char *root, const int pus[2], double khz[2]);
/* A clock that moved by more than 10% marks the visit. */
void prony_clocks_compare(const int pus[2], const double before[2], const double after[2],
                          struct prony_disturbed *disturbed);

/* Marks visits whose workers were switched out involuntarily more often than engine and workload do by themselves, which
 * only the cell's own visits can tell. Nothing below three visits, without binding, or oversubscribed. */
void prony_switches_judge(struct prony_cell *cell);

#endif
