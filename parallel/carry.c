/* The carried pool: handing out tasks and chunks, what comes of them, rest and death. carry.h says what it is. */
#include "parallel/carry.h"
#include "base/clock.h"
#include "base/params.h"
#include "parallel/carry_lane.h"
#include "parallel/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUIDED 4u /* as in map.c */
#define FINEST 128u
#define ITEMS_MOST (INT64_C(1) << 46)
#define GRACE_NS 100000000

int prony_carry_fits(const struct prony_channel *channel, const struct prony_params *params, struct prony_error *reason)
{
    const uint64_t caps = channel->head.caps;
    struct prony_error how = {0, ""};
    int64_t most;
    if ((caps & PRONY_CHANNEL_PROCESSES) == 0)
        return prony_fail(reason, -ENOTSUP, "channel %s does not reach between processes", channel->head.name);
    if ((caps & PRONY_CHANNEL_PYTHON) != 0)
        return prony_fail(reason, -ENOTSUP, "channel %s is an object of CPython, which prony's pools cannot use",
                          channel->head.name);
    if ((caps & PRONY_CHANNEL_LOSSY) != 0)
        return prony_fail(reason, -ENOTSUP, "channel %s may lose messages: a lost task would never end",
                          channel->head.name);
    if ((caps & PRONY_CHANNEL_COALESCES) != 0)
        return prony_fail(reason, -ENOTSUP, "channel %s may show several messages as one: tasks would be lost",
                          channel->head.name);
    if (prony_option_find(channel->head.options, "slots") != NULL &&
        prony_param_int(params, "slots") * prony_param_int(params, "slot") < (int64_t)PRONY_CARRY_MESSAGE)
        return prony_fail(reason, -ENOTSUP,
                          "the slots of channel %s do not hold a task of %u bytes: raise slot or slots",
                          channel->head.name, PRONY_CARRY_MESSAGE);
    most = channel->limit != NULL ? channel->limit(params, &how) : (int64_t)channel->largest;
    if (most > 0 && most < (int64_t)PRONY_CARRY_MESSAGE)
        return prony_fail(reason, -ENOTSUP, "channel %s carries messages of at most %lld bytes, a task needs %u%s%s",
                          channel->head.name, (long long)most, PRONY_CARRY_MESSAGE, how.code != 0 ? ": " : "",
                          how.text);
    return 0;
}

/* What waits to be handed out */

static void queue_last(struct prony_carry *carry, const struct prony_task *task)
{
    carry->queue[(carry->head + carry->count++) % carry->room] = *task;
}

static void queue_first(struct prony_carry *carry, const struct prony_task *task)
{
    carry->head = (carry->head + carry->room - 1) % carry->room;
    carry->queue[carry->head] = *task;
    carry->count++;
}

static int64_t chunk_at(const struct prony_carry_map *map, unsigned workers)
{
    int64_t left = map->items - map->at, chunk = map->chunk;
    if (chunk == 0) {
        chunk = left / (int64_t)(GUIDED * workers);
        chunk = chunk < map->least ? map->least : chunk;
    }
    return chunk < left ? chunk : left;
}

static bool is_queued(const struct prony_carry *carry, const struct prony_task *task)
{
    const uint32_t state = __atomic_load_n(&prony_crew_future(&carry->crew, task->future)->state, __ATOMIC_ACQUIRE);
    return (state & ~PRONY_MARKS) == ((task->ticket & PRONY_TICKETS) << 2 | PRONY_QUEUED);
}

/* The next task or chunk; what was cancelled meanwhile is passed over. */
static bool next_task(struct prony_carry *carry, struct prony_task *task)
{
    struct prony_carry_map *map = &carry->map;
    while (carry->count > 0) {
        *task = carry->queue[carry->head];
        carry->head = (carry->head + 1) % carry->room;
        carry->count--;
        if (task->future == 0 || is_queued(carry, task))
            return true;
    }
    if (map->at >= map->items)
        return false;
    *task = map->task;
    task->future = 0;
    task->lo = map->task.lo + map->at;
    map->at += chunk_at(map, carry->crew.workers);
    task->hi = map->task.lo + map->at;
    map->pending++;
    return true;
}

