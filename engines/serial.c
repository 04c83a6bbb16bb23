/* serial: the caller runs everything itself, in order. The floor of every speed-up. Not measured: any handing over,
 * since there is none; submit runs the task at once. */
#include <prony/future.h>
#include <prony/plugin/engine.h>

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

struct serial {
    struct prony_worker worker;
    uint32_t ticket;
    int times;
};

static const struct prony_option options[] = {
    {"times", PRONY_INT, "0", 0, 1000000, NULL,
     "note when one task in so many was queued, begun and ended (costs clock readings); 0: none"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static void run(struct serial *serial, struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_future *future = prony_at(worker, task->future);
    const uint32_t ticket = ++serial->ticket << 2;
    const bool timed = prony_future_timed(serial->times, serial->ticket);
    future->queued_ns = future->begun_ns = timed ? prony_now_ns() : 0;
    future->worker = 0;
    future->generation = worker->generation;
    __atomic_store_n(&future->state, ticket | PRONY_RUNNING, __ATOMIC_RELAXED);
    future->status = prony_task_run(worker, task);
    future->ended_ns = future->done_ns = timed ? prony_now_ns() : 0;
    worker->slot->items++;
    __atomic_store_n(&future->state, ticket | PRONY_DONE, __ATOMIC_RELEASE);
}

static int spawn(struct prony_worker *worker, struct prony_task *kid)
{
    if (kid->future == 0)
        return -EINVAL;
    run(worker->engine, worker, kid);
    return 0;
}

static int join(struct prony_worker *worker, const struct prony_task *kids, unsigned n)
{
    (void)worker, (void)kids, (void)n;
    return 0;
}

static int barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    (void)worker, (void)timeout_ns;
    return 0;
}

static int stopped(struct prony_worker *worker)
{
    (void)worker;
    return 0;
}

static const struct prony_worker_ops ops = {spawn, join, barrier, stopped};

static int serial_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    struct serial *serial;
    if (setup->workers != 1)
        return prony_fail(error, -ENOTSUP, "serial has one worker, the caller: %u cannot be (use -n 1)",
                          setup->workers);
    serial = calloc(1, sizeof *serial);
    if (serial == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the engine");
    prony_worker_init(&serial->worker, setup, 0, 1);
    serial->worker.slot->items = 0;
    serial->worker.engine = serial;
    serial->worker.ops = &ops;
    serial->times = setup->params == NULL ? 0 : (int)prony_param_int(setup->params, "times");
    *handle = serial;
    return 0;
}

static int serial_workers(void *handle, struct prony_who *who, unsigned n)
{
    struct serial *serial = handle;
    const struct prony_slot *slot = serial->worker.slot;
    if (n > 0)
        who[0] = (struct prony_who){slot->pid, slot->tid, slot->pu, slot->generation, PRONY_WHO_CALLER};
    return 0;
}

static int serial_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct serial *serial = handle;
    (void)timeout_ns;
    if (roles != 1)
        return -EINVAL;
    status[0] = prony_task_run(&serial->worker, task);
    return 0;
}

static int serial_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                      int64_t timeout_ns)
{
    struct serial *serial = handle;
    struct prony_task part = *task;
    uint64_t end = timeout_ns < 0 ? UINT64_MAX : prony_now_ns() + (uint64_t)timeout_ns;
    *tally = (struct prony_tally){0, 0, 0, 0};
    if (chunk < 0)
        return -EINVAL;
    for (part.lo = task->lo; part.lo < task->hi; part.lo = part.hi) {
        int status;
        part.hi = chunk > 0 && chunk < task->hi - part.lo ? part.lo + chunk : task->hi;
        status = prony_task_run(&serial->worker, &part);
        if (status == 0)
            serial->worker.slot->items += part.hi - part.lo;
        else if (tally->failed++ == 0)
            *tally = (struct prony_tally){status, 1, part.lo, part.hi};
        if (end != UINT64_MAX && part.hi < task->hi && prony_now_ns() > end)
            return -ETIMEDOUT;
    }
    return 0;
}

static int serial_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct serial *serial = handle;
    for (unsigned i = 0; i < n; i++)
        run(serial, &serial->worker, &tasks[i]);
    return 0;
}

/* Whatever was submitted is done. */
static int serial_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    (void)handle, (void)futures, (void)timeout_ns;
    return need > n ? -EINVAL : 0;
}

static int serial_close(void *handle, int drain, int64_t timeout_ns)
{
    (void)drain, (void)timeout_ns;
    free(handle);
    return 0;
}

PRONY_EXPORT(engine, serial) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "serial", .summary = "the caller runs everything itself, in order",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_HELPS,
                       .options = options),
    .open = serial_open,
    .workers = serial_workers,
    .gang = serial_gang,
    .map = serial_map,
    .submit = serial_submit,
    .wait = serial_wait,
    .close = serial_close,
};
