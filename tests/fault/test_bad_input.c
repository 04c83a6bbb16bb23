/* What a caller should not do, and what a machine may run out of: each is an error where it belongs, and the engine works
 * on or says that it is broken. For the engines of libprony, and for pools whose tasks travel over a channel; each trial
 * in a process of its own, which must be left without children, threads and descriptors. */
#include "base/params.h"
#include "base/registry.h"

#include <prony/pool.h>

#include <prony/plugin/channel.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3u
#define TASKS 60u
#define ITEMS 1000
#define LIMIT_NS 60000000000
#define SKIPPED 77
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                              \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

enum { COUNT, DEEP, CAREFUL, ENDLESS, DIE };

/* Adds one to the counter of every item. */
static int count(struct prony_worker *worker, const struct prony_task *task)
{
    int32_t *counts = prony_at(worker, task->out.off);
    for (int64_t i = task->lo; i < task->hi; i++)
        (void)__atomic_fetch_add(&counts[i], 1, __ATOMIC_RELAXED);
    return 0;
}

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

/* More stack than there is, where the argument says so. */
static int endless(struct prony_worker *worker, const struct prony_task *task)
{
    volatile unsigned char room[4096];
    struct prony_task next = *task;
    room[0] = task->arg[0];
    return room[0] == 0 ? count(worker, task) : endless(worker, &next) + room[0];
}

static int die(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker, (void)task;
    return raise(SIGKILL);
}

static const struct prony_kernel kernels[] = {{"count", count},     {"deep", deep}, {"careful", careful},
                                              {"endless", endless}, {"die", die},   {NULL, NULL}};

/* What is tried: an engine, and the channel that is to carry its tasks. */
struct subject {
    const struct prony_engine *engine;
    const struct prony_channel *carrier; /* NULL: none */
};

struct cell {
    struct subject subject;
    struct prony_params params, carrier_params;
    struct prony_ground ground;
    struct prony_error error;
    void *handle;
};

static bool has(const struct cell *cell, uint64_t caps)
{
    if (cell->subject.carrier != NULL && (caps & PRONY_CAP_NEST) != 0)
        return false;
    return (cell->subject.engine->head.caps & caps) == caps;
}

static bool is_processes(const struct cell *cell)
{
    return has(cell, PRONY_CAP_ISOLATES);
}

static void prepare(struct cell *cell, unsigned workers)
{
    const struct prony_channel *carrier = cell->subject.carrier;
    struct prony_wish wish = {.workers = workers, .data = ITEMS * sizeof(int32_t), .futures = TASKS};
    CHECK(prony_params_init(&cell->params, cell->subject.engine->head.options, &cell->error) == 0);
    wish.area = cell->subject.engine->area(&cell->params, workers);
    CHECK(prony_ground_make(&cell->ground, kernels, &wish, &cell->error) == 0);
    cell->ground.setup.params = &cell->params;
    if (carrier != NULL) {
        CHECK(prony_params_init(&cell->carrier_params, carrier->head.options, &cell->error) == 0);
        cell->ground.setup.carrier = carrier;
        cell->ground.setup.carrier_params = &cell->carrier_params;
    }
}

static int start(struct cell *cell)
{
    return cell->subject.engine->open(&cell->ground.setup, &cell->handle, &cell->error);
}

static void finish(struct cell *cell)
{
    prony_ground_free(&cell->ground);
    prony_params_free(&cell->params);
    if (cell->subject.carrier != NULL)
        prony_params_free(&cell->carrier_params);
}

static int stop(struct cell *cell)
{
    int code = cell->subject.engine->close(cell->handle, 1, LIMIT_NS);
    finish(cell);
    return code;
}

static void begin(struct cell *cell)
{
    prepare(cell, WORKERS);
    if (start(cell) != 0) {
        (void)fprintf(stderr, "%s\n", cell->error.text);
        _exit(1);
    }
}

static int32_t *counts(const struct cell *cell)
{
    return (int32_t *)(void *)(cell->ground.arena.base + cell->ground.data.off);
}

static uint64_t future_at(const struct cell *cell, unsigned i)
{
    return cell->ground.futures.off + i * sizeof(struct prony_future);
}

static const struct prony_future *future_of(const struct cell *cell, unsigned i)
{
    return (const struct prony_future *)(const void *)(cell->ground.arena.base + future_at(cell, i));
}

