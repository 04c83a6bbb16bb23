/* Workers that die at moments drawn from a seed, by themselves and by others' hands: nothing hangs, exactly what they held
 * fails and with the right code, the engine goes on, and nothing is left over. For the engines that isolate their workers,
 * fork and futures-process, and for fork with its tasks carried over channels of several kinds. */
#include "base/params.h"
#include "base/registry.h"
#include "tests/tasks.h"

#include <prony/pool.h>

#include <prony/plugin/channel.h>

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3u
#define TASKS 400u
#define ROUNDS 150u
#define LIMIT_NS 60000000000

enum { WORK, DIE, MEET, TREE };
enum { BY_KILL, BY_SEGV, BY_ABORT, BY_EXIT, WAYS };

static const int codes[WAYS] = {-(PRONY_DIED + SIGKILL), -(PRONY_DIED + SIGSEGV), -(PRONY_DIED + SIGABRT), -PRONY_DIED};
static const char *const words[WAYS] = {"SIGKILL", "SIGSEGV", "SIGABRT", "exit"};

/* What is tried: an engine, and the channel that is to carry its tasks. */
struct trial {
    const struct prony_engine *engine;
    const struct prony_channel *carrier; /* NULL: none */
    char name[40];
};

struct cell {
    const struct prony_engine *engine;
    const struct prony_channel *carrier;
    struct prony_params params, carrier_params;
    struct prony_ground ground;
    void *handle;
    uint64_t random;
    unsigned rounds, failed; /* failed: tasks and chunks that died with their workers in this trial */
};

static void die(uint64_t way)
{
    if (way == BY_KILL)
        (void)raise(SIGKILL);
    else if (way == BY_SEGV)
        (void)raise(SIGSEGV);
    else if (way == BY_ABORT)
        abort();
    _exit(3);
}

static void spin(uint64_t loops)
{
    for (volatile uint64_t i = 0; i < loops; i++)
        ;
}

/* Marks its items after a while. in.len: how long. */
static int work(struct prony_worker *worker, const struct prony_task *task)
{
    int32_t *out = prony_at(worker, task->out.off);
    spin(task->in.len);
    for (int64_t i = task->lo; i < task->hi; i++)
        (void)__atomic_fetch_add(&out[i], 1, __ATOMIC_RELAXED);
    return 0;
}

/* As work, but dies over items that its argument names: a bit an item, two for the way. */
static int die_at(struct prony_worker *worker, const struct prony_task *task)
{
    const unsigned char *ways = prony_at(worker, task->in.off);
    int32_t *out = prony_at(worker, task->out.off);
    for (int64_t i = task->lo; i < task->hi; i++)
        if (ways[i] != 0)
            die(ways[i] - 1u);
    for (int64_t i = task->lo; i < task->hi; i++)
        (void)__atomic_fetch_add(&out[i], 1, __ATOMIC_RELAXED);
    return 0;
}

/* A gang in which role lo dies in the way hi, between two barriers. */
static int meet(struct prony_worker *worker, const struct prony_task *task)
{
    int code = worker->ops->barrier(worker, LIMIT_NS);
    if (code == 0 && worker->index == task->lo)
        die((uint64_t)task->hi);
    return code != 0 ? code : worker->ops->barrier(worker, LIMIT_NS);
}

/* A binary tree of depth lo; the value counts its leaves. */
static int tree(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_future *mine = prony_at(worker, task->future);
    struct prony_task kids[2] = {*task, *task};
    uint64_t value = 0;
    int code = 0;
    if (task->lo == 0) {
        spin(200);
        mine->value = 1;
        return 0;
    }
    for (unsigned i = 0; i < 2; i++) {
        kids[i].lo = task->lo - 1;
        kids[i].future = prony_worker_push(worker, sizeof *mine);
        if (kids[i].future == 0 || worker->ops->spawn(worker, &kids[i]) != 0)
            return -ENOMEM;
    }
    if (worker->ops->join(worker, kids, 2) != 0)
        return -EIO;
    for (unsigned i = 2; i-- > 0;) {
        const struct prony_future *its = prony_at(worker, kids[i].future);
        code = its->status != 0 ? its->status : code;
        value += its->value;
        prony_worker_pop(worker, sizeof *its);
    }
    mine->value = value;
    return code;
}

