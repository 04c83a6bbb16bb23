#include "measure/tracer.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 10, SHARED = -1 };
enum { AGAIN_FROM = 512, AGAIN_TO = 516 }; /* what a call returns, to nobody, that the kernel will make again */
static const uint64_t patience_ns = 1000000000;

struct prony_tracee {
    int pid, tid;
    int owner;  /* worker, or SHARED */
    bool held;  /* traced, and not yet let go of */
    bool seen;  /* it has stopped once: from then on its calls are seen */
    bool inner; /* the call that it is in counts */
    uint64_t call;
};

/* A number of /proc/TID/status. */
static long status_of(int tid, const char *key)
{
    const size_t length = strlen(key);
    char path[64], line[128];
    long value = 0;
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            value = strtol(line + length + 1, NULL, 10);
    if (file != NULL)
        (void)fclose(file);
    return value;
}

/* A filter may kill who asks: a child asks for a process that there is not. 0 when the kernel says just that. */
static int ask_in_child(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        errno = 0;
        (void)ptrace(PTRACE_INTERRUPT, 0, NULL, NULL);
        _exit(errno == ESRCH ? 0 : errno > 0 && errno < 128 ? errno : 127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid < 0 ? EAGAIN : WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

/* Asked once: what a filter forbids it forbids for good. */
static bool filter_forbids(void)
{
    static int answer = -1;
    if (answer < 0)
        answer = status_of((int)getpid(), "Seccomp") == 0 ? 0 : ask_in_child();
    return answer != 0;
}

static int refused(int tid, int code, struct prony_error *error)
{
    long tracer = status_of(tid, "TracerPid");
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    int scope = 0;
    if (file != NULL && fscanf(file, "%d", &scope) != 1)
        scope = 0;
    if (file != NULL)
        (void)fclose(file);
    if (tracer != 0)
        return prony_fail(error, -ENOTSUP, "another tracer holds the workers (process %ld), and there can be one only",
                          tracer);
    if (scope > 1)
        return prony_fail(error, -ENOTSUP, "kernel.yama.ptrace_scope is %d: %s", scope,
                          scope == 2 ? "tracing needs CAP_SYS_PTRACE" : "nobody may trace until the next boot");
    return prony_fail(error, -ENOTSUP, "the workers may not be traced: %s", strerrordesc_np(code));
}

static int add(struct prony_tracer *tracer, int pid, int tid, int owner, struct prony_error *error)
{
    const uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    if (tracer->count == tracer->room) {
        unsigned room = tracer->room == 0 ? 16 : 2 * tracer->room;
        struct prony_tracee *grown = realloc(tracer->tracee, room * sizeof *grown);
        if (grown == NULL)
            return prony_fail(error, -ENOMEM, "no memory to trace %u threads", room);
        tracer->tracee = grown;
        tracer->room = room;
    }
    if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)options) != 0)
        return errno == ESRCH ? 0 : refused(tid, errno, error);
    tracer->tracee[tracer->count++] = (struct prony_tracee){.pid = pid, .tid = tid, .owner = owner, .held = true};
    (void)ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    return 0;
}

/* Whose a thread of process `pid` is: a worker's own, the only worker's there, or SHARED. */
static int owner_of(const struct prony_tracer *tracer, int pid, int tid)
{
    int found = SHARED;
    unsigned here = 0;
    for (unsigned i = 0; i < tracer->workers; i++) {
        if (tracer->slots[i].tid == tid)
            return (int)i;
        if (tracer->slots[i].pid == pid) {
            found = (int)i;
            here++;
        }
    }
    return here == 1 && pid != tracer->host ? found : SHARED;
}

/* All threads of a process, but the host's main thread, which calls the engine; unless it is a worker itself. */
static int add_process(struct prony_tracer *tracer, int pid, struct prony_error *error)
{
    const struct dirent *entry;
    char path[64];
    DIR *folder;
    int code = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    folder = opendir(path);
    if (folder == NULL)
        return prony_fail(error, -ENOTSUP, "the threads of process %d are not to be seen in /proc", pid);
    while (code == 0 && (entry = readdir(folder)) != NULL) {
        int tid = (int)strtol(entry->d_name, NULL, 10), owner = owner_of(tracer, pid, tid);
        if (tid > 0 && (tid != tracer->host || owner != SHARED))
            code = add(tracer, pid, tid, owner, error);
    }
    (void)closedir(folder);
    return code;
}

static bool is_inside(const struct prony_slot *slot)
{
    return __atomic_load_n(&slot->begun_ns, __ATOMIC_RELAXED) != 0 &&
           __atomic_load_n(&slot->ended_ns, __ATOMIC_RELAXED) == 0;
}

