/* The Python process of an engine: started with a socket, ended with all that it started. */
#include "engines/python/child.h"

#include "base/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* For a pool to end in good order when it is told to; for multiprocessing's tracker to tidy up after one that was killed,
 * which it does at once unless something holds it up. */
enum { ORDER_MS = 2000, TRACKER_MS = 10000 };

int prony_child_left_ms(uint64_t end_ns)
{
    uint64_t now_ns = prony_now_ns();
    if (end_ns == UINT64_MAX)
        return -1;
    if (now_ns >= end_ns)
        return 0;
    return end_ns - now_ns > INT_MAX / 2 * 1000000ull ? INT_MAX / 2 : (int)((end_ns - now_ns + 999999u) / 1000000u);
}

void prony_child_last_line(const struct prony_child *child, char *text, size_t bytes)
{
    char tail[1024], *line;
    off_t size = lseek(child->output, 0, SEEK_END),
          from = size > (off_t)sizeof tail - 1 ? size - (off_t)sizeof tail + 1 : 0;
    ssize_t got = pread(child->output, tail, sizeof tail - 1, from);
    tail[got < 0 ? 0 : got] = '\0';
    for (size_t n = strlen(tail); n > 0 && tail[n - 1] == '\n'; n--)
        tail[n - 1] = '\0';
    line = strrchr(tail, '\n');
    (void)snprintf(text, bytes, "%s", line == NULL ? tail : line + 1);
}

/* Does anybody of this group run still? */
static bool is_peopled(pid_t group)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    bool found = false;
    while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
        char path[300], text[256] = "", state;
        const char *name_end;
        int number;
        FILE *file;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        if (!isdigit((unsigned char)entry->d_name[0]) || (file = fopen(path, "re")) == NULL)
            continue;
        name_end = fgets(text, sizeof text, file) != NULL ? strrchr(text, ')') : NULL;
        (void)fclose(file);
        found = name_end != NULL && sscanf(name_end + 1, " %c %*d %d", &state, &number) == 2 && number == group &&
                state != 'Z' && state != 'X';
    }
    if (folder != NULL)
        (void)closedir(folder);
    return found;
}

/* The workers end by a signal that the tracker ignores; it tidies up when they are gone, and ends. */
static void await_tracker(pid_t group)
{
    const uint64_t end_ns = prony_now_ns() + TRACKER_MS * 1000000ull;
    (void)kill(-group, SIGTERM);
    while (is_peopled(group) && prony_child_left_ms(end_ns) != 0)
        (void)poll(NULL, 0, 5);
}

/* The group goes before its leader is reaped, as the number is free for others then. */
int prony_child_reap(struct prony_child *child, uint64_t end_ns)
{
    struct pollfd poller = {.fd = child->pidfd, .events = POLLIN};
    siginfo_t how = {0};
    int status = 0;
    if (child->pid == 0)
        return 0;
    while (poll(&poller, 1, prony_child_left_ms(end_ns)) <= 0)
        if (prony_child_left_ms(end_ns) == 0)
            return -ETIMEDOUT;
    if (child->tracked && waitid(P_PID, (id_t)child->pid, &how, WEXITED | WNOWAIT) == 0 && how.si_code != CLD_EXITED)
        await_tracker(child->pid);
    (void)kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    child->pid = 0;
    return status;
}

void prony_child_kill(struct prony_child *child)
{
    if (child->pid == 0)
        return;
    if (child->tracked) {
        (void)kill(child->pid, SIGTERM);
        if (prony_child_reap(child, prony_now_ns() + ORDER_MS * 1000000ull) != -ETIMEDOUT)
            return;
    }
    (void)kill(child->tracked ? child->pid : -child->pid, SIGKILL);
    (void)prony_child_reap(child, UINT64_MAX);
}

int prony_child_prepare(struct prony_child *child, const void *script, size_t bytes, struct prony_error *error)
{
    memset(child, 0, sizeof *child);
    child->pidfd = child->socket = -1;
    child->script = memfd_create("prony-python", MFD_CLOEXEC);
    child->output = memfd_create("prony-output", MFD_CLOEXEC);
    if (child->script >= 0 && child->output >= 0 && write(child->script, script, bytes) == (ssize_t)bytes)
        return 0;
    (void)prony_fail(error, -errno, "no memory file: %s", strerrordesc_np(errno));
    prony_child_release(child);
    return error == NULL ? -EMFILE : error->code;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void prony_child_release(struct prony_child *child)
{
    prony_child_kill(child);
    shut(&child->pidfd);
    shut(&child->socket);
    shut(&child->script);
    shut(&child->output);
}

static int spawn(struct prony_child *child, int its_end, const struct prony_setup *setup, char *const *arguments)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return code;
    }
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, child->output, 1);
    (void)posix_spawn_file_actions_adddup2(&actions, child->output, 2);
    (void)posix_spawn_file_actions_adddup2(&actions, its_end, its_end); /* the same number: clears close-on-exec */
    for (unsigned i = 0; i < setup->nends; i++)
        for (unsigned j = 0; j < setup->ends[i].fds && j < 4; j++)
            (void)posix_spawn_file_actions_adddup2(&actions, setup->ends[i].fd[j], setup->ends[i].fd[j]);
    code = posix_spawn(&child->pid, arguments[0], &actions, &attributes, arguments, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

int prony_child_start(struct prony_child *child, const char *interpreter, const struct prony_setup *setup,
                      const char *const *more, struct prony_error *error)
{
    char text[5][64], path[PATH_MAX], isolated[] = "-I", unwritten[] = "-B", rest[4][PATH_MAX];
    char *arguments[13] = {path, isolated, unwritten, text[0], text[1], text[2], text[3], text[4]};
    int pair[2], code;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return prony_fail(error, -errno, "no socket: %s", strerrordesc_np(errno));
    child->socket = pair[0];
    (void)snprintf(path, sizeof path, "%s", interpreter);
    (void)snprintf(text[0], sizeof text[0], "/proc/%d/fd/%d", (int)getpid(), child->script);
    (void)snprintf(text[1], sizeof text[1], "%d", pair[1]);
    (void)snprintf(text[2], sizeof text[2], "%d", (int)getpid());
    (void)snprintf(text[3], sizeof text[3], "%d", setup->arena_fd);
    (void)snprintf(text[4], sizeof text[4], "%u", setup->workers);
    for (unsigned i = 0; i < 4 && more[i] != NULL; i++) {
        (void)snprintf(rest[i], sizeof rest[i], "%s", more[i]);
        arguments[8 + i] = rest[i];
    }
    code = spawn(child, pair[1], setup, arguments);
    (void)close(pair[1]);
    if (code != 0) {
        child->pid = 0;
        return prony_fail(error, -code, "%s cannot be started: %s", interpreter, strerrordesc_np(code));
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pidfd >= 0)
        return 0;
    code = prony_fail(error, -errno, "no descriptor for process %d: %s", (int)child->pid, strerrordesc_np(errno));
    (void)kill(-child->pid, SIGKILL);
    (void)waitpid(child->pid, NULL, 0);
    child->pid = 0;
    return code;
}
