/* Workloads against answers from elsewhere: tables, small cases by hand, a second method. */
#include "tests/conformance/rig.h"
#include "workloads/corpus.h"

static void open_named(struct rig *rig, const char *name, unsigned workers, const char *const *params)
{
    const struct prony_workload *workload = prony_find_workload(name, NULL);
    assert_non_null(workload);
    rig_open(rig, workload, &rig_engine, workers, params, NULL);
}

static void squares(void **state)
{
    static const char *const params[] = {"list", "1+2+3+4+-5", NULL};
    static const int64_t right[] = {1, 4, 9, 16, 25};
    struct rig rig;
    (void)state;
    open_named(&rig, "square", 4, params);
    assert_int_equal(rig.need.items, 5);
    rig.bench.chunk = 1;
    assert_int_equal(rig_sample(&rig), 0);
    assert_memory_equal(data_at(&rig.bench, sizeof right), right, sizeof right);
    rig_close(&rig);
}

static void bad_lists_are_refused(void **state)
{
    static const char *const lists[] = {"1+", "a", "1,2", "+", "1++2", "3037000500", "99999999999999999999", NULL};
    const struct prony_workload *square = prony_find_workload("square", NULL);
    (void)state;
    for (unsigned i = 0; lists[i] != NULL; i++) {
        struct prony_params params;
        struct prony_need need = {0};
        struct prony_error error = {0, ""};
        int code;
        assert_int_equal(prony_params_init(&params, square->head.options, &error), 0);
        assert_int_equal(prony_params_set(&params, "list", lists[i], &error), 0);
        code = square->need(&params, 2, &need, &error);
        if (strcmp(lists[i], "1++2") == 0) /* a number may have a sign */
            assert_int_equal(code, 0);
        else
            assert_int_equal(code, -EINVAL);
        prony_params_free(&params);
    }
}

/* 168 primes below 1000, 1229 below 10000. */
static void primes(void **state)
{
    static const char *const params[] = {"items", "10000", NULL};
    const unsigned char *out;
    struct rig rig;
    int thousand = 0, all = 0;
    (void)state;
    open_named(&rig, "primes", 3, params);
    assert_int_equal(rig_sample(&rig), 0);
    out = data_at(&rig.bench, 0);
    for (int i = 0; i < 10000; i++) {
        thousand += i < 1000 && out[i] == 1;
        all += out[i] == 1;
    }
    assert_int_equal(thousand, 168);
    assert_int_equal(all, 1229);
    rig_close(&rig);
}

/* F(20) = 6765 by 21891 calls, whatever the cutoff. */
static void fibonacci(void **state)
{
    static const char *const cutoffs[] = {"1", "2", "7", "20", "45"};
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        const char *const params[] = {"n", "20", "cutoff", cutoffs[i], NULL};
        struct rig rig;
        open_named(&rig, "fib", 2, params);
        assert_int_equal(rig.need.items, 21891);
        assert_int_equal(rig_sample(&rig), 0);
        assert_int_equal(future_at(&rig.bench, 0)->value, (uint64_t)21891 << 32 | 6765);
        rig_close(&rig);
    }
}

/* A product by the definition, in another order than kernel and reference. */
static void products(void **state)
{
    static const char *const params[] = {"size", "9", NULL};
    struct rig rig;
    const double *a, *b, *c;
    (void)state;
    open_named(&rig, "matmul", 2, params);
    assert_int_equal(rig_sample(&rig), 0);
    a = data_at(&rig.bench, 0);
    b = a + 81;
    c = b + 81;
    for (int j = 8; j >= 0; j--)
        for (int i = 8; i >= 0; i--) {
            double sum = 0;
            for (int k = 8; k >= 0; k--)
                sum += a[i * 9 + k] * b[k * 9 + j];
            assert_true(sum == c[i * 9 + j]);
        }
    rig_close(&rig);
}

/* The picture drawn once more, in doubles and in other directions: apart from a few points close to the edge of the set,
 * where a rounding decides, the counts are the same, and what is in the set covers half of 1.5066. */
