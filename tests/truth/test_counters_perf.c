/* The provider perf from outside, with events that need no PMU: faults of known pages belong to the thread whose number
 * was given, and to its children where the family is asked for; a child's end leaves its parent's counters running. */
#include "base/registry.h"

#include <errno.h>
#include <prony/plugin/counter.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGES = 100, SLACK = 16, ROOM = 4 };
static const char *const events[] = {"page-faults", "task-clock"};
enum { FAULTS, CLOCK, EVENTS };

/* Pages that nobody has touched, ROOM times PAGES of them. */
static volatile unsigned char *fresh_pages(void)
{
    void *pages = mmap(NULL, 4096ul * PAGES * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    (void)madvise(pages, 4096ul * PAGES * ROOM, MADV_NOHUGEPAGE);
    return pages;
}

/* Without the sanitizers' own memory, whose pages would be touched too. */
static __attribute__((noinline, no_sanitize("address", "thread"))) void touch(volatile unsigned char *pages, int n)
{
    for (int i = 0; i < n; i++)
        pages[i * 4096] = 1;
}

static const struct prony_provider *perf(void)
{
    const struct prony_provider *provider = prony_find_provider("perf", NULL);
    assert_non_null(provider);
    return provider;
}

/* Attaches, or skips the test where the kernel forbids it. */
static void *attached(int tid, unsigned how, struct prony_value *values)
{
    void *state = NULL;
    assert_int_equal(perf()->attach(tid, how, events, EVENTS, values, &state, NULL), 0);
    if (values[FAULTS].status != PRONY_DENIED && sysconf(_SC_PAGESIZE) == 4096)
        return state;
    perf()->detach(state);
    skip();
    return NULL;
}

static int64_t faults_now(void *state, struct prony_value *values)
{
    assert_int_equal(perf()->survey(state, values, EVENTS), 0);
    assert_int_equal(values[FAULTS].status, PRONY_COUNTED);
    return values[FAULTS].value;
}

/* A few more are the runtime's own: a stack's next page, a sanitizer's. */
static void assert_about(int64_t counted, int64_t known)
{
    if (counted < known || counted > known + SLACK)
        fail_msg("%lld faults, not %lld", (long long)counted, (long long)known);
}

struct toucher {
    atomic_int tid, turn; /* touches its pages at every even turn from 2 on, and makes it odd */
    volatile unsigned char *pages;
    int n;
};

static void *touch_when_told(void *argument)
{
    struct toucher *toucher = argument;
    atomic_store(&toucher->tid, (int)syscall(SYS_gettid));
    for (int done = 0; done < 2;) {
        int turn = atomic_load(&toucher->turn);
        if (turn == 0 || turn % 2 == 1) {
            (void)usleep(500);
            continue;
        }
        touch(toucher->pages + 4096 * done, toucher->n - done);
        done++;
        atomic_store(&toucher->turn, turn + 1);
    }
    return NULL;
}

static void let_touch(struct toucher *toucher, int turn)
{
    atomic_store(&toucher->turn, turn);
    while (atomic_load(&toucher->turn) == turn)
        (void)usleep(500);
}

static void counts_the_thread_that_was_named(void **state)
{
    struct toucher touchers[2];
    pthread_t threads[2];
    void *states[2];
    struct prony_value values[2][EVENTS];
    volatile unsigned char *own = fresh_pages();
    (void)state;
    memset(touchers, 0, sizeof touchers);
    for (int i = 0; i < 2; i++) {
        touchers[i].pages = fresh_pages();
        touchers[i].n = PAGES * (i + 1);
        assert_int_equal(pthread_create(&threads[i], NULL, touch_when_told, &touchers[i]), 0);
        while (atomic_load(&touchers[i].tid) == 0)
            (void)usleep(500);
    }
    for (int i = 0; i < 2; i++)
        states[i] = attached(atomic_load(&touchers[i].tid), 0, values[i]);
    touch(own, PAGES);
    for (int i = 0; i < 2; i++)
        let_touch(&touchers[i], 2);
    for (int i = 0; i < 2; i++) {
        assert_about(faults_now(states[i], values[i]), PAGES * (i + 1));
        assert_true(values[i][CLOCK].value > 0);
        let_touch(&touchers[i], 4);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(faults_now(states[i], values[i]) >= PAGES * (i + 1)); /* it can be read when the thread is gone */
        perf()->detach(states[i]);
    }
}

static void a_family_has_its_children(void **state)
{
    struct prony_value values[2][EVENTS];
    volatile unsigned char *pages = fresh_pages();
    void *family = attached(0, PRONY_ATTACH_FAMILY, values[0]), *alone = attached(0, 0, values[1]);
    int64_t before[2] = {faults_now(family, values[0]), faults_now(alone, values[1])}, counted[2];
    int status = 0;
    pid_t child = fork();
    (void)state;
    if (child == 0) {
        touch(pages, 3 * PAGES);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    counted[0] = faults_now(family, values[0]) - before[0];
    counted[1] = faults_now(alone, values[1]) - before[1];
    assert_true(counted[0] - counted[1] >= 3 * PAGES); /* the child's own, with what its copies took */
    perf()->detach(family);
    perf()->detach(alone);
}

static void a_child_that_ends_leaves_its_parents_counters(void **state)
{
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    volatile unsigned char *pages = fresh_pages();
    int64_t before;
    int status = 0;
    pid_t child;
    (void)state;
    memset(&worker, 0, sizeof worker);
    assert_int_equal(perf()->enter(&worker, events, EVENTS, values, NULL), 0);
    if (values[FAULTS].status == PRONY_DENIED || sysconf(_SC_PAGESIZE) != 4096) {
        perf()->leave(&worker);
        skip();
    }
    child = fork();
    if (child == 0) {
        int code = perf()->read(&worker, values, EVENTS);
        perf()->leave(&worker);
        _exit(code == -ESTALE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(perf()->read(&worker, values, EVENTS), 0);
    touch(pages, PAGES); /* the stack and the code after the fork have their copies by now */
    assert_int_equal(perf()->read(&worker, values, EVENTS), 0);
    before = values[FAULTS].value;
    touch(pages + 4096 * PAGES, PAGES);
    assert_int_equal(perf()->read(&worker, values, EVENTS), 0);
    assert_about(values[FAULTS].value - before, PAGES);
    perf()->leave(&worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_the_thread_that_was_named),
        cmocka_unit_test(a_family_has_its_children),
        cmocka_unit_test(a_child_that_ends_leaves_its_parents_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