static const struct prony_kernel kernels[] = {
    {"work", work}, {"die_at", die_at}, {"meet", meet}, {"tree", tree}, {NULL, NULL},
};

static uint64_t draw(struct cell *cell, uint64_t below)
{
    cell->random ^= cell->random << 13; /* xorshift: Marsaglia, 2003 */
    cell->random ^= cell->random >> 7;
    cell->random ^= cell->random << 17;
    return cell->random % below;
}

static struct prony_slot *slot(const struct cell *cell, unsigned i)
{
    return (struct prony_slot *)(void *)(cell->ground.arena.base + cell->ground.setup.slots.off) + i;
}

static int32_t *out(const struct cell *cell)
{
    return (int32_t *)(void *)(cell->ground.arena.base + cell->ground.data.off);
}

static unsigned char *ways(const struct cell *cell)
{
    return cell->ground.arena.base + cell->ground.data.off + 65536;
}

static struct prony_task task_of(const struct cell *cell, uint16_t kernel, int64_t lo, int64_t hi)
{
    struct prony_task task = {.ref = {1, kernel}, .lo = lo, .hi = hi, .out = {cell->ground.data.off, 65536}};
    task.in.off = cell->ground.data.off + 65536;
    return task;
}

static struct prony_future *future_of(const struct cell *cell, unsigned i)
{
    return (struct prony_future *)(void *)(cell->ground.arena.base + cell->ground.futures.off) + i;
}

static void submit(struct cell *cell, uint16_t kernel, unsigned n, uint64_t *futures, uint64_t length)
{
    static struct prony_task tasks[TASKS];
    for (unsigned i = 0; i < n; i++) {
        tasks[i] = task_of(cell, kernel, i, i + 1);
        tasks[i].in.len = length;
        tasks[i].future = futures[i] = cell->ground.futures.off + i * sizeof(struct prony_future);
    }
    CHECK(cell->engine->submit(cell->handle, tasks, n) == 0);
}

static void clear(struct cell *cell)
{
    memset(out(cell), 0, 65536);
    memset(ways(cell), 0, 65536);
}

/* Tasks that kill their own worker fail, each with its own way; all others succeed. */
static void tasks_that_die(struct cell *cell)
{
    uint64_t futures[TASKS];
    char text[80];
    for (unsigned round = 0; round < cell->rounds / 4; round++) {
        clear(cell);
        for (unsigned k = 0; k < 6; k++)
            ways(cell)[draw(cell, TASKS)] = (unsigned char)(1 + draw(cell, WAYS));
        submit(cell, DIE, TASKS, futures, 0);
        CHECK(cell->engine->wait(cell->handle, futures, TASKS, TASKS, LIMIT_NS) == 0);
        for (unsigned i = 0; i < TASKS; i++) {
            unsigned way = ways(cell)[i];
            CHECK(future_of(cell, i)->status == (way == 0 ? 0 : codes[way - 1]));
            CHECK(way == 0 || strstr(prony_code_text(future_of(cell, i)->status, text, sizeof text), words[way - 1]));
            CHECK(out(cell)[i] == (way == 0));
        }
    }
}

/* How the worker of the chunk of 4 at `lo` died. */
static unsigned ways_at(const struct cell *cell, int64_t lo)
{
    while (ways(cell)[lo] == 0)
        lo++;
    return ways(cell)[lo];
}

static void chunks_that_die(struct cell *cell)
{
    for (unsigned round = 0; round < cell->rounds / 4; round++) {
        struct prony_task task = task_of(cell, DIE, 0, 1000);
        struct prony_tally tally;
        unsigned failed = 0;
        int64_t first = -1;
        clear(cell);
        for (unsigned k = 0; k < 5; k++)
            ways(cell)[draw(cell, 1000)] = (unsigned char)(1 + draw(cell, WAYS));
        CHECK(cell->engine->map(cell->handle, &task, 4, &tally, LIMIT_NS) == 0);
        for (int64_t lo = 0; lo < 1000; lo += 4) {
            int dead = 0;
            for (int64_t i = lo; i < lo + 4; i++)
                dead |= ways(cell)[i] != 0;
            for (int64_t i = lo; i < lo + 4; i++)
                CHECK(out(cell)[i] == !dead);
            failed += dead != 0;
            first = dead && first < 0 ? lo : first;
        }
        CHECK(tally.failed == failed && tally.first_lo == first && tally.first_hi == first + 4);
        CHECK(tally.status == codes[ways_at(cell, first) - 1]);
    }
}

