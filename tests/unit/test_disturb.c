/* What marks a visit, from folders that stand for /proc and /sys. */
#include "measure/disturb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/prony-disturb-XXXXXX";
static int pus[] = {0, 1, 0};
static const struct prony_slot slots[] = {{.pid = 40, .tid = 41, .pu = 0}, {.pid = 40, .tid = 42, .pu = 1}, {.tid = 0}};

/* Writes a file below the root, with the folders that lead there. */
static void put(const char *path, const char *text)
{
    char full[300];
    FILE *file;
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = full + sizeof root; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = '\0';
        (void)mkdir(full, 0700);
    }
    file = fopen(full, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void steal(unsigned first, unsigned second)
{
    char text[300];
    (void)snprintf(text, sizeof text,
                   "cpu  9 9 9 9 9 9 9 99 0 0\ncpu0 1 2 3 4 5 6 7 %u 0 0\ncpu1 1 2 3 4 5 6 7 %u 0 0\n"
                   "cpu10 1 2 3 4 5 6 7 800 0 0\nintr 5\n",
                   first, second);
    put("proc/stat", text);
}

static void thread(int tid, unsigned involuntary, unsigned migrations)
{
    char path[64], text[200];
    (void)snprintf(path, sizeof path, "proc/40/task/%d/status", tid);
    (void)snprintf(text, sizeof text, "Name:\tx\nvoluntary_ctxt_switches:\t7000\nnonvoluntary_ctxt_switches:\t%u\n",
                   involuntary);
    put(path, text);
    (void)snprintf(path, sizeof path, "proc/40/task/%d/sched", tid);
    (void)snprintf(text, sizeof text, "x (41, #threads: 2)\nse.exec_start : 1.5\nse.nr_migrations     :    %u\n",
                   migrations);
    put(path, text);
}

static struct prony_cell cell_of(bool binding)
{
    return (struct prony_cell){.workers = 3, .placement = {.workers = 3, .pus = pus, .binding = binding}};
}

static void calm(void)
{
    steal(5, 6);
    thread(41, 100, 3);
    thread(42, 200, 4);
}

/* Looks before and after `change`, which writes other files. */
static struct prony_disturbed seen(bool binding, void (*change)(void), const struct prony_slot *later)
{
    struct prony_cell cell = cell_of(binding);
    struct prony_doings before, after;
    struct prony_disturbed disturbed = {.why = ""};
    calm();
    assert_int_equal(prony_doings_read(root, &cell, slots, &before, NULL), 0);
    change();
    assert_int_equal(prony_doings_read(root, &cell, later, &after, NULL), 0);
    prony_doings_compare(&cell, &before, &after, &disturbed);
    prony_doings_free(&before);
    prony_doings_free(&after);
    return disturbed;
}

static void some_switches(void)
{
    thread(41, 103, 3);
    thread(42, 204, 4);
}

static void stolen(void)
{
    steal(7, 6);
}

static void moved(void)
{
    thread(42, 200, 6);
}

static void replaced(void)
{
    thread(41, 101, 3);
    thread(43, 900, 90);
}

static void a_calm_visit_is_not_marked(void **state)
{
    struct prony_disturbed disturbed = seen(true, some_switches, slots);
    (void)state;
    assert_false(disturbed.marked);
    assert_string_equal(disturbed.why, "");
    assert_int_equal(disturbed.involuntary, 7);
    assert_int_equal(disturbed.steal_ns, 0);
}

static void stolen_time_marks(void **state)
{
    struct prony_disturbed disturbed = seen(true, stolen, slots);
    long tick_ms = 1000 / sysconf(_SC_CLK_TCK);
    (void)state;
    assert_true(disturbed.marked);
    assert_int_equal(disturbed.steal_ns, 2 * tick_ms * 1000000); /* PU 0 has two workers, and counts once */
    assert_non_null(strstr(disturbed.why, "hypervisor"));
    assert_false(seen(false, stolen, slots).marked); /* nobody knows whose PUs those are */
}

static void a_migration_of_a_bound_worker_marks(void **state)
{
    struct prony_disturbed disturbed = seen(true, moved, slots);
    (void)state;
    assert_true(disturbed.marked);
    assert_int_equal(disturbed.migrations, 2);
    assert_non_null(strstr(disturbed.why, "2 migrations"));
    disturbed = seen(false, moved, slots);
    assert_false(disturbed.marked);
    assert_int_equal(disturbed.migrations, 2);
}

static void a_worker_that_was_replaced_is_not_compared(void **state)
{
    struct prony_slot later[3];
    struct prony_disturbed disturbed;
    (void)state;
    memcpy(later, slots, sizeof later);
    later[1].tid = 43;
    disturbed = seen(true, replaced, later);
    assert_false(disturbed.marked);
    assert_int_equal(disturbed.involuntary, 1);
    assert_int_equal(disturbed.migrations, 0);
}

static void a_clock_that_moved_marks(void **state)
{
    static const int pair[] = {0, 1}, alone[] = {0, -1};
    struct prony_disturbed disturbed = {.why = "before"};
    double before[2], after[2];
    (void)state;
    put("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3000000\n");
    prony_clocks_read(root, pair, before);
    assert_float_equal(before[0], 3e6, 0);
    assert_float_equal(before[1], 0, 0); /* no cpufreq */
    put("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2750000\n");
    put("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "1000000\n");
    prony_clocks_read(root, pair, after);
    prony_clocks_compare(pair, before, after, &disturbed);
    assert_false(disturbed.marked); /* by 8%, and from unknown */
    put("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2600000\n");
    prony_clocks_read(root, alone, after);
    prony_clocks_compare(alone, before, after, &disturbed);
    assert_true(disturbed.marked);
    assert_string_equal(disturbed.why, "before; the clock of PU 0 went from 3000 to 2600 MHz");
}

/* Visits of four samples of 5 ms each; the workers' switches by visit. */
static unsigned judged(const unsigned *switches, unsigned n, bool binding, bool oversubscribed, bool *first)
{
    static uint64_t samples[] = {5000000, 5000000, 5000000, 5000000};
    struct prony_visit visits[8] = {{.samples = 0}};
    struct prony_cell cell = {.workers = 2, .visits = visits, .visits_count = n};
    unsigned marked = 0;
    cell.placement.binding = binding;
    cell.placement.oversubscribed = oversubscribed;
    for (unsigned i = 0; i < n; i++) {
        visits[i].samples = 4;
        visits[i].samples_ns = samples;
        visits[i].disturbed.involuntary = switches[i];
    }
    prony_switches_judge(&cell);
    prony_switches_judge(&cell); /* a second look adds nothing */
    for (unsigned i = 0; i < n; i++) {
        marked += visits[i].disturbed.marked;
        assert_true(visits[i].disturbed.marked == (visits[i].disturbed.why[0] != '\0'));
        assert_null(strchr(visits[i].disturbed.why, ';'));
    }
    *first = visits[0].disturbed.marked;
    return marked;
}

static void unusual_switches_mark(void **state)
{
    static const unsigned quiet[] = {4, 0, 0, 1, 0}, one[] = {5, 0, 0, 1, 0}, busy[] = {90, 100, 110, 100, 280},
                          burst[] = {400, 100, 110, 100, 90};
    bool first;
    (void)state;
    assert_int_equal(judged(quiet, 5, true, false, &first), 0); /* 40 ms of two workers allow four */
    assert_int_equal(judged(one, 5, true, false, &first), 1);
    assert_true(first); /* also the first visit, once others show what is usual */
    assert_int_equal(judged(busy, 5, true, false, &first), 0);
    assert_int_equal(judged(burst, 5, true, false, &first), 1);
    assert_int_equal(judged(one, 2, true, false, &first), 0);
    assert_int_equal(judged(one, 5, false, false, &first), 0);
    assert_int_equal(judged(one, 5, true, true, &first), 0);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(root) == NULL;
}

static int end(void **state)
{
    char command[100];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_visit_is_not_marked),
        cmocka_unit_test(stolen_time_marks),
        cmocka_unit_test(a_migration_of_a_bound_worker_marks),
        cmocka_unit_test(a_worker_that_was_replaced_is_not_compared),
        cmocka_unit_test(a_clock_that_moved_marks),
        cmocka_unit_test(unusual_switches_mark),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
