/* The provider software counts what is known to have happened: faults, switches, migrations, on the right thread,
 * also after a forked child has opened and left a set of its own. */
#include "base/clock.h"
#include "base/registry.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TASK_CLOCK, PAGE_FAULTS, SWITCHES, INVOLUNTARY, VOLUNTARY, MIGRATIONS, EVENTS, PAGES = 100, TIMES = 40 };
static const char *const events[EVENTS] = {"task-clock",           "page-faults",        "switches",
                                           "involuntary-switches", "voluntary-switches", "migrations"};
static const struct prony_provider *software;

static void enter(struct prony_worker *worker, struct prony_value *values)
{
    memset(worker, 0, sizeof *worker);
    assert_int_equal(software->enter(worker, events, EVENTS, values, NULL), 0);
    assert_int_equal(software->read(worker, values, EVENTS), 0); /* the first read touches the code and the stack */
}

static void copy_totals(struct prony_worker *worker, struct prony_value *values, int64_t *totals)
{
    assert_int_equal(software->read(worker, values, EVENTS), 0);
    for (int i = 0; i < EVENTS; i++) {
        assert_int_equal(values[i].status, PRONY_COUNTED);
        totals[i] = values[i].value;
    }
}

/* Exact, but for the pages of its own that the thread sanitizer's runtime touches meanwhile. */
static bool are_the_pages(int64_t faults)
{
#ifdef __SANITIZE_THREAD__
    return faults >= PAGES && faults <= PAGES + 16;
#else
    return faults == PAGES;
#endif
}

static unsigned char *fresh_pages(void)
{
    unsigned char *pages = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    (void)madvise(pages, PAGES * 4096, MADV_NOHUGEPAGE);
    return pages;
}

/* Without the sanitizers' own memory, whose pages would be touched too. */
static __attribute__((noinline, no_sanitize("address", "thread"))) void touch(volatile unsigned char *pages)
{
    for (int i = 0; i < PAGES; i++)
        pages[i * 4096] = 1;
}

static int64_t faults_of_touching(struct prony_worker *worker, struct prony_value *values)
{
    int64_t before[EVENTS] = {0}, after[EVENTS] = {0};
    unsigned char *pages = fresh_pages();
    copy_totals(worker, values, before);
    touch(pages);
    copy_totals(worker, values, after);
    (void)munmap(pages, PAGES * 4096);
    return after[PAGE_FAULTS] - before[PAGE_FAULTS];
}

static void touched_pages_are_faults(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    (void)state;
    if (sysconf(_SC_PAGESIZE) != 4096)
        skip();
    enter(&worker, values);
    assert_true(are_the_pages(faults_of_touching(&worker, values)));
    assert_true(are_the_pages(faults_of_touching(&worker, values)));
    software->leave(&worker);
    assert_null(worker.counting);
}

/* Two threads that take turns: what one does is not counted on the other. */
struct pair {
    pthread_barrier_t turn;
    unsigned char *pages;
    int64_t delta[2][EVENTS];
};

static struct pair pair;

static void *count_one(void *argument)
{
    int me = argument != NULL;
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    int64_t before[EVENTS] = {0}, after[EVENTS] = {0};
    enter(&worker, values);
    (void)pthread_barrier_wait(&pair.turn);
    (void)pthread_barrier_wait(&pair.turn);
    copy_totals(&worker, values, before);
    if (me == 1)
        touch(pair.pages);
    copy_totals(&worker, values, after);
    for (int i = 0; i < EVENTS; i++)
        pair.delta[me][i] = after[i] - before[i];
    (void)pthread_barrier_wait(&pair.turn);
    software->leave(&worker);
    return NULL;
}

static void faults_belong_to_the_thread(void **state)
{
    pthread_t threads[2];
    (void)state;
    if (sysconf(_SC_PAGESIZE) != 4096)
        skip();
    pair.pages = fresh_pages();
    assert_int_equal(pthread_barrier_init(&pair.turn, NULL, 2), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, count_one, NULL), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, count_one, &pair), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_true(are_the_pages(pair.delta[0][PAGE_FAULTS] + PAGES)); /* none */
    assert_true(are_the_pages(pair.delta[1][PAGE_FAULTS]));
    (void)pthread_barrier_destroy(&pair.turn);
    (void)munmap(pair.pages, PAGES * 4096);
}

/* A thread that blocks TIMES times; it is only woken once the kernel shows it asleep. */
struct sleeper {
    int wake[2];
    atomic_int tid;
    int64_t delta[EVENTS];
};

static struct sleeper sleeper;

static void *block_often(void *unused)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    int64_t before[EVENTS] = {0}, after[EVENTS] = {0};
    char byte;
    (void)unused;
    enter(&worker, values);
    copy_totals(&worker, values, before);
    atomic_store(&sleeper.tid, (int)syscall(SYS_gettid));
    for (int i = 0; i < TIMES; i++)
        assert_int_equal(read(sleeper.wake[0], &byte, 1), 1);
    copy_totals(&worker, values, after);
    for (int i = 0; i < EVENTS; i++)
        sleeper.delta[i] = after[i] - before[i];
    software->leave(&worker);
    return NULL;
}

/* The sleeper's voluntary switches as another part of the kernel tells them, and whether it sleeps. */
static long voluntary_of(int tid, bool *asleep)
{
    char path[64], line[128];
    long count = -1;
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    file = fopen(path, "re");
    *asleep = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        *asleep = *asleep || strncmp(line, "State:\tS", 8) == 0;
        (void)sscanf(line, "voluntary_ctxt_switches: %ld", &count);
    }
    if (file != NULL)
        (void)fclose(file);
    return count;
}

