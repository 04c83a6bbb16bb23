/* The CPU quota of control groups, read from folders that look like a system's. */
#include "topology/quota.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_read(void **state)
{
    static const struct {
        const char *root;
        double quota;
    } table[] = {
        {FIXTURES "/topology/quota-v2-parent", 1.5},    /* the parent's, for the own group has none */
        {FIXTURES "/topology/quota-v2-own", 2.5},       /* the own one is the tightest of three; another period */
        {FIXTURES "/topology/quota-v2-container", 0.5}, /* a path outside what the mount shows */
        {FIXTURES "/topology/quota-v2-garbage", 0},     /* lines that say nothing */
        {FIXTURES "/topology/quota-v1-container", 2.5}, /* the mount shows a part; cpuset's files are not looked at */
        {FIXTURES "/topology/quota-both", 3},           /* version 1's is tighter than version 2's */
        {FIXTURES "/topology/no-such-system", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        double quota = prony_quota_read(table[i].root);
        if (fabs(quota - table[i].quota) > 1e-12)
            fail_msg("%s: %g CPUs, not %g", table[i].root, quota, table[i].quota);
    }
}

static void test_workers(void **state)
{
    (void)state;
    assert_int_equal(prony_quota_workers(0, 8), 8);
    assert_int_equal(prony_quota_workers(2.9, 8), 2);
    assert_int_equal(prony_quota_workers(0.5, 8), 1);
    assert_int_equal(prony_quota_workers(8, 8), 8);
    assert_int_equal(prony_quota_workers(1e12, 8), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_workers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
