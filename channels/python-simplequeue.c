/* python-simplequeue: CPython's own multiprocessing.SimpleQueue (see channels/python.h): a pipe with a lock at either end. */
#include "channels/python.h"

#include <stdlib.h>

static const struct prony_option options[] = {
    PRONY_PYTHON_WAIT,
    {.name = NULL},
};

PRONY_EXPORT(channel, python_simplequeue) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "python-simplequeue",
                       .summary = "CPython's multiprocessing.SimpleQueue, two a pair of ends",
                       .caps = PRONY_PYTHON_CHANNEL_CAPS, .options = options),
    .create = prony_python_create,
    PRONY_PYTHON_CHANNEL,
};
