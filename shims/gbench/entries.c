/* Registers and runs the benchmarks of prony-gbench. A run is one sample of a cell: outputs poisoned, the library's clock
 * around the drive, the answer checked after it. */
#include "shims/gbench/entries.h"

#include "shims/gbench/gbench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rank { OF_CALLER, OF_PROCESSES, OF_THREADS, OF_RUNTIMES, RANKS };

struct entry {
    char name[128];
    struct gbench_wish wish;
    bool workers_arg; /* the number of workers is the benchmark's argument */
    bool size_arg;
    enum rank rank;
    struct entry *next;
};

/* The library calls back with one entry at a time, always in the main thread. */
static const struct gbench_ground *ground;
static struct entry *entries;
static struct gbench_tally tally;
static struct gbench_stand stand;
static struct gbench_wish stands; /* what the open stand was opened for */
static bool told[PRONY_EVENTS_MAX];

static bool same(const struct gbench_wish *a, const struct gbench_wish *b)
{
    return a->engine == b->engine && a->workload == b->workload && a->channel == b->channel &&
           a->workers == b->workers && a->size == b->size && a->items == b->items;
}

/* The library runs a function several times with more and more iterations: the stand stays open in between. */
static int stand_for(const struct gbench_wish *wish, struct prony_error *error)
{
    int code;
    if (stand.open && same(wish, &stands))
        return 0;
    (void)gbench_stand_close(&stand, ground->topology, NULL);
    code = gbench_stand_open(&stand, wish, ground, error);
    stands = *wish;
    return code;
}

/* The engine runs no kernels: nothing can be counted in its workers, and a map leaves no answer to check. */
static bool is_dry(const struct entry *entry)
{
    return (entry->wish.engine->head.caps & PRONY_CAP_DRY) != 0;
}

static void fail_run(struct prony_gbench_state *state, int code, const struct prony_error *error)
{
    if (code == -ENOTSUP || code == -ERANGE)
        tally.skipped++;
    else
        tally.failed++;
    prony_gbench_skip(state, "%s", error->text);
    (void)gbench_stand_close(&stand, ground->topology, NULL);
}

/* The workers' sums so far, added up by event; status and reason of the first that was not counted. */
static void add_up(struct prony_value *values)
{
    memset(values, 0, PRONY_EVENTS_MAX * sizeof *values);
    for (unsigned i = 0; i < ground->method->events.count; i++)
        for (unsigned w = 0; w < stand.cell.workers; w++) {
            const struct prony_value *one = &prony_board_counts(stand.host.arena.base, w)->sum[i];
            if (w == 0 || (one->status != PRONY_COUNTED && values[i].status == PRONY_COUNTED)) {
                int64_t value = values[i].value;
                values[i] = *one;
                values[i].value += value;
            } else {
                values[i].value += one->value;
            }
        }
}

/* One user counter an event, a repetition's worth. What was not counted is no 0: it is left out, and said once. */
static void show_counters(struct prony_gbench_state *state, const struct prony_value *before)
{
    struct prony_value after[PRONY_EVENTS_MAX];
    add_up(after);
    for (unsigned i = 0; i < ground->method->events.count; i++) {
        const char *name = ground->method->events.item[i];
        if (after[i].status == PRONY_COUNTED || after[i].status == PRONY_SCALED)
            prony_gbench_counter(state, name, (double)(after[i].value - before[i].value), PRONY_GBENCH_PER_ITERATION);
        else if (!told[i]) {
            told[i] = true;
            (void)fprintf(stderr, "prony-gbench: %s is not counted: %s\n", name, after[i].reason);
        }
    }
}

