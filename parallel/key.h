/* Keys: how each side of a new connection proves to the other that it has the same one. prony/listener.h says what crosses.
 * The client waits; the listener takes what has come, so that it can hear many at once. */
#ifndef PRONY_PARALLEL_KEY_H
#define PRONY_PARALLEL_KEY_H

#include <prony/listener.h>

#define PRONY_NONCE 32
#define PRONY_MAC 32

/* A key that is kept. */
struct prony_secret {
    unsigned char *bytes;
    size_t length;
    int64_t answer_ns;
};

/* One client that has come. */
struct prony_guest {
    int fd; /* -1: nobody */
    unsigned got;
    uint64_t end_ns;
    unsigned char nonce[PRONY_NONCE], said[sizeof(uint32_t) + PRONY_NONCE + PRONY_MAC];
};

/* 0, -ENOTSUP, -EINVAL or -ENOMEM. */
int prony_secret_keep(struct prony_secret *secret, const struct prony_key *key, struct prony_error *error);
void prony_secret_wipe(struct prony_secret *secret);

/* The listener's side. 0; below 0: the guest is not to be had. */
int prony_guest_ask(struct prony_guest *guest, const struct prony_secret *secret);
/* 0: it has proven it, and knows; -EAGAIN: there is more to come; -EACCES: it is to go. */
int prony_guest_hear(struct prony_guest *guest, const struct prony_secret *secret);

/* The client's side, before `end` (as until_ns gives it). */
int prony_secret_prove(int fd, const struct prony_secret *secret, uint64_t end);

#endif
