/* The course of a task in a group: it waits for its turn, has a future while it is in flight, ends, and is told.
 *
 * Whatever happens to a task, it ends in one place, prony_group_finish, and its callbacks run in one place, tell(). */
#include "parallel/group.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD 128u      /* tasks a worker in flight: half of what a worker's inbox holds, so that none fills */
#define AHEAD_RANKED 2u /* the same where priorities matter: one runs, one is next */
#define RUN 32u         /* tasks handed over at once */
#define BROKEN_NAP_NS 1000000

int prony_group_make(const struct prony_drive *drive, void *owner, struct prony_crew *crew, struct prony_span futures,
                     struct prony_group **handle, struct prony_error *error)
{
    const uint64_t n = futures.len / sizeof(struct prony_future);
    struct prony_group *group;
    if (crew->grouped)
        return prony_fail(error, -EBUSY, "there is a group already: one at a time");
    if (n == 0 || n >= PRONY_NO_SEAT || futures.off % sizeof(struct prony_future) != 0)
        return prony_fail(error, -EINVAL, "a group needs at least one future, at a multiple of 64");
    group = calloc(1, sizeof *group);
    if (group != NULL) {
        group->seats = calloc(n, sizeof *group->seats);
        group->empty = calloc(n, sizeof *group->empty);
    }
    if (group == NULL || group->seats == NULL || group->empty == NULL) {
        if (group != NULL)
            prony_group_unmake(group);
        return prony_fail(error, -ENOMEM, "no memory for a group of %llu futures", (unsigned long long)n);
    }
    group->drive = drive;
    group->owner = owner;
    group->crew = crew;
    group->futures = futures;
    group->nseats = group->nempty = (unsigned)n;
    for (unsigned i = 0; i < n; i++)
        group->empty[i] = (unsigned)n - 1 - i;
    crew->grouped = true;
    *handle = group;
    return 0;
}

static void free_thens(struct prony_record *record)
{
    while (record->thens != NULL) {
        struct prony_then *then = record->thens;
        record->thens = then->next;
        free(then);
    }
}

void prony_group_unmake(struct prony_group *group)
{
    for (unsigned i = 0; i < group->nblocks; i++) {
        for (unsigned k = 0; k < PRONY_RECORDS; k++) {
            free_thens(&group->blocks[i][k]);
            prony_batch_free(group->blocks[i][k].batch);
        }
        free(group->blocks[i]);
    }
    if (group->crew != NULL)
        group->crew->grouped = false;
    prony_heap_free(&group->ranked);
    prony_heap_free(&group->alarms);
    free(group->blocks);
    free(group->seats);
    free(group->empty);
    free(group);
}

/* Lists: a record is in one at most. */

static void append(struct prony_list *list, struct prony_record *record)
{
    record->list = list;
    record->before = list->last;
    record->after = NULL;
    *(list->last != NULL ? &list->last->after : &list->first) = record;
    list->last = record;
}

static void unlist(struct prony_record *record)
{
    struct prony_list *list = record->list;
    if (list == NULL)
        return;
    *(record->before != NULL ? &record->before->after : &list->first) = record->after;
    *(record->after != NULL ? &record->after->before : &list->last) = record->before;
    record->list = NULL;
}

/* Records: blocks of them, so that they stay where they are. */

static bool more_records(struct prony_group *group)
{
    struct prony_record **blocks = realloc(group->blocks, (group->nblocks + 1) * sizeof(struct prony_record *)), *block;
    if (blocks == NULL)
        return false;
    group->blocks = blocks;
    block = calloc(PRONY_RECORDS, sizeof *block);
    if (block == NULL)
        return false;
    for (unsigned i = PRONY_RECORDS; i-- > 0;) {
        block[i].handle = group->nblocks * PRONY_RECORDS + i + 1;
        block[i].after = group->spare;
        group->spare = &block[i];
    }
    group->blocks[group->nblocks++] = block;
    return true;
}

struct prony_record *prony_record_make(struct prony_group *group, const struct prony_terms *terms)
{
    struct prony_record *record;
    uint64_t handle;
    if (group->spare == NULL && !more_records(group))
        return NULL;
    record = group->spare;
    group->spare = record->after;
    handle = record->handle + (UINT64_C(1) << 32); /* the upper half counts uses: an old handle is not a new one */
    memset(record, 0, sizeof *record);
    record->handle = handle;
    record->used = true;
    record->seat = PRONY_NO_SEAT;
    if (terms != NULL)
        record->terms = *terms;
    return record;
}