/* Poison, clock, drive, clock, check. */
static int sample(struct prony_gbench_state *state, const struct entry *entry, struct prony_error *error)
{
    struct prony_host *host = &stand.host;
    struct prony_bench *bench = &host->bench;
    struct prony_value before[PRONY_EVENTS_MAX];
    const bool counting = host->counting && !is_dry(entry);
    char text[96];
    int code = prony_host_unpark(host, error);
    memset(&bench->tally, 0, sizeof bench->tally);
    memset(bench->ns, 0, sizeof bench->ns);
    *bench->error = (struct prony_error){0, ""};
    if (host->workload->poison != NULL)
        host->workload->poison(bench);
    if (code == 0 && counting) {
        add_up(before);
        code = prony_host_gang(host, PRONY_OWN_COUNT_BEGIN, 0, "reading counters", error);
    }
    if (code != 0)
        return code;
    bench->repeats = prony_gbench_begin(state);
    code = host->drive(bench);
    prony_gbench_end(state);
    if (code != 0)
        return bench->error->text[0] != '\0'
                   ? prony_fail(error, code, "%s", bench->error->text)
                   : prony_fail(error, code, "the engine failed: %s", prony_code_text(code, text, sizeof text));
    if (counting)
        code = prony_host_gang(host, PRONY_OWN_COUNT_END, 0, "reading counters", error);
    if (code == 0 && counting)
        show_counters(state, before);
    if (code == 0 && !(is_dry(entry) && host->workload->shape == PRONY_MAP))
        code = prony_host_check(host, error);
    bench->sample++;
    if (code == 0)
        prony_host_park(host);
    return code;
}

static void run(struct prony_gbench_state *state, void *context)
{
    const struct entry *entry = context;
    struct gbench_wish wish = entry->wish;
    struct prony_error error = {0, ""};
    const struct prony_need *need = &stand.host.need;
    int64_t n;
    int code;
    if (entry->workers_arg)
        wish.workers = (unsigned)prony_gbench_arg_of(state, 0);
    if (entry->size_arg)
        wish.size = prony_gbench_arg_of(state, 0);
    code = stand_for(&wish, &error);
    if (code == 0)
        code = sample(state, entry, &error);
    if (code != 0) {
        fail_run(state, code, &error);
        return;
    }
    tally.measured++;
    n = prony_gbench_iterations(state);
    prony_gbench_items(state, n * need->items);
    if (entry->size_arg)
        prony_gbench_bytes(state, 2 * n * need->items * wish.size);
    prony_gbench_label(state, "%lld x %s%s", (long long)need->items, wish.workload->unit,
                       is_dry(entry) ? ", no kernel runs" : "");
}

/* Room for one more, behind all of its rank and before the next. */
static struct entry *add(enum rank rank, struct prony_error *error)
{
    struct entry **at = &entries, *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        (void)prony_fail(error, -ENOMEM, "no memory for a benchmark");
        return NULL;
    }
    while (*at != NULL && (*at)->rank <= rank)
        at = &(*at)->next;
    entry->rank = rank;
    entry->next = *at;
    *at = entry;
    return entry;
}

static enum rank rank_of(const struct prony_engine *engine)
{
    if ((engine->head.caps & PRONY_CAP_DRY) != 0 || strcmp(engine->head.name, "serial") == 0)
        return OF_CALLER;
    if ((engine->head.caps & PRONY_CAP_SHARED) == 0)
        return OF_PROCESSES;
    return (engine->head.caps & PRONY_CAP_OWNS_THREADS) != 0 ? OF_RUNTIMES : OF_THREADS;
}

/* The main kernel over its whole range, by the caller alone; what takes several roles, on threads. */
static int add_kernel(const struct prony_workload *workload, struct prony_error *error)
{
    struct prony_params params = {0, NULL};
    struct prony_need need = {.items = 0};
    struct prony_error unknown = {0, ""};
    const struct prony_engine *engine;
    struct entry *entry;
    bool shared;
    if (prony_params_init(&params, workload->head.options, &unknown) == 0)
        (void)workload->need(&params, 1, &need, &unknown); /* when it fails here, it says so when it runs */
    prony_params_free(&params);
    shared = need.roles > 1;
    engine = prony_find_engine(shared ? "thread" : "serial", error);
    if (engine == NULL)
        return error->code;
    entry = add(rank_of(engine), error);
    if (entry == NULL)
        return -ENOMEM;
    (void)snprintf(entry->name, sizeof entry->name, "kernel/%s/%s", workload->head.name, engine->head.name);
    entry->wish = (struct gbench_wish){.engine = engine, .workload = workload, .workers = shared ? need.roles : 1};
    if (need.ends > 0)
        entry->wish.channel = prony_find_channel("pipe", NULL);
    return 0;
}

