/* Discovery: facts, what PUs share, sources that are broken, this system with and without a restriction, XML and
 * back. */
#include "tests/unit/topologies.h"
#include "topology/bind.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_facts(void **state)
{
    static const struct {
        const char *source;
        struct prony_topology_facts facts; /* pus, cores, packages, nodes, present, kinds, smt, quota, workers, model */
    } table[] = {
        {"synthetic:pack:2 [numa] l3:4 core:8 pu:2", {128, 64, 2, 2, 128, 1, true, 0, 128, ""}},
        {"synthetic:pack:2 [numa] core:32 pu:2(indexes=2*64:1*2)", {128, 64, 2, 2, 128, 1, true, 0, 128, ""}},
        {"synthetic:pack:2 group:2 [numa] l3:1 core:4 pu:1", {16, 16, 2, 4, 16, 1, false, 0, 16, ""}},
        {"synthetic:pack:4 [numa] l3:8 core:16 pu:2", {1024, 512, 4, 4, 1024, 1, true, 0, 1024, ""}},
        {"synthetic:pu:4", {4, 4, 0, 1, 4, 1, false, 0, 4, ""}},
        {FIXTURES "/topology/hybrid.xml", {8, 6, 1, 1, 8, 2, true, 0, 8, "Hybrid <4E+2P> & fixture"}},
        {FIXTURES "/topology/allowed.xml", {6, 4, 1, 1, 8, 2, true, 0, 6, "Hybrid <4E+2P> & fixture"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct prony_topology *topology = load(table[i].source);
        const struct prony_topology_facts *known = &table[i].facts;
        struct prony_topology_facts facts;
        prony_topology_facts(topology, &facts);
        assert_int_equal(facts.pus, known->pus);
        assert_int_equal(facts.cores, known->cores);
        assert_int_equal(facts.packages, known->packages);
        assert_int_equal(facts.nodes, known->nodes);
        assert_int_equal(facts.pus_present, known->pus_present);
        assert_int_equal(facts.kinds, known->kinds);
        assert_int_equal(facts.smt, known->smt);
        assert_true(facts.quota == 0); /* of this system, not of that machine */
        assert_int_equal(facts.default_workers, known->default_workers);
        assert_string_equal(facts.model, known->model);
        assert_false(prony_topology_is_here(topology));
        prony_topology_free(topology);
    }
}

static void test_pus(void **state)
{
    struct prony_topology *topology = load(FIXTURES "/topology/allowed.xml");
    const int allowed[] = {0, 1, 4, 5, 6, 7};
    int pus[6], few[3] = {-7, -7, -7};
    (void)state;
    assert_int_equal(prony_topology_pus(topology, pus, 6), 6);
    assert_memory_equal(pus, allowed, sizeof pus);
    assert_int_equal(prony_topology_pus(topology, few, 2), 6);
    assert_int_equal(few[1], 1);
    assert_int_equal(few[2], -7);
    assert_int_equal(prony_topology_pus(topology, NULL, 0), 6);
    prony_topology_free(topology);
    topology = load("synthetic:pack:2 core:2 pu:2(indexes=2*4:1*2)");
    assert_int_equal(prony_topology_pus(topology, pus, 6), 8);
    for (int i = 0; i < 6; i++)
        assert_int_equal(pus[i], i); /* by OS index, though neighbours are 0 and 4 */
    prony_topology_free(topology);
}

static void test_shared(void **state)
{
    static const struct {
        const char *source;
        int a, b;
        const char *shared;
    } table[] = {
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 0, 0, "same PU"},
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 0, 1, "core"},
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 1, 2, "L1"},
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 0, 4, "L2"},
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 8, 0, "L3"},
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 0, 16, "package"},
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 0, 32, "machine"},
        {"synthetic:pack:2 [numa] l3:2 l2:2 l1:2 core:2 pu:2", 0, 64, "machine"}, /* there is no 64 */
        {"synthetic:pack:2 group:2 [numa] core:4 pu:1", 0, 3, "node"},
        {"synthetic:pack:2 group:2 [numa] core:4 pu:1", 0, 4, "package"},
        {"synthetic:group:2 [numa] pack:2 core:2 pu:1", 0, 2, "node"},
        {"synthetic:group:2 [numa] pack:2 core:2 pu:1", 0, 4, "machine"},
        {"synthetic:pu:4", 0, 1, "machine"},
        {"synthetic:pack:2 [numa] core:32 pu:2(indexes=2*64:1*2)", 5, 69, "core"},
        {FIXTURES "/topology/hybrid.xml", 0, 3, "L2"},
        {FIXTURES "/topology/hybrid.xml", 3, 4, "L3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct prony_topology *topology = load(table[i].source);
        assert_string_equal(prony_topology_shared(topology, table[i].a, table[i].b), table[i].shared);
        assert_string_equal(prony_topology_shared(topology, table[i].b, table[i].a), table[i].shared);
        prony_topology_free(topology);
    }
}

