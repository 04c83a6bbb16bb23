/* The calls of a group: opening it over each engine, submitting, waiting, asking, closing. */
#include "parallel/group.h"
#include "parallel/pool.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define LOOK_NS 1000000
#define NEXT_RUN 16u     /* tasks that next gives before it looks for more, while there are some */
#define QUEUED_MOST 512u /* half of what the executor's queue holds */

/* Openings */

static int await_crew(struct prony_crew *crew, uint64_t deadline)
{
    prony_crew_wake_beside(crew);
    return prony_crew_await(crew, prony_crew_listed, crew, deadline);
}

static int submit_pool(void *owner, const struct prony_task *tasks, unsigned n)
{
    return prony_pool_submit(owner, tasks, n);
}
static int cancel_pool(void *owner, uint64_t future, int stop)
{
    return prony_pool_cancel(owner, future, stop);
}
static int await_pool(void *owner, uint64_t deadline)
{
    return await_crew(&((struct prony_pool *)owner)->crew, deadline);
}
static const struct prony_drive pool_drive = {UINT_MAX, submit_pool, cancel_pool, await_pool};

int prony_pool_group(struct prony_pool *pool, struct prony_span futures, struct prony_group **group,
                     struct prony_error *error)
{
    return prony_group_make(&pool_drive, pool, &pool->crew, futures, group, error);
}

static int submit_executor(void *owner, const struct prony_task *tasks, unsigned n)
{
    return prony_executor_submit(owner, tasks, n);
}
static int cancel_executor(void *owner, uint64_t future, int stop)
{
    return prony_executor_cancel(owner, future, stop);
}
static int await_executor(void *owner, uint64_t deadline)
{
    return await_crew(prony_executor_crew(owner), deadline);
}
static const struct prony_drive executor_drive = {QUEUED_MOST, submit_executor, cancel_executor, await_executor};

int prony_executor_group(struct prony_executor *executor, struct prony_span futures, struct prony_group **group,
                         struct prony_error *error)
{
    return prony_group_make(&executor_drive, executor, prony_executor_crew(executor), futures, group, error);
}

/* Submitting */

int prony_group_refuses(const struct prony_group *group, struct prony_error *error)
{
    char text[96];
    if (group->closed)
        return prony_fail(error, -EPIPE, "the group was shut down");
    if (group->stuck > 0 && group->stuck >= group->crew->workers)
        return prony_fail(error, -EBUSY, "all %u workers are stuck in tasks that passed their limit",
                          group->crew->workers);
    if (group->crew->broken != 0)
        return prony_fail(error, group->crew->broken, "workers cannot be replaced any more: %s",
                          prony_code_text(group->crew->broken, text, sizeof text));
    return 0;
}

int prony_group_begin(struct prony_group *group, struct prony_record *record, bool kept, struct prony_error *error)
{
    int code = prony_group_queue(group, record);
    if (code == 0 && record->terms.limit_ns > 0)
        code = prony_heap_put(&group->alarms, &(struct prony_heap_entry){prony_deadline(record->terms.limit_ns),
                                                                         group->order++, record, &record->alarm});
    if (code != 0) {
        prony_record_give_up(group, record);
        return prony_fail(error, code, "no memory for one more task");
    }
    record->kept = kept;
    group->unfinished++;
    group->promised += kept && !record->quiet;
    return 0;
}

int prony_group_submit(struct prony_group *group, const struct prony_task *task, const struct prony_terms *terms,
                       uint64_t *handle, struct prony_error *error)
{
    struct prony_record *record;
    int code = prony_group_refuses(group, error);
    if (code != 0)
        return code;
    record = prony_record_make(group, terms);
    if (record == NULL)
        return prony_fail(error, -ENOMEM, "no memory for one more task");
    record->task = *task;
    code = prony_group_begin(group, record, handle != NULL, error);
    if (code != 0)
        return code;
    if (handle != NULL)
        *handle = record->handle;
    prony_group_go_on(group);
    return 0;
}

static bool is_over(struct prony_group *group, void *context)
{
    const struct prony_record *record = prony_record_find(group, *(const uint64_t *)context);
    return record == NULL || record->over; /* a callback may have forgotten it */
}

