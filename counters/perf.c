/* Provider perf: counts by perf_event_open(2) itself, under the kernel's names of events (instructions,
 * L1-dcache-load-misses, page-faults, rHEX, PMU/EVENT/), also on CPUs that PAPI does not know yet. All events are open at
 * once: where a CPU has fewer counters the kernel rotates them. Then a count is scaled, the report has for how long it
 * was enabled and running, and one that ran too briefly is refused. For counts without scaling use papi, whose events
 * take turns over visits.
 *
 * On a CPU with several kinds of cores a worker is counted on its own kind's PMU. PMUs outside the cores (memory
 * controllers, power) count for everybody on the machine. Also from outside: a thread by its number, and with it what it
 * starts, for programs that know nothing of prony.
 *
 * Not measured: time in the kernel, but for events that happen there; time before `enter`. */
#include <prony/plugin/counter.h>

#include "counters/events.h"
#include "counters/known_loop.h"
#include "counters/perf_open.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const defaults[] = {"instructions", "cycles", "branches", "branch-misses", "cache-misses", NULL};

struct counter {
    unsigned n; /* descriptors; several for one that is counted by package */
    int fds[PRONY_EVENT_CPUS];
    double factor;
};

struct counting {
    pid_t pid, tid; /* who opened it */
    unsigned n;
    struct counter counters[PRONY_EVENTS_MAX];
};

static pid_t own_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static void shut(struct counter *counter)
{
    for (unsigned i = 0; i < counter->n; i++)
        (void)close(counter->fds[i]);
    counter->n = 0;
}

static void close_all(struct counting *counting)
{
    for (unsigned i = 0; i < counting->n; i++)
        shut(&counting->counters[i]);
    free(counting);
}

/* Why it does not open. That a machine lacks one event is not that it lacks a PMU. */
static void refuse(const struct prony_event *event, int code, struct prony_value *value)
{
    bool lacks = code == -ENOENT || code == -EINVAL || code == -EOPNOTSUPP || code == -ENODEV;
    value->status = prony_perf_why(code, value->reason, sizeof value->reason);
    if (!lacks || (!event->software && event->ncpus == 0 && prony_perf_try_hardware() != 0))
        return;
    value->status = PRONY_NOT_SUPPORTED;
    (void)snprintf(value->reason, sizeof value->reason, "this %s has no such event (perf_event_open: %s)",
                   event->software ? "kernel" : "CPU", strerrorname_np(-code));
}

static void open_event(struct counter *counter, const struct prony_event *event, int tid, unsigned how,
                       struct prony_value *value)
{
    bool everywhere = event->ncpus > 0, at_exec = (how & PRONY_ATTACH_AT_EXEC) != 0 && !everywhere;
    struct perf_event_attr what = {
        .type = event->type,
        .size = sizeof what,
        .config = event->config[0],
        .config1 = event->config[1],
        .config2 = event->config[2],
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .inherit = (how & PRONY_ATTACH_FAMILY) != 0 && !everywhere,
        .disabled = at_exec,
        .enable_on_exec = at_exec,
        .exclude_kernel = !event->with_kernel && !everywhere,
        .exclude_hv = !everywhere,
    };
    counter->factor = event->factor;
    for (unsigned i = 0; i < (everywhere ? event->ncpus : 1); i++) {
        int fd = prony_perf_open_as(&what, everywhere ? -1 : tid, everywhere ? event->cpus[i] : -1);
        if (fd < 0) {
            shut(counter);
            refuse(event, fd, value);
            return;
        }
        counter->fds[counter->n++] = fd;
    }
    value->status = PRONY_COUNTED;
    (void)snprintf(value->source, sizeof value->source, "perf%s%.18s", event->pmu[0] != '\0' ? " " : "", event->pmu);
}

static struct counting *open_all(int tid, int cpu, unsigned how, const char *const *events, unsigned n,
                                 struct prony_value *values, struct prony_error *error)
{
    struct counting *counting;
    if (n > PRONY_EVENTS_MAX) {
        (void)prony_fail(error, -E2BIG, "at most %d events can be counted at once", PRONY_EVENTS_MAX);
        return NULL;
    }
    counting = calloc(1, sizeof *counting);
    if (counting == NULL) {
        (void)prony_fail(error, -ENOMEM, "no memory for %u counters", n);
        return NULL;
    }
    memset(values, 0, n * sizeof *values);
    counting->pid = getpid();
    counting->tid = own_tid();
    counting->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct prony_event event;
        struct prony_error reason = {0, ""};
        if (prony_event_find("", events[i], cpu, &event, &reason) == 0) {
            open_event(&counting->counters[i], &event, tid, how, &values[i]);
            continue;
        }
        values[i].status = PRONY_NOT_SUPPORTED;
        (void)snprintf(values[i].reason, sizeof values[i].reason, "%.103s", reason.text);
    }
    return counting;
}

