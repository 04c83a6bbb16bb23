/* Every engine of this build against the engine contract, each in a process of its own. What an engine has not among its
 * capabilities is left out, and said. */
#include "base/clock.h"
#include "base/params.h"
#include "base/registry.h"
#include "tests/tasks.h"

#include <prony/pool.h>

#include <prony/plugin/channel.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ITEMS 5000
#define FUTURES 2000
#define LIMIT_NS 60000000000

enum { COUNT, REFUSE, FIB, NAP, HOLD, MEET, STUCK, LONE, DIE };
enum { GATE = 16383 }; /* among the data: what lets the kernel `hold` go */

/* What is tried: an engine, and the channel that is to carry its tasks. */
struct trial {
    const struct prony_engine *engine;
    const struct prony_channel *carrier; /* NULL: none */
    const char *wait;
};
static struct trial trial;

struct cell {
    const struct prony_engine *engine;
    struct prony_params params, carrier_params;
    struct prony_ground ground;
    void *handle;
    unsigned workers;
};

/* Fails for chunks that hold a multiple of a thousand, but counts. */
static int refuse(struct prony_worker *worker, const struct prony_task *task)
{
    (void)count(worker, task);
    for (int64_t i = task->lo; i < task->hi; i++)
        if (i % 1000 == 0)
            return -EDOM;
    return 0;
}

static int nap(struct prony_worker *worker, const struct prony_task *task)
{
    uint64_t us;
    (void)worker;
    memcpy(&us, task->arg, sizeof us);
    (void)usleep((useconds_t)us);
    return 0;
}

/* Stays until the gate is open. */
static int hold(struct prony_worker *worker, const struct prony_task *task)
{
    const int32_t *at = prony_at(worker, task->out.off);
    const uint64_t until = prony_now_ns() + LIMIT_NS;
    while (__atomic_load_n(&at[GATE], __ATOMIC_ACQUIRE) == 0) {
        if (prony_now_ns() > until)
            return -ETIMEDOUT;
        (void)usleep(100);
    }
    return 0;
}

/* A hundred barriers: nobody may be more than one ahead. */
static int meet(struct prony_worker *worker, const struct prony_task *task)
{
    int32_t *at = prony_at(worker, task->out.off);
    for (int32_t step = 1; step <= 100; step++) {
        __atomic_store_n(&at[worker->index], step, __ATOMIC_RELEASE);
        if (worker->ops->barrier(worker, LIMIT_NS) != 0)
            return -EPROTO;
        for (unsigned i = 0; i < worker->roles; i++)
            if (__atomic_load_n(&at[i], __ATOMIC_ACQUIRE) < step)
                return -EBADMSG;
        if (worker->ops->barrier(worker, LIMIT_NS) != 0)
            return -EPROTO;
    }
    return 0;
}

/* Worker 0 says that it began, and never comes to the barrier; it leaves when the gang is stopped. */
static int stuck(struct prony_worker *worker, const struct prony_task *task)
{
    int32_t *at = prony_at(worker, task->out.off);
    if (worker->index != 0)
        return worker->ops->barrier(worker, -1);
    __atomic_store_n(&at[0], 1, __ATOMIC_RELEASE);
    while (!worker->ops->stopped(worker))
        (void)usleep(100);
    return -EINTR;
}

/* A barrier that nobody else comes to, with a limit. */
static int lone(struct prony_worker *worker, const struct prony_task *task)
{
    (void)task;
    return worker->index == 0 ? worker->ops->barrier(worker, 1000000) : 0;
}

/* Ends its process at the item 7. */
static int die(struct prony_worker *worker, const struct prony_task *task)
{
    if (task->lo <= 7 && task->hi > 7)
        (void)raise(SIGKILL);
    return count(worker, task);
}

