/* Choosing who counts what, and what can be derived from it. */
#include "measure/counters.h"

#include "base/clock.h"
#include "base/log.h"
#include "measure/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const double least_share = 0.2; /* of the enabled time, or a count is not scaled but refused */

enum { TRIAL_LIMIT_MS = 5000, NAMES_MOST = 128 };

/* The child of a trial: says nothing on the terminal, leaves its verdict in the pipe. */
static _Noreturn void try_in_child(const struct prony_provider *provider, int out, pid_t parent)
{
    struct prony_error verdict = {0, ""};
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (nowhere >= 0) {
        (void)dup2(nowhere, STDOUT_FILENO);
        (void)dup2(nowhere, STDERR_FILENO);
    }
    verdict.code = provider->trial(&verdict);
    _exit(write(out, &verdict, sizeof verdict) == (ssize_t)sizeof verdict ? 0 : 1);
}

/* The verdict, or what became of the child. */
static int await_verdict(int in, struct prony_error *verdict)
{
    uint64_t limit = prony_now_ns() + TRIAL_LIMIT_MS * 1000000ull, now;
    struct pollfd ready = {.fd = in, .events = POLLIN};
    while ((now = prony_now_ns()) < limit) {
        int got = poll(&ready, 1, (int)((limit - now) / 1000000u) + 1);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            return read(in, verdict, sizeof *verdict) == (ssize_t)sizeof *verdict ? 0 : -EPIPE;
    }
    return -ETIMEDOUT;
}

