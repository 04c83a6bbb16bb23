/* Recording what engines and workers do, without their help: the host drives an engine through a copy of its table that
 * notes, and a gang gives every worker copies of its operations and of its channel that note. So every engine is recorded
 * alike, and one that is not recorded pays nothing. */
#ifndef PRONY_MEASURE_TRACE_H
#define PRONY_MEASURE_TRACE_H

#include <prony/plugin/engine.h>
#include <prony/timeline.h>

/* A table that notes what the caller hands over and waits for in `timeline`, and calls `engine`. One at a time. */
const struct prony_engine *prony_trace_engine(const struct prony_engine *engine, struct prony_timeline *timeline);

#endif
