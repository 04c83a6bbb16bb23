/* What the engines thread and fork have in common: the contract's functions over a pool. They differ in the policy that
 * their `open` gives it. */
#ifndef PRONY_ENGINES_OVER_POOL_H
#define PRONY_ENGINES_OVER_POOL_H

#include <prony/plugin/engine.h>
#include <prony/pool.h>

static const char *const idle_choices[] = {"spin", "adaptive", "park", NULL};

static const struct prony_option options[] = {
    {"wait", PRONY_CHOICE, "adaptive", 0, 0, idle_choices,
     "idle workers: keep looking, look 50 us and sleep, or sleep at once"},
    {"times", PRONY_BOOL, "no", 0, 0, NULL, "note when each task was queued, begun and ended (costs clock readings)"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static inline struct prony_policy policy_of(const struct prony_params *params, enum prony_staff staff)
{
    struct prony_policy policy = {.staff = staff, .idle = PRONY_IDLE_ADAPTIVE};
    if (params != NULL) {
        policy.idle = (enum prony_idle)prony_param_int(params, "wait");
        policy.times = prony_param_int(params, "times") != 0;
    }
    return policy;
}

static uint64_t pool_area(const struct prony_params *params, unsigned workers)
{
    (void)params;
    return prony_pool_area(workers);
}

static inline int pool_open(const struct prony_setup *setup, enum prony_staff staff, void **handle,
                            struct prony_error *error)
{
    const struct prony_policy policy = policy_of(setup->params, staff);
    struct prony_pool *pool = NULL;
    int code = prony_pool_open(setup, &policy, &pool, error);
    *handle = pool;
    return code;
}

static int pool_park(void *handle, int parked)
{
    return prony_pool_park(handle, parked);
}

static int pool_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    return prony_pool_gang(handle, task, roles, status, timeout_ns);
}

static int pool_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                    int64_t timeout_ns)
{
    return prony_pool_map(handle, task, chunk, tally, timeout_ns);
}

static int pool_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    return prony_pool_submit(handle, tasks, n);
}

static int pool_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    return prony_pool_wait(handle, futures, n, need, timeout_ns);
}

static int pool_cancel(void *handle, uint64_t future, int stop)
{
    return prony_pool_cancel(handle, future, stop);
}

static int pool_close(void *handle, int drain, int64_t timeout_ns)
{
    return prony_pool_close(handle, drain, timeout_ns);
}

#endif