static void roles_that_die(struct cell *cell)
{
    for (unsigned round = 0; round < cell->rounds / 2; round++) {
        unsigned victim = (unsigned)draw(cell, WORKERS), way = (unsigned)draw(cell, WAYS);
        struct prony_task task = task_of(cell, MEET, victim, way);
        int status[WORKERS];
        CHECK(cell->engine->gang(cell->handle, &task, WORKERS, status, LIMIT_NS) == 0);
        for (unsigned i = 0; i < WORKERS; i++)
            CHECK(status[i] == (i == victim ? codes[way] : -ECANCELED));
        task.lo = -1;
        CHECK(cell->engine->gang(cell->handle, &task, WORKERS, status, LIMIT_NS) == 0);
        for (unsigned i = 0; i < WORKERS; i++)
            CHECK(status[i] == 0);
    }
}

/* SIGKILL is also what the system sends when memory has run out. */
static const int weapons[] = {SIGKILL, SIGSEGV, SIGABRT, SIGTERM};

#define WEAPONS (sizeof weapons / sizeof *weapons)

/* A process that kills workers of this one at random moments until it is told to end. Every eighth time it waits for
 * another one in that place: where none comes to work for long, an engine gives up. */
static pid_t assassin(struct cell *cell, int *stop)
{
    uint64_t seed = draw(cell, UINT64_MAX - 1);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0)
        return pid;
    cell->random = seed + 1;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned kills = 0; __atomic_load_n(stop, __ATOMIC_ACQUIRE) == 0; kills++) {
        const int32_t *place = &slot(cell, (unsigned)draw(cell, WORKERS))->pid;
        const int32_t victim = __atomic_load_n(place, __ATOMIC_ACQUIRE);
        (void)usleep((useconds_t)draw(cell, 2000));
        if (victim > 1 && __atomic_load_n(stop, __ATOMIC_ACQUIRE) == 0)
            (void)kill(victim, weapons[draw(cell, WEAPONS)]);
        while (kills % 8 == 7 && __atomic_load_n(place, __ATOMIC_ACQUIRE) == victim &&
               __atomic_load_n(stop, __ATOMIC_ACQUIRE) == 0)
            (void)usleep(100);
    }
    _exit(0);
}

static void end_assassin(pid_t pid, int *stop)
{
    int status;
    __atomic_store_n(stop, 1, __ATOMIC_RELEASE);
    CHECK(waitpid(pid, &status, 0) == pid);
    __atomic_store_n(stop, 0, __ATOMIC_RELEASE);
}

static int is_death(int status)
{
    for (size_t i = 0; i < WEAPONS; i++)
        if (status == -(PRONY_DIED + weapons[i]))
            return 1;
    return 0;
}

/* Kills from outside, at any instruction. At most one task a death fails; a killed task may have marked its item just
 * before it died, a successful one has marked it once. */
static void killed_submits(struct cell *cell)
{
    int *stop = (int *)(void *)(cell->ground.arena.base + cell->ground.data.off + 131072 - 64);
    uint64_t futures[TASKS];
    pid_t pid = assassin(cell, stop);
    for (unsigned round = 0; round < cell->rounds; round++) {
        memset(out(cell), 0, 65536);
        submit(cell, WORK, TASKS, futures, draw(cell, 4000));
        if (round % 3 == 0)
            CHECK(cell->engine->wait(cell->handle, futures, TASKS, TASKS / 2, LIMIT_NS) == 0);
        CHECK(cell->engine->wait(cell->handle, futures, TASKS, TASKS, LIMIT_NS) == 0);
        for (unsigned i = 0; i < TASKS; i++) {
            int status = future_of(cell, i)->status;
            CHECK(status == 0 || is_death(status));
            CHECK(status == 0 ? out(cell)[i] == 1 : out(cell)[i] <= 1);
            cell->failed += status != 0;
        }
    }
    end_assassin(pid, stop);
}

