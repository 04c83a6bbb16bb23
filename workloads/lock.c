/* lock: all workers add to one counter under one lock: what contention costs.
 *
 * A lost update or two holders at once leave a wrong count. `hold` lengthens the time inside, `rest` the time between;
 * both are dependent multiplications, one of them a little over a nanosecond. Spinning with more workers than PUs
 * measures the scheduler. Not measured: fairness (only that each worker got its share of turns in the end). */
#include "workloads/kit.h"

#include <prony/sync.h>
#include <pthread.h>

enum { PRONY_OWN, PTHREAD, SPIN, MUTEX, RLOCK };
static const char *const kinds[] = {"prony", "pthread", "spin", "mutex", "rlock", NULL};

static const struct prony_option options[] = {
    {"items", PRONY_INT, "20k", 1, 1e9, NULL, "acquisitions of one repetition, all workers together"},
    {"kind", PRONY_CHOICE, "prony", 0, 0, kinds,
     "which lock: prony's futex lock, a pthread mutex, test-and-set, prony's robust mutex and rlock"},
    {"hold", PRONY_INT, "0", 0, 1e6, NULL, "steps of work with the lock held"},
    {"rest", PRONY_INT, "0", 0, 1e6, NULL, "steps of work between two acquisitions"},
    {"padded", PRONY_BOOL, "yes", 0, 0, NULL, "the counter has cache lines of its own, away from the lock"},
    {.name = NULL},
};

/* Layout of the data: the lock, the counter, and from TURNS on a line a worker with its turns. */
enum { APART = 128, BESIDE = 56, TURNS = 256 };
static_assert(sizeof(pthread_mutex_t) <= BESIDE && sizeof(struct prony_rlock) <= BESIDE,
              "the counter lies behind the lock");

struct lock_arg {
    uint32_t kind, counter; /* offset of the counter */
    uint64_t hold, rest;
};

static uint64_t work(uint64_t x, uint64_t steps)
{
    for (; steps > 0; steps--) {
        x = x * 6364136223846793005u + 1;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

/* Test and test-and-set. It looks now and then whether the gang still lives: a dead holder frees nothing. */
static int spin_acquire(struct prony_worker *worker, uint32_t *word)
{
    for (unsigned spins = 1; __atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE) != 0;)
        for (; __atomic_load_n(word, __ATOMIC_RELAXED) != 0; spins++) {
            prony_pause();
            if (spins % 4096 == 0 && worker->ops->stopped != NULL && worker->ops->stopped(worker))
                return -ECANCELED;
        }
    return 0;
}

static inline int acquire(struct prony_worker *worker, unsigned char *at, uint32_t kind)
{
    switch (kind) {
    case PRONY_OWN:
        prony_lock_acquire((struct prony_lock *)(void *)at);
        return 0;
    case PTHREAD:
        return -pthread_mutex_lock((pthread_mutex_t *)(void *)at);
    case MUTEX:
        return prony_mutex_acquire((struct prony_mutex *)(void *)at, -1);
    case RLOCK:
        return prony_rlock_acquire((struct prony_rlock *)(void *)at, -1);
    default:
        return spin_acquire(worker, (uint32_t *)(void *)at);
    }
}

static inline void release(unsigned char *at, uint32_t kind)
{
    switch (kind) {
    case PRONY_OWN:
        prony_lock_release((struct prony_lock *)(void *)at);
        break;
    case PTHREAD:
        (void)pthread_mutex_unlock((pthread_mutex_t *)(void *)at);
        break;
    case MUTEX:
        (void)prony_mutex_release((struct prony_mutex *)(void *)at);
        break;
    case RLOCK:
        (void)prony_rlock_release((struct prony_rlock *)(void *)at);
        break;
    default:
        __atomic_store_n((uint32_t *)(void *)at, 0, __ATOMIC_RELEASE);
    }
}

static int lock_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    unsigned char *data = prony_at(worker, task->out.off);
    uint64_t *counter, done = 0;
    int64_t mine = share(task->hi - task->lo, worker->index, worker->roles);
    struct lock_arg arg;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    counter = (uint64_t *)(void *)(data + arg.counter);
    code = prony_worker_begin(worker);
    for (uint64_t x = 0; mine > 0 && code == 0; mine--) {
        uint64_t seen;
        code = acquire(worker, data, arg.kind);
        if (code != 0)
            break;
        seen = *counter;
        x = work(x, arg.hold);
        *counter = seen + 1;
        release(data, arg.kind);
        x = work(x, arg.rest);
        done++;
    }
    prony_worker_end(worker);
    *turns_of(worker, task, TURNS) = done;
    return code;
}

static int lock_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = TURNS + (uint64_t)workers * LINE_BYTES;
    return 0;
}

static uint32_t counter_of(const struct prony_bench *bench)
{
    return prony_param_int(bench->params, "padded") != 0 ? APART : BESIDE;
}

static void lock_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct lock_arg arg = {(uint32_t)prony_param_int(bench->params, "kind"), counter_of(bench),
                           (uint64_t)prony_param_int(bench->params, "hold"),
                           (uint64_t)prony_param_int(bench->params, "rest")};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

/* A fresh lock, a counter at zero, and turns that nobody took. */
static void lock_poison(struct prony_bench *bench)
{
    pthread_mutexattr_t shared;
    memset(data_at(bench, 0), 0, TURNS);
    turns_poison(bench, TURNS);
    if (prony_param_int(bench->params, "kind") == MUTEX)
        (void)prony_mutex_init(data_at(bench, 0));
    if (prony_param_int(bench->params, "kind") == RLOCK)
        (void)prony_rlock_init(data_at(bench, 0));
    if (prony_param_int(bench->params, "kind") != PTHREAD)
        return;
    (void)pthread_mutexattr_init(&shared);
    (void)pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutex_init(data_at(bench, 0), &shared);
    (void)pthread_mutexattr_destroy(&shared);
}

static int lock_verify(struct prony_bench *bench, struct prony_error *error)
{
    int64_t items = bench->need->items * bench->repeats;
    const int64_t *counter = data_at(bench, counter_of(bench));
    int code = turns_verify(bench, TURNS, error);
    if (code != 0)
        return code;
    if (*counter != items)
        return prony_fail(error, -EBADMSG, "the counter is %lld after %lld turns: the lock let two in",
                          (long long)*counter, (long long)items);
    return 0;
}

static const struct prony_kernel kernels[] = {{"lock", lock_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, lock) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "lock", .summary = "all workers contend for one lock",
                       .options = options),
    .unit = "acquisition",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = lock_need,
    .task = lock_task,
    .poison = lock_poison,
    .verify = lock_verify,
};