static void forced_switches_are_switches(void **state)
{
    uint64_t limit = prony_now_ns() + 60000000000u;
    pthread_t thread;
    long seen = -1;
    int tid;
    (void)state;
    assert_int_equal(pipe(sleeper.wake), 0);
    assert_int_equal(pthread_create(&thread, NULL, block_often, NULL), 0);
    while ((tid = atomic_load(&sleeper.tid)) == 0 && prony_now_ns() < limit)
        (void)usleep(100);
    for (int i = 0; i < TIMES; i++) {
        bool asleep = false;
        long now = -1;
        while ((!asleep || now == seen) && prony_now_ns() < limit) {
            now = voluntary_of(tid, &asleep);
            (void)usleep(100);
        }
        seen = now;
        assert_int_equal(write(sleeper.wake[1], "x", 1), 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sleeper.delta[VOLUNTARY], TIMES);
    assert_int_equal(sleeper.delta[SWITCHES], TIMES + sleeper.delta[INVOLUNTARY]);
    (void)close(sleeper.wake[0]);
    (void)close(sleeper.wake[1]);
}

static int first_cpus(const cpu_set_t *allowed, int *cpus, int most)
{
    int n = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && n < most; cpu++)
        if (CPU_ISSET(cpu, allowed))
            cpus[n++] = cpu;
    return n;
}

static void sit_on(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(sched_getcpu(), cpu);
}

static void forced_moves_are_migrations(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    int64_t before[EVENTS] = {0}, after[EVENTS] = {0};
    cpu_set_t allowed;
    int cpus[2];
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    if (first_cpus(&allowed, cpus, 2) < 2)
        skip();
    sit_on(cpus[0]);
    enter(&worker, values);
    copy_totals(&worker, values, before);
    for (int i = 0; i < TIMES; i++)
        sit_on(cpus[(i + 1) % 2]);
    copy_totals(&worker, values, after);
    assert_int_equal(after[MIGRATIONS] - before[MIGRATIONS], TIMES);
    software->leave(&worker);
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
}

/* At least what the scheduler charged to the thread, at most the time that passed. perf and the scheduler keep two
 * clocks that drift by the ticks' corrections: 1%. */
static void the_task_clock_is_the_threads(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    int64_t before[EVENTS] = {0}, after[EVENTS] = {0}, charged, passed, counted;
    uint64_t begun;
    struct timespec from, to;
    (void)state;
    enter(&worker, values);
    begun = prony_now_ns();
    copy_totals(&worker, values, before);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    do {
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        charged = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
    } while (charged < 20000000);
    copy_totals(&worker, values, after);
    passed = (int64_t)(prony_now_ns() - begun);
    counted = after[TASK_CLOCK] - before[TASK_CLOCK];
    assert_true(counted >= charged - charged / 100);
    assert_true(counted <= passed + passed / 100);
    software->leave(&worker);
}

/* A child does to the inherited worker all that a worker's life does, and more; the parent's counters must not
 * notice. */
static void a_child_leaves_its_parents_counters_alone(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS], mine[EVENTS];
    int status = 0;
    pid_t child;
    (void)state;
    if (sysconf(_SC_PAGESIZE) != 4096)
        skip();
    enter(&worker, values);
    child = fork();
    if (child == 0) {
        int64_t faults;
        if (software->read(&worker, values, EVENTS) != -ESTALE)
            _exit(2);
        if (software->enter(&worker, events, EVENTS, mine, NULL) != 0)
            _exit(3);
        (void)faults_of_touching(&worker, mine);
        faults = faults_of_touching(&worker, mine);
        software->leave(&worker);
        _exit(are_the_pages(faults) ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)faults_of_touching(&worker, values); /* pages that the child shared are copied on the first write */
    assert_true(are_the_pages(faults_of_touching(&worker, values)));
    child = fork();
    if (child == 0) {
        software->leave(&worker); /* what a worker must not do; it does no harm */
        _exit(worker.counting == NULL ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)faults_of_touching(&worker, values);
    assert_true(are_the_pages(faults_of_touching(&worker, values)));
    software->leave(&worker);
}

struct borrowed {
    struct prony_worker *worker;
    int read, again;
};

static void *read_from_another_thread(void *argument)
{
    struct borrowed *borrowed = argument;
    struct prony_value values[EVENTS];
    borrowed->read = software->read(borrowed->worker, values, EVENTS);
    borrowed->again = software->enter(borrowed->worker, events, EVENTS, values, NULL);
    if (borrowed->again == 0)
        borrowed->again = software->read(borrowed->worker, values, EVENTS);
    return NULL;
}

/* A runtime that owns its threads may replace one: the new one is told to enter again, and may. */
static void another_thread_must_enter_again(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    struct borrowed borrowed = {.worker = &worker};
    pthread_t thread;
    (void)state;
    enter(&worker, values);
    assert_int_equal(pthread_create(&thread, NULL, read_from_another_thread, &borrowed), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(borrowed.read, -ESTALE);
    assert_int_equal(borrowed.again, 0);
    assert_int_equal(software->read(&worker, values, EVENTS), -ESTALE);
    software->leave(&worker);
    assert_int_equal(software->read(&worker, values, EVENTS), -ESTALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(touched_pages_are_faults),        cmocka_unit_test(faults_belong_to_the_thread),
        cmocka_unit_test(forced_switches_are_switches),    cmocka_unit_test(forced_moves_are_migrations),
        cmocka_unit_test(the_task_clock_is_the_threads),   cmocka_unit_test(a_child_leaves_its_parents_counters_alone),
        cmocka_unit_test(another_thread_must_enter_again),
    };
    software = prony_find_provider("software", NULL);
    return software == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
