/* Timelines and what follows from them: rings that overflow, and digests of made-up lanes with known answers. */
#include "measure/profile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_full_ring_counts_what_it_loses(void **state)
{
    enum { ROOM = 8, NOTES = 21 };
    struct prony_timeline *timeline = aligned_alloc(64, sizeof *timeline + ROOM * sizeof(struct prony_note));
    (void)state;
    *timeline = (struct prony_timeline){.room = ROOM};
    for (unsigned i = 0; i < NOTES; i++)
        prony_timeline_note(timeline, PRONY_NOTE_BEGUN, 0, 64 * (uint64_t)i, i, 1);
    assert_int_equal(timeline->written, NOTES);
    for (uint64_t i = NOTES - ROOM; i < NOTES; i++)
        assert_int_equal(prony_timeline_notes(timeline)[i % ROOM].lo, i);
    free(timeline);
}

static int kernel(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker;
    return task->lo == 3 ? -5 : 0;
}

static void tasks_are_noted_and_prony_s_own_are_not(void **state)
{
    static const struct prony_kernel table[] = {{"k", kernel}, {NULL, NULL}};
    const struct prony_kernel *const kernels[] = {table, table};
    struct prony_timeline *timeline = aligned_alloc(64, sizeof *timeline + 8 * sizeof(struct prony_note));
    struct prony_worker worker = {.kernels = kernels};
    struct prony_task task = {.ref = {1, 0}, .lo = 3, .hi = 7, .future = 192};
    const struct prony_note *notes = prony_timeline_notes(timeline);
    (void)state;
    *timeline = (struct prony_timeline){.room = 8};
    assert_int_equal(prony_task_run(&worker, &task), -5);
    assert_int_equal(timeline->written, 0);
    worker.timeline = timeline;
    assert_int_equal(prony_task_run(&worker, &task), -5);
    assert_int_equal(timeline->written, 2);
    assert_int_equal(notes[0].kind, PRONY_NOTE_BEGUN);
    assert_int_equal(notes[0].items, 4);
    assert_int_equal(notes[1].kind, PRONY_NOTE_ENDED);
    assert_int_equal(notes[1].detail, 1);
    assert_int_equal(notes[1].future, 192);
    assert_true(notes[1].ticks >= notes[0].ticks);
    task.ref.workload = 0;
    (void)prony_task_run(&worker, &task);
    assert_int_equal(timeline->written, 2);
    free(timeline);
}

static void lane(struct prony_profile *profile, unsigned index, const struct prony_note *notes, unsigned n)
{
    profile->lanes[index].notes = calloc(n + 1, sizeof *notes);
    memcpy(profile->lanes[index].notes, notes, n * sizeof *notes);
    profile->lanes[index].count = n;
}

static void begin(struct prony_profile *profile, unsigned workers, uint64_t window_ns)
{
    memset(profile, 0, sizeof *profile);
    profile->workers = workers;
    profile->window_ns = window_ns;
    profile->lanes = calloc(workers + 1, sizeof *profile->lanes);
}

/* The caller queues A at 0 (worker 0, 10 to 100). A spawns B at 40, which worker 1 steals and runs from 50 to 88; A waits
 * for it from 60 to 90. Own time of A: 30 before the spawn, 20 after it, 10 after the join. */
