/* What Python 3.11's documentation says of concurrent.futures and of Pool's asynchronous calls, statement by statement,
 * of groups over pools, executors and carried pools, threads and processes. */
#include "groups.h"

#define WORKERS 2u

/* Results, waiting */

static void results_and_exceptions(void **state)
{
    struct cell cell;
    uint64_t handles[100], value = 0;
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 100; i++)
        handles[i] = submit(&cell, i % 10 == 3 ? REFUSE : SQUARE, i, NULL);
    for (unsigned i = 0; i < 100; i++) {
        int code = prony_group_result(cell.group, handles[i], &value, LONG_NS);
        assert_int_equal(code, i % 10 == 3 ? -EDOM : 0);
        if (code == 0)
            assert_int_equal(value, i * i);
        assert_int_equal(prony_group_forget(cell.group, handles[i]), 0);
        assert_int_equal(prony_group_result(cell.group, handles[i], &value, 0), -ENOENT);
    }
    assert_int_not_equal(submit(&cell, SQUARE, 1, NULL), handles[99]); /* the place is used again, the handle is not */
    end(&cell);
}

static void result_waits_no_longer_than_said(void **state)
{
    struct cell cell;
    struct prony_future outcome;
    uint64_t handle, value;
    begin(&cell, *state, WORKERS, FUTURES);
    handle = submit(&cell, HOLD, 0, NULL);
    assert_int_equal(prony_group_result(cell.group, handle, &value, 0), -ETIMEDOUT);
    await_begun(&cell, 1);
    assert_int_equal(prony_group_result(cell.group, handle, &value, 2000000), -ETIMEDOUT);
    assert_int_equal(prony_group_outcome(cell.group, handle, &outcome), 0);
    assert_true(prony_future_running(&outcome) && !prony_future_done(&outcome));
    open_gate(&cell);
    assert_int_equal(prony_group_result(cell.group, handle, &value, -1), 0);
    assert_int_equal(status_of(&cell, handle), 0);
    end(&cell);
}

static void apply_returns_the_value(void **state)
{
    struct cell cell;
    struct prony_task task;
    uint64_t value = 0;
    begin(&cell, *state, WORKERS, FUTURES);
    task = task_of(&cell, SQUARE, 12, 13);
    assert_int_equal(prony_group_apply(cell.group, &task, &value, LONG_NS), 0);
    assert_int_equal(value, 144);
    task = task_of(&cell, REFUSE, 2, 3);
    assert_int_equal(prony_group_apply(cell.group, &task, &value, LONG_NS), -EINVAL);
    task = task_of(&cell, HOLD, 1, 2);
    assert_int_equal(prony_group_apply(cell.group, &task, &value, 1000000), -ETIMEDOUT);
    end(&cell);
}

static void as_completed(struct cell *cell, unsigned n)
{
    unsigned char *seen = calloc(n, 1);
    uint64_t handle, first = 0;
    assert_non_null(seen);
    for (unsigned i = 0; i < n; i++) {
        handle = submit(cell, i % 7 == 0 ? REFUSE : SQUARE, i, NULL);
        first = i == 0 ? handle : first;
    }
    for (unsigned i = 0; i < n; i++) {
        struct prony_future outcome;
        uint32_t at;
        assert_int_equal(prony_group_next(cell->group, &handle, LONG_NS), 0);
        assert_int_equal(prony_group_outcome(cell->group, handle, &outcome), 0);
        at = (uint32_t)handle - 1;
        assert_true(at < n && prony_future_done(&outcome));
        assert_int_equal(seen[at]++, 0);
    }
    assert_int_equal(prony_group_next(cell->group, &handle, LONG_NS), -ENODATA);
    free(seen);
}

static void as_completed_gives_each_once(void **state)
{
    struct cell cell;
    begin(&cell, *state, WORKERS, FUTURES);
    as_completed(&cell, 3000);
    end(&cell);
    begin(&cell, *state, 1, 1); /* one future is enough */
    as_completed(&cell, 50);
    end(&cell);
}

static void as_completed_gives_what_ended_first(void **state)
{
    struct cell cell;
    uint64_t slow, handle;
    begin(&cell, *state, WORKERS, FUTURES);
    slow = submit(&cell, HOLD, 0, NULL);
    for (int i = 1; i < 10; i++)
        (void)submit(&cell, SQUARE, i, NULL);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), 0);
        assert_int_not_equal(handle, slow);
    }
    assert_int_equal(prony_group_next(cell.group, &handle, 1000000), -ETIMEDOUT);
    open_gate(&cell);
    assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), 0);
    assert_int_equal(handle, slow);
    end(&cell);
}

