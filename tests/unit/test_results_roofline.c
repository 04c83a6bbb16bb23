/* The roofline against answers worked out by hand: ceilings, levels, fractions, and why there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "report_run.h"
#include "results/roofline.h"

static char word[] = "prony";
static char *words[] = {word, NULL};

static const char *const made_choices[] = {"read", "l1", "memory", "avx2", "scalar", "double", "float", NULL};
static const struct prony_option made_peak_options[] = {
    {"items", PRONY_INT, "1k", 1, 1e9, NULL, "items"},
    {"width", PRONY_CHOICE, "avx2", 0, 0, made_choices, "width"},
    {"precision", PRONY_CHOICE, "double", 0, 0, made_choices, "precision"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};
static const struct prony_option made_way_options[] = {
    {"items", PRONY_INT, "1k", 1, 1e9, NULL, "items"},
    {"op", PRONY_CHOICE, "read", 0, 0, made_choices, "op"},
    {"level", PRONY_CHOICE, "memory", 0, 0, made_choices, "level"},
    {"size", PRONY_BYTES, "0", 0, 1e9, NULL, "size"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};
static const struct prony_workload made_peak = {
    .head = {.name = "peak-flops", .options = made_peak_options}, .unit = "FLOP", .shape = PRONY_GANG};
static const struct prony_workload made_bandwidth = {
    .head = {.name = "bandwidth", .options = made_way_options}, .unit = "byte", .shape = PRONY_GANG};

static void the_roof_is_the_lower_of_two(void **state)
{
    struct prony_roof roof = prony_roof_at(100e9, 50e9, 0.5);
    (void)state;
    assert_float_equal(roof.flop_per_s, 25e9, 1);
    assert_true(roof.by_bandwidth);
    roof = prony_roof_at(100e9, 50e9, 4);
    assert_float_equal(roof.flop_per_s, 100e9, 1);
    assert_false(roof.by_bandwidth);
    roof = prony_roof_at(100e9, 50e9, 2); /* the ridge */
    assert_float_equal(roof.flop_per_s, 100e9, 1);
    assert_true(isnan(prony_roof_at(NAN, 50e9, 2).flop_per_s));
    assert_true(isnan(prony_roof_at(100e9, NAN, 2).flop_per_s));
    assert_true(isnan(prony_roof_at(100e9, 50e9, NAN).flop_per_s));
}