static void release(struct prony_group *group, struct prony_record *record)
{
    unlist(record);
    free_thens(record);
    prony_batch_free(record->batch);
    record->batch = NULL;
    record->used = false;
    record->after = group->spare;
    group->spare = record;
}

struct prony_record *prony_record_at(struct prony_group *group, unsigned i)
{
    struct prony_record *record = &group->blocks[i / PRONY_RECORDS][i % PRONY_RECORDS];
    return record->used ? record : NULL;
}

struct prony_record *prony_record_find(struct prony_group *group, uint64_t handle)
{
    const uint32_t number = (uint32_t)handle;
    struct prony_record *record;
    if (number == 0 || number > group->nblocks * PRONY_RECORDS)
        return NULL;
    record = prony_record_at(group, number - 1);
    return record != NULL && record->kept && record->handle == handle ? record : NULL;
}

void prony_record_drop(struct prony_group *group, struct prony_record *record)
{
    if (!record->over && record->kept && !record->quiet)
        group->promised--;
    record->kept = false;
    if (record->told)
        release(group, record);
}

bool prony_record_next(struct prony_group *group, uint64_t *handle)
{
    struct prony_record *record = group->ready.first;
    if (record == NULL)
        return false;
    unlist(record);
    *handle = record->handle;
    return true;
}

/* The way to the engine */

int prony_group_queue(struct prony_group *group, struct prony_record *record)
{
    const int priority = record->terms.priority;
    if (priority == 0) {
        append(&group->turns, record);
        return 0;
    }
    group->ranks = true;
    return prony_heap_put(&group->ranked, &(struct prony_heap_entry){(uint64_t)((int64_t)INT32_MAX - priority),
                                                                     group->order++, record, &record->rank});
}

static void unqueue(struct prony_group *group, struct prony_record *record)
{
    if (record->list == &group->turns)
        unlist(record);
    if (record->rank != 0)
        prony_heap_take(&group->ranked, record->rank);
}

static struct prony_record *first_waiting(const struct prony_group *group)
{
    struct prony_record *ranked = group->ranked.n > 0 ? group->ranked.entries[0].owner : NULL;
    return ranked != NULL && (ranked->terms.priority > 0 || group->turns.first == NULL) ? ranked : group->turns.first;
}

/* Gives the next task a future; false: there is no task. */
static bool next_task(struct prony_group *group, struct prony_task *task)
{
    struct prony_record *record;
    struct prony_seat *seat;
    unsigned at;
    while ((record = first_waiting(group)) != NULL) {
        if (record->batch == NULL) {
            *task = record->task;
            unqueue(group, record);
            break;
        }
        if (prony_batch_pull(record->batch, task))
            break;
        unqueue(group, record);
        prony_batch_check(group, record);
    }
    if (record == NULL)
        return false;
    at = group->empty[--group->nempty];
    seat = &group->seats[at];
    seat->record = record;
    seat->verdict = 0;
    if (record->batch != NULL) {
        seat->number = record->batch->pulled++;
        seat->part = *task;
    } else {
        record->seat = at;
    }
    task->future = group->futures.off + at * sizeof(struct prony_future);
    group->flying++;
    return true;
}

void prony_record_give_up(struct prony_group *group, struct prony_record *record)
{
    unqueue(group, record);
    release(group, record);
}

/* How many more may be in flight. */
static unsigned room(const struct prony_group *group)
{
    const unsigned live = group->crew->workers > group->stuck ? group->crew->workers - group->stuck : 0;
    const unsigned ahead = live * (group->ranks ? AHEAD_RANKED : AHEAD);
    const unsigned most = ahead < group->drive->most ? ahead : group->drive->most;
    const unsigned left = most > group->flying ? most - group->flying : 0;
    return left < group->nempty ? left : group->nempty;
}

static void hand_over(struct prony_group *group)
{
    struct prony_task tasks[RUN];
    unsigned n;
    do {
        for (n = 0; n < RUN && room(group) > 0 && next_task(group, &tasks[n]);)
            n++;
        if (n == 0)
            return;
        group->crew->listing = PRONY_LISTED;
        (void)group->drive->submit(group->owner, tasks, n); /* if it is refused, each future says so */
        group->crew->listing = 0;
    } while (n == RUN);
}

/* The way back */