static void wait_for_the_first(void **state)
{
    struct cell cell;
    uint64_t handles[3];
    begin(&cell, *state, WORKERS, FUTURES);
    handles[0] = handles[2] = submit(&cell, HOLD, 0, NULL);
    handles[1] = submit(&cell, SQUARE, 1, NULL);
    assert_int_equal(prony_group_wait(cell.group, handles, 3, PRONY_FIRST_COMPLETED, LONG_NS), 0);
    assert_int_equal(status_of(&cell, handles[1]), 0);
    assert_int_equal(prony_group_wait(cell.group, handles, 3, PRONY_FIRST_COMPLETED, LONG_NS), 0); /* it is still so */
    assert_int_equal(prony_group_wait(cell.group, handles, 1, PRONY_FIRST_COMPLETED, 1000000), -ETIMEDOUT);
    open_gate(&cell);
    assert_int_equal(prony_group_wait(cell.group, handles, 3, PRONY_ALL_COMPLETED, LONG_NS), 0);
    handles[0] += 1000;
    assert_int_equal(prony_group_wait(cell.group, handles, 3, PRONY_ALL_COMPLETED, LONG_NS), -ENOENT);
    end(&cell);
}

static void wait_for_the_first_exception(void **state)
{
    struct cell cell;
    uint64_t handles[4];
    begin(&cell, *state, WORKERS, FUTURES);
    handles[0] = submit(&cell, HOLD, 0, NULL);
    handles[1] = submit(&cell, SQUARE, 1, NULL);
    assert_int_equal(prony_group_wait(cell.group, handles, 2, PRONY_FIRST_EXCEPTION, 2000000), -ETIMEDOUT);
    handles[2] = submit(&cell, REFUSE, 2, NULL);
    assert_int_equal(prony_group_wait(cell.group, handles, 3, PRONY_FIRST_EXCEPTION, LONG_NS), 0);
    assert_int_equal(status_of(&cell, handles[2]), -EINVAL);
    open_gate(&cell);
    assert_int_equal(prony_group_wait(cell.group, handles, 2, PRONY_FIRST_EXCEPTION, LONG_NS), 0); /* none: all */
    assert_int_equal(status_of(&cell, handles[0]), 0);
    end(&cell);
}

/* "Cancelled" is no exception to wait for. */
static void wait_passes_over_the_cancelled(void **state)
{
    struct cell cell;
    uint64_t handles[4];
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 2; i++)
        handles[i] = submit(&cell, HOLD, i, NULL);
    await_begun(&cell, 2);
    handles[2] = submit(&cell, SQUARE, 2, NULL);
    assert_int_equal(prony_group_cancel(cell.group, handles[2], 0), 0);
    assert_int_equal(prony_group_wait(cell.group, handles, 3, PRONY_FIRST_EXCEPTION, 2000000), -ETIMEDOUT);
    open_gate(&cell);
    assert_int_equal(prony_group_wait(cell.group, handles, 3, PRONY_FIRST_EXCEPTION, LONG_NS), 0);
    assert_int_equal(status_of(&cell, handles[1]), 0);
    end(&cell);
}

static void wait_for_all(void **state)
{
    struct cell cell;
    uint64_t handles[500], none;
    begin(&cell, *state, WORKERS, FUTURES);
    for (enum prony_until until = PRONY_FIRST_COMPLETED; until <= PRONY_ALL_COMPLETED;
         until++) /* for nothing: at once */
        assert_int_equal(prony_group_wait(cell.group, handles, 0, until, -1), 0);
    assert_int_equal(prony_group_next(cell.group, &none, -1), -ENODATA);
    for (unsigned i = 0; i < 500; i++)
        handles[i] = submit(&cell, MARK, i, NULL);
    assert_int_equal(prony_group_wait(cell.group, handles, 500, PRONY_ALL_COMPLETED, LONG_NS), 0);
    for (unsigned i = 0; i < 500; i++)
        assert_true(when(&cell, i) > 0);
    (void)submit(&cell, MARK, 500, NULL);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
    assert_true(when(&cell, 500) > 0);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, 0), 0);
    end(&cell);
}

/* Callbacks */

