#include "measure/profile.h"
#include "base/clock.h"
#include "measure/client.h"
#include "measure/sampler.h"
#include "measure/symbols.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES = 160, STACK_BYTES = 16384, CACHE = 4096 };

/* Copies a timeline, oldest note first, with times in ns since the recorded part began; both clocks' readings at either
 * end say how to turn ticks into ns. Notes outside of the timed region are left out. */
static int copy_lane(struct prony_timeline *timeline, const struct prony_trail *trail, struct prony_lane *lane)
{
    uint64_t written = __atomic_load_n(&timeline->written, __ATOMIC_ACQUIRE), from = timeline->since;
    double step = (double)(trail->ended_ns - trail->begun_ns) / (double)(trail->ended_ticks - trail->begun_ticks);
    lane->lost = written - from > timeline->room ? written - from - timeline->room : 0;
    from += lane->lost;
    lane->notes = calloc(written - from + 1, sizeof *lane->notes);
    if (lane->notes == NULL)
        return -ENOMEM;
    for (; from < written; from++) {
        struct prony_note note = prony_timeline_notes(timeline)[from & (timeline->room - 1)];
        double ns = (double)(int64_t)(note.ticks - trail->begun_ticks) * step +
                    (double)(int64_t)(trail->begun_ns - trail->from_ns);
        if (ns < -1e6 || ns > (double)(trail->to_ns - trail->from_ns) + 1e3)
            continue; /* the end of a sleep long before, or the next one long after */
        note.ticks = ns < 0 ? 0 : (uint64_t)ns;
        if (note.ticks > trail->to_ns - trail->from_ns)
            note.ticks = trail->to_ns - trail->from_ns;
        lane->notes[lane->count++] = note;
    }
    return 0;
}

static int copy_timelines(const struct prony_client *client, struct prony_profile *profile)
{
    const struct prony_trail *trail = prony_board_trail(client->arena.base);
    int code = 0;
    profile->lanes = calloc(profile->workers + 1, sizeof *profile->lanes);
    if (profile->lanes == NULL)
        return -ENOMEM;
    profile->window_ns = trail->to_ns - trail->from_ns;
    profile->digest.repeats = trail->repeats;
    profile->digest.note_ns = trail->note_ns;
    for (unsigned i = 0; i <= profile->workers && code == 0; i++)
        code = copy_lane(prony_board_timeline(client->arena.base, i), trail, &profile->lanes[i]);
    return code;
}

/* Names of addresses seen lately in one process. */
struct names {
    struct prony_symbols *symbols;
    int pid;
    struct {
        uint64_t address;
        bool named;
        char name[FRAME_BYTES];
    } cache[CACHE];
};

static const char *name_of(struct names *names, uint64_t address, bool *named)
{
    unsigned at = (unsigned)((address * 0x9e3779b97f4a7c15u) >> 52) % CACHE;
    if (names->cache[at].address != address) {
        names->cache[at].address = address;
        names->cache[at].named =
            prony_symbols_name(names->symbols, address, names->cache[at].name, sizeof names->cache[at].name);
    }
    *named = names->cache[at].named;
    return names->cache[at].name;
}

static int turn_to(struct names *names, int pid, struct prony_error *error)
{
    if (names->pid == pid)
        return 0;
    prony_symbols_close(names->symbols);
    names->symbols = NULL;
    memset(names->cache, 0, sizeof names->cache);
    names->pid = pid;
    return prony_symbols_open(pid, &names->symbols, error);
}

/* The frames of one stack, outermost first. All but the innermost are return addresses: the call is just before. */
static void spell(struct names *names, const uint64_t *chain, unsigned depth, struct prony_digest *digest, char *text)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = depth; i-- > 0;) {
        bool named;
        const char *name = name_of(names, i == 0 ? chain[i] : chain[i] - 1, &named);
        int length = snprintf(text + used, STACK_BYTES - used, "%s%s", used == 0 ? "" : ";", name);
        digest->frames++;
        digest->unnamed += !named;
        if (length < 0 || (size_t)length >= STACK_BYTES - used)
            break;
        used += (size_t)length;
    }
}

static int by_stack(const void *a, const void *b)
{
    const struct prony_fold *x = a, *y = b;
    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    return strcmp(x->stack, y->stack);
}

/* Makes each stack of a worker one entry with its count. */
static void merge(struct prony_profile *profile)
{
    uint32_t kept = 0;
    if (profile->folds == 0)
        return;
    qsort(profile->fold, profile->folds, sizeof *profile->fold, by_stack);
    for (uint32_t i = 1; i < profile->folds; i++) {
        if (by_stack(&profile->fold[kept], &profile->fold[i]) == 0) {
            profile->fold[kept].count += profile->fold[i].count;
            free(profile->fold[i].stack);
        } else {
            profile->fold[++kept] = profile->fold[i];
        }
    }
    profile->folds = kept + 1;
}

