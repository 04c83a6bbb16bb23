/* The provider papi, driven through the real PAPI on a PMU that the test plays: perf_event_open is answered here,
 * and hardware events are served by the kernel's software counters. Mispredicted branches and instructions are page
 * faults, cycles are the task clock: known answers on a machine without a PMU. What the kernel knows no event for
 * stays absent.
 *
 * libpfm must believe in a CPU that it knows, so this runs on x86 alone. */
#include "base/registry.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef __x86_64__

enum { PAGES = 100 };
static const struct prony_provider *papi;
static int refuse;              /* errno of every hardware event; 0: play the PMU */
static int refuse_cache_events; /* this one PMU has none */

/* In place of the C library's: PAPI opens its events through it. */
long syscall(long number, ...)
{
    struct perf_event_attr *what;
    long a[6], result;
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_perf_event_open) {
        what = (struct perf_event_attr *)(uintptr_t)a[0];
        if (what->type == PERF_TYPE_HARDWARE || what->type == PERF_TYPE_RAW) {
            bool cycles =
                what->type == PERF_TYPE_RAW ? (what->config & 0xff) == 0x76 : what->config == PERF_COUNT_HW_CPU_CYCLES;
            if (refuse != 0) {
                errno = refuse;
                return -1;
            }
            if (refuse_cache_events && what->type == PERF_TYPE_RAW && (what->config & 0xff) < 0x76) {
                errno = ENOENT;
                return -1;
            }
            what->type = PERF_TYPE_SOFTWARE;
            what->config = cycles ? PERF_COUNT_SW_TASK_CLOCK : PERF_COUNT_SW_PAGE_FAULTS;
        }
    }
    register long r10 __asm__("r10") = a[3];
    register long r8 __asm__("r8") = a[4];
    register long r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
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

/* Without the sanitizers' own memory, whose pages would be touched too. */
static __attribute__((noinline, no_sanitize("address", "thread"))) void touch(volatile unsigned char *pages)
{
    for (int i = 0; i < PAGES; i++)
        pages[i * 4096] = 1;
}

static int64_t faults_of_touching(struct prony_worker *worker, struct prony_value *values, unsigned n, unsigned at)
{
    volatile unsigned char *pages =
        mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int64_t before;
    if (pages == MAP_FAILED || papi->read(worker, values, n) != 0)
        return -1;
    (void)madvise((void *)(uintptr_t)pages, PAGES * 4096, MADV_NOHUGEPAGE);
    before = values[at].value;
    touch(pages);
    if (papi->read(worker, values, n) != 0)
        return -1;
    (void)munmap((void *)(uintptr_t)pages, PAGES * 4096);
    return values[at].value - before;
}

static const char *const events[] = {"PAPI_TOT_CYC", "PAPI_BR_MSP"};
enum { CYCLES, MISSES, EVENTS };

static void enter(struct prony_worker *worker, struct prony_value *values)
{
    struct prony_error error = {0, ""};
    memset(worker, 0, sizeof *worker);
    if (papi->enter(worker, events, EVENTS, values, &error) != 0)
        fail_msg("%s", error.text);
    for (int i = 0; i < EVENTS; i++)
        if (values[i].status != PRONY_COUNTED)
            fail_msg("%s: %s", events[i], values[i].reason);
    assert_string_equal(values[0].source, "PAPI");
}

static void counts_what_happened(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    (void)state;
    enter(&worker, values);
    (void)faults_of_touching(&worker, values, EVENTS, MISSES);
    assert_true(are_the_pages(faults_of_touching(&worker, values, EVENTS, MISSES)));
    assert_true(are_the_pages(faults_of_touching(&worker, values, EVENTS, MISSES)));
    assert_true(values[CYCLES].value > 0);
    papi->leave(&worker);
    assert_null(worker.counting);
    enter(&worker, values); /* a set can be left and entered again */
    (void)faults_of_touching(&worker, values, EVENTS, MISSES);
    assert_true(are_the_pages(faults_of_touching(&worker, values, EVENTS, MISSES)));
    papi->leave(&worker);
}

static pthread_barrier_t turn;
static int touched;
static int64_t of_thread[2];

/* Waits without touching a page. */
static __attribute__((noinline, no_sanitize("address", "thread"))) void await(const int *flag)
{
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0)
        (void)sched_yield();
}

/* The second touches pages while the first only counts. */
static void *count_in_a_thread(void *argument)
{
    int me = argument != NULL;
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    int64_t before;
    enter(&worker, values);
    (void)faults_of_touching(&worker, values, EVENTS, MISSES);
    (void)sched_yield(); /* the linker's first visit touches pages */
    (void)pthread_barrier_wait(&turn);
    if (me == 1) {
        of_thread[1] = faults_of_touching(&worker, values, EVENTS, MISSES);
        __atomic_store_n(&touched, 1, __ATOMIC_RELEASE);
    } else {
        (void)papi->read(&worker, values, EVENTS);
        before = values[MISSES].value;
        await(&touched);
        (void)papi->read(&worker, values, EVENTS);
        of_thread[0] = values[MISSES].value - before;
    }
    papi->leave(&worker);
    return NULL;
}

static void each_thread_has_its_own(void **state)
{
    pthread_t threads[2];
    (void)state;
    assert_int_equal(pthread_barrier_init(&turn, NULL, 2), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, count_in_a_thread, NULL), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, count_in_a_thread, &turn), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_true(are_the_pages(of_thread[1]));
    assert_true(are_the_pages(of_thread[0] + PAGES)); /* none */
    (void)pthread_barrier_destroy(&turn);
}

