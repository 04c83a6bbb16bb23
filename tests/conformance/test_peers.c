/* The engines that are somebody else's runtime, under whole cells: answers, binding, who ran what, order of times. */
#include "tests/conformance/bed.h"

static const char *const peers[] = {"openmp",           "tbb",         "libuv",          "glib",
                                    "python-processes", "python-pool", "python-threads", NULL};

static bool can_run(const char *name)
{
    struct prony_error error = {0, ""};
    const struct prony_engine *engine = prony_find_engine(name, &error);
    if (engine != NULL && (engine->head.probe == NULL || engine->head.probe(&error) == 0))
        return true;
    if (error.code != -ENOTSUP || error.text[0] == '\0')
        fail_msg("%s cannot run, and does not say why: %s", name, error.text);
    print_message("%s cannot run here: %s\n", name, error.text);
    return false;
}

static void check_map(const char *engine)
{
    static const char *const params[] = {"items", "20001", NULL};
    static const int64_t chunks[] = {0, 1000, 30000, 7};
    struct bed bed;
    int64_t items = 0;
    bed_make(&bed, engine, "primes", 2, NULL, params);
    bed_start(&bed);
    for (unsigned i = 0; i < 4; i++) {
        bed.bench.chunk = chunks[i];
        if (bed_sample(&bed) != 0)
            fail_msg("%s, chunk %lld: %s", engine, (long long)chunks[i], bed.error.text);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bed_slots(&bed)[i].lo, -1);
        items += bed_slots(&bed)[i].items;
    }
    assert_int_equal(items, 4 * 20001);
    assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
    bed_free(&bed);
}

static void test_map(void **state)
{
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++)
        if (can_run(peers[i]))
            check_map(peers[i]);
}

static void test_empty_map(void **state)
{
    static const char *const params[] = {"items", "10", NULL};
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++) {
        struct prony_task task = {.ref = {1, 0}, .lo = 5, .hi = 5};
        struct prony_tally tally;
        struct bed bed;
        if (!can_run(peers[i]))
            continue;
        bed_make(&bed, peers[i], "primes", 1, NULL, params);
        bed_start(&bed);
        assert_int_equal(bed.cell.engine->map(bed.bench.handle, &task, 0, &tally, BED_TIMEOUT_NS), 0);
        assert_int_equal(tally.failed, 0);
        assert_int_equal(bed_sample(&bed), 0);
        assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
        bed_free(&bed);
    }
}

/* A runtime that owns its threads may have replaced one meanwhile. */
static bool is_generation(const struct bed *bed, unsigned generation, unsigned life)
{
    bool owns = (bed->cell.engine->head.caps & PRONY_CAP_OWNS_THREADS) != 0;
    return owns ? generation >= life : generation == life;
}

static void check_workers(const char *engine)
{
    enum { N = 3 };
    static const char *const params[] = {"items", "10", NULL};
    struct prony_who who[N] = {{0}};
    struct bed bed;
    bed_make(&bed, engine, "primes", N, NULL, params);
    for (int life = 1; life <= 2; life++) {
        bed_start(&bed);
        assert_non_null(bed.cell.engine->about(bed.bench.handle));
        assert_true(strlen(bed.cell.engine->about(bed.bench.handle)) > 5);
        if (bed.cell.engine->workers != NULL)
            assert_int_equal(bed.cell.engine->workers(bed.bench.handle, who, N), 0);
        for (unsigned i = 0; i < N; i++) {
            const struct prony_slot *slot = &bed_slots(&bed)[i];
            assert_int_equal(slot->pu, bed.pus[i]);
            assert_true(is_generation(&bed, slot->generation, (unsigned)life));
            assert_true(slot->pid > 0 && slot->tid > 0);
            if (bed.cell.engine->workers != NULL)
                assert_true(who[i].tid == slot->tid && who[i].pid == slot->pid && who[i].pu == slot->pu);
            for (unsigned j = 0; j < i; j++)
                assert_int_not_equal(slot->tid, bed_slots(&bed)[j].tid);
        }
        assert_int_equal(bed_sample(&bed), 0);
        assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
    }
    bed_free(&bed);
}

static void test_workers(void **state)
{
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++)
        if (can_run(peers[i]))
            check_workers(peers[i]);
}

