/* start: opens the engine, lets every worker do one thing, closes it: what an engine costs before it works.
 *
 * `first` says what: a gang reaches every worker and so waits until the last one is up; a map of one item a worker
 * is what a user would do first, and a quick worker may take several items. The engine's memory is cleared off the
 * clock. */
#include "base/clock.h"
#include "workloads/kit.h"

enum { GANG, MAP };
static const char *const firsts[] = {"gang", "map", NULL};

static const struct prony_option options[] = {
    {"first", PRONY_CHOICE, "gang", 0, 0, firsts, "what the workers do once: a gang, or a map of one item each"},
    {.name = NULL},
};

/* ns[0] is the whole life. */
enum { WHOLE, OPEN, TASK, CLOSE };
static const char *const phases[] = {"open", "task", "close", NULL};

struct start_arg {
    uint32_t first;
};

/* Counts lives, a line a worker or item: no two workers of one life write the same. */
static int start_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct start_arg arg;
    int64_t lo = task->lo, hi = task->hi;
    memcpy(&arg, task->arg, sizeof arg);
    if (arg.first == GANG) {
        lo = worker->index;
        hi = lo + 1;
    }
    for (; lo < hi; lo++)
        ++*(uint64_t *)prony_at(worker, task->out.off + (uint64_t)lo * LINE_BYTES);
    return 0;
}

static int start_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    (void)error;
    need->items = 1;
    need->bytes = (uint64_t)workers * LINE_BYTES;
    need->engine_caps = prony_param_int(params, "first") == GANG ? PRONY_CAP_GANG : PRONY_CAP_MAP;
    return 0;
}

/* Room for a gang's statuses. */
static int start_prepare(struct prony_bench *bench, struct prony_error *error)
{
    bench->local = calloc(bench->setup->workers, sizeof(int));
    return bench->local != NULL ? 0 : prony_fail(error, -ENOMEM, "no memory for the workers' statuses");
}

static void start_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct start_arg arg = {(uint32_t)prony_param_int(bench->params, "first")};
    task_fill(bench, task, 0, &arg, sizeof arg);
    task->lo = 0;
    task->hi = bench->setup->workers;
}

static void start_poison(struct prony_bench *bench)
{
    for (unsigned i = 0; i < bench->setup->workers; i++)
        *(uint64_t *)data_at(bench, i * (uint64_t)LINE_BYTES) = 0;
}

static int first_task(struct prony_bench *bench, void *handle, const struct prony_task *task)
{
    unsigned workers = bench->setup->workers;
    int *status = bench->local, code;
    if (prony_param_int(bench->params, "first") == MAP) {
        code = bench->engine->map(handle, task, 1, &bench->tally, bench->timeout_ns);
        return code != 0 ? code : bench->tally.status;
    }
    code = bench->engine->gang(handle, task, workers, status, bench->timeout_ns);
    for (unsigned i = 0; i < workers && code == 0; i++)
        code = status[i];
    return code;
}

static int one_life(struct prony_bench *bench, const struct prony_task *task)
{
    const struct prony_setup *setup = bench->setup;
    uint64_t begun, opened, done, closed;
    void *handle = NULL;
    int code, closing;
    memset(setup->base + setup->area.off, 0, setup->area.len);
    begun = prony_now_ns();
    code = bench->engine->open(setup, &handle, bench->error);
    opened = prony_now_ns();
    if (code != 0)
        return prony_fail_within(bench->error, code, "open");
    code = first_task(bench, handle, task);
    done = prony_now_ns();
    closing = bench->engine->close(handle, 1, bench->timeout_ns);
    closed = prony_now_ns();
    if (code != 0)
        return prony_fail(bench->error, code, "the first task of a new engine failed");
    if (closing != 0)
        return prony_fail(bench->error, closing, "the engine did not close");
    bench->ns[WHOLE] += closed - begun;
    bench->ns[OPEN] += opened - begun;
    bench->ns[TASK] += done - opened;
    bench->ns[CLOSE] += closed - done;
    return 0;
}

static int start_drive(struct prony_bench *bench)
{
    struct prony_task task = {.lo = 0};
    int code = 0;
    start_task(bench, &task);
    memset(bench->ns, 0, sizeof bench->ns);
    for (int64_t i = 0; i < bench->repeats && code == 0; i++)
        code = one_life(bench, &task);
    return code;
}

static int start_verify(struct prony_bench *bench, struct prony_error *error)
{
    for (unsigned i = 0; i < bench->setup->workers; i++) {
        uint64_t lives = *(uint64_t *)data_at(bench, i * (uint64_t)LINE_BYTES);
        if (lives != (uint64_t)bench->repeats)
            return prony_fail(error, -EBADMSG, "%s %u ran %llu times in %lld lives",
                              prony_param_int(bench->params, "first") == GANG ? "worker" : "item", i,
                              (unsigned long long)lives, (long long)bench->repeats);
    }
    return 0;
}

static void start_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"start", start_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, start) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "start",
                       .summary = "opens the engine, uses each worker once, closes it", .options = options),
    .unit = "start",
    .kernels = kernels,
    .shape = PRONY_LIFE,
    .phases = phases,
    .need = start_need,
    .prepare = start_prepare,
    .task = start_task,
    .poison = start_poison,
    .drive = start_drive,
    .verify = start_verify,
    .release = start_release,
};
