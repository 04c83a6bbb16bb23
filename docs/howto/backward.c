/* backward: the caller runs the chunks of a map from the last to the first.
 *
 * For workloads whose answer must not depend on the order of their chunks. It is never faster than serial. */
#include <prony/plugin/engine.h>

#include <errno.h>
#include <stdlib.h>

struct backward {
    struct prony_worker worker;
};

static int alone_barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    (void)worker, (void)timeout_ns;
    return 0;
}

static int alone_stopped(struct prony_worker *worker)
{
    (void)worker;
    return 0;
}

static const struct prony_worker_ops ops = {NULL, NULL, alone_barrier, alone_stopped};

static int backward_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    struct backward *backward = NULL;
    if (setup->workers != 1)
        return prony_fail(error, -ENOTSUP, "backward has one worker, the caller; ask for -n 1");
    backward = malloc(sizeof *backward);
    if (backward == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the engine backward");
    prony_worker_init(&backward->worker, setup, 0, 1);
    backward->worker.ops = &ops;
    backward->worker.engine = backward;
    *handle = backward;
    return 0;
}

static int backward_workers(void *handle, struct prony_who *who, unsigned n)
{
    const struct prony_slot *slot = ((struct backward *)handle)->worker.slot;
    if (n > 0)
        who[0] = (struct prony_who){slot->pid, slot->tid, slot->pu, slot->generation, PRONY_WHO_CALLER};
    return 0;
}

static int backward_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct prony_worker *worker = &((struct backward *)handle)->worker;
    (void)timeout_ns; /* the host's timeout ends a kernel that hangs */
    worker->roles = roles;
    status[0] = prony_task_run(worker, task);
    worker->roles = worker->count;
    return 0;
}

static int backward_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                        int64_t timeout_ns)
{
    struct prony_worker *worker = &((struct backward *)handle)->worker;
    struct prony_task part = *task;
    (void)timeout_ns;
    *tally = (struct prony_tally){0};
    if (chunk <= 0)
        chunk = (task->hi - task->lo + 15) / 16;
    for (part.hi = task->hi; part.hi > task->lo; part.hi = part.lo) {
        int status = 0;
        part.lo = part.hi - task->lo > chunk ? part.hi - chunk : task->lo;
        status = prony_task_run(worker, &part);
        worker->slot->items += part.hi - part.lo;
        if (status != 0) { /* the first failure by range is the last we meet */
            tally->failed++;
            tally->status = status;
            tally->first_lo = part.lo;
            tally->first_hi = part.hi;
        }
    }
    return 0;
}

static int backward_close(void *handle, int drain, int64_t timeout_ns)
{
    (void)drain, (void)timeout_ns;
    free(handle);
    return 0;
}

PRONY_EXPORT(engine, backward) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "backward", .summary = "the caller alone, last chunk first",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_GANG | PRONY_CAP_HELPS | PRONY_CAP_SHARED),
    .open = backward_open,
    .workers = backward_workers,
    .gang = backward_gang,
    .map = backward_map,
    .close = backward_close,
};
