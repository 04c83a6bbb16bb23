/* The advice on top of a page names those that cannot be told apart, and nobody else. */
#include "results/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct prony_view_cell cell_of(const char *channel, double value, double low, double high)
{
    json_t *json = json_pack("{s:s, s:i, s:{s:i, s:s, s:f}}", "channel", channel, "items", 1, "wire", "size", 64,
                             "wait", "spin", "bytes_per_s", 1.0);
    assert_non_null(json);
    return (struct prony_view_cell){.json = json, .workload = "pingpong", .ok = true, .time_ns = {value, low, high}};
}

static void advise(struct prony_view_cell *cells, unsigned n, char *text, size_t bytes)
{
    const struct prony_view view = {.count = n, .cell = cells};
    (void)prony_view_advice(&view, text, bytes);
    for (unsigned i = 0; i < n; i++)
        json_decref((json_t *)(uintptr_t)cells[i].json);
}

/* One with a wide interval stands behind another that is told apart: the one between them is no equal. */
static void a_wide_interval_skips_no_one(void **state)
{
    struct prony_view_cell cells[] = {cell_of("shm-ring", 110, 29, 150), cell_of("mutex-cond", 100, 95, 110),
                                      cell_of("futex", 31, 30, 33)};
    char text[512];
    (void)state;
    advise(cells, 3, text, sizeof text);
    assert_non_null(strstr(text, "no winner: futex (spin), shm-ring (spin) cannot be told apart, around 31.0 ns"));
    assert_null(strstr(text, "mutex-cond"));
}

static void a_winner_is_named_with_its_lead(void **state)
{
    struct prony_view_cell cells[] = {cell_of("pipe", 60, 58, 63), cell_of("futex", 30, 29, 33)};
    char text[512];
    (void)state;
    advise(cells, 2, text, sizeof text);
    assert_non_null(strstr(text, "futex (spin) is first with 30.0 ns; next is pipe (spin), 2.00 times that"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_interval_skips_no_one),
        cmocka_unit_test(a_winner_is_named_with_its_lead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