static bool any_inside(const struct prony_tracer *tracer, int owner)
{
    for (unsigned i = 0; owner == SHARED && i < tracer->workers; i++)
        if (is_inside(&tracer->slots[i]))
            return true;
    return owner != SHARED && is_inside(&tracer->slots[owner]);
}

/* Zero ready is nothing done. */
static bool is_poll(uint64_t call)
{
    static const long polls[] = {
        SYS_ppoll, SYS_pselect6, SYS_epoll_pwait,
#ifdef SYS_poll
        SYS_poll,  SYS_select,   SYS_epoll_wait,
#endif
    };
    for (unsigned i = 0; i < sizeof polls / sizeof *polls; i++)
        if (call == (uint64_t)polls[i])
            return true;
    return false;
}

static bool is_vain(uint64_t call, int64_t result)
{
    return result == -EAGAIN || result == -EINTR || result == -ETIMEDOUT || result == -ENOMSG ||
           (result == 0 && is_poll(call));
}

/* At the beginning of a call or at its end. */
static void note_call(struct prony_tracer *tracer, struct prony_tracee *tracee)
{
    struct prony_tally_calls *tally =
        &tracer->tally[tracee->owner == SHARED ? tracer->workers : (unsigned)tracee->owner];
    struct __ptrace_syscall_info info = {.op = PTRACE_SYSCALL_INFO_NONE};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->tid, (void *)sizeof info, &info) <= 0) {
        tracer->blind = errno == ESRCH ? tracer->blind : errno;
        return;
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        tracee->call = info.entry.nr;
        tracee->inner = any_inside(tracer, tracee->owner) && info.entry.nr != SYS_clock_gettime &&
                        info.entry.nr != SYS_restart_syscall;
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracee->inner) {
        tracee->inner = false;
        if (is_vain(tracee->call, info.exit.rval)) {
            tally->vain++;
        } else if (!info.exit.is_error || info.exit.rval > -AGAIN_FROM || info.exit.rval < -AGAIN_TO) {
            tally->done++;
            tally->futex += tracee->call == SYS_futex;
        }
    }
}

/* Lets a thread go on that stopped with this status. */
static void go_on(struct prony_tracer *tracer, struct prony_tracee *tracee, int status)
{
    const int signal = status & 0xff, event = status >> 8;
    uintptr_t deliver = 0;
    if (signal == (SIGTRAP | 0x80)) {
        note_call(tracer, tracee);
    } else if (event == PTRACE_EVENT_STOP) {
        tracee->seen = true;
        if (signal != SIGTRAP) { /* the whole process was told to stop */
            (void)ptrace(PTRACE_LISTEN, tracee->tid, NULL, NULL);
            return;
        }
    } else if (event == 0) {
        deliver = (uintptr_t)signal;
    }
    (void)ptrace(PTRACE_SYSCALL, tracee->tid, NULL, (void *)deliver);
}

/* 1: it has stopped, with *status; 0: it has not; -ECHILD: it is gone. The host itself is left for the client to reap. */
static int look_at(const struct prony_tracer *tracer, struct prony_tracee *tracee, int *status)
{
    const int exits = tracee->tid == tracer->host ? 0 : WEXITED;
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)tracee->tid, &info, WSTOPPED | exits | WNOHANG | __WALL) != 0) {
        if (errno == EINTR)
            return 0;
        tracee->held = false;
        return -ECHILD;
    }
    if (info.si_pid == 0)
        return 0;
    if (info.si_code != CLD_TRAPPED) {
        tracee->held = false;
        return -ECHILD;
    }
    *status = info.si_status;
    return 1;
}

static void clear_signals(const struct prony_tracer *tracer)
{
    struct signalfd_siginfo seen;
    while (read(tracer->signals, &seen, sizeof seen) > 0)
        ;
}

void prony_tracer_look(struct prony_tracer *tracer)
{
    bool more = true;
    clear_signals(tracer); /* first: what stops from here on is told anew */
    while (more) {
        more = false;
        for (unsigned i = 0; i < tracer->count; i++) {
            int status;
            if (tracer->tracee[i].held && look_at(tracer, &tracer->tracee[i], &status) == 1) {
                go_on(tracer, &tracer->tracee[i], status);
                more = true;
            }
        }
    }
}

static bool is_held(const struct prony_tracer *tracer, int tid)
{
    for (unsigned i = 0; i < tracer->count; i++)
        if (tracer->tracee[i].tid == tid)
            return tracer->tracee[i].held;
    return false;
}

int prony_tracer_check(const struct prony_tracer *tracer, struct prony_error *error)
{
    if (tracer->blind != 0)
        return prony_fail(error, -ENOTSUP, "the kernel does not tell what a traced call is (Linux 5.3 does): %s",
                          strerrordesc_np(tracer->blind));
    for (unsigned i = 0; i < tracer->workers; i++)
        if (tracer->slots[i].tid == 0 || !is_held(tracer, tracer->slots[i].tid))
            return prony_fail(error, -ENOTSUP, "worker %u ended, or had not begun, while calls were counted", i);
    return 0;
}

