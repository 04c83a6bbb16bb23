#include "measure/drive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 };

static const struct prony_workload *driven;

void prony_drive_use(const struct prony_workload *workload)
{
    driven = workload;
}

static void first_task(const struct prony_bench *bench, struct prony_task *task)
{
    memset(task, 0, sizeof *task);
    task->ref.workload = 1;
    task->in = task->out = bench->data;
    if (driven->task != NULL)
        driven->task(bench, task);
}

static int drive_map(struct prony_bench *bench)
{
    struct prony_task task;
    int code = 0;
    first_task(bench, &task);
    task.lo = 0;
    task.hi = bench->need->items;
    for (int64_t i = 0; i < bench->repeats && code == 0 && bench->tally.status == 0; i++)
        code = bench->engine->map(bench->handle, &task, bench->chunk, &bench->tally, bench->timeout_ns);
    return code;
}

static int drive_tasks(struct prony_bench *bench)
{
    struct prony_task tasks[BATCH];
    uint64_t n = bench->need->futures;
    int code = 0;
    first_task(bench, &tasks[0]);
    for (unsigned i = 1; i < BATCH && i < n; i++)
        tasks[i] = tasks[0];
    for (int64_t r = 0; r < bench->repeats && code == 0; r++) {
        for (uint64_t i = 0; i < n && code == 0;) {
            unsigned count = n - i < BATCH ? (unsigned)(n - i) : BATCH;
            for (unsigned j = 0; j < count; j++, i++) {
                tasks[j].lo = (int64_t)i;
                tasks[j].hi = (int64_t)i + 1;
                tasks[j].future = bench->future_offsets[i];
            }
            code = bench->engine->submit(bench->handle, tasks, count);
        }
        if (code == 0)
            code =
                bench->engine->wait(bench->handle, bench->future_offsets, (unsigned)n, (unsigned)n, bench->timeout_ns);
    }
    return code;
}

/* The time of a gang is taken by its roles: from the first that began to the last that ended, so that waking the workers
 * is no part of it. */
static void gang_time(struct prony_bench *bench, unsigned roles)
{
    const struct prony_slot *slots =
        (const struct prony_slot *)(const void *)(bench->setup->base + bench->setup->slots.off);
    uint64_t first = UINT64_MAX, last = 0;
    for (unsigned i = 0; i < roles; i++) {
        if (slots[i].begun_ns == 0 || slots[i].ended_ns == 0)
            return;
        first = slots[i].begun_ns < first ? slots[i].begun_ns : first;
        last = slots[i].ended_ns > last ? slots[i].ended_ns : last;
    }
    bench->ns[0] = last - first;
}

/* The role that tells most of why: one that died, else the first that failed and was not only sent away. `roles`: none. */
static unsigned who_failed(const int *status, unsigned roles)
{
    unsigned found = roles;
    for (unsigned i = 0; i < roles; i++) {
        if (status[i] <= -PRONY_DIED)
            return i;
        if (status[i] != 0 && (found == roles || (status[found] == -ECANCELED && status[i] != -ECANCELED)))
            found = i;
    }
    return found;
}

static int drive_gang(struct prony_bench *bench)
{
    unsigned roles = bench->need->roles == 0 ? bench->setup->workers : bench->need->roles;
    struct prony_slot *slots = (struct prony_slot *)(void *)(bench->setup->base + bench->setup->slots.off);
    struct prony_task task;
    int *status = calloc(roles, sizeof *status);
    unsigned failed;
    int code;
    if (status == NULL)
        return -ENOMEM;
    first_task(bench, &task);
    task.lo = 0;
    task.hi = bench->need->items * bench->repeats;
    for (unsigned i = 0; i < roles; i++)
        slots[i].begun_ns = slots[i].ended_ns = 0;
    code = bench->engine->gang(bench->handle, &task, roles, status, bench->timeout_ns);
    failed = who_failed(status, roles);
    if (code == 0 && failed < roles) {
        char text[96];
        code = prony_fail(bench->error, status[failed], "role %u: %s", failed,
                          prony_code_text(status[failed], text, sizeof text));
    }
    if (code == 0)
        gang_time(bench, roles);
    free(status);
    return code;
}

prony_drive_fn *prony_drive_of(const struct prony_workload *workload)
{
    static prony_drive_fn *const loops[] = {
        [PRONY_MAP] = drive_map, [PRONY_TASKS] = drive_tasks, [PRONY_GANG] = drive_gang, [PRONY_LIFE] = NULL};
    return workload->drive != NULL ? workload->drive : loops[workload->shape];
}

int prony_drive_check_futures(const struct prony_bench *bench, struct prony_error *error)
{
    const struct prony_future *future =
        (const struct prony_future *)(const void *)(bench->setup->base + bench->futures.off);
    char text[96];
    for (uint64_t i = 0; i < bench->need->futures; i++) {
        if (prony_future_phase(&future[i]) != PRONY_DONE)
            return prony_fail(error, -EBADMSG, "task %llu never ended, though the engine said so",
                              (unsigned long long)i);
        if (future[i].status != 0)
            return prony_fail(error, future[i].status, "task %llu failed: %s", (unsigned long long)i,
                              prony_code_text(future[i].status, text, sizeof text));
    }
    return 0;
}