static void callbacks_run_once(void **state)
{
    struct cell cell;
    struct calls calls = {0}, more = {0};
    const struct prony_terms terms = {.done = count_call, .failed = count_call, .context = &calls},
                             good = {.done = count_call, .failed = must_not_be_called, .context = &calls},
                             bad = {.done = must_not_be_called, .failed = count_call, .context = &calls};
    uint64_t handles[6];
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 300; i++)
        (void)submit(&cell, SQUARE, i, i % 2 == 0 ? &terms : &good);
    for (unsigned i = 0; i < 100; i++)
        (void)submit(&cell, REFUSE, i, i % 2 == 0 ? &terms : &bad);
    handles[0] = submit(&cell, SQUARE, 0, &terms);
    assert_int_equal(prony_group_then(cell.group, handles[0], count_call, count_call, &more), 0);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
    assert_int_equal(calls.done, 301);
    assert_int_equal(calls.failed, 100);
    assert_int_equal(calls.fails, 0);
    assert_int_equal(more.done, 1);
    assert_int_equal(prony_group_then(cell.group, handles[0], count_call, NULL, &more), 0); /* over: at once */
    assert_int_equal(more.done, 2);
    assert_int_equal(prony_group_then(cell.group, 77 + (UINT64_C(9) << 32), count_call, NULL, &more), -ENOENT);
    end(&cell);
    assert_int_equal(calls.done + calls.failed + more.done, 403);
}

static void callbacks_run_on_cancel(void **state)
{
    struct cell cell;
    struct calls calls = {0};
    const struct prony_terms terms = {.done = count_call, .failed = count_call, .context = &calls};
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 2; i++)
        (void)submit(&cell, HOLD, i, NULL);
    await_begun(&cell, 2);
    for (unsigned i = 0; i < 200; i++) { /* some in flight, some waiting */
        uint64_t handle = submit(&cell, SQUARE, i, &terms);
        if (i % 2 == 0)
            assert_int_equal(prony_group_cancel(cell.group, handle, 0), 0);
    }
    assert_int_equal(calls.cancelled, 100);
    open_gate(&cell);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
    assert_int_equal(calls.done, 100);
    end(&cell);
    assert_int_equal(calls.done + calls.failed, 200);
}

static void failing_callbacks_lose_nothing(void **state)
{
    struct cell cell;
    struct calls calls = {.fails = 3};
    const struct prony_terms terms = {.done = count_call, .context = &calls};
    struct prony_complaint complaint;
    uint64_t handle;
    unsigned given = 0, told = 0;
    int code;
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 100; i++)
        (void)submit(&cell, SQUARE, i, &terms);
    while ((code = prony_group_next(cell.group, &handle, LONG_NS)) != -ENODATA) {
        assert_true(code == 0 || code == -EPROTO);
        *(code == 0 ? &given : &told) += 1;
    }
    assert_int_equal(given, 100);
    assert_int_equal(calls.done, 100);
    assert_in_range(told, 1, 3);
    prony_group_complaint(cell.group, &complaint);
    assert_int_equal(complaint.code, -EIO);
    assert_int_equal(complaint.count, 3);
    assert_int_equal(status_of(&cell, complaint.handle), 0);
    prony_group_complaint(cell.group, &complaint);
    assert_int_equal(complaint.count, 0);
    end(&cell);
}

static int go_on(void *context, uint64_t handle, const struct prony_future *outcome)
{
    struct calls *calls = context;
    const struct prony_terms terms = {.done = go_on, .context = calls};
    struct prony_task task = task_of(calls->cell, SQUARE, 1, 2);
    uint64_t other;
    (void)outcome;
    calls->code = prony_group_result(calls->cell->group, handle, NULL, LONG_NS);
    if (calls->code == -EDEADLK)
        calls->code = prony_group_next(calls->cell->group, &other, LONG_NS);
    if (++calls->done < 200)
        (void)prony_group_submit(calls->cell->group, &task, &terms, &other, NULL);
    return prony_group_forget(calls->cell->group, handle);
}

static void callbacks_submit_but_do_not_wait(void **state)
{
    struct cell cell;
    struct calls calls = {.cell = &cell};
    const struct prony_terms terms = {.done = go_on, .context = &calls};
    uint64_t handle;
    begin(&cell, *state, WORKERS, FUTURES);
    (void)submit(&cell, SQUARE, 0, &terms);
    assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), -ENODATA); /* each forgot itself */
    assert_int_equal(calls.done, 200);
    assert_int_equal(calls.code, -EDEADLK);
    end(&cell);
}

/* Cancelling, priorities */

