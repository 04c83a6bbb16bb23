/* A rig for what is asked of libprony's engines in trouble: each trial runs with each engine, and with pools whose tasks
 * travel over a channel, in a process of its own, which must be left without children, threads and descriptors. */
#ifndef PRONY_TESTS_TROUBLE_H
#define PRONY_TESTS_TROUBLE_H

#include "base/params.h"
#include "base/registry.h"
#include "tests/tasks.h"

#include <prony/pool.h>

#include <prony/plugin/channel.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3u
#define TASKS 60u
#define ITEMS 1000
#define LIMIT_NS 60000000000
#define SKIPPED 77

#define COUNT 0 /* every table of kernels begins with this one */

/* What is tried: an engine, and the channel that is to carry its tasks. */
struct subject {
    const struct prony_engine *engine;
    const struct prony_channel *carrier; /* NULL: none */
};

struct cell {
    struct subject subject;
    const struct prony_kernel *kernels;
    struct prony_params params, carrier_params;
    struct prony_ground ground;
    struct prony_error error;
    void *handle;
};

static inline bool has(const struct cell *cell, uint64_t caps)
{
    if (cell->subject.carrier != NULL && (caps & PRONY_CAP_NEST) != 0)
        return false;
    return (cell->subject.engine->head.caps & caps) == caps;
}

static inline bool is_processes(const struct cell *cell)
{
    return has(cell, PRONY_CAP_ISOLATES);
}

static inline void prepare(struct cell *cell, unsigned workers)
{
    const struct prony_channel *carrier = cell->subject.carrier;
    struct prony_wish wish = {.workers = workers, .data = ITEMS * sizeof(int32_t), .futures = TASKS};
    CHECK(prony_params_init(&cell->params, cell->subject.engine->head.options, &cell->error) == 0);
    wish.area = cell->subject.engine->area(&cell->params, workers);
    CHECK(prony_ground_make(&cell->ground, cell->kernels, &wish, &cell->error) == 0);
    cell->ground.setup.params = &cell->params;
    if (carrier != NULL) {
        CHECK(prony_params_init(&cell->carrier_params, carrier->head.options, &cell->error) == 0);
        cell->ground.setup.carrier = carrier;
        cell->ground.setup.carrier_params = &cell->carrier_params;
    }
}

static inline int start(struct cell *cell)
{
    return cell->subject.engine->open(&cell->ground.setup, &cell->handle, &cell->error);
}

static inline void finish(struct cell *cell)
{
    prony_ground_free(&cell->ground);
    prony_params_free(&cell->params);
    if (cell->subject.carrier != NULL)
        prony_params_free(&cell->carrier_params);
}

static inline int stop(struct cell *cell)
{
    int code = cell->subject.engine->close(cell->handle, 1, LIMIT_NS);
    finish(cell);
    return code;
}

static inline void begin(struct cell *cell)
{
    prepare(cell, WORKERS);
    if (start(cell) != 0) {
        (void)fprintf(stderr, "%s\n", cell->error.text);
        _exit(1);
    }
}

static inline int32_t *counts(const struct cell *cell)
{
    return (int32_t *)(void *)(cell->ground.arena.base + cell->ground.data.off);
}

static inline uint64_t future_at(const struct cell *cell, unsigned i)
{
    return cell->ground.futures.off + i * sizeof(struct prony_future);
}

static const struct prony_future *future_of(const struct cell *cell, unsigned i)
{
    return (const struct prony_future *)(const void *)(cell->ground.arena.base + future_at(cell, i));
}

static inline struct prony_task task_of(const struct cell *cell, uint16_t kernel, unsigned i)
{
    struct prony_task task = {.ref = {1, kernel}, .lo = i, .hi = i + 1, .out = cell->ground.data};
    task.future = future_at(cell, i);
    return task;
}

static inline int run(struct cell *cell, const struct prony_task *tasks, unsigned n)
{
    uint64_t futures[TASKS];
    int code = cell->subject.engine->submit(cell->handle, tasks, n);
    for (unsigned i = 0; i < n; i++)
        futures[i] = tasks[i].future;
    return code != 0 ? code : cell->subject.engine->wait(cell->handle, futures, n, n, LIMIT_NS);
}

