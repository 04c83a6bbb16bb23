/* chase: every worker follows a random cycle of pointers through memory of its own: the latency of memory.
 *
 * One load a cache line, each needs the one before. The cycle is a single one (Sattolo 1986), the same for all, and a
 * repetition makes one load less than it has lines, so that samples end on different lines, all known. All workers step
 * side by side: the time of an item is the latency of one load; `operations` counts the loads of all.
 * Translation misses are part of what is measured; prefetchers find no pattern. */
#include "workloads/kit.h"

static const struct prony_option options[] = {
    {"size", PRONY_BYTES, "4Mi", 256, 1073741824.0, NULL, "bytes that each worker walks through"},
    {.name = NULL},
};

#define LINE_WORDS (LINE_BYTES / sizeof(uint64_t))

/* Lines of each worker's region; the workers' results lie after the last region. */
struct chase_arg {
    uint64_t lines;
};

static int chase_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct chase_arg arg;
    const uint64_t *region;
    uint64_t at = 0, *out;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    region = (uint64_t *)prony_at(worker, task->in.off) + worker->index * arg.lines * LINE_WORDS;
    out = (uint64_t *)prony_at(worker, task->out.off) + worker->index * LINE_WORDS;
    code = prony_worker_begin(worker);
    if (code != 0)
        return code;
    for (int64_t i = task->lo; i < task->hi; i++)
        at = region[at];
    prony_worker_end(worker);
    *out = at / LINE_WORDS;
    return 0;
}

static uint64_t lines_of(const struct prony_bench *bench)
{
    return (uint64_t)bench->need->items + 1;
}

static int chase_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    uint64_t lines = (uint64_t)prony_param_int(params, "size") / LINE_BYTES;
    (void)error;
    need->items = (int64_t)lines - 1;
    need->operations = need->items * workers;
    need->moved = need->operations * LINE_BYTES;
    need->bytes = (lines + 1) * LINE_BYTES * workers;
    return 0;
}

/* Makes the cycle in the first region and copies it to the others; bench->local: the lines in the order of the walk. */
static int chase_prepare(struct prony_bench *bench, struct prony_error *error)
{
    uint64_t lines = lines_of(bench), *region = data_at(bench, 0), at = 0;
    uint32_t *order = malloc(lines * sizeof *order);
    if (order == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the order of %llu lines", (unsigned long long)lines);
    for (uint64_t i = 0; i < lines; i++)
        region[i * LINE_WORDS] = i * LINE_WORDS;
    for (uint64_t i = lines - 1; i > 0; i--) {
        uint64_t *one = region + i * LINE_WORDS, *other = region + mix64(bench->seed + i) % i * LINE_WORDS, next = *one;
        *one = *other;
        *other = next;
    }
    for (uint64_t i = 0; i < lines; i++, at = region[at])
        order[i] = (uint32_t)(at / LINE_WORDS);
    for (unsigned i = 1; i < bench->setup->workers; i++)
        memcpy(region + i * lines * LINE_WORDS, region, lines * LINE_BYTES);
    bench->local = order;
    return 0;
}

static uint64_t *results(const struct prony_bench *bench)
{
    return data_at(bench, lines_of(bench) * LINE_BYTES * bench->setup->workers);
}

static void chase_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct chase_arg arg = {lines_of(bench)};
    uint64_t regions = arg.lines * LINE_BYTES * bench->setup->workers;
    task_fill(bench, task, 0, &arg, sizeof arg);
    task->in = data_span(bench, 0, regions);
    task->out = data_span(bench, regions, (uint64_t)bench->setup->workers * LINE_BYTES);
}

static void chase_poison(struct prony_bench *bench)
{
    for (unsigned i = 0; i < bench->setup->workers; i++)
        results(bench)[i * LINE_WORDS] = UINT64_MAX;
}

static int chase_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint32_t *order = bench->local;
    uint64_t loads = (uint64_t)bench->need->items * (uint64_t)bench->repeats, last = order[loads % lines_of(bench)];
    for (unsigned i = 0; i < bench->setup->workers; i++)
        if (results(bench)[i * LINE_WORDS] != last)
            return prony_fail(error, -EBADMSG, "worker %u ended on line %llu, not on %llu", i,
                              (unsigned long long)results(bench)[i * LINE_WORDS], (unsigned long long)last);
    return 0;
}

static void chase_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"chase", chase_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, chase) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "chase",
                       .summary = "a pointer chase through memory: load latency", .options = options),
    .unit = "load",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = chase_need,
    .prepare = chase_prepare,
    .task = chase_task,
    .poison = chase_poison,
    .verify = chase_verify,
    .release = chase_release,
};
