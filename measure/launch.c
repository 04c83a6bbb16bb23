#include "measure/launch.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLICE_MS = 100, OUTPUT_MOST = 64 << 20, LEFTOVERS_MOST = 10000 };

/* What the child says through a pipe that closes at execve: when it began, what it had used by then, and, after a second
 * read, why it could not. */
struct start {
    uint64_t ns, user_ns, system_ns, max_rss_kib;
};

struct running {
    int pid, pidfd, said[2], go[2], out, err; /* go: the program waits for it, if somebody attends */
    struct start start;
    uint64_t end_ns;
};

static uint64_t ns_of(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static bool bind_to(const int *pus, unsigned npus)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (unsigned i = 0; i < npus; i++)
        CPU_SET((size_t)pus[i], &set);
    return npus == 0 || sched_setaffinity(0, sizeof set, &set) == 0;
}

/* Signals that somebody above prony ignores stay ignored; ours go back to their defaults by execve. */
static void child(const struct prony_launch *launch, const struct running *running, int parent)
{
    struct start start;
    struct rusage used;
    int nothing, code = 0;
    char word;
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (getppid() != parent || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(running->out >= 0 ? running->out : nothing, STDOUT_FILENO) < 0 || dup2(running->err, STDERR_FILENO) < 0 ||
        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0 || !bind_to(launch->pus, launch->npus))
        code = errno;
    while (running->go[0] >= 0 && read(running->go[0], &word, 1) < 0 && errno == EINTR)
        ;
    (void)getrusage(RUSAGE_SELF, &used);
    start.user_ns = ns_of(&used.ru_utime);
    start.system_ns = ns_of(&used.ru_stime);
    start.max_rss_kib = (uint64_t)used.ru_maxrss;
    start.ns = prony_now_ns();
    if (write(running->said[1], &start, sizeof start) == (ssize_t)sizeof start && code == 0) {
        (void)execvp(launch->argv[0], launch->argv);
        code = errno;
    }
    (void)!write(running->said[1], &code, sizeof code);
    _exit(127);
}

static int pidfd_of(int pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int start(const struct prony_launch *launch, struct running *running, struct prony_error *error)
{
    int parent = getpid(), code = 0;
    ssize_t got;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    running->err = memfd_create("stderr", MFD_CLOEXEC);
    if (launch->capture)
        running->out = memfd_create("stdout", MFD_CLOEXEC);
    if (running->err < 0 || (launch->capture && running->out < 0) || pipe2(running->said, O_CLOEXEC) != 0 ||
        (launch->attend != NULL && pipe2(running->go, O_CLOEXEC) != 0))
        return prony_fail(error, -errno, "no descriptors to launch %s: %s", launch->argv[0], strerrordesc_np(errno));
    (void)fflush(NULL);
    running->pid = fork();
    if (running->pid < 0)
        return prony_fail(error, -errno, "%s cannot be started: %s", launch->argv[0], strerrordesc_np(errno));
    if (running->pid == 0)
        child(launch, running, parent);
    (void)setpgid(running->pid, running->pid); /* whichever of the two is first */
    running->pidfd = pidfd_of(running->pid);
    (void)close(running->said[1]);
    running->said[1] = -1;
    if (launch->attend != NULL) {
        launch->attend(launch->context, running->pid);
        (void)!write(running->go[1], "", 1);
    }
    while ((got = read(running->said[0], &running->start, sizeof running->start)) < 0 && errno == EINTR)
        ;
    if (running->pidfd < 0 || got != (ssize_t)sizeof running->start)
        return prony_fail(error, -EIO, "%s cannot be started: its process was gone at once", launch->argv[0]);
    while ((got = read(running->said[0], &code, sizeof code)) < 0 && errno == EINTR)
        ;
    if (got == (ssize_t)sizeof code)
        return prony_fail(error, code > 0 ? -code : -EIO, "%s cannot be executed: %s", launch->argv[0],
                          code == ENOENT ? "it is not there" : strerrordesc_np(code));
    return 0;
}

static bool too_much(int fd)
{
    struct stat file;
    return fd >= 0 && fstat(fd, &file) == 0 && file.st_size > OUTPUT_MOST;
}

/* Waits for its end, its timeout, or the user's. The process is not reaped. */
static int watch(const struct prony_launch *launch, struct running *running, struct prony_error *error)
{
    struct pollfd end = {.fd = running->pidfd, .events = POLLIN};
    char shown[32];
    for (;;) {
        uint64_t now = prony_now_ns(), used = now - running->start.ns, limit = (uint64_t)launch->timeout_ns;
        int slice = SLICE_MS;
        if (limit > 0 && used < limit && limit - used < SLICE_MS * UINT64_C(1000000))
            slice = 1 + (int)((limit - used) / 1000000);
        if (poll(&end, 1, limit > 0 && used >= limit ? 0 : slice) > 0) {
            running->end_ns = prony_now_ns();
            return too_much(running->out) || too_much(running->err)
                       ? prony_fail(error, -EFBIG, "it printed more than %d MiB", OUTPUT_MOST >> 20)
                       : 0;
        }
        if (launch->interrupt != NULL && *launch->interrupt != 0)
            return prony_fail(error, -EINTR, "interrupted");
        if (limit > 0 && used >= limit)
            return prony_fail(error, -ETIMEDOUT, "it was killed after %s (--timeout)",
                              prony_text_of_ns((double)limit, shown, sizeof shown));
        if (too_much(running->out) || too_much(running->err))
            return prony_fail(error, -EFBIG, "it printed more than %d MiB", OUTPUT_MOST >> 20);
    }
}

/* Kills and reaps what left the group and lost its parent: this process became it. */
static void end_leftovers(void)
{
    for (unsigned i = 0; i < LEFTOVERS_MOST; i++) {
        char path[64];
        int pid = 0;
        FILE *children;
        (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)gettid());
        children = fopen(path, "re");
        if (children == NULL)
            return;
        if (fscanf(children, "%d", &pid) == 1 && pid > 0)
            (void)kill(pid, SIGKILL);
        (void)fclose(children);
        if (pid <= 0 || waitpid(pid, NULL, 0) < 0)
            return;
    }
}

