/* The message of a birth, and the clean image that reads one. */
#include "parallel/birth.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLAG "--prony-born"
#define MOST (PRONY_BIRTH_FDS + 1) /* the extra one first */

struct control {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(MOST * sizeof(int))];
    } as;
};

static const struct prony_entry *known; /* of this image, since it entered */
static int entered;

int prony_birth_send(int line, const struct prony_start *start, int extra)
{
    struct born born = {.bytes = (uint32_t)start->birth.bytes,
                        .nfds = start->birth.nfds,
                        .daemon = start->daemon,
                        .parent = (int32_t)getpid(),
                        .extra = extra};
    struct iovec parts[2] = {{&born, offsetof(struct born, arg)},
                             {(void *)(uintptr_t)start->birth.arg, start->birth.bytes}};
    struct control control = {{.bytes = {0}}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int fds[MOST];
    unsigned n = 0;
    (void)strncpy(born.entry, start->entry, sizeof born.entry - 1);
    (void)strncpy(born.name, prony_birth_name(start), sizeof born.name - 1);
    if (extra >= 0)
        fds[n++] = extra;
    for (unsigned i = 0; i < born.nfds; i++)
        fds[n++] = start->birth.fds[i];
    if (n > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        control.as.head = (struct cmsghdr){CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.as.head), fds, n * sizeof(int));
    }
    while (sendmsg(line, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int prony_birth_receive(int line, struct born *born)
{
    struct iovec part = {born, sizeof *born};
    struct control control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.as.bytes};
    struct cmsghdr *head;
    const unsigned char *at = NULL;
    size_t came = 0, wanted;
    ssize_t bytes;
    while ((bytes = recvmsg(line, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        continue;
    if (bytes <= 0)
        return bytes == 0 ? -ENODATA : -errno;
    head = CMSG_FIRSTHDR(&message);
    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        at = CMSG_DATA(head);
        came = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    }
    if (bytes < (ssize_t)offsetof(struct born, arg) || (size_t)bytes != offsetof(struct born, arg) + born->bytes)
        return -EBADMSG;
    wanted = born->nfds + (born->extra >= 0 ? 1u : 0u);
    if (came != wanted || born->nfds > PRONY_BIRTH_FDS)
        return -EBADMSG;
    if (born->extra >= 0) {
        memcpy(&born->extra, at, sizeof(int));
        at += sizeof(int);
    }
    if (born->nfds > 0)
        memcpy(born->fds, at, born->nfds * sizeof(int));
    return 0;
}

int prony_process_entered(void)
{
    return entered;
}

static int do_nothing(const struct prony_birth *birth)
{
    return birth->bytes > 0 ? *(const unsigned char *)birth->arg : 0;
}

prony_entry_fn *prony_entry_find(const char *name)
{
    for (const struct prony_entry *entry = known; entry != NULL && entry->name != NULL; entry++)
        if (strcmp(entry->name, name) == 0)
            return entry->fn;
    return strcmp(name, PRONY_ENTRY_NOTHING) == 0 ? do_nothing : NULL;
}

const char *prony_birth_name(const struct prony_start *start)
{
    return start->name != NULL ? start->name : start->entry;
}

int prony_birth_run(const struct born *born, const struct prony_birth *birth)
{
    prony_entry_fn *fn = prony_entry_find(born->entry);
    const int guard = born->server != 0 ? born->server : born->parent;
    if (fn == NULL || (born->daemon && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != guard)))
        return PRONY_EXIT_UNKNOWN;
    prony_kin_born(born->name, born->daemon, born->parent, guard);
    return fn(birth) & 0xff;
}

/* The new image has the line and the three standard descriptors, no signal blocked and none caught or ignored. */
int prony_birth_spawn(int *line, int *pid, struct prony_error *error)
{
    char program[] = "/proc/self/exe", flag[] = FLAG;
    char *const argv[] = {program, flag, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int pair[2], code;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return prony_fail(error, -errno, "cannot start a process: no socket pair: %s", strerrordesc_np(errno));
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    code = posix_spawn_file_actions_adddup2(&files, pair[1], BIRTH_LINE);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(&files, BIRTH_LINE + 1);
    if (code == 0)
        code = posix_spawn(pid, program, &files, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)close(pair[1]);
    *line = pair[0];
    if (code == 0)
        return 0;
    (void)close(pair[0]);
    return prony_fail(error, -code, "cannot execute this program again: %s", strerrordesc_np(code));
}

int prony_process_enter(int argc, char **argv, const struct prony_entry *entries, int *exit_code)
{
    struct born born;
    known = entries;
    entered = 1;
    if (argc != 2 || strcmp(argv[1], FLAG) != 0)
        return 0;
    *exit_code = PRONY_EXIT_UNKNOWN;
    if (prony_birth_receive(BIRTH_LINE, &born) != 0)
        return 1;
    if (strcmp(born.entry, NURSERY_ENTRY) == 0) {
        *exit_code = prony_nursery_serve(BIRTH_LINE, born.parent);
    } else {
        const struct prony_birth birth = {born.arg, born.bytes, born.fds, born.nfds};
        (void)close(BIRTH_LINE);
        *exit_code = prony_birth_run(&born, &birth);
    }
    return 1;
}
