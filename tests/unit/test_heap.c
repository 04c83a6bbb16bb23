/* The heap of a group against a sort: entries come out in order, whichever were taken out of the middle before. */
#include "parallel/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 500u

struct thing {
    uint64_t key;
    unsigned place;
    int taken;
};

static void entries_come_in_order(void **state)
{
    struct prony_heap heap = {NULL, 0, 0};
    struct thing things[N] = {0};
    uint64_t random = 88172645463325252u, last_key = 0, last_order = 0;
    unsigned left = N;
    (void)state;
    for (unsigned i = 0; i < N; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        things[i].key = random >> 58; /* many are equal */
        assert_int_equal(
            prony_heap_put(&heap, &(struct prony_heap_entry){things[i].key, i, &things[i], &things[i].place}), 0);
    }
    for (unsigned i = 0; i < N; i += 3, left--) {
        assert_ptr_equal(heap.entries[things[i].place - 1].owner, &things[i]);
        prony_heap_take(&heap, things[i].place);
        assert_int_equal(things[i].place, 0);
        things[i].taken = 1;
    }
    for (; left > 0; left--) {
        const struct prony_heap_entry first = heap.entries[0];
        struct thing *thing = first.owner;
        assert_int_equal(thing->taken, 0);
        assert_int_equal(thing->place, 1);
        assert_true(first.key > last_key || (first.key == last_key && (first.order > last_order || left == N)));
        last_key = first.key;
        last_order = first.order;
        thing->taken = 1;
        prony_heap_take(&heap, 1);
    }
    assert_int_equal(heap.n, 0);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(things[i].taken, 1);
    prony_heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(entries_come_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