static const struct prony_kernel kernels[] = {{"count", count}, {"refuse", refuse}, {"fib", fib},     {"nap", nap},
                                              {"hold", hold},   {"meet", meet},     {"stuck", stuck}, {"lone", lone},
                                              {"die", die},     {NULL, NULL}};

static int has(const struct cell *cell, uint64_t caps)
{
    if (trial.carrier != NULL && (caps & PRONY_CAP_NEST) != 0)
        return 0;
    return (cell->engine->head.caps & caps) == caps;
}

static void begin(struct cell *cell, const struct prony_engine *engine, unsigned workers)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {.workers = workers, .data = 65536, .futures = FUTURES};
    memset(cell, 0, sizeof *cell);
    cell->engine = engine;
    cell->workers = workers;
    CHECK(prony_params_init(&cell->params, engine->head.options, &error) == 0);
    wish.area = engine->area != NULL ? engine->area(&cell->params, workers) : 0;
    CHECK(prony_ground_make(&cell->ground, kernels, &wish, &error) == 0);
    cell->ground.setup.params = &cell->params;
    if (trial.carrier != NULL) {
        CHECK(prony_params_init(&cell->carrier_params, trial.carrier->head.options, &error) == 0);
        CHECK(prony_params_set(&cell->carrier_params, "wait", trial.wait, &error) == 0);
        cell->ground.setup.carrier = trial.carrier;
        cell->ground.setup.carrier_params = &cell->carrier_params;
    }
    if (engine->open(&cell->ground.setup, &cell->handle, &error) != 0) {
        (void)fprintf(stderr, "%s with %u workers: %s\n", engine->head.name, workers, error.text);
        _exit(1);
    }
}

static void end(struct cell *cell)
{
    CHECK(cell->engine->close(cell->handle, 1, LIMIT_NS) == 0);
    prony_ground_free(&cell->ground);
    prony_params_free(&cell->params);
    if (trial.carrier != NULL)
        prony_params_free(&cell->carrier_params);
}

static int32_t *counts(struct cell *cell)
{
    return (int32_t *)(void *)(cell->ground.arena.base + cell->ground.data.off);
}

static struct prony_task task_of(const struct cell *cell, uint16_t kernel, int64_t lo, int64_t hi)
{
    struct prony_task task = {
        .ref = {1, kernel}, .lo = lo, .hi = hi, .in = cell->ground.data, .out = cell->ground.data};
    return task;
}

static uint64_t future_at(const struct cell *cell, unsigned i)
{
    return cell->ground.futures.off + i * sizeof(struct prony_future);
}

static struct prony_future *future_of(const struct cell *cell, unsigned i)
{
    return (struct prony_future *)(void *)(cell->ground.arena.base + future_at(cell, i));
}

static int64_t items(const struct cell *cell)
{
    const struct prony_slot *slots = (void *)(cell->ground.arena.base + cell->ground.setup.slots.off);
    int64_t sum = 0;
    for (unsigned i = 0; i < cell->workers; i++)
        sum += __atomic_load_n(&slots[i].items, __ATOMIC_ACQUIRE);
    return sum;
}

static void maps(struct cell *cell)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 1000, ITEMS}, chunks[] = {0, 1, 2, 3, 64, 10000};
    int64_t before = items(cell), sum = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            struct prony_task task = task_of(cell, COUNT, 1, 1 + sizes[s]);
            struct prony_tally tally = {-1, 1, 0, 0};
            memset(counts(cell), 0, (ITEMS + 2) * sizeof(int32_t));
            CHECK(cell->engine->map(cell->handle, &task, chunks[c], &tally, LIMIT_NS) == 0);
            CHECK(tally.status == 0 && tally.failed == 0);
            for (int64_t i = 0; i < ITEMS + 2 && !has(cell, PRONY_CAP_DRY); i++)
                CHECK(counts(cell)[i] == (i >= 1 && i < 1 + sizes[s]));
            sum += sizes[s];
        }
    CHECK(items(cell) - before == sum);
}

