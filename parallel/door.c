/* Guests at the door are waited for all at once, by epoll, whose descriptor the listener shows as its own. One that says
 * nothing holds up nobody: its time ends, or the next one that finds no room takes its place. */
#include "parallel/door.h"
#include "parallel/key.h"
#include "parallel/until.h"

#include <errno.h>
#include <prony/pipe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUESTS 16u
#define KNOCK GUESTS /* the event of the socket itself */

struct prony_door {
    int socket, all, owner;
    struct prony_secret secret;
    struct prony_guest guests[GUESTS];
};

int prony_door_open(int socket, const struct prony_key *key, struct prony_door **handle, int *fd,
                    struct prony_error *error)
{
    struct epoll_event knock = {EPOLLIN, {.u32 = KNOCK}};
    struct prony_door *door = calloc(1, sizeof *door);
    int code;
    if (door == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a listener");
    for (unsigned i = 0; i < GUESTS; i++)
        door->guests[i].fd = -1;
    door->owner = getpid();
    door->socket = -1;
    door->all = -1;
    code = prony_secret_keep(&door->secret, key, error);
    if (code == 0 &&
        ((door->all = epoll_create1(EPOLL_CLOEXEC)) < 0 || epoll_ctl(door->all, EPOLL_CTL_ADD, socket, &knock) != 0))
        code = prony_fail(error, -errno, "cannot watch a listener: %s", strerrordesc_np(errno));
    if (code != 0) {
        if (door->all >= 0)
            (void)close(door->all);
        prony_door_close(door);
        return code;
    }
    door->socket = socket;
    *fd = door->all;
    *handle = door;
    return 0;
}

/* A forked process may have the descriptor too, so closing it does not end the watch. */
static int turn_out(struct prony_door *door, struct prony_guest *guest)
{
    (void)epoll_ctl(door->all, EPOLL_CTL_DEL, guest->fd, NULL);
    (void)close(guest->fd);
    guest->fd = -1;
    return -EACCES;
}

void prony_door_close(struct prony_door *door)
{
    for (unsigned i = 0; i < GUESTS; i++)
        if (door->guests[i].fd >= 0)
            (void)turn_out(door, &door->guests[i]);
    if (door->socket >= 0)
        (void)close(door->socket);
    prony_secret_wipe(&door->secret);
    free(door);
}

/* The guest whose time ends first; NULL: there is none. */
static struct prony_guest *oldest(struct prony_door *door)
{
    struct prony_guest *first = NULL;
    for (unsigned i = 0; i < GUESTS; i++)
        if (door->guests[i].fd >= 0 && (first == NULL || door->guests[i].end_ns < first->end_ns))
            first = &door->guests[i];
    return first;
}

static struct prony_guest *place_for(struct prony_door *door)
{
    for (unsigned i = 0; i < GUESTS; i++)
        if (door->guests[i].fd < 0)
            return &door->guests[i];
    return oldest(door);
}

/* One more has come: asks it for the key. */
static int welcome(struct prony_door *door)
{
    struct prony_guest *guest;
    struct prony_connection connection;
    struct epoll_event event = {EPOLLIN, {0}};
    const int fd = accept4(door->socket, NULL, NULL, SOCK_CLOEXEC);
    int code, dropped = 0;
    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED || errno == EAGAIN ? -EAGAIN : -errno;
    code = prony_listener_admit(fd, &connection);
    if (code != 0) {
        (void)close(fd);
        return code;
    }
    guest = place_for(door);
    if (guest->fd >= 0)
        dropped = turn_out(door, guest);
    guest->fd = fd;
    event.data.u32 = (uint32_t)(guest - door->guests);
    if (prony_guest_ask(guest, &door->secret) != 0 || epoll_ctl(door->all, EPOLL_CTL_ADD, fd, &event) != 0)
        return turn_out(door, guest);
    return dropped != 0 ? dropped : -EAGAIN;
}

static int hear(struct prony_door *door, struct prony_guest *guest, struct prony_connection *connection)
{
    int code = prony_guest_hear(guest, &door->secret);
    if (code == -EAGAIN)
        return code;
    if (code == 0)
        code = prony_listener_admit(guest->fd, connection);
    if (code != 0)
        return turn_out(door, guest);
    (void)epoll_ctl(door->all, EPOLL_CTL_DEL, guest->fd, NULL);
    guest->fd = -1;
    return 0;
}

int prony_door_accept(struct prony_door *door, struct prony_connection *connection, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    unsigned late = 0; /* events dealt with after the end: what is there is taken also by a try */
    if (getpid() != door->owner)
        return -EPERM;
    for (;;) {
        struct epoll_event event;
        struct prony_guest *first = oldest(door);
        int code = 0, n;
        if (first != NULL && left_ns(first->end_ns) == 0)
            return turn_out(door, first);
        n = epoll_wait(door->all, &event, 1, 0);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            code = event.data.u32 == KNOCK ? welcome(door) : hear(door, &door->guests[event.data.u32], connection);
        if (n > 0 && code != -EAGAIN)
            return code;
        if (left_ns(end) == 0 && (n <= 0 || late++ > 2 * GUESTS))
            return -ETIMEDOUT;
        if (n == 0) {
            const int64_t left = left_ns(end), its = first == NULL ? -1 : left_ns(first->end_ns);
            code = prony_pipe_poll(door->all, its >= 0 && (left < 0 || its < left) ? its : left);
            if (code != 0 && code != -ETIMEDOUT)
                return code;
        }
    }
}
