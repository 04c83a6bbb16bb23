/* What a broken kernel, a killed worker, a killed interpreter and a hang cost under each of CPython's pools: the right code within
 * bounds, a clear refusal afterwards, nothing left over. */
#include "tests/conformance/bed.h"

#include <glob.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SHORT_NS (BED_S / 2)

static char folder[] = "/tmp/prony-test-XXXXXX";
static const char *pool = "python-processes"; /* the engine under test */
static const char *const hangs[] = {"way", "hang", NULL};

static int setup_plugin(void **state)
{
    char command[1200], path[64];
    struct prony_error error = {0, ""};
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/misbehave.so", folder);
    (void)snprintf(command, sizeof command,
                   "cc -std=c11 -D_GNU_SOURCE -shared -fPIC -I %s/../../include -o %s %s/../fault/plugins/misbehave.c",
                   FIXTURES, path, FIXTURES);
    if (system(command) != 0 || prony_registry_load(path, NULL, NULL, &error) != 0)
        print_message("%s\n", error.text);
    (void)unlink(path); /* images load it through the descriptor */
    return error.code;
}

static int teardown_plugin(void **state)
{
    (void)state;
    return rmdir(folder);
}

static bool threads(void)
{
    return strcmp(pool, "python-threads") == 0;
}

/* A /dev/shm of its own, where the machine allows that. */
static void go_apart(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("shm", "/dev/shm", "tmpfs", 0, NULL) != 0)
        print_message("no /dev/shm of its own: %s\n", strerror(errno));
}

/* Named semaphores of multiprocessing in shared memory: those of others too where it is shared, so that only new ones
 * tell. */
static unsigned semaphores(void)
{
    glob_t found;
    unsigned n = glob("/dev/shm/sem.mp-*", 0, NULL, &found) == 0 ? (unsigned)found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static bool alive(pid_t pid)
{
    char path[64], text[256] = "";
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (file == NULL)
        return false;
    (void)!fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    return strrchr(text, ')') != NULL && strrchr(text, ')')[2] != 'Z';
}

static void assert_gone(struct bed *bed)
{
    for (unsigned i = 0; i < bed->cell.workers; i++) {
        pid_t pid = bed_slots(bed)[i].pid;
        for (unsigned ms = 0; ms < 60000 && pid != 0 && alive(pid); ms++)
            (void)usleep(1000);
        assert_true(pid == 0 || !alive(pid));
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child of ours */
}

static void make(struct bed *bed, const char *const *params)
{
    bed_make(bed, pool, "misbehave", 2, NULL, params);
    bed_start(bed);
}

static void finish(struct bed *bed)
{
    assert_int_equal(bed_close(bed, 1, BED_TIMEOUT_NS), 0);
    assert_gone(bed);
    bed_free(bed);
}

/* A kernel that fails fails its chunk, and nothing else. */
static void test_fail(void **state)
{
    static const char *const params[] = {"way", "fail", NULL};
    struct bed bed;
    (void)state;
    make(&bed, params);
    bed.bench.chunk = 10;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bed_sample(&bed), -EIO);
        assert_int_equal(bed.bench.tally.failed, 1);
        assert_int_equal(bed.bench.tally.first_lo, 0);
        assert_int_equal(bed.bench.tally.first_hi, 10);
    }
    finish(&bed);
}

/* After a death every call says the same; a new engine works. */
static void check_broken(struct bed *bed, int code)
{
    struct prony_task task = {.ref = {1, 0}, .lo = 0, .hi = 1};
    const struct prony_engine *ops = bed->cell.engine;
    struct prony_tally tally;
    int status[2];
    assert_int_equal(ops->map(bed->bench.handle, &task, 0, &tally, BED_TIMEOUT_NS), code);
    assert_int_equal(ops->gang(bed->bench.handle, &task, 1, status, BED_TIMEOUT_NS), code);
    /* what was stuck had to be killed, and close says so */
    assert_int_equal(bed_close(bed, 1, BED_TIMEOUT_NS), code == -ETIMEDOUT ? code : 0);
    assert_gone(bed);
    bed_start(bed);
    task.lo = 1;
    task.hi = 100;
    task.out = bed->board.data;
    assert_int_equal(ops->map(bed->bench.handle, &task, 9, &tally, BED_TIMEOUT_NS), 0);
    assert_int_equal(tally.failed, 0);
}

