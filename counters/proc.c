#include "counters/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void shut(struct prony_proc *proc)
{
    memset(proc, 0, sizeof *proc);
    for (unsigned i = 0; i < PRONY_PROC_FILES; i++)
        proc->fd[i] = -1;
    proc->unit = 1;
}

void prony_proc_close(struct prony_proc *proc)
{
    for (unsigned i = 0; i < PRONY_PROC_FILES; i++)
        if (proc->fd[i] >= 0)
            (void)close(proc->fd[i]);
    shut(proc);
}

/* One file's number; pread, so that one descriptor serves for all. */
static int64_t number_in(int fd, const char *key, unsigned word)
{
    char text[4096];
    const char *at = text;
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    if (key != NULL) {
        at = strstr(text, key);
        if (at == NULL)
            return -1;
        at += strlen(key);
        at += strspn(at, " \t:");
    }
    for (; key == NULL && word > 0 && at != NULL; word--) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at == NULL || *at < '0' || *at > '9' ? -1 : (int64_t)strtoll(at, NULL, 10);
}

int64_t prony_proc_read(struct prony_proc *proc)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < PRONY_PROC_FILES && proc->fd[i] >= 0; i++) {
        int64_t now = number_in(proc->fd[i], proc->key, proc->word);
        if (now < 0)
            return -1;
        if (now < proc->last[i] && proc->range[i] > 0)
            proc->turns[i]++;
        proc->last[i] = now;
        sum += now + proc->turns[i] * proc->range[i];
    }
    return sum * proc->unit;
}

/* Why a file does not serve. */
static int refuse(struct prony_proc *proc, struct prony_value *value, int code, const char *path)
{
    bool denied = code == -EACCES || code == -EPERM;
    prony_proc_close(proc);
    value->status = denied ? PRONY_DENIED : code == -EMFILE || code == -ENFILE ? PRONY_NO_COUNTER : PRONY_NOT_SUPPORTED;
    if (code == -ENODATA)
        (void)snprintf(value->reason, sizeof value->reason, "the kernel does not tell it in %.70s", path);
    else
        (void)snprintf(value->reason, sizeof value->reason, "%.70s: %.16s%s", path, strerrorname_np(-code),
                       denied ? ": run as root" : "");
    return code;
}

static int open_one(struct prony_proc *proc, const char *path, struct prony_value *value)
{
    proc->fd[0] = open(path, O_RDONLY | O_CLOEXEC);
    if (proc->fd[0] < 0)
        return refuse(proc, value, -errno, path);
    return prony_proc_read(proc) < 0 ? refuse(proc, value, -ENODATA, path) : 0;
}

static int open_own(struct prony_proc *proc, const char *file, struct prony_value *value)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/%s", syscall(SYS_gettid), file);
    return open_one(proc, path, value);
}

int prony_proc_migrations(struct prony_proc *proc, struct prony_value *value)
{
    shut(proc);
    proc->key = "nr_migrations";
    return open_own(proc, "sched", value);
}

/* schedstat: ns on a CPU, ns waiting for one, time slices. */
int prony_proc_run_wait(struct prony_proc *proc, struct prony_value *value)
{
    shut(proc);
    proc->word = 1;
    return open_own(proc, "schedstat", value);
}

/* The process's place in the unified hierarchy. */
static bool find_cgroup(char *path, size_t bytes)
{
    char line[512];
    FILE *file = fopen("/proc/self/cgroup", "re");
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        found = strncmp(line, "0::/", 4) == 0;
        line[strcspn(line, "\n")] = '\0';
        if (found)
            (void)snprintf(path, bytes, "/sys/fs/cgroup%s/cpu.stat", strcmp(line + 3, "/") == 0 ? "" : line + 3);
    }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

int prony_proc_cgroup(struct prony_proc *proc, const char *key, int64_t unit, struct prony_value *value)
{
    char path[640];
    shut(proc);
    proc->key = key;
    proc->unit = unit;
    if (!find_cgroup(path, sizeof path))
        return refuse(proc, value, -ENOENT, "cgroup 2 in /proc/self/cgroup");
    return open_one(proc, path, value);
}

int prony_proc_energy(const char *root, struct prony_proc *proc, struct prony_value *value)
{
    char path[256];
    unsigned n = 0;
    shut(proc);
    for (unsigned package = 0; package < PRONY_PROC_FILES; package++) {
        int range, fd;
        (void)snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl:%u/energy_uj", root, package);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && (errno != ENOENT || package == 0))
            return refuse(proc, value, -errno, path);
        if (fd < 0)
            break;
        proc->fd[n] = fd;
        (void)snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl:%u/max_energy_range_uj", root, package);
        range = open(path, O_RDONLY | O_CLOEXEC);
        proc->range[n] = range < 0 ? 0 : number_in(range, NULL, 0);
        if (range >= 0)
            (void)close(range);
        n++;
    }
    return prony_proc_read(proc) < 0 ? refuse(proc, value, -ENODATA, path) : 0;
}
