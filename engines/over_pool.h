/* What the engines thread and fork have in common: options, and the policy of a pool that follows from them. */
#ifndef PRONY_ENGINES_OVER_POOL_H
#define PRONY_ENGINES_OVER_POOL_H

#include <prony/plugin/engine.h>
#include <prony/pool.h>

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

static uint64_t pool_area(const struct prony_params *params, unsigned workers)
{
    (void)params;
    return prony_pool_area(workers);
}

#endif