static inline int map(struct cell *cell, int64_t chunk, struct prony_tally *tally)
{
    struct prony_task task = task_of(cell, COUNT, 0);
    task.hi = ITEMS;
    *tally = (struct prony_tally){-1, 1, 2, 3};
    memset(counts(cell), 0, ITEMS * sizeof(int32_t));
    return cell->subject.engine->map(cell->handle, &task, chunk, tally, LIMIT_NS);
}

static inline void works(struct cell *cell)
{
    struct prony_task tasks[TASKS];
    struct prony_tally tally;
    CHECK(map(cell, 0, &tally) == 0 && tally.status == 0 && tally.failed == 0);
    for (unsigned i = 0; i < ITEMS; i++)
        CHECK(counts(cell)[i] == 1);
    for (unsigned i = 0; i < TASKS; i++)
        tasks[i] = task_of(cell, COUNT, i);
    CHECK(run(cell, tasks, TASKS) == 0);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK(future_of(cell, i)->status == 0 && counts(cell)[i] == 2);
}

struct trial {
    const char *name;
    int (*run)(struct cell *cell);
};

static inline int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = -3; /* ".", ".." and this one */
    while (readdir(folder) != NULL)
        n++;
    (void)closedir(folder);
    return n;
}

static const struct prony_kernel *trial_kernels;
static inline unsigned threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    unsigned n = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(folder);
    return n;
}

static inline void *nothing(void *argument)
{
    return argument;
}

static inline void child(const struct trial *trial, const struct subject *subject)
{
    struct cell cell = {.subject = *subject, .kernels = trial_kernels};
    const int descriptors = open_descriptors();
    unsigned before;
    pthread_t first;
    int code;
    (void)alarm(100);
    CHECK(pthread_create(&first, NULL, nothing, NULL) == 0 && pthread_join(first, NULL) == 0);
    before = threads(); /* the thread sanitizer begins one of its own beside the first */
    code = trial->run(&cell);
    if (code == SKIPPED)
        _exit(SKIPPED);
    CHECK(code == 0);
    CHECK(open_descriptors() == descriptors);
    for (unsigned i = 0; i < 10000 && threads() > before; i++) /* one that was joined is seen until it is all gone */
        (void)usleep(1000);
    CHECK(threads() == before);
    _exit(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 2);
}

static struct subject subjects[16];
static size_t nsubjects;

static inline void survives(void **state)
{
    const struct trial *trial = *state;
    for (size_t i = 0; i < nsubjects; i++) {
        const char *carrier = subjects[i].carrier != NULL ? subjects[i].carrier->head.name : "its own way";
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            child(trial, &subjects[i]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != SKIPPED))
            fail_msg("%s, %s, %s: %s %d", trial->name, subjects[i].engine->head.name, carrier,
                     WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
}

/* Runs all trials, or the one that the command line names. */
static inline int run_trials(const struct prony_kernel *kernels, const struct trial *trials, size_t n, int argc,
                             char **argv)
{
    static const char *const engines[] = {"thread", "fork", "futures-thread", "futures-process"};
    static const char *const carriers[] = {"pipe", "shm-ring", "unix-seqpacket"};
    struct CMUnitTest tests[32];
    size_t chosen = 0;
    trial_kernels = kernels;
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        subjects[nsubjects++].engine = prony_find_engine(engines[i], NULL);
    for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++)
        subjects[nsubjects++] =
            (struct subject){prony_find_engine("fork", NULL), prony_find_channel(carriers[i], NULL)};
    for (size_t i = 0; i < n && chosen < 32; i++)
        if (argc < 2 || strcmp(argv[1], trials[i].name) == 0)
            tests[chosen++] = (struct CMUnitTest){trials[i].name, survives, NULL, NULL, (void *)(uintptr_t)&trials[i]};
    return _cmocka_run_group_tests("trouble", tests, chosen, NULL, NULL);
}

#endif
