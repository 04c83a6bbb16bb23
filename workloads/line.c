/* line: two workers hand a cache line back and forth by reading and writing it: the yardstick of all handing over.
 *
 * Each writes to a line of its own and watches the other's, without a pause instruction; the time is that of the whole
 * batch, so no clock is read in it. No channel and no system call. The workers spin: never two of them on one PU. */
#include "base/clock.h"
#include "workloads/kit.h"

static const struct prony_option options[] = {
    {"items", PRONY_INT, "1000", 1, 1e8, NULL, "round trips of one repetition"},
    {.name = NULL},
};

enum { ROLES = 2, LINES = 3, STOP_LOOKS = 1 << 20 };

/* A line a role, with an empty one between: neighbours are fetched in pairs. */
struct pair {
    uint64_t number;
    unsigned char pad[LINE_BYTES * LINES - sizeof(uint64_t)];
};

/* Until the line holds `number`; looks now and then whether the peer is dead. */
static int await(struct prony_worker *worker, const struct pair *theirs, uint64_t number)
{
    for (unsigned looks = 1; __atomic_load_n(&theirs->number, __ATOMIC_ACQUIRE) != number; looks++)
        if (looks % STOP_LOOKS == 0 && worker->ops->stopped != NULL && worker->ops->stopped(worker))
            return -ECANCELED;
    return 0;
}

static int line_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct pair *pairs = prony_at(worker, task->out.off), *mine = &pairs[worker->index],
                *theirs = &pairs[1 - worker->index];
    int code = prony_worker_begin(worker);
    for (uint64_t i = 1; i <= (uint64_t)task->hi && code == 0; i++) {
        if (worker->index == 0)
            __atomic_store_n(&mine->number, i, __ATOMIC_RELEASE);
        code = await(worker, theirs, i);
        if (worker->index == 1)
            __atomic_store_n(&mine->number, i, __ATOMIC_RELEASE);
    }
    prony_worker_end(worker);
    return code;
}

static int line_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = ROLES * sizeof(struct pair);
    need->roles = ROLES;
    need->spins = 1;
    return 0;
}

static void line_poison(struct prony_bench *bench)
{
    memset(data_at(bench, 0), 0, ROLES * sizeof(struct pair));
}

static int line_verify(struct prony_bench *bench, struct prony_error *error)
{
    const struct pair *pairs = data_at(bench, 0);
    const uint64_t trips = (uint64_t)(bench->need->items * bench->repeats);
    for (unsigned role = 0; role < ROLES; role++)
        if (pairs[role].number != trips)
            return prony_fail(error, -EBADMSG, "role %u made %llu round trips, not %llu", role,
                              (unsigned long long)pairs[role].number, (unsigned long long)trips);
    return 0;
}

static const struct prony_kernel kernels[] = {{"line", line_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, line) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "line",
                       .summary = "a cache line back and forth between two workers", .options = options),
    .unit = "round trip",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = line_need,
    .poison = line_poison,
    .verify = line_verify,
};
