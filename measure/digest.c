/* From notes to stretches, and from these to the figures of a profile. One pass over all notes in the order of time. */
#include "measure/profile.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MOST = 512, NO_TASK = -1 };

/* A note and whose it is. */
struct moment {
    const struct prony_note *note;
    uint32_t lane, number; /* lane: here the caller is first, as it queues what others begin */
};

/* A task that was queued and has not begun: found again by its future. */
struct queued {
    uint64_t future, at_ns, path_ns;
    int64_t parent; /* stretch; NO_TASK: the caller */
    uint32_t lane;
};

struct lane_state {
    int64_t open[DEPTH_MOST]; /* stretches that have begun and not ended, innermost last */
    unsigned depth, beyond;   /* beyond: deeper than we follow */
    uint64_t since_ns;        /* the innermost one's since when */
    int32_t thief_of;
    uint64_t last_end_ns, gap_sleep_ns; /* of the last outermost task, and what was slept since */
    bool began;
};

/* The chain of tasks up to a point: for every stretch that is a task. */
struct chain {
    uint64_t path_ns, kids_ns; /* up to where it is; the longest that ended in a kid */
    int64_t parent;
};

struct pass {
    struct prony_profile *profile;
    struct chain *chains;
    struct lane_state *lanes;
    struct queued *table; /* open addressing; future 0: free */
    uint64_t mask;
    double *waits;
};

const char *prony_wait_name(int wait)
{
    static const char *const names[PRONY_WAITS] = {"work", "kids", "peers", "lock", "send", "receive", "tasks"};
    return wait >= 0 && wait < PRONY_WAITS ? names[wait] : "?";
}

