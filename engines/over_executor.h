/* What the engines futures-thread and futures-process have in common: the contract's functions over an executor. They differ in the policy that
 * their `open` gives it. */
#ifndef PRONY_ENGINES_OVER_EXECUTOR_H
#define PRONY_ENGINES_OVER_EXECUTOR_H

#include <prony/executor.h>
#include <prony/plugin/engine.h>

static const char *const idle_choices[] = {"spin", "adaptive", "park", NULL};

static const struct prony_option options[] = {
    {"wait", PRONY_CHOICE, "adaptive", 0, 0, idle_choices,
     "idle workers: keep looking, look 50 us and sleep, or sleep at once"},
    {"times", PRONY_INT, "0", 0, 1000000, NULL,
     "note when one task in so many was queued, begun and ended (costs clock readings); 0: none"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static inline struct prony_policy policy_of(const struct prony_params *params, enum prony_staff staff)
{
    struct prony_policy policy = {.staff = staff, .idle = PRONY_IDLE_ADAPTIVE};
    if (params != NULL) {
        policy.idle = (enum prony_idle)prony_param_int(params, "wait");
        policy.times = (int)prony_param_int(params, "times");
    }
    return policy;
}

static uint64_t executor_area(const struct prony_params *params, unsigned workers)
{
    (void)params;
    return prony_executor_area(workers);
}

static inline int executor_open(const struct prony_setup *setup, enum prony_staff staff, void **handle,
                                struct prony_error *error)
{
    const struct prony_policy policy = policy_of(setup->params, staff);
    struct prony_executor *executor = NULL;
    int code = prony_executor_open(setup, &policy, &executor, error);
    *handle = executor;
    return code;
}

static int executor_park(void *handle, int parked)
{
    return prony_executor_park(handle, parked);
}

static int executor_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    return prony_executor_gang(handle, task, roles, status, timeout_ns);
}

static int executor_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                        int64_t timeout_ns)
{
    return prony_executor_map(handle, task, chunk, tally, timeout_ns);
}

static int executor_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    return prony_executor_submit(handle, tasks, n);
}

static int executor_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    return prony_executor_wait(handle, futures, n, need, timeout_ns);
}

static int executor_cancel(void *handle, uint64_t future, int stop)
{
    return prony_executor_cancel(handle, future, stop);
}

static int executor_close(void *handle, int drain, int64_t timeout_ns)
{
    return prony_executor_close(handle, drain, timeout_ns);
}

#endif
