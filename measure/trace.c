#include "measure/trace.h"
#include "base/timeline.h"
#include "measure/board.h"
#include "measure/kernels.h"

#include <prony/plugin/channel.h>

/* The caller's side. One host drives one engine from one thread. */
static struct {
    const struct prony_engine *real;
    struct prony_engine table;
    struct prony_timeline *timeline;
} caller;

static int note_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        prony_timeline_note(caller.timeline, PRONY_NOTE_QUEUED, 0, tasks[i].future, tasks[i].lo,
                            tasks[i].hi - tasks[i].lo);
    return caller.real->submit(handle, tasks, n);
}

static int note_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    int code;
    prony_timeline_mark(caller.timeline, PRONY_NOTE_WAIT, PRONY_ON_TASKS);
    code = caller.real->wait(handle, futures, n, need, timeout_ns);
    prony_timeline_mark(caller.timeline, PRONY_NOTE_GO_ON, PRONY_ON_TASKS);
    return code;
}

static int note_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                    int64_t timeout_ns)
{
    int code;
    prony_timeline_mark(caller.timeline, PRONY_NOTE_WAIT, PRONY_ON_TASKS);
    code = caller.real->map(handle, task, chunk, tally, timeout_ns);
    prony_timeline_mark(caller.timeline, PRONY_NOTE_GO_ON, PRONY_ON_TASKS);
    return code;
}

const struct prony_engine *prony_trace_engine(const struct prony_engine *engine, struct prony_timeline *timeline)
{
    caller.real = engine;
    caller.timeline = timeline;
    caller.table = *engine;
    caller.table.submit = engine->submit == NULL ? NULL : note_submit;
    caller.table.wait = engine->wait == NULL ? NULL : note_wait;
    caller.table.map = engine->map == NULL ? NULL : note_map;
    return &caller.table;
}

/* A worker's side: a worker is a thread. */
static _Thread_local struct {
    const struct prony_worker_ops *real_ops;
    struct prony_worker_ops ops;
    const struct prony_channel *real_channel;
    struct prony_channel channel;
} own;

static int note_spawn(struct prony_worker *worker, struct prony_task *kid)
{
    prony_timeline_note(worker->timeline, PRONY_NOTE_QUEUED, 0, kid->future, kid->lo, kid->hi - kid->lo);
    return own.real_ops->spawn(worker, kid);
}

static int note_join(struct prony_worker *worker, const struct prony_task *kids, unsigned n)
{
    int code;
    prony_timeline_mark(worker->timeline, PRONY_NOTE_WAIT, PRONY_ON_KIDS);
    code = own.real_ops->join(worker, kids, n);
    prony_timeline_mark(worker->timeline, PRONY_NOTE_GO_ON, PRONY_ON_KIDS);
    return code;
}

static int note_barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    int code;
    prony_timeline_mark(worker->timeline, PRONY_NOTE_WAIT, PRONY_ON_PEERS);
    code = own.real_ops->barrier(worker, timeout_ns);
    prony_timeline_mark(worker->timeline, PRONY_NOTE_GO_ON, PRONY_ON_PEERS);
    return code;
}

static int64_t note_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    int64_t code;
    prony_timeline_mark(prony_timeline_self, PRONY_NOTE_WAIT, PRONY_ON_SEND);
    code = own.real_channel->send(end, data, bytes, timeout_ns);
    prony_timeline_mark(prony_timeline_self, PRONY_NOTE_GO_ON, PRONY_ON_SEND);
    return code;
}

static int64_t note_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    int64_t code;
    prony_timeline_mark(prony_timeline_self, PRONY_NOTE_WAIT, PRONY_ON_RECEIVE);
    code = own.real_channel->recv(end, data, bytes, timeout_ns);
    prony_timeline_mark(prony_timeline_self, PRONY_NOTE_GO_ON, PRONY_ON_RECEIVE);
    return code;
}

static void trace_off(struct prony_worker *worker)
{
    if (own.real_ops != NULL && worker->ops == &own.ops)
        worker->ops = own.real_ops;
    if (own.real_channel != NULL && worker->channel == &own.channel)
        worker->channel = own.real_channel;
    own.real_ops = NULL;
    own.real_channel = NULL;
    worker->timeline = NULL;
    prony_timeline_self = NULL;
}

int prony_trace_worker(struct prony_worker *worker, const struct prony_task *task)
{
    trace_off(worker);
    if (task->arg[0] == 0)
        return 0;
    worker->timeline = prony_timeline_self = prony_board_timeline(worker->base, worker->index);
    if (worker->timeline == NULL)
        return 0;
    if (worker->ops != NULL) {
        own.real_ops = worker->ops;
        own.ops = *worker->ops;
        own.ops.spawn = own.ops.spawn == NULL ? NULL : note_spawn;
        own.ops.join = own.ops.join == NULL ? NULL : note_join;
        own.ops.barrier = own.ops.barrier == NULL ? NULL : note_barrier;
        worker->ops = &own.ops;
    }
    if (worker->channel != NULL) {
        own.real_channel = worker->channel;
        own.channel = *worker->channel;
        own.channel.send = own.channel.send == NULL ? NULL : note_send;
        own.channel.recv = own.channel.recv == NULL ? NULL : note_recv;
        worker->channel = &own.channel;
    }
    return 0;
}