static bool has_work(const struct prony_carry *carry)
{
    return carry->count > 0 || carry->map.at < carry->map.items;
}

/* Gives every idle worker a task. */
static void hand_out(struct prony_carry *carry)
{
    for (unsigned i = 0; i < carry->crew.workers && has_work(carry); i++) {
        struct prony_lane *lane = &carry->lanes[i];
        struct prony_task task;
        if (lane->busy || carry->crew.mates[i].life != PRONY_ALIVE || !next_task(carry, &task))
            continue;
        if (prony_lane_send(carry, i, PRONY_CARRY_RUN, &task)) {
            lane->task = task;
            lane->busy = true;
        } else {
            queue_first(carry, &task);
        }
    }
}

static void chunk_failed(struct prony_tally *tally, const struct prony_task *task, int status)
{
    if (tally->failed++ == 0 || task->lo < tally->first_lo) {
        tally->status = status;
        tally->first_lo = task->lo;
        tally->first_hi = task->hi;
    }
}

void prony_carry_resolve(struct prony_carry *carry, unsigned index, const struct prony_carry_reply *reply)
{
    struct prony_lane *lane = &carry->lanes[index];
    const struct prony_task *task = &lane->task;
    if (!lane->busy)
        return;
    lane->busy = false;
    __atomic_store_n(&prony_crew_slot(&carry->crew, index)->lo, -1, __ATOMIC_RELAXED); /* until the next */
    if (task->future != 0) {
        if (reply->ran == 0)
            return;
        if (carry->crew.policy.times != 0 && prony_crew_future(&carry->crew, task->future)->queued_ns != 0)
            prony_crew_future(&carry->crew, task->future)->done_ns = prony_now_ns();
        (void)prony_future_end(&carry->crew, task->future, task->ticket & PRONY_TICKETS, PRONY_RUNNING, reply->status);
        return;
    }
    carry->map.pending--;
    if (reply->status != 0)
        chunk_failed(&carry->map.tally, task, reply->status);
}

/* Death: what it ran has failed, what had not reached it goes to another. The pair of ends is made anew. */

static void lose_task(struct prony_carry *carry, unsigned index, int code)
{
    struct prony_lane *lane = &carry->lanes[index];
    const struct prony_task *task = &lane->task;
    const struct prony_carry_reply died = {code, 1};
    bool begun;
    prony_lane_drain(carry, index);
    if (!lane->busy)
        return;
    begun = task->future != 0 ? !is_queued(carry, task) : prony_crew_slot(&carry->crew, index)->lo == task->lo;
    if (begun || carry->crew.draining) {
        prony_carry_resolve(carry, index, &died);
    } else {
        lane->busy = false;
        queue_first(carry, task);
    }
}

static bool lost(struct prony_crew *crew, unsigned index, int code)
{
    struct prony_carry *carry = crew->owner;
    struct prony_error error = {0, ""};
    lose_task(carry, index, code);
    prony_crew_slot(crew, index)->lo = -1;
    prony_lane_unmake(carry, index);
    __atomic_store_n(&crew->desks[index].inside, carry->parked ? PRONY_RESTS : PRONY_MAY_LISTEN, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&crew->hall->closing, __ATOMIC_RELAXED) == 0) {
        code = prony_lane_make(carry, index, &error);
        if (code != 0)
            crew->broken = code;
    }
    return true;
}

static const struct prony_trade trade = {
    .ops = {NULL, NULL, prony_crew_barrier, prony_crew_stopped},
    .serve = prony_carry_serve,
    .peek = prony_carry_peek,
    .arrive = prony_carry_arrive,
    .lost = lost,
};

/* Hands out and takes in until done(context) holds: 0, -ETIMEDOUT, or why the crew is broken. */
static int await(struct prony_carry *carry, bool (*done)(void *context), void *context, uint64_t deadline)
{
    for (;;) {
        hand_out(carry);
        if (done(context))
            return 0;
        if (prony_lanes_collect(carry, deadline) > 0)
            continue;
        prony_crew_reap(&carry->crew);
        if (carry->crew.broken != 0)
            return done(context) ? 0 : carry->crew.broken;
        if (deadline != UINT64_MAX && prony_now_ns() >= deadline)
            return done(context) ? 0 : -ETIMEDOUT;
    }
}

