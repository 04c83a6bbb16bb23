/* The measuring loop: hosts, warm-up, calibration, blocks of visits, stopping. */
#ifndef PRONY_MEASURE_MEASURE_H
#define PRONY_MEASURE_MEASURE_H

#include "measure/cell.h"

struct prony_journal;
struct prony_profile;
struct prony_resume;

struct prony_watch {
    const char *journal;         /* path of the journal to begin; NULL: none */
    struct prony_resume *resume; /* read back and restored into the run, which goes on; NULL: the run begins */
    struct prony_journal *kept;  /* where the journal is left, open and locked, for what follows; NULL: it is closed */
    int argc;                    /* the command line, which the journal keeps, so that the run can go on */
    char *const *argv;
    const volatile int *interrupt; /* becomes non-zero when the run must end (a signal number); NULL: never */
    /* Called between visits, at most ten times a second. done in [0, 1]; left_ns: estimated, -1 unknown. */
    void (*progress)(void *context, double done, int64_t left_ns, const struct prony_cell *cell);
    /* Called with the profile of each profiled cell; what it leaves in profile->digest goes into the cell. NULL: none. */
    void (*profiled)(void *context, const struct prony_cell *cell, unsigned number, struct prony_profile *profile);
    void *context;
};

/* Measures all PENDING cells of the run. A failed cell is not an error of the run. 0, also when interrupted; -errno when
 * nothing could be measured at all (no journal, no memory, hosts cannot start). Leaves no process behind. */
int prony_measure(struct prony_run *run, const struct prony_watch *watch, struct prony_error *error);

/* The cell host's main function: `prony` re-executed as PRONY_HOST_ARGUMENT CONTROL_FD ARENA_FD. Returns the exit code. */
#define PRONY_HOST_ARGUMENT "__host"
int prony_host_main(int argc, char **argv);

/* Tries a provider in a process of its own (see prony_provider.trial). */
int prony_provider_trial(const struct prony_provider *provider, struct prony_error *error);
/* Resolves "auto", "papi:PAPI_TOT_INS+...", "software", "none" into method->provider, events and provider_why. A group
 * name expands to its events. -ENOENT with the nearest names. */
int prony_counters_choose(const char *spec, struct prony_method *method, struct prony_error *error);

#endif
