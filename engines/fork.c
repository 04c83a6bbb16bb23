/* fork: a pool of processes, forked from the host when it opens. Everything they share lies in the arena, so the pool is
 * the very one of `thread`; a worker that dies fails what it held and is replaced. The host stays single-threaded: a
 * child forked beside other threads may hang on a lock that one of them held. With a channel (-c) the tasks and their
 * completions travel over that instead of the pool's rings (parallel/carry.h). Not measured: loading a program, as an
 * engine that execs would. */
#include "engines/over_pool.h"
#include "parallel/carry.h"

#include <errno.h>
#include <stdlib.h>

/* One of the two. */
struct team {
    struct prony_pool *pool;
    struct prony_carry *carry;
};

static int team_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    const struct prony_policy policy = policy_of(setup->params, PRONY_PROCESSES);
    struct team *team = calloc(1, sizeof *team);
    int code;
    if (team == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a pool");
    code = setup->carrier != NULL ? prony_carry_fits(setup->carrier, setup->carrier_params, error) : 0;
    if (code == 0)
        code = setup->carrier != NULL ? prony_carry_open(setup, &policy, &team->carry, error)
                                      : prony_pool_open(setup, &policy, &team->pool, error);
    if (code != 0)
        free(team);
    else
        *handle = team;
    return code;
}

static int team_park(void *handle, int parked)
{
    struct team *team = handle;
    return team->carry != NULL ? prony_carry_park(team->carry, parked) : prony_pool_park(team->pool, parked);
}

static int team_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct team *team = handle;
    return team->carry != NULL ? prony_carry_gang(team->carry, task, roles, status, timeout_ns)
                               : prony_pool_gang(team->pool, task, roles, status, timeout_ns);
}

static int team_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                    int64_t timeout_ns)
{
    struct team *team = handle;
    return team->carry != NULL ? prony_carry_map(team->carry, task, chunk, tally, timeout_ns)
                               : prony_pool_map(team->pool, task, chunk, tally, timeout_ns);
}

static int team_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct team *team = handle;
    return team->carry != NULL ? prony_carry_submit(team->carry, tasks, n) : prony_pool_submit(team->pool, tasks, n);
}

static int team_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct team *team = handle;
    return team->carry != NULL ? prony_carry_wait(team->carry, futures, n, need, timeout_ns)
                               : prony_pool_wait(team->pool, futures, n, need, timeout_ns);
}

static int team_cancel(void *handle, uint64_t future, int stop)
{
    struct team *team = handle;
    return team->carry != NULL ? prony_carry_cancel(team->carry, future, stop)
                               : prony_pool_cancel(team->pool, future, stop);
}

static int team_close(void *handle, int drain, int64_t timeout_ns)
{
    struct team *team = handle;
    int code = team->carry != NULL ? prony_carry_close(team->carry, drain, timeout_ns)
                                   : prony_pool_close(team->pool, drain, timeout_ns);
    free(team);
    return code;
}

PRONY_EXPORT(engine, fork) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "fork", .summary = "a pool of forked processes over shared memory",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_KILL | PRONY_CAP_ISOLATES | PRONY_CAP_CHANNEL,
                       .options = options),
    .area = pool_area,
    .open = team_open,
    .park = team_park,
    .gang = team_gang,
    .map = team_map,
    .submit = team_submit,
    .wait = team_wait,
    .cancel = team_cancel,
    .close = team_close,
};
