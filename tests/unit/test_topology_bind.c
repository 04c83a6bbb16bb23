/* Binding of a thread, and what is read back. Every test restores the affinity it found. */
#include "topology/bind.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static cpu_set_t before;
static int pus[CPU_SETSIZE];
static unsigned count;

static int look(void **state)
{
    (void)state;
    count = 0;
    if (sched_getaffinity(0, sizeof before, &before) != 0)
        return -1;
    for (int pu = 0; pu < CPU_SETSIZE; pu++)
        if (CPU_ISSET(pu, &before))
            pus[count++] = pu;
    return 0;
}

static int restore(void **state)
{
    (void)state;
    return sched_setaffinity(0, sizeof before, &before);
}

static void test_one(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < count; i++) {
            int bound = -7;
            cpu_set_t now;
            assert_int_equal(prony_bind_self(pus[i], &bound, NULL), 0);
            assert_int_equal(bound, pus[i]);
            assert_int_equal(prony_bind_read(), pus[i]);
            assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0); /* what the kernel says, not we */
            assert_int_equal(CPU_COUNT(&now), 1);
            assert_true(CPU_ISSET(pus[i], &now));
            assert_int_equal(sched_getcpu(), pus[i]);
        }
}

static void test_many(void **state)
{
    cpu_set_t now;
    (void)state;
    assert_int_equal(prony_bind_self(pus[0], NULL, NULL), 0);
    assert_int_equal(prony_bind_self_to(pus, count, NULL), 0);
    assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
    assert_true(CPU_EQUAL(&now, &before));
    assert_int_equal(prony_bind_read(), count > 1 ? -1 : pus[0]);
}

static void test_refused(void **state)
{
    const int absent[] = {-1, 65535, 65536, INT32_MAX, INT32_MIN};
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(prony_bind_self_to(pus, 0, &error), -EINVAL);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        int bound = -7;
        cpu_set_t now;
        memset(&error, 0, sizeof error);
        assert_int_equal(prony_bind_self(absent[i], &bound, &error), -EINVAL);
        assert_non_null(strstr(error.text, "PU "));
        assert_int_equal(bound, count > 1 ? -1 : pus[0]); /* the truth, which is that nothing changed */
        assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
        assert_true(CPU_EQUAL(&now, &before));
    }
}

/* The kernel drops PUs that are not there and binds to the rest: that is not what was asked. */
static void test_cut_down(void **state)
{
    const int some[] = {pus[0], 65535};
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(prony_bind_self_to(some, 2, &error), -EINVAL);
    assert_non_null(strstr(error.text, "another set"));
}

static void *bind_other(void *result)
{
    *(int *)result = prony_bind_self(pus[0], NULL, NULL) == 0 ? prony_bind_read() : -7;
    return NULL;
}

/* Only the calling thread moves. */
static void test_thread(void **state)
{
    pthread_t thread;
    cpu_set_t now;
    int bound = -7;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, bind_other, &bound), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(bound, pus[0]);
    assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
    assert_true(CPU_EQUAL(&now, &before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one, look, restore),
        cmocka_unit_test_setup_teardown(test_many, look, restore),
        cmocka_unit_test_setup_teardown(test_refused, look, restore),
        cmocka_unit_test_setup_teardown(test_cut_down, look, restore),
        cmocka_unit_test_setup_teardown(test_thread, look, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
