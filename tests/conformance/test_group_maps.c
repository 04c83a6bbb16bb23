/* Limits, maps and iterations of groups: what Python 3.11's documentation says of Pool.map_async, starmap_async, imap,
 * imap_unordered and Executor.map, and what becomes of tasks that pass their limit. */
#include "groups.h"

#define WORKERS 2u

/* Deadlines */

static void late_before_they_began(void **state)
{
    struct cell cell;
    struct calls calls = {0};
    const struct prony_terms terms = {.limit_ns = 3000000, .failed = count_call, .context = &calls};
    uint64_t handles[200];
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < 2; i++)
        (void)submit(&cell, HOLD, i, NULL);
    await_begun(&cell, 2);
    for (unsigned i = 0; i < 200; i++)
        handles[i] = submit(&cell, MARK, 10 + i, i % 2 == 0 ? &terms : NULL);
    for (unsigned i = 0; i < 200; i += 2)
        assert_int_equal(prony_group_result(cell.group, handles[i], NULL, LONG_NS), -ETIMEDOUT);
    open_gate(&cell);
    for (unsigned i = 1; i < 200; i += 2)
        assert_int_equal(prony_group_result(cell.group, handles[i], NULL, LONG_NS), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(when(&cell, 10 + i) > 0, i % 2 != 0);
    assert_int_equal(calls.late, 100);
    end(&cell);
}

static void late_while_they_run(void **state)
{
    struct cell cell;
    struct calls calls = {0};
    const struct prony_terms terms = {
        .limit_ns = 20000000, .done = must_not_be_called, .failed = count_call, .context = &calls};
    uint64_t slow, handles[300];
    begin(&cell, *state, WORKERS, FUTURES);
    slow = submit(&cell, HOLD, 0, &terms);
    for (unsigned i = 0; i < 300; i++)
        handles[i] = submit(&cell, MARK, 1 + i, NULL);
    assert_int_equal(prony_group_result(cell.group, slow, NULL, LONG_NS), -ETIMEDOUT);
    assert_int_equal(calls.late, 1);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(status_of(&cell, handles[i]), 0);
    assert_int_equal(prony_group_result(cell.group, submit(&cell, SQUARE, 5, NULL), NULL, LONG_NS), 0);
    if (__atomic_load_n(&board(&cell)->begun, __ATOMIC_SEQ_CST) == 1)
        assert_int_equal(prony_group_stuck(cell.group), cell.engine->staff == PRONY_THREADS ? 1 : 0);
    open_gate(&cell);
    await_unstuck(&cell);
    end(&cell);
    assert_int_equal(calls.late, 1);
    assert_int_equal(calls.fails, 0);
}

static void all_workers_stuck(void **state)
{
    struct cell cell;
    struct prony_task task;
    struct prony_error error = {0, ""};
    uint64_t handle, left;
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < WORKERS; i++)
        (void)submit(&cell, HOLD, i, NULL);
    await_begun(&cell, WORKERS);
    left = submit(&cell, MARK, 10, NULL);
    assert_int_equal(prony_group_close(cell.group, 0, 0), cell.engine->staff == PRONY_THREADS ? -ETIMEDOUT : 0);
    cell.group = NULL;
    open_gate(&cell);
    end(&cell);

    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned i = 0; i < WORKERS; i++) /* let them begin before their time is up */
        (void)submit(&cell, HOLD, i, NULL);
    await_begun(&cell, WORKERS);
    open_gate(&cell);
    assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
    __atomic_store_n(&board(&cell)->gate, 0, __ATOMIC_SEQ_CST);
    for (int64_t tries = 1; tries < 1000 && prony_group_stuck(cell.group) < WORKERS; tries++) {
        const struct prony_terms terms = {.limit_ns = tries * 1000000}; /* it must begin before */
        handle = submit(&cell, HOLD, 20, &terms);
        assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), -ETIMEDOUT);
        if (cell.engine->staff == PRONY_PROCESSES)
            break;
    }
    task = task_of(&cell, SQUARE, 3, 4);
    if (cell.engine->staff == PRONY_THREADS) {
        assert_int_equal(prony_group_submit(cell.group, &task, NULL, &left, &error), -EBUSY);
        assert_non_null(strstr(error.text, "stuck"));
        open_gate(&cell);
        await_unstuck(&cell);
    }
    assert_int_equal(prony_group_apply(cell.group, &task, &left, LONG_NS), 0);
    assert_int_equal(left, 9);
    end(&cell);
}