static void cancel_takes_back_what_has_not_begun(void **state)
{
    struct cell cell;
    uint64_t held[2], handles[300];
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 2; i++)
        held[i] = submit(&cell, HOLD, i, NULL);
    await_begun(&cell, 2);
    for (unsigned i = 0; i < 300; i++)
        handles[i] = submit(&cell, MARK, 10 + i, NULL);
    for (unsigned i = 0; i < 300; i += 3) {
        assert_int_equal(prony_group_cancel(cell.group, handles[i], 0), 0);
        assert_int_equal(prony_group_cancel(cell.group, handles[i], 0), 0); /* again is harmless */
        assert_int_equal(status_of(&cell, handles[i]), -ECANCELED);
    }
    assert_int_equal(prony_group_cancel(cell.group, held[0], 0), -EALREADY);
    open_gate(&cell);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(status_of(&cell, handles[i]), i % 3 == 0 ? -ECANCELED : 0);
        assert_int_equal(when(&cell, 10 + i) > 0, i % 3 != 0);
    }
    assert_int_equal(status_of(&cell, held[0]), 0);
    end(&cell);
}

static void killing_one_loses_no_other(void **state)
{
    struct cell cell;
    uint64_t victim, handles[200];
    begin(&cell, *state, WORKERS, FUTURES);
    victim = submit(&cell, HOLD, 0, NULL);
    for (unsigned i = 0; i < 200; i++)
        handles[i] = submit(&cell, MARK, 1 + i, NULL);
    await_begun(&cell, 1);
    if (cell.engine->staff == PRONY_PROCESSES) {
        assert_int_equal(prony_group_cancel(cell.group, victim, 1), 0);
        assert_int_equal(status_of(&cell, victim), -ECANCELED);
    } else {
        assert_int_equal(prony_group_cancel(cell.group, victim, 1), -EALREADY); /* threads cannot be killed */
        open_gate(&cell);
    }
    assert_int_equal(prony_group_wait(cell.group, handles, 200, PRONY_ALL_COMPLETED, LONG_NS), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(status_of(&cell, handles[i]), 0);
    end(&cell);
}

static void deaths_reach_their_own_task(void **state)
{
    struct cell cell;
    uint64_t handles[60];
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 60 && cell.engine->staff == PRONY_PROCESSES; i++)
        handles[i] = submit(&cell, i % 20 == 5 ? DIE : SQUARE, i, NULL);
    for (unsigned i = 0; i < 60 && cell.engine->staff == PRONY_PROCESSES; i++)
        assert_int_equal(prony_group_result(cell.group, handles[i], NULL, LONG_NS),
                         i % 20 == 5 ? -(PRONY_DIED + SIGKILL) : 0);
    end(&cell);
}

static void priorities_go_first(void **state)
{
    static const int ranks[] = {0, 1, -3, 5, 0, 5, 1, -3, 9, 0};
    struct cell cell;
    const struct prony_terms first = {.priority = 10};
    begin(&cell, *state, 1, FUTURES);
    (void)submit(&cell, HOLD, 0, &first);
    (void)submit(&cell, MARK, 1, &first); /* the second of the two in flight */
    await_begun(&cell, 1);
    for (int i = 0; i < 10; i++) {
        const struct prony_terms terms = {.priority = ranks[i]};
        (void)submit(&cell, MARK, 10 + i, &terms);
    }
    open_gate(&cell);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
    for (int i = 0; i < 10; i++)
        for (int k = i + 1; k < 10; k++) /* larger first, equal ones in order */
            assert_int_equal(when(&cell, 10 + i) < when(&cell, 10 + k), ranks[i] >= ranks[k]);
    end(&cell);
}

/* Ends */

static void shutdown_takes_no_more(void **state)
{
    struct cell cell;
    struct prony_task task;
    struct prony_error error = {0, ""};
    uint64_t handles[100], other;
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 100; i++)
        handles[i] = submit(&cell, MARK, i, NULL);
    assert_int_equal(prony_group_shutdown(cell.group, 1, 0, LONG_NS), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(status_of(&cell, handles[i]), 0);
    task = task_of(&cell, SQUARE, 0, 1);
    assert_int_equal(prony_group_submit(cell.group, &task, NULL, &other, &error), -EPIPE);
    assert_non_null(strstr(error.text, "shut down"));
    assert_int_equal(prony_group_map(cell.group, &task, 1, NULL, &other, NULL), -EPIPE);
    assert_int_equal(prony_group_apply(cell.group, &task, &other, LONG_NS), -EPIPE);
    end(&cell);
}

