/* python-pipe: CPython's own multiprocessing.Pipe (see channels/python.h): a duplex Connection over a pair of Unix sockets. */
#include "channels/python.h"

#include <stdlib.h>

static const struct prony_option options[] = {
    PRONY_PYTHON_WAIT,
    {.name = NULL},
};

PRONY_EXPORT(channel, python_pipe) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "python-pipe",
                       .summary = "CPython's multiprocessing.Pipe, one duplex pair of Connections a pair of ends",
                       .caps = PRONY_PYTHON_CHANNEL_CAPS, .options = options),
    .create = prony_python_create,
    PRONY_PYTHON_CHANNEL,
};
