/* Reading a future: the outcome of one task (struct prony_future in prony/task.h). Any thread or process that maps the
 * arena may ask; status and value hold once it is done. */
#ifndef PRONY_FUTURE_H
#define PRONY_FUTURE_H

#include <prony/task.h>

#include <errno.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline bool prony_future_done(const struct prony_future *future)
{
    return prony_future_phase(future) == PRONY_DONE;
}

static inline bool prony_future_running(const struct prony_future *future)
{
    return prony_future_phase(future) == PRONY_RUNNING;
}

static inline bool prony_future_cancelled(const struct prony_future *future)
{
    return prony_future_done(future) && future->status == -ECANCELED;
}

#ifdef __cplusplus
}
#endif
#endif
