/* semaphore: all workers pass through one semaphore with so many places.
 *
 * With one place the count behind it is a plain one, which two at once would spoil; with more, those inside are counted and
 * must never be over the places, and that count is part of the time. Not measured: fairness. */
#include "workloads/kit.h"

#include <prony/sync.h>
#include <semaphore.h>

enum { PRONY_OWN, POSIX };
static const char *const kinds[] = {"prony", "posix", NULL};

static const struct prony_option options[] = {
    {"items", PRONY_INT, "20k", 1, 1e9, NULL, "acquisitions of one repetition, all workers together"},
    {"kind", PRONY_CHOICE, "prony", 0, 0, kinds, "which semaphore: prony's, or sem_t of the C library"},
    {"places", PRONY_INT, "1", 1, 1e6, NULL, "what it begins with, and its bound"},
    {.name = NULL},
};

enum { COUNTS = 128, TURNS = 256 }; /* offsets: those inside, the count, whether there were too many; turns */
static_assert(sizeof(sem_t) <= COUNTS, "the counts lie behind the semaphore");

struct counts {
    uint64_t count, inside, over;
};

struct semaphore_arg {
    uint32_t kind;
    uint32_t places;
};

static int acquire(void *at, uint32_t kind)
{
    if (kind == PRONY_OWN)
        return prony_semaphore_acquire(at, STUCK_NS);
    while (sem_wait(at) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int release(void *at, uint32_t kind)
{
    if (kind == PRONY_OWN)
        return prony_semaphore_release(at, 1);
    return sem_post(at) == 0 ? 0 : -errno;
}

static void inside(struct counts *counts, uint32_t places)
{
    if (places == 1) {
        counts->count++;
        return;
    }
    __atomic_fetch_add(&counts->count, 1, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&counts->inside, 1, __ATOMIC_SEQ_CST) > places)
        __atomic_store_n(&counts->over, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&counts->inside, 1, __ATOMIC_SEQ_CST);
}

static int semaphore_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    unsigned char *data = prony_at(worker, task->out.off);
    struct counts *counts = (struct counts *)(void *)(data + COUNTS);
    const int64_t mine = share(task->hi - task->lo, worker->index, worker->roles);
    struct semaphore_arg arg;
    uint64_t done = 0;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    code = prony_worker_begin(worker);
    for (int64_t i = 0; i < mine && code == 0; i++) {
        if ((code = acquire(data, arg.kind)) != 0)
            break;
        inside(counts, arg.places);
        code = release(data, arg.kind);
        done++;
    }
    prony_worker_end(worker);
    *turns_of(worker, task, TURNS) = done;
    return code;
}

static int semaphore_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                          struct prony_error *error)
{
    (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = TURNS + (uint64_t)workers * LINE_BYTES;
    return 0;
}

static void semaphore_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct semaphore_arg arg = {(uint32_t)prony_param_int(bench->params, "kind"),
                                (uint32_t)prony_param_int(bench->params, "places")};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void semaphore_poison(struct prony_bench *bench)
{
    const unsigned places = (unsigned)prony_param_int(bench->params, "places");
    memset(data_at(bench, 0), 0, TURNS);
    turns_poison(bench, TURNS);
    if (prony_param_int(bench->params, "kind") == PRONY_OWN)
        (void)prony_semaphore_init(data_at(bench, 0), places, places);
    else
        (void)sem_init(data_at(bench, 0), 1, places);
}

static int semaphore_verify(struct prony_bench *bench, struct prony_error *error)
{
    const struct counts *counts = data_at(bench, COUNTS);
    const int64_t items = bench->need->items * bench->repeats, places = prony_param_int(bench->params, "places");
    int value = 0, code = turns_verify(bench, TURNS, error);
    if (code != 0)
        return code;
    if (prony_param_int(bench->params, "kind") == PRONY_OWN)
        value = (int)prony_semaphore_value(data_at(bench, 0));
    else
        (void)sem_getvalue(data_at(bench, 0), &value);
    if (value != places || counts->over != 0 || counts->count != (uint64_t)items)
        return prony_fail(error, -EBADMSG, "%llu were counted in %lld turns, %d of %lld places are free at the end%s",
                          (unsigned long long)counts->count, (long long)items, value, (long long)places,
                          counts->over != 0 ? ", and too many were inside at once" : "");
    return 0;
}

static const struct prony_kernel kernels[] = {{"semaphore", semaphore_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, semaphore) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "semaphore", .summary = "all workers pass through one semaphore",
                       .options = options),
    .unit = "acquisition",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = semaphore_need,
    .task = semaphore_task,
    .poison = semaphore_poison,
    .verify = semaphore_verify,
};