/* Maps */

static void map_calls_back_once(void **state)
{
    static const int64_t chunks[] = {PRONY_CHUNK_AUTO, PRONY_CHUNK_GUIDED, 1, 7, 10000, 1000000};
    struct cell cell;
    struct prony_tally tally;
    uint64_t handle;
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned k = 0; k < sizeof chunks / sizeof *chunks; k++) {
        struct calls calls = {0};
        const struct prony_terms terms = {.done = count_call, .failed = must_not_be_called, .context = &calls};
        const struct prony_task task = task_of(&cell, MARK, 0, 10000);
        struct prony_future outcome;
        memset(board(&cell)->when, 0, sizeof board(&cell)->when);
        board(&cell)->clock = 0;
        assert_int_equal(prony_group_map(cell.group, &task, chunks[k], &terms, &handle, NULL), 0);
        assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), 0);
        for (unsigned i = 0; i < 10000; i++)
            assert_true(when(&cell, i) > 0);
        assert_int_equal(board(&cell)->clock, 10000);
        assert_int_equal(calls.done, 1);
        assert_int_equal(calls.fails, 0);
        assert_int_equal(prony_group_tally(cell.group, handle, &tally), 0);
        assert_int_equal(tally.failed, 0);
        assert_int_equal(prony_group_outcome(cell.group, handle, &outcome), 0); /* its value: in how many parts */
        if (chunks[k] > 0)
            assert_int_equal(outcome.value, (10000 + chunks[k] - 1) / chunks[k]);
        else
            assert_in_range(outcome.value, 2 * WORKERS, 5000);
    }
    end(&cell);
}

/* Auto is never one by one, but where there are hardly more items than workers. */
static void auto_chunks_are_no_single_items(void **state)
{
    static const int64_t sizes[] = {1, 4 * WORKERS, 4 * WORKERS + 1, 16 * WORKERS, 17 * WORKERS, 40 * WORKERS};
    static const uint64_t parts[] = {
        1, 4 * WORKERS, 2 * WORKERS + 1, 8 * WORKERS, (17 * WORKERS + 1) / 2, (40 * WORKERS + 2) / 3};
    struct cell cell;
    begin(&cell, *state, WORKERS, FUTURES);
    for (unsigned k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const struct prony_task task = task_of(&cell, MARK, 0, sizes[k]);
        uint64_t handle;
        struct prony_future outcome;
        assert_int_equal(prony_group_map(cell.group, &task, PRONY_CHUNK_AUTO, NULL, &handle, NULL), 0);
        assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), 0);
        assert_int_equal(prony_group_outcome(cell.group, handle, &outcome), 0);
        assert_int_equal(outcome.value, parts[k]);
    }
    end(&cell);
}

static void map_fails_with_the_first_by_range(void **state)
{
    struct cell cell;
    struct calls calls = {0};
    const struct prony_terms terms = {.done = must_not_be_called, .failed = count_call, .context = &calls};
    struct prony_task task;
    struct prony_tally tally;
    struct prony_error error = {0, ""};
    const int64_t bad = 4321 + 1;
    uint64_t handle;
    begin(&cell, *state, WORKERS, FUTURES);
    task = task_of(&cell, MARK, 0, 10000);
    memcpy(task.arg, &bad, sizeof bad);
    assert_int_equal(prony_group_map(cell.group, &task, 10, &terms, &handle, NULL), 0);
    assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), -ERANGE);
    assert_int_equal(prony_group_tally(cell.group, handle, &tally), 0);
    assert_int_equal(tally.failed, 1);
    assert_int_equal(tally.first_lo, 4320);
    assert_int_equal(tally.first_hi, 4330);
    assert_int_equal(board(&cell)->clock, 9991);
    assert_int_equal(calls.failed, 1);
    task.hi = 0; /* nothing to do is done */
    assert_int_equal(prony_group_map(cell.group, &task, 10, NULL, &handle, NULL), 0);
    assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), 0);
    assert_int_equal(prony_group_map(cell.group, &task, -2, NULL, &handle, &error), -EINVAL);
    assert_non_null(strstr(error.text, "chunk"));
    end(&cell);
}