static void failing_maps(struct cell *cell)
{
    struct prony_task task = task_of(cell, REFUSE, 1, ITEMS);
    struct prony_tally tally;
    memset(counts(cell), 0, ITEMS * sizeof(int32_t));
    CHECK(cell->engine->map(cell->handle, &task, 10, &tally, LIMIT_NS) == 0);
    CHECK(tally.status == -EDOM && tally.failed == 4 && tally.first_lo == 991 && tally.first_hi == 1001);
    for (int64_t i = 1; i < ITEMS; i++)
        CHECK(counts(cell)[i] == 1);
}

/* Submits n tasks of a kernel, item i of task i. */
static void submit(struct cell *cell, uint16_t kernel, unsigned n, uint64_t *futures, uint64_t nap_us)
{
    static struct prony_task tasks[FUTURES];
    for (unsigned i = 0; i < n; i++) {
        tasks[i] = task_of(cell, kernel, i, i + 1);
        tasks[i].future = futures[i] = future_at(cell, i);
        memcpy(tasks[i].arg, &nap_us, sizeof nap_us);
    }
    CHECK(cell->engine->submit(cell->handle, tasks, n) == 0);
}

static void submits(struct cell *cell)
{
    static const unsigned sizes[] = {1, 2, 5, 300, FUTURES};
    uint64_t futures[FUTURES];
    int64_t before = items(cell), sum = 0;
    for (unsigned round = 0; round < 10; round++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            unsigned n = sizes[s];
            memset(counts(cell), 0, FUTURES * sizeof(int32_t));
            submit(cell, COUNT, n, futures, 0);
            if (!has(cell, PRONY_CAP_DEFERS))
                CHECK(cell->engine->wait(cell->handle, futures, n, (n + 1) / 2, LIMIT_NS) == 0);
            CHECK(cell->engine->wait(cell->handle, futures, n, n, LIMIT_NS) == 0);
            for (unsigned i = 0; i < n; i++) {
                CHECK(prony_future_phase(future_of(cell, i)) == PRONY_DONE && future_of(cell, i)->status == 0);
                CHECK(future_of(cell, i)->worker < cell->workers || future_of(cell, i)->worker == UINT32_MAX);
                CHECK(counts(cell)[i] == 1 || has(cell, PRONY_CAP_DRY));
            }
            sum += n;
        }
    CHECK(items(cell) - before == sum);
}

static void failing_submits(struct cell *cell)
{
    uint64_t futures[FUTURES];
    submit(cell, REFUSE, FUTURES, futures, 0);
    CHECK(cell->engine->wait(cell->handle, futures, FUTURES, FUTURES, LIMIT_NS) == 0);
    for (unsigned i = 0; i < FUTURES; i++)
        CHECK(future_of(cell, i)->status == (i % 1000 == 0 ? -EDOM : 0));
}

static void gate(struct cell *cell, int open)
{
    __atomic_store_n(&counts(cell)[GATE], open, __ATOMIC_RELEASE);
}

/* n of m: short naps end before one that is held. */
static void waits(struct cell *cell)
{
    uint64_t futures[4];
    const uint64_t short_us = 1000;
    struct prony_task task = task_of(cell, HOLD, 0, 1);
    CHECK(cell->engine->wait(cell->handle, futures, 0, 0, 0) == 0);
    gate(cell, 0);
    task.future = futures[0] = future_at(cell, 0);
    CHECK(cell->engine->submit(cell->handle, &task, 1) == 0);
    CHECK(cell->engine->wait(cell->handle, futures, 1, 0, 0) == 0);
    CHECK(cell->engine->wait(cell->handle, futures, 1, 1, 0) == -ETIMEDOUT);
    CHECK(cell->engine->wait(cell->handle, futures, 1, 1, 1000000) == -ETIMEDOUT);
    if (cell->workers > 1) {
        task = task_of(cell, NAP, 0, 1);
        for (unsigned i = 1; i < 4; i++) {
            task.future = futures[i] = future_at(cell, i);
            memcpy(task.arg, &short_us, sizeof short_us);
            CHECK(cell->engine->submit(cell->handle, &task, 1) == 0);
        }
        CHECK(cell->engine->wait(cell->handle, futures, 4, 3, LIMIT_NS) == 0);
        CHECK(prony_future_phase(future_of(cell, 0)) != PRONY_DONE);
    }
    gate(cell, 1);
    CHECK(cell->engine->wait(cell->handle, futures, 1, 1, LIMIT_NS) == 0);
}

