/* value: workers add to values that they share, or that merely lie beside each other.
 *
 * `sharing` one: all add to one value; own: each to a value on lines of its own; beside: each to a value of its own, all on
 * the same lines (falsely shared). `by` lock: a read and a write under the value's rlock, as Value and Array have it; atomic:
 * one instruction; none: a read and a write, which only a value of one's own survives. own and beside have a lock for each
 * value, on lines of its own: the difference is the values' place. */
#include "workloads/kit.h"

#include <prony/sync.h>

enum { ONE, OWN, BESIDE };
static const char *const sharings[] = {"one", "own", "beside", NULL};
enum { BY_LOCK, BY_ATOMIC, BY_NONE };
static const char *const means[] = {"lock", "atomic", "none", NULL};

static const struct prony_option options[] = {
    {"items", PRONY_INT, "20k", 1, 1e9, NULL, "additions of one repetition, all workers together"},
    {"sharing", PRONY_CHOICE, "one", 0, 0, sharings, "one value, one each on its own lines, or side by side"},
    {"by", PRONY_CHOICE, "lock", 0, 0, means, "how a value is protected"},
    {.name = NULL},
};

enum { APART = 128 }; /* two lines, as some processors fetch them in pairs: of a lock, of a value of one's own */
static_assert(sizeof(struct prony_rlock) <= APART, "a lock has lines of its own");

struct value_arg {
    uint32_t sharing, by;
};

/* The locks come first, then the values. */
static uint64_t value_off(unsigned workers, uint32_t sharing, unsigned index)
{
    return (uint64_t)workers * APART + index * (uint64_t)(sharing == ONE   ? 0
                                                          : sharing == OWN ? APART
                                                                           : sizeof(uint64_t));
}

static int add(struct prony_rlock *lock, volatile uint64_t *value, uint32_t by)
{
    int code;
    if (by == BY_ATOMIC) {
        __atomic_fetch_add(value, 1, __ATOMIC_RELAXED);
        return 0;
    }
    if (by == BY_NONE) {
        *value = *value + 1;
        return 0;
    }
    if ((code = prony_rlock_acquire(lock, STUCK_NS)) != 0)
        return code;
    *value = *value + 1;
    return prony_rlock_release(lock);
}

static int value_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    unsigned char *data = prony_at(worker, task->out.off);
    const int64_t mine = share(task->hi - task->lo, worker->index, worker->roles);
    struct prony_rlock *lock;
    volatile uint64_t *value;
    struct value_arg arg;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    lock = (struct prony_rlock *)(void *)(data + (arg.sharing == ONE ? 0 : worker->index) * (uint64_t)APART);
    value = (uint64_t *)(void *)(data + value_off(worker->roles, arg.sharing, worker->index));
    code = prony_worker_begin(worker);
    for (int64_t i = 0; i < mine && code == 0; i++)
        code = add(lock, value, arg.by);
    prony_worker_end(worker);
    return code;
}

static int value_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    if (workers > 1 && prony_param_int(params, "by") == BY_NONE && prony_param_int(params, "sharing") == ONE)
        return prony_fail(error, -ENOTSUP, "additions to one value get lost when nothing protects it");
    need->items = prony_param_int(params, "items");
    need->bytes = (uint64_t)workers * 2 * APART;
    return 0;
}

static void value_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct value_arg arg = {(uint32_t)prony_param_int(bench->params, "sharing"),
                            (uint32_t)prony_param_int(bench->params, "by")};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void value_poison(struct prony_bench *bench)
{
    const unsigned workers = bench->setup->workers;
    memset(data_at(bench, 0), 0, (uint64_t)workers * 2 * APART);
    for (unsigned i = 0; i < workers; i++)
        (void)prony_rlock_init(data_at(bench, i * (uint64_t)APART));
}

static int value_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint32_t sharing = (uint32_t)prony_param_int(bench->params, "sharing");
    const int64_t items = bench->need->items * bench->repeats;
    const unsigned workers = bench->setup->workers;
    for (unsigned i = 0; i < (sharing == ONE ? 1 : workers); i++) {
        const int64_t due = sharing == ONE ? items : share(items, i, workers);
        const int64_t value = *(int64_t *)data_at(bench, value_off(workers, sharing, i));
        if (value != due)
            return prony_fail(error, -EBADMSG, "value %u is %lld after %lld additions", i, (long long)value,
                              (long long)due);
    }
    return 0;
}

static const struct prony_kernel kernels[] = {{"value", value_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, value) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "value",
                       .summary = "workers add to values: one, each its own, or side by side", .options = options),
    .unit = "addition",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = value_need,
    .task = value_task,
    .poison = value_poison,
    .verify = value_verify,
};