static void killed_maps(struct cell *cell)
{
    int *stop = (int *)(void *)(cell->ground.arena.base + cell->ground.data.off + 131072 - 64);
    pid_t pid = assassin(cell, stop);
    for (unsigned round = 0; round < cell->rounds; round++) {
        struct prony_task task = task_of(cell, WORK, 0, 2000);
        struct prony_tally tally;
        unsigned undone = 0;
        memset(out(cell), 0, 65536);
        task.in.len = draw(cell, 20000);
        CHECK(cell->engine->map(cell->handle, &task, 1 + (int64_t)draw(cell, 3), &tally, LIMIT_NS) == 0);
        for (unsigned i = 0; i < 2000; i++) {
            CHECK(out(cell)[i] <= 1);
            undone += out(cell)[i] == 0;
        }
        cell->failed += tally.failed;
        CHECK(tally.failed == 0 ? undone == 0 && tally.status == 0
                                : is_death(tally.status) && undone <= 3 * tally.failed);
    }
    end_assassin(pid, stop);
}

static void killed_gangs(struct cell *cell)
{
    int *stop = (int *)(void *)(cell->ground.arena.base + cell->ground.data.off + 131072 - 64);
    pid_t pid = assassin(cell, stop);
    for (unsigned round = 0; round < cell->rounds * 3; round++) {
        struct prony_task task = task_of(cell, MEET, -1, 0);
        int status[WORKERS];
        CHECK(cell->engine->gang(cell->handle, &task, WORKERS, status, LIMIT_NS) == 0);
        for (unsigned i = 0; i < WORKERS; i++)
            CHECK(status[i] == 0 || status[i] == -ECANCELED || is_death(status[i]));
    }
    end_assassin(pid, stop);
}

/* Kills already sent may still arrive in the first tasks after the assassin is gone: let them. */
static void calm(struct cell *cell)
{
    struct prony_task task = task_of(cell, MEET, -1, 0);
    int status[WORKERS];
    for (unsigned i = 0; i < 10; i++) {
        CHECK(cell->engine->gang(cell->handle, &task, WORKERS, status, LIMIT_NS) == 0);
        (void)usleep(1000);
    }
}

/* What became of a tree, which is whole when nothing did. */
static int tree_of(struct cell *cell)
{
    struct prony_task task = task_of(cell, TREE, 9, 10);
    task.future = cell->ground.futures.off;
    CHECK(cell->engine->submit(cell->handle, &task, 1) == 0);
    CHECK(cell->engine->wait(cell->handle, &task.future, 1, 1, LIMIT_NS) == 0);
    CHECK(future_of(cell, 0)->status != 0 || future_of(cell, 0)->value == 512);
    return future_of(cell, 0)->status;
}

/* Recursion: a death anywhere in the tree reaches the root as an error, and when the killing is over none does. */
static void killed_trees(struct cell *cell)
{
    int *stop = (int *)(void *)(cell->ground.arena.base + cell->ground.data.off + 131072 - 64);
    pid_t pid = assassin(cell, stop);
    for (unsigned round = 0; round < cell->rounds * 2; round++) {
        const int status = tree_of(cell);
        CHECK(status == 0 || is_death(status) || status == -ECANCELED);
    }
    end_assassin(pid, stop);
    calm(cell);
    CHECK(tree_of(cell) == 0);
}

static void still_works(struct cell *cell)
{
    uint64_t futures[TASKS];
    clear(cell);
    submit(cell, WORK, TASKS, futures, 0);
    while (cell->engine->wait(cell->handle, futures, TASKS, TASKS, LIMIT_NS) != 0)
        CHECK(0);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK(future_of(cell, i)->status == 0 && out(cell)[i] == 1);
}

static unsigned deaths(const struct cell *cell)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        n += __atomic_load_n(&slot(cell, i)->generation, __ATOMIC_ACQUIRE) - 1;
    return n;
}

