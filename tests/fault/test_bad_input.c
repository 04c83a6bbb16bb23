/* What a caller should not ask for: each is an error where it belongs, on the future or in the tally, and the engine works
 * on. */
#include "tests/fault/trouble.h"

#include <sys/resource.h>

enum { DEEP = COUNT + 1, CAREFUL, BROAD, ENDLESS };
enum { FRAME = 32768, DEEPEST = ITEMS - 100 };

/* A task with one kid of the same kind, and so on: with `bottom`, until that many; else without end. */
static int descend(struct prony_worker *worker, const struct prony_task *task, uint16_t kernel, int64_t bottom)
{
    struct prony_task kid = *task;
    const struct prony_future *its;
    int code;
    if (task->lo == bottom)
        return 0;
    kid.ref.kernel = kernel;
    kid.lo = task->lo + 1;
    kid.future = prony_worker_push(worker, sizeof *its);
    if (kid.future == 0)
        return -ENOMEM;
    its = prony_at(worker, kid.future);
    if ((code = worker->ops->spawn(worker, &kid)) == 0)
        code = worker->ops->join(worker, &kid, 1);
    code = code != 0 ? code : its->status;
    if (code == 0 || kernel == CAREFUL)
        prony_worker_pop(worker, sizeof *its); /* DEEP leaves its scratch behind when it fails */
    return code;
}

static int deep(struct prony_worker *worker, const struct prony_task *task)
{
    return descend(worker, task, DEEP, -1);
}

static int careful(struct prony_worker *worker, const struct prony_task *task)
{
    return descend(worker, task, CAREFUL, 50);
}

/* As CAREFUL, with so much on the stack that it ends before the scratch does. */
static int broad(struct prony_worker *worker, const struct prony_task *task)
{
    volatile unsigned char room[FRAME];
    int32_t *marks = prony_at(worker, task->out.off);
    const struct prony_future *its;
    struct prony_task kid = *task;
    int code = -ENOBUFS;
    if (task->lo >= DEEPEST)
        return code;
    room[FRAME / 2] = 1;
    kid.lo = task->lo + 1;
    kid.future = prony_worker_push(worker, sizeof *its);
    if (kid.future != 0 && (code = worker->ops->spawn(worker, &kid)) == 0 &&
        (code = worker->ops->join(worker, &kid, 1)) == 0) {
        its = prony_at(worker, kid.future);
        code = its->status;
    }
    marks[task->lo] = room[FRAME / 2];
    if (kid.future != 0)
        prony_worker_pop(worker, sizeof *its);
    return code;
}

/* More stack than there is, where the argument says so. */
static int endless(struct prony_worker *worker, const struct prony_task *task)
{
    volatile unsigned char room[4096];
    struct prony_task next = *task;
    room[0] = task->arg[0];
    return room[0] == 0 ? count(worker, task) : endless(worker, &next) + room[0];
}

static const struct prony_kernel kernels[] = {
    {"count", count}, {"deep", deep}, {"careful", careful}, {"broad", broad}, {"endless", endless}, {NULL, NULL},
};

static int numbers_of_workers(struct cell *cell)
{
    static const unsigned wrong[] = {0, (unsigned)-1, PRONY_POOL_WORKERS + 1};
    prepare(cell, WORKERS);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct prony_error error = {0, ""};
        void *handle = NULL;
        cell->ground.setup.workers = wrong[i];
        CHECK(cell->subject.engine->open(&cell->ground.setup, &handle, &error) == -EINVAL);
        CHECK(handle == NULL && strstr(error.text, "1 to 256 workers") != NULL);
    }
    cell->ground.setup.workers = WORKERS;
    CHECK(start(cell) == 0);
    works(cell);
    return stop(cell);
}

static int chunks(struct cell *cell)
{
    struct prony_tally tally;
    begin(cell);
    CHECK(map(cell, ITEMS + 1, &tally) == 0 && tally.status == 0);
    CHECK(map(cell, INT64_MAX, &tally) == 0 && tally.status == 0);
    for (unsigned i = 0; i < ITEMS; i++)
        CHECK(counts(cell)[i] == 1);
    CHECK(map(cell, -1, &tally) == -EINVAL && tally.status == 0 && tally.failed == 0);
    CHECK(map(cell, INT64_MIN, &tally) == -EINVAL);
    for (unsigned i = 0; i < ITEMS; i++)
        CHECK(counts(cell)[i] == 0);
    works(cell);
    return stop(cell);
}

