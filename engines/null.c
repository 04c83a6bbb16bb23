/* null: completes every task without running its kernel. It measures what the harness itself costs; no answer but the
 * count of completed tasks holds. One worker, the caller. */
#include <prony/plugin/engine.h>

#include <errno.h>
#include <stdlib.h>

struct null {
    struct prony_worker worker;
    uint32_t ticket;
};

static int null_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    struct null *null;
    if (setup->workers != 1)
        return prony_fail(error, -ENOTSUP, "null has one worker, the caller: %u cannot be (use -n 1)", setup->workers);
    null = calloc(1, sizeof *null);
    if (null == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the engine");
    prony_worker_init(&null->worker, setup, 0, 1);
    null->worker.slot->items = 0;
    *handle = null;
    return 0;
}

static int null_workers(void *handle, struct prony_who *who, unsigned n)
{
    const struct prony_slot *slot = ((struct null *)handle)->worker.slot;
    if (n > 0)
        who[0] = (struct prony_who){slot->pid, slot->tid, slot->pu, slot->generation, PRONY_WHO_CALLER};
    return 0;
}

static int null_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    (void)handle, (void)task, (void)timeout_ns;
    if (roles != 1)
        return -EINVAL;
    status[0] = 0;
    return 0;
}

static int null_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                    int64_t timeout_ns)
{
    struct null *null = handle;
    (void)timeout_ns;
    *tally = (struct prony_tally){0, 0, 0, 0};
    if (chunk < 0)
        return -EINVAL;
    if (task->hi > task->lo)
        null->worker.slot->items += task->hi - task->lo;
    return 0;
}

static int null_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct null *null = handle;
    for (unsigned i = 0; i < n; i++) {
        struct prony_future *future = prony_at(&null->worker, tasks[i].future);
        future->status = 0;
        future->worker = 0;
        __atomic_store_n(&future->state, ++null->ticket << 2 | PRONY_DONE, __ATOMIC_RELEASE);
    }
    null->worker.slot->items += n;
    return 0;
}

static int null_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    (void)handle, (void)futures, (void)timeout_ns;
    return need > n ? -EINVAL : 0;
}

static int null_close(void *handle, int drain, int64_t timeout_ns)
{
    (void)drain, (void)timeout_ns;
    free(handle);
    return 0;
}

PRONY_EXPORT(engine, null) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "null",
                       .summary = "completes tasks without running them: what the harness costs",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_HELPS | PRONY_CAP_DRY),
    .open = null_open,
    .workers = null_workers,
    .gang = null_gang,
    .map = null_map,
    .submit = null_submit,
    .wait = null_wait,
    .close = null_close,
};
