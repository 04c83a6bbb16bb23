/* Many more workers than processors, by engine: right answers from maps, tasks, recursion and gangs with 16, 64 and 256
 * workers; that an order of victims changes no answer; that of many workers only half look for work at once. */
#include "base/params.h"
#include "base/registry.h"
#include "parallel/pool.h"
#include "tests/tasks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ITEMS 20000
#define TASKS 3000u
#define LIMIT_NS 60000000000

enum { COUNT, FIB, MEET };

static int meet(struct prony_worker *worker, const struct prony_task *task)
{
    int32_t *counts = prony_at(worker, task->out.off);
    int code = worker->ops->barrier(worker, LIMIT_NS);
    (void)__atomic_fetch_add(&counts[0], 1, __ATOMIC_SEQ_CST);
    if (code == 0)
        code = worker->ops->barrier(worker, LIMIT_NS);
    return code != 0 ? code : __atomic_load_n(&counts[0], __ATOMIC_SEQ_CST) == (int32_t)worker->count ? 0 : -EPROTO;
}

static const struct prony_kernel kernels[] = {{"count", count}, {"fib", fib}, {"meet", meet}, {NULL, NULL}};

struct cell {
    const struct prony_engine *engine;
    struct prony_params params;
    struct prony_ground ground;
    void *handle;
    unsigned workers;
    uint16_t *victims;
};

static int32_t *counts(const struct cell *cell)
{
    return (int32_t *)(void *)(cell->ground.arena.base + cell->ground.data.off);
}

static const struct prony_future *future_of(const struct cell *cell, unsigned i)
{
    return (const struct prony_future *)(void *)(cell->ground.arena.base + cell->ground.futures.off) + i;
}

static struct prony_task task_of(const struct cell *cell, uint16_t kernel, int64_t lo, int64_t hi)
{
    struct prony_task task = {.ref = {1, kernel}, .lo = lo, .hi = hi, .out = cell->ground.data};
    task.future = cell->ground.futures.off;
    return task;
}

/* Everybody's victims from the last one down: nobody else's order. */
static void give_victims(struct cell *cell)
{
    unsigned n = cell->workers;
    uint16_t *at = cell->victims = calloc((size_t)n * n, sizeof *cell->victims);
    CHECK(at != NULL);
    for (unsigned i = 0; i < n; i++)
        for (unsigned v = n; v-- > 0;)
            if (v != i)
                *at++ = (uint16_t)v;
    cell->ground.setup.victims = cell->victims;
}

static void begin(struct cell *cell, const struct prony_engine *engine, unsigned workers, int ordered)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {.workers = workers, .data = ITEMS * sizeof(int32_t), .futures = TASKS};
    *cell = (struct cell){.engine = engine, .workers = workers};
    CHECK(prony_params_init(&cell->params, engine->head.options, &error) == 0);
    wish.area = engine->area(&cell->params, workers);
    CHECK(prony_ground_make(&cell->ground, kernels, &wish, &error) == 0);
    cell->ground.setup.params = &cell->params;
    if (ordered)
        give_victims(cell);
    if (engine->open(&cell->ground.setup, &cell->handle, &error) != 0) {
        (void)fprintf(stderr, "%s with %u workers: %s\n", engine->head.name, workers, error.text);
        _exit(1);
    }
}

static void end(struct cell *cell)
{
    CHECK(cell->engine->close(cell->handle, 1, LIMIT_NS) == 0);
    free(cell->victims);
    prony_ground_free(&cell->ground);
    prony_params_free(&cell->params);
}

static void map(struct cell *cell, int64_t chunk)
{
    const struct prony_task task = task_of(cell, COUNT, 0, ITEMS);
    struct prony_tally tally = {-1, 1, 0, 0};
    memset(counts(cell), 0, ITEMS * sizeof(int32_t));
    CHECK(cell->engine->map(cell->handle, &task, chunk, &tally, LIMIT_NS) == 0);
    CHECK(tally.status == 0 && tally.failed == 0);
    for (unsigned i = 0; i < ITEMS; i++)
        CHECK(counts(cell)[i] == 1);
}

static void submit(struct cell *cell, uint16_t kernel, int64_t lo, unsigned n)
{
    static struct prony_task tasks[TASKS];
    static uint64_t futures[TASKS];
    memset(counts(cell), 0, ITEMS * sizeof(int32_t));
    for (unsigned i = 0; i < n; i++) {
        tasks[i] = task_of(cell, kernel, kernel == COUNT ? i : lo, kernel == COUNT ? i + 1 : lo + 1);
        tasks[i].future = futures[i] = cell->ground.futures.off + i * sizeof(struct prony_future);
    }
    CHECK(cell->engine->submit(cell->handle, tasks, n) == 0);
    CHECK(cell->engine->wait(cell->handle, futures, n, n, LIMIT_NS) == 0);
}

static void work(struct cell *cell)
{
    int status[PRONY_POOL_WORKERS];
    struct prony_task task = task_of(cell, MEET, 0, 1);
    counts(cell)[0] = 0;
    CHECK(cell->engine->gang(cell->handle, &task, cell->workers, status, LIMIT_NS) == 0);
    for (unsigned i = 0; i < cell->workers; i++)
        CHECK(status[i] == 0);
    map(cell, 0);
    map(cell, 3);
    submit(cell, COUNT, 0, TASKS);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK(future_of(cell, i)->status == 0 && counts(cell)[i] == 1);
    submit(cell, FIB, 10, 8);
    for (unsigned i = 0; i < 8; i++)
        CHECK(future_of(cell, i)->status == 0 && future_of(cell, i)->value == 55);
}