static void a_nest_has_a_known_critical_path(void **state)
{
    const struct prony_note caller[] = {{.ticks = 0, .future = 64, .kind = PRONY_NOTE_QUEUED}};
    const struct prony_note first[] = {
        {.ticks = 10, .future = 64, .kind = PRONY_NOTE_BEGUN},
        {.ticks = 40, .future = 128, .kind = PRONY_NOTE_QUEUED},
        {.ticks = 60, .kind = PRONY_NOTE_WAIT, .detail = PRONY_ON_KIDS},
        {.ticks = 90, .kind = PRONY_NOTE_GO_ON, .detail = PRONY_ON_KIDS},
        {.ticks = 100, .future = 64, .kind = PRONY_NOTE_ENDED},
    };
    const struct prony_note second[] = {
        {.ticks = 48, .kind = PRONY_NOTE_STOLEN, .detail = 0},
        {.ticks = 50, .future = 128, .kind = PRONY_NOTE_BEGUN},
        {.ticks = 88, .future = 128, .kind = PRONY_NOTE_ENDED},
    };
    struct prony_profile profile;
    (void)state;
    begin(&profile, 2, 120);
    lane(&profile, 0, first, 5);
    lane(&profile, 1, second, 3);
    lane(&profile, 2, caller, 1);
    profile.lanes[1].lost = 7;
    assert_int_equal(prony_profile_digest(&profile), 0);
    assert_int_equal(profile.digest.tasks, 2);
    assert_int_equal(profile.digest.steals, 1);
    assert_int_equal(profile.digest.lost, 7);
    assert_int_equal(profile.digest.queued, 2);
    assert_true(isnan(profile.digest.queue_p50_ns)); /* too few for one */
    assert_int_equal(profile.digest.path_ns, 30 + 38 + 10);
    assert_int_equal(profile.digest.work_ns, 60 + 38);
    assert_int_equal(profile.digest.who[0].busy_ns, 60);
    assert_int_equal(profile.digest.who[0].waiting_ns, 30);
    assert_int_equal(profile.digest.who[0].idle_ns, 10 + 20);
    assert_int_equal(profile.digest.who[1].idle_ns, 50 + 32);
    assert_int_equal(profile.digest.who[1].overhead_ns, 0);
    assert_int_equal(profile.digest.who[1].steals, 1);
    assert_true(fabs(profile.digest.imbalance - (120.0 / 98 - 1)) < 1e-9);
    assert_int_equal(profile.stretches, 3);
    prony_profile_free(&profile);
}

/* Tasks at 0 to 10, 15 to 25 and 60 to 70; asleep from 30 to 55: 5 + 5 + 5 of the gaps are overhead, 25 are idle. */
static void gaps_are_overhead_and_sleep_is_not(void **state)
{
    const struct prony_note notes[] = {
        {.ticks = 0, .kind = PRONY_NOTE_BEGUN},  {.ticks = 10, .kind = PRONY_NOTE_ENDED},
        {.ticks = 15, .kind = PRONY_NOTE_BEGUN}, {.ticks = 25, .kind = PRONY_NOTE_ENDED},
        {.ticks = 30, .kind = PRONY_NOTE_WAIT},  {.ticks = 55, .kind = PRONY_NOTE_GO_ON},
        {.ticks = 60, .kind = PRONY_NOTE_BEGUN}, {.ticks = 70, .kind = PRONY_NOTE_ENDED},
    };
    struct prony_profile profile;
    (void)state;
    begin(&profile, 1, 100);
    lane(&profile, 0, notes, 8);
    assert_int_equal(prony_profile_digest(&profile), 0);
    assert_int_equal(profile.digest.who[0].busy_ns, 30);
    assert_int_equal(profile.digest.who[0].overhead_ns, 15);
    assert_int_equal(profile.digest.who[0].idle_ns, 25 + 30);
    assert_int_equal(profile.digest.path_ns, 10);
    prony_profile_free(&profile);
}

/* A ring that lost its beginning starts in the middle of a task. */
static void an_end_without_a_beginning_is_passed_over(void **state)
{
    const struct prony_note notes[] = {
        {.ticks = 20, .kind = PRONY_NOTE_ENDED},
        {.ticks = 30, .kind = PRONY_NOTE_GO_ON},
        {.ticks = 40, .kind = PRONY_NOTE_BEGUN},
    };
    struct prony_profile profile;
    (void)state;
    begin(&profile, 1, 50);
    lane(&profile, 0, notes, 3);
    assert_int_equal(prony_profile_digest(&profile), 0);
    assert_int_equal(profile.digest.tasks, 1);
    assert_int_equal(profile.digest.who[0].busy_ns, 10);
    assert_int_equal(profile.digest.who[0].idle_ns, 40);
    assert_int_equal(profile.stretch[0].to_ns, 50);
    prony_profile_free(&profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ring_counts_what_it_loses),
        cmocka_unit_test(tasks_are_noted_and_prony_s_own_are_not),
        cmocka_unit_test(a_nest_has_a_known_critical_path),
        cmocka_unit_test(gaps_are_overhead_and_sleep_is_not),
        cmocka_unit_test(an_end_without_a_beginning_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
