/* A rig for workloads without the measuring loop: an arena, an engine of a few lines and samples one at a time.
 *
 * Its workers see the arena at another address than the host, and can be forked, so that a kernel that keeps a pointer
 * or a static does not pass. Everything but gangs runs in order, one task after the other. */
#ifndef PRONY_TESTS_RIG_H
#define PRONY_TESTS_RIG_H

#include "base/params.h"
#include "base/registry.h"
#include "workloads/kit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Cases for the engine below: which worker runs a task, whether it is a process, and what it leaves undone. */
struct rig_mood {
    int apart;      /* run in forked processes */
    int64_t forget; /* this many of the last items are reported as done, and are not */
};

struct rig {
    const struct prony_workload *workload;
    const struct prony_channel *channel;
    void *channel_handle;
    struct prony_blob *ends;
    struct prony_params params, channel_params, none;
    struct prony_need need;
    struct prony_setup setup, seen; /* seen: by the workers, with the arena elsewhere */
    struct prony_bench bench;
    struct prony_error error;
    struct prony_worker *workers;
    const struct prony_kernel *kernels[2];
    uint64_t *offsets;
    struct rig_mood mood;
};

/* The rig a test runs on: engines know their setup only. */
static struct rig *rig_now;

static int rig_barrier(struct prony_worker *worker, int64_t timeout_ns)
{
    (void)timeout_ns;
    (void)pthread_barrier_wait(worker->engine);
    return 0;
}

static int rig_stopped(struct prony_worker *worker)
{
    (void)worker;
    return 0;
}

static void rig_done(struct prony_worker *worker, const struct prony_task *task, int status)
{
    struct prony_future *future = prony_at(worker, task->future);
    future->status = status;
    future->worker = worker->index;
    __atomic_store_n(&future->state, task->ticket << 2 | PRONY_DONE, __ATOMIC_RELEASE);
}

static int rig_spawn(struct prony_worker *worker, struct prony_task *kid)
{
    kid->ticket = 1;
    rig_done(worker, kid, prony_task_run(worker, kid));
    return 0;
}

static int rig_join(struct prony_worker *worker, const struct prony_task *kids, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (prony_future_phase(prony_at(worker, kids[i].future)) != PRONY_DONE)
            return -EDEADLK;
    return 0;
}

static const struct prony_worker_ops rig_ops = {rig_spawn, rig_join, rig_barrier, rig_stopped};

static int rig_open_engine(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    struct rig *rig = rig_now;
    pthread_barrierattr_t shared;
    rig->workers = calloc(setup->workers, sizeof *rig->workers);
    if (rig->workers == NULL)
        return prony_fail(error, -ENOMEM, "no memory");
    for (unsigned i = 0; i < setup->workers; i++) {
        prony_worker_init(&rig->workers[i], &rig->seen, i, 1);
        rig->workers[i].ops = &rig_ops;
        rig->workers[i].engine = rig->seen.base + setup->area.off;
    }
    (void)pthread_barrierattr_init(&shared);
    (void)pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    (void)pthread_barrier_init(rig->workers[0].engine, &shared, rig->need.roles ? rig->need.roles : setup->workers);
    (void)pthread_barrierattr_destroy(&shared);
    *handle = rig;
    return 0;
}

static int rig_close_engine(void *handle, int drain, int64_t timeout_ns)
{
    struct rig *rig = handle;
    (void)drain, (void)timeout_ns;
    (void)pthread_barrier_destroy(rig->workers[0].engine);
    free(rig->workers);
    rig->workers = NULL;
    return 0;
}

/* Calls `run` here or in a child; its result is 0 or a negative errno. */
static int rig_where(struct rig *rig, int (*run)(void *context), void *context)
{
    int status;
    pid_t pid;
    if (!rig->mood.apart)
        return run(context);
    pid = fork();
    if (pid == 0)
        _exit(-run(context));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -ECHILD;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -(PRONY_DIED + WTERMSIG(status));
}

struct rig_range {
    struct rig *rig;
    struct prony_task task;
    int64_t chunk;
};

static int rig_run_range(void *context)
{
    struct rig_range *range = context;
    unsigned turn = 0;
    int code = 0;
    for (int64_t lo = range->task.lo, hi = range->task.hi; lo < hi && code == 0; lo += range->chunk) {
        range->task.lo = lo;
        range->task.hi = hi - lo < range->chunk ? hi : lo + range->chunk;
        code = prony_task_run(&range->rig->workers[turn++ % range->rig->setup.workers], &range->task);
    }
    return code;
}