/* As prony_group_until, but a failing callback is told by a later call. */
static int wait_in_spite(struct prony_group *group, bool (*enough)(struct prony_group *group, void *context),
                         void *context, uint64_t deadline)
{
    bool complains = false;
    int code;
    while ((code = prony_group_until(group, enough, context, prony_left(deadline))) == -EPROTO)
        complains = true;
    group->complains |= complains;
    return code;
}

int prony_group_apply(struct prony_group *group, const struct prony_task *task, uint64_t *value, int64_t timeout_ns)
{
    const uint64_t deadline = prony_deadline(timeout_ns);
    uint64_t handle = 0;
    int code;
    if (group->telling)
        return -EDEADLK;
    code = prony_group_submit(group, task, NULL, &handle, NULL);
    if (code != 0)
        return code;
    code = wait_in_spite(group, is_over, &handle, deadline);
    if (code == 0)
        code = prony_group_result(group, handle, value, 0);
    (void)prony_group_forget(group, handle);
    return code;
}

/* Waiting */

static bool any_ready(struct prony_group *group, void *context)
{
    (void)context;
    return group->ready.first != NULL || group->promised == 0;
}

int prony_group_next(struct prony_group *group, uint64_t *handle, int64_t timeout_ns)
{
    int code = 0;
    if (group->telling || group->complains || group->ready.first == NULL || group->given++ % NEXT_RUN == 0)
        code = prony_group_until(group, any_ready, NULL, timeout_ns);
    if (code != 0)
        return code;
    return prony_record_next(group, handle) ? 0 : -ENODATA;
}

static bool waited_enough(struct prony_group *group, void *context)
{
    const enum prony_until *until = context;
    return group->wait.left == 0 || (*until == PRONY_FIRST_COMPLETED && group->wait.any) ||
           (*until == PRONY_FIRST_EXCEPTION && group->wait.failed);
}

static void count_in(struct prony_group *group, struct prony_record *record)
{
    if (record->over) {
        group->wait.any = true;
        group->wait.failed |= record->outcome.status != 0 && record->outcome.status != -ECANCELED;
    } else if (record->waited != group->wait.number) { /* the same handle may be given twice */
        record->waited = group->wait.number;
        group->wait.left++;
    }
}

int prony_group_wait(struct prony_group *group, const uint64_t *handles, unsigned n, enum prony_until until,
                     int64_t timeout_ns)
{
    struct prony_record *record;
    if (group->telling)
        return -EDEADLK;
    group->wait.number = group->wait.number == UINT32_MAX ? 1 : group->wait.number + 1;
    group->wait.left = 0;
    group->wait.any = group->wait.failed = false;
    for (unsigned i = 0; handles != NULL && i < n; i++) {
        if ((record = prony_record_find(group, handles[i])) == NULL)
            return -ENOENT;
        count_in(group, record);
    }
    for (unsigned i = 0; handles == NULL && i < group->nblocks * PRONY_RECORDS; i++)
        if ((record = prony_record_at(group, i)) != NULL && !record->quiet)
            count_in(group, record);
    return prony_group_until(group, waited_enough, &until, timeout_ns);
}

int prony_group_result(struct prony_group *group, uint64_t handle, uint64_t *value, int64_t timeout_ns)
{
    const struct prony_record *record = prony_record_find(group, handle);
    int code = record == NULL ? -ENOENT : record->told ? 0 : prony_group_until(group, is_over, &handle, timeout_ns);
    if (code != 0)
        return code;
    record = prony_record_find(group, handle);
    if (record == NULL)
        return -ENOENT;
    if (value != NULL)
        *value = record->outcome.value;
    return record->outcome.status;
}

/* Asking */

