/* Provider software: what the kernel counts about a thread on every machine, also in containers and without a PMU.
 *
 * Task clock and page faults come from perf's software events, opened here without PAPI: PAPI's perf component
 * refuses to start as a whole on a CPU that libpfm does not know or has no PMU, which is just where this provider is
 * needed. Where perf is denied the thread's CPU clock and getrusage(RUSAGE_THREAD) count the same things, and
 * `source` says so. Switches always come from getrusage and migrations from /proc, since perf reads a silent 0 for
 * both in the user domain.
 *
 * Not measured: what other threads of the process do, and time before `enter` (totals start at 0 there). */
#include <prony/plugin/counter.h>

#include "base/text.h"
#include "counters/perf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum what { TASK_CLOCK, PAGE_FAULTS, SWITCHES, INVOLUNTARY, VOLUNTARY, MIGRATIONS, WHATS };
enum how { NOWHERE, BY_PERF, BY_CLOCK, BY_RUSAGE, BY_PROC };

static const char *const names[WHATS + 1] = {
    [TASK_CLOCK] = "task-clock",   /* ns on a CPU */
    [PAGE_FAULTS] = "page-faults", /* minor and major, in user and kernel mode */
    [SWITCHES] = "switches",       /* voluntary and involuntary */
    [INVOLUNTARY] = "involuntary-switches",
    [VOLUNTARY] = "voluntary-switches",
    [MIGRATIONS] = "migrations",
};
static const char *const defaults[] = {"task-clock",           "page-faults", "switches",
                                       "involuntary-switches", "migrations",  NULL};
static const char *const sources[] = {"", "perf", "CLOCK_THREAD_CPUTIME_ID", "getrusage", "/proc"};

struct event {
    enum what what;
    enum how how;
    int fd;       /* BY_PERF and BY_PROC */
    int64_t base; /* the total when the worker entered */
};

struct counting {
    pid_t pid, tid; /* who opened it: a forked child inherits the pointer, but not the right to touch it */
    unsigned n;
    struct event events[PRONY_EVENTS_MAX];
};

static int find(const char *name)
{
    for (int i = 0; i < WHATS; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static int known(const char *event, struct prony_error *error)
{
    char hint[120];
    if (find(event) >= 0)
        return 0;
    return prony_fail(error, -ENOENT, "the provider software has no event '%s'%s", event,
                      prony_text_nearest(event, names, hint, sizeof hint));
}

/* nr_migrations of the calling thread, -1 when the kernel does not tell. pread, so that one descriptor serves for
 * all. */
static int64_t read_migrations(int fd)
{
    char text[4096];
    const char *line;
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    line = strstr(text, "nr_migrations");
    line = line == NULL ? NULL : strchr(line, ':');
    return line == NULL ? -1 : (int64_t)strtoll(line + 1, NULL, 10);
}

static void open_migrations(struct event *event, struct prony_value *value)
{
    char path[64], unused[128];
    int file;
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/sched", syscall(SYS_gettid));
    event->fd = open(path, O_RDONLY | O_CLOEXEC);
    file = event->fd >= 0 ? -ENODATA : -errno;
    if (event->fd >= 0 && read_migrations(event->fd) >= 0) {
        event->how = BY_PROC;
        return;
    }
    if (event->fd >= 0)
        (void)close(event->fd);
    event->fd = prony_perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, true);
    if (event->fd >= 0) {
        event->how = BY_PERF;
        return;
    }
    value->status = prony_perf_why(file == -EMFILE || file == -ENFILE ? file : event->fd, unused, sizeof unused);
    (void)snprintf(value->reason, sizeof value->reason,
                   "nr_migrations of /proc/self/task/TID/sched: %.16s, and perf_event_open: %.16s",
                   strerrorname_np(-file), strerrorname_np(-event->fd));
}

static void open_event(struct event *event, struct prony_value *value)
{
    event->fd = -1;
    switch (event->what) {
    case TASK_CLOCK: /* the same number with and without the kernel, and the latter is allowed more often */
        event->fd = prony_perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, false);
        event->how = event->fd >= 0 ? BY_PERF : BY_CLOCK;
        break;
    case PAGE_FAULTS: /* faults that the kernel takes on our behalf count too, as in getrusage */
        event->fd = prony_perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, true);
        event->how = event->fd >= 0 ? BY_PERF : BY_RUSAGE;
        break;
    case MIGRATIONS:
        open_migrations(event, value);
        break;
    default:
        event->how = BY_RUSAGE;
        break;
    }
}

static int64_t of_rusage(const struct rusage *used, enum what what)
{
    switch (what) {
    case PAGE_FAULTS:
        return used->ru_minflt + used->ru_majflt;
    case SWITCHES:
        return used->ru_nvcsw + used->ru_nivcsw;
    case INVOLUNTARY:
        return used->ru_nivcsw;
    default:
        return used->ru_nvcsw;
    }
}

