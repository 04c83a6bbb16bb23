/* futures-thread: an executor over threads in the manner of concurrent.futures: one bounded queue, a future a task. A map is
 * submitted in chunks and collected in order. Not measured: binding, which the host does by gang. */
#include "engines/over_executor.h"

static int open_threads(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    return executor_open(setup, PRONY_THREADS, handle, error);
}

PRONY_EXPORT(engine, futures_thread) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "futures-thread",
                       .summary = "an executor over threads: one queue, a future a task",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_SHARED,
                       .options = options),
    .area = executor_area,
    .open = open_threads,
    .park = executor_park,
    .gang = executor_gang,
    .map = executor_map,
    .submit = executor_submit,
    .wait = executor_wait,
    .cancel = executor_cancel,
    .close = executor_close,
};