static int rig_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                   int64_t timeout_ns)
{
    struct rig *rig = handle;
    struct rig_range range = {rig, *task, chunk > 0 ? chunk : 1 + (task->hi - task->lo) / 7};
    (void)timeout_ns;
    range.task.hi -= rig->mood.forget;
    memset(tally, 0, sizeof *tally);
    tally->status = rig_where(rig, rig_run_range, &range);
    return 0;
}

struct rig_batch {
    struct rig *rig;
    const struct prony_task *tasks;
    unsigned n;
};

static int rig_run_batch(void *context)
{
    struct rig_batch *batch = context;
    for (unsigned i = 0; i < batch->n; i++) {
        struct prony_worker *worker = &batch->rig->workers[i % batch->rig->setup.workers];
        struct prony_task task = batch->tasks[i];
        int skip = (int64_t)i + batch->rig->mood.forget >= (int64_t)batch->n;
        task.ticket = 1;
        rig_done(worker, &task, skip ? 0 : prony_task_run(worker, &task));
    }
    return 0;
}

static int rig_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct rig_batch batch = {handle, tasks, n};
    return rig_where(handle, rig_run_batch, &batch);
}

static int rig_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct rig *rig = handle;
    (void)timeout_ns;
    for (unsigned i = 0; i < n; i++)
        need -=
            need > 0 && prony_future_phase((struct prony_future *)(void *)(rig->setup.base + futures[i])) == PRONY_DONE;
    return need == 0 ? 0 : -ETIMEDOUT;
}

struct rig_role {
    struct rig *rig;
    struct prony_worker *worker;
    struct prony_task task;
    pthread_t thread;
    pid_t pid;
    int status;
};

static void *rig_play(void *context)
{
    struct rig_role *role = context;
    struct rig *rig = role->rig;
    role->status = 0;
    if (role->worker->channel != NULL)
        role->status = prony_worker_attach(role->worker, rig->need.ends, rig->need.star != 0, NULL);
    if (role->status == 0)
        role->status = prony_task_run(role->worker, &role->task);
    if (rig->channel != NULL)
        prony_worker_detach(role->worker, rig->need.ends);
    return NULL;
}

static int rig_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct rig *rig = handle;
    struct rig_role *role = calloc(roles, sizeof *role);
    int code = role == NULL ? -ENOMEM : 0;
    (void)timeout_ns;
    for (unsigned i = 0; i < roles && code == 0; i++) {
        role[i] = (struct rig_role){.rig = rig, .worker = &rig->workers[i], .task = *task};
        role[i].task.hi -= rig->mood.forget;
        role[i].worker->roles = roles;
        if (!rig->mood.apart) {
            code = -pthread_create(&role[i].thread, NULL, rig_play, &role[i]);
        } else if ((role[i].pid = fork()) == 0) {
            (void)rig_play(&role[i]);
            _exit(-role[i].status);
        }
    }
    for (unsigned i = 0; i < roles && code == 0; i++) {
        if (!rig->mood.apart) {
            code = -pthread_join(role[i].thread, NULL);
        } else {
            int ended = 0;
            code = waitpid(role[i].pid, &ended, 0) == role[i].pid ? 0 : -ECHILD;
            role[i].status = WIFEXITED(ended) ? -WEXITSTATUS(ended) : -(PRONY_DIED + WTERMSIG(ended));
        }
        status[i] = role[i].status;
    }
    free(role);
    return code;
}

static const struct prony_engine rig_engine = {
    .head = PRONY_HEAD(struct prony_engine, .name = "rig", .summary = "for tests",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST),
    .open = rig_open_engine,
    .gang = rig_gang,
    .map = rig_map,
    .submit = rig_submit,
    .wait = rig_wait,
    .close = rig_close_engine,
};

/* Says all tasks are done and runs none. */
static int rig_submit_dry(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct rig *rig = handle;
    for (unsigned i = 0; i < n; i++)
        rig_done(rig->workers, &tasks[i], 0);
    return 0;
}

