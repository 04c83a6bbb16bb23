/* What the report derives from counters: metrics by formula. Choosing a provider is in measure/measure.h. */
#ifndef PRONY_MEASURE_COUNTERS_H
#define PRONY_MEASURE_COUNTERS_H

#include "base/text.h"
#include "measure/cell.h"
#include "measure/groups.h"

/* The metrics that can be computed from these events of a provider, each name once. Writes at most `room`, returns
 * how many. They live as long as the program. */
unsigned prony_counters_metrics(const char *provider, const struct prony_list *events,
                                const struct prony_metric **metrics, unsigned room);
/* A metric over the values of these events, in the same order, and of what prony_group_given names. NaN, which the report writes as null, when one that it
 * needs was not counted, or it divides by 0. */
double prony_counters_metric(const struct prony_metric *metric, const struct prony_list *events,
                             const struct prony_value *values, const double *given);

/* Counts that had a counter only part of the time are scaled to all of it, or refused when that part is too short to tell
 * anything. Once, when no more is added to them. How many were scaled or refused. */
unsigned prony_counters_scale(struct prony_value *values, unsigned n);

/* Says in the run's notes which events no cell counted, and why; and as a warning when none was counted at all. */
void prony_counters_note(struct prony_run *run);

#endif
