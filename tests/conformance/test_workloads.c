/* Every workload of the registry: a right sample passes; a missing item, a wrong one, or yesterday's answer does
 * not. */
#include <prony/sync.h>

#include "tests/conformance/rig.h"

/* Small parameters, so that a sanitizer takes no longer than a second over each. */
static const struct {
    const char *workload, *params[7];
} small[] = {
    {"empty", {"items", "50"}},
    {"square", {"items", "1000"}},
    {"spin", {"items", "20", "steps", "77"}},
    {"primes", {"items", "2000"}},
    {"matmul", {"size", "24"}},
    {"fib", {"n", "12", "cutoff", "4"}},
    {"triad", {"size", "16Ki"}},
    {"chase", {"size", "8Ki"}},
    {"peak-flops", {"steps", "100"}},
    {"bandwidth", {"op", "read", "size", "8Ki"}},
    {"wordcount", {"source", "zipf", "size", "100k", "block", "4Ki"}},
    {"mandelbrot", {"size", "24", "iterations", "50"}},
    {"sort", {"items", "1000", "block", "70"}},
    {"line", {"items", "40"}},
    {"pingpong", {"items", "40", "size", "100"}},
    {"oneway", {"items", "40", "size", "100"}},
    {"stream", {"items", "40", "size", "100"}},
    {"burst", {"items", "40", "size", "100", "burst", "7"}},
    {"paced", {"items", "40", "size", "100", "rate", "100k"}},
    {"fan-in", {"items", "20", "size", "100"}},
    {"fan-out", {"items", "20", "size", "100"}},
    {"bidirectional", {"items", "40", "size", "9000"}},
    {"lock", {"items", "300", "hold", "20"}},
    {"semaphore", {"items", "300", "places", "2"}},
    {"event", {"items", "40"}},
    {"condition", {"items", "40"}},
    {"barrier", {"items", "40"}},
    {"queue", {"items", "100", "size", "100", "capacity", "3"}},
    {"value", {"items", "300", "sharing", "beside"}},
    {"process", {"items", "10"}},
    {"echo", {"items", "200", "connections", "2", "depth", "3"}},
    {NULL, {NULL}},
};

static const char *const *params_of(const char *name)
{
    for (unsigned i = 0; small[i].workload != NULL; i++)
        if (strcmp(small[i].workload, name) == 0)
            return small[i].params;
    return NULL;
}

static void each(void (*check)(const struct prony_workload *))
{
    const struct prony_head *head;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_WORKLOAD, i)) != NULL; i++)
        check((const struct prony_workload *)(const void *)head);
}

static void open_small(struct rig *rig, const struct prony_workload *workload, unsigned workers)
{
    rig_open(rig, workload, &rig_engine, workers, params_of(workload->head.name), NULL);
}

static void check_form(const struct prony_workload *workload)
{
    struct prony_params params;
    struct prony_error error;
    struct prony_need need = {0};
    const char *name = workload->head.name;
    assert_int_equal(workload->head.abi, PRONY_ABI);
    assert_int_equal(workload->head.size, sizeof *workload);
    assert_true(strlen(workload->head.summary) > 10 && strchr(workload->head.summary, '\n') == NULL);
    assert_non_null(workload->unit);
    assert_non_null(workload->need);
    assert_non_null(workload->verify);
    assert_non_null(workload->poison);
    assert_non_null(workload->kernels[0].name);
    for (const struct prony_option *option = workload->head.options; option != NULL && option->name != NULL; option++)
        if (option->help == NULL || strlen(option->help) < 5)
            fail_msg("%s: option %s has no help", name, option->name);
    assert_int_equal(prony_params_init(&params, workload->head.options, &error), 0);
    assert_int_equal(workload->need(&params, 2, &need, &error), 0);
    if (need.items < 1 || need.bytes > 200u << 20)
        fail_msg("%s: by default %lld items in %llu bytes", name, (long long)need.items,
                 (unsigned long long)need.bytes);
    prony_params_free(&params);
}

static void check_right(const struct prony_workload *workload)
{
    for (unsigned workers = 1; workers <= 5; workers += 2)
        for (int apart = 0; apart <= 1; apart++) {
            struct rig rig;
            unsigned some = workload->shape == PRONY_GANG && workers == 1 ? 2 : workers;
            open_small(&rig, workload, some);
            rig.mood.apart = apart;
            for (rig.bench.repeats = 1; rig.bench.repeats <= 3; rig.bench.repeats++)
                if (rig_sample(&rig) != 0)
                    fail_msg("%s: %u workers, apart %d, repeats %lld: %s", workload->head.name, some, apart,
                             (long long)rig.bench.repeats, rig.error.text);
            rig_close(&rig);
        }
}

/* 130 workers: nothing in a workload may have a place for each of a fixed number of them. */
static void check_many(const struct prony_workload *workload)
{
    struct rig rig;
    open_small(&rig, workload, 130);
    if (rig_sample(&rig) != 0)
        fail_msg("%s: 130 workers: %s", workload->head.name, rig.error.text);
    rig_close(&rig);
}