static struct prony_task task_of(const struct cell *cell, uint16_t kernel, unsigned i)
{
    struct prony_task task = {.ref = {1, kernel}, .lo = i, .hi = i + 1, .out = cell->ground.data};
    task.future = future_at(cell, i);
    return task;
}

static int run(struct cell *cell, const struct prony_task *tasks, unsigned n)
{
    uint64_t futures[TASKS];
    int code = cell->subject.engine->submit(cell->handle, tasks, n);
    for (unsigned i = 0; i < n; i++)
        futures[i] = tasks[i].future;
    return code != 0 ? code : cell->subject.engine->wait(cell->handle, futures, n, n, LIMIT_NS);
}

static int map(struct cell *cell, int64_t chunk, struct prony_tally *tally)
{
    struct prony_task task = task_of(cell, COUNT, 0);
    task.hi = ITEMS;
    *tally = (struct prony_tally){-1, 1, 2, 3};
    memset(counts(cell), 0, ITEMS * sizeof(int32_t));
    return cell->subject.engine->map(cell->handle, &task, chunk, tally, LIMIT_NS);
}

static void works(struct cell *cell)
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

/* The worker of one task dies, and there will be no other: whatever is asked of the engine then, it says why. All that
 * were queued are DONE when it is closed. */
static int without_replacement(struct cell *cell, int reason)
{
    struct prony_task tasks[TASKS];
    struct prony_tally tally;
    int status[WORKERS], code;
    for (unsigned i = 0; i < TASKS; i++)
        tasks[i] = task_of(cell, i == 0 ? DIE : COUNT, i);
    code = run(cell, tasks, TASKS);
    CHECK(code == 0 || code == reason);
    for (unsigned i = 0; i < 1000 && code == 0; i++) { /* the rest may have ended before the death was seen */
        code = run(cell, &tasks[1], 1);
        (void)usleep(1000);
    }
    CHECK(code == reason);
    CHECK(run(cell, tasks, TASKS) == reason);
    CHECK(map(cell, 0, &tally) == reason);
    CHECK(cell->subject.engine->gang(cell->handle, &tasks[1], WORKERS, status, LIMIT_NS) == reason);
    code = cell->subject.engine->close(cell->handle, 1, LIMIT_NS);
    CHECK(code == 0 || code == reason);
    for (unsigned i = 0; i < TASKS; i++)
        CHECK(prony_future_phase(future_of(cell, i)) == PRONY_DONE);
    finish(cell);
    return 0;
}

/* A user of its own with so many processes or threads, this one among them. */
static int become_limited(rlim_t processes)
{
    const struct rlimit limit = {processes, processes};
    const uid_t user = 60000u + (uid_t)getpid() % 5000u;
    if (geteuid() != 0 || setuid(user) != 0) {
        (void)fprintf(stderr, "left out: only root can be a user whose processes nobody else adds to\n");
        return -EPERM;
    }
    return setrlimit(RLIMIT_NPROC, &limit) == 0 ? 0 : -errno;
}

static int no_process_to_open(struct cell *cell)
{
    prepare(cell, WORKERS);
    if (become_limited(3) != 0)
        return SKIPPED;
    CHECK(start(cell) == -EAGAIN);
    CHECK(strstr(cell->error.text, "cannot start worker 2") != NULL);
    CHECK(strstr(cell->error.text, "Resource temporarily unavailable") != NULL);
    cell->ground.setup.workers = WORKERS - 1;
    CHECK(start(cell) == 0);
    works(cell);
    return stop(cell);
}

static int no_process_to_replace(struct cell *cell)
{
    const struct rlimit limit = {WORKERS, WORKERS};
    if (!is_processes(cell))
        return SKIPPED;
    if (become_limited(WORKERS + 1) != 0)
        return SKIPPED;
    begin(cell);
    works(cell);
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    return without_replacement(cell, -EAGAIN);
}

/* From now on no process and no thread can be made: there is no memory for it. */
static void forbid_clones(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        (void)fprintf(stderr, "left out: no filter of system calls here: %s\n", strerror(errno));
        _exit(SKIPPED);
    }
}

static int no_memory_to_open(struct cell *cell)
{
    prepare(cell, WORKERS);
    forbid_clones();
    CHECK(start(cell) == (is_processes(cell) ? -ENOMEM : -EAGAIN)); /* what pthread_create makes of it */
    CHECK(strstr(cell->error.text, "cannot start worker 0") != NULL);
    finish(cell);
    return 0;
}