static void many(const struct prony_engine *engine)
{
    static const unsigned teams[] = {16, 64, PRONY_POOL_WORKERS};
    for (size_t i = 0; i < sizeof teams / sizeof *teams; i++) {
        struct cell cell;
        begin(&cell, engine, teams[i], i % 2);
        work(&cell);
        CHECK(cell.engine->park(cell.handle, 1) == 0);
        work(&cell);
        end(&cell);
    }
}

static void holds(void **state)
{
    const struct prony_engine *engine = *state;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(240);
        many(engine);
        _exit(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: %s %d", engine->head.name, WIFEXITED(status) ? "exit" : "signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* Of many workers half may look on, whoever asks first; who finds work or sleeps makes room for another. */
static void half_look_on(void **state)
{
    enum { WORKERS = 32 };
    static struct prony_hall hall;
    static struct prony_body bodies[WORKERS];
    struct prony_crew crew = {.hall = &hall, .workers = WORKERS, .lookers = WORKERS / 2};
    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        bodies[i] = (struct prony_body){.crew = &crew, .worker = {.index = i, .count = WORKERS}};
        assert_int_equal(prony_crew_look_on(&bodies[i]), i < WORKERS / 2);
        assert_int_equal(bodies[i].looking, i < WORKERS / 2);
    }
    prony_crew_look_away(&bodies[3]);
    assert_false(bodies[3].looking);
    assert_true(prony_crew_look_on(&bodies[31]));
    assert_false(prony_crew_look_on(&bodies[3]));
}

/* A kid wakes a sleeper only while nobody looks. */
static void lookers_are_enough(void **state)
{
    static struct prony_hall hall;
    static struct prony_desk desks[3];
    struct prony_crew crew = {.hall = &hall, .desks = desks, .workers = 3, .lookers = 1};
    struct prony_body looker = {.crew = &crew, .worker = {.index = 1, .count = 3}};
    (void)state;
    hall.resting[0] = 4;
    desks[2].asleep = 1;
    assert_true(prony_crew_look_on(&looker));
    prony_crew_wake_helper(&crew);
    assert_int_equal(desks[2].asleep, 1);
    prony_crew_look_away(&looker);
    prony_crew_wake_helper(&crew);
    assert_int_equal(desks[2].asleep, 0);
    assert_int_equal(hall.resting[0], 0);
}

/* Workers that are told they have a processor each, so that they do look on: never more than half of them at a time, and
 * none when all are parked. */
static void half_of_a_pool_look_on(void **state)
{
    enum { WORKERS = 32 };
    const struct prony_policy policy = {.staff = PRONY_THREADS, .idle = PRONY_IDLE_ADAPTIVE};
    const struct prony_wish wish = {.workers = WORKERS, .area = prony_pool_area(WORKERS), .data = 64, .futures = 1};
    struct prony_error error = {0, ""};
    struct prony_ground ground;
    struct prony_pool *pool;
    struct prony_tally tally;
    int pus[WORKERS];
    (void)state;
    assert_int_equal(prony_ground_make(&ground, kernels, &wish, &error), 0);
    for (int i = 0; i < WORKERS; i++)
        pus[i] = i;
    ground.setup.pus = pus;
    assert_int_equal(prony_pool_open(&ground.setup, &policy, &pool, &error), 0);
    assert_int_equal(pool->crew.lookers, WORKERS / 2);
    for (unsigned round = 0; round < 200; round++) {
        const struct prony_task task = {.ref = {1, COUNT}, .out = ground.data, .hi = 1};
        assert_int_equal(prony_pool_map(pool, &task, 1, &tally, LIMIT_NS), 0);
        for (unsigned look = 0; look < 50; look++)
            assert_true(__builtin_popcountll(__atomic_load_n(pool->crew.hall->looking, __ATOMIC_RELAXED)) <=
                        WORKERS / 2);
    }
    assert_int_equal(prony_pool_park(pool, 1), 0);
    assert_int_equal(pool->crew.hall->looking[0], 0);
    assert_int_equal(prony_pool_close(pool, 1, LIMIT_NS), 0);
    prony_ground_free(&ground);
}

/* The next ones by index, or those that the setup names. */
static void victims_in_order(void **state)
{
    static const uint16_t order[] = {2, 1, 0, 2, 1, 0};
    struct prony_setup setup = {.workers = 3};
    struct prony_crew crew = {.setup = &setup};
    struct prony_body me = {.crew = &crew, .worker = {.index = 1, .count = 3}};
    (void)state;
    assert_int_equal(prony_victim(&me, 0), 2);
    assert_int_equal(prony_victim(&me, 1), 0);
    setup.victims = order;
    assert_int_equal(prony_victim(&me, 0), 0);
    assert_int_equal(prony_victim(&me, 1), 2);
    me.worker.index = 0;
    assert_int_equal(prony_victim(&me, 0), 2);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"thread", "fork", "futures-thread", "futures-process"};
    struct CMUnitTest tests[8] = {cmocka_unit_test(victims_in_order), cmocka_unit_test(half_look_on),
                                  cmocka_unit_test(lookers_are_enough), cmocka_unit_test(half_of_a_pool_look_on)};
    size_t n = argc < 2 ? 4 : 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (argc < 2 || strcmp(argv[1], names[i]) == 0)
            tests[n++] =
                (struct CMUnitTest){names[i], holds, NULL, NULL, (void *)(uintptr_t)prony_find_engine(names[i], NULL)};
    return _cmocka_run_group_tests("many", tests, n, NULL, NULL);
}
