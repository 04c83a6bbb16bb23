/* Provider papi: hardware counters of each worker, presets (PAPI_TOT_INS) and native events, through PAPI.
 *
 * A process owns its PAPI: after a fork the child starts the library again and makes its own set, for stopping an
 * inherited set stops the parent's counters. Each event is added on its own, so that a bad one costs only itself,
 * and is then tried on a loop that must move it: what stands still there is implausible, not zero. Counting is in
 * user mode, never multiplexed: PAPI 7.0 hides the times that scaling would need.
 *
 * Not measured: what other threads do, time in the kernel, time before `enter`. */
#include <prony/plugin/counter.h>

#include "base/text.h"
#include "counters/known_loop.h"
#include "counters/perf_open.h"

#include <errno.h>
#include <papi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SETS = 4, NAMES = 128, NAME_BYTES = 64, OFFERED = 4096 };

static const char *const defaults[] = {"PAPI_TOT_INS", "PAPI_TOT_CYC", "PAPI_BR_MSP", "PAPI_L1_DCM", NULL};

/* PAPI in this process. Names are resolved once; codes of native events hold only in the process that asked for
 * them. */
static struct {
    pthread_mutex_t lock;
    pid_t pid, tid; /* who started it; another pid: we were forked */
    int status;     /* of PAPI_library_init: 0 or PAPI's code */
    unsigned n;
    struct {
        char name[NAME_BYTES];
        int code, status;
    } seen[NAMES];
} image = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* PAPI counts with one set a component; the events of a worker are spread over the sets by component. */
struct set {
    int component, id;
    unsigned n;
    unsigned event[PRONY_EVENTS_MAX]; /* place in the set -> place in values */
};

struct counting {
    pid_t pid, tid; /* who opened it */
    bool registered;
    unsigned n;
    struct set sets[SETS];
};

static pid_t own_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Starts PAPI in this process unless it runs already. 0 or PAPI's code. Call with the lock held. */
static int start_library(void)
{
    int version;
    if (image.pid == getpid())
        return image.status;
    image.pid = getpid();
    image.tid = own_tid();
    image.n = 0;
    version = PAPI_library_init(PAPI_VER_CURRENT);
    image.status = version == PAPI_VER_CURRENT ? PAPI_OK : version < 0 ? version : PAPI_EINVAL;
    if (image.status == PAPI_OK)
        image.status = PAPI_thread_init(pthread_self);
    return image.status;
}

/* The code of an event. 0 or PAPI's code. Call with the lock held. */
static int resolve(const char *name, int *code)
{
    unsigned i = 0;
    int status = start_library();
    if (status != PAPI_OK)
        return status;
    while (i < image.n && strcmp(image.seen[i].name, name) != 0)
        i++;
    if (i < image.n) {
        *code = image.seen[i].code;
        return image.seen[i].status;
    }
    status = PAPI_event_name_to_code(name, code);
    if (image.n < NAMES && strlen(name) < NAME_BYTES) {
        (void)snprintf(image.seen[i].name, NAME_BYTES, "%s", name);
        image.seen[i].code = *code;
        image.seen[i].status = status;
        image.n++;
    }
    return status;
}

/* Why the perf component is off; NULL when it is on. */
static const char *component_off(void)
{
    int which = PAPI_get_component_index("perf_event");
    const PAPI_component_info_t *info = which < 0 ? NULL : PAPI_get_component_info(which);
    return info == NULL ? "PAPI has no perf_event component" : info->disabled ? info->disabled_reason : NULL;
}

/* What PAPI's code means for one event. Its "no such event" has several causes, and only the kernel tells them
 * apart. */