static void mandelbrots(void **state)
{
    static const char *const params[] = {"size", "100", "iterations", "500", NULL};
    const uint32_t *out;
    struct rig rig;
    int others = 0, inside = 0;
    (void)state;
    open_named(&rig, "mandelbrot", 3, params);
    rig.bench.chunk = 1;
    assert_int_equal(rig.need.items, 100);
    assert_int_equal(rig_sample(&rig), 0);
    out = data_at(&rig.bench, 0);
    for (int row = 99; row >= 0; row--)
        for (int column = 199; column >= 0; column--) {
            const double cx = -2 + column / 80.0, cy = 1.25 - row / 80.0;
            double x = 0, y = 0;
            uint32_t n = 0;
            for (; n < 500 && x * x + y * y <= 4; n++) {
                const double next = x * x - y * y + cx;
                y = 2 * x * y + cy;
                x = next;
            }
            others += n != out[row * 200 + column];
            inside += out[row * 200 + column] == 500;
        }
    assert_in_range(others, 0, 60);
    assert_in_range(inside, 20000 * 0.2275, 20000 * 0.2545); /* 1.5066 / 2 of 3.125, and the points that leave late */
    rig_close(&rig);
}

static int by_size(const void *one, const void *other)
{
    const uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

/* Numbers of keys and blocks that divide each other or do not, by rounds and by recursion, against qsort; then a key that
 * came twice. */
static void sorts(void **state)
{
    static const char *const items[] = {"1", "2", "7", "24", "25", "64", "1000", "4096", "4097", "30011"};
    static const char *const blocks[] = {"2", "7", "64", "1000", "100000"};
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        const char *const by = i < 50 ? "map" : "tasks";
        const char *const params[] = {"items", items[i % 10], "block", blocks[i / 10 % 5], "by", by, NULL};
        const uint64_t n = strtoull(items[i % 10], NULL, 10), bytes = n * sizeof(uint64_t);
        uint64_t *right = malloc(bytes);
        struct rig rig;
        open_named(&rig, "sort", 3, params);
        assert_int_equal(rig.need.engine_caps & PRONY_CAP_NEST, i < 50 ? 0 : PRONY_CAP_NEST);
        rig.bench.repeats = 2;
        assert_int_equal(rig_sample(&rig), 0);
        memcpy(right, data_at(&rig.bench, 0), bytes);
        qsort(right, n, sizeof *right, by_size);
        assert_memory_equal(data_at(&rig.bench, 2 * bytes), right, bytes);
        if (n > 1) {
            uint64_t *sorted = data_at(&rig.bench, 2 * bytes);
            sorted[1] = sorted[0];
            assert_int_equal(rig_verify(&rig), -EBADMSG);
        }
        rig_close(&rig);
        free(right);
    }
}

/* The generator step by step. */
static void spins(void **state)
{
    static const char *const counts[] = {"1", "2", "3", "1000", "65537"};
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        const char *const params[] = {"items", "3", "steps", counts[i], NULL};
        struct rig rig;
        open_named(&rig, "spin", 2, params);
        assert_int_equal(rig_sample(&rig), 0);
        for (uint64_t task = 0; task < 3; task++) {
            uint64_t x = mix64(rig.bench.seed + task);
            for (long step = 0; step < strtol(counts[i], NULL, 10); step++)
                x = x * 6364136223846793005u + 1442695040888963407u;
            assert_int_equal(future_at(&rig.bench, task)->value, x);
        }
        rig_close(&rig);
    }
}

/* One cycle through every line, in every worker's own region. */
static void chases(void **state)
{
    static const char *const params[] = {"size", "64Ki", NULL};
    struct rig rig;
    (void)state;
    open_named(&rig, "chase", 3, params);
    assert_int_equal(rig.need.items, 1023);
    for (uint64_t worker = 0; worker < 3; worker++) {
        const uint64_t *region = data_at(&rig.bench, worker * 65536);
        uint64_t at = 0, steps = 0;
        do {
            assert_true(at % 8 == 0 && at < 8192);
            at = region[at];
            steps++;
        } while (at != 0 && steps <= 1024);
        assert_int_equal(steps, 1024);
    }
    assert_int_equal(rig_sample(&rig), 0);
    rig_close(&rig);
}

/* A lock that lets everyone in loses turns or not, as luck has it; a count that is one short must not pass. */
static void every_lock_counts(void **state)
{
    static const char *const kinds[] = {"prony", "pthread", "spin"};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        const char *const params[] = {"kind", kinds[i % 3], "items", "1001", "padded", i < 3 ? "yes" : "no", NULL};
        struct rig rig;
        open_named(&rig, "lock", 3, params);
        for (rig.mood.apart = 0; rig.mood.apart <= 1; rig.mood.apart++) {
            assert_int_equal(rig_sample(&rig), 0);
            --*(int64_t *)data_at(&rig.bench, i < 3 ? 128 : 56);
            assert_int_equal(rig_verify(&rig), -EBADMSG);
        }
        rig_close(&rig);
    }
}