static const struct prony_engine rig_engine_dry = {
    .head = PRONY_HEAD(struct prony_engine, .name = "rig-dry", .summary = "for tests",
                       .caps = PRONY_CAP_SUBMIT | PRONY_CAP_DRY),
    .open = rig_open_engine,
    .submit = rig_submit_dry,
    .wait = rig_wait,
    .close = rig_close_engine,
};

static uint64_t rig_take(uint64_t *top, uint64_t bytes)
{
    uint64_t off = *top;
    *top += (bytes + 4095) / 4096 * 4096;
    return off;
}

static void rig_lay_out(struct rig *rig, unsigned workers)
{
    struct prony_setup *setup = &rig->setup;
    uint64_t top = 4096, scratch = rig->need.scratch > 0 ? rig->need.scratch : 65536;
    int fd = memfd_create("rig", MFD_CLOEXEC);
    setup->size = sizeof *setup;
    setup->workers = workers;
    setup->caller_pu = -1;
    setup->control_fd = -1;
    rig->kernels[1] = rig->workload->kernels;
    setup->kernels = rig->kernels;
    setup->workloads = 2;
    setup->own_stride = (sizeof(struct prony_histogram) + sizeof(struct prony_usage) + scratch + 63) / 64 * 64;
    setup->own = (struct prony_span){rig_take(&top, workers * setup->own_stride), workers * setup->own_stride};
    setup->slots = (struct prony_span){rig_take(&top, workers * sizeof(struct prony_slot)), 0};
    setup->area = (struct prony_span){rig_take(&top, 4096), 4096};
    rig->bench.data = (struct prony_span){rig_take(&top, rig->need.bytes), rig->need.bytes};
    rig->bench.futures.len = rig->need.futures * sizeof(struct prony_future);
    rig->bench.futures.off = rig_take(&top, rig->bench.futures.len);
    setup->arena_fd = fd;
    setup->arena_bytes = top;
    assert_true(fd >= 0 && ftruncate(fd, (off_t)top) == 0);
    setup->base = mmap(NULL, top, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    rig->seen = *setup;
    rig->seen.base = mmap(NULL, top, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(setup->base != MAP_FAILED && rig->seen.base != MAP_FAILED && setup->base != rig->seen.base);
}

static void rig_add_channel(struct rig *rig, const char *const *params)
{
    rig->channel = prony_find_channel("pipe", &rig->error);
    assert_non_null(rig->channel);
    assert_int_equal(prony_params_init(&rig->channel_params, rig->channel->head.options, &rig->error), 0);
    for (; params != NULL && *params != NULL; params += 2)
        assert_int_equal(prony_params_set(&rig->channel_params, params[0], params[1], &rig->error), 0);
    assert_int_equal(rig->channel->create(&rig->channel_params, rig->need.ends, &rig->channel_handle, &rig->error), 0);
    rig->ends = calloc(rig->need.ends, sizeof *rig->ends);
    assert_non_null(rig->ends);
    for (unsigned i = 0; i < rig->need.ends; i++)
        assert_int_equal(rig->channel->address(rig->channel_handle, i, &rig->ends[i]), 0);
    rig->setup.channel = rig->seen.channel = rig->channel;
    rig->setup.ends = rig->seen.ends = rig->ends;
    rig->setup.nends = rig->seen.nends = rig->need.ends;
}

/* params, channel_params: name, value, ..., NULL. Fails the test when the workload cannot be set up. */
static void rig_open(struct rig *rig, const struct prony_workload *workload, const struct prony_engine *engine,
                     unsigned workers, const char *const *params, const char *const *channel_params)
{
    memset(rig, 0, sizeof *rig);
    rig_now = rig;
    rig->workload = workload;
    assert_int_equal(prony_params_init(&rig->params, workload->head.options, &rig->error), 0);
    for (; params != NULL && *params != NULL; params += 2)
        assert_int_equal(prony_params_set(&rig->params, params[0], params[1], &rig->error), 0);
    assert_int_equal(workload->need(&rig->params, workers, &rig->need, &rig->error), 0);
    assert_true(rig->need.items >= 1);
    rig_lay_out(rig, workers);
    if (rig->need.ends > 0)
        rig_add_channel(rig, channel_params);
    rig->offsets = calloc(rig->need.futures + 1, sizeof *rig->offsets);
    for (uint64_t i = 0; i < rig->need.futures; i++)
        rig->offsets[i] = rig->bench.futures.off + i * sizeof(struct prony_future);
    rig->bench.engine = engine;
    rig->bench.setup = &rig->setup;
    rig->bench.params = &rig->params;
    rig->bench.need = &rig->need;
    rig->bench.future_offsets = rig->offsets;
    rig->bench.seed = 42;
    rig->bench.repeats = 1;
    rig->bench.timeout_ns = 60000000000;
    rig->bench.error = &rig->error;
    if (workload->prepare != NULL)
        assert_int_equal(workload->prepare(&rig->bench, &rig->error), 0);
    if (workload->shape != PRONY_LIFE)
        assert_int_equal(engine->open(&rig->setup, &rig->bench.handle, &rig->error), 0);
}

static int rig_drive_gang(struct rig *rig, struct prony_task *task)
{
    unsigned roles = rig->need.roles > 0 ? rig->need.roles : rig->setup.workers;
    int *status = calloc(roles, sizeof *status), code;
    task->lo = 0;
    task->hi = rig->need.items * rig->bench.repeats;
    code = rig->bench.engine->gang(rig->bench.handle, task, roles, status, rig->bench.timeout_ns);
    for (unsigned i = 0; i < roles && code == 0; i++)
        code = status[i];
    free(status);
    return code;
}

static int rig_drive_tasks(struct rig *rig, const struct prony_task *task)
{
    unsigned n = (unsigned)rig->need.items;
    struct prony_task *tasks = calloc(n, sizeof *tasks);
    int code = 0;
    for (unsigned i = 0; i < n; i++) {
        tasks[i] = *task;
        tasks[i].lo = i;
        tasks[i].hi = i + 1;
        tasks[i].future = rig->offsets[i];
    }
    for (int64_t i = 0; i < rig->bench.repeats && code == 0; i++) {
        code = rig->bench.engine->submit(rig->bench.handle, tasks, n);
        if (code == 0)
            code = rig->bench.engine->wait(rig->bench.handle, rig->offsets, n, n, rig->bench.timeout_ns);
    }
    free(tasks);
    return code;
}

/* The timed part of a sample: the workload's own drive, or the loop of its shape. */
static int rig_drive(struct rig *rig)
{
    struct prony_task task = {.ref = {1, 0}, .in = rig->bench.data, .out = rig->bench.data};
    int code = 0;
    if (rig->workload->drive != NULL)
        return rig->workload->drive(&rig->bench);
    if (rig->workload->task != NULL)
        rig->workload->task(&rig->bench, &task);
    if (rig->workload->shape == PRONY_GANG)
        return rig_drive_gang(rig, &task);
    if (rig->workload->shape == PRONY_TASKS)
        return rig_drive_tasks(rig, &task);
    task.hi = rig->need.items;
    for (int64_t i = 0; i < rig->bench.repeats && code == 0; i++) {
        code = rig->bench.engine->map(rig->bench.handle, &task, rig->bench.chunk, &rig->bench.tally, -1);
        code = code != 0 ? code : rig->bench.tally.status;
    }
    return code;
}

static int rig_verify(struct rig *rig)
{
    return rig->workload->verify(&rig->bench, &rig->error);
}

/* One whole sample; 0 when its answer is right. */
static int rig_sample(struct rig *rig)
{
    int code;
    if (rig->workload->poison != NULL)
        rig->workload->poison(&rig->bench);
    code = rig_drive(rig);
    rig->bench.sample++;
    return code != 0 ? code : rig_verify(rig);
}

static void rig_close(struct rig *rig)
{
    if (rig->workload->shape != PRONY_LIFE)
        assert_int_equal(rig->bench.engine->close(rig->bench.handle, 1, -1), 0);
    if (rig->workload->release != NULL)
        rig->workload->release(&rig->bench);
    if (rig->channel != NULL)
        rig->channel->destroy(rig->channel_handle);
    free(rig->ends);
    prony_params_free(&rig->channel_params);
    prony_params_free(&rig->params);
    free(rig->offsets);
    (void)munmap(rig->seen.base, rig->setup.arena_bytes);
    (void)munmap(rig->setup.base, rig->setup.arena_bytes);
    (void)close(rig->setup.arena_fd);
    rig_now = NULL;
}

#endif
