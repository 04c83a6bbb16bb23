/* The channel contract: one IPC mechanism behind one interface.
 *
 * create (host) -> address (host, each end) -> the engine opens -> attach (worker, its own end) -> settle (host) ->
 * send, recv -> detach (worker) -> destroy (host). `forget` closes, in a process that inherited them, the ends it does not
 * use. Ends come in pairs: what end 0 sends, end 1 receives, and the other way round; so do 2 and 3, and so on. */
#ifndef PRONY_PLUGIN_CHANNEL_H
#define PRONY_PLUGIN_CHANNEL_H

#include <prony/plugin/head.h>
#include <prony/setup.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PRONY_CHANNEL_STREAM = 1,    /* bytes without boundaries; else messages */
    PRONY_CHANNEL_LOSSY = 2,     /* may lose or reorder */
    PRONY_CHANNEL_COALESCES = 4, /* several sends may be seen as one */
    PRONY_CHANNEL_THREADS = 8,   /* reach */
    PRONY_CHANNEL_PROCESSES = 16,
    PRONY_CHANNEL_HOSTS = 32,
    PRONY_CHANNEL_BLOCK = 64, /* wait policies it can do */
    PRONY_CHANNEL_SPIN = 128,
    PRONY_CHANNEL_ADAPTIVE = 256,
    PRONY_CHANNEL_POLL = 512,
    PRONY_CHANNEL_IN_PLACE = 1024, /* reserve and publish */
    PRONY_CHANNEL_RENDEZVOUS =
        2048, /* send returns when the peer has received; after -ETIMEDOUT it may yet: data stays as it is */
    PRONY_CHANNEL_PYTHON = 4096 /* an object of CPython: only engines with PRONY_CAP_PYTHON have it */
};

struct prony_channel {
    struct prony_head head;
    uint64_t largest; /* bytes of the largest message; 0: no limit of its own */
    unsigned copies;  /* of the payload, by kernel and channel together */
    int (*create)(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error);
    /* The address of an end; its descriptors stay owned by the channel. */
    int (*address)(void *channel, unsigned end, struct prony_blob *blob);
    /* In the worker: makes the end usable there; duplicates what it keeps. *end is freed by detach. */
    int (*attach)(const struct prony_blob *blob, struct prony_worker *worker, void **end, struct prony_error *error);
    /* All `bytes` of one message, in and out: short reads and writes and EINTR are handled here. Returns bytes, or
     * -ETIMEDOUT, -EPIPE (the peer is gone), -EMSGSIZE. timeout_ns < 0: no limit. Where there are boundaries recv returns
     * the length of the message, which may be less than `bytes`; one that is longer is lost with -EMSGSIZE. */
    int64_t (*send)(void *end, const void *data, size_t bytes, int64_t timeout_ns);
    int64_t (*recv)(void *end, void *data, size_t bytes, int64_t timeout_ns);
    int (*reserve)(void *end, size_t bytes, void **data); /* optional: write in place, then publish */
    int (*publish)(void *end, size_t bytes);
    int (*pollfd)(void *end);  /* a descriptor that poll(2) finds readable when recv would not block; NULL: none */
    void (*detach)(void *end); /* what was sent arrives only if the worker comes to detach */
    void (*destroy)(void *channel);
    /* In a worker process, after attach: closes the inherited originals of this end's blob, or a peer's death is never
     * seen as end of file. Not called where workers share descriptors (PRONY_CAP_SHARED). */
    void (*forget)(const struct prony_blob *blob);
    /* In the host, when every end has been attached: lets go of what only attaching needed, so that the death of a peer
     * is seen and nothing is left if all are killed. No end can be attached after that. NULL: nothing. */
    void (*settle)(void *channel);
    /* Bytes of the largest message under these parameters on this machine, 0: no limit; `how` gets the words that say
     * what sets the limit and how to raise it. Pure. NULL: `largest` is all there is to say. */
    int64_t (*limit)(const struct prony_params *params, struct prony_error *how);
    /* Ends that the kernel lets a user have at once by default; 0: thousands. The runner keeps no more alive. */
    unsigned ends_most;
};

#ifdef __cplusplus
}
#endif
#endif