static void explain(int code, struct prony_value *value)
{
    char *text = value->reason;
    size_t bytes = sizeof value->reason;
    int hardware = prony_perf_try_hardware();
    const char *off;
    if (hardware != 0) {
        value->status = prony_perf_why(hardware, text, bytes);
    } else if (code == PAPI_ECNFLCT || code == PAPI_ECOUNT || code == PAPI_EMULPASS) {
        value->status = PRONY_NO_COUNTER;
        (void)snprintf(text, bytes, "the events before it use all counters of this CPU: count fewer at once");
    } else if (code == PAPI_EPERM) {
        value->status = prony_perf_why(-EPERM, text, bytes);
    } else if ((off = component_off()) != NULL && off[0] != '\0') {
        value->status = PRONY_NOT_SUPPORTED;
        (void)snprintf(text, bytes, "PAPI does not know this CPU (%.60s)", off);
    } else if (code == PAPI_ENOEVNT) {
        value->status = PRONY_NOT_SUPPORTED;
        (void)snprintf(text, bytes, "this CPU has no such event");
    } else {
        value->status = PRONY_NOT_SUPPORTED;
        (void)snprintf(text, bytes, "PAPI: %.90s", PAPI_strerror(code));
    }
}

/* These two happen in the kernel: in user mode, where PAPI counts, perf reads a silent 0. */
static bool always_zero(const char *name)
{
    return strstr(name, "CONTEXT-SWITCHES") != NULL || strstr(name, "CONTEXT_SWITCHES") != NULL ||
           strstr(name, "CPU-MIGRATIONS") != NULL || strstr(name, "CPU_MIGRATIONS") != NULL;
}

static struct set *set_of(struct counting *counting, int component)
{
    struct set *set;
    for (unsigned i = 0; i < counting->n; i++)
        if (counting->sets[i].component == component)
            return &counting->sets[i];
    if (counting->n == SETS)
        return NULL;
    set = &counting->sets[counting->n];
    set->id = PAPI_NULL;
    if (PAPI_create_eventset(&set->id) != PAPI_OK)
        return NULL;
    set->component = component;
    counting->n++;
    return set;
}

static void add_event(struct counting *counting, const char *name, unsigned place, struct prony_value *value)
{
    int code = 0, status, component;
    struct set *set;
    if (always_zero(name)) {
        value->status = PRONY_NOT_SUPPORTED;
        (void)snprintf(value->reason, sizeof value->reason,
                       "it happens in the kernel, and PAPI counts user mode alone: use --counters software");
        return;
    }
    (void)pthread_mutex_lock(&image.lock);
    status = resolve(name, &code);
    (void)pthread_mutex_unlock(&image.lock);
    if (status != PAPI_OK) {
        explain(status, value);
        return;
    }
    component = PAPI_get_event_component(code);
    set = component < 0 ? NULL : set_of(counting, component);
    status = set == NULL ? PAPI_ENOEVNT : PAPI_add_event(set->id, code);
    if (status != PAPI_OK) {
        explain(status, value);
        return;
    }
    set->event[set->n++] = place;
    value->status = PRONY_COUNTED;
    (void)snprintf(value->source, sizeof value->source, "PAPI");
}

static void start_sets(struct counting *counting, struct prony_value *values)
{
    for (unsigned i = 0; i < counting->n; i++) {
        struct set *set = &counting->sets[i];
        int status = set->n == 0 ? PAPI_OK : PAPI_start(set->id);
        if (status == PAPI_OK)
            continue;
        for (unsigned j = 0; j < set->n; j++) {
            explain(status, &values[set->event[j]]);
            values[set->event[j]].source[0] = '\0';
        }
        set->n = 0;
    }
}

/* Also from another thread of the process that opened it, when a runtime has replaced its thread. */
static void leave(struct prony_worker *worker)
{
    struct counting *counting = worker->counting;
    worker->counting = NULL;
    if (counting == NULL || counting->pid != getpid()) /* inherited: stopping it would stop the parent's */
        return;
    for (unsigned i = 0; i < counting->n; i++) {
        struct set *set = &counting->sets[i];
        if (set->n != 0)
            (void)PAPI_stop(set->id, NULL);
        (void)PAPI_cleanup_eventset(set->id);
        (void)PAPI_destroy_eventset(&set->id);
    }
    if (counting->registered && counting->tid == own_tid())
        (void)PAPI_unregister_thread();
    free(counting);
}

