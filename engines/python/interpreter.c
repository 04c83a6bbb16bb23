/* Finding a CPython to run: what PATH names, asked for the interpreter behind it. */
#include "engines/python/interpreter.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 20000 };

static const char *const names[] = {"python3",    "python3.13", "python3.12", "python3.11",
                                    "python3.10", "python3.9",  NULL};

static int executable(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, X_OK) == 0;
}

/* The first of this name in PATH, as execvp(3) would find it. */
static int search(const char *name, char *path, size_t bytes)
{
    const char *at = getenv("PATH");
    if (strchr(name, '/') != NULL) {
        (void)snprintf(path, bytes, "%s", name);
        return executable(path);
    }
    for (at = at == NULL ? "/usr/bin:/bin" : at; *at != '\0';) {
        int length = (int)strcspn(at, ":");
        (void)snprintf(path, bytes, "%.*s/%s", length == 0 ? 1 : length, length == 0 ? "." : at, name);
        if (executable(path))
            return 1;
        at += length + (at[length] == ':');
    }
    return 0;
}

int prony_python_look(const char *asked, struct prony_error *error)
{
    char path[PATH_MAX];
    if (asked != NULL && asked[0] != '\0')
        return search(asked, path, sizeof path) ? 0 : prony_fail(error, -ENOTSUP, "there is no executable %s", asked);
    for (unsigned i = 0; names[i] != NULL; i++)
        if (search(names[i], path, sizeof path))
            return 0;
    return prony_fail(error, -ENOTSUP,
                      "no Python in PATH: install python3, 3.9 or newer, or set another with -p engine.python=PATH");
}

/* What a child writes, until it ends or the time is up; it is gone on return. Its exit status, -1: none. */
static int listen_to(pid_t child, int fd, char *text, size_t bytes)
{
    uint64_t end_ns = prony_now_ns() + ANSWER_MS * 1000000ull, now_ns;
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    size_t length = 0;
    ssize_t got = 1;
    int status = -1;
    while (got > 0 && length + 1 < bytes && (now_ns = prony_now_ns()) < end_ns) {
        if (poll(&poller, 1, (int)((end_ns - now_ns) / 1000000u) + 1) <= 0)
            continue;
        got = read(fd, text + length, bytes - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    text[length] = '\0';
    if (got != 0)
        (void)kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs a candidate and lets it say where it really is. */
static int ask(const char *candidate, char *path, size_t bytes)
{
    static char code[] = "import sys\nsys.stdout.write(sys.executable)\nsys.exit(sys.version_info < (3, 9))";
    char name[PATH_MAX], isolated[] = "-I", command[] = "-c";
    char *arguments[] = {name, isolated, command, code, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], failed;
    pid_t child;
    (void)snprintf(name, sizeof name, "%s", candidate);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return 0;
    failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0) {
        (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        failed = posix_spawn(&child, name, &actions, NULL, arguments, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(ends[1]);
    if (failed == 0)
        failed = listen_to(child, ends[0], path, bytes) != 0 || !executable(path);
    (void)close(ends[0]);
    return failed == 0;
}

int prony_python_resolve(const char *asked, char *path, size_t bytes, struct prony_error *error)
{
    static char known_asked[PATH_MAX], known[PATH_MAX];
    const char *only[] = {asked, NULL};
    const char *const *name = asked == NULL || asked[0] == '\0' ? names : only;
    asked = name == only ? asked : "";
    for (; (known[0] == '\0' || strcmp(known_asked, asked) != 0) && *name != NULL; name++) {
        char candidate[PATH_MAX], answer[PATH_MAX];
        if (!search(*name, candidate, sizeof candidate) || !ask(candidate, answer, sizeof answer))
            continue;
        (void)snprintf(known, sizeof known, "%s", answer);
        (void)snprintf(known_asked, sizeof known_asked, "%s", asked);
    }
    if (*name == NULL)
        return prony_fail(error, -ENOTSUP,
                          "%s is not a working Python, 3.9 or newer: set another with -p engine.python=PATH",
                          asked[0] == '\0' ? "what PATH has as python3" : asked);
    (void)snprintf(path, bytes, "%s", known);
    return 0;
}