static int by_time(const void *a, const void *b)
{
    const struct moment *x = a, *y = b;
    if (x->note->ticks != y->note->ticks)
        return x->note->ticks < y->note->ticks ? -1 : 1;
    if (x->lane != y->lane)
        return x->lane < y->lane ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static struct queued *find(struct pass *pass, uint64_t future)
{
    uint64_t at = (future * 0x9e3779b97f4a7c15u) >> 20;
    while (pass->table[at & pass->mask].future != 0 && pass->table[at & pass->mask].future != future)
        at++;
    return &pass->table[at & pass->mask];
}

static int64_t innermost_task(const struct pass *pass, const struct lane_state *lane)
{
    for (unsigned i = lane->depth; i-- > 0;)
        if (pass->profile->stretch[lane->open[i]].wait < 0)
            return lane->open[i];
    return NO_TASK;
}

/* Gives the time since the last change in a worker to what it was doing. */
static void account(struct pass *pass, uint32_t index, uint64_t now_ns)
{
    struct lane_state *lane = &pass->lanes[index];
    struct prony_spending *who = index < pass->profile->workers ? &pass->profile->digest.who[index] : NULL;
    uint64_t took = now_ns - lane->since_ns;
    const struct prony_stretch *top = lane->depth == 0 ? NULL : &pass->profile->stretch[lane->open[lane->depth - 1]];
    lane->since_ns = now_ns;
    if (top == NULL)
        return; /* outside of tasks: seen when the next one begins */
    if (top->wait == PRONY_ON_WORK) {
        lane->gap_sleep_ns += took;
    } else if (top->wait >= 0) {
        if (who != NULL)
            who->waiting_ns += took;
    } else {
        pass->chains[top - pass->profile->stretch].path_ns += took;
        if (who != NULL)
            who->busy_ns += took;
    }
}

static void open_stretch(struct pass *pass, uint32_t index, const struct prony_note *note, int wait)
{
    struct prony_profile *profile = pass->profile;
    struct lane_state *lane = &pass->lanes[index];
    struct prony_stretch *stretch = &profile->stretch[profile->stretches];
    if (lane->depth == DEPTH_MOST) {
        lane->beyond++;
        return;
    }
    *stretch = (struct prony_stretch){.from_ns = note->ticks,
                                      .to_ns = profile->window_ns,
                                      .future = note->future,
                                      .lo = note->lo,
                                      .items = note->items,
                                      .lane = index,
                                      .thief_of = -1,
                                      .wait = wait,
                                      .depth = lane->depth,
                                      .queued_ns = UINT64_MAX};
    lane->open[lane->depth++] = profile->stretches;
    pass->chains[profile->stretches++] = (struct chain){0, 0, NO_TASK};
}

/* Between two tasks of a worker: asleep is idle, the rest is what getting the next one cost. */
static void close_gap(struct pass *pass, uint32_t index, uint64_t now_ns)
{
    struct lane_state *lane = &pass->lanes[index];
    struct prony_spending *who = &pass->profile->digest.who[index];
    uint64_t gap = now_ns - lane->last_end_ns;
    uint64_t slept = lane->gap_sleep_ns < gap ? lane->gap_sleep_ns : gap;
    if (lane->began) {
        who->idle_ns += slept;
        who->overhead_ns += gap - slept;
    } else {
        who->idle_ns += gap;
    }
    lane->began = true;
    lane->gap_sleep_ns = 0;
}

static bool outermost(const struct pass *pass, const struct lane_state *lane)
{
    return innermost_task(pass, lane) == NO_TASK;
}

static void task_begun(struct pass *pass, uint32_t index, const struct prony_note *note)
{
    struct prony_profile *profile = pass->profile;
    struct lane_state *lane = &pass->lanes[index];
    struct queued *queued = note->future == 0 ? NULL : find(pass, note->future);
    struct prony_stretch *stretch;
    struct chain *chain;
    if (index < profile->workers) {
        profile->digest.who[index].tasks++;
        if (outermost(pass, lane))
            close_gap(pass, index, note->ticks);
        if (lane->thief_of >= 0)
            profile->digest.who[index].steals++;
    }
    if (lane->depth == DEPTH_MOST) {
        lane->beyond++;
        return;
    }
    stretch = &profile->stretch[profile->stretches];
    chain = &pass->chains[profile->stretches];
    open_stretch(pass, index, note, -1);
    stretch->thief_of = lane->thief_of;
    lane->thief_of = -1;
    if (queued == NULL || queued->future == 0 || queued->at_ns == UINT64_MAX)
        return;
    stretch->queued_ns = queued->at_ns;
    stretch->queued_by = queued->lane;
    chain->path_ns = queued->path_ns;
    chain->parent = queued->parent;
    pass->waits[profile->digest.queued++] = (double)(note->ticks - queued->at_ns);
    queued->at_ns = UINT64_MAX; /* the entry stays, so that others behind it are found */
}

static void task_queued(struct pass *pass, uint32_t index, const struct prony_note *note)
{
    struct queued *queued = find(pass, note->future);
    int64_t parent = innermost_task(pass, &pass->lanes[index]);
    queued->future = note->future;
    queued->at_ns = note->ticks;
    queued->lane = index;
    queued->parent = parent;
    queued->path_ns = parent == NO_TASK ? 0 : pass->chains[parent].path_ns;
}

/* Ends the innermost stretch, if it is of this kind: its beginning may have been overwritten. */
static void close_stretch(struct pass *pass, uint32_t index, const struct prony_note *note, bool is_task)
{
    struct prony_profile *profile = pass->profile;
    struct lane_state *lane = &pass->lanes[index];
    struct prony_stretch *stretch;
    int64_t at;
    if (lane->beyond > 0) {
        lane->beyond--;
        return;
    }
    at = lane->depth == 0 ? NO_TASK : lane->open[lane->depth - 1];
    if (at == NO_TASK || (profile->stretch[at].wait < 0) != is_task)
        return;
    stretch = &profile->stretch[at];
    stretch->to_ns = note->ticks;
    lane->depth--;
    if (is_task) {
        struct chain *chain = &pass->chains[at];
        chain->path_ns = chain->kids_ns > chain->path_ns ? chain->kids_ns : chain->path_ns;
        if (chain->path_ns > profile->digest.path_ns)
            profile->digest.path_ns = chain->path_ns;
        if (chain->parent != NO_TASK && chain->path_ns > pass->chains[chain->parent].kids_ns)
            pass->chains[chain->parent].kids_ns = chain->path_ns;
        if (outermost(pass, lane)) {
            lane->last_end_ns = note->ticks;
            lane->gap_sleep_ns = 0;
        }
    } else if (stretch->wait == PRONY_ON_KIDS) {
        int64_t parent = innermost_task(pass, lane);
        if (parent != NO_TASK && pass->chains[parent].kids_ns > pass->chains[parent].path_ns)
            pass->chains[parent].path_ns = pass->chains[parent].kids_ns;
    }
}

static void take(struct pass *pass, const struct moment *moment)
{
    const struct prony_note *note = moment->note;
    const uint32_t lane = (moment->lane + pass->profile->workers) % (pass->profile->workers + 1);
    account(pass, lane, note->ticks);
    switch (note->kind) {
    case PRONY_NOTE_QUEUED:
        if (note->future != 0)
            task_queued(pass, lane, note);
        break;
    case PRONY_NOTE_BEGUN:
        task_begun(pass, lane, note);
        break;
    case PRONY_NOTE_ENDED:
        close_stretch(pass, lane, note, true);
        break;
    case PRONY_NOTE_STOLEN:
        pass->lanes[lane].thief_of = note->detail;
        break;
    case PRONY_NOTE_WAIT:
        open_stretch(pass, lane, note, note->detail);
        break;
    case PRONY_NOTE_GO_ON:
        close_stretch(pass, lane, note, false);
        break;
    default:
        break;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What is left when all notes are read: the time after the last task, and figures over all workers. */
static void sum_up(struct pass *pass)
{
    struct prony_profile *profile = pass->profile;
    struct prony_digest *digest = &profile->digest;
    uint64_t most = 0, n = digest->queued;
    for (unsigned i = 0; i < profile->workers; i++) {
        struct prony_spending *who = &digest->who[i];
        uint64_t used;
        account(pass, i, profile->window_ns);
        used = who->busy_ns + who->waiting_ns + who->idle_ns + who->overhead_ns;
        who->idle_ns += profile->window_ns > used ? profile->window_ns - used : 0;
        digest->tasks += who->tasks;
        digest->steals += who->steals;
        digest->work_ns += who->busy_ns;
        most = who->busy_ns > most ? who->busy_ns : most;
    }
    digest->imbalance = digest->work_ns == 0 ? NAN : (double)most * profile->workers / (double)digest->work_ns - 1;
    qsort(pass->waits, n, sizeof *pass->waits, by_value);
    digest->queue_p50_ns = n < 20 ? NAN : pass->waits[n / 2];
    digest->queue_p99_ns = n < 1000 ? NAN : pass->waits[(uint64_t)ceil(0.99 * (double)n) - 1];
}

int prony_profile_digest(struct prony_profile *profile)
{
    struct pass pass = {.profile = profile};
    struct moment *moments;
    uint64_t all = 0, at = 0, room = 1;
    int code = 0;
    for (unsigned i = 0; i <= profile->workers; i++)
        all += profile->lanes[i].count;
    while (room < 2 * all + 2)
        room *= 2;
    moments = calloc(all + 1, sizeof *moments);
    pass.chains = calloc(all + 1, sizeof *pass.chains);
    pass.lanes = calloc(profile->workers + 1, sizeof *pass.lanes);
    pass.table = calloc(room, sizeof *pass.table);
    pass.waits = calloc(all + 1, sizeof *pass.waits);
    pass.mask = room - 1;
    profile->stretch = calloc(all + 1, sizeof *profile->stretch);
    profile->digest.who = calloc(profile->workers + 1, sizeof *profile->digest.who);
    if (moments == NULL || pass.chains == NULL || pass.lanes == NULL || pass.table == NULL || pass.waits == NULL ||
        profile->stretch == NULL || profile->digest.who == NULL)
        code = -ENOMEM;
    for (unsigned i = 0; i <= profile->workers && code == 0; i++) {
        pass.lanes[i].thief_of = -1;
        for (uint32_t j = 0; j < profile->lanes[i].count; j++)
            moments[at++] = (struct moment){&profile->lanes[i].notes[j], (i + 1) % (profile->workers + 1), j};
        profile->digest.lost += profile->lanes[i].lost;
        profile->digest.notes += profile->lanes[i].count;
    }
    if (code == 0) {
        qsort(moments, all, sizeof *moments, by_time);
        for (uint64_t i = 0; i < all; i++)
            take(&pass, &moments[i]);
        sum_up(&pass);
        profile->digest.window_ns = profile->window_ns;
    }
    free(moments);
    free(pass.chains);
    free(pass.lanes);
    free(pass.table);
    free(pass.waits);
    return code;
}

void prony_profile_free(struct prony_profile *profile)
{
    for (unsigned i = 0; profile->lanes != NULL && i <= profile->workers; i++)
        free(profile->lanes[i].notes);
    for (uint32_t i = 0; i < profile->folds; i++)
        free(profile->fold[i].stack);
    free(profile->lanes);
    free(profile->stretch);
    free(profile->fold);
    free(profile->digest.who);
    free(profile->digest.stem);
    memset(profile, 0, sizeof *profile);
}