/* Messages of every odd size, under both waits; role 0 has one time a trip. */
static void pingpongs(void **state)
{
    static const char *const sizes[] = {"0", "1", "7", "8", "63", "65", "70001"};
    (void)state;
    for (unsigned i = 0; i < 14; i++) {
        const char *const params[] = {"items", "10", "size", sizes[i % 7], NULL};
        const char *const channel[] = {"wait", i < 7 ? "block" : "spin", NULL};
        const struct prony_histogram *latency;
        struct rig rig;
        rig_open(&rig, prony_find_workload("pingpong", NULL), &rig_engine, 2, params, channel);
        rig.bench.repeats = 3;
        assert_int_equal(rig_sample(&rig), 0);
        latency = (const struct prony_histogram *)(const void *)(rig.setup.base + rig.workers[0].latency.off);
        assert_int_equal(latency->count, 30);
        rig_close(&rig);
    }
}

/* Requests of odd sizes and numbers, and of more bytes than a socket takes at once; each has its time. */
static void echoes(void **state)
{
    static const char *const cases[][4] = {
        {"1", "1", "1", "50"},       {"7", "3", "2", "101"},     {"64", "2", "5", "99"},     {"4097", "3", "16", "200"},
        {"65", "1", "1024", "3000"}, {"300001", "2", "9", "40"}, {"1048576", "1", "3", "7"}, {"64", "40", "1", "30"}};
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        const char *const *one = cases[i / 2];
        const char *const params[] = {"size", one[0], "connections", one[1], "depth", one[2], "items", one[3], NULL};
        struct rig rig;
        uint64_t clocked = 0;
        open_named(&rig, "echo", 4, params);
        rig.mood.apart = i % 2;
        rig.bench.repeats = 2;
        if (rig_sample(&rig) != 0)
            fail_msg("size %s: %s", one[0], rig.error.text);
        for (unsigned role = 1; role < 4; role++)
            clocked +=
                ((const struct prony_histogram *)prony_at(&rig.workers[0], rig.workers[role].latency.off))->count;
        assert_int_equal(clocked, 2 * rig.need.items);
        rig_close(&rig);
    }
}

static void too_much_under_way_is_refused(void **state)
{
    static const char *const settings[] = {"connections", "10000", "size", "1Mi"};
    const struct prony_workload *echo = prony_find_workload("echo", NULL);
    struct prony_params params;
    struct prony_need need = {0};
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(prony_params_init(&params, echo->head.options, &error), 0);
    assert_int_equal(echo->need(&params, 1, &need, &error), -ENOTSUP);
    for (unsigned i = 0; i < 4; i += 2)
        assert_int_equal(prony_params_set(&params, settings[i], settings[i + 1], &error), 0);
    assert_int_equal(echo->need(&params, 2, &need, &error), -EINVAL);
    assert_non_null(strstr(error.text, "1 GiB"));
    prony_params_free(&params);
}

/* An engine that runs no kernel: done is enough for it, and not done is not. */
static void a_dry_engine_only_counts(void **state)
{
    static const char *const params[] = {"items", "9", NULL};
    struct rig rig;
    (void)state;
    rig_open(&rig, prony_find_workload("empty", NULL), &rig_engine_dry, 1, params, NULL);
    assert_int_equal(rig_sample(&rig), 0);
    rig.workload->poison(&rig.bench);
    assert_int_equal(rig_verify(&rig), -EBADMSG);
    assert_int_equal(rig_sample(&rig), 0);
    future_at(&rig.bench, 4)->status = -EIO;
    assert_int_equal(rig_verify(&rig), -EBADMSG);
    rig_close(&rig);
}

static void every_life_has_its_phases(void **state)
{
    static const char *const firsts[] = {"gang", "map"};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const char *const params[] = {"first", firsts[i], NULL};
        struct rig rig;
        open_named(&rig, "start", 3, params);
        rig.bench.repeats = 4;
        assert_int_equal(rig_sample(&rig), 0);
        assert_true(rig.bench.ns[0] > 0);
        assert_int_equal(rig.bench.ns[0], rig.bench.ns[1] + rig.bench.ns[2] + rig.bench.ns[3]);
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squares),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(primes),
        cmocka_unit_test(fibonacci),
        cmocka_unit_test(products),
        cmocka_unit_test(mandelbrots),
        cmocka_unit_test(sorts),
        cmocka_unit_test(spins),
        cmocka_unit_test(chases),
        cmocka_unit_test(every_lock_counts),
        cmocka_unit_test(pingpongs),
        cmocka_unit_test(echoes),
        cmocka_unit_test(too_much_under_way_is_refused),
        cmocka_unit_test(a_dry_engine_only_counts),
        cmocka_unit_test(every_life_has_its_phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
