/* The measuring room in parts: the board, the journal, the pulse, seeds. */
#include "measure/board.h"
#include "measure/journal.h"
#include "measure/pulse.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct prony_workload workload = {.head = {.name = "w"}};
static const struct prony_engine engine = {.head = {.name = "e"}};
static const struct prony_provider provider = {.head = {.name = "p", .caps = PRONY_COUNTER_IN_WORKER}};

static void parts_of_the_board_do_not_overlap(void **state)
{
    static int pus[] = {4, 2, 9};
    struct prony_cell cell = {.workload = &workload,
                              .engine = &engine,
                              .workers = 3,
                              .need = {.bytes = 1000, .futures = 7, .ends = 2, .items = 1},
                              .placement = {.workers = 3, .pus = pus, .binding = true}};
    struct prony_topology *topology;
    struct prony_method method = {.provider = &provider};
    struct prony_setup setup;
    struct prony_board board;
    struct prony_error error = {0, ""};
    unsigned char *base;
    (void)state;
    assert_int_equal(prony_list_split(&method.events, "first+second", '+', NULL), 0);
    assert_int_equal(prony_topology_load("synthetic:pack:2 core:3 pu:2", &topology, NULL), 0);
    method.topology = topology;
    prony_board_lay(&board, &cell, &method);
    const struct prony_span parts[] = {
        {0, sizeof board}, board.pus,     board.victims, board.ends,
        board.names,       board.slots,   board.values,  {board.own.off, 3 * board.own_stride},
        board.area,        board.futures, board.data,    {board.bytes, 0}};
    for (unsigned i = 0; i + 1 < sizeof parts / sizeof parts[0]; i++)
        assert_true(parts[i].off + parts[i].len <= parts[i + 1].off);
    assert_int_equal(board.data.len, 1000);
    assert_int_equal(board.futures.len, 7 * sizeof(struct prony_future));
    assert_int_equal(board.futures.off % 64, 0);
    base = aligned_alloc(4096, board.bytes);
    memset(base, 0, board.bytes);
    prony_board_write(base, &board, &cell, &method);
    assert_int_equal(prony_board_setup(base, board.bytes, &setup, &error), 0);
    assert_int_equal(setup.workers, 3);
    assert_int_equal(setup.pus[2], 9);
    assert_int_equal(setup.victims[0], 1); /* PUs 4 and 2 are of one package, 9 is of the other */
    assert_int_equal(setup.victims[2], 0);
    assert_string_equal((char *)base + board.names.off, "first");
    assert_string_equal((char *)base + board.names.off + 6, "second");
    assert_int_equal(prony_board_setup(base, board.bytes - 1, &setup, &error), -EINVAL);
    base[0] ^= 1;
    assert_int_equal(prony_board_setup(base, board.bytes, &setup, &error), -EINVAL);
    prony_topology_free(topology);
    free(base);
    prony_list_free(&method.events);
}

static void a_journal_is_lines(void **state)
{
    char path[] = "/tmp/prony-journal-XXXXXX", text[128] = "";
    struct prony_journal journal;
    FILE *file;
    (void)state;
    (void)close(mkstemp(path));
    assert_int_equal(prony_journal_open(&journal, path, NULL), 0);
    prony_journal_say(&journal, "visit\t%d", 3);
    prony_journal_close(&journal);
    file = fopen(path, "r");
    assert_int_equal(fread(text, 1, sizeof text - 1, file), strlen("prony-journal\t2\nvisit\t3\n"));
    assert_string_equal(text, "prony-journal\t2\nvisit\t3\n");
    (void)fclose(file);
    (void)unlink(path);
}

static void a_full_device_is_said(void **state)
{
    struct prony_journal journal;
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(prony_journal_open(&journal, "/dev/full", &error), -ENOSPC);
    assert_non_null(strstr(error.text, "No space left"));
    prony_journal_close(&journal);
    assert_int_equal(prony_journal_open(&journal, "/nowhere/journal", &error), -ENOENT);
}

static void the_pulse_is_taken(void **state)
{
    struct prony_topology *topology;
    struct prony_pulser pulser;
    struct prony_pulse pulse;
    int pus[2] = {-1, -1};
    unsigned taken = 0;
    (void)state;
    assert_int_equal(prony_topology_load(NULL, &topology, NULL), 0);
    if (prony_topology_pus(topology, pus, 2) < 2)
        pus[1] = -1;
    assert_int_equal(prony_pulser_start(&pulser, NULL), 0);
    for (int i = 0; i < 20; i++) {
        pulse = prony_pulser_take(&pulser, pus[0], pus[0]);
        assert_true(isnan(pulse.line_ns) && (isnan(pulse.compute_ns) || pulse.compute_ns > 0));
        taken += pulse.compute_ns > 0; /* but for one that is held up for seconds */
        pulse = prony_pulser_take(&pulser, pus[0], pus[1]);
        assert_true(pus[1] < 0 || isnan(pulse.line_ns) || pulse.line_ns > 1);
    }
    assert_true(taken > 10);
    prony_pulser_stop(&pulser);
    pulse = prony_pulser_take(&pulser, pus[0], pus[1]);
    assert_true(isnan(pulse.compute_ns));
    prony_topology_free(topology);
}

/* Two processes that do not answer, or are gone, cost one pulse. */
static void a_pulse_that_fails_is_not_the_last(void **state)
{
    struct prony_pulser pulser;
    struct prony_pulse pulse;
    unsigned taken = 0;
    (void)state;
    assert_int_equal(prony_pulser_start(&pulser, NULL), 0);
    assert_int_equal(kill(pulser.pid, SIGKILL), 0);
    pulse = prony_pulser_take(&pulser, -1, -1);
    assert_true(isnan(pulse.compute_ns));
    for (int i = 0; i < 10; i++)
        taken += prony_pulser_take(&pulser, -1, -1).compute_ns > 0;
    assert_true(taken > 0);
    prony_pulser_stop(&pulser);
}

static void what_moved_is_named(void **state)
{
    struct prony_pulse calm = {100, 1000}, far = {130, 1000}, slow = {100, 1300}, none = {NAN, NAN};
    char why[64];
    (void)state;
    assert_false(prony_pulse_moved(&calm, &calm, true, why, sizeof why));
    assert_true(prony_pulse_moved(&calm, &far, true, why, sizeof why));
    assert_non_null(strstr(why, "line RT x1.30"));
    assert_true(prony_pulse_moved(&far, &calm, true, why, sizeof why));
    assert_false(prony_pulse_moved(&calm, &far, false, why, sizeof why));
    assert_true(prony_pulse_moved(&calm, &slow, false, why, sizeof why));
    assert_non_null(strstr(why, "compute loop x1.30"));
    assert_false(prony_pulse_moved(&none, &slow, true, why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_of_the_board_do_not_overlap),
                                       cmocka_unit_test(a_journal_is_lines),
                                       cmocka_unit_test(a_full_device_is_said),
                                       cmocka_unit_test(the_pulse_is_taken),
                                       cmocka_unit_test(a_pulse_that_fails_is_not_the_last),
                                       cmocka_unit_test(what_moved_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
