/* fork: a pool of processes, forked from the host when it opens. Everything they share lies in the arena, so the pool is
 * the very one of `thread`; a worker that dies fails what it held and is replaced. The host stays single-threaded: a
 * child forked beside other threads may hang on a lock that one of them held. Not measured: loading a program, as an
 * engine that execs would. */
#include "engines/over_pool.h"

static int open_processes(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    return pool_open(setup, PRONY_PROCESSES, handle, error);
}

PRONY_EXPORT(engine, fork) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "fork", .summary = "a pool of forked processes over shared memory",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_KILL | PRONY_CAP_ISOLATES,
                       .options = options),
    .area = pool_area,
    .open = open_processes,
    .park = pool_park,
    .gang = pool_gang,
    .map = pool_map,
    .submit = pool_submit,
    .wait = pool_wait,
    .cancel = pool_cancel,
    .close = pool_close,
};
