/* What one launch of a command says: values by benchmark and metric. A reader fills it from the launch; several values
 * of one name (samples of one process, which are not independent) become one by prony_readings_reduce. */
#ifndef PRONY_MEASURE_READINGS_H
#define PRONY_MEASURE_READINGS_H

#include "measure/launch.h"

enum prony_reduce { PRONY_BEST, PRONY_MEDIAN }; /* best: the least; the greatest where larger is better */

struct prony_reading {
    char *benchmark, *metric; /* owned */
    double *samples, value;   /* value: after prony_readings_reduce */
    size_t count, room;
};

struct prony_readings {
    struct prony_reading *item;
    size_t count, room, last;
};

/* Adds a sample. -ENOMEM. */
int prony_readings_add(struct prony_readings *readings, const char *benchmark, const char *metric, double sample,
                       struct prony_error *error);
/* Reduces the samples of `metric` as asked and those of the others to their medians. -EINVAL when a sample of `metric`
 * is not finite or not above zero. */
int prony_readings_reduce(struct prony_readings *readings, const char *metric, enum prony_reduce reduce, bool higher,
                          struct prony_error *error);
/* NULL: not there. `near` is the place to look first. */
const struct prony_reading *prony_readings_find(const struct prony_readings *readings, const char *benchmark,
                                                const char *metric, size_t near);
void prony_readings_free(struct prony_readings *readings);

/* A reader: 0, or -EINVAL and why the launch says nothing that can be read. */
typedef int prony_read_fn(void *context, const struct prony_launched *launched, struct prony_readings *readings,
                          struct prony_error *error);
/* What it took: time, cpu (ns) and rss (bytes) of the benchmark `context`, a const char *. */
prony_read_fn prony_read_wall;
/* One number a line, or NAME NUMBER, each name a benchmark. `context` is the metric's name, a const char *. */
prony_read_fn prony_read_numbers;

#endif