static void await_signal(const struct prony_tracer *tracer)
{
    struct pollfd signals = {.fd = tracer->signals, .events = POLLIN};
    (void)poll(&signals, 1, TICK_MS);
    clear_signals(tracer);
}

/* Until all have stopped once: before that a call would be missed. */
static int await_all(struct prony_tracer *tracer, struct prony_error *error)
{
    const uint64_t until = prony_now_ns() + patience_ns;
    for (;;) {
        unsigned unseen = 0;
        prony_tracer_look(tracer);
        for (unsigned i = 0; i < tracer->count; i++)
            unseen += tracer->tracee[i].held && !tracer->tracee[i].seen;
        if (unseen == 0)
            return prony_tracer_check(tracer, error);
        if (prony_now_ns() > until)
            return prony_fail(error, -ENOTSUP, "%u threads did not stop to be traced", unseen);
        await_signal(tracer);
    }
}

/* Lets go of a thread, which must be stopped for it. */
static void release(struct prony_tracer *tracer, struct prony_tracee *tracee)
{
    int status;
    if (look_at(tracer, tracee, &status) != 1)
        return;
    (void)ptrace(PTRACE_DETACH, tracee->tid, NULL,
                 (void *)(uintptr_t)((status >> 8) == 0 && status != (SIGTRAP | 0x80) ? status & 0xff : 0));
    tracee->held = false;
}

static unsigned held(const struct prony_tracer *tracer)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tracer->count; i++)
        n += tracer->tracee[i].held;
    return n;
}

static void kill_all(struct prony_tracer *tracer)
{
    const uint64_t until = prony_now_ns() + patience_ns;
    for (unsigned i = 0; i < tracer->count; i++)
        if (tracer->tracee[i].held) /* so nobody else has its number */
            (void)kill(tracer->tracee[i].pid, SIGKILL);
    for (unsigned i = 0; i < tracer->count; i++)
        if (tracer->tracee[i].tid == tracer->host)
            tracer->tracee[i].held = false;
    while (held(tracer) != 0 && prony_now_ns() < until) {
        int status;
        for (unsigned i = 0; i < tracer->count; i++)
            if (tracer->tracee[i].held)
                (void)look_at(tracer, &tracer->tracee[i], &status);
        if (held(tracer) != 0)
            await_signal(tracer);
    }
}

int prony_tracer_end(struct prony_tracer *tracer, bool kill)
{
    const uint64_t until = prony_now_ns() + patience_ns;
    for (unsigned i = 0; i < tracer->count && !kill; i++)
        if (tracer->tracee[i].held)
            (void)ptrace(PTRACE_INTERRUPT, tracer->tracee[i].tid, NULL, NULL);
    while (!kill && held(tracer) != 0) {
        for (unsigned i = 0; i < tracer->count; i++)
            if (tracer->tracee[i].held)
                release(tracer, &tracer->tracee[i]);
        kill = held(tracer) != 0 && prony_now_ns() > until;
        if (held(tracer) != 0 && !kill)
            await_signal(tracer);
    }
    if (kill)
        kill_all(tracer);
    (void)close(tracer->signals);
    (void)sigprocmask(SIG_SETMASK, &tracer->old, NULL);
    free(tracer->tracee);
    free(tracer->tally);
    memset(tracer, 0, sizeof *tracer);
    return kill ? -ECHILD : 0;
}

int prony_tracer_begin(struct prony_tracer *tracer, int host, const struct prony_slot *slots, unsigned workers,
                       struct prony_error *error)
{
    sigset_t child;
    int code = 0;
    *tracer = (struct prony_tracer){.host = host, .slots = slots, .workers = workers};
    if (filter_forbids())
        return prony_fail(error, -ENOTSUP, "a seccomp filter forbids ptrace, by which they are counted");
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    tracer->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    if (tracer->signals < 0)
        return prony_fail(error, -errno, "no descriptor to wait for traced threads: %s", strerrordesc_np(errno));
    (void)sigprocmask(SIG_BLOCK, &child, &tracer->old);
    tracer->tally = calloc(workers + 1u, sizeof *tracer->tally);
    if (tracer->tally == NULL)
        code = prony_fail(error, -ENOMEM, "no memory to count calls");
    for (unsigned i = 0; i < workers && code == 0; i++) {
        bool again = slots[i].tid == 0;
        for (unsigned k = 0; k < i && !again; k++)
            again = slots[k].pid == slots[i].pid;
        code = again ? 0 : add_process(tracer, slots[i].pid, error);
    }
    if (code == 0)
        code = await_all(tracer, error);
    if (code != 0)
        (void)prony_tracer_end(tracer, false);
    return code;
}
