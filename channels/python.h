/* Channels that are objects of CPython, in workers that are processes of CPython.
 *
 * The engine's Python side (engines/python/pools.py) makes the objects before its workers, who inherit them and hand two
 * ctypes callbacks to this process's copy of prony; send and recv call those, and nothing else. The objects pickle, copy,
 * lock and wait in their own way, which is what is measured. Added to it: one ctypes callback a call, which takes the
 * global lock and makes a bytes object of the message: 0.4 us for 64 bytes when no other thread wants the lock (median of 7
 * rounds of 50000, CPython 3.11, a virtual machine).
 *
 * A limit of time on sending holds until there is room to begin; a message that does not fit then waits for its peer. The
 * objects of a pair are held by all workers, so that the death of a peer is no end of file: it breaks the pool, which ends
 * all its workers, and the engine says so. */
#ifndef PRONY_CHANNELS_PYTHON_H
#define PRONY_CHANNELS_PYTHON_H

#include <prony/plugin/channel.h>

/* Called by Python in a worker, once: what sends and receives by the number of an end, as send and recv of a channel do. */
void prony_python_serve(int64_t (*send)(unsigned end, const void *data, size_t bytes, int64_t timeout_ns),
                        int64_t (*recv)(unsigned end, void *data, size_t bytes, int64_t timeout_ns));

extern const char *const prony_python_waits[];

int prony_python_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error);
/* The same for objects that hold at most `depth` messages. */
int prony_python_make(unsigned ends, uint32_t depth, void **channel, struct prony_error *error);
int prony_python_address(void *channel, unsigned end, struct prony_blob *blob);
int prony_python_attach(const struct prony_blob *blob, struct prony_worker *worker, void **end,
                        struct prony_error *error);
int64_t prony_python_send(void *end, const void *data, size_t bytes, int64_t timeout_ns);
int64_t prony_python_recv(void *end, void *data, size_t bytes, int64_t timeout_ns);

/* All but its name, summary, options and create. Copies: bytes object, pickle, kernel, kernel, buffer, unpickled, out. */
#define PRONY_PYTHON_CHANNEL                                                                                           \
    .copies = 7, .address = prony_python_address, .attach = prony_python_attach, .send = prony_python_send,            \
    .recv = prony_python_recv, .detach = free, .destroy = free
#define PRONY_PYTHON_CHANNEL_CAPS (PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_BLOCK | PRONY_CHANNEL_PYTHON)
#define PRONY_PYTHON_WAIT                                                                                              \
    {                                                                                                                  \
        "wait", PRONY_CHOICE, "block", 0, 0, prony_python_waits, "how to wait: as CPython does, asleep"                \
    }

#endif
