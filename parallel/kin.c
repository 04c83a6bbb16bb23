/* Kin: what a process knows of itself, of who started it, and of those that it started and that have not ended. */
#include "parallel/birth.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

/* Who runs here. A copy that was forked past prony is none of it: `pid` tells. */
static struct {
    struct prony_self self;
    int parent, guard; /* who asked for it; whose child it is: the same, or a forkserver, which ends with the first */
    int sentinel;      /* of the parent, once it was asked for; -1: none */
} here = {{0, 0, "main"}, 0, 0, -1};

static struct {
    pthread_mutex_t mutex;
    int owner;
    struct kid {
        struct prony_child child;
        int sentinel;
    } * kids;
    unsigned n, room;
} brood = {PTHREAD_MUTEX_INITIALIZER, 0, NULL, 0, 0};

void prony_kin_born(const char *name, int daemon, int parent, int guard)
{
    if (here.sentinel >= 0)
        (void)close(here.sentinel); /* the parent's own, in its copy */
    memset(&here, 0, sizeof here);
    here.self.pid = getpid();
    here.self.daemon = daemon;
    (void)strncpy(here.self.name, name, sizeof here.self.name - 1);
    here.parent = parent;
    here.guard = guard;
    here.sentinel = -1;
}

int prony_kin_is_daemon(void)
{
    return here.self.daemon;
}

const struct prony_self *prony_process_current(void)
{
    const int pid = getpid();
    if (__atomic_load_n(&here.self.pid, __ATOMIC_RELAXED) !=
        pid) /* asked for the first time since the process was forked */
        __atomic_store_n(&here.self.pid, pid, __ATOMIC_RELAXED);
    return &here.self;
}

int prony_process_parent(int *pid, int *sentinel)
{
    int fd;
    if (here.parent == 0)
        return -ENOENT;
    *pid = here.parent;
    if (here.sentinel < 0) {
        fd = pidfd_open(here.parent, 0);
        if (fd < 0)
            return errno == ESRCH ? -ESRCH : -errno;
        if (getppid() != here.guard) { /* it has ended, and its number may be another's by now */
            (void)close(fd);
            return -ESRCH;
        }
        here.sentinel = fd;
    }
    *sentinel = here.sentinel;
    return 0;
}

/* With the mutex held. A forked copy has no children yet. */
static void own(void)
{
    if (brood.owner != getpid())
        brood.n = 0;
    brood.owner = getpid();
}

int prony_kin_room(void)
{
    int code = 0;
    (void)pthread_mutex_lock(&brood.mutex);
    own();
    if (brood.n == brood.room) {
        const unsigned room = brood.room == 0 ? 16 : brood.room * 2;
        struct kid *kids = realloc(brood.kids, room * sizeof *kids);
        if (kids == NULL) {
            code = -ENOMEM;
        } else {
            brood.kids = kids;
            brood.room = room;
        }
    }
    (void)pthread_mutex_unlock(&brood.mutex);
    return code;
}

void prony_kin_add(const struct prony_process *process)
{
    (void)pthread_mutex_lock(&brood.mutex);
    own();
    if (brood.n < brood.room) {
        struct kid *kid = &brood.kids[brood.n++];
        memset(kid, 0, sizeof *kid);
        kid->child.pid = process->pid;
        memcpy(kid->child.name, process->name, sizeof kid->child.name);
        kid->sentinel = process->sentinel;
    }
    (void)pthread_mutex_unlock(&brood.mutex);
}

void prony_kin_drop(const struct prony_process *process)
{
    (void)pthread_mutex_lock(&brood.mutex);
    own();
    for (unsigned i = 0; i < brood.n; i++)
        if (brood.kids[i].sentinel == process->sentinel && brood.kids[i].child.pid == process->pid)
            brood.kids[i--] = brood.kids[--brood.n];
    (void)pthread_mutex_unlock(&brood.mutex);
}

unsigned prony_process_active(struct prony_child *list, unsigned room)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&brood.mutex);
    own();
    for (unsigned i = 0; i < brood.n; i++) {
        struct pollfd ended = {brood.kids[i].sentinel, POLLIN, 0};
        if (poll(&ended, 1, 0) != 0)
            continue;
        if (n < room)
            list[n] = brood.kids[i].child;
        n++;
    }
    (void)pthread_mutex_unlock(&brood.mutex);
    return n;
}
