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

/* Is this use of a future the one in `one_in` whose times are noted? By its ticket, without the rhythm of who submits. */
static inline bool prony_future_timed(int one_in, uint32_t ticket)
{
    return one_in == 1 || (one_in > 1 && (ticket * 2654435761u >> 8) % (uint32_t)one_in == 0);
}

#ifdef __cplusplus
}
#endif
#endif