static bool nobody_busy(void *context)
{
    const struct prony_carry *carry = context;
    for (unsigned i = 0; i < carry->crew.workers; i++)
        if (carry->lanes[i].busy)
            return false;
    return true;
}

/* Workers leave their channels and sleep at their desks, where gangs find them. */
static int rest(struct prony_carry *carry, uint64_t deadline)
{
    int code = 0;
    if (carry->parked)
        return 0;
    while (code == 0 && !nobody_busy(carry)) {
        if (prony_lanes_collect(carry, deadline) == 0)
            prony_crew_reap(&carry->crew);
        if (carry->crew.broken != 0)
            code = carry->crew.broken;
        else if (deadline != UINT64_MAX && prony_now_ns() >= deadline && !nobody_busy(carry))
            code = -ETIMEDOUT;
    }
    if (code != 0)
        return code;
    carry->parked = true;
    __atomic_store_n(&carry->crew.hall->parked, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < carry->crew.workers; i++) {
        uint32_t inside = PRONY_MAY_LISTEN;
        if (!__atomic_compare_exchange_n(&carry->crew.desks[i].inside, &inside, PRONY_RESTS, 0, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST) &&
            inside == PRONY_LISTENS)
            (void)prony_lane_send(carry, i, PRONY_CARRY_REST, NULL);
    }
    return prony_crew_await(&carry->crew, prony_crew_all_rest, &carry->crew, deadline);
}

static void listen_all(struct prony_carry *carry)
{
    if (!carry->parked)
        return;
    carry->parked = false;
    __atomic_store_n(&carry->crew.hall->parked, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < carry->crew.workers; i++) {
        __atomic_store_n(&carry->crew.desks[i].inside, PRONY_MAY_LISTEN, __ATOMIC_SEQ_CST);
        (void)prony_crew_wake(&carry->crew, i);
    }
}

int prony_carry_park(struct prony_carry *carry, int parked)
{
    if (parked != 0)
        return rest(carry, UINT64_MAX);
    listen_all(carry);
    return 0;
}

int prony_carry_gang(struct prony_carry *carry, const struct prony_task *task, unsigned roles, int *status,
                     int64_t timeout_ns)
{
    const bool parked = carry->parked;
    int code = rest(carry, prony_deadline(timeout_ns));
    if (code == 0)
        code = prony_crew_gang(&carry->crew, task, roles, status, timeout_ns);
    if (!parked)
        listen_all(carry);
    return code;
}

/* Maps */

static bool map_over(void *context)
{
    const struct prony_carry *carry = context;
    return carry->map.at >= carry->map.items && carry->map.pending == 0;
}

/* After a timeout: hands out no more, waits a little, then kills who is still at it. */
static void give_up(struct prony_carry *carry)
{
    unsigned kept = 0;
    carry->map.at = carry->map.items;
    for (unsigned i = 0; i < carry->count; i++) {
        const struct prony_task *task = &carry->queue[(carry->head + i) % carry->room];
        if (task->future != 0)
            carry->queue[(carry->head + kept++) % carry->room] = *task;
        else
            carry->map.pending--;
    }
    carry->count = kept;
    if (await(carry, map_over, carry, prony_deadline(GRACE_NS)) == 0)
        return;
    for (unsigned i = 0; i < carry->crew.workers; i++)
        if (carry->lanes[i].busy && carry->lanes[i].task.future == 0)
            prony_crew_kill(&carry->crew, i, false);
    (void)await(carry, map_over, carry, UINT64_MAX);
}

int prony_carry_map(struct prony_carry *carry, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                    int64_t timeout_ns)
{
    const int64_t items = task->hi - task->lo, least = items / (int64_t)(FINEST * carry->crew.workers);
    const uint64_t deadline = prony_deadline(timeout_ns);
    const bool parked = carry->parked;
    int code;
    *tally = (struct prony_tally){0, 0, 0, 0};
    if (items <= 0)
        return 0;
    if (chunk < 0 || items > ITEMS_MOST)
        return -EINVAL;
    if (carry->crew.broken != 0)
        return carry->crew.broken;
    listen_all(carry);
    carry->map =
        (struct prony_carry_map){.task = *task, .items = items, .chunk = chunk, .least = least < 1 ? 1 : least};
    code = await(carry, map_over, carry, deadline);
    if (code != 0)
        give_up(carry);
    *tally = carry->map.tally;
    return parked && code == 0 ? rest(carry, deadline) : code;
}