static void check_tasks(const char *engine)
{
    static const char *const params[] = {"items", "500", NULL};
    static const char *const times[] = {"times", "1", NULL};
    struct bed bed;
    int64_t items = 0;
    bed_make(&bed, engine, "empty", 2, strcmp(engine, "openmp") == 0 ? times : NULL, params);
    bed_start(&bed);
    for (unsigned sample = 0; sample < 3; sample++) {
        if (bed_sample(&bed) != 0)
            fail_msg("%s: %s", engine, bed.error.text);
        for (uint64_t i = 0; i < 500; i++) {
            const struct prony_future *future = bed_future(&bed, i);
            assert_int_equal(prony_future_phase(future), PRONY_DONE);
            assert_true(future->worker < 2);
            assert_true(is_generation(&bed, future->generation, 1));
            assert_true(future->queued_ns <= future->begun_ns && future->begun_ns <= future->ended_ns &&
                        future->ended_ns <= future->done_ns && future->queued_ns != 0);
        }
    }
    for (unsigned i = 0; i < 2; i++)
        items += bed_slots(&bed)[i].items;
    assert_int_equal(items, 1500);
    assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
    bed_free(&bed);
}

static void test_tasks(void **state)
{
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++)
        if (can_run(peers[i]))
            check_tasks(peers[i]);
}

/* Tasks that were submitted and not waited for: drained, or cancelled, all DONE when the engine is closed. */
static void check_close(const char *engine, int drain)
{
    static const char *const params[] = {"items", "300", NULL};
    struct prony_task tasks[300];
    struct bed bed;
    unsigned done = 0;
    bed_make(&bed, engine, "empty", 2, NULL, params);
    bed_start(&bed);
    memset(tasks, 0, sizeof tasks);
    for (unsigned i = 0; i < 300; i++) {
        tasks[i].ref.workload = 1;
        tasks[i].lo = i;
        tasks[i].hi = i + 1;
        tasks[i].future = bed.offsets[i];
    }
    assert_int_equal(bed.cell.engine->submit(bed.bench.handle, tasks, 300), 0);
    assert_int_equal(bed.cell.engine->wait(bed.bench.handle, bed.offsets, 300, 0, 0), 0);
    assert_int_equal(bed_close(&bed, drain, BED_TIMEOUT_NS), 0);
    for (unsigned i = 0; i < 300; i++) {
        const struct prony_future *future = bed_future(&bed, i);
        assert_int_equal(prony_future_phase(future), PRONY_DONE);
        assert_true(future->status == 0 || (!drain && future->status == -ECANCELED));
        done += future->status == 0 && future->value == i;
    }
    assert_true(!drain || done == 300);
    bed_free(&bed);
}

static void test_close(void **state)
{
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++)
        for (int drain = 0; drain < 2; drain++)
            if (can_run(peers[i]))
                check_close(peers[i], drain);
}

/* A task that is cancelled in time never runs, also when its future is used again at once. */
static void check_cancel(const char *engine)
{
    static const char *const params[] = {"items", "200", NULL};
    struct prony_task task = {.ref = {1, 0}};
    const struct prony_engine *ops;
    struct bed bed;
    bed_make(&bed, engine, "empty", 1, NULL, params);
    ops = bed.cell.engine;
    bed_start(&bed);
    for (unsigned i = 0; i < 200; i++) {
        int cancelled;
        task.future = bed.offsets[i];
        task.lo = i;
        task.hi = i + 1;
        assert_int_equal(ops->submit(bed.bench.handle, &task, 1), 0);
        cancelled = ops->cancel(bed.bench.handle, bed.offsets[i], 0);
        assert_true(cancelled == 0 || cancelled == -EALREADY);
        if (cancelled == 0) {
            assert_int_equal(bed_future(&bed, i)->status, -ECANCELED);
            assert_int_equal(ops->submit(bed.bench.handle, &task, 1), 0);
        }
    }
    assert_int_equal(ops->wait(bed.bench.handle, bed.offsets, 200, 200, BED_TIMEOUT_NS), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_true(bed_future(&bed, i)->status == 0 && bed_future(&bed, i)->value == i);
    assert_int_equal(ops->cancel(bed.bench.handle, bed.offsets[0], 0), -EALREADY);
    assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
    bed_free(&bed);
}

static void test_cancel(void **state)
{
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++)
        if (can_run(peers[i]))
            check_cancel(peers[i]);
}