void prony_group_finish(struct prony_group *group, struct prony_record *record, const struct prony_future *outcome)
{
    const int status = outcome->status;
    unqueue(group, record);
    if (record->alarm != 0)
        prony_heap_take(&group->alarms, record->alarm);
    record->outcome = *outcome;
    record->outcome.state = PRONY_DONE;
    record->seat = PRONY_NO_SEAT;
    record->over = true;
    group->unfinished--;
    group->promised -= record->kept && !record->quiet;
    if (record->waited != 0 && record->waited == group->wait.number) {
        group->wait.left--;
        group->wait.any = true;
        group->wait.failed |= status != 0 && status != -ECANCELED;
    }
    append(&group->ended, record);
}

static void settle(struct prony_group *group, struct prony_seat *seat, const struct prony_future *outcome)
{
    struct prony_record *record = seat->record;
    seat->record = NULL;
    group->flying--;
    if (record->batch != NULL) {
        record->batch->ended++;
        seat->record = record;
        prony_batch_part(group, seat, outcome);
        seat->record = NULL;
    } else {
        prony_group_finish(group, record, outcome);
    }
}

/* All but the state, which a worker that came too late may still be looking at. */
static struct prony_future outcome_of(const struct prony_future *future)
{
    return (struct prony_future){
        .status = future->status,
        .worker = future->worker,
        .generation = future->generation,
        .value = future->value,
        .queued_ns = future->queued_ns,
        .begun_ns = future->begun_ns,
        .ended_ns = future->ended_ns,
        .done_ns = future->done_ns,
    };
}

static void collect(struct prony_group *group)
{
    uint64_t at = prony_crew_listed(group->crew, false) ? prony_crew_collect(group->crew) : 0;
    while (at != 0) {
        const struct prony_future *future = prony_crew_future(group->crew, at);
        const uint64_t next = __atomic_load_n(&future->outer, __ATOMIC_RELAXED);
        const uint64_t i = (at - group->futures.off) / sizeof *future;
        at = next;
        if (i < group->nseats && (group->seats[i].record != NULL || group->seats[i].behind)) {
            struct prony_seat *seat = &group->seats[i];
            struct prony_future outcome = outcome_of(future);
            if (outcome.status == -ECANCELED && seat->verdict != 0)
                outcome.status = seat->verdict;
            group->empty[group->nempty++] = (unsigned)i;
            if (seat->behind)
                group->stuck--;
            else
                settle(group, seat, &outcome);
            seat->behind = false;
        }
    }
}

/* Stopping */

static bool stop_seat(struct prony_group *group, unsigned i, int code, enum prony_stop how)
{
    struct prony_seat *seat = &group->seats[i];
    const uint64_t off = group->futures.off + i * sizeof(struct prony_future);
    struct prony_future *future = prony_crew_future(group->crew, off);
    struct prony_future outcome = {.status = code};
    if (group->drive->cancel(group->owner, off, how != PRONY_STOP_WAITING) == 0) {
        seat->verdict = code;
        return true;
    }
    if (how != PRONY_STOP_ALL || prony_future_phase(future) != PRONY_RUNNING)
        return false;
    outcome.worker = __atomic_load_n(&future->worker, __ATOMIC_RELAXED);
    seat->behind = true;
    group->stuck++;
    settle(group, seat, &outcome);
    return true;
}

/* Stops the parts of a batch that are in flight: what has not begun first, so that no worker goes on to it. */
static bool stop_parts(struct prony_group *group, const struct prony_record *record, int code, enum prony_stop how)
{
    bool all = true;
    if (how != PRONY_STOP_WAITING)
        (void)stop_parts(group, record, code, PRONY_STOP_WAITING);
    for (unsigned i = 0; i < group->nseats; i++)
        if (group->seats[i].record == record && group->seats[i].verdict == 0)
            all &= stop_seat(group, i, code, how);
    return all;
}

bool prony_group_stop(struct prony_group *group, struct prony_record *record, int code, enum prony_stop how)
{
    struct prony_batch *batch = record->batch;
    bool all;
    if (record->over)
        return false;
    if (batch == NULL && record->seat != PRONY_NO_SEAT)
        return stop_seat(group, record->seat, code, how);
    unqueue(group, record);
    if (batch == NULL) {
        prony_group_finish(group, record, &(struct prony_future){.status = code, .worker = PRONY_NOBODY});
        return true;
    }
    if (!batch->dry && record->verdict == 0)
        record->verdict = code;
    batch->dry = true;
    batch->pulled++; /* not over before all of it is stopped */
    all = stop_parts(group, record, code, how);
    batch->pulled--;
    prony_batch_check(group, record);
    return all;
}

