/* A workload that misbehaves on purpose, in the way its parameter says: what a broken kernel costs, a test can see. */
#include <prony/plugin/workload.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const ways[] = {"not",  "fail",      "wrong",   "segv", "exit",
                                   "hang", "kill-host", "prepare", "deep", NULL};
enum { NOT, FAIL, WRONG, SEGV, EXIT, HANG, KILL_HOST, PREPARE, TOO_DEEP };

static const struct prony_option options[] = {
    {"items", PRONY_INT, "100", 1, 1e6, NULL, "numbers to be written"},
    {"way", PRONY_CHOICE, "not", 0, 0, ways, "what goes wrong"},
    {"after", PRONY_INT, "0", 0, 1e6, NULL, "samples that go well before"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

/* More stack than there is. */
static int fall(int depth)
{
    volatile unsigned char room[4096];
    room[0] = (unsigned char)depth;
    return fall(depth + 1) + room[0];
}

static int misbehave(struct prony_worker *worker, const struct prony_task *task)
{
    int64_t *out = prony_at(worker, task->out.off);
    if (task->lo == 0) {
        switch (task->arg[0]) {
        case FAIL:
            return -EIO;
        case SEGV:
            (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own handler */
            (void)raise(SIGSEGV);
            break;
        case EXIT:
            _exit(7);
        case TOO_DEEP:
            (void)signal(SIGSEGV, SIG_DFL);
            return fall(0);
        case HANG:
            for (;;)
                (void)pause();
        default:
            break;
        }
    }
    for (int64_t i = task->lo; i < task->hi; i++)
        out[i] = 3 * i + (task->arg[0] == WRONG && i == 5);
    return 0;
}

static int need(const struct prony_params *params, unsigned workers, struct prony_need *wanted,
                struct prony_error *error)
{
    (void)workers, (void)error;
    wanted->items = prony_param_int(params, "items");
    wanted->bytes = (uint64_t)wanted->items * sizeof(int64_t);
    return 0;
}

static int prepare(struct prony_bench *bench, struct prony_error *error)
{
    if (prony_param_int(bench->params, "way") == PREPARE)
        return prony_fail(error, -EIO, "prepare fails on purpose");
    return 0;
}

static void describe(const struct prony_bench *bench, struct prony_task *task)
{
    int64_t way = prony_param_int(bench->params, "way");
    task->arg[0] = (int64_t)bench->sample < prony_param_int(bench->params, "after") ? NOT : (unsigned char)way;
    if (task->arg[0] == KILL_HOST)
        (void)kill(getpid(), SIGKILL);
}

static void poison(struct prony_bench *bench)
{
    memset(bench->setup->base + bench->data.off, 0xa5, bench->need->bytes);
}

static int verify(struct prony_bench *bench, struct prony_error *error)
{
    const int64_t *out = (const int64_t *)(const void *)(bench->setup->base + bench->data.off);
    for (int64_t i = 0; i < bench->need->items; i++)
        if (out[i] != 3 * i)
            return prony_fail(error, -EBADMSG, "item %lld is %lld, not %lld", (long long)i, (long long)out[i],
                              (long long)(3 * i));
    return 0;
}

static const struct prony_kernel kernels[] = {{"misbehave", misbehave}, {NULL, NULL}};

PRONY_EXPORT(workload, misbehave) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "misbehave", .summary = "goes wrong as it is told",
                       .options = options),
    .unit = "number",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .need = need,
    .prepare = prepare,
    .task = describe,
    .poison = poison,
    .verify = verify,
};
