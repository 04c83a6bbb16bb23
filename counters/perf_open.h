/* perf_event_open(2) without a library: the room's own use of it, and the words for why it failed. */
#ifndef PRONY_COUNTERS_PERF_OPEN_H
#define PRONY_COUNTERS_PERF_OPEN_H

#include <prony/plugin/counter.h>
#include <stdbool.h>

/* perf_event_open(2): the descriptor, close-on-exec, or -errno. */
struct perf_event_attr;
int prony_perf_open_as(struct perf_event_attr *what, int tid, int cpu);

/* Opens a running event of the calling thread, not inherited, close-on-exec; read() gives struct prony_perf_reading.
 * The descriptor, or -errno. */
int prony_perf_open(uint32_t type, uint64_t config, bool with_kernel);
struct prony_perf_reading {
    uint64_t value, enabled_ns, running_ns;
};

/* Opens and closes a hardware counter: 0 when this machine has a PMU that this process may use, or -errno. */
int prony_perf_try_hardware(void);

/* A provider's probe: the same in words. */
int prony_perf_probe(struct prony_error *error);
/* A provider's trial: enters the calling thread with these events and leaves; 0 when one of them counted. The probe comes
 * first: it is cheap, and without a PMU no library need be started to hear no. */
int prony_perf_trial(const char *const *events,
                     int (*enter)(struct prony_worker *worker, const char *const *events, unsigned n,
                                  struct prony_value *values, struct prony_error *error),
                     void (*leave)(struct prony_worker *worker), struct prony_error *error);

/* What a failed open means: the status, and into `text` a reason a person can act on, within 103 characters. */
enum prony_status prony_perf_why(int code, char *text, size_t bytes);

#endif
