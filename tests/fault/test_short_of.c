/* What a machine may run out of: processes, memory for them, descriptors; when the engine opens, and when a worker that
 * died is to be replaced. The engine works on or says that it is broken, and why. */
#include "tests/fault/trouble.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { DIE = COUNT + 1 };

static int die(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker, (void)task;
    return raise(SIGKILL);
}

static const struct prony_kernel kernels[] = {{"count", count}, {"die", die}, {NULL, NULL}};

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
    for (unsigned i = 0; i < 30000 && code == 0; i++) { /* the rest may have ended before the death was seen */
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

/* A user of its own with so many processes or threads, this one among them; in a namespace with few users, one that hardly
 * anybody else is. */
static int become_limited(rlim_t processes)
{
    const struct rlimit limit = {processes, processes};
    const uid_t mine = 1000000000u + (uid_t)getpid(), user = 60000u + (uid_t)getpid() % 5000u;
#ifdef __SANITIZE_THREAD__
    (void)fprintf(stderr, "left out: the thread sanitizer has threads of its own, in workers too\n");
    return -EPERM;
#endif
    if (geteuid() != 0 || (setuid(mine) != 0 && setuid(user) != 0)) {
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
    for (unsigned i = 0; i < 10000 && start(cell) != 0; i++) { /* a joined thread counts until it is all gone */
        CHECK(cell->error.code == -EAGAIN);
        (void)usleep(1000);
    }
    CHECK(cell->handle != NULL);
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

int main(int argc, char **argv)
{
    static const struct trial trials[] = {
        {"no_process_to_open", no_process_to_open},       {"no_process_to_replace", no_process_to_replace},
        {"no_memory_to_open", no_memory_to_open},         {"no_memory_to_replace", no_memory_to_replace},
        {"no_descriptor_to_open", no_descriptor_to_open}, {"no_descriptor_to_replace", no_descriptor_to_replace},
    };
    return run_trials(kernels, trials, sizeof trials / sizeof *trials, argc, argv);
}
