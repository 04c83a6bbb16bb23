/* Batches: where the parts of a map, a starmap or an iteration come from, and where they go when they end. */
#include "parallel/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GUIDED 4u /* as in map.c */
#define FINEST 128u
#define WINDOW 4u /* tasks a worker under way, when the caller does not say */
#define WINDOW_MOST (1u << 24)

struct prony_iteration {
    struct prony_group *group;
    struct prony_record *record;
    uint64_t deadline;
};

static int next_chunk(void *context, struct prony_task *task)
{
    struct prony_batch *batch = context;
    int64_t left = batch->task.hi - batch->at, chunk = batch->chunk;
    if (left <= 0)
        return 0;
    if (chunk == PRONY_CHUNK_GUIDED) {
        chunk = left / (int64_t)(GUIDED * batch->workers);
        chunk = chunk < batch->least ? batch->least : chunk;
    }
    *task = batch->task;
    task->lo = batch->at;
    task->hi = chunk < left ? batch->at + chunk : batch->task.hi;
    batch->at = task->hi;
    return 1;
}

static int next_of_array(void *context, struct prony_task *task)
{
    struct prony_batch *batch = context;
    if (batch->pulled >= batch->count)
        return 0;
    *task = batch->tasks[batch->pulled];
    return 1;
}

bool prony_batch_pull(struct prony_batch *batch, struct prony_task *task)
{
    int code;
    if (batch->dry || (batch->ring != NULL && batch->pulled - batch->given >= batch->window))
        return false;
    memset(task, 0, sizeof *task);
    code = batch->source.next(batch->source.context, task);
    if (code > 0)
        return true;
    batch->dry = true;
    batch->code = code;
    return false;
}

void prony_batch_part(struct prony_group *group, const struct prony_seat *seat, const struct prony_future *outcome)
{
    struct prony_batch *batch = seat->record->batch;
    struct prony_tally *tally = &batch->tally;
    const bool numbered = batch->tasks != NULL;
    const int64_t lo = numbered ? (int64_t)seat->number : seat->part.lo;
    if (batch->ring != NULL) {
        const uint64_t at = batch->order == PRONY_IN_ORDER ? seat->number : batch->put++;
        struct prony_cell *cell = &batch->ring[at % batch->window];
        cell->task = seat->part;
        cell->outcome = *outcome;
        cell->filled = true;
    } else if (outcome->status != 0 && (tally->failed++ == 0 || lo < tally->first_lo)) {
        tally->status = outcome->status;
        tally->first_lo = lo;
        tally->first_hi = numbered ? lo + 1 : seat->part.hi;
    }
    prony_batch_check(group, seat->record);
}

void prony_batch_check(struct prony_group *group, struct prony_record *record)
{
    const struct prony_batch *batch = record->batch;
    struct prony_future outcome = {.worker = PRONY_NOBODY, .value = batch->pulled};
    if (record->over || !batch->dry || batch->ended != batch->pulled)
        return;
    outcome.status = record->verdict != 0 ? record->verdict : batch->code != 0 ? batch->code : batch->tally.status;
    prony_group_finish(group, record, &outcome);
}

void prony_batch_free(struct prony_batch *batch)
{
    if (batch != NULL)
        free(batch->ring);
    free(batch);
}

/* Queues a batch under a new record; frees it when that fails. */
static int begin(struct prony_group *group, struct prony_batch *batch, const struct prony_terms *terms, bool quiet,
                 struct prony_record **record, struct prony_error *error)
{
    int code = prony_group_refuses(group, error);
    if (code == 0 && batch != NULL)
        *record = prony_record_make(group, terms);
    if (code == 0 && (batch == NULL || *record == NULL))
        code = prony_fail(error, -ENOMEM, "no memory for a batch of tasks");
    if (code != 0) {
        prony_batch_free(batch);
        return code;
    }
    (*record)->batch = batch;
    (*record)->quiet = quiet;
    return prony_group_begin(group, *record, true, error);
}

static int begin_handle(struct prony_group *group, struct prony_batch *batch, const struct prony_terms *terms,
                        uint64_t *handle, struct prony_error *error)
{
    struct prony_record *record;
    int code = begin(group, batch, terms, false, &record, error);
    if (code != 0)
        return code;
    if (handle != NULL)
        *handle = record->handle;
    else
        prony_record_drop(group, record);
    prony_group_advance(group);
    return 0;
}

