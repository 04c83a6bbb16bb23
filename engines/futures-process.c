/* futures-process: the executor of futures-thread over processes forked from the host when it opens. A worker that dies
 * fails what it held and is replaced, where CPython's would break the executor for good. Not measured: serialisation, since
 * tasks name memory of the arena. */
#include "engines/over_executor.h"

static int open_processes(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    return executor_open(setup, PRONY_PROCESSES, handle, error);
}

PRONY_EXPORT(engine, futures_process) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "futures-process",
                       .summary = "an executor over forked processes: one queue, a future a task",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_KILL | PRONY_CAP_ISOLATES,
                       .options = options),
    .area = executor_area,
    .open = open_processes,
    .park = executor_park,
    .gang = executor_gang,
    .map = executor_map,
    .submit = executor_submit,
    .wait = executor_wait,
    .cancel = executor_cancel,
    .close = executor_close,
};