/* Separate tasks */

static bool has_room(void *context)
{
    return ((const struct prony_carry *)context)->count < PRONY_CARRY_QUEUE;
}

int prony_carry_submit(struct prony_carry *carry, const struct prony_task *tasks, unsigned n)
{
    struct prony_crew *crew = &carry->crew;
    listen_all(carry);
    for (unsigned i = 0; i < n; i++) {
        struct prony_task task = tasks[i];
        int code = crew->broken != 0 || has_room(carry) ? crew->broken : await(carry, has_room, carry, UINT64_MAX);
        task.ticket = prony_future_queue(crew, task.future, prony_crew_ticket(crew));
        if (code == 0) {
            queue_last(carry, &task);
            continue;
        }
        for (; i < n; i++) {
            task.ticket = prony_future_queue(crew, tasks[i].future, prony_crew_ticket(crew));
            (void)prony_future_end(crew, tasks[i].future, task.ticket, PRONY_QUEUED, code);
        }
        return code;
    }
    hand_out(carry);
    return 0;
}

struct wanted {
    struct prony_carry *carry;
    const uint64_t *futures;
    unsigned n, need, first; /* those before `first` are DONE */
};

static bool enough(void *context)
{
    struct wanted *wanted = context;
    unsigned done;
    while (wanted->first < wanted->n &&
           prony_future_phase(prony_crew_future(&wanted->carry->crew, wanted->futures[wanted->first])) == PRONY_DONE)
        wanted->first++;
    done = wanted->first;
    for (unsigned i = wanted->first; wanted->need < wanted->n && done < wanted->need && i < wanted->n; i++)
        done += prony_future_phase(prony_crew_future(&wanted->carry->crew, wanted->futures[i])) == PRONY_DONE;
    return done >= wanted->need;
}

int prony_carry_wait(struct prony_carry *carry, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct wanted wanted = {carry, futures, n, need, 0};
    if (need > n)
        return -EINVAL;
    return enough(&wanted) ? 0 : await(carry, enough, &wanted, prony_deadline(timeout_ns));
}

int prony_carry_cancel(struct prony_carry *carry, uint64_t future, int stop)
{
    int code = prony_crew_cancel(&carry->crew, future, 0);
    while (code != 0 && stop && carry->crew.broken == 0) {
        if (prony_future_phase(prony_crew_future(&carry->crew, future)) != PRONY_RUNNING)
            return -EALREADY;
        prony_future_kill(&carry->crew, future);
        if (prony_carry_wait(carry, &future, 1, 1, 10000000) == 0)
            return prony_crew_future(&carry->crew, future)->status == -ECANCELED ? 0 : -EALREADY;
    }
    return code;
}

/* Groups */

static int submit_carry(void *owner, const struct prony_task *tasks, unsigned n)
{
    return prony_carry_submit(owner, tasks, n);
}
static int cancel_carry(void *owner, uint64_t future, int stop)
{
    return prony_carry_cancel(owner, future, stop);
}
static bool is_listed(void *carry)
{
    return prony_crew_listed(&((struct prony_carry *)carry)->crew, false);
}
static int await_carry(void *owner, uint64_t deadline)
{
    return await(owner, is_listed, owner, deadline);
}
static const struct prony_drive carry_drive = {PRONY_CARRY_QUEUE / 2, submit_carry, cancel_carry, await_carry};

int prony_carry_group(struct prony_carry *carry, struct prony_span futures, struct prony_group **group,
                      struct prony_error *error)
{
    return prony_group_make(&carry_drive, carry, &carry->crew, futures, group, error);
}

/* Opening and closing */

static bool idle(void *context)
{
    const struct prony_carry *carry = context;
    return carry->count == 0 && nobody_busy(context);
}