static void test_broken(void **state)
{
    static const struct {
        const char *source;
        int code;
        const char *words;
    } table[] = {
        {FIXTURES "/topology/truncated.xml", -EINVAL, "truncated.xml"},
        {FIXTURES "/topology/other.xml", -EINVAL, "other.xml"},
        {FIXTURES "/topology/absent.xml", -ENOENT, "No such file"},
        {FIXTURES "/topology", -EINVAL, "not a file"},
        {"/dev/null", -EINVAL, "not a file"},
        {"", -ENOENT, "No such file"},
        {"pack:2 core:2", -ENOENT, "needs \"synthetic:\""},
        {"synthetic:", -EINVAL, "does not describe"},
        {"synthetic:pack:2 core:x", -EINVAL, "does not describe"},
        {"synthetic:pack:2 [numa core:2", -EINVAL, "does not describe"},
        {"synthetic:pack:300 core:300 pu:2", -ERANGE, "more than 65536 PUs"},
        {"synthetic:99999999 99999999", -ERANGE, "more than 65536 PUs"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct prony_topology *topology = (struct prony_topology *)&topology;
        struct prony_error error = {0, ""};
        int code = prony_topology_load(table[i].source, &topology, &error);
        if (code != table[i].code || strstr(error.text, table[i].words) == NULL)
            fail_msg("%s: %d, \"%s\"", table[i].source, code, error.text);
        assert_null(topology);
    }
    prony_topology_free(NULL);
}

static void test_here(void **state)
{
    struct prony_topology *topology = load(NULL);
    struct prony_topology_facts facts;
    struct prony_placement placement;
    cpu_set_t allowed;
    int pus[CPU_SETSIZE];
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    prony_topology_facts(topology, &facts);
    assert_true(prony_topology_is_here(topology));
    assert_int_equal(facts.pus, CPU_COUNT(&allowed));
    assert_true(facts.pus_present >= facts.pus);
    assert_in_range(facts.default_workers, 1, facts.pus);
    assert_int_equal(prony_topology_pus(topology, pus, CPU_SETSIZE), facts.pus);
    for (unsigned i = 0; i < facts.pus; i++)
        assert_true(CPU_ISSET(pus[i], &allowed));
    assert_int_equal(prony_topology_place(topology, "compact", facts.pus, false, &placement, NULL), 0);
    assert_true(placement.binding);
    prony_placement_free(&placement);
    assert_int_equal(prony_topology_place(topology, "none", 1, false, &placement, NULL), 0);
    assert_false(placement.binding);
    prony_placement_free(&placement);
    prony_topology_free(topology);
    assert_string_equal(prony_topology_library(), prony_topology_library());
    assert_non_null(strstr(prony_topology_library(), "2."));
}

/* As under taskset: each PU alone is all that is seen, and the others are refused by name. */
static void test_restricted(void **state)
{
    cpu_set_t before, one;
    int first = -1, other = -1;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (int pu = 0; pu < CPU_SETSIZE; pu++)
        if (CPU_ISSET(pu, &before)) {
            other = first;
            first = pu;
        }
    if (other < 0)
        skip();
    for (int round = 0; round < 2; round++) {
        struct prony_topology *topology;
        struct prony_topology_facts facts;
        struct prony_placement placement;
        struct prony_error error = {0, ""};
        char list[32];
        int pu = round == 0 ? first : other, seen;
        CPU_ZERO(&one);
        CPU_SET(pu, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        topology = load(NULL);
        assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
        prony_topology_facts(topology, &facts);
        assert_int_equal(facts.pus, 1);
        assert_int_equal(facts.default_workers, 1);
        assert_true(facts.pus_present >= (unsigned)CPU_COUNT(&before));
        assert_int_equal(prony_topology_pus(topology, &seen, 1), 1);
        assert_int_equal(seen, pu);
        (void)snprintf(list, sizeof list, "list:%d", round == 0 ? other : first);
        assert_int_equal(prony_topology_place(topology, list, 1, false, &placement, &error), -EINVAL);
        assert_non_null(strstr(error.text, "not among those this process may use"));
        prony_topology_free(topology);
    }
}

/* hwloc would take another machine for this one, and prony would claim a binding that never was. */
static void test_environment(void **state)
{
    struct prony_topology *topology;
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(setenv("HWLOC_SYNTHETIC", "pu:64", 1), 0);
    assert_int_equal(prony_topology_load(NULL, &topology, &error), -EINVAL);
    assert_non_null(strstr(error.text, "HWLOC_SYNTHETIC"));
    assert_int_equal(unsetenv("HWLOC_SYNTHETIC"), 0);
}

static void test_xml(void **state)
{
    static const char *const sources[] = {NULL, FIXTURES "/topology/hybrid.xml",
                                          "synthetic:pack:2 [numa] l3:4 core:8 pu:2"};
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        struct prony_topology *topology = load(sources[i]), *again;
        struct prony_topology_facts facts, same;
        char path[] = "/tmp/prony-topology-XXXXXX", *xml;
        int file = mkstemp(path);
        assert_true(file >= 0);
        assert_int_equal(prony_topology_xml(topology, &xml, NULL), 0);
        assert_int_equal(write(file, xml, strlen(xml)), strlen(xml));
        free(xml);
        (void)close(file);
        again = load(path);
        (void)unlink(path);
        prony_topology_facts(topology, &facts);
        prony_topology_facts(again, &same);
        assert_false(prony_topology_is_here(again));
        assert_int_equal(facts.pus, same.pus);
        assert_int_equal(facts.cores, same.cores);
        assert_int_equal(facts.nodes, same.nodes);
        assert_int_equal(facts.kinds, same.kinds);
        assert_string_equal(facts.model, same.model);
        assert_true(same.quota == 0);
        prony_topology_free(topology);
        prony_topology_free(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),       cmocka_unit_test(test_pus),  cmocka_unit_test(test_shared),
        cmocka_unit_test(test_broken),      cmocka_unit_test(test_here), cmocka_unit_test(test_restricted),
        cmocka_unit_test(test_environment), cmocka_unit_test(test_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
