/* Channels that are objects of CPython: the address is the number of an end, all else is Python's. */
#include "channels/python.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const prony_python_waits[] = {"block", NULL};

static struct {
    int64_t (*send)(unsigned end, const void *data, size_t bytes, int64_t timeout_ns);
    int64_t (*recv)(unsigned end, void *data, size_t bytes, int64_t timeout_ns);
} python;

/* The data of an address; pools.py reads the depth of the first. */
struct place {
    uint32_t number, depth; /* depth 0: the object has none */
};

struct channel {
    uint32_t ends, depth;
};

void prony_python_serve(int64_t (*send)(unsigned end, const void *data, size_t bytes, int64_t timeout_ns),
                        int64_t (*recv)(unsigned end, void *data, size_t bytes, int64_t timeout_ns))
{
    python.send = send;
    python.recv = recv;
}

int prony_python_create(const struct prony_params *params, unsigned ends, void **result, struct prony_error *error)
{
    (void)params;
    return prony_python_make(ends, 0, result, error);
}

int prony_python_make(unsigned ends, uint32_t depth, void **result, struct prony_error *error)
{
    struct channel *channel;
    if (ends == 0 || ends % 2 != 0)
        return prony_fail(error, -EINVAL, "ends come in pairs: %u cannot be paired", ends);
    channel = malloc(sizeof *channel);
    if (channel == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a channel");
    *channel = (struct channel){ends, depth};
    *result = channel;
    return 0;
}

int prony_python_address(void *handle, unsigned end, struct prony_blob *blob)
{
    const struct channel *channel = handle;
    struct place place = {end, channel->depth};
    if (end >= channel->ends)
        return -EINVAL;
    memset(blob, 0, sizeof *blob);
    memset(blob->fd, 0xff, sizeof blob->fd);
    blob->bytes = sizeof place;
    memcpy(blob->data, &place, sizeof place);
    return 0;
}

int prony_python_attach(const struct prony_blob *blob, struct prony_worker *worker, void **end,
                        struct prony_error *error)
{
    struct place *place;
    (void)worker;
    if (python.send == NULL || python.recv == NULL)
        return prony_fail(error, -ENOTSUP,
                          "this channel is an object of CPython, and this worker is none of CPython's: "
                          "use the engine python-processes or python-pool");
    place = malloc(sizeof *place);
    if (place == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    memcpy(place, blob->data, sizeof *place);
    *end = place;
    return 0;
}

int64_t prony_python_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    return python.send(((const struct place *)end)->number, data, bytes, timeout_ns);
}

int64_t prony_python_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    return python.recv(((const struct place *)end)->number, data, bytes, timeout_ns);
}