static void data_lie_where_they_fit(void **state)
{
    static const struct prony_cache caches[PRONY_CACHE_LEVELS] = {{32768, 2}, {1048576, 2}, {33554432, 8}, {0, 1}};
    static const struct {
        double bytes;
        unsigned workers, level;
    } known[] = {
        {1, 1, 1},       {32768, 1, 1},   {32769, 1, 2},    {16384, 2, 1},    {16385, 2, 2},
        {16384, 99, 1},  {1048576, 1, 2}, {1048577, 1, 3},  {33554432, 1, 3}, {33554433, 1, 0},
        {4194304, 8, 3}, {4194305, 8, 0}, {4194304, 99, 3}, {8388608, 4, 3},  {8388609, 4, 0},
    };
    static const struct prony_cache none[PRONY_CACHE_LEVELS] = {{0, 1}, {0, 1}, {0, 1}, {0, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (prony_roof_level(caches, known[i].bytes, known[i].workers) != known[i].level)
            fail_msg("%g bytes of each of %u workers are said to lie in level %u", known[i].bytes, known[i].workers,
                     prony_roof_level(caches, known[i].bytes, known[i].workers));
    assert_int_equal(prony_roof_level(none, 1, 1), 0);
}

static void texts_of_caches_are_read(void **state)
{
    (void)state;
    assert_int_equal(prony_cache_size_read("48K"), 49152);
    assert_int_equal(prony_cache_size_read("32M"), 33554432);
    assert_int_equal(prony_cache_size_read("64"), 64);
    assert_int_equal(prony_cache_size_read(""), 0);
    assert_int_equal(prony_cache_size_read("K"), 0);
    assert_int_equal(prony_cache_size_read("48KB"), 0);
    assert_int_equal(prony_cache_sharers_read("0"), 1);
    assert_int_equal(prony_cache_sharers_read("0-3,8"), 5);
    assert_int_equal(prony_cache_sharers_read("0,64"), 2);
    assert_int_equal(prony_cache_sharers_read(""), 0);
    assert_int_equal(prony_cache_sharers_read("3-1"), 0);
    for (unsigned level = 0; level <= PRONY_CACHE_LEVELS + 1; level++)
        assert_true(prony_cache_of(level).sharers >= 1); /* also where there is none: it divides */
    assert_true(prony_cache_last().sharers >= 1);
}

/* A cell whose visits all take `ns` a repetition, but the last, which takes twice that. */
static struct prony_cell *steady(struct prony_run *run, const struct prony_workload *workload, unsigned workers,
                                 const char *items, uint64_t ns)
{
    struct prony_cell *cell = made_cell(run, &made_thread, workload, workers, items);
    cell->outcome = PRONY_OK;
    cell->repeats = 1;
    cell->verified = 7;
    cell->visits_count = 7;
    cell->visits = calloc(7, sizeof *cell->visits);
    for (unsigned i = 0; i < 7; i++) {
        cell->visits[i].block = i;
        cell->visits[i].samples = 1;
        cell->visits[i].samples_ns = calloc(1, sizeof(uint64_t));
        cell->visits[i].samples_ns[0] = i == 6 ? 2 * ns : ns;
    }
    return cell;
}

static void option(struct prony_cell *cell, const char *name, const char *text)
{
    struct prony_error error = {0, ""};
    if (prony_params_set(&cell->workload_params, name, text, &error) != 0)
        fail_msg("%s", error.text);
}

/* Work that lies in memory, whatever the caches of this machine. */
static void works(struct prony_cell *cell, int64_t flops, int64_t bytes)
{
    cell->need.flops = flops;
    cell->need.moved = bytes;
    cell->need.bytes = (uint64_t)1 << 45;
}

static const json_t *place_at(const struct prony_report *report, size_t i)
{
    return json_object_get(json_array_get(json_object_get(report->root, "cells"), i), "roofline");
}

static struct prony_report *report_of(const struct prony_run *run)
{
    struct prony_report *report = NULL;
    struct prony_error error = {0, ""};
    if (prony_report_from_run(run, 1, words, false, &report, &error) != 0)
        fail_msg("%s", error.text);
    return report;
}

static void why_is(const struct prony_report *report, size_t i, const char *reason)
{
    const json_t *place = place_at(report, i);
    assert_true(json_is_null(json_object_get(place, "fraction")));
    assert_true(json_is_null(json_object_get(place, "ceiling")));
    if (strstr(prony_json_string(place, "reason"), reason) == NULL)
        fail_msg("cell %zu has no fraction because of: %s", i, prony_json_string(place, "reason"));
}

static void cells_have_their_place(void **state)
{
    struct prony_run run;
    struct prony_report *report;
    (void)state;
    made_begin(&run, 12);
    option(steady(&run, &made_peak, 1, "1k", 1000), "width", "scalar"); /* 1 GFLOP/s */
    (void)steady(&run, &made_peak, 1, "4k", 1000);                      /* 4 GFLOP/s */
    option(steady(&run, &made_peak, 1, "8k", 1000), "precision", "float");
    (void)steady(&run, &made_bandwidth, 1, "2k", 1000);                 /* 2 GB/s */
    option(steady(&run, &made_bandwidth, 1, "9k", 1000), "size", "64"); /* no level's */
    works(steady(&run, &made_matmul, 1, "1k", 1000), 3000, 1000);       /* 3 a byte: 3 of 4 GFLOP/s */
    works(steady(&run, &made_matmul, 1, "2k", 1000), 250, 500);         /* a half a byte: 0.25 of 1 GFLOP/s */
    works(steady(&run, &made_matmul, 1, "3k", 1000), 0, 500);           /* bytes only: 0.5 of 2 GB/s */
    works(steady(&run, &made_matmul, 2, "1k", 1000), 3000, 1000);
    works(steady(&run, &made_primes, 1, "1k", 1000), 0, 0);
    works(steady(&run, &made_pingpong, 2, "1k", 1000), 0, 0);
    report = report_of(&run);
    assert_int_equal(json_array_size(json_object_get(json_object_get(report->root, "roofline"), "ceilings")), 4);
    assert_true(json_is_null(place_at(report, 0)) && json_is_null(place_at(report, 3)));
    assert_float_equal(prony_json_number(place_at(report, 5), "ceiling"), 4e9, 1);
    assert_float_equal(prony_json_number(place_at(report, 5), "fraction"), 0.75, 1e-9);
    assert_float_equal(prony_json_number(place_at(report, 5), "intensity"), 3, 1e-9);
    assert_string_equal(prony_json_string(place_at(report, 5), "bound"), "compute");
    assert_string_equal(prony_json_string(place_at(report, 5), "under"), run.cells[1].id);
    assert_float_equal(prony_json_number(place_at(report, 6), "ceiling"), 1e9, 1);
    assert_float_equal(prony_json_number(place_at(report, 6), "fraction"), 0.25, 1e-9);
    assert_string_equal(prony_json_string(place_at(report, 6), "bound"), "bandwidth");
    assert_string_equal(prony_json_string(place_at(report, 6), "level"), "memory");
    assert_float_equal(prony_json_number(place_at(report, 7), "fraction"), 0.25, 1e-9);
    assert_string_equal(prony_json_string(place_at(report, 7), "unit"), "bytes/s");
    assert_string_equal(prony_json_string(place_at(report, 7), "under"), run.cells[3].id);
    why_is(report, 8, "with 2 workers");
    why_is(report, 9, "neither known nor counted");
    assert_true(json_is_null(place_at(report, 10)));
    prony_report_free(report);
    made_end(&run);
}

/* The words end with who was first and who was last. */
static void it_is_said_in_words(void **state)
{
    struct prony_view view;
    struct prony_run run;
    struct prony_report *report;
    char text[1024];
    (void)state;
    made_begin(&run, 4);
    (void)steady(&run, &made_peak, 1, "4k", 1000);
    (void)steady(&run, &made_bandwidth, 1, "2k", 1000);
    works(steady(&run, &made_matmul, 1, "1k", 1000), 3000, 1000);
    works(steady(&run, &made_primes, 1, "1k", 1000), 0, 500);
    report = report_of(&run);
    assert_int_equal(prony_view_make(report, &view), 0);
    assert_string_equal(
        prony_roofline_say(&view, text, sizeof text),
        "One worker can do 4.00 GFLOP/s (avx2) and can move 2.00 GB/s to or from memory (read): below 2 "
        "operations a byte memory is the limit. Closest to its limit came matmul on thread (1 worker) "
        "with 75%, farthest stayed primes on thread (1 worker) with 25%.");
    prony_view_free(&view);
    prony_report_free(report);
    made_end(&run);
}

static void without_peaks_there_is_a_reason(void **state)
{
    struct prony_view view;
    struct prony_run run;
    struct prony_report *report;
    char text[256];
    (void)state;
    made_begin(&run, 2);
    works(steady(&run, &made_matmul, 1, "1k", 1000), 3000, 1000);
    works(steady(&run, &made_matmul, 1, "2k", 1000), 3000, 0);
    report = report_of(&run);
    assert_true(json_is_null(json_object_get(report->root, "roofline")));
    assert_float_equal(prony_json_number(place_at(report, 0), "flop_per_s"), 3e9, 1);
    why_is(report, 0, "no peaks were measured");
    why_is(report, 1, "no peaks were measured");
    assert_int_equal(prony_view_make(report, &view), 0);
    assert_string_equal(prony_roofline_say(&view, text, sizeof text), "");
    prony_view_free(&view);
    prony_report_free(report);
    made_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roof_is_the_lower_of_two), cmocka_unit_test(data_lie_where_they_fit),
        cmocka_unit_test(texts_of_caches_are_read),     cmocka_unit_test(cells_have_their_place),
        cmocka_unit_test(it_is_said_in_words),          cmocka_unit_test(without_peaks_there_is_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