static void starmap_gives_each_its_arguments(void **state)
{
    static const char *const words[] = {"a", "quick", "brown", "", "fox"};
    struct cell cell;
    struct calls calls = {0};
    const struct prony_terms terms = {.done = count_call, .failed = count_call, .context = &calls};
    struct prony_task tasks[300];
    struct prony_tally tally;
    uint64_t handle;
    begin(&cell, *state, WORKERS, FUTURES);
    for (int i = 0; i < 300; i++)
        tasks[i] = task_of(&cell, MARK, 300 - i, 301 - i);
    assert_int_equal(prony_group_starmap(cell.group, tasks, 300, &terms, &handle, NULL), 0);
    assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), 0);
    for (int i = 1; i <= 300; i++)
        assert_true(when(&cell, i) > 0);
    assert_int_equal(calls.done, 1);
    for (unsigned i = 0; i < 5; i++) {
        tasks[i] = task_of(&cell, LENGTH, i, i + 1);
        memcpy(tasks[i].arg, words[i], strlen(words[i]) + 1);
    }
    tasks[3] = task_of(&cell, REFUSE, 3, 4);
    assert_int_equal(prony_group_starmap(cell.group, tasks, 5, &terms, &handle, NULL), 0);
    assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), -EDOM);
    assert_int_equal(prony_group_tally(cell.group, handle, &tally), 0);
    assert_int_equal(tally.first_lo, 3);
    assert_int_equal(calls.failed, 1);
    end(&cell);
}

static void a_late_map_is_stopped(void **state)
{
    struct cell cell;
    const struct prony_terms terms = {.limit_ns = 20000000};
    struct prony_task task;
    uint64_t handle;
    begin(&cell, *state, WORKERS, FUTURES);
    task = task_of(&cell, HOLD, 0, 10000);
    assert_int_equal(prony_group_map(cell.group, &task, 1, &terms, &handle, NULL), 0);
    assert_int_equal(prony_group_result(cell.group, handle, NULL, LONG_NS), -ETIMEDOUT);
    open_gate(&cell);
    await_unstuck(&cell);
    task = task_of(&cell, SQUARE, 4, 5);
    assert_int_equal(prony_group_apply(cell.group, &task, &handle, LONG_NS), 0);
    assert_int_equal(handle, 16);
    end(&cell);
}

/* Iterations */

struct stream {
    const struct cell *cell;
    int64_t at, end; /* end < 0: none */
    uint16_t kernel;
    int code;
    int slow_first;
};

static int next_of_stream(void *context, struct prony_task *task)
{
    struct stream *stream = context;
    if (stream->at == stream->end)
        return stream->code;
    *task = task_of(stream->cell, stream->slow_first && stream->at == 0 ? HOLD : stream->kernel, stream->at,
                    stream->at + 1);
    stream->at++;
    return 1;
}

static void imap_keeps_the_order(void **state)
{
    struct cell cell;
    struct stream stream = {&cell, 0, 500, SQUARE, 0, 1};
    const struct prony_source source = {next_of_stream, &stream};
    struct prony_iteration *iteration;
    struct prony_future outcome;
    struct prony_task task;
    begin(&cell, *state, WORKERS, FUTURES);
    assert_int_equal(prony_iterate_open(cell.group, &source, 0, PRONY_IN_ORDER, -1, &iteration), 0);
    assert_int_equal(prony_iterate_next(iteration, &task, &outcome, 2000000), -ETIMEDOUT);
    open_gate(&cell);
    for (int64_t i = 0; i < 500; i++) {
        assert_int_equal(prony_iterate_next(iteration, &task, &outcome, LONG_NS), 0);
        assert_int_equal(task.lo, i);
        assert_int_equal(outcome.status, 0);
        if (i > 0)
            assert_int_equal(outcome.value, i * i);
    }
    assert_int_equal(prony_iterate_next(iteration, &task, &outcome, LONG_NS), -ENODATA);
    prony_iterate_close(iteration);
    end(&cell);
}

static void imap_unordered_gives_each_once(void **state)
{
    struct cell cell;
    struct stream stream = {&cell, 0, 500, SQUARE, 0, 1};
    const struct prony_source source = {next_of_stream, &stream};
    struct prony_iteration *iteration;
    struct prony_future outcome;
    struct prony_task task;
    unsigned char seen[500] = {0};
    begin(&cell, *state, WORKERS, FUTURES);
    assert_int_equal(prony_iterate_open(cell.group, &source, 10, PRONY_AS_ENDED, -1, &iteration), 0);
    for (unsigned i = 0; i < 500; i++) {
        if (i == 499)
            open_gate(&cell); /* the first one comes last, and held nobody up */
        assert_int_equal(prony_iterate_next(iteration, &task, &outcome, LONG_NS), 0);
        assert_int_equal(outcome.status, 0);
        assert_int_equal(seen[task.lo]++, 0);
        assert_int_equal(task.lo == 0, i == 499);
    }
    assert_int_equal(prony_iterate_next(iteration, NULL, NULL, LONG_NS), -ENODATA);
    prony_iterate_close(iteration);
    end(&cell);
}

