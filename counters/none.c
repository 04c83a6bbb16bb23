/* Provider none: counts nothing. For runs that want no counter read near their samples. */
#include <prony/plugin/counter.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const events[] = {NULL};

static int known(const char *event, struct prony_error *error)
{
    return prony_fail(error, -ENOENT, "there is no event '%s': the provider none counts nothing", event);
}

/* It has no events that could fail to count. */
static int trial(struct prony_error *error)
{
    (void)error;
    return 0;
}

static int enter(struct prony_worker *worker, const char *const *names, unsigned n, struct prony_value *values,
                 struct prony_error *error)
{
    (void)names;
    (void)error;
    worker->counting = NULL;
    for (unsigned i = 0; i < n; i++) {
        memset(&values[i], 0, sizeof values[i]);
        values[i].status = PRONY_NOT_SUPPORTED;
        (void)snprintf(values[i].reason, sizeof values[i].reason, "the provider none counts nothing");
    }
    return 0;
}

static int read_none(struct prony_worker *worker, struct prony_value *values, unsigned n)
{
    (void)worker;
    (void)values;
    (void)n;
    return 0;
}

static void leave(struct prony_worker *worker)
{
    worker->counting = NULL;
}

PRONY_EXPORT(provider, none) = {
    .head = PRONY_HEAD(struct prony_provider, .name = "none", .summary = "counts nothing",
                       .caps = PRONY_COUNTER_IN_WORKER),
    .events = events,
    .known = known,
    .trial = trial,
    .enter = enter,
    .read = read_none,
    .leave = leave,
};
