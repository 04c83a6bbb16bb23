/* Provider software: what the kernel counts about a thread on every machine, also in containers and without a PMU.
 *
 * Task clock and page faults come from perf's software events, opened here without PAPI: PAPI's perf component
 * refuses to start as a whole on a CPU that libpfm does not know or has no PMU, which is just where this provider is
 * needed. Where perf is denied the thread's CPU clock and getrusage(RUSAGE_THREAD) count the same things, and
 * `source` says so. Switches always come from getrusage and migrations from /proc, since perf reads a silent 0 for
 * both in the user domain; perf counts migrations where it may look into the kernel.
 *
 * Some events belong to more than the worker, and their names say to what: process-memory-peak is a level that all
 * threads of a process share, cgroup-throttled the whole control group's, package-energy the machine's.
 *
 * Not measured: what other threads of the process do, and time before `enter` (totals start at 0 there). */
#include <prony/plugin/counter.h>

#include "base/text.h"
#include "counters/perf_open.h"
#include "counters/proc.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum what {
    TASK_CLOCK,
    PAGE_FAULTS,
    SWITCHES,
    INVOLUNTARY,
    VOLUNTARY,
    MIGRATIONS,
    RUN_WAIT,
    MEMORY_PEAK,
    THROTTLED,
    THROTTLES,
    ENERGY,
    WHATS
};
enum how { NOWHERE, BY_PERF, BY_CLOCK, BY_RUSAGE, BY_PROCESS, BY_PROC };

static const char *const names[WHATS + 1] = {
    [TASK_CLOCK] = "task-clock",   /* ns on a CPU */
    [PAGE_FAULTS] = "page-faults", /* minor and major, in user and kernel mode */
    [SWITCHES] = "switches",       /* voluntary and involuntary */
    [INVOLUNTARY] = "involuntary-switches",
    [VOLUNTARY] = "voluntary-switches",
    [MIGRATIONS] = "migrations",
    [RUN_WAIT] = "run-wait",               /* ns in the run queue, ready and not running */
    [MEMORY_PEAK] = "process-memory-peak", /* bytes: the most that the process has held in memory */
    [THROTTLED] = "cgroup-throttled",      /* ns that the control group's CPUs were held back by its quota */
    [THROTTLES] = "cgroup-throttles",      /* periods in which it was */
    [ENERGY] = "package-energy",           /* microjoules, all packages together */
};
static const char *const defaults[] = {"task-clock",           "page-faults", "switches",
                                       "involuntary-switches", "migrations",  NULL};
static const char *const sources[] = {"", "perf", "CLOCK_THREAD_CPUTIME_ID", "getrusage", "getrusage (process)", ""};
static const char *const files[WHATS] = {
    [MIGRATIONS] = "/proc",
    [RUN_WAIT] = "/proc schedstat",
    [THROTTLED] = "cpu.stat (cgroup)",
    [THROTTLES] = "cpu.stat (cgroup)",
    [ENERGY] = "powercap (machine)",
};

struct event {
    enum what what;
    enum how how;
    int fd;                 /* BY_PERF */
    struct prony_proc proc; /* BY_PROC */
    int64_t base;           /* the total when the worker entered */
};

struct counting {
    bool usage;     /* some event is read by getrusage */
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

/* perf counts them as cheaply as anything, but only with the kernel in view; the file costs a page of text a reading. */
static void open_migrations(struct event *event, struct prony_value *value)
{
    struct prony_value file = {.status = PRONY_NOT_TRIED};
    event->fd = prony_perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, true);
    if (event->fd >= 0) {
        event->how = BY_PERF;
        return;
    }
    if (prony_proc_migrations(&event->proc, &file) == 0) {
        event->how = BY_PROC;
        return;
    }
    value->status = file.status;
    (void)snprintf(value->reason, sizeof value->reason, "%.70s, and perf_event_open: %.16s", file.reason,
                   strerrorname_np(-event->fd));
}

/* The events that the kernel keeps in a file. */
static void open_file(struct event *event, struct prony_value *value)
{
    int code = event->what == RUN_WAIT    ? prony_proc_run_wait(&event->proc, value)
               : event->what == THROTTLED ? prony_proc_cgroup(&event->proc, "throttled_usec", 1000, value)
               : event->what == THROTTLES ? prony_proc_cgroup(&event->proc, "nr_throttled", 1, value)
                                          : prony_proc_energy("", &event->proc, value);
    event->how = code == 0 ? BY_PROC : NOWHERE;
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
    case RUN_WAIT:
    case THROTTLED:
    case THROTTLES:
    case ENERGY:
        open_file(event, value);
        break;
    case MEMORY_PEAK:
        event->how = BY_PROCESS;
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
static int64_t total(struct event *event, const struct rusage *used, struct prony_value *value)
{
    struct prony_perf_reading reading;
    struct timespec now;
    struct rusage all;
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
    case BY_PROCESS:
        (void)getrusage(RUSAGE_SELF, &all);
        return (int64_t)all.ru_maxrss * 1024;
    case BY_PROC:
        return prony_proc_read(&event->proc);
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
    for (unsigned i = 0; i < counting->n; i++) {
        if (counting->events[i].fd >= 0)
            (void)close(counting->events[i].fd);
        if (counting->events[i].how == BY_PROC)
            prony_proc_close(&counting->events[i].proc);
    }
    free(counting);
}

static int read_values(struct prony_worker *worker, struct prony_value *values, unsigned n)
{
    struct counting *counting = worker->counting;
    struct rusage used;
    int status = 0;
    if (!owns(counting) || counting->tid != (pid_t)syscall(SYS_gettid))
        return -ESTALE;
    if (counting->usage)
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

static unsigned nature(const char *event)
{
    int what = find(event);
    return what == MEMORY_PEAK                                        ? PRONY_EVENT_LEVEL | PRONY_EVENT_SHARED
           : what == THROTTLED || what == THROTTLES || what == ENERGY ? PRONY_EVENT_SHARED
                                                                      : 0;
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
        counting->usage |= event->how == BY_RUSAGE;
        (void)snprintf(values[i].source, sizeof values[i].source, "%s",
                       event->how == BY_PROC ? files[what] : sources[event->how]);
    }
    (void)getrusage(RUSAGE_THREAD, &used);
    for (unsigned i = 0; i < n; i++) /* perf's totals begin at 0 by themselves */
        if (counting->events[i].how != NOWHERE && counting->events[i].how != BY_PERF &&
            nature(events[i]) != (PRONY_EVENT_LEVEL | PRONY_EVENT_SHARED)) /* a level has no beginning */
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
    .head =
        PRONY_HEAD(struct prony_provider, .name = "software",
                   .summary = "task clock, faults, switches, migrations, waiting, memory, throttling, by the kernel",
                   .caps = PRONY_COUNTER_IN_WORKER),
    .events = defaults,
    .known = known,
    .trial = trial,
    .enter = enter,
    .read = read_values,
    .leave = leave,
    .nature = nature,
};