static void endless_iterators_look_ahead_by_a_window(void **state)
{
    for (int order = PRONY_IN_ORDER; order <= PRONY_AS_ENDED; order++) {
        struct cell cell;
        struct stream stream = {&cell, 0, -1, SQUARE, 0, 0};
        const struct prony_source source = {next_of_stream, &stream};
        struct prony_iteration *iteration;
        uint64_t value = 0;
        begin(&cell, *state, WORKERS, FUTURES);
        assert_int_equal(prony_iterate_open(cell.group, &source, 7, (enum prony_order)order, -1, &iteration), 0);
        for (int64_t i = 0; i < 2000; i++) {
            struct prony_task task;
            assert_in_range(stream.at, i, i + 7);
            if (i % 100 == 50) { /* other tasks go on beside it */
                task = task_of(&cell, SQUARE, i, i + 1);
                assert_int_equal(prony_group_apply(cell.group, &task, &value, LONG_NS), 0);
                assert_int_equal(value, i * i);
            }
            assert_int_equal(prony_iterate_next(iteration, &task, NULL, LONG_NS), 0);
        }
        prony_iterate_close(iteration);
        assert_int_equal(prony_group_wait(cell.group, NULL, 0, PRONY_ALL_COMPLETED, LONG_NS), 0);
        assert_in_range(stream.at, 2000, 2007);
        end(&cell);
    }
}

static void iterators_and_their_tasks_may_fail(void **state)
{
    struct cell cell;
    struct stream stream = {&cell, 0, 20, REFUSE, -EBADF, 0};
    const struct prony_source source = {next_of_stream, &stream};
    struct prony_iteration *iteration;
    struct prony_future outcome;
    begin(&cell, *state, WORKERS, FUTURES);
    assert_int_equal(prony_iterate_open(cell.group, &source, 3, PRONY_IN_ORDER, -1, &iteration), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(prony_iterate_next(iteration, NULL, &outcome, LONG_NS), 0);
        assert_int_equal(outcome.status, i % 2 == 0 ? -EINVAL : -EDOM);
    }
    assert_int_equal(prony_iterate_next(iteration, NULL, &outcome, LONG_NS), -EBADF);
    assert_int_equal(prony_iterate_next(iteration, NULL, &outcome, LONG_NS), -ENODATA);
    prony_iterate_close(iteration);
    end(&cell);
}

/* Executor.map(timeout): counted from the call, for what is not there then. */
static void map_of_results_has_a_limit(void **state)
{
    struct cell cell;
    struct stream stream = {&cell, 0, 4, SQUARE, 0, 1};
    const struct prony_source source = {next_of_stream, &stream};
    struct prony_iteration *iteration;
    begin(&cell, *state, WORKERS, FUTURES);
    assert_int_equal(prony_iterate_open(cell.group, &source, 0, PRONY_IN_ORDER, 5000000, &iteration), 0);
    assert_int_equal(prony_iterate_next(iteration, NULL, NULL, -1), -ETIMEDOUT);
    assert_int_equal(prony_iterate_next(iteration, NULL, NULL, -1), -ETIMEDOUT);
    open_gate(&cell);
    prony_iterate_close(iteration);
    end(&cell);
}

int main(void)
{
    static const struct CMUnitTest statements[] = {
        cmocka_unit_test(late_before_they_began),
        cmocka_unit_test(late_while_they_run),
        cmocka_unit_test(all_workers_stuck),
        cmocka_unit_test(map_calls_back_once),
        cmocka_unit_test(auto_chunks_are_no_single_items),
        cmocka_unit_test(map_fails_with_the_first_by_range),
        cmocka_unit_test(starmap_gives_each_its_arguments),
        cmocka_unit_test(a_late_map_is_stopped),
        cmocka_unit_test(imap_keeps_the_order),
        cmocka_unit_test(imap_unordered_gives_each_once),
        cmocka_unit_test(endless_iterators_look_ahead_by_a_window),
        cmocka_unit_test(iterators_and_their_tasks_may_fail),
        cmocka_unit_test(map_of_results_has_a_limit),
    };
    return of_engines(statements, sizeof statements / sizeof *statements, 0, 5);
}