static void free_carry(struct prony_carry *carry)
{
    for (unsigned i = 0; carry->lanes != NULL && i < carry->crew.workers; i++)
        prony_lane_unmake(carry, i);
    free(carry->lanes);
    free(carry->polls);
    free(carry->polled);
    free(carry->queue);
    if (carry->reasons != NULL)
        (void)munmap(carry->reasons, carry->crew.workers * sizeof *carry->reasons);
    free(carry);
}

static void read_policy(struct prony_carry *carry, const struct prony_params *params)
{
    const char *wait;
    if (params == NULL || prony_option_find(carry->channel->head.options, "wait") == NULL)
        return;
    wait = prony_param_text(params, "wait");
    carry->spins = strcmp(wait, "spin") == 0;
    carry->adapts = strcmp(wait, "adaptive") == 0;
    if (prony_option_find(carry->channel->head.options, "budget") != NULL)
        carry->budget_ns = (uint64_t)prony_param_int(params, "budget");
}

/* NULL when there is no memory. */
static struct prony_error *share_reasons(unsigned workers)
{
    void *memory =
        mmap(NULL, workers * sizeof(struct prony_error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int open_crew(struct prony_carry *carry, struct prony_error *error)
{
    int code = prony_crew_open(&carry->crew, error);
    for (unsigned i = 0; i < carry->crew.workers && code != 0; i++)
        if (carry->reasons[i].code == code)
            return prony_fail(error, code, "worker %u: %s", i, carry->reasons[i].text);
    return code;
}

int prony_carry_open(const struct prony_setup *setup, const struct prony_policy *policy, struct prony_carry **handle,
                     struct prony_error *error)
{
    struct prony_carry *carry;
    int code = 0;
    if (setup->workers == 0 || setup->workers > PRONY_POOL_WORKERS)
        return prony_fail(error, -EINVAL, "a pool takes 1 to %u workers, not %u", PRONY_POOL_WORKERS, setup->workers);
    if (setup->area.len < prony_crew_area(setup->workers) || setup->area.off % 64 != 0)
        return prony_fail(error, -EINVAL, "the area is too small for a pool");
    carry = prony_crew_owner(sizeof *carry);
    if (carry == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a pool");
    carry->crew = (struct prony_crew){.setup = setup, .trade = &trade, .policy = *policy, .owner = carry};
    carry->crew.policy.staff = PRONY_PROCESSES;
    carry->crew.workers = setup->workers;
    carry->channel = setup->carrier;
    carry->room = PRONY_CARRY_QUEUE + setup->workers;
    read_policy(carry, setup->carrier_params);
    carry->lanes = calloc(setup->workers, sizeof *carry->lanes);
    carry->polls = calloc(setup->workers, sizeof *carry->polls);
    carry->polled = calloc(setup->workers, sizeof *carry->polled);
    carry->queue = calloc(carry->room, sizeof *carry->queue);
    carry->reasons = share_reasons(setup->workers);
    if (carry->reasons == NULL || carry->lanes == NULL || carry->polls == NULL || carry->polled == NULL ||
        carry->queue == NULL)
        code = prony_fail(error, -ENOMEM, "no memory for a pool");
    memset(setup->base + setup->area.off, 0, prony_crew_area(setup->workers));
    for (unsigned i = 0; i < setup->workers && code == 0; i++) {
        prony_crew_slot(&carry->crew, i)->lo = -1;
        code = prony_lane_make(carry, i, error);
    }
    if (code == 0)
        code = open_crew(carry, error);
    if (code != 0)
        free_carry(carry);
    else
        *handle = carry;
    return code;
}

int prony_carry_close(struct prony_carry *carry, int drain, int64_t timeout_ns)
{
    const uint64_t deadline = prony_deadline(timeout_ns);
    struct prony_task task;
    int code = 0, left;
    if (carry == NULL)
        return 0;
    if (drain) {
        listen_all(carry);
        code = await(carry, idle, carry, deadline);
    }
    carry->crew.draining = true;
    for (carry->map.at = carry->map.items; next_task(carry, &task);)
        if (task.future != 0)
            (void)prony_future_end(&carry->crew, task.future, task.ticket & PRONY_TICKETS, PRONY_QUEUED, -ECANCELED);
    left = rest(carry, deadline);
    code = code != 0 ? code : left;
    left = prony_crew_close(&carry->crew, deadline);
    free_carry(carry);
    return code != 0 ? code : left;
}