static void gangs(struct cell *cell)
{
    int status[64];
    for (unsigned round = 0; round < 20; round++)
        for (unsigned roles = 1; roles <= cell->workers; roles++) {
            struct prony_task task = task_of(cell, MEET, 0, 1);
            memset(counts(cell), 0, 64 * sizeof(int32_t));
            CHECK(cell->engine->gang(cell->handle, &task, roles, status, LIMIT_NS) == 0);
            for (unsigned i = 0; i < roles; i++)
                CHECK(status[i] == 0 && counts(cell)[i] == 100);
            CHECK(roles == cell->workers || counts(cell)[roles] == 0);
        }
}

static void stuck_gangs(struct cell *cell)
{
    int status[64];
    struct prony_task task = task_of(cell, LONE, 0, 1);
    CHECK(cell->engine->gang(cell->handle, &task, cell->workers, status, LIMIT_NS) == 0);
    CHECK(status[0] == -ETIMEDOUT && status[1] == 0);
    task = task_of(cell, STUCK, 0, 1);
    counts(cell)[0] = 0;
    for (int64_t limit_ns = 20000000; counts(cell)[0] == 0; limit_ns *= 2) { /* until worker 0 had the time to begin */
        CHECK(limit_ns < LIMIT_NS);
        CHECK(cell->engine->gang(cell->handle, &task, cell->workers, status, limit_ns) == -ETIMEDOUT);
        for (unsigned i = 0; i < cell->workers; i++)
            CHECK(status[i] == (i == 0 && counts(cell)[0] == 1 ? -EINTR : -ECANCELED));
    }
    gangs(cell);
}

static void nested(struct cell *cell)
{
    uint64_t future = future_at(cell, 0);
    for (unsigned round = 0; round < 5; round++) {
        struct prony_task task = task_of(cell, FIB, 17, 18);
        task.future = future;
        CHECK(cell->engine->submit(cell->handle, &task, 1) == 0);
        CHECK(cell->engine->wait(cell->handle, &future, 1, 1, LIMIT_NS) == 0);
        CHECK(future_of(cell, 0)->status == 0 && future_of(cell, 0)->value == 1597);
    }
}

/* With every worker held in a task, those behind can be taken back. */
static void cancels(struct cell *cell)
{
    unsigned n = cell->workers + 40, taken = 0;
    uint64_t futures[FUTURES];
    gate(cell, 0);
    submit(cell, HOLD, n, futures, 0);
    for (unsigned i = cell->workers; i < n; i++) {
        int code = cell->engine->cancel(cell->handle, futures[i], 0);
        CHECK(code == 0 || code == -EALREADY);
        if (code == 0)
            CHECK(prony_future_phase(future_of(cell, i)) == PRONY_DONE && future_of(cell, i)->status == -ECANCELED);
        taken += code == 0;
    }
    CHECK(taken > 0);
    gate(cell, 1);
    CHECK(cell->engine->wait(cell->handle, futures, n, n, LIMIT_NS) == 0);
    for (unsigned i = 0; i < n; i++)
        CHECK(future_of(cell, i)->status == 0 || future_of(cell, i)->status == -ECANCELED);
    CHECK(cell->engine->cancel(cell->handle, futures[0], 0) == -EALREADY);
}