static unsigned descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned n = 0;
    while (readdir(folder) != NULL)
        n++;
    (void)closedir(folder);
    return n;
}

static void begin(struct cell *cell)
{
    struct prony_error error = {0, ""};
    struct prony_wish wish = {.workers = WORKERS, .data = 131072, .futures = TASKS};
    CHECK(prony_params_init(&cell->params, cell->engine->head.options, &error) == 0);
    wish.area = cell->engine->area(&cell->params, WORKERS);
    CHECK(prony_ground_make(&cell->ground, kernels, &wish, &error) == 0);
    cell->ground.setup.params = &cell->params;
    if (cell->carrier != NULL) {
        CHECK(prony_params_init(&cell->carrier_params, cell->carrier->head.options, &error) == 0);
        cell->ground.setup.carrier = cell->carrier;
        cell->ground.setup.carrier_params = &cell->carrier_params;
    }
    if (cell->engine->open(&cell->ground.setup, &cell->handle, &error) != 0) {
        (void)fprintf(stderr, "%s\n", error.text);
        _exit(1);
    }
}

static void child(const struct trial *trial, uint64_t seed)
{
    static void (*const trials[])(struct cell *) = {tasks_that_die, chunks_that_die, roles_that_die, killed_submits,
                                                    killed_maps,    killed_gangs,    killed_trees};
    const size_t n = sizeof trials / sizeof *trials - (trial->carrier != NULL); /* channels carry no recursion */
    struct cell cell = {.engine = trial->engine, .carrier = trial->carrier, .random = seed};
    const unsigned open = descriptors();
    cell.rounds = trial->carrier != NULL ? ROUNDS / 6 : ROUNDS;
    begin(&cell);
    for (size_t i = 0; i < n; i++) {
        unsigned before = deaths(&cell);
        cell.failed = 0;
        trials[i](&cell);
        calm(&cell);
        still_works(&cell);
        CHECK(cell.failed <= deaths(&cell) - before);
    }
    (void)fprintf(stderr, "%s: %u workers died\n", trial->name, deaths(&cell));
    CHECK(deaths(&cell) >= cell.rounds);
    CHECK(cell.engine->close(cell.handle, 1, LIMIT_NS) == 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    prony_ground_free(&cell.ground);
    prony_params_free(&cell.params);
    if (cell.carrier != NULL)
        prony_params_free(&cell.carrier_params);
    CHECK(descriptors() == open);
}

static void survives(void **state)
{
    const struct trial *trial = *state;
    const char *given = getenv("PRONY_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 20210607;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(200);
        child(trial, seed);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s, seed %llu: %s %d", trial->name, (unsigned long long)seed, WIFEXITED(status) ? "exit" : "signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int main(int argc, char **argv)
{
    static const char *const carriers[] = {"pipe", "unix-seqpacket", "shm-ring", "futex", "mp-pipe"};
    static struct trial trials[32];
    struct CMUnitTest tests[32];
    const struct prony_head *head;
    size_t n = 0;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_ENGINE, i)) != NULL; i++) {
        const size_t ways = (head->caps & PRONY_CAP_CHANNEL) != 0 ? sizeof carriers / sizeof *carriers : 0;
        for (size_t way = 0; way <= ways && (head->caps & PRONY_CAP_ISOLATES) != 0 && n < 32; way++) {
            struct trial *trial = &trials[n];
            trial->engine = (const struct prony_engine *)(const void *)head;
            trial->carrier = way == 0 ? NULL : prony_find_channel(carriers[way - 1], NULL);
            (void)snprintf(trial->name, sizeof trial->name, "%s%s%s", head->name, way == 0 ? "" : " over ",
                           way == 0 ? "" : carriers[way - 1]);
            if ((way == 0 || trial->carrier != NULL) && (argc < 2 || strcmp(argv[1], trial->name) == 0))
                tests[n++] = (struct CMUnitTest){trial->name, survives, NULL, NULL, trial};
        }
    }
    return _cmocka_run_group_tests("kill", tests, n, NULL, NULL);
}
