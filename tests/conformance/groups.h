/* A bed for tests of groups: one engine after the other, with kernels that say what they did. */
#ifndef PRONY_TESTS_GROUPS_H
#define PRONY_TESTS_GROUPS_H

#include "base/params.h"
#include "base/registry.h"
#include "parallel/carry.h"

#include <prony/iterate.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FUTURES 64u
#define SLOTS 12000
#define LONG_NS 30000000000 /* never reached where all is well */

/* What to run on: a pool, an executor, or a pool whose tasks travel over a channel. */
enum kind { POOL, EXECUTOR, CARRIED };

struct engine {
    const char *name;
    enum kind kind;
    enum prony_staff staff;
};

struct cell {
    const struct engine *engine;
    struct prony_ground ground;
    struct prony_params carrier;
    union {
        struct prony_pool *pool;
        struct prony_executor *executor;
        struct prony_carry *carry;
    } of;
    struct prony_group *group;
};

/* What kernels leave behind, in the arena. */
struct board {
    int32_t gate, clock, begun;
    int32_t when[SLOTS]; /* the clock when item i was done; 0: never */
};

enum { SQUARE, REFUSE, HOLD, MARK, DIE, LENGTH };

static inline struct board *board(const struct cell *cell)
{
    return (struct board *)(void *)(cell->ground.arena.base + cell->ground.data.off);
}

static inline int k_square(struct prony_worker *worker, const struct prony_task *task)
{
    ((struct prony_future *)prony_at(worker, task->future))->value = (uint64_t)(task->lo * task->lo);
    return 0;
}
static inline int k_refuse(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker;
    return task->lo % 2 == 0 ? -EINVAL : -EDOM;
}
/* Marks its items; those that `arg` names (as 8 bytes) fail with -ERANGE. */
static inline int k_mark(struct prony_worker *worker, const struct prony_task *task)
{
    struct board *its = prony_at(worker, task->out.off);
    int64_t bad;
    memcpy(&bad, task->arg, sizeof bad);
    for (int64_t i = task->lo; i < task->hi; i++)
        if (bad == i + 1)
            return -ERANGE;
        else
            __atomic_store_n(&its->when[i], __atomic_add_fetch(&its->clock, 1, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    return 0;
}
/* Runs until the gate opens. */
static inline int k_hold(struct prony_worker *worker, const struct prony_task *task)
{
    struct board *its = prony_at(worker, task->out.off);
    (void)__atomic_add_fetch(&its->begun, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&its->gate, __ATOMIC_SEQ_CST) == 0)
        (void)usleep(50);
    return k_mark(worker, task);
}
static inline int k_die(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker;
    (void)task;
    return raise(SIGKILL);
}
static inline int k_length(struct prony_worker *worker, const struct prony_task *task)
{
    ((struct prony_future *)prony_at(worker, task->future))->value = strlen((const char *)task->arg);
    return 0;
}
static const struct prony_kernel kernels[] = {{"square", k_square}, {"refuse", k_refuse}, {"hold", k_hold},
                                              {"mark", k_mark},     {"die", k_die},       {"length", k_length},
                                              {NULL, NULL}};

static inline void open_engine(struct cell *cell)
{
    const struct prony_policy policy = {.staff = cell->engine->staff, .idle = PRONY_IDLE_ADAPTIVE};
    struct prony_error error = {0, ""};
    int code;
    if (cell->engine->kind == POOL)
        code = prony_pool_open(&cell->ground.setup, &policy, &cell->of.pool, &error);
    else if (cell->engine->kind == EXECUTOR)
        code = prony_executor_open(&cell->ground.setup, &policy, &cell->of.executor, &error);
    else
        code = prony_carry_open(&cell->ground.setup, &policy, &cell->of.carry, &error);
    if (code != 0)
        fail_msg("%s: %s", cell->engine->name, error.text);
}

static inline int open_group(struct cell *cell, struct prony_span futures, struct prony_group **group,
                             struct prony_error *error)
{
    if (cell->engine->kind == POOL)
        return prony_pool_group(cell->of.pool, futures, group, error);
    if (cell->engine->kind == EXECUTOR)
        return prony_executor_group(cell->of.executor, futures, group, error);
    return prony_carry_group(cell->of.carry, futures, group, error);
}

static inline void begin_with(struct cell *cell, const struct engine *engine, const struct prony_kernel *its,
                              unsigned workers, unsigned futures)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {workers, prony_pool_area(workers), sizeof(struct board), futures};
    memset(cell, 0, sizeof *cell);
    cell->engine = engine;
    if (engine->kind == EXECUTOR)
        wish.area = prony_executor_area(workers);
    assert_int_equal(prony_ground_make(&cell->ground, its, &wish, &error), 0);
    if (engine->kind == CARRIED) {
        (void)signal(SIGPIPE, SIG_IGN); /* as cell hosts do */
        cell->ground.setup.carrier = (const struct prony_channel *)prony_registry_find(PRONY_CHANNEL, "pipe", &error);
        assert_non_null(cell->ground.setup.carrier);
        assert_int_equal(prony_params_init(&cell->carrier, cell->ground.setup.carrier->head.options, &error), 0);
        cell->ground.setup.carrier_params = &cell->carrier;
    }
    open_engine(cell);
    if (open_group(cell, cell->ground.futures, &cell->group, &error) != 0)
        fail_msg("%s: %s", engine->name, error.text);
}