static void kills(struct cell *cell)
{
    uint64_t futures[FUTURES];
    gate(cell, 0);
    submit(cell, HOLD, cell->workers + 2, futures, 0);
    while (prony_future_phase(future_of(cell, 0)) != PRONY_RUNNING)
        (void)usleep(100);
    CHECK(cell->engine->cancel(cell->handle, futures[0], 1) == 0);
    gate(cell, 1);
    CHECK(cell->engine->wait(cell->handle, futures, cell->workers + 2, cell->workers + 2, LIMIT_NS) == 0);
    for (unsigned i = 0; i < cell->workers + 2; i++)
        CHECK(future_of(cell, i)->status == (i == 0 ? -ECANCELED : 0));
}

/* A worker that dies fails its chunk or its task and nothing else. */
static void deaths(struct cell *cell)
{
    struct prony_task task = task_of(cell, DIE, 0, 100);
    struct prony_tally tally;
    uint64_t futures[FUTURES];
    for (unsigned round = 0; round < 3; round++) {
        memset(counts(cell), 0, ITEMS * sizeof(int32_t));
        CHECK(cell->engine->map(cell->handle, &task, 5, &tally, LIMIT_NS) == 0);
        CHECK(tally.status == -(PRONY_DIED + SIGKILL) && tally.failed == 1 && tally.first_lo == 5 &&
              tally.first_hi == 10);
        for (int64_t i = 0; i < 100; i++)
            CHECK(counts(cell)[i] == (i < 5 || i >= 10));
        submit(cell, DIE, 50, futures, 0);
        CHECK(cell->engine->wait(cell->handle, futures, 50, 50, LIMIT_NS) == 0);
        for (unsigned i = 0; i < 50; i++)
            CHECK(future_of(cell, i)->status == (i == 7 ? -(PRONY_DIED + SIGKILL) : 0));
    }
}

/* Closing with queued tasks: drained they are done, else done or cancelled. */
static void closes(const struct prony_engine *engine, unsigned workers)
{
    for (int drain = 0; drain < 2; drain++) {
        struct cell cell;
        uint64_t futures[FUTURES];
        unsigned done = 0;
        begin(&cell, engine, workers);
        submit(&cell, NAP, 200, futures, 200);
        CHECK(engine->close(cell.handle, drain, LIMIT_NS) == 0);
        for (unsigned i = 0; i < 200; i++) {
            CHECK(prony_future_phase(future_of(&cell, i)) == PRONY_DONE);
            CHECK(future_of(&cell, i)->status == 0 || (!drain && future_of(&cell, i)->status == -ECANCELED));
            done += future_of(&cell, i)->status == 0;
        }
        CHECK(!drain || done == 200);
        prony_ground_free(&cell.ground);
        prony_params_free(&cell.params);
        if (trial.carrier != NULL)
            prony_params_free(&cell.carrier_params);
    }
}

static void parks(struct cell *cell)
{
    for (unsigned i = 0; i < (trial.carrier != NULL ? 4 : 20) && cell->engine->park != NULL; i++) {
        CHECK(cell->engine->park(cell->handle, 1) == 0);
        if (i % 2 == 0)
            CHECK(cell->engine->park(cell->handle, 0) == 0);
        maps(cell);
    }
}

static void all(const struct prony_engine *engine, unsigned workers)
{
    struct cell cell;
    int runs = (engine->head.caps & PRONY_CAP_DRY) == 0;
    begin(&cell, engine, workers);
    if (has(&cell, PRONY_CAP_GANG))
        gangs(&cell);
    maps(&cell);
    submits(&cell);
    if (runs) {
        failing_maps(&cell);
        failing_submits(&cell);
    }
    if (has(&cell, PRONY_CAP_NEST))
        nested(&cell);
    if (runs && !has(&cell, PRONY_CAP_DEFERS) && !has(&cell, PRONY_CAP_HELPS))
        waits(&cell);
    if (has(&cell, PRONY_CAP_GANG) && workers > 1 && !has(&cell, PRONY_CAP_OWNS_THREADS))
        stuck_gangs(&cell);
    if (has(&cell, PRONY_CAP_CANCEL))
        cancels(&cell);
    if (has(&cell, PRONY_CAP_KILL))
        kills(&cell);
    if (has(&cell, PRONY_CAP_ISOLATES | PRONY_CAP_KILL))
        deaths(&cell);
    parks(&cell);
    end(&cell);
    closes(engine, workers);
}

