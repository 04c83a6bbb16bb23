/* Placement: the exact PUs of every policy on machines of many shapes, and what a policy that cannot be had gets. */
#include "tests/unit/topologies.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPYC "synthetic:pack:2 [numa] l3:4 core:8 pu:2"
#define LINUX "synthetic:pack:2 [numa] core:32 pu:2(indexes=2*64:1*2)" /* siblings are c and c + 64 */
#define CLUSTER "synthetic:pack:2 group:2 [numa] l3:1 core:4 pu:1"     /* nodes inside packages */
#define SHARED_L2 "synthetic:pack:1 [numa] l3:2 l2:2 core:2 pu:1"
#define BIG "synthetic:pack:4 [numa] l3:8 core:16 pu:2"
#define FLAT "synthetic:pu:4"

struct known {
    const char *source, *policy;
    unsigned workers;
    int pus[17]; /* ends with -2 */
};

static const struct known known[] = {
    {EPYC, "compact", 5, {0, 1, 2, 3, 4, -2}},
    {EPYC, "core", 5, {0, 2, 4, 6, 8, -2}},
    {EPYC, "smt", 5, {0, 1, 2, 3, 4, -2}},
    {EPYC, "spread", 11, {0, 64, 16, 80, 32, 96, 48, 112, 2, 66, 18, -2}},
    {EPYC, "numa", 6, {0, 64, 2, 66, 4, 68, -2}},
    {EPYC, "list:0-2+127+5", 5, {0, 1, 2, 127, 5, -2}},
    {EPYC, "list:9-4095+1", 3, {-2}}, /* checked below: not in the topology */
    {EPYC, "pair:smt", 2, {0, 1, -2}},
    {EPYC, "pair:l3", 2, {0, 2, -2}},
    {EPYC, "pair:package", 2, {0, 16, -2}},
    {EPYC, "pair:machine", 2, {0, 64, -2}},
    {EPYC, "pair:l2", 2, {-2}},
    {LINUX, "pair:smt", 2, {0, 64, -2}},
    {SHARED_L2, "pair:l2", 2, {0, 1, -2}},
    {FLAT, "pair:smt", 2, {-2}},
    {EPYC, "none", 3, {-1, -1, -1, -2}},
    {LINUX, "compact", 4, {0, 64, 1, 65, -2}},
    {LINUX, "core", 4, {0, 1, 2, 3, -2}},
    {LINUX, "smt", 4, {0, 64, 1, 65, -2}},
    {LINUX, "spread", 4, {0, 32, 1, 33, -2}},
    {LINUX, "numa", 4, {0, 32, 1, 33, -2}},
    {LINUX, "list:64+0", 2, {64, 0, -2}},
    {CLUSTER, "compact", 6, {0, 1, 2, 3, 4, 5, -2}},
    {CLUSTER, "numa", 6, {0, 4, 8, 12, 1, 5, -2}},   /* nodes in turn, whatever package they are in */
    {CLUSTER, "spread", 6, {0, 8, 4, 12, 1, 9, -2}}, /* packages in turn, then their nodes */
    {SHARED_L2, "spread", 8, {0, 4, 2, 6, 1, 5, 3, 7, -2}},
    {SHARED_L2, "core", 3, {0, 1, 2, -2}},
    {FLAT, "core", 4, {0, 1, 2, 3, -2}},
    {FLAT, "spread", 4, {0, 1, 2, 3, -2}},
    {HYBRID, "compact", 8, {4, 5, 6, 7, 0, 1, 2, 3, -2}},
    {HYBRID, "core", 6, {4, 6, 0, 1, 2, 3, -2}},
    {HYBRID, "spread", 8, {4, 6, 0, 1, 2, 3, 5, 7, -2}},
    {HYBRID, "numa", 8, {4, 6, 0, 1, 2, 3, 5, 7, -2}},
    {HYBRID, "smt", 4, {4, 5, 6, 7, -2}},
    {HYBRID, "list:0+4", 2, {0, 4, -2}},
    {FIXTURES "/topology/allowed.xml", "compact", 6, {4, 5, 6, 7, 0, 1, -2}}, /* 2 and 3 are not allowed */
    {BIG, "spread", 6, {0, 256, 512, 768, 32, 288, -2}},
    {BIG, "numa", 6, {0, 256, 512, 768, 2, 258, -2}},
};

static void test_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct prony_topology *topology = load(known[i].source);
        struct prony_placement placement;
        struct prony_error error = {0, ""};
        int code = prony_topology_place(topology, known[i].policy, known[i].workers, false, &placement, &error);
        if (known[i].pus[0] == -2) {
            assert_int_equal(code, -EINVAL);
        } else {
            if (code != 0)
                fail_msg("%s on %s: %s", known[i].policy, known[i].source, error.text);
            assert_int_equal(placement.workers, known[i].workers);
            assert_string_equal(placement.policy, known[i].policy);
            assert_false(placement.oversubscribed);
            assert_false(placement.binding);
            for (unsigned w = 0; w < placement.workers; w++)
                if (placement.pus[w] != known[i].pus[w])
                    fail_msg("%s on %s: worker %u on PU %d, not %d", known[i].policy, known[i].source, w,
                             placement.pus[w], known[i].pus[w]);
            assert_int_equal(known[i].pus[placement.workers], -2);
        }
        prony_placement_free(&placement);
        prony_topology_free(topology);
    }
}

