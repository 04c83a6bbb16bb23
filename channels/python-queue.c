/* python-queue: CPython's own multiprocessing.Queue (see channels/python.h): a buffer and a feeder thread before a pipe and a
 * lock, bounded by a semaphore. */
#include "channels/python.h"

#include <stdlib.h>

static const struct prony_option options[] = {
    PRONY_PYTHON_WAIT,
    {"depth", PRONY_INT, "64", 1, 1000000, NULL, "maxsize: messages under way in one direction at most"},
    {.name = NULL},
};

static int queue_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_python_make(ends, (uint32_t)prony_param_int(params, "depth"), channel, error);
}

PRONY_EXPORT(channel, python_queue) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "python-queue",
                       .summary = "CPython's multiprocessing.Queue, two a pair of ends",
                       .caps = PRONY_PYTHON_CHANNEL_CAPS, .options = options),
    .create = queue_create,
    PRONY_PYTHON_CHANNEL,
};