int prony_group_map(struct prony_group *group, const struct prony_task *task, int64_t chunk,
                    const struct prony_terms *terms, uint64_t *handle, struct prony_error *error)
{
    const int64_t workers = group->crew->workers;
    struct prony_batch *batch;
    int64_t items;
    if (chunk < PRONY_CHUNK_GUIDED || __builtin_sub_overflow(task->hi, task->lo, &items))
        return prony_fail(error, -EINVAL, "a map takes a range and a chunk size, not [%lld, %lld) and %lld",
                          (long long)task->lo, (long long)task->hi, (long long)chunk);
    batch = calloc(1, sizeof *batch);
    if (batch != NULL) {
        batch->source = (struct prony_source){next_chunk, batch};
        batch->task = *task;
        batch->at = task->lo;
        batch->workers = (unsigned)workers;
        batch->least = items / (FINEST * workers) + 1;
        batch->chunk = chunk == PRONY_CHUNK_AUTO ? prony_chunk_auto(items, workers) : chunk;
    }
    return begin_handle(group, batch, terms, handle, error);
}

int prony_group_starmap(struct prony_group *group, const struct prony_task *tasks, unsigned n,
                        const struct prony_terms *terms, uint64_t *handle, struct prony_error *error)
{
    struct prony_batch *batch = calloc(1, sizeof *batch);
    if (batch != NULL) {
        batch->source = (struct prony_source){next_of_array, batch};
        batch->tasks = tasks;
        batch->count = n;
    }
    return begin_handle(group, batch, terms, handle, error);
}

int prony_group_tally(struct prony_group *group, uint64_t handle, struct prony_tally *tally)
{
    const struct prony_record *record = prony_record_find(group, handle);
    if (record == NULL || record->batch == NULL)
        return -ENOENT;
    if (!record->over)
        return -EAGAIN;
    *tally = record->batch->tally;
    return 0;
}

int prony_iterate_open(struct prony_group *group, const struct prony_source *source, unsigned window,
                       enum prony_order order, int64_t limit_ns, struct prony_iteration **handle)
{
    struct prony_iteration *iteration = calloc(1, sizeof *iteration);
    struct prony_batch *batch = calloc(1, sizeof *batch);
    int code;
    window = window == 0 ? WINDOW * group->crew->workers : window < WINDOW_MOST ? window : WINDOW_MOST;
    if (batch != NULL) {
        batch->source = *source;
        batch->order = order;
        batch->window = window;
        batch->ring = calloc(window, sizeof *batch->ring);
    }
    if (iteration == NULL || batch == NULL || batch->ring == NULL) {
        prony_batch_free(batch);
        free(iteration);
        return -ENOMEM;
    }
    code = begin(group, batch, NULL, true, &iteration->record, NULL);
    if (code != 0) {
        free(iteration);
        return code;
    }
    iteration->group = group;
    iteration->deadline = prony_deadline(limit_ns);
    *handle = iteration;
    prony_group_advance(group);
    return 0;
}

static struct prony_cell *next_cell(const struct prony_iteration *iteration)
{
    const struct prony_batch *batch = iteration->record->batch;
    return &batch->ring[batch->given % batch->window];
}

static bool has_next(struct prony_group *group, void *context)
{
    const struct prony_iteration *iteration = context;
    (void)group;
    return next_cell(iteration)->filled || iteration->record->over;
}

int prony_iterate_next(struct prony_iteration *iteration, struct prony_task *task, struct prony_future *outcome,
                       int64_t timeout_ns)
{
    struct prony_batch *batch = iteration->record->batch;
    struct prony_cell *cell = next_cell(iteration);
    const int64_t left = prony_left(iteration->deadline);
    int code;
    if (left >= 0)
        timeout_ns = timeout_ns < 0 || left < timeout_ns ? left : timeout_ns;
    code = prony_group_until(iteration->group, has_next, iteration, timeout_ns);
    if (code != 0)
        return code;
    if (!cell->filled) {
        code = batch->code != 0 ? batch->code : -ENODATA;
        batch->code = 0;
        return code;
    }
    if (task != NULL)
        *task = cell->task;
    if (outcome != NULL)
        *outcome = cell->outcome;
    cell->filled = false;
    batch->given++;
    if (!batch->dry && iteration->record->list == NULL)
        (void)prony_group_queue(iteration->group, iteration->record); /* of no priority: cannot fail */
    prony_group_advance(iteration->group);
    return 0;
}

void prony_iterate_close(struct prony_iteration *iteration)
{
    if (iteration == NULL)
        return;
    (void)prony_group_stop(iteration->group, iteration->record, -ECANCELED, PRONY_STOP_WAITING);
    prony_record_drop(iteration->group, iteration->record);
    prony_group_advance(iteration->group);
    free(iteration);
}