int prony_provider_trial(const struct prony_provider *provider, struct prony_error *error)
{
    struct prony_error verdict = {0, ""};
    const char *name = provider->head.name;
    int ends[2], status = 0, code;
    pid_t parent = getpid(), child;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return prony_fail(error, -errno, "counter %s: no pipe for its trial: %s", name, strerrordesc_np(errno));
    child = fork();
    if (child == 0)
        try_in_child(provider, ends[1], parent);
    code = child < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (child > 0) {
        code = await_verdict(ends[0], &verdict);
        if (code != 0)
            (void)kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    }
    (void)close(ends[0]);
    if (child < 0)
        return prony_fail(error, code, "counter %s: no process for its trial: %s", name, strerrordesc_np(-code));
    if (code == -ETIMEDOUT)
        return prony_fail(error, -ENOTSUP, "counter %s: its trial did not end within %d s", name,
                          TRIAL_LIMIT_MS / 1000);
    if (code != 0 && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        return prony_fail(error, -ENOTSUP, "counter %s: its trial died of SIG%s", name, sigabbrev_np(WTERMSIG(status)));
    if (code != 0)
        return prony_fail(error, -ENOTSUP, "counter %s: its trial ended without a verdict", name);
    return verdict.code == 0 ? 0 : prony_fail(error, verdict.code, "%s", verdict.text);
}

static int add_event(struct prony_list *events, const char *name, struct prony_error *error)
{
    if (prony_list_has(events, name))
        return 0;
    if (events->count == PRONY_EVENTS_MAX)
        return prony_fail(error, -E2BIG, "at most %d events can be counted in one run: count the others in another",
                          PRONY_EVENTS_MAX);
    return prony_list_add(events, name, strlen(name)) == 0 ? 0 : prony_fail(error, -ENOMEM, "no memory for a list");
}

static int add_all(struct prony_list *events, const char *const *names, struct prony_error *error)
{
    int code = 0;
    for (; *names != NULL && code == 0; names++)
        code = add_event(events, *names, error);
    return code;
}

/* A group's name or an event's. An event that the machine cannot count is no error: it is reported as null with the
 * reason. So is one whose name cannot be looked up here, unless it looks like a group's. */
static int add_item(const struct prony_provider *provider, struct prony_list *events, const char *item,
                    struct prony_error *error)
{
    const struct prony_group *group = prony_group_find(provider->head.name, item);
    const char *names[NAMES_MOST + 1];
    struct prony_error reason = {0, ""};
    char hint[120];
    unsigned n = 0;
    int code;
    if (group != NULL)
        return add_all(events, group->events, error);
    code = provider->known(item, &reason);
    if (code == 0)
        return add_event(events, item, error);
    for (unsigned i = 0; (group = prony_group_at(i)) != NULL && n < NAMES_MOST; i++)
        if (strcmp(group->provider, provider->head.name) == 0)
            names[n++] = group->name;
    names[n] = NULL;
    (void)prony_text_nearest(item, names, hint, sizeof hint);
    if (hint[0] == '\0')
        return code == -ENOTSUP ? add_event(events, item, error) : prony_fail(error, code, "%s", reason.text);
    return prony_fail(error, -ENOENT, "the provider %s has no event or group '%s'%s", provider->head.name, item, hint);
}

/* NAME[+NAME...]; none: the provider's own defaults. */
static int choose_events(const struct prony_provider *provider, const char *items, struct prony_list *events,
                         struct prony_error *error)
{
    struct prony_list list = {NULL, 0, 0};
    int code;
    if (items == NULL)
        return add_all(events, provider->events, error);
    code = prony_list_split(&list, items, '+', error);
    for (size_t i = 0; i < list.count && code == 0; i++)
        code = add_item(provider, events, list.item[i], error);
    prony_list_free(&list);
    return code;
}

/* The probe is asked first: it needs no process, and mostly knows. */
static bool counts(const struct prony_provider *provider, struct prony_error *reason)
{
    return (provider->head.probe == NULL || provider->head.probe(reason) == 0) &&
           prony_provider_trial(provider, reason) == 0;
}

static const struct prony_provider *choose_auto(char *why, size_t bytes)
{
    static const char *const best_first[] = {"papi", "software", NULL};
    struct prony_error reason = {0, ""};
    const struct prony_provider *provider;
    why[0] = '\0';
    for (const char *const *name = best_first; *name != NULL; name++) {
        provider = prony_find_provider(*name, &reason);
        if (provider != NULL && counts(provider, &reason)) {
            if (why[0] == '\0')
                (void)snprintf(why, bytes, "hardware counters count on this machine");
            return provider;
        }
        if (why[0] == '\0')
            (void)snprintf(why, bytes, "%s", reason.text);
    }
    return NULL;
}

static int find_provider(const char *spec, size_t length, const struct prony_provider **provider,
                         struct prony_error *error)
{
    char name[64], hint[120];
    const char *names[NAMES_MOST + 2];
    const struct prony_head *head;
    unsigned n = 0;
    int code;
    struct prony_error reason = {0, ""};
    (void)snprintf(name, sizeof name, "%.*s", (int)length, spec);
    *provider = prony_find_provider(name, &reason);
    if (*provider != NULL)
        return 0;
    code = reason.code;
    if (code != -ENOENT)
        return prony_fail(error, code, "%s", reason.text);
    names[n++] = "auto";
    for (unsigned i = 0; (head = prony_registry_at(PRONY_PROVIDER, i)) != NULL && n <= NAMES_MOST; i++)
        names[n++] = head->name;
    names[n] = NULL;
    return prony_fail(error, -ENOENT, "there is no counter provider '%s'%s (prony list counters)", name,
                      prony_text_nearest(name, names, hint, sizeof hint));
}

/* Into sets that this machine can count at once. */
static void split_events(struct prony_method *method)
{
    const struct prony_provider *provider = method->provider;
    memset(method->event_set, 0, sizeof method->event_set);
    method->event_sets = 1;
    if (provider != NULL && provider->split != NULL)
        method->event_sets = provider->split((const char *const *)method->events.item, (unsigned)method->events.count,
                                             method->event_set);
}

int prony_counters_choose(const char *spec, struct prony_method *method, struct prony_error *error)
{
    const char *colon = strchr(spec, ':'), *items = colon == NULL ? NULL : colon + 1;
    size_t length = colon == NULL ? strlen(spec) : (size_t)(colon - spec);
    const struct prony_provider *provider = NULL;
    struct prony_list events = {NULL, 0, 0};
    char why[sizeof method->provider_why] = "";
    int code = 0;
    if (length == 4 && strncmp(spec, "auto", 4) == 0) {
        if (items != NULL)
            return prony_fail(error, -EINVAL, "counters: auto takes no events; name a provider, as in papi:%s", items);
        provider = choose_auto(why, sizeof why);
    } else {
        code = find_provider(spec, length, &provider, error);
    }
    if (code == 0 && provider != NULL)
        code = choose_events(provider, items, &events, error);
    if (code != 0) {
        prony_list_free(&events);
        return code;
    }
    prony_list_free(&method->events);
    method->events = events;
    method->provider = events.count == 0 ? NULL : provider;
    split_events(method);
    memcpy(method->provider_why, why, sizeof why);
    return 0;
}

/* All that a formula may name: the events, then what is given. Returns how many are events. */
static unsigned names_of(const struct prony_list *events, const char **names)
{
    unsigned n = events->count < PRONY_EVENTS_MAX ? (unsigned)events->count : PRONY_EVENTS_MAX;
    for (unsigned i = 0; i < n; i++)
        names[i] = events->item[i];
    memcpy(names + n, prony_group_given, sizeof prony_group_given);
    return n;
}

unsigned prony_counters_metrics(const char *provider, const struct prony_list *events,
                                const struct prony_metric **metrics, unsigned room)
{
    const char *names[PRONY_EVENTS_MAX + PRONY_GROUP_GIVEN];
    unsigned n = 0, counted = names_of(events, names);
    const struct prony_group *group;
    for (unsigned i = 0; (group = prony_group_at(i)) != NULL; i++)
        for (unsigned j = 0; j < group->metrics_count && strcmp(group->provider, provider) == 0; j++) {
            const struct prony_metric *metric = &group->metrics[j];
            bool taken = false;
            for (unsigned k = 0; k < n; k++)
                taken = taken || strcmp(metrics[k]->name, metric->name) == 0;
            if (n < room && !taken &&
                prony_formula_check(metric->formula, names, counted + PRONY_GROUP_GIVEN, NULL) == 0)
                metrics[n++] = metric;
        }
    return n;
}

double prony_counters_metric(const struct prony_metric *metric, const struct prony_list *events,
                             const struct prony_value *values, const double *given)
{
    const char *names[PRONY_EVENTS_MAX + PRONY_GROUP_GIVEN];
    double inputs[PRONY_EVENTS_MAX + PRONY_GROUP_GIVEN];
    unsigned n = names_of(events, names);
    for (unsigned i = 0; i < n; i++)
        inputs[i] =
            values[i].status == PRONY_COUNTED || values[i].status == PRONY_SCALED ? (double)values[i].value : NAN;
    memcpy(inputs + n, given, PRONY_GROUP_GIVEN * sizeof *given);
    return prony_formula_value(metric->formula, names, inputs, n + PRONY_GROUP_GIVEN);
}

unsigned prony_counters_scale(struct prony_value *values, unsigned n)
{
    unsigned touched = 0;
    for (unsigned i = 0; i < n; i++) {
        struct prony_value *value = &values[i];
        double share = (double)value->running_ns / (double)(value->enabled_ns != 0 ? value->enabled_ns : 1);
        if (value->status != PRONY_COUNTED || value->running_ns >= value->enabled_ns)
            continue;
        touched++;
        if (share >= least_share) {
            value->status = PRONY_SCALED;
            value->value = llround((double)value->value / share);
            continue;
        }
        value->status = PRONY_NO_COUNTER;
        value->value = 0;
        (void)snprintf(value->reason, sizeof value->reason,
                       "it had a counter %.1f%% of the time, and needs %.0f%% to be scaled: count fewer at once",
                       100 * share, 100 * least_share);
    }
    return touched;
}

/* NULL: some cell counted it, or none was measured; else why it was not counted. */
static const char *why_uncounted(const struct prony_run *run, size_t event)
{
    const char *reason = NULL;
    for (unsigned i = 0; i < run->count; i++)
        for (unsigned j = 0; run->cells[i].who != NULL && j < run->cells[i].workers; j++) {
            const struct prony_value *value =
                run->cells[i].who[j].values == NULL ? NULL : &run->cells[i].who[j].values[event];
            if (value != NULL && (value->status == PRONY_COUNTED || value->status == PRONY_SCALED))
                return NULL;
            if (value != NULL && value->reason[0] != '\0' && reason == NULL)
                reason = value->reason;
        }
    return reason;
}

void prony_counters_note(struct prony_run *run)
{
    const char *reasons[PRONY_EVENTS_MAX];
    size_t n = run->method.events.count < PRONY_EVENTS_MAX ? run->method.events.count : PRONY_EVENTS_MAX, missing = 0;
    char note[256];
    for (size_t i = 0; i < n; i++) {
        reasons[i] = why_uncounted(run, i);
        missing += reasons[i] != NULL;
    }
    for (size_t i = 0; i < n; i++) {
        char more[32] = "";
        unsigned others = 0;
        bool told = false;
        for (size_t j = 0; j < n && reasons[i] != NULL; j++)
            if (j != i && reasons[j] != NULL && strcmp(reasons[j], reasons[i]) == 0) {
                told = told || j < i;
                others++;
            }
        if (reasons[i] == NULL || told)
            continue;
        if (others > 0)
            (void)snprintf(more, sizeof more, " and %u more", others);
        (void)snprintf(note, sizeof note, "not counted: %.80s%s: %s", run->method.events.item[i], more, reasons[i]);
        (void)prony_list_add(&run->notes, note, strlen(note));
        if (missing == n)
            prony_warn("%s", note);
    }
}
