/* Small processes beside a pair of ends, for what the kernel does not do by itself: a keeper, and a maker (below).
 *
 * A keeper makes the objects of System V, which have no descriptor and outlive everybody, and removes them when the last
 * holder of the ends is gone, killed or not; and it wakes a peer that sleeps in a call without a limit when the other end
 * is gone. It has a session of its own, so that the end of a process group is not its end; it sleeps in poll(2) and takes
 * no time until then. */
#ifndef PRONY_CHANNELS_KEEPER_H
#define PRONY_CHANNELS_KEEPER_H

#include "channels/line.h"

struct prony_keep {
    /* In the keeper, all with `shared`, memory that keeper and creator share: */
    int (*make)(void *shared, struct prony_error *error); /* NULL: nothing to make */
    /* End 0 or 1 of the pair is gone: wake the other. -1: the channel is destroyed, wake both. */
    void (*gone)(void *shared, int end);
    void (*clean)(void *shared); /* after the last `gone` */
};

/* Starts the keeper of a pair and returns when it has made its objects. Its lifelines are put into both blobs. `fds` of
 * those in `fd` stay open in it, under their numbers. */
int prony_keeper_start(struct prony_blob *a, struct prony_blob *b, const struct prony_keep *keep, void *shared,
                       const int *fd, unsigned fds, struct prony_error *error);
/* Has it clean up, and reaps it. 0: there is none. */
void prony_keeper_stop(int keeper);

/* A maker: a process of the moment in which a name or an object without a descriptor is made and removed again. It has a
 * session of its own, so that it ends its work also when its creator is killed meanwhile. */
struct prony_made {
    struct prony_error error;
    int number; /* what has no descriptor: an id */
    int fd[4];
    unsigned fds;
};

struct prony_maker {
    int pid, line;
};

/* Runs `make` in a maker, which stays until prony_maker_end; the descriptors in *made are the caller's then. */
int prony_maker_start(struct prony_maker *maker, void (*make)(const void *what, struct prony_made *made),
                      const void *what, struct prony_made *made, struct prony_error *error);
void prony_maker_end(struct prony_maker *maker);

#endif