/* submit and map, where the engine can. */
static int add_engine(const struct prony_engine *engine, struct prony_error *error)
{
    static const struct {
        const char *verb, *workload;
        uint64_t cap;
    } both[] = {{"submit", "empty", PRONY_CAP_SUBMIT}, {"map", "square", PRONY_CAP_MAP}};
    for (unsigned i = 0; i < 2; i++) {
        const struct prony_workload *workload = prony_find_workload(both[i].workload, error);
        struct entry *entry;
        if (workload == NULL)
            return error->code;
        if ((engine->head.caps & both[i].cap) == 0)
            continue;
        entry = add(rank_of(engine), error);
        if (entry == NULL)
            return -ENOMEM;
        (void)snprintf(entry->name, sizeof entry->name, "%s/%s", both[i].verb, engine->head.name);
        entry->wish = (struct gbench_wish){.engine = engine, .workload = workload};
        entry->workers_arg = true;
    }
    return 0;
}

/* Send and receive at both ends: a round trip an iteration, between threads, or processes where it reaches only those. */
static int add_channel(const struct prony_channel *channel, struct prony_error *error)
{
    const bool threads = (channel->head.caps & PRONY_CHANNEL_THREADS) != 0;
    const struct prony_engine *engine = prony_find_engine(threads ? "thread" : "fork", error);
    const struct prony_workload *workload = prony_find_workload("pingpong", error);
    struct entry *entry;
    if (engine == NULL || workload == NULL)
        return error->code;
    entry = add(rank_of(engine), error);
    if (entry == NULL)
        return -ENOMEM;
    (void)snprintf(entry->name, sizeof entry->name, "channel/%s", channel->head.name);
    entry->wish =
        (struct gbench_wish){.engine = engine, .workload = workload, .channel = channel, .workers = 2, .items = 1};
    entry->size_arg = true;
    return 0;
}

static int collect(struct prony_error *error)
{
    const struct prony_head *head;
    int code = 0;
    for (unsigned i = 0; code == 0 && (head = prony_registry_at(PRONY_WORKLOAD, i)) != NULL; i++)
        code = add_kernel(prony_find_workload(head->name, error), error);
    for (unsigned i = 0; code == 0 && (head = prony_registry_at(PRONY_ENGINE, i)) != NULL; i++)
        code = add_engine(prony_find_engine(head->name, error), error);
    for (unsigned i = 0; code == 0 && (head = prony_registry_at(PRONY_CHANNEL, i)) != NULL; i++)
        code = add_channel(prony_find_channel(head->name, error), error);
    return code;
}

int gbench_entries_register(const struct gbench_ground *under, unsigned workers, struct prony_error *error)
{
    static const char *const workers_name[] = {"workers"}, *const size_name[] = {"size"};
    int code;
    ground = under;
    code = collect(error);
    for (struct entry *entry = entries; entry != NULL && code == 0; entry = entry->next) {
        struct prony_gbench *family = prony_gbench_register(entry->name, run, entry);
        (void)prony_gbench_clocks(family, PRONY_GBENCH_REAL | PRONY_GBENCH_PROCESS_CPU);
        if (entry->workers_arg) {
            (void)prony_gbench_arg_names(family, workers_name, 1);
            (void)prony_gbench_arg(family, 1);
            if (workers > 1 && entry->rank != OF_CALLER)
                (void)prony_gbench_arg(family, workers);
        }
        if (entry->size_arg) {
            (void)prony_gbench_arg_names(family, size_name, 1);
            (void)prony_gbench_arg(family, 64);
            (void)prony_gbench_arg(family, 64 * 1024);
        }
    }
    return code;
}

struct gbench_tally gbench_entries_end(void)
{
    struct prony_error error = {0, ""};
    if (gbench_stand_close(&stand, ground->topology, &error) != 0)
        (void)fprintf(stderr, "prony-gbench: %s\n", error.text);
    while (entries != NULL) {
        struct entry *next = entries->next;
        free(entries);
        entries = next;
    }
    return tally;
}