int prony_group_outcome(struct prony_group *group, uint64_t handle, struct prony_future *outcome)
{
    const struct prony_record *record = prony_record_find(group, handle);
    const struct prony_future *future;
    if (record == NULL)
        return -ENOENT;
    *outcome = record->over ? record->outcome : (struct prony_future){0};
    if (record->over)
        return 0;
    outcome->state = record->batch != NULL && record->batch->pulled > 0 ? PRONY_RUNNING : PRONY_QUEUED;
    outcome->worker = PRONY_NOBODY;
    if (record->seat == PRONY_NO_SEAT)
        return 0;
    future = prony_crew_future(group->crew, group->futures.off + record->seat * sizeof *future);
    if (prony_future_phase(future) != PRONY_QUEUED) { /* DONE, but not taken in yet: it may still be stopped in time */
        outcome->state = PRONY_RUNNING;
        outcome->worker = __atomic_load_n(&future->worker, __ATOMIC_RELAXED);
    }
    return 0;
}

int prony_group_then(struct prony_group *group, uint64_t handle, prony_over_fn *done, prony_over_fn *failed,
                     void *context)
{
    struct prony_record *record = prony_record_find(group, handle);
    struct prony_then *then, **last;
    if (record == NULL)
        return -ENOENT;
    if (record->told) {
        prony_record_call(group, record, done, failed, context);
        return 0;
    }
    then = malloc(sizeof *then);
    if (then == NULL)
        return -ENOMEM;
    *then = (struct prony_then){NULL, done, failed, context};
    for (last = &record->thens; *last != NULL;)
        last = &(*last)->next;
    *last = then;
    return 0;
}

int prony_group_cancel(struct prony_group *group, uint64_t handle, int stop)
{
    struct prony_record *record = prony_record_find(group, handle);
    bool stopped;
    if (record == NULL)
        return -ENOENT;
    if (record->over)
        return record->outcome.status == -ECANCELED ? 0 : -EALREADY;
    stopped = prony_group_stop(group, record, -ECANCELED, stop != 0 ? PRONY_STOP_RUNNING : PRONY_STOP_WAITING);
    prony_group_advance(group);
    return stopped ? 0 : -EALREADY;
}

int prony_group_forget(struct prony_group *group, uint64_t handle)
{
    struct prony_record *record = prony_record_find(group, handle);
    if (record == NULL)
        return -ENOENT;
    prony_record_drop(group, record);
    return 0;
}

void prony_group_complaint(struct prony_group *group, struct prony_complaint *complaint)
{
    *complaint = group->complaint;
    group->complaint = (struct prony_complaint){0, 0, 0};
    group->complains = false;
}

unsigned prony_group_stuck(const struct prony_group *group)
{
    return group->stuck;
}

/* Ending */

static bool all_over(struct prony_group *group, void *context)
{
    (void)context;
    return group->unfinished == 0;
}

/* Neither from submits nor from the sources of iterations. */
static void take_no_more(struct prony_group *group)
{
    group->closed = true;
    for (unsigned i = 0; i < group->nblocks * PRONY_RECORDS; i++) {
        struct prony_record *record = prony_record_at(group, i);
        if (record != NULL && record->quiet && !record->over) {
            record->batch->dry = true;
            prony_batch_check(group, record);
        }
    }
}

int prony_group_shutdown(struct prony_group *group, int wait, int cancel, int64_t timeout_ns)
{
    take_no_more(group);
    if (cancel)
        prony_group_stop_all(group, -ECANCELED, PRONY_STOP_WAITING);
    if (wait)
        return prony_group_until(group, all_over, NULL, timeout_ns);
    prony_group_advance(group);
    return 0;
}

int prony_group_close(struct prony_group *group, int drain, int64_t timeout_ns)
{
    const uint64_t deadline = prony_deadline(timeout_ns);
    int code;
    if (group == NULL)
        return 0;
    if (group->telling)
        return -EDEADLK;
    take_no_more(group);
    if (!drain)
        prony_group_stop_all(group, -ECANCELED, PRONY_STOP_RUNNING);
    (void)wait_in_spite(group, all_over, NULL, deadline);
    while (group->unfinished > 0) { /* processes are killed; threads that cannot be stopped are left behind */
        prony_group_stop_all(group, -ECANCELED, PRONY_STOP_ALL);
        (void)prony_group_until(group, all_over, NULL, LOOK_NS);
    }
    code = group->stuck > 0 ? -ETIMEDOUT : group->complaint.count > 0 ? -EPROTO : 0;
    prony_group_unmake(group);
    return code;
}
