/* direct: an engine of one worker, the caller, that runs every task inside submit: the least that an engine is. */
#include <prony/plugin/engine.h>

#include <errno.h>
#include <stdlib.h>

static int alone(struct prony_worker *worker, int64_t timeout_ns)
{
    (void)worker, (void)timeout_ns;
    return 0; /* a barrier of one */
}

static int never(struct prony_worker *worker)
{
    (void)worker;
    return 0;
}

static const struct prony_worker_ops ops = {.barrier = alone, .stopped = never};

static int direct_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    struct prony_worker *worker;
    if (setup->workers != 1)
        return prony_fail(error, -ENOTSUP, "direct has one worker, the caller: ask for -n 1");
    worker = malloc(sizeof *worker);
    if (worker == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a worker");
    prony_worker_init(worker, setup, 0, 1);
    worker->ops = &ops;
    *handle = worker;
    return 0;
}

static int direct_workers(void *handle, struct prony_who *who, unsigned n)
{
    const struct prony_slot *slot = ((struct prony_worker *)handle)->slot;
    if (n > 0)
        who[0] = (struct prony_who){slot->pid, slot->tid, slot->pu, slot->generation, PRONY_WHO_CALLER};
    return 0;
}

static int direct_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    (void)roles, (void)timeout_ns;
    status[0] = prony_task_run(handle, task);
    return 0;
}

static int direct_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                      int64_t timeout_ns)
{
    struct prony_worker *worker = handle;
    int status = prony_task_run(worker, task); /* one chunk: there is nobody to share with */
    (void)chunk, (void)timeout_ns;
    worker->slot->items += task->hi - task->lo;
    *tally = status == 0 ? (struct prony_tally){0} : (struct prony_tally){status, 1, task->lo, task->hi};
    return 0;
}

static int direct_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct prony_worker *worker = handle;
    for (unsigned i = 0; i < n; i++) {
        struct prony_future *future = prony_at(worker, tasks[i].future);
        struct prony_task task = tasks[i];
        task.ticket = (future->state >> 2) + 1;
        future->status = prony_task_run(worker, &task);
        future->worker = UINT32_MAX;
        worker->slot->items++;
        __atomic_store_n(&future->state, task.ticket << 2 | PRONY_DONE, __ATOMIC_RELEASE);
    }
    return 0;
}

/* All that was submitted is done. */
static int direct_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    (void)handle, (void)futures, (void)n, (void)need, (void)timeout_ns;
    return 0;
}

static int direct_close(void *handle, int drain, int64_t timeout_ns)
{
    (void)drain, (void)timeout_ns;
    free(handle);
    return 0;
}

PRONY_EXPORT(engine, direct) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "direct", .summary = "the caller alone, inside submit",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_HELPS | PRONY_CAP_SHARED),
    .open = direct_open,
    .workers = direct_workers,
    .gang = direct_gang,
    .map = direct_map,
    .submit = direct_submit,
    .wait = direct_wait,
    .close = direct_close,
};