/* Ends the group before its leader is reaped, while its number cannot belong to anybody else. */
static int reap(struct running *running, struct prony_launched *launched)
{
    struct rusage used;
    int status = 0;
    uint64_t user_ns, system_ns;
    (void)kill(-running->pid, SIGKILL);
    (void)kill(running->pid, SIGKILL);
    while (wait4(running->pid, &status, 0, &used) < 0 && errno == EINTR)
        ;
    running->pid = 0;
    end_leftovers();
    user_ns = ns_of(&used.ru_utime);
    system_ns = ns_of(&used.ru_stime);
    launched->wall_ns = running->end_ns - running->start.ns;
    launched->user_ns = user_ns > running->start.user_ns ? user_ns - running->start.user_ns : 0;
    launched->system_ns = system_ns > running->start.system_ns ? system_ns - running->start.system_ns : 0;
    launched->max_rss_bytes =
        (uint64_t)used.ru_maxrss > running->start.max_rss_kib ? (uint64_t)used.ru_maxrss * 1024 : 0;
    launched->voluntary = (uint64_t)used.ru_nvcsw;
    launched->involuntary = (uint64_t)used.ru_nivcsw;
    launched->minor_faults = (uint64_t)used.ru_minflt;
    launched->major_faults = (uint64_t)used.ru_majflt;
    launched->blocks_in = (uint64_t)used.ru_inblock;
    launched->blocks_out = (uint64_t)used.ru_oublock;
    return status;
}

/* The last line that is not empty, of at most 100 characters; control characters are blanks. */
static void last_line(int fd, char *line, size_t bytes)
{
    char text[1024];
    off_t size = lseek(fd, 0, SEEK_END), from = size > (off_t)sizeof text - 1 ? size - ((off_t)sizeof text - 1) : 0;
    ssize_t got = size <= 0 ? 0 : pread(fd, text, sizeof text - 1, from);
    char *begin;
    text[got > 0 ? got : 0] = '\0';
    while (got > 0 && strchr("\n\r\t ", text[got - 1]) != NULL)
        text[--got] = '\0';
    begin = strrchr(text, '\n');
    (void)snprintf(line, bytes, "%.100s", begin != NULL ? begin + 1 : text);
    for (char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
}

static int judge(int status, int err, struct prony_error *error)
{
    char said[104], quote[116] = "";
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    last_line(err, said, sizeof said);
    if (said[0] != '\0')
        (void)snprintf(quote, sizeof quote, ": \"%s\"", said);
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        return prony_fail(error, -(PRONY_DIED + WTERMSIG(status)), "it was killed by SIG%s%s",
                          name != NULL ? name : "?", quote);
    }
    return prony_fail(error, -EPROTO, "it ended with exit status %d%s", WEXITSTATUS(status), quote);
}

static int collect(int fd, struct prony_launched *launched, struct prony_error *error)
{
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t got = 0;
    launched->output = malloc((size_t)(size > 0 ? size : 0) + 1);
    if (launched->output == NULL)
        return prony_fail(error, -ENOMEM, "no memory for what it printed");
    while ((off_t)launched->output_bytes < size &&
           (got = pread(fd, launched->output + launched->output_bytes, (size_t)size - launched->output_bytes,
                        (off_t)launched->output_bytes)) > 0)
        launched->output_bytes += (size_t)got;
    launched->output[launched->output_bytes] = '\0';
    return 0;
}

int prony_launch(const struct prony_launch *launch, struct prony_launched *launched, struct prony_error *error)
{
    struct running running = {.pid = 0, .pidfd = -1, .said = {-1, -1}, .go = {-1, -1}, .out = -1, .err = -1};
    int fds[7], code, status;
    memset(launched, 0, sizeof *launched);
    code = start(launch, &running, error);
    if (code == 0)
        code = watch(launch, &running, error);
    if (running.pid > 0) {
        status = reap(&running, launched);
        if (launch->ended != NULL)
            launch->ended(launch->context);
        code = code == 0 ? judge(status, running.err, error) : code;
    }
    if (code == 0 && launch->capture)
        code = collect(running.out, launched, error);
    memcpy(fds,
           (int[]){running.pidfd, running.said[0], running.said[1], running.go[0], running.go[1], running.out,
                   running.err},
           sizeof fds);
    for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    return code;
}

void prony_launched_free(struct prony_launched *launched)
{
    free(launched->output);
    memset(launched, 0, sizeof *launched);
}