void prony_group_stop_all(struct prony_group *group, int code, enum prony_stop how)
{
    if (how != PRONY_STOP_WAITING) /* first, so that no worker goes on to them */
        prony_group_stop_all(group, code, PRONY_STOP_WAITING);
    for (unsigned i = 0; i < group->nblocks * PRONY_RECORDS; i++) {
        struct prony_record *record = prony_record_at(group, i);
        if (record != NULL && !record->over)
            (void)prony_group_stop(group, record, code, how);
    }
}

static bool expire(struct prony_group *group)
{
    bool any = false;
    while (group->alarms.n > 0 && group->alarms.entries[0].key <= prony_now_ns()) {
        struct prony_record *record = group->alarms.entries[0].owner;
        prony_heap_take(&group->alarms, record->alarm);
        (void)prony_group_stop(group, record, -ETIMEDOUT, PRONY_STOP_ALL);
        any = true;
    }
    return any;
}

/* Telling */

void prony_record_call(struct prony_group *group, const struct prony_record *record, prony_over_fn *done,
                       prony_over_fn *failed, void *context)
{
    prony_over_fn *fn = record->outcome.status == 0 ? done : failed;
    const struct prony_future outcome = record->outcome;
    const uint64_t handle = record->handle;
    int code = fn != NULL ? fn(context, handle, &outcome) : 0;
    if (code >= 0)
        return;
    group->complains = true;
    if (group->complaint.count++ == 0) {
        group->complaint.handle = handle;
        group->complaint.code = code;
    }
}

/* Runs callbacks, none inside another one. */
static void tell(struct prony_group *group)
{
    struct prony_record *record;
    if (group->telling)
        return;
    group->telling = true;
    while ((record = group->ended.first) != NULL) {
        unlist(record);
        prony_record_call(group, record, record->terms.done, record->terms.failed, record->terms.context);
        while (record->thens != NULL) {
            struct prony_then *then = record->thens;
            prony_record_call(group, record, then->done, then->failed, then->context);
            record->thens = then->next;
            free(then);
        }
        record->told = true;
        if (!record->kept)
            release(group, record);
        else if (!record->quiet)
            append(&group->ready, record);
    }
    group->telling = false;
}

void prony_group_advance(struct prony_group *group)
{
    collect(group);
    if (group->alarms.n > 0 && expire(group))
        collect(group);
    hand_over(group);
    tell(group);
}

void prony_group_go_on(struct prony_group *group)
{
    if (room(group) > 0 && group->alarms.n == 0)
        hand_over(group);
    else
        prony_group_advance(group);
}

/* Waiting */

static void rest(struct prony_group *group, uint64_t deadline)
{
    const struct timespec nap = {0, BROKEN_NAP_NS};
    const uint64_t alarm = group->alarms.n > 0 ? group->alarms.entries[0].key : UINT64_MAX;
    int code = group->drive->await(group->owner, alarm < deadline ? alarm : deadline);
    if (code == 0 || code == -ETIMEDOUT)
        return;
    if (group->broken == 0) { /* what runs may end; nothing else ever begins */
        group->broken = code;
        prony_group_stop_all(group, code, PRONY_STOP_WAITING);
    } else {
        (void)nanosleep(&nap, NULL);
    }
}

/* Can nothing end any more? While a task has a limit, that will end it. */
static bool is_stuck(const struct prony_group *group)
{
    return group->stuck > 0 && group->alarms.n == 0 &&
           (group->stuck >= group->crew->workers || (group->flying == 0 && group->nempty == 0));
}

int prony_group_until(struct prony_group *group, bool (*enough)(struct prony_group *group, void *context),
                      void *context, int64_t timeout_ns)
{
    const uint64_t deadline = prony_deadline(timeout_ns);
    bool late = false;
    if (group->telling)
        return -EDEADLK;
    for (;;) {
        prony_group_advance(group);
        if (group->complains) {
            group->complains = false;
            return -EPROTO;
        }
        if (enough(group, context))
            return 0;
        if (is_stuck(group))
            return -EBUSY;
        if (late)
            return -ETIMEDOUT;
        rest(group, deadline);
        late = deadline != UINT64_MAX && prony_now_ns() >= deadline;
    }
}