static void test_signal(void **state)
{
    static const char *const params[] = {"way", "segv", NULL};
    struct bed bed;
    (void)state;
    make(&bed, params);
    assert_int_equal(bed_sample(&bed), -(PRONY_DIED + SIGSEGV));
    assert_true(bed.bench.tally.failed > 0);
    check_broken(&bed, -(PRONY_DIED + SIGSEGV));
    finish(&bed);
}

/* Kills `victim` a while after the map has begun. */
static pid_t killer(struct bed *bed, pid_t victim)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    for (unsigned ms = 0; ms < 20000; ms++) {
        if (bed_slots(bed)[0].lo == 0 || bed_slots(bed)[1].lo == 0)
            break;
        (void)usleep(1000);
    }
    (void)kill(victim, SIGKILL);
    _exit(0);
}

static void test_killed_worker(void **state)
{
    struct bed bed;
    pid_t pid;
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) { /* the one that hangs, or the other: all tasks are lost */
        make(&bed, hangs);
        pid = killer(&bed, bed_slots(&bed)[victim].pid);
        assert_int_equal(bed_sample(&bed), -(PRONY_DIED + SIGKILL));
        assert_true(bed.bench.tally.failed > 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        check_broken(&bed, -(PRONY_DIED + SIGKILL));
        finish(&bed);
    }
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[256] = "";
    FILE *file;
    int parent = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    assert_non_null(file);
    (void)!fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    assert_int_equal(sscanf(strrchr(text, ')') + 2, "%*c %d", &parent), 1);
    return parent;
}

static void test_killed_interpreter(void **state)
{
    struct bed bed;
    pid_t pid;
    (void)state;
    make(&bed, hangs);
    pid = killer(&bed, threads() ? bed_slots(&bed)[0].pid : parent_of(bed_slots(&bed)[0].pid));
    assert_int_equal(bed_sample(&bed), -(PRONY_DIED + SIGKILL));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    check_broken(&bed, -(PRONY_DIED + SIGKILL));
    finish(&bed);
}

/* Tasks that were under way when the death of a worker is noticed are DONE with its signal, and so are later ones. Until
 * then the other worker does them. */
static void test_killed_in_tasks(void **state)
{
    enum { N = 200 };
    struct prony_task tasks[N];
    struct bed bed;
    (void)state;
    bed_make(&bed, pool, "spin", 2, NULL, NULL);
    assert_true(bed.cell.need.futures >= N);
    bed_start(&bed);
    memset(tasks, 0, sizeof tasks);
    for (unsigned i = 0; i < N; i++) {
        bed.cell.workload->task(&bed.bench, &tasks[i]);
        tasks[i].lo = i;
        tasks[i].hi = i + 1;
        tasks[i].future = bed.offsets[i];
    }
    assert_int_equal(kill(bed_slots(&bed)[1].pid, SIGKILL), 0);
    for (unsigned round = 0; round < 10000 && (round == 0 || bed_future(&bed, N - 1)->status == 0); round++) {
        (void)bed.cell.engine->submit(bed.bench.handle, tasks, N);
        (void)bed.cell.engine->wait(bed.bench.handle, bed.offsets, N, N, BED_TIMEOUT_NS);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(prony_future_phase(bed_future(&bed, i)), PRONY_DONE);
            assert_true(bed_future(&bed, i)->status == 0 || bed_future(&bed, i)->status == -(PRONY_DIED + SIGKILL));
        }
    }
    assert_int_equal(bed_future(&bed, N - 1)->status, -(PRONY_DIED + SIGKILL));
    assert_int_equal(bed.cell.engine->submit(bed.bench.handle, tasks, 1), -(PRONY_DIED + SIGKILL));
    assert_int_equal(prony_future_phase(bed_future(&bed, 0)), PRONY_DONE);
    assert_int_equal(bed_future(&bed, 0)->status, -(PRONY_DIED + SIGKILL));
    finish(&bed);
}

/* One role dies: its status tells, the others are cancelled. */
static void test_killed_in_gang(void **state)
{
    static const char *const params[] = {"way", "segv", NULL};
    struct prony_task task = {.ref = {1, 0}, .lo = 0, .hi = 1};
    struct bed bed;
    int status[2] = {0, 0};
    (void)state;
    make(&bed, params);
    bed.cell.workload->task(&bed.bench, &task);
    task.hi = 1;
    assert_int_equal(bed.cell.engine->gang(bed.bench.handle, &task, 1, status, BED_TIMEOUT_NS), 0);
    assert_int_equal(status[0], -(PRONY_DIED + SIGSEGV));
    check_broken(&bed, -(PRONY_DIED + SIGSEGV));
    finish(&bed);
}