/* Every policy that takes all PUs gives each of 1,024 exactly once, and siblings last where it says so. */
static void test_big(void **state)
{
    static const char *const policies[] = {"compact", "spread", "smt", "numa"};
    struct prony_topology *topology = load(BIG);
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        struct prony_placement placement;
        bool seen[1024] = {false};
        assert_int_equal(prony_topology_place(topology, policies[i], 1024, false, &placement, NULL), 0);
        for (unsigned w = 0; w < 1024; w++) {
            assert_in_range(placement.pus[w], 0, 1023);
            assert_false(seen[placement.pus[w]]);
            seen[placement.pus[w]] = true;
            if (i == 1 || i == 3)
                assert_int_equal(placement.pus[w] % 2, w < 512 ? 0 : 1);
        }
        prony_placement_free(&placement);
    }
    prony_topology_free(topology);
}

static void test_oversubscribed(void **state)
{
    struct prony_topology *topology = load(SHARED_L2);
    struct prony_placement placement;
    (void)state;
    assert_int_equal(prony_topology_place(topology, "compact", 10, true, &placement, NULL), 0);
    assert_true(placement.oversubscribed);
    assert_int_equal(placement.pus[7], 7);
    assert_int_equal(placement.pus[8], 0);
    assert_int_equal(placement.pus[9], 1);
    prony_placement_free(&placement);
    assert_int_equal(prony_topology_place(topology, "compact", 8, true, &placement, NULL), 0);
    assert_false(placement.oversubscribed); /* asked for, not needed */
    prony_placement_free(&placement);
    assert_int_equal(prony_topology_place(topology, "list:3+3+1", 3, true, &placement, NULL), 0);
    assert_true(placement.oversubscribed);
    prony_placement_free(&placement);
    assert_int_equal(prony_topology_place(topology, "list:3+1+3", 2, true, &placement, NULL), 0);
    assert_false(placement.oversubscribed); /* the second 3 is not reached */
    prony_placement_free(&placement);
    assert_int_equal(prony_topology_place(topology, "none", 9, true, &placement, NULL), 0);
    assert_true(placement.oversubscribed);
    assert_int_equal(placement.pus[8], -1);
    prony_placement_free(&placement);
    prony_topology_free(topology);
}

static void test_refused(void **state)
{
    static const struct {
        const char *source, *policy;
        unsigned workers;
        int code;
        const char *words; /* in the reason */
    } table[] = {
        {SHARED_L2, "smt", 2, -EINVAL, "no core has two PUs"},
        {HYBRID, "smt", 5, -ERANGE, "4 PUs that share a core"},
        {EPYC, "core", 65, -ERANGE, "64 cores"},
        {EPYC, "compact", 129, -ERANGE, "129 workers, but 128 PUs"},
        {EPYC, "none", 129, -ERANGE, "128 PUs"},
        {EPYC, "list:0-3", 5, -ERANGE, "4 PUs in the list"},
        {EPYC, "list:0+128", 1, -EINVAL, "PU 128 is not in this topology"},
        {FIXTURES "/topology/allowed.xml", "list:2", 1, -EINVAL, "PU 2 is not"},
        {EPYC, "list:0+1+0", 2, -EINVAL, "PU 0 is named twice"},
        {EPYC, "list:3-1", 1, -EINVAL, "3-1 runs backwards"},
        {EPYC, "list:", 1, -EINVAL, "cannot read"},
        {EPYC, "list:1++2", 1, -EINVAL, "cannot read \"+2\""},
        {EPYC, "list:1+", 1, -EINVAL, "cannot read \"\""},
        {EPYC, "list:1,2", 1, -EINVAL, "cannot read \"1,2\""},
        {EPYC, "list:-1", 1, -EINVAL, "cannot read"},
        {EPYC, "list:1-", 1, -EINVAL, "cannot read"},
        {EPYC, "list:0x1", 1, -EINVAL, "cannot read"},
        {EPYC, "list:99999999999999999999", 1, -EINVAL, "cannot read"},
        {EPYC, "list:0-65535+0-65535", 1, -EINVAL, "more than"},
        {EPYC, "comapct", 1, -EINVAL, "did you mean compact?"},
        {EPYC, "lst:0-1", 1, -EINVAL, "did you mean list?"},
        {EPYC, "", 1, -EINVAL, "unknown placement"},
        {EPYC, "list", 1, -EINVAL, "unknown placement"},
        {EPYC, "compact", 0, -EINVAL, "no workers"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct prony_topology *topology = load(table[i].source);
        struct prony_placement placement;
        struct prony_error error = {0, ""};
        int code = prony_topology_place(topology, table[i].policy, table[i].workers, false, &placement, &error);
        if (code != table[i].code || error.code != code || strstr(error.text, table[i].words) == NULL)
            fail_msg("%s on %s: %d, \"%s\"", table[i].policy, table[i].source, code, error.text);
        assert_null(placement.pus); /* nothing to free, and freeing is harmless */
        prony_placement_free(&placement);
        prony_topology_free(topology);
    }
}

static void test_spelling(void **state)
{
    static const char *const right[] = {"compact", "spread", "core", "smt", "numa", "none", "list:0", "list:0-2+4+4"};
    char longest[300];
    struct prony_error error = {0, ""};
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_int_equal(prony_topology_policy_check(right[i], NULL), 0);
    assert_int_equal(prony_topology_policy_check("sprad", &error), -EINVAL);
    assert_non_null(strstr(error.text, "did you mean spread?"));
    assert_int_equal(prony_topology_policy_check("Compact", NULL), -EINVAL);
    assert_int_equal(prony_topology_policy_check("list:0 ", NULL), -EINVAL);
    strcpy(longest, "list:0");
    while (strlen(longest) < 280)
        strcat(longest, "+1");
    assert_int_equal(prony_topology_policy_check(longest, &error), -EINVAL); /* cut, it would be another list */
    assert_non_null(strstr(error.text, "use ranges"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),   cmocka_unit_test(test_big),      cmocka_unit_test(test_oversubscribed),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