static inline void begin(struct cell *cell, const struct engine *engine, unsigned workers, unsigned futures)
{
    begin_with(cell, engine, kernels, workers, futures);
}

static inline void open_gate(struct cell *cell)
{
    __atomic_store_n(&board(cell)->gate, 1, __ATOMIC_SEQ_CST);
}

/* Closes what is left, and wants it to have been well. */
static inline void end(struct cell *cell)
{
    int code;
    open_gate(cell);
    if (cell->group != NULL)
        assert_int_equal(prony_group_close(cell->group, 1, LONG_NS), 0);
    code = cell->engine->kind == POOL       ? prony_pool_close(cell->of.pool, 1, LONG_NS)
           : cell->engine->kind == EXECUTOR ? prony_executor_close(cell->of.executor, 1, LONG_NS)
                                            : prony_carry_close(cell->of.carry, 1, LONG_NS);
    assert_int_equal(code, 0);
    if (cell->engine->kind == CARRIED)
        prony_params_free(&cell->carrier);
    prony_ground_free(&cell->ground);
}

static inline struct prony_task task_of(const struct cell *cell, uint16_t kernel, int64_t lo, int64_t hi)
{
    return (struct prony_task){.ref = {1, kernel}, .lo = lo, .hi = hi, .out = cell->ground.data};
}

static inline uint64_t submit(struct cell *cell, uint16_t kernel, int64_t lo, const struct prony_terms *terms)
{
    const struct prony_task task = task_of(cell, kernel, lo, lo + 1);
    struct prony_error error = {0, ""};
    uint64_t handle = 0;
    if (prony_group_submit(cell->group, &task, terms, &handle, &error) != 0)
        fail_msg("%s: %s", cell->engine->name, error.text);
    return handle;
}

static inline int when(const struct cell *cell, int64_t i)
{
    return __atomic_load_n(&board(cell)->when[i], __ATOMIC_SEQ_CST);
}

/* Returns when n tasks that hold have begun. */
static inline void await_begun(struct cell *cell, int n)
{
    for (unsigned i = 0; i < 300000 && __atomic_load_n(&board(cell)->begun, __ATOMIC_SEQ_CST) < n; i++)
        (void)prony_group_wait(cell->group, NULL, 0, PRONY_ALL_COMPLETED, 100000);
    assert_true(__atomic_load_n(&board(cell)->begun, __ATOMIC_SEQ_CST) >= n);
}

/* Returns when stuck threads are back: the gate is open. */
static inline void await_unstuck(struct cell *cell)
{
    for (unsigned i = 0; i < 300000 && prony_group_stuck(cell->group) != 0; i++) {
        (void)prony_group_wait(cell->group, NULL, 0, PRONY_ALL_COMPLETED, 0);
        (void)usleep(100);
    }
    assert_int_equal(prony_group_stuck(cell->group), 0);
}

static inline int status_of(struct cell *cell, uint64_t handle)
{
    struct prony_future outcome;
    assert_int_equal(prony_group_outcome(cell->group, handle, &outcome), 0);
    assert_true(prony_future_done(&outcome));
    return outcome.status;
}

/* What callbacks were told. */
struct calls {
    struct cell *cell;
    unsigned done, failed, cancelled, late;
    uint64_t last;
    int fails, code;
};

static inline int count_call(void *context, uint64_t handle, const struct prony_future *outcome)
{
    struct calls *calls = context;
    calls->done += outcome->status == 0;
    calls->cancelled += outcome->status == -ECANCELED;
    calls->late += outcome->status == -ETIMEDOUT;
    calls->failed += outcome->status != 0;
    calls->last = handle;
    return calls->fails > 0 && calls->fails-- > 0 ? -EIO : 0;
}

static inline int must_not_be_called(void *context, uint64_t handle, const struct prony_future *outcome)
{
    (void)handle;
    (void)outcome;
    ((struct calls *)context)->fails = 1000000;
    return 0;
}

static const struct engine engines[] = {
    {"pool of processes", POOL, PRONY_PROCESSES},     {"executor of processes", EXECUTOR, PRONY_PROCESSES},
    {"carried pool", CARRIED, PRONY_PROCESSES},       {"pool of threads", POOL, PRONY_THREADS},
    {"executor of threads", EXECUTOR, PRONY_THREADS},
};

static inline int of_engines(const struct CMUnitTest *statements, size_t n, size_t from, size_t to)
{
    struct CMUnitTest tests[40];
    int failed = 0;
    for (size_t k = from; k < to; k++) {
        for (size_t i = 0; i < n; i++) {
            tests[i] = statements[i];
            tests[i].initial_state = (void *)(uintptr_t)&engines[k];
        }
        failed += _cmocka_run_group_tests(engines[k].name, tests, n, NULL, NULL);
    }
    return failed;
}

#endif
