/* Numbers with units, durations, lists, globs, nearest names: known answers both ways. */
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void integers(void **state)
{
    static const struct {
        const char *text;
        int code;
        int64_t value;
    } cases[] = {{"0", 0, 0},
                 {"10", 0, 10},
                 {"-3", 0, -3},
                 {"10k", 0, 10000},
                 {"10K", 0, 10000},
                 {"2M", 0, 2000000},
                 {"1G", 0, 1000000000},
                 {"10Ki", 0, 10240},
                 {"1.5Ki", 0, 1536},
                 {"1Mi", 0, 1048576},
                 {"2Gi", 0, 2147483648},
                 {"1.5k", 0, 1500},
                 {"1e3", 0, 1000},
                 {"9007199254740993", 0, 9007199254740993}, /* not a double */
                 {"1.5", -EINVAL, 0},
                 {"0.0001k", -EINVAL, 0},
                 {"", -EINVAL, 0},
                 {"k", -EINVAL, 0},
                 {"ten", -EINVAL, 0},
                 {"10 k", -EINVAL, 0},
                 {"10kk", -EINVAL, 0},
                 {"0x10", -EINVAL, 0},
                 {"inf", -EINVAL, 0},
                 {"nan", -EINVAL, 0},
                 {" 1", -EINVAL, 0},
                 {"1e30", -ERANGE, 0},
                 {"99999999999G", -ERANGE, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct prony_error error = {0, ""};
        int64_t value = 0;
        if (prony_text_integer(cases[i].text, &value, &error) != cases[i].code ||
            (cases[i].code == 0 && value != cases[i].value))
            fail_msg("'%s' gave %d, %lld", cases[i].text, error.code, (long long)value);
        if (cases[i].code != 0)
            assert_true(error.text[0] != '\0');
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int code;
        int64_t ns;
    } cases[] = {{"100ns", 0, 100},     {"10us", 0, 10000},      {"10\302\265s", 0, 10000}, {"1.5ms", 0, 1500000},
                 {"2s", 0, 2000000000}, {"3m", 0, 180000000000}, {"1h", 0, 3600000000000},  {"0", 0, 0},
                 {"0.5ns", 0, 1},       {"10", -EINVAL, 0},      {"", -EINVAL, 0},          {"s", -EINVAL, 0},
                 {"10 s", -EINVAL, 0},  {"10sec", -EINVAL, 0},   {"-1s", -ERANGE, 0},       {"1e12h", -ERANGE, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct prony_error error = {0, ""};
        int64_t ns = 0;
        if (prony_text_duration(cases[i].text, &ns, &error) != cases[i].code ||
            (cases[i].code == 0 && ns != cases[i].ns))
            fail_msg("'%s' gave %d, %lld", cases[i].text, error.code, (long long)ns);
    }
}

static void reals_and_percentages(void **state)
{
    double value;
    (void)state;
    assert_int_equal(prony_text_real("2.5", &value, NULL), 0);
    assert_true(value == 2.5);
    assert_int_equal(prony_text_real("1e-3", &value, NULL), 0);
    assert_true(value == 1e-3);
    assert_int_equal(prony_text_real("2.5x", &value, NULL), -EINVAL);
    assert_int_equal(prony_text_real("nan", &value, NULL), -EINVAL);
    assert_int_equal(prony_text_percent("2%", &value, NULL), 0);
    assert_true(value == 2);
    assert_int_equal(prony_text_percent("0.5", &value, NULL), 0);
    assert_true(value == 0.5);
    assert_int_equal(prony_text_percent("2%%", &value, NULL), -EINVAL);
}

static void shown_with_units(void **state)
{
    static const struct {
        const char *(*show)(double, char *, size_t);
        double value;
        const char *text;
    } cases[] = {{prony_text_of_ns, 0, "0 ns"},
                 {prony_text_of_ns, 1.234, "1.23 ns"},
                 {prony_text_of_ns, 12.34, "12.3 ns"},
                 {prony_text_of_ns, 123.4, "123 ns"},
                 {prony_text_of_ns, 999.4, "999 ns"},
                 {prony_text_of_ns, 999.6, "1.00 us"},
                 {prony_text_of_ns, 1234567, "1.23 ms"},
                 {prony_text_of_ns, 5e12, "5000 s"},
                 {prony_text_of_bytes, 65536, "64.0 KiB"},
                 {prony_text_of_bytes, 512, "512 B"},
                 {prony_text_of_count, 12345678, "12.3 M"},
                 {prony_text_of_count, 7, "7.00"}};
    char text[32];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(cases[i].show(cases[i].value, text, sizeof text), cases[i].text);
}

static void lists(void **state)
{
    struct prony_list list = {NULL, 0, 0};
    (void)state;
    assert_int_equal(prony_list_split(&list, "a,bc,d", ',', NULL), 0);
    assert_int_equal(prony_list_split(&list, "e", ',', NULL), 0);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.item[1], "bc");
    assert_true(prony_list_has(&list, "e"));
    assert_false(prony_list_has(&list, "b"));
    prony_list_free(&list);
    assert_int_equal(list.count, 0);
    assert_int_equal(prony_list_split(&list, "a,,b", ',', NULL), -EINVAL);
    assert_int_equal(prony_list_split(&list, "", ',', NULL), -EINVAL);
    assert_int_equal(prony_list_split(&list, "a,", ',', NULL), -EINVAL);
    prony_list_free(&list);
}

static void globs(void **state)
{
    (void)state;
    assert_true(prony_text_matches("primes/*", "primes/thread/n2"));
    assert_true(prony_text_matches("*/n2", "primes/thread/n2"));
    assert_true(prony_text_matches("p?imes", "primes"));
    assert_false(prony_text_matches("primes", "primes/thread"));
}

static void nearest_names(void **state)
{
    static const char *const names[] = {"serial", "thread", "fork", "futures-thread", "futures-process", NULL};
    static const struct {
        const char *typed, *hint;
    } cases[] = {{"tread", "; did you mean thread or futures-thread?"},
                 {"frok", "; did you mean fork?"},
                 {"serail", "; did you mean serial?"},
                 {"fu", "; did you mean futures-thread or futures-process?"},
                 {"zzzz", ""},
                 {"", ""}};
    char hint[120], tiny[8];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *got = prony_text_nearest(cases[i].typed, names, hint, sizeof hint);
        if (strcmp(got, cases[i].hint) != 0 && !(i == 0 && strcmp(got, "; did you mean thread?") == 0))
            fail_msg("'%s' gave '%s'", cases[i].typed, got);
    }
    assert_true(strlen(prony_text_nearest("frok", names, tiny, sizeof tiny)) < sizeof tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),         cmocka_unit_test(durations), cmocka_unit_test(reals_and_percentages),
        cmocka_unit_test(shown_with_units), cmocka_unit_test(lists),     cmocka_unit_test(globs),
        cmocka_unit_test(nearest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
