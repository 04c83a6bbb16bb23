/* perf_event_open(2), and what its errors mean. */
#include "counters/perf_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int prony_perf_open_as(struct perf_event_attr *what, int tid, int cpu)
{
    long fd = syscall(SYS_perf_event_open, what, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

int prony_perf_open(uint32_t type, uint64_t config, bool with_kernel)
{
    struct perf_event_attr what = {
        .type = type,
        .size = sizeof what,
        .config = config,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .exclude_kernel = !with_kernel,
        .exclude_hv = 1,
    };
    return prony_perf_open_as(&what, 0, -1);
}

/* Cycles first: some guests have them and no instructions. */
int prony_perf_try_hardware(void)
{
    int fd = prony_perf_open(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, false);
    if (fd < 0)
        fd = prony_perf_open(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, false);
    if (fd < 0)
        return fd;
    (void)close(fd);
    return 0;
}

/* kernel.perf_event_paranoid, or -9 when it cannot be read. */
static int paranoid(void)
{
    char text[16];
    int fd = open("/proc/sys/kernel/perf_event_paranoid", O_RDONLY | O_CLOEXEC);
    ssize_t got;
    if (fd < 0)
        return -9;
    got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (got <= 0)
        return -9;
    text[got] = '\0';
    return (int)strtol(text, NULL, 10);
}

enum prony_status prony_perf_why(int code, char *text, size_t bytes)
{
    const char *name = strerrorname_np(-code);
    int level;
    switch (-code) {
    case ENOENT:
    case ENODEV:
    case EOPNOTSUPP:
        (void)snprintf(text, bytes, "this machine has no PMU (perf_event_open: %s)", name);
        return PRONY_NOT_SUPPORTED;
    case ENOSYS:
        (void)snprintf(text, bytes, "this kernel was built without perf events (perf_event_open: %s)", name);
        return PRONY_NOT_SUPPORTED;
    case EACCES:
    case EPERM:
        level = paranoid();
        if (level > 2)
            (void)snprintf(text, bytes,
                           "perf_event_open: %s, perf_event_paranoid is %d: set it to 2 or grant CAP_PERFMON", name,
                           level);
        else
            (void)snprintf(text, bytes,
                           "perf_event_open: %s with perf_event_paranoid %d: a container policy? grant CAP_PERFMON",
                           name, level);
        return PRONY_DENIED;
    case EBUSY:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
        (void)snprintf(text, bytes, "no counter or descriptor is left (perf_event_open: %s)", name);
        return PRONY_NO_COUNTER;
    default:
        (void)snprintf(text, bytes, "perf_event_open: %s", name != NULL ? name : "unknown error");
        return PRONY_NOT_SUPPORTED;
    }
}

int prony_perf_probe(struct prony_error *error)
{
    char why[104];
    int code = prony_perf_try_hardware();
    if (code == 0)
        return 0;
    (void)prony_perf_why(code, why, sizeof why);
    return prony_fail(error, -ENOTSUP, "no hardware counters: %s", why);
}

int prony_perf_trial(const char *const *events,
                     int (*enter)(struct prony_worker *worker, const char *const *events, unsigned n,
                                  struct prony_value *values, struct prony_error *error),
                     void (*leave)(struct prony_worker *worker), struct prony_error *error)
{
    struct prony_value values[PRONY_EVENTS_MAX];
    struct prony_worker worker;
    unsigned n = 0, counted = 0;
    int code = prony_perf_probe(error);
    if (code != 0)
        return code;
    while (events[n] != NULL)
        n++;
    memset(&worker, 0, sizeof worker);
    code = enter(&worker, events, n, values, error);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < n; i++)
        counted += values[i].status == PRONY_COUNTED;
    leave(&worker);
    return counted > 0 ? 0 : prony_fail(error, -ENOTSUP, "no hardware counters: %s: %s", events[0], values[0].reason);
}
