/* Names of events as the kernel knows them, and what perf_event_open(2) is told for each: the generic ones
 * (instructions, L1-dcache-load-misses, page-faults), rHEX for a raw code, and PMU/EVENT/ for what a PMU in sysfs offers,
 * also with terms of its format (cpu/event=0x3c,umask=0/).
 *
 * On a CPU with several kinds of cores each kind has a PMU, and a generic event is opened on that of the core in
 * question. PMUs outside the cores (memory controllers, power) count for a whole package, on a CPU they name. */
#ifndef PRONY_COUNTERS_EVENTS_H
#define PRONY_COUNTERS_EVENTS_H

#include <prony/error.h>
#include <stdbool.h>
#include <stdint.h>

enum { PRONY_EVENT_CPUS = 16 };

struct prony_event {
    uint32_t type;
    uint64_t config[3];
    bool software;              /* the kernel counts it: no PMU is needed */
    bool with_kernel;           /* it happens in the kernel, and is 0 without it in view */
    unsigned ncpus;             /* outside the cores: the CPUs to open it on, whoever runs there; 0: of a thread */
    int cpus[PRONY_EVENT_CPUS]; /* one a package */
    double factor;              /* what a count is worth: 1, or microjoules or bytes of a count */
    char pmu[32];               /* its name where it matters; else empty */
};

/* Finds an event for a thread bound to CPU `cpu` (-1: not bound), below `root` (empty but in tests). 0; -ENOENT: no such
 * event, with the nearest names; -ENOTSUP: none for this thread, with the reason. */
int prony_event_find(const char *root, const char *name, int cpu, struct prony_event *event, struct prony_error *error);

#endif