/* Every fifth task is to work on more than there is. */
static int payloads(struct cell *cell)
{
    struct prony_task tasks[TASKS], all;
    struct prony_tally tally;
    struct prony_span beyond[4];
    begin(cell);
    beyond[0] = (struct prony_span){cell->ground.data.off, cell->ground.setup.arena_bytes};
    beyond[1] = (struct prony_span){cell->ground.setup.arena_bytes + 1, 0};
    beyond[2] = (struct prony_span){64, UINT64_MAX};
    beyond[3] = (struct prony_span){UINT64_MAX - 63, 128};
    memset(counts(cell), 0, ITEMS * sizeof(int32_t));
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i] = task_of(cell, COUNT, i);
        if (i % 5 == 0)
            *(i % 2 == 0 ? &tasks[i].in : &tasks[i].out) = beyond[i / 5 % 4];
    }
    CHECK(run(cell, tasks, TASKS) == 0);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK(future_of(cell, i)->status == (i % 5 == 0 ? -EFAULT : 0) && counts(cell)[i] == (i % 5 != 0));
    all = task_of(cell, COUNT, 0);
    all.hi = ITEMS;
    all.out.len = cell->ground.setup.arena_bytes + 1;
    CHECK(cell->subject.engine->map(cell->handle, &all, 100, &tally, LIMIT_NS) == 0);
    CHECK(tally.status == -EFAULT && tally.failed == ITEMS / 100 && tally.first_lo == 0 && tally.first_hi == 100);
    works(cell);
    return stop(cell);
}

/* Recursion that needs more scratch than there is, from a kernel that cleans up and from one that does not. */
static int recursion(struct cell *cell)
{
    if (!has(cell, PRONY_CAP_NEST))
        return SKIPPED;
    begin(cell);
    for (unsigned round = 0; round < 5; round++) {
        struct prony_task tasks[8];
        for (unsigned i = 0; i < 8; i++) {
            tasks[i] = task_of(cell, i % 2 == 0 ? DEEP : CAREFUL, i);
            tasks[i].lo = 0;
        }
        CHECK(run(cell, tasks, 8) == 0);
        for (unsigned i = 0; i < 8; i++)
            CHECK(future_of(cell, i)->status == (i % 2 == 0 ? -ENOMEM : 0));
    }
    works(cell);
    return stop(cell);
}

/* Kids that need more stack than there is: the one that does not fit fails, and so on up to the task itself. */
static int recursion_on_the_stack(struct cell *cell)
{
    const struct rlimit small = {4 << 20, RLIM_INFINITY};
    if (!has(cell, PRONY_CAP_NEST))
        return SKIPPED;
    if (is_processes(cell)) /* of a thread it is the program's at its start */
        CHECK(setrlimit(RLIMIT_STACK, &small) == 0);
    begin(cell);
    for (unsigned round = 0; round < 3; round++) {
        struct prony_task task = task_of(cell, BROAD, 0);
        unsigned depth = 0;
        memset(counts(cell), 0, ITEMS * sizeof(int32_t));
        task.lo = 0;
        CHECK(run(cell, &task, 1) == 0);
        CHECK(future_of(cell, 0)->status == -ENOMEM);
        while (depth < ITEMS && counts(cell)[depth] != 0)
            depth++;
        CHECK(depth > 1 && depth < DEEPEST);
        for (unsigned i = depth; i < ITEMS; i++)
            CHECK(counts(cell)[i] == 0);
    }
    works(cell);
    return stop(cell);
}

/* A process that runs out of stack fails its task and no other. A thread would take the program with it: not tried. */
static int stacks(struct cell *cell)
{
    const struct rlimit small = {1 << 20, 1 << 20}, none = {0, 0};
    struct prony_task tasks[TASKS];
    if (!is_processes(cell))
        return SKIPPED;
    CHECK(setrlimit(RLIMIT_STACK, &small) == 0 && setrlimit(RLIMIT_CORE, &none) == 0);
    begin(cell);
    memset(counts(cell), 0, ITEMS * sizeof(int32_t));
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i] = task_of(cell, ENDLESS, i);
        tasks[i].arg[0] = i % 20 == 3;
    }
    CHECK(run(cell, tasks, TASKS) == 0);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK(future_of(cell, i)->status == (i % 20 == 3 ? -(PRONY_DIED + SIGSEGV) : 0));
    works(cell);
    return stop(cell);
}

/* No machine has so much memory, or so many addresses. */
static int no_memory_for_the_arena(struct cell *cell)
{
    static const uint64_t much[] = {UINT64_C(1) << 50, UINT64_C(1) << 62, UINT64_MAX - 1000};
    for (size_t i = 0; i < sizeof much / sizeof *much; i++) {
        const struct prony_wish wish = {.workers = WORKERS, .area = 4096, .data = much[i], .futures = TASKS};
        struct prony_ground ground;
        struct prony_error error = {0, ""};
        int code = prony_ground_make(&ground, kernels, &wish, &error);
        CHECK(code == -ENOMEM || code == -EINVAL || code == -EFBIG);
        CHECK(strstr(error.text, "arena") != NULL && ground.arena.base == NULL && ground.arena.fd == -1);
    }
    begin(cell);
    works(cell);
    return stop(cell);
}

int main(int argc, char **argv)
{
    static const struct trial trials[] = {
        {"numbers_of_workers", numbers_of_workers},
        {"chunks", chunks},
        {"payloads", payloads},
        {"recursion", recursion},
        {"recursion_on_the_stack", recursion_on_the_stack},
        {"stacks", stacks},
        {"no_memory_for_the_arena", no_memory_for_the_arena},
    };
    return run_trials(kernels, trials, sizeof trials / sizeof *trials, argc, argv);
}