static void test_timeout(void **state)
{
    struct bed bed;
    (void)state;
    make(&bed, hangs);
    bed.bench.timeout_ns = SHORT_NS;
    assert_int_equal(bed_sample(&bed), -ETIMEDOUT);
    check_broken(&bed, -ETIMEDOUT);
    finish(&bed);
}

static void test_stuck_close(void **state)
{
    static const char *const params[] = {"way", "hang", NULL};
    struct bed bed;
    (void)state;
    for (unsigned method = 0; method < (threads() ? 1 : 3); method++) {
        const char *const start[] = {"start", method == 0 ? "fork" : method == 1 ? "spawn" : "forkserver", NULL};
        unsigned before = semaphores();
        struct prony_task task = {.ref = {1, 0}, .lo = 0, .hi = 1};
        int status;
        bed_make(&bed, pool, "misbehave", 2, threads() ? NULL : start, params);
        bed_start(&bed);
        bed.cell.workload->task(&bed.bench, &task);
        task.hi = 1;
        assert_int_equal(bed.cell.engine->gang(bed.bench.handle, &task, 1, &status, SHORT_NS), -ETIMEDOUT);
        task.lo = 1; /* would not hang, if it had not to wait for the one that does */
        assert_int_equal(bed.cell.engine->gang(bed.bench.handle, &task, 1, &status, BED_TIMEOUT_NS), -ETIMEDOUT);
        assert_int_equal(bed_close(&bed, 1, SHORT_NS), -ETIMEDOUT);
        assert_gone(&bed);
        for (unsigned ms = 0; ms < 60000 && semaphores() > before; ms++)
            (void)usleep(1000); /* somebody else's come and go */
        assert_true(semaphores() <= before);
        bed_free(&bed);
    }
}

static void refuse(const char *name, const char *value, const char *says)
{
    const char *const options[] = {name, value, NULL};
    struct bed bed;
    bed_make(&bed, pool, "primes", 2, options, NULL);
    assert_int_equal(bed_open(&bed), -ENOTSUP);
    if (strstr(bed.error.text, says) == NULL)
        fail_msg("'%s' says nothing of '%s'", bed.error.text, says);
    bed.bench.handle = NULL;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    bed_free(&bed);
}

static void test_refusals(void **state)
{
    static const char *const spawns[] = {"start", "spawn", NULL};
    struct bed bed;
    (void)state;
    refuse("python", "/nonexistent/python3", "/nonexistent/python3");
    refuse("python", "/bin/true", "/bin/true");
    refuse("image", "/nonexistent/image.so", "/nonexistent/image.so");
    if (threads())
        return;
    bed_make(&bed, pool, "pingpong", 2, spawns, NULL);
    bed.setup.channel = bed.cell.channel;
    assert_int_equal(bed_open(&bed), -ENOTSUP); /* a spawned worker has no descriptors */
    assert_non_null(strstr(bed.error.text, "start=fork"));
    bed_free(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fail),
                                       cmocka_unit_test(test_signal),
                                       cmocka_unit_test(test_killed_worker),
                                       cmocka_unit_test(test_killed_interpreter),
                                       cmocka_unit_test(test_killed_in_tasks),
                                       cmocka_unit_test(test_killed_in_gang),
                                       cmocka_unit_test(test_timeout),
                                       cmocka_unit_test(test_stuck_close),
                                       cmocka_unit_test(test_refusals)};
    static const char *const pools[] = {"python-processes", "python-pool", "python-threads"};
    int failed = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct prony_error error = {0, ""};
        const struct prony_engine *engine = prony_find_engine(pools[i], &error);
        if (engine == NULL || engine->head.probe(&error) != 0) {
            print_message("skipped: %s\n", error.text);
            return 77;
        }
    }
    go_apart();
    if (setup_plugin(NULL) != 0)
        return 1;
    for (unsigned i = 0; i < 3; i++) {
        pool = pools[i];
        failed += _cmocka_run_group_tests(pool, tests, sizeof tests / sizeof *tests, NULL, NULL);
    }
    return teardown_plugin(NULL) != 0 || failed != 0;
}
