/* thread: a pool of threads in the host. Tasks go through a ring a worker, maps through one cursor, recursion through
 * deques; the caller never runs a task. Not measured: binding, which the host does by gang. */
#include "engines/over_pool.h"

static int pool_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    const struct prony_policy policy = policy_of(setup->params, PRONY_THREADS);
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

PRONY_EXPORT(engine, thread) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "thread", .summary = "a pool of threads",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_SHARED,
                       .options = options),
    .area = pool_area,
    .open = pool_open,
    .park = pool_park,
    .gang = pool_gang,
    .map = pool_map,
    .submit = pool_submit,
    .wait = pool_wait,
    .cancel = pool_cancel,
    .close = pool_close,
};