static void shutdown_cancels_when_asked(void **state)
{
    struct cell cell;
    uint64_t held[2], handles[100];
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 2; i++)
        held[i] = submit(&cell, HOLD, i, NULL);
    await_begun(&cell, 2);
    for (unsigned i = 0; i < 100; i++)
        handles[i] = submit(&cell, MARK, 10 + i, NULL);
    assert_int_equal(prony_group_shutdown(cell.group, 0, 0, LONG_NS), 0); /* at once */
    assert_int_equal(prony_group_shutdown(cell.group, 1, 1, 2000000), -ETIMEDOUT);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(status_of(&cell, handles[i]), -ECANCELED);
    open_gate(&cell);
    assert_int_equal(prony_group_shutdown(cell.group, 1, 1, LONG_NS), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(status_of(&cell, held[i]), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(when(&cell, 10 + i), 0);
    end(&cell);
}

static void close_ends_in_bounded_time(void **state)
{
    struct cell cell;
    struct calls calls = {0};
    const struct prony_terms terms = {.done = count_call, .failed = count_call, .context = &calls};
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 2; i++)
        (void)submit(&cell, HOLD, i, &terms);
    await_begun(&cell, 2);
    for (unsigned i = 0; i < 200; i++)
        (void)submit(&cell, MARK, 10 + i, &terms);
    assert_int_equal(prony_group_close(cell.group, 1, 2000000), cell.engine->staff == PRONY_THREADS ? -ETIMEDOUT : 0);
    assert_int_equal(calls.cancelled, 202); /* told all the same */
    cell.group = NULL;
    end(&cell);
}

static void close_tells_of_failing_callbacks(void **state)
{
    struct cell cell;
    struct calls calls = {.fails = 1};
    const struct prony_terms terms = {.done = count_call, .context = &calls};
    const struct prony_task square = {.ref = {1, SQUARE}};
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(prony_group_submit(cell.group, &square, &terms, NULL, NULL), 0);
    assert_int_equal(prony_group_close(cell.group, 1, LONG_NS), -EPROTO);
    assert_int_equal(calls.done, 50);
    cell.group = NULL;
    end(&cell);
}

static void one_group_at_a_time(void **state)
{
    struct cell cell;
    struct prony_group *other;
    struct prony_error error = {0, ""};
    begin(&cell, *state, WORKERS, FUTURES);
    assert_int_equal(open_group(&cell, cell.ground.futures, &other, &error), -EBUSY);
    assert_int_equal(prony_group_close(cell.group, 1, LONG_NS), 0);
    assert_int_equal(open_group(&cell, (struct prony_span){cell.ground.futures.off, 0}, &other, &error), -EINVAL);
    assert_int_equal(open_group(&cell, (struct prony_span){cell.ground.futures.off + 1, 640}, &other, &error), -EINVAL);
    assert_int_equal(open_group(&cell, cell.ground.futures, &cell.group, &error), 0);
    as_completed(&cell, 100);
    end(&cell);
}

int main(void)
{
    static const struct CMUnitTest statements[] = {
        cmocka_unit_test(results_and_exceptions),
        cmocka_unit_test(result_waits_no_longer_than_said),
        cmocka_unit_test(apply_returns_the_value),
        cmocka_unit_test(as_completed_gives_each_once),
        cmocka_unit_test(as_completed_gives_what_ended_first),
        cmocka_unit_test(wait_for_the_first),
        cmocka_unit_test(wait_for_the_first_exception),
        cmocka_unit_test(wait_passes_over_the_cancelled),
        cmocka_unit_test(wait_for_all),
        cmocka_unit_test(callbacks_run_once),
        cmocka_unit_test(callbacks_run_on_cancel),
        cmocka_unit_test(failing_callbacks_lose_nothing),
        cmocka_unit_test(callbacks_submit_but_do_not_wait),
        cmocka_unit_test(cancel_takes_back_what_has_not_begun),
        cmocka_unit_test(killing_one_loses_no_other),
        cmocka_unit_test(deaths_reach_their_own_task),
        cmocka_unit_test(priorities_go_first),
        cmocka_unit_test(shutdown_takes_no_more),
        cmocka_unit_test(shutdown_cancels_when_asked),
        cmocka_unit_test(close_ends_in_bounded_time),
        cmocka_unit_test(close_tells_of_failing_callbacks),
        cmocka_unit_test(one_group_at_a_time),
    };
    return of_engines(statements, sizeof statements / sizeof *statements, 0, 5);
}
