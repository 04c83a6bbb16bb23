/* Processes: starting, waiting, ending. A pidfd says when one has ended, and is what signals go to, so that none ever
 * reaches another process that was given the same number. */
#include <prony/process.h>

#include "parallel/birth.h"
#include "parallel/until.h"

#include <errno.h>
#include <prony/pipe.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that cannot be waited for is no process. */
static int watch(struct prony_process *process, struct prony_error *error)
{
    process->sentinel = pidfd_open(process->pid, 0);
    if (process->sentinel < 0) {
        int code = prony_fail(error, -errno, "cannot watch a process: pidfd_open: %s", strerrordesc_np(errno));
        (void)kill(process->pid, SIGKILL);
        (void)waitpid(process->pid, NULL, 0);
        return code;
    }
    return 0;
}

/* What stands in the buffers of stdio would be written twice. */
static int start_by_fork(struct prony_process *process, const struct prony_start *start, struct prony_error *error)
{
    struct born born = {.daemon = start->daemon, .parent = getpid()};
    int pid;
    (void)strncpy(born.entry, start->entry, sizeof born.entry - 1);
    (void)strncpy(born.name, prony_birth_name(start), sizeof born.name - 1);
    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        return prony_fail(error, -errno, "cannot fork: %s", strerrordesc_np(errno));
    if (pid == 0) {
        int code = prony_birth_run(&born, &start->birth);
        (void)fflush(NULL);
        _exit(code);
    }
    process->pid = pid;
    return watch(process, error);
}

static int start_by_spawn(struct prony_process *process, const struct prony_start *start, struct prony_error *error)
{
    int line, code = prony_birth_spawn(&line, &process->pid, error);
    if (code != 0)
        return code;
    code = watch(process, error);
    if (code == 0 && (code = prony_birth_send(line, start, -1)) != 0) {
        (void)prony_process_kill(process);
        (void)prony_process_join(process, -1);
        (void)prony_process_close(process);
        (void)prony_fail(error, code, "a new process did not take its task: %s", strerrordesc_np(-code));
    }
    (void)close(line);
    return code;
}

static int start_by(struct prony_process *process, const struct prony_start *start, struct prony_error *error)
{
    switch (start->method) {
    case PRONY_START_FORK:
        return start_by_fork(process, start, error);
    case PRONY_START_SPAWN:
        return start_by_spawn(process, start, error);
    case PRONY_START_FORKSERVER:
        return prony_nursery_start(process, start, error);
    }
    return prony_fail(error, -EINVAL, "start method %d is none", (int)start->method);
}

int prony_process_start(struct prony_process *process, const struct prony_start *start, struct prony_error *error)
{
    int code;
    *process = (struct prony_process){.sentinel = -1, .line = -1};
    if (!prony_process_entered() && start->method != PRONY_START_FORK)
        return prony_fail(error, -EINVAL, "main() must call prony_process_enter() before a process is started");
    if (prony_kin_is_daemon())
        return prony_fail(error, -EPERM, "a daemon has no children: they would be left behind when it is killed");
    if (start->entry == NULL || prony_entry_find(start->entry) == NULL)
        return prony_fail(error, -ENOENT, "there is no entry '%s'", start->entry == NULL ? "" : start->entry);
    if (start->birth.bytes > PRONY_BIRTH_BYTES || start->birth.nfds > PRONY_BIRTH_FDS ||
        strlen(start->entry) >= BIRTH_NAME || strlen(prony_birth_name(start)) >= PRONY_PROCESS_NAME)
        return prony_fail(
            error, -EMSGSIZE,
            "names of an entry and a process have up to 63 bytes, its argument %d, its descriptors are %d",
            PRONY_BIRTH_BYTES, PRONY_BIRTH_FDS);
    if ((code = prony_kin_room()) != 0)
        return prony_fail(error, code, "no memory for one more process");
    (void)strncpy(process->name, prony_birth_name(start), sizeof process->name - 1);
    if ((code = start_by(process, start, error)) == 0)
        prony_kin_add(process);
    return code;
}

/* A child of ours has ended: reaps it. */
static void reap(struct prony_process *process)
{
    siginfo_t info = {.si_code = 0};
    int code;
    while ((code = waitid(P_PIDFD, (id_t)process->sentinel, &info, WEXITED)) != 0 && errno == EINTR)
        continue;
    process->exit_code = code != 0 ? PRONY_EXIT_UNKNOWN : info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

int prony_process_join(struct prony_process *process, int64_t timeout_ns)
{
    int code;
    if (process->ended)
        return 0;
    if (process->line >= 0) { /* the server says how it ended, or ends itself */
        int32_t status = PRONY_EXIT_UNKNOWN;
        code = prony_pipe_receive(process->line, &status, sizeof status, NULL, timeout_ns);
        if (code == -ETIMEDOUT)
            return code;
        process->exit_code = code == 0 ? status : PRONY_EXIT_UNKNOWN;
    } else {
        if ((code = prony_pipe_poll(process->sentinel, timeout_ns)) != 0)
            return code;
        reap(process);
    }
    process->ended = 1;
    return 0;
}

int prony_process_is_alive(struct prony_process *process)
{
    return !process->ended && prony_process_join(process, 0) != 0;
}

static int send_signal(struct prony_process *process, int number)
{
    if (process->ended || pidfd_send_signal(process->sentinel, number, NULL, 0) == 0 || errno == ESRCH)
        return 0;
    return -errno;
}

int prony_process_terminate(struct prony_process *process)
{
    return send_signal(process, SIGTERM);
}

int prony_process_kill(struct prony_process *process)
{
    return send_signal(process, SIGKILL);
}

int prony_process_close(struct prony_process *process)
{
    if (process->sentinel < 0)
        return 0;
    if (prony_process_is_alive(process))
        return -EBUSY;
    prony_kin_drop(process);
    (void)close(process->sentinel);
    if (process->line >= 0)
        (void)close(process->line);
    process->sentinel = process->line = -1;
    return 0;
}