/* The child of a process whose counters run makes, stops and leaves a set of its own. */
static void a_child_leaves_its_parents_counters_alone(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS], mine[EVENTS];
    int status = 0;
    int64_t cycles;
    pid_t child;
    (void)state;
    enter(&worker, values);
    child = fork();
    if (child == 0) {
        int64_t faults;
        if (papi->read(&worker, values, EVENTS) != -ESTALE)
            _exit(2);
        if (papi->enter(&worker, events, EVENTS, mine, NULL) != 0 || mine[MISSES].status != PRONY_COUNTED)
            _exit(3);
        (void)faults_of_touching(&worker, mine, EVENTS, MISSES);
        faults = faults_of_touching(&worker, mine, EVENTS, MISSES);
        papi->leave(&worker);
        _exit(are_the_pages(faults) ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    child = fork();
    if (child == 0) {
        papi->leave(&worker); /* a worker must not; it does no harm */
        _exit(worker.counting == NULL ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)faults_of_touching(&worker, values, EVENTS, MISSES); /* shared pages are copied on the first write */
    cycles = values[CYCLES].value;
    assert_true(are_the_pages(faults_of_touching(&worker, values, EVENTS, MISSES)));
    assert_true(values[CYCLES].value > cycles);
    papi->leave(&worker);
}

/* On this PMU instructions are page faults: they stand still in a loop, while cycles move. */
static void what_stands_still_in_a_loop_is_implausible(void **state)
{
    static const char *const both[] = {"PAPI_TOT_INS", "PAPI_TOT_CYC", "PAPI_BR_MSP"};
    struct prony_worker worker;
    struct prony_value values[3];
    (void)state;
    memset(&worker, 0, sizeof worker);
    assert_int_equal(papi->enter(&worker, both, 3, values, NULL), 0);
    assert_int_equal(values[0].status, PRONY_IMPLAUSIBLE);
    assert_non_null(strstr(values[0].reason, "loop"));
    assert_int_equal(values[1].status, PRONY_COUNTED);
    (void)faults_of_touching(&worker, values, 3, 2);
    assert_true(are_the_pages(faults_of_touching(&worker, values, 3, 2)));
    assert_int_equal(values[0].value, 0);
    papi->leave(&worker);
}

/* One bad event costs itself, and its reason differs by what was wrong. */
static void a_bad_event_costs_only_itself(void **state)
{
    static const char *const mixed[] = {"PAPI_NO_SUCH", "PAPI_TOT_CYC", "perf::CONTEXT-SWITCHES", "PAPI_L1_DCM"};
    struct prony_worker worker;
    struct prony_value values[4];
    (void)state;
    refuse_cache_events = 1;
    memset(&worker, 0, sizeof worker);
    assert_int_equal(papi->enter(&worker, mixed, 4, values, NULL), 0);
    refuse_cache_events = 0;
    assert_int_equal(values[0].status, PRONY_NOT_SUPPORTED);
    assert_int_equal(values[1].status, PRONY_COUNTED);
    assert_int_equal(values[2].status, PRONY_NOT_SUPPORTED);
    assert_non_null(strstr(values[2].reason, "software"));
    assert_int_equal(values[3].status, PRONY_NOT_SUPPORTED);
    assert_non_null(strstr(values[3].reason, "no such event"));
    assert_int_equal(papi->read(&worker, values, 4), 0);
    assert_true(values[1].value > 0);
    papi->leave(&worker);
}

static void tells_no_pmu_from_denied(void **state)
{
    static const struct {
        int code;
        enum prony_status status;
        const char *says;
    } causes[] = {{ENOENT, PRONY_NOT_SUPPORTED, "no PMU"},
                  {EACCES, PRONY_DENIED, "perf_event_paranoid"},
                  {EPERM, PRONY_DENIED, "perf_event_paranoid"},
                  {EMFILE, PRONY_NO_COUNTER, "descriptor"}};
    (void)state;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        struct prony_worker worker;
        struct prony_value values[EVENTS];
        refuse = causes[i].code;
        memset(&worker, 0, sizeof worker);
        assert_int_equal(papi->enter(&worker, events, EVENTS, values, NULL), 0);
        assert_int_equal(papi->read(&worker, values, EVENTS), 0);
        papi->leave(&worker);
        refuse = 0;
        for (int j = 0; j < EVENTS; j++) {
            assert_int_equal(values[j].status, causes[i].status);
            if (strstr(values[j].reason, causes[i].says) == NULL)
                fail_msg("'%s' does not say %s", values[j].reason, causes[i].says);
            assert_int_equal(values[j].value, 0);
            assert_string_equal(values[j].source, "");
        }
    }
}

static void the_trial_counts(void **state)
{
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(papi->trial(&error), 0);
    refuse = ENOENT;
    assert_int_equal(papi->trial(&error), -ENOTSUP);
    refuse = 0;
    assert_string_equal(error.text, "no hardware counters: this machine has no PMU (perf_event_open: ENOENT)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_happened),
        cmocka_unit_test(each_thread_has_its_own),
        cmocka_unit_test(a_child_leaves_its_parents_counters_alone),
        cmocka_unit_test(what_stands_still_in_a_loop_is_implausible),
        cmocka_unit_test(a_bad_event_costs_only_itself),
        cmocka_unit_test(tells_no_pmu_from_denied),
        cmocka_unit_test(the_trial_counts),
    };
    papi = prony_find_provider("papi", NULL);
    if (papi == NULL || sysconf(_SC_PAGESIZE) != 4096)
        return 77;
    (void)setenv("LIBPFM_FORCE_PMU", "amd64_fam17h_zen2", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77;
}

#endif
