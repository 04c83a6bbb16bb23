/* Whom workers take work from: the exact order on small machines, and on large ones that each order is whole, goes from
 * near to far, and that workers which turn to the next level together do not all turn to one. */
#include "tests/unit/topologies.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TWO_BY_64 "synthetic:pack:2 [numa] l3:8 core:8 pu:1"
#define SMT "synthetic:pack:2 [numa] l3:4 core:8 pu:2"
#define LINUX "synthetic:pack:2 [numa] core:32 pu:2(indexes=2*64:1*2)" /* siblings are c and c + 64 */
#define NODES "synthetic:pack:2 group:2 [numa] l3:2 l2:2 core:2 pu:2"  /* four nodes, two a package */

struct known {
    const char *source;
    int pus[9]; /* ends with -2 */
    unsigned worker;
    uint16_t order[8];
};

static const struct known known[] = {
    {"synthetic:pu:1", {0, -2}, 0, {0}},
    {"synthetic:pack:2 core:2 pu:2", {0, 1, 2, 3, 4, 5, 6, 7, -2}, 0, {1, 2, 3, 4, 5, 6, 7}},
    {"synthetic:pack:2 core:2 pu:2", {0, 1, 2, 3, 4, 5, 6, 7, -2}, 1, {0, 3, 2, 5, 6, 7, 4}},
    {"synthetic:pack:2 core:2 pu:2", {0, 1, 2, 3, 4, 5, 6, 7, -2}, 6, {7, 4, 5, 2, 3, 0, 1}},
    {"synthetic:pack:2 core:2 pu:2", {7, 6, 5, 4, 3, 2, 1, 0, -2}, 0, {1, 2, 3, 4, 7, 6, 5}},
    {LINUX, {0, 64, 1, 65, 32, 96, -2}, 2, {3, 0, 1, 4, 5}}, /* siblings by the tree, not by number */
    {LINUX, {0, 32, 1, 33, 64, 96, -2}, 0, {4, 2, 1, 5, 3}}, /* as spread places them */
    {HYBRID, {0, 1, 4, 5, 6, 7, -2}, 0, {1, 2, 3, 4, 5}},    /* two small cores, two large ones */
    {HYBRID, {0, 1, 4, 5, 6, 7, -2}, 5, {4, 1, 2, 3, 0}},    /* which have nothing in common */
    {"synthetic:pu:2", {0, 1, 0, 1, -2}, 0, {2, 1, 3}},      /* two workers a PU: who shares it comes first */
    {"synthetic:pu:2", {0, 1, 0, 1, -2}, 3, {1, 2, 0}},      /* and each has its own to turn to next */
    {"synthetic:pu:4", {-1, -1, -1, -1, -2}, 1, {2, 3, 0}},  /* not bound: by index */
    {"synthetic:pu:4", {3, -1, 2, 99, -2}, 2, {0, 1, 3}},    /* who sits nowhere is far from all */
    {"synthetic:pack:1 core:3 pu:1", {0, 1, 2, -2}, 1, {2, 0}},
};

static void test_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct prony_topology *topology = load(known[i].source);
        uint16_t order[8 * 7 + 1];
        unsigned workers = 0;
        while (known[i].pus[workers] != -2)
            workers++;
        assert_int_equal(prony_topology_victims(topology, known[i].pus, workers, order), 0);
        for (unsigned v = 0; v + 1 < workers; v++)
            if (order[known[i].worker * (workers - 1) + v] != known[i].order[v])
                fail_msg("row %zu: victim %u of worker %u is %u, not %u", i, v, known[i].worker,
                         order[known[i].worker * (workers - 1) + v], known[i].order[v]);
        prony_topology_free(topology);
    }
}

/* As far as two PUs are apart, in the words of prony_topology_shared. */
static int distance(const struct prony_topology *topology, int a, int b)
{
    static const char *const near[] = {"same PU", "core", "L1", "L2", "L3", "node", "package", "machine"};
    const char *shared = prony_topology_shared(topology, a, b);
    for (int i = 0; i < 8; i++)
        if (strcmp(shared, near[i]) == 0)
            return i;
    fail_msg("%s", shared);
    return -1;
}

/* `most`: so many workers may begin a level with the same victim. */
static void check_large(const char *source, const char *policy, unsigned workers, unsigned most)
{
    struct prony_topology *topology = load(source);
    struct prony_placement placement;
    uint16_t *order = calloc((size_t)workers * workers, sizeof *order);
    unsigned(*first)[8] = calloc(workers, sizeof *first);
    assert_int_equal(prony_topology_place(topology, policy, workers, true, &placement, NULL), 0);
    assert_int_equal(prony_topology_victims(topology, placement.pus, workers, order), 0);
    for (unsigned i = 0; i < workers; i++) {
        unsigned char seen[1024] = {0};
        int before = -1;
        seen[i] = 1;
        for (unsigned v = 0; v + 1 < workers; v++) {
            unsigned victim = order[i * (workers - 1) + v];
            int far;
            assert_true(victim < workers && !seen[victim]);
            seen[victim] = 1;
            far = distance(topology, placement.pus[i], placement.pus[victim]);
            if (far < before)
                fail_msg("%s: worker %u comes to %u, which is nearer than the one before", source, i, victim);
            if (far > before && ++first[victim][far] > most)
                fail_msg("%s: %u workers begin with %u at level %d", source, first[victim][far], victim, far);
            before = far;
        }
    }
    prony_placement_free(&placement);
    prony_topology_free(topology);
    free(first);
    free(order);
}

static void test_large(void **state)
{
    (void)state;
    check_large(TWO_BY_64, "compact", 128, 1);
    check_large(TWO_BY_64, "spread", 128, 1);
    check_large(SMT, "compact", 128, 1);
    check_large(SMT, "spread", 128, 1);
    check_large(SMT, "spread", 37, 2); /* groups of unlike size: some of the larger have no counterpart of their own */
    check_large(SMT, "compact", 256, 1);
    check_large(LINUX, "numa", 128, 1);
    check_large(NODES, "compact", 64, 1);
    check_large(NODES, "core", 32, 1);
    check_large(HYBRID, "compact", 8, 4);
}

static void test_refused(void **state)
{
    struct prony_topology *topology = load("synthetic:pu:2");
    int pus[1] = {0};
    uint16_t order[1];
    (void)state;
    assert_int_equal(prony_topology_victims(topology, pus, 0, order), -EINVAL);
    assert_int_equal(prony_topology_victims(topology, pus, UINT16_MAX + 1u, order), -EINVAL);
    prony_topology_free(topology);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