/* Every built-in workload that the engine can run, with one worker more than it has roles where it is a gang. */
static void check_workload(const char *engine, const struct prony_workload *workload)
{
    const struct prony_engine *ops = prony_find_engine(engine, NULL);
    struct prony_need need = {0};
    struct prony_params params;
    struct bed bed;
    static const char *const few[] = {"items", "10", NULL}; /* on a busy machine each trip may cost a time slice */
    static const char *const less[] = {"items", "20k", NULL};
    const bool line = strcmp(workload->head.name, "line") == 0, sort = strcmp(workload->head.name, "sort") == 0;
    static const uint64_t shapes[] = {PRONY_CAP_MAP, PRONY_CAP_SUBMIT, PRONY_CAP_GANG, 0};
    bool life = workload->shape == PRONY_LIFE;
    bed_set(&params, workload->head.options, NULL);
    if (workload->need(&params, 3, &need, NULL) != 0)
        need.engine_caps = UINT64_MAX;
    prony_params_free(&params);
    need.engine_caps |= shapes[workload->shape];
    if ((ops->head.caps & need.engine_caps) != need.engine_caps || need.bytes > 64u << 20)
        return;
    bed_make(&bed, engine, workload->head.name, 3, NULL, line ? few : sort ? less : NULL);
    if (!life)
        bed_start(&bed);
    for (unsigned i = 0; i < 2; i++)
        if (bed_sample(&bed) != 0)
            fail_msg("%s, %s: %s", engine, workload->head.name, bed.error.text);
    if (bed.channel != NULL)
        assert_int_equal(bed_gang(&bed, PRONY_OWN_DETACH, 0), 0);
    assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
    bed_free(&bed);
    print_message("%s ran %s\n", engine, workload->head.name);
}

static void test_workloads(void **state)
{
    const struct prony_head *head;
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++)
        for (unsigned j = 0; can_run(peers[i]) && (head = prony_registry_at(PRONY_WORKLOAD, j)) != NULL; j++)
            check_workload(peers[i], (const struct prony_workload *)(const void *)head);
}

static void test_options(void **state)
{
    static const char *const engines[][3] = {
        {"openmp", "schedule", "auto"},           {"openmp", "schedule", "static"},
        {"openmp", "schedule", "dynamic"},        {"openmp", "schedule", "guided"},
        {"python-processes", "start", "spawn"},   {"python-processes", "start", "forkserver"},
        {"python-processes", "chunksize", "100"}, {"python-pool", "start", "spawn"},
        {"python-pool", "start", "forkserver"},
    };
    static const char *const params[] = {"items", "3001", NULL};
    (void)state;
    for (unsigned i = 0; i < sizeof engines / sizeof *engines; i++) {
        const char *const options[] = {engines[i][1], engines[i][2], NULL};
        struct bed bed;
        if (!can_run(engines[i][0]))
            continue;
        bed_make(&bed, engines[i][0], "primes", 2, options, params);
        bed_start(&bed);
        for (int64_t chunk = 0; chunk < 200; chunk += 99) {
            bed.bench.chunk = chunk;
            if (bed_sample(&bed) != 0)
                fail_msg("%s %s=%s: %s", engines[i][0], engines[i][1], engines[i][2], bed.error.text);
        }
        assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
        bed_free(&bed);
    }
}

/* The workloads that are also written in Python give the same answers; another one is refused with the reason. */
static void test_python_code(void **state)
{
    static const char *const code[] = {"code", "python", NULL};
    static const struct {
        const char *workload, *params[5];
    } cases[] = {
        {"empty", {"items", "50", NULL}},
        {"square", {"items", "2000", NULL}},
        {"primes", {"items", "2000", NULL}},
        {"matmul", {"size", "24", NULL}},
        {"spin", {"items", "20", "steps", "100", NULL}},
        {"mandelbrot", {"size", "12", "iterations", "60", NULL}},
        {"sort", {"items", "3001", "block", "100", NULL}},
    };
    (void)state;
    for (unsigned i = 0; peers[i] != NULL; i++) {
        struct bed bed;
        if (strncmp(peers[i], "python-", 7) != 0 || !can_run(peers[i]))
            continue;
        for (unsigned j = 0; j < sizeof cases / sizeof *cases; j++) {
            bed_make(&bed, peers[i], cases[j].workload, 2, code, cases[j].params);
            bed_start(&bed);
            assert_non_null(strstr(bed.cell.engine->about(bed.bench.handle), "kernels in Python"));
            for (unsigned sample = 0; sample < 2; sample++)
                if (bed_sample(&bed) != 0)
                    fail_msg("%s, %s in Python: %s", peers[i], cases[j].workload, bed.error.text);
            assert_true(bed_slots(&bed)[0].items + bed_slots(&bed)[1].items > 0);
            assert_int_equal(bed_close(&bed, 1, BED_TIMEOUT_NS), 0);
            bed_free(&bed);
        }
        bed_make(&bed, peers[i], "wordcount", 2, code, NULL);
        assert_int_equal(bed_open(&bed), -ENOTSUP);
        assert_non_null(strstr(bed.error.text, "wordcount is not written in Python"));
        bed.bench.handle = NULL;
        bed_free(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),       cmocka_unit_test(test_empty_map), cmocka_unit_test(test_workers),
        cmocka_unit_test(test_tasks),     cmocka_unit_test(test_close),     cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_workloads), cmocka_unit_test(test_options),   cmocka_unit_test(test_python_code)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