static void child(const struct prony_engine *engine)
{
    static const unsigned teams[] = {1, 2, 3, 16};
    struct prony_error error = {0, ""};
    struct cell cell;
    int alone = strcmp(engine->head.name, "serial") == 0 || strcmp(engine->head.name, "null") == 0;
    for (size_t i = 0; i < sizeof teams / sizeof *teams && (i == 0 || !alone); i++)
        all(engine, teams[i]);
    for (unsigned i = 0; i < 50; i++) {
        begin(&cell, engine, alone ? 1 : 2);
        end(&cell);
    }
    if (alone) {
        struct prony_setup setup = {.workers = 2};
        void *handle;
        CHECK(engine->open(&setup, &handle, &error) == -ENOTSUP && error.text[0] != '\0');
    }
}

static void carried(const struct prony_engine *engine)
{
    struct cell cell;
    all(engine, 3);
    for (unsigned i = 0; i < 5; i++) {
        begin(&cell, engine, 2);
        end(&cell);
    }
}

static void conforms(void **state)
{
    const struct prony_engine *engine;
    int status;
    pid_t pid = fork();
    trial = *(const struct trial *)*state;
    engine = trial.engine;
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(240);
        trial.carrier != NULL ? carried(engine) : child(engine);
        _exit(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: %s %d", engine->head.name, WIFEXITED(status) ? "exit" : "signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* Kinds of channel that differ in what the caller can do with them: streams, messages, no descriptor, no room. */
static size_t add_carriers(const struct prony_engine *engine, struct trial *trials, struct CMUnitTest *tests, size_t n)
{
    static const char *const ways[][2] = {{"pipe", "block"},
                                          {"unix-seqpacket", "adaptive"},
                                          {"shm-ring", "block"},
                                          {"eventfd", "poll"},
                                          {"futex", "block"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const struct prony_channel *channel = prony_find_channel(ways[i][0], NULL);
        struct prony_error error = {0, ""};
        if (channel == NULL || (channel->head.probe != NULL && channel->head.probe(&error) != 0))
            continue;
        trials[n] = (struct trial){engine, channel, ways[i][1]};
        tests[n] = (struct CMUnitTest){ways[i][0], conforms, NULL, NULL, &trials[n]};
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    static struct trial trials[64];
    struct CMUnitTest tests[64];
    const struct prony_head *head;
    size_t n = 0;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_ENGINE, i)) != NULL && n < 40; i++) {
        struct prony_error error = {0, ""};
        if (argc > 1 && strcmp(argv[1], head->name) != 0)
            continue;
        if ((head->caps & PRONY_CAP_FRAGILE) != 0) {
            (void)fprintf(stderr, "%s: left out, its kernels must come from a file\n", head->name);
        } else if (head->probe != NULL && head->probe(&error) != 0) {
            (void)fprintf(stderr, "%s: left out, %s\n", head->name, error.text);
        } else {
            trials[n] = (struct trial){(const struct prony_engine *)(const void *)head, NULL, NULL};
            tests[n] = (struct CMUnitTest){head->name, conforms, NULL, NULL, &trials[n]};
            n++;
        }
        if ((head->caps & PRONY_CAP_CHANNEL) != 0)
            n = add_carriers((const struct prony_engine *)(const void *)head, trials, tests, n);
    }
    return _cmocka_run_group_tests("engines", tests, n, NULL, NULL);
}