/* The total so far; -1 when it cannot be read any more. */
static int64_t total(const struct event *event, const struct rusage *used, struct prony_value *value)
{
    struct prony_perf_reading reading;
    struct timespec now;
    switch (event->how) {
    case BY_PERF:
        if (read(event->fd, &reading, sizeof reading) != (ssize_t)sizeof reading)
            return -1;
        value->enabled_ns = reading.enabled_ns;
        value->running_ns = reading.running_ns;
        return (int64_t)reading.value;
    case BY_CLOCK:
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return now.tv_sec * 1000000000LL + now.tv_nsec;
    case BY_RUSAGE:
        return of_rusage(used, event->what);
    case BY_PROC:
        return read_migrations(event->fd);
    case NOWHERE:
        break;
    }
    return -1;
}

static bool owns(const struct counting *counting)
{
    return counting != NULL && counting->pid == getpid();
}

static void leave(struct prony_worker *worker)
{
    struct counting *counting = worker->counting;
    worker->counting = NULL;
    if (!owns(counting)) /* inherited: its descriptors are the parent's affair */
        return;
    for (unsigned i = 0; i < counting->n; i++)
        if (counting->events[i].fd >= 0)
            (void)close(counting->events[i].fd);
    free(counting);
}

static int read_values(struct prony_worker *worker, struct prony_value *values, unsigned n)
{
    const struct counting *counting = worker->counting;
    struct rusage used;
    int status = 0;
    if (!owns(counting) || counting->tid != (pid_t)syscall(SYS_gettid))
        return -ESTALE;
    (void)getrusage(RUSAGE_THREAD, &used);
    for (unsigned i = 0; i < n && i < counting->n; i++) {
        int64_t now;
        if (values[i].status != PRONY_COUNTED)
            continue;
        now = total(&counting->events[i], &used, &values[i]);
        if (now < 0)
            status = -EIO;
        else
            values[i].value = now - counting->events[i].base;
    }
    return status;
}

static int enter(struct prony_worker *worker, const char *const *events, unsigned n, struct prony_value *values,
                 struct prony_error *error)
{
    struct counting *counting;
    struct rusage used;
    leave(worker);
    if (n > PRONY_EVENTS_MAX)
        return prony_fail(error, -E2BIG, "at most %d events can be counted at once", PRONY_EVENTS_MAX);
    counting = calloc(1, sizeof *counting);
    if (counting == NULL)
        return prony_fail(error, -ENOMEM, "no memory for %u counters", n);
    counting->pid = getpid();
    counting->tid = (pid_t)syscall(SYS_gettid);
    counting->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct event *event = &counting->events[i];
        int what = find(events[i]);
        memset(&values[i], 0, sizeof values[i]);
        event->fd = -1;
        if (what < 0) {
            values[i].status = PRONY_NOT_SUPPORTED;
            (void)snprintf(values[i].reason, sizeof values[i].reason, "the provider software has no such event");
            continue;
        }
        event->what = (enum what)what;
        open_event(event, &values[i]);
        if (event->how == NOWHERE)
            continue;
        values[i].status = PRONY_COUNTED;
        (void)snprintf(values[i].source, sizeof values[i].source, "%s", sources[event->how]);
    }
    (void)getrusage(RUSAGE_THREAD, &used);
    for (unsigned i = 0; i < n; i++) /* perf's totals begin at 0 by themselves */
        if (counting->events[i].how != NOWHERE && counting->events[i].how != BY_PERF)
            counting->events[i].base = total(&counting->events[i], &used, &values[i]);
    worker->counting = counting;
    return 0;
}

static int trial(struct prony_error *error)
{
    struct prony_worker worker;
    struct prony_value value;
    int64_t before;
    int code;
    memset(&worker, 0, sizeof worker);
    memset(&value, 0, sizeof value);
    code = enter(&worker, defaults, 1, &value, error);
    if (code != 0)
        return code;
    code = read_values(&worker, &value, 1);
    before = value.value;
    for (volatile unsigned i = 0; i < 100000; i++)
        ;
    if (code == 0)
        code = read_values(&worker, &value, 1);
    leave(&worker);
    if (code != 0)
        return prony_fail(error, code, "the task clock cannot be read");
    if (value.value <= before)
        return prony_fail(error, -ENOTSUP, "the task clock (%s) stood still during a loop", value.source);
    return 0;
}

PRONY_EXPORT(provider, software) = {
    .head = PRONY_HEAD(struct prony_provider, .name = "software",
                       .summary = "task clock, page faults, context switches and migrations, by the kernel",
                       .caps = PRONY_COUNTER_IN_WORKER),
    .events = defaults,
    .known = known,
    .trial = trial,
    .enter = enter,
    .read = read_values,
    .leave = leave,
};