/* Reads the stacks of one worker after the other, so that each process is opened once. */
static int spell_worker(const struct prony_client *client, unsigned worker, struct names *names,
                        struct prony_profile *profile)
{
    unsigned char *base = client->arena.base;
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    const struct prony_trail *trail = prony_board_trail(base);
    const unsigned char *at = base + board->stacks.off, *end = at + trail->stacks_bytes;
    struct prony_stack stack;
    uint64_t chain[256];
    static char text[STACK_BYTES];
    while (at < end) {
        memcpy(&stack, at, sizeof stack);
        if (stack.depth > 256)
            return -EINVAL;
        memcpy(chain, at + sizeof stack, stack.depth * sizeof chain[0]);
        at += sizeof stack + stack.depth * sizeof chain[0];
        if (stack.worker != worker)
            continue;
        spell(names, chain, stack.depth, &profile->digest, text);
        profile->fold[profile->folds].stack = strdup(text);
        if (profile->fold[profile->folds].stack == NULL)
            return -ENOMEM;
        profile->fold[profile->folds].worker = worker;
        profile->fold[profile->folds++].count = 1;
    }
    return 0;
}

/* While the workers live: their maps are read. */
static int copy_stacks(const struct prony_client *client, struct prony_profile *profile)
{
    const struct prony_trail *trail = prony_board_trail(client->arena.base);
    const struct prony_slot *slots = prony_board_slots(client->arena.base);
    struct prony_digest *digest = &profile->digest;
    struct names *names = calloc(1, sizeof *names);
    int code = 0;
    digest->period_ns = trail->period_ns;
    digest->samples = trail->stacks;
    digest->dropped = trail->dropped;
    digest->sampled_reason = trail->reason;
    profile->fold = calloc(trail->stacks + 1, sizeof *profile->fold);
    if (profile->fold == NULL || names == NULL)
        code = -ENOMEM;
    for (unsigned i = 0; i < profile->workers && code == 0 && trail->stacks > 0; i++) {
        (void)turn_to(names, slots[i].pid, &digest->sampled_reason);
        code = spell_worker(client, i, names, profile);
    }
    merge(profile);
    if (names != NULL)
        prony_symbols_close(names->symbols);
    free(names);
    if (code == 0 && digest->sampled_reason.code == 0 && trail->stacks == 0)
        (void)prony_fail(&digest->sampled_reason, -ENODATA, "no worker ran long enough to be sampled");
    else if (code == 0 && digest->sampled_reason.code == 0 && digest->unnamed * 4 > digest->frames)
        (void)prony_fail(&digest->sampled_reason, -ENODATA,
                         "%.0f%% of the frames have no name: a stripped program or library (build it with symbols)",
                         100 * (double)digest->unnamed / (double)digest->frames);
    return code;
}

/* The profiled visit of one cell: a host of its own, opened, asked once, closed. */
static int visit(const struct prony_run *run, const struct prony_watch *watch, struct prony_cell *cell,
                 struct prony_profile *profile, struct prony_error *error)
{
    struct prony_method method = run->method;
    struct prony_order order = {.kind = PRONY_ORDER_PROFILE, .repeats = cell->repeats < 1 ? 1 : cell->repeats};
    struct prony_client client;
    struct prony_answer answer;
    int code;
    method.provider = NULL; /* nothing is counted here */
    method.profiled = true;
    code = prony_client_start(&client, cell, &method, NULL, error);
    if (code != 0)
        return code;
    code = prony_client_open(&client, cell, &method, &answer, method.timeout_ns, watch->interrupt, error);
    if (code == 0 && answer.error.code == 0)
        code = prony_client_ask(&client, &order, NULL, &answer, method.timeout_ns, watch->interrupt, error);
    if (code == 0 && answer.error.code != 0) {
        *error = answer.error;
        code = answer.error.code;
    }
    if (code == 0)
        code = copy_timelines(&client, profile);
    if (code == 0)
        code = copy_stacks(&client, profile);
    prony_client_close(&client);
    prony_client_free(&client);
    if (code == 0)
        code = prony_profile_digest(profile);
    if (code == -ENOMEM)
        (void)prony_fail(error, code, "no memory for the profile");
    return code;
}

static void profile_cell(struct prony_run *run, const struct prony_watch *watch, unsigned number)
{
    struct prony_cell *cell = &run->cells[number];
    struct prony_digest *digest = &cell->profile;
    struct prony_profile profile = {.workers = cell->workers};
    struct prony_error error = {0, ""};
    int code;
    if (cell->workload->shape == PRONY_LIFE)
        code = prony_fail(&error, -ENOTSUP, "its workers come and go within a sample: there is nobody to watch");
    else
        code = visit(run, watch, cell, &profile, &error);
    if (code == 0) {
        profile.digest.taken = true;
        if (watch->profiled != NULL)
            watch->profiled(watch->context, cell, number, &profile);
        *digest = profile.digest;
        profile.digest.who = NULL; /* they are the cell's now */
        profile.digest.stem = NULL;
    } else {
        digest->reason = error;
    }
    prony_profile_free(&profile);
}

void prony_profile_cells(struct prony_run *run, const struct prony_watch *watch)
{
    static const char lost[] = "the run was interrupted before its profiled visit";
    for (unsigned i = 0; i < run->count; i++) {
        if (run->cells[i].outcome != PRONY_OK)
            continue;
        if (watch->progress != NULL)
            watch->progress(watch->context, 1, -1, &run->cells[i]);
        if (watch->interrupt != NULL && *watch->interrupt != 0)
            (void)prony_fail(&run->cells[i].profile.reason, -EINTR, "%s", lost);
        else
            profile_cell(run, watch, i);
    }
}