static int read_values(struct prony_worker *worker, struct prony_value *values, unsigned n)
{
    const struct counting *counting = worker->counting;
    long long totals[PRONY_EVENTS_MAX];
    if (counting == NULL || counting->pid != getpid() || counting->tid != own_tid())
        return -ESTALE;
    for (unsigned i = 0; i < counting->n; i++) {
        const struct set *set = &counting->sets[i];
        if (set->n == 0)
            continue;
        if (PAPI_read(set->id, totals) != PAPI_OK)
            return -EIO;
        for (unsigned j = 0; j < set->n; j++)
            if (set->event[j] < n && values[set->event[j]].status == PRONY_COUNTED)
                values[set->event[j]].value = totals[j];
    }
    return 0;
}

/* A guest may let an event be added and started, and never move it. */
static int check_plausible(struct prony_worker *worker, const char *const *events, unsigned n,
                           struct prony_value *values)
{
    int64_t before[PRONY_EVENTS_MAX];
    int code = read_values(worker, values, n);
    for (unsigned i = 0; i < n; i++)
        before[i] = values[i].value;
    if (code == 0 && !prony_known_loop_run())
        return 0;
    if (code == 0)
        code = read_values(worker, values, n);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < n; i++) {
        int64_t least = prony_known_loop_least(events[i]), counted = values[i].value - before[i];
        if (values[i].status != PRONY_COUNTED || counted >= least)
            continue;
        values[i].status = PRONY_IMPLAUSIBLE;
        values[i].value = 0;
        (void)snprintf(values[i].reason, sizeof values[i].reason, "it counted %lld in a loop that takes at least %lld",
                       (long long)counted, (long long)least);
    }
    return 0;
}

static int enter(struct prony_worker *worker, const char *const *events, unsigned n, struct prony_value *values,
                 struct prony_error *error)
{
    struct counting *counting;
    int code;
    leave(worker);
    if (n > PRONY_EVENTS_MAX)
        return prony_fail(error, -E2BIG, "at most %d events can be counted at once", PRONY_EVENTS_MAX);
    memset(values, 0, n * sizeof *values);
    counting = calloc(1, sizeof *counting);
    if (counting == NULL)
        return prony_fail(error, -ENOMEM, "no memory for %u counters", n);
    counting->pid = getpid();
    counting->tid = own_tid();
    (void)pthread_mutex_lock(&image.lock);
    code = start_library();
    (void)pthread_mutex_unlock(&image.lock);
    worker->counting = counting;
    if (code != PAPI_OK) {
        for (unsigned i = 0; i < n; i++)
            explain(code, &values[i]);
        return 0;
    }
    counting->registered = counting->tid != image.tid && PAPI_register_thread() == PAPI_OK;
    for (unsigned i = 0; i < n; i++)
        add_event(counting, events[i], i, &values[i]);
    start_sets(counting, values);
    if (check_plausible(worker, events, n, values) == 0)
        return 0;
    leave(worker);
    return prony_fail(error, -EIO, "PAPI's counters started and cannot be read");
}

/* Collects the names of one table of PAPI. */
static unsigned collect(int first, char (*names)[NAME_BYTES], const char **list, unsigned n, unsigned most)
{
    int code = first;
    int more = PAPI_enum_event(&code, PAPI_ENUM_FIRST);
    for (; more == PAPI_OK && n < most; more = PAPI_enum_event(&code, PAPI_ENUM_EVENTS)) {
        char name[PAPI_MAX_STR_LEN];
        if (PAPI_event_code_to_name(code, name) != PAPI_OK)
            continue;
        (void)snprintf(names[n], NAME_BYTES, "%.63s", name);
        list[n] = names[n];
        n++;
    }
    return n;
}

static int unknown(const char *event, struct prony_error *error)
{
    char(*names)[NAME_BYTES] = malloc(OFFERED * sizeof *names), hint[120] = "";
    const char **list = malloc((OFFERED + 1) * sizeof *list);
    if (names != NULL && list != NULL) {
        unsigned n = collect((int)PAPI_PRESET_MASK, names, list, 0, OFFERED);
        if (component_off() == NULL)
            n = collect((int)PAPI_NATIVE_MASK, names, list, n, OFFERED);
        list[n] = NULL;
        (void)prony_text_nearest(event, list, hint, sizeof hint);
    }
    free(list);
    free(names);
    return prony_fail(error, -ENOENT, "PAPI has no event '%s'%s", event, hint);
}