/* Raw: what the counters of the packages have together, and how long the least of them ran. */
static int read_counter(const struct counter *counter, struct prony_value *value)
{
    double sum = 0;
    for (unsigned i = 0; i < counter->n; i++) {
        struct prony_perf_reading reading;
        if (read(counter->fds[i], &reading, sizeof reading) != (ssize_t)sizeof reading)
            return -EIO;
        if (counter->n == 1 && counter->factor == 1) {
            value->value = (int64_t)reading.value;
        } else {
            sum += (double)reading.value * counter->factor;
            value->value = llround(sum);
        }
        if (i == 0 || reading.running_ns < value->running_ns) {
            value->enabled_ns = reading.enabled_ns;
            value->running_ns = reading.running_ns;
        }
    }
    return 0;
}

static int survey(void *attached, struct prony_value *values, unsigned n)
{
    const struct counting *counting = attached;
    int code = 0;
    for (unsigned i = 0; i < n && i < counting->n && code == 0; i++)
        if (values[i].status == PRONY_COUNTED)
            code = read_counter(&counting->counters[i], &values[i]);
    return code;
}

static int read_values(struct prony_worker *worker, struct prony_value *values, unsigned n)
{
    struct counting *counting = worker->counting;
    if (counting == NULL || counting->pid != getpid() || counting->tid != own_tid())
        return -ESTALE;
    return survey(counting, values, n);
}

/* What a fork inherited is the parent's affair. */
static void leave(struct prony_worker *worker)
{
    struct counting *counting = worker->counting;
    worker->counting = NULL;
    if (counting != NULL && counting->pid == getpid())
        close_all(counting);
}

/* A guest may let an event be opened and never move it. One that had no counter in the loop is not judged by it. */
static int check_plausible(struct prony_worker *worker, const char *const *events, unsigned n,
                           struct prony_value *values)
{
    struct prony_value before[PRONY_EVENTS_MAX];
    int code = read_values(worker, values, n);
    memcpy(before, values, n * sizeof *values);
    if (code == 0 && !prony_known_loop_run())
        return 0;
    if (code == 0)
        code = read_values(worker, values, n);
    for (unsigned i = 0; i < n && code == 0; i++) {
        int64_t least = prony_known_loop_least(events[i]), counted = values[i].value - before[i].value;
        uint64_t enabled = values[i].enabled_ns - before[i].enabled_ns;
        if (values[i].status != PRONY_COUNTED || counted >= least ||
            values[i].running_ns - before[i].running_ns < enabled)
            continue;
        values[i].status = PRONY_IMPLAUSIBLE;
        values[i].value = 0;
        (void)snprintf(values[i].reason, sizeof values[i].reason, "it counted %lld in a loop that takes at least %lld",
                       (long long)counted, (long long)least);
    }
    return code;
}

static int enter(struct prony_worker *worker, const char *const *events, unsigned n, struct prony_value *values,
                 struct prony_error *error)
{
    struct counting *counting;
    leave(worker);
    counting = open_all(0, worker->slot != NULL ? worker->slot->pu : -1, 0, events, n, values, error);
    if (counting == NULL)
        return n > PRONY_EVENTS_MAX ? -E2BIG : -ENOMEM;
    worker->counting = counting;
    if (check_plausible(worker, events, n, values) == 0)
        return 0;
    leave(worker);
    return prony_fail(error, -EIO, "perf's counters opened and cannot be read");
}

static int attach(int tid, unsigned how, const char *const *events, unsigned n, struct prony_value *values,
                  void **attached, struct prony_error *error)
{
    *attached = open_all(tid, -1, how, events, n, values, error);
    return *attached != NULL ? 0 : n > PRONY_EVENTS_MAX ? -E2BIG : -ENOMEM;
}

static void detach(void *attached)
{
    close_all(attached);
}

static int known(const char *event, struct prony_error *error)
{
    struct prony_event found;
    int code = prony_event_find("", event, -1, &found, error);
    return code == -ENOTSUP ? 0 : code; /* for a bound worker it may be there */
}

/* PRONY_EVENT_SHARED: of the whole machine. */
static unsigned nature(const char *event)
{
    struct prony_event found;
    return prony_event_find("", event, -1, &found, NULL) == 0 && found.ncpus > 0 ? PRONY_EVENT_SHARED : 0;
}

static int trial(struct prony_error *error)
{
    return prony_perf_trial(defaults, enter, leave, error);
}

PRONY_EXPORT(provider, perf) = {
    .head = PRONY_HEAD(struct prony_provider, .name = "perf",
                       .summary = "hardware counters by the kernel's names; more than fit are multiplexed and scaled",
                       .caps = PRONY_COUNTER_IN_WORKER, .probe = prony_perf_probe),
    .events = defaults,
    .known = known,
    .trial = trial,
    .enter = enter,
    .read = read_values,
    .leave = leave,
    .nature = nature,
    .attach = attach,
    .survey = survey,
    .detach = detach,
};
