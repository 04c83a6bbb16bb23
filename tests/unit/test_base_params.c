/* Option tables: defaults, ranges that are said, nearest names, copies; and the errors that carry it all. */
#include "base/params.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const waits[] = {"block", "spin", "adaptive", NULL};
static const struct prony_option table[] = {{"items", PRONY_INT, "1k", 1, 1e6, NULL, "how many"},
                                            {"size", PRONY_BYTES, "64Ki", 64, 1048576, NULL, "bytes"},
                                            {"grain", PRONY_DURATION, "10us", 10, 1e9, NULL, "how long"},
                                            {"share", PRONY_REAL, "0.5", 0, 1, NULL, "how much"},
                                            {"padded", PRONY_BOOL, "yes", 0, 0, NULL, "whether"},
                                            {"wait", PRONY_CHOICE, "block", 0, 0, waits, "in which way"},
                                            {"path", PRONY_TEXT, "", 0, 0, NULL, "where"},
                                            {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL}};

static void defaults_are_parsed(void **state)
{
    struct prony_params params;
    (void)state;
    assert_int_equal(prony_params_init(&params, table, NULL), 0);
    assert_int_equal(params.count, 7);
    assert_int_equal(prony_param_int(&params, "items"), 1000);
    assert_int_equal(prony_param_int(&params, "size"), 65536);
    assert_int_equal(prony_param_int(&params, "grain"), 10000);
    assert_true(prony_param_real(&params, "share") == 0.5);
    assert_int_equal(prony_param_int(&params, "padded"), 1);
    assert_int_equal(prony_param_int(&params, "wait"), 0);
    assert_string_equal(prony_param_text(&params, "path"), "");
    assert_false(params.values[0].given);
    prony_params_free(&params);
    assert_int_equal(prony_params_init(&params, NULL, NULL), 0);
    assert_int_equal(params.count, 0);
    prony_params_free(&params);
}

static void a_default_out_of_its_range_is_found(void **state)
{
    static const struct prony_option bad[] = {{"items", PRONY_INT, "0", 1, 10, NULL, "how many"},
                                              {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL}};
    struct prony_params params;
    (void)state;
    assert_int_equal(prony_params_init(&params, bad, NULL), -ERANGE);
    assert_null(params.values);
}

static void values_are_set_or_refused(void **state)
{
    static const struct {
        const char *name, *text;
        int code;
        const char *words;
    } cases[] = {{"items", "10k", 0, ""},
                 {"items", "1000000", 0, ""},
                 {"items", "0", -ERANGE, "1 to 1000000"},
                 {"items", "1000001", -ERANGE, "1 to 1000000"},
                 {"items", "x", -EINVAL, "not a number"},
                 {"size", "32", -ERANGE, "64.0 B to 1.00 MiB"},
                 {"grain", "10", -EINVAL, "unit of time"},
                 {"grain", "2s", -ERANGE, "10.0 ns to 1.00 s"},
                 {"share", "1.5", -ERANGE, "0 to 1"},
                 {"padded", "No", 0, ""},
                 {"padded", "maybe", -EINVAL, "yes or no"},
                 {"wait", "spin", 0, ""},
                 {"wait", "spni", -EINVAL, "did you mean spin?"},
                 {"wait", "", -EINVAL, "block, spin, adaptive"},
                 {"path", "/tmp/x=y,z", 0, ""},
                 {"itmes", "1", -ENOENT, "did you mean items?"}};
    struct prony_params params;
    (void)state;
    assert_int_equal(prony_params_init(&params, table, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prony_error error = {0, ""};
        if (prony_params_set(&params, cases[i].name, cases[i].text, &error) != cases[i].code ||
            strstr(error.text, cases[i].words) == NULL)
            fail_msg("%s=%s: %d '%s'", cases[i].name, cases[i].text, error.code, error.text);
    }
    assert_int_equal(prony_param_int(&params, "items"), 1000000);
    assert_true(params.values[0].given);
    assert_int_equal(prony_param_int(&params, "padded"), 0);
    assert_int_equal(prony_param_int(&params, "wait"), 1);
    assert_string_equal(prony_param_text(&params, "wait"), "spin");
    assert_int_equal(prony_param_int(&params, "size"), 65536); /* a refused value changes nothing */
    prony_params_free(&params);
}

static void copies_stand_alone(void **state)
{
    struct prony_params params, copy;
    (void)state;
    assert_int_equal(prony_params_init(&params, table, NULL), 0);
    assert_int_equal(prony_params_set(&params, "path", "here", NULL), 0);
    assert_int_equal(prony_params_copy(&copy, &params, NULL), 0);
    prony_params_free(&params);
    assert_string_equal(prony_param_text(&copy, "path"), "here");
    assert_int_equal(prony_param_int(&copy, "items"), 1000);
    prony_params_free(&copy);
}

static void checking_keeps_nothing(void **state)
{
    (void)state;
    assert_non_null(prony_option_find(table, "wait"));
    assert_null(prony_option_find(table, "wai"));
    assert_null(prony_option_find(NULL, "wait"));
    assert_int_equal(prony_option_check(&table[0], "7", NULL), 0);
    assert_int_equal(prony_option_check(&table[0], "-7", NULL), -ERANGE);
}

static void errors_carry_reasons(void **state)
{
    struct prony_error error = {0, ""};
    char text[64];
    (void)state;
    assert_int_equal(prony_fail(&error, -EINVAL, "%d is odd", 3), -EINVAL);
    assert_int_equal(prony_fail_within(&error, -EINVAL, "cell %s", "a"), -EINVAL);
    assert_string_equal(error.text, "cell a: 3 is odd");
    error.text[0] = '\0';
    (void)prony_fail_within(&error, -(PRONY_DIED + 9), "worker 1");
    assert_string_equal(error.text, "worker 1: the worker was killed by SIGKILL");
    assert_int_equal(prony_fail(NULL, -ENOMEM, "nobody listens"), -ENOMEM);
    assert_string_equal(prony_code_text(-ENOENT, text, sizeof text), "No such file or directory");
    assert_string_equal(prony_code_text(-PRONY_DIED, text, sizeof text), "the worker exited");
    for (int i = 0; i < 100; i++)
        (void)prony_fail_within(&error, -EINVAL, "again and again and again");
    assert_true(strlen(error.text) < sizeof error.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_parsed),       cmocka_unit_test(a_default_out_of_its_range_is_found),
        cmocka_unit_test(values_are_set_or_refused), cmocka_unit_test(copies_stand_alone),
        cmocka_unit_test(checking_keeps_nothing),    cmocka_unit_test(errors_carry_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
