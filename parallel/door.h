/* The door of a listener with a key: clients that have come and have not proven yet that they have it. */
#ifndef PRONY_PARALLEL_DOOR_H
#define PRONY_PARALLEL_DOOR_H

#include <prony/listener.h>

struct prony_door;

/* `socket` becomes the door's. *fd is readable while there is something for accept to do. */
int prony_door_open(int socket, const struct prony_key *key, struct prony_door **door, int *fd,
                    struct prony_error *error);
int prony_door_accept(struct prony_door *door, struct prony_connection *connection, int64_t timeout_ns);
void prony_door_close(struct prony_door *door);

/* listener.c: makes a connection of what was accepted, unless it is another user's: -EACCES. */
int prony_listener_admit(int fd, struct prony_connection *connection);

#endif