static void check_yesterday(const struct prony_workload *workload)
{
    struct rig rig;
    open_small(&rig, workload, 2);
    assert_int_equal(rig_sample(&rig), 0);
    assert_int_equal(rig_verify(&rig), 0);
    workload->poison(&rig.bench);
    if (rig_verify(&rig) == 0)
        fail_msg("%s: a sample that did nothing passes", workload->head.name);
    assert_int_equal(rig.error.code, -EBADMSG);
    assert_int_equal(rig_sample(&rig), 0);
    rig_close(&rig);
}

/* The engine leaves the last item undone and says nothing of it. */
static void check_missing(const struct prony_workload *workload)
{
    struct rig rig;
    open_small(&rig, workload, 2);
    assert_int_equal(rig_sample(&rig), 0);
    rig.mood.forget = 1;
    if (workload->shape == PRONY_LIFE) { /* one life less than asked for */
        workload->poison(&rig.bench);
        assert_int_equal(rig_drive(&rig), 0);
        rig.bench.repeats = 2;
        assert_int_not_equal(rig_verify(&rig), 0);
    } else if (rig_sample(&rig) == 0) {
        fail_msg("%s: a missing item passes", workload->head.name);
    }
    rig_close(&rig);
}

/* The bytes at the start of the data in which a primitive keeps its own state, or a workload what is no answer. */
static uint64_t inner_bytes(const struct rig *rig)
{
    const char *name = rig->workload->head.name;
    if (strcmp(name, "barrier") == 0 || strcmp(name, "queue") == 0)
        return rig->need.bytes - rig->setup.workers * (uint64_t)LINE_BYTES;
    if (strcmp(name, "condition") == 0)
        return sizeof(struct prony_rlock) + sizeof(struct prony_condition);
    if (strcmp(name, "sort") == 0) /* its rounds use two places in turn */
        return rig->need.bytes / 3 * 2;
    return strcmp(name, "value") == 0 ? rig->need.bytes / 2 : 0;
}

/* Is this byte of the data part of the answer? In wordcount the lists of the blocks are not, and a part's most frequent
 * word matters for one part only. */
static int of_answer(const struct rig *rig, uint64_t off)
{
    uint64_t parts = rig->need.bytes - 64 * (uint64_t)LINE_BYTES;
    if (off < inner_bytes(rig))
        return 0;
    return strcmp(rig->workload->head.name, "wordcount") != 0 || (off >= parts && (off - parts) % LINE_BYTES < 24);
}

/* Outputs are what poison changes. Flips a bit in many of their bytes, one at a time. */
static unsigned flip_all(struct rig *rig, struct prony_span span, int data)
{
    unsigned char *bytes = rig->setup.base + span.off, *right = malloc(span.len + 1), *poisoned = malloc(span.len + 1);
    unsigned flips = 0, step;
    assert_true(right != NULL && poisoned != NULL);
    memcpy(right, bytes, span.len);
    rig->workload->poison(&rig->bench);
    memcpy(poisoned, bytes, span.len);
    memcpy(bytes, right, span.len);
    for (uint64_t i = 0; i < span.len; i++)
        flips += right[i] != poisoned[i] && (!data || of_answer(rig, i));
    step = flips / 200 + 1;
    flips = 0;
    for (uint64_t i = 0; i < span.len; i++) {
        if (right[i] == poisoned[i] || (data && !of_answer(rig, i)) || flips++ % step != 0)
            continue;
        bytes[i] ^= 1;
        if (rig_verify(rig) == 0)
            fail_msg("%s: a wrong byte %llu of %llu passes", rig->workload->head.name, (unsigned long long)i,
                     (unsigned long long)span.len);
        bytes[i] ^= 1;
    }
    free(right);
    free(poisoned);
    return flips;
}

static void check_wrong(const struct prony_workload *workload)
{
    struct rig rig;
    unsigned flips = 0;
    open_small(&rig, workload, 2);
    assert_int_equal(rig_sample(&rig), 0);
    if (rig.bench.data.len > 0)
        flips += flip_all(&rig, rig.bench.data, 1);
    assert_int_equal(rig_sample(&rig), 0);
    if (rig.bench.futures.len > 0)
        flips += flip_all(&rig, rig.bench.futures, 0);
    assert_int_equal(rig_sample(&rig), 0);
    if (flips == 0)
        fail_msg("%s: poison changes nothing", workload->head.name);
    rig_close(&rig);
}

static void form(void **state)
{
    (void)state;
    each(check_form);
}

static void right_answers_pass(void **state)
{
    (void)state;
    each(check_right);
}

static void many_workers_pass(void **state)
{
    (void)state;
    each(check_many);
}

static void yesterdays_answer_fails(void **state)
{
    (void)state;
    each(check_yesterday);
}

static void a_missing_item_fails(void **state)
{
    (void)state;
    each(check_missing);
}

static void a_wrong_item_fails(void **state)
{
    (void)state;
    each(check_wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),
        cmocka_unit_test(right_answers_pass),
        cmocka_unit_test(many_workers_pass),
        cmocka_unit_test(yesterdays_answer_fails),
        cmocka_unit_test(a_missing_item_fails),
        cmocka_unit_test(a_wrong_item_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
