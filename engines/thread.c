/* thread: a pool of threads in the host. Tasks go through a ring a worker, maps through one cursor, recursion through
 * deques; the caller never runs a task. Not measured: binding, which the host does by gang. */
#include "engines/over_pool.h"

static int open_threads(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    return pool_open(setup, PRONY_THREADS, handle, error);
}

PRONY_EXPORT(engine, thread) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "thread", .summary = "a pool of threads",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_SHARED,
                       .options = options),
    .area = pool_area,
    .open = open_threads,
    .park = pool_park,
    .gang = pool_gang,
    .map = pool_map,
    .submit = pool_submit,
    .wait = pool_wait,
    .cancel = pool_cancel,
    .close = pool_close,
};