static int no_memory_to_replace(struct cell *cell)
{
    if (!is_processes(cell))
        return SKIPPED;
    begin(cell);
    works(cell);
    forbid_clones();
    return without_replacement(cell, -ENOMEM);
}

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = -3; /* ".", ".." and this one */
    while (readdir(folder) != NULL)
        n++;
    (void)closedir(folder);
    return n;
}

/* The limit is a bound on numbers: with every number below it taken there is none left. */
static void use_up_descriptors(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = (rlim_t)open_descriptors() + 32;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (dup(2) >= 0)
        ;
    CHECK(errno == EMFILE);
}

/* Without a descriptor there is no arena. A pool on one needs no more of them, but for the channel that carries its
 * tasks. */
static int no_descriptor_to_open(struct cell *cell)
{
    const struct prony_wish wish = {.workers = 1, .area = 4096, .data = 4096, .futures = 1};
    struct prony_ground ground;
    prepare(cell, WORKERS);
    use_up_descriptors();
    CHECK(prony_ground_make(&ground, kernels, &wish, &cell->error) == -EMFILE);
    CHECK(strstr(cell->error.text, "Too many open files") != NULL);
    if (cell->subject.carrier == NULL) {
        CHECK(start(cell) == 0);
        works(cell);
        CHECK(stop(cell) == 0);
    } else {
        CHECK(start(cell) == -EMFILE);
        CHECK(strstr(cell->error.text, cell->subject.carrier->head.name) != NULL);
        finish(cell);
    }
    _exit(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 2); /* what was used up is not left over */
}

static int no_descriptor_to_replace(struct cell *cell)
{
    struct prony_task task;
    if (!is_processes(cell))
        return SKIPPED;
    begin(cell);
    works(cell);
    use_up_descriptors();
    if (cell->subject.carrier == NULL) {
        task = task_of(cell, DIE, 0);
        CHECK(run(cell, &task, 1) == 0 && future_of(cell, 0)->status == -(PRONY_DIED + SIGKILL));
        works(cell);
        CHECK(stop(cell) == 0);
    } else { /* the end of a dead worker is one descriptor, a new pair needs more */
        CHECK(without_replacement(cell, -EMFILE) == 0);
    }
    _exit(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 2);
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

struct trial {
    const char *name;
    int (*run)(struct cell *cell);
};

static const struct trial trials[] = {
    {"numbers_of_workers", numbers_of_workers},
    {"chunks", chunks},
    {"payloads", payloads},
    {"recursion", recursion},
    {"stacks", stacks},
    {"no_process_to_open", no_process_to_open},
    {"no_process_to_replace", no_process_to_replace},
    {"no_memory_to_open", no_memory_to_open},
    {"no_memory_to_replace", no_memory_to_replace},
    {"no_descriptor_to_open", no_descriptor_to_open},
    {"no_descriptor_to_replace", no_descriptor_to_replace},
    {"no_memory_for_the_arena", no_memory_for_the_arena},
};

static unsigned threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    unsigned n = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(folder);
    return n;
}

static void child(const struct trial *trial, const struct subject *subject)
{
    struct cell cell = {.subject = *subject};
    const int descriptors = open_descriptors();
    const unsigned before = threads(); /* a sanitizer may have its own */
    int code;
    (void)alarm(100);
    code = trial->run(&cell);
    if (code == SKIPPED)
        _exit(SKIPPED);
    CHECK(code == 0);
    CHECK(open_descriptors() == descriptors);
    CHECK(threads() == before);
    _exit(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 2);
}

static struct subject subjects[16];
static size_t nsubjects;

static void survives(void **state)
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

int main(int argc, char **argv)
{
    static const char *const engines[] = {"thread", "fork", "futures-thread", "futures-process"};
    static const char *const carriers[] = {"pipe", "shm-ring", "unix-seqpacket"};
    struct CMUnitTest tests[sizeof trials / sizeof *trials];
    size_t n = 0;
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        subjects[nsubjects++].engine = prony_find_engine(engines[i], NULL);
    for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++)
        subjects[nsubjects++] =
            (struct subject){prony_find_engine("fork", NULL), prony_find_channel(carriers[i], NULL)};
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        if (argc < 2 || strcmp(argv[1], trials[i].name) == 0)
            tests[n++] = (struct CMUnitTest){trials[i].name, survives, NULL, NULL, (void *)(uintptr_t)&trials[i]};
    return _cmocka_run_group_tests("bad input", tests, n, NULL, NULL);
}
