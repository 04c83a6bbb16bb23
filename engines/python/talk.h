/* The engine's end of the socket to Python: packets, and the futures that their answers resolve. */
#ifndef PRONY_ENGINES_PYTHON_TALK_H
#define PRONY_ENGINES_PYTHON_TALK_H

#include "engines/python/child.h"

#include <prony/plugin/engine.h>

enum {
    PRONY_PYTHON_BATCH = 64, /* tasks in a packet */
    PRONY_PYTHON_BYTES = 16 + PRONY_PYTHON_BATCH * (int)sizeof(struct prony_task),
    PRONY_PYTHON_GRACE_MS = 1000, /* for a stopped gang to come back */
    PRONY_PYTHON_END_MS = 10000   /* for a process that let go of its socket to end: its signal is the reason */
};

struct prony_python {
    const struct prony_setup *setup;
    struct prony_foreign *foreign;
    struct prony_child child;
    int broken; /* the code that every call returns from now on; 0: alive */
    int64_t chunksize;
    uint64_t *pending; /* futures under way; future->outer is the place in here */
    size_t count, room;
    char about[256];
};

/* Reads one packet without waiting, and resolves futures if it is about them. Its first letter, 0: none there, or what
 * broke the engine. */
int prony_python_take(struct prony_python *python, unsigned char *packet, size_t bytes, int *length);
/* Waits for a packet that begins with one of these letters. Its length, -ETIMEDOUT, or what broke the engine. */
int prony_python_await(struct prony_python *python, const char *letters, unsigned char *packet, size_t bytes,
                       uint64_t end_ns);
/* Sends a packet, taking answers meanwhile: else both sides could wait for ever. */
int prony_python_post(struct prony_python *python, const void *packet, size_t bytes, uint64_t end_ns);

struct prony_future *prony_python_future(const struct prony_python *python, uint64_t offset);
void prony_python_done(struct prony_future *future, int status);
/* Takes a future off the list. */
void prony_python_forget(struct prony_python *python, uint64_t offset);
void prony_python_fail(struct prony_python *python, int code);

#endif
