/* What is typed after --counters becomes a provider and its events, or an error with the nearest names. */
#include "measure/measure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct prony_method method;
static struct prony_error error;

static int choose(const char *spec)
{
    prony_list_free(&method.events);
    memset(&method, 0, sizeof method);
    memset(&error, 0, sizeof error);
    return prony_counters_choose(spec, &method, &error);
}

static const char *chosen(void)
{
    static char text[1024];
    int used = snprintf(text, sizeof text, "%s", method.provider == NULL ? "-" : method.provider->head.name);
    for (size_t i = 0; i < method.events.count; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%c%s", i == 0 ? ':' : '+', method.events.item[i]);
    return text;
}

static void takes_events_groups_and_defaults(void **state)
{
    static const struct {
        const char *spec, *is;
    } known[] = {
        {"none", "-"},
        {"software", "software:task-clock+page-faults+switches+involuntary-switches+migrations"},
        {"software:task-clock", "software:task-clock"},
        {"software:migrations+task-clock", "software:migrations+task-clock"},
        {"software:faults", "software:task-clock+page-faults"},
        {"software:page-faults+faults+page-faults", "software:page-faults+task-clock"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (choose(known[i].spec) != 0)
            fail_msg("%s: %s", known[i].spec, error.text);
        assert_string_equal(chosen(), known[i].is);
        assert_string_equal(method.provider_why, "");
    }
}

/* Also where there is no PMU: then every event has its reason, and that is no error. */
static void takes_papi_events_on_any_machine(void **state)
{
    (void)state;
    if (prony_find_provider("papi", &error) == NULL) {
        assert_int_equal(error.code, -ENOTSUP);
        assert_int_equal(choose("papi"), -ENOTSUP);
        assert_non_null(strstr(error.text, "libpapi-dev"));
        skip();
    }
    assert_int_equal(choose("papi:PAPI_TOT_INS+PAPI_TOT_CYC"), 0);
    assert_string_equal(chosen(), "papi:PAPI_TOT_INS+PAPI_TOT_CYC");
    assert_int_equal(choose("papi:basic+branches"), 0);
    assert_string_equal(chosen(), "papi:PAPI_TOT_INS+PAPI_TOT_CYC+PAPI_BR_INS+PAPI_BR_MSP");
    assert_int_equal(choose("papi:PAPI_TOT_INZ"), -ENOENT);
    assert_non_null(strstr(error.text, "PAPI_TOT_INS"));
    assert_int_equal(choose("papi:branchez"), -ENOENT);
    assert_non_null(strstr(error.text, "branches"));
}

static void offers_the_nearest_names(void **state)
{
    static const struct {
        const char *spec;
        int code;
        const char *says;
    } wrong[] = {
        {"nona", -ENOENT, "none"},
        {"softwear", -ENOENT, "software"},
        {"aut", -ENOENT, "auto"},
        {"software:task-clok", -ENOENT, "task-clock"},
        {"software:schedulin", -ENOENT, "scheduling"},
        {"none:cycles", -ENOENT, "counts nothing"},
        {"auto:basic", -EINVAL, "papi:basic"},
        {"software:", -EINVAL, "empty"},
        {"software:task-clock++migrations", -EINVAL, "empty"},
        {"", -ENOENT, "provider"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (choose(wrong[i].spec) != wrong[i].code)
            fail_msg("'%s' is not refused with %d", wrong[i].spec, wrong[i].code);
        if (strstr(error.text, wrong[i].says) == NULL)
            fail_msg("'%s' does not say %s", error.text, wrong[i].says);
        assert_null(method.provider);
        assert_int_equal(method.events.count, 0);
    }
}

static void an_error_leaves_the_method_alone(void **state)
{
    (void)state;
    assert_int_equal(choose("software:migrations"), 0);
    assert_int_equal(prony_counters_choose("software:nothing-like-it", &method, &error), -ENOENT);
    assert_string_equal(chosen(), "software:migrations");
}

static void auto_takes_the_best_that_counts(void **state)
{
    const struct prony_provider *papi = prony_find_provider("papi", NULL);
    bool hardware = papi != NULL && prony_provider_trial(papi, NULL) == 0;
    (void)state;
    assert_int_equal(choose("auto"), 0);
    assert_non_null(method.provider);
    assert_string_equal(method.provider->head.name, hardware ? "papi" : "software");
    assert_true(method.events.count >= 2);
    assert_string_not_equal(method.provider_why, "");
    if (papi != NULL && !hardware)
        assert_non_null(strstr(method.provider_why, "no hardware counters: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_events_groups_and_defaults), cmocka_unit_test(takes_papi_events_on_any_machine),
        cmocka_unit_test(offers_the_nearest_names),         cmocka_unit_test(an_error_leaves_the_method_alone),
        cmocka_unit_test(auto_takes_the_best_that_counts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    prony_list_free(&method.events);
    return failed;
}