static int known(const char *event, struct prony_error *error)
{
    int code = 0, status;
    const char *off = NULL;
    (void)pthread_mutex_lock(&image.lock);
    status = resolve(event, &code);
    if (image.status != PAPI_OK)
        status = prony_fail(error, -ENOTSUP, "PAPI does not start: %s", PAPI_strerror(image.status));
    else if (status == PAPI_OK)
        status = 0;
    else if (strncmp(event, "PAPI_", 5) != 0 && (off = component_off()) != NULL)
        status = prony_fail(error, -ENOTSUP, "the name '%s' cannot be looked up: PAPI's perf component is off (%s)",
                            event, off);
    else
        status = unknown(event, error);
    (void)pthread_mutex_unlock(&image.lock);
    return status;
}

static int trial(struct prony_error *error)
{
    return prony_perf_trial(defaults, enter, leave, error);
}

/* In the host, before workers: what is costly is done once, and forked workers inherit the pages. */
static int prepare(const char *const *events, unsigned n, struct prony_error *error)
{
    int code, status;
    (void)pthread_mutex_lock(&image.lock);
    status = start_library();
    for (unsigned i = 0; i < n && status == PAPI_OK; i++)
        (void)resolve(events[i], &code); /* a name that does not resolve is explained by enter */
    (void)pthread_mutex_unlock(&image.lock);
    if (status != PAPI_OK) /* not a failure: enter gives every event its reason */
        (void)prony_fail(error, -ENOTSUP, "PAPI does not start: %s", PAPI_strerror(status));
    return 0;
}

/* Adds the events that have no set yet to set number `now`, as far as they fit; true when one was left for the next. */
static bool fill_set(const char *const *events, unsigned n, unsigned char *set, unsigned char now, bool *placed)
{
    struct counting counting = {.n = 0};
    bool left = false;
    for (unsigned i = 0; i < n; i++) {
        struct prony_value value = {.status = PRONY_NOT_TRIED};
        if (placed[i])
            continue;
        add_event(&counting, events[i], i, &value);
        if (value.status == PRONY_NO_COUNTER && counting.n != 0 && counting.sets[0].n != 0) {
            left = true;
            continue;
        }
        placed[i] = true;
        set[i] = value.status == PRONY_COUNTED ? now : 0; /* what cannot be counted has its reason from the first set */
    }
    for (unsigned i = 0; i < counting.n; i++) {
        (void)PAPI_cleanup_eventset(counting.sets[i].id);
        (void)PAPI_destroy_eventset(&counting.sets[i].id);
    }
    return left;
}

/* By trying: which events share counters is known to the kernel alone. */
static unsigned split(const char *const *events, unsigned n, unsigned char *set)
{
    bool placed[PRONY_EVENTS_MAX] = {false};
    unsigned sets = 0;
    int status;
    memset(set, 0, n);
    if (n < 2 || n > PRONY_EVENTS_MAX || prony_perf_try_hardware() != 0)
        return 1;
    (void)pthread_mutex_lock(&image.lock);
    status = start_library();
    (void)pthread_mutex_unlock(&image.lock);
    while (status == PAPI_OK && sets < PRONY_EVENTS_MAX && fill_set(events, n, set, (unsigned char)sets, placed))
        sets++;
    return sets + 1;
}

PRONY_EXPORT(provider, papi) = {
    .head = PRONY_HEAD(struct prony_provider, .name = "papi",
                       .summary = "hardware counters, presets and native events, by PAPI",
                       .caps = PRONY_COUNTER_IN_WORKER, .probe = prony_perf_probe),
    .events = defaults,
    .known = known,
    .trial = trial,
    .prepare = prepare,
    .enter = enter,
    .read = read_values,
    .leave = leave,
    .split = split,
};
