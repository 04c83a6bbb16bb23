/* barrier: all workers meet, again and again.
 *
 * Before each meeting a worker writes its number down, and after it must find that its neighbour has written the same or the
 * next one. Not measured: work between the meetings. */
#include "workloads/kit.h"

#include <prony/sync.h>
#include <pthread.h>

enum { PRONY_OWN, PTHREAD };
static const char *const kinds[] = {"prony", "pthread", NULL};

static const struct prony_option options[] = {
    {"items", PRONY_INT, "500", 1, 1e9, NULL, "meetings of one repetition"},
    {"kind", PRONY_CHOICE, "prony", 0, 0, kinds, "which barrier: prony's, or that of the C library"},
    {.name = NULL},
};

enum { AT = 128 }; /* the barrier, then a line a worker with the meetings it went to */
static_assert(sizeof(struct prony_barrier) <= AT && sizeof(pthread_barrier_t) <= AT, "the lines lie behind it");

struct barrier_arg {
    uint32_t kind;
};

static int meet(void *barrier, uint32_t kind)
{
    int code;
    if (kind == PRONY_OWN)
        return (code = prony_barrier_wait(barrier, STUCK_NS)) < 0 ? code : 0;
    code = pthread_barrier_wait(barrier);
    return code == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : -code;
}

static int barrier_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    unsigned char *data = prony_at(worker, task->out.off);
    int64_t *mine = (int64_t *)(void *)(data + AT + worker->index * (uint64_t)LINE_BYTES);
    const int64_t *next = (int64_t *)(void *)(data + AT + (worker->index + 1) % worker->roles * (uint64_t)LINE_BYTES);
    struct barrier_arg arg;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    code = prony_worker_begin(worker);
    for (int64_t i = 1; i <= task->hi - task->lo && code == 0; i++) {
        int64_t seen;
        __atomic_store_n(mine, i, __ATOMIC_RELAXED);
        code = meet(data, arg.kind);
        seen = __atomic_load_n(next, __ATOMIC_RELAXED);
        if (code == 0 && seen != i && seen != i + 1)
            code = -EBADMSG;
    }
    prony_worker_end(worker);
    return code;
}

static int barrier_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                        struct prony_error *error)
{
    (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = AT + (uint64_t)workers * LINE_BYTES;
    return 0;
}

static void barrier_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct barrier_arg arg = {(uint32_t)prony_param_int(bench->params, "kind")};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void barrier_poison(struct prony_bench *bench)
{
    const unsigned workers = bench->setup->workers;
    pthread_barrierattr_t shared;
    memset(data_at(bench, 0), 0, AT);
    turns_poison(bench, AT);
    if (prony_param_int(bench->params, "kind") == PRONY_OWN) {
        (void)prony_barrier_init(data_at(bench, 0), workers);
        return;
    }
    (void)pthread_barrierattr_init(&shared);
    (void)pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    (void)pthread_barrier_init(data_at(bench, 0), &shared, workers);
    (void)pthread_barrierattr_destroy(&shared);
}

static int barrier_verify(struct prony_bench *bench, struct prony_error *error)
{
    const int64_t items = bench->need->items * bench->repeats;
    for (unsigned i = 0; i < bench->setup->workers; i++) {
        const int64_t went = *(int64_t *)data_at(bench, AT + i * (uint64_t)LINE_BYTES);
        if (went != items)
            return prony_fail(error, -EBADMSG, "worker %u went to %lld meetings, not %lld", i, (long long)went,
                              (long long)items);
    }
    return 0;
}

static const struct prony_kernel kernels[] = {{"barrier", barrier_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, barrier) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "barrier", .summary = "all workers meet, again and again",
                       .options = options),
    .unit = "meeting",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = barrier_need,
    .task = barrier_task,
    .poison = barrier_poison,
    .verify = barrier_verify,
};
