/* Formulas have the values of arithmetic, null where an input is null; group texts are read or refused with the
 * line. */
#include "base/registry.h"
#include "measure/counters.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"A", "page-faults", "perf::CYCLES", "ZERO", "NULL_ONE"};
enum { NAMES = sizeof names / sizeof names[0] };

static double value(const char *formula)
{
    const double values[NAMES] = {6, 3, 4, 0, NAN};
    return prony_formula_value(formula, names, values, NAMES);
}

static void has_the_value_of_arithmetic(void **state)
{
    static const struct {
        const char *formula;
        double is;
    } known[] = {
        {"A", 6},
        {"42", 42},
        {"1e6 * A", 6e6},
        {"0.5 * A", 3},
        {"A + 2 * 3", 12},
        {"(A + 2) * 3", 24},
        {"A - 1 - 2", 3},
        {"A / 2 / 3", 1},
        {"A - (1 - 2)", 7},
        {"-A", -6},
        {"- (A - 1) * 2", -10},
        {"A / page-faults", 2},
        {"page-faults - 1", 2},
        {"perf::CYCLES * 2", 8},
        {"((((A))))", 6},
        {"  A*2 ", 12},
        {"ZERO / A", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!(value(known[i].formula) == known[i].is))
            fail_msg("%s is %g, not %g", known[i].formula, value(known[i].formula), known[i].is);
}

static void is_null_when_an_input_is(void **state)
{
    static const char *const null[] = {"NULL_ONE", "A + NULL_ONE", "0 * NULL_ONE",
                                       "A / ZERO", "ZERO / ZERO",  "(NULL_ONE)"};
    (void)state;
    for (size_t i = 0; i < sizeof null / sizeof null[0]; i++)
        if (!isnan(value(null[i])))
            fail_msg("%s is %g, not null", null[i], value(null[i]));
}

static void refuses_what_is_no_formula(void **state)
{
    static const struct {
        const char *formula;
        int code;
    } wrong[] = {
        {"", -EINVAL},
        {"A +", -EINVAL},
        {"(A", -EINVAL},
        {"A)", -EINVAL},
        {"A A", -EINVAL},
        {"* A", -EINVAL},
        {"A / / A", -EINVAL},
        {"()", -EINVAL},
        {"A % 2", -EINVAL},
        {"B", -ENOENT},
        {"A + page", -ENOENT},
        {"page-faults-1", -ENOENT},
        {"((((((((((((((((((((((((((((((((((((((((A))))))))))))))))))))))))))))))))))))))))", -EINVAL},
    };
    struct prony_error error;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (prony_formula_check(wrong[i].formula, names, NAMES, &error) != wrong[i].code)
            fail_msg("'%s' is not refused with %d", wrong[i].formula, wrong[i].code);
        assert_non_null(strstr(error.text, "character"));
        assert_true(isnan(value(wrong[i].formula)));
    }
}

static int read_text(struct prony_group *group, const char *text, char *copy, struct prony_error *error)
{
    strcpy(copy, text);
    return prony_group_read(group, copy, "mine.txt", error);
}

static void reads_a_group(void **state)
{
    struct prony_group group;
    struct prony_error error;
    char copy[512];
    (void)state;
    assert_int_equal(read_text(&group,
                               "# note\ngroup mine\nprovider papi\nsummary two things\n\nevents A B\n"
                               "metric ratio: A for each B = A / B\n",
                               copy, &error),
                     0);
    assert_string_equal(group.name, "mine");
    assert_string_equal(group.provider, "papi");
    assert_string_equal(group.summary, "two things");
    assert_string_equal(group.events[0], "A");
    assert_string_equal(group.events[1], "B");
    assert_null(group.events[2]);
    assert_int_equal(group.metrics_count, 1);
    assert_string_equal(group.metrics[0].name, "ratio");
    assert_string_equal(group.metrics[0].text, "A for each B");
    assert_string_equal(group.metrics[0].formula, "A / B");
}

static void refuses_a_bad_group(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"group mine\nprovider papi\nevents A\n", "summary"},
        {"group mine\nprovider papi\nsummary x\n", "events"},
        {"group mine\nprovider papi\nsummary x\nevents A\nmetric m: no formula\n", "mine.txt:5"},
        {"group mine\nprovider papi\nsummary x\nevents A\nmetric m: x = A / B\n", "metric m"},
        {"group mine\ncolour red\n", "mine.txt:2"},
        {"group\n", "mine.txt:1"},
    };
    struct prony_group group;
    struct prony_error error;
    char copy[512];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_text(&group, bad[i].text, copy, &error), -EINVAL);
        if (strstr(error.text, bad[i].says) == NULL)
            fail_msg("'%s' does not say '%s'", error.text, bad[i].says);
    }
}

/* Every text in counters/groups/ is built in and right, and hides no event of the provider software. (A group goes
 * before one of PAPI's many native events.) */
static void all_built_in_groups_are_right(void **state)
{
    unsigned n = 0, texts = 0;
    (void)state;
    for (; prony_group_texts[texts].file != NULL; texts++) {
        struct prony_group group;
        struct prony_error error;
        char *copy = strdup(prony_group_texts[texts].text);
        if (prony_group_read(&group, copy, prony_group_texts[texts].file, &error) != 0)
            fail_msg("%s", error.text);
        free(copy);
    }
    for (const struct prony_group *group; (group = prony_group_at(n)) != NULL; n++) {
        const struct prony_provider *provider = prony_find_provider(group->provider, NULL);
        assert_ptr_equal(prony_group_find(group->provider, group->name), group);
        if (strcmp(group->provider, "software") == 0 && provider != NULL && provider->known(group->name, NULL) == 0)
            fail_msg("group %s has the name of an event", group->name);
        for (unsigned i = 0; provider != NULL && group->events[i] != NULL; i++)
            if (provider->known(group->events[i], NULL) != 0)
                fail_msg("group %s: %s does not know %s", group->name, group->provider, group->events[i]);
    }
    assert_int_equal(n, texts);
    assert_true(n >= 4);
}

static void derives_what_the_events_allow(void **state)
{
    struct prony_list events = {NULL, 0, 0};
    const struct prony_metric *metrics[8];
    struct prony_value values[2];
    const double given[PRONY_GROUP_GIVEN] = {50, 8000};
    (void)state;
    memset(values, 0, sizeof values);
    assert_int_equal(prony_list_split(&events, "PAPI_TOT_CYC,PAPI_TOT_INS", ',', NULL), 0);
    assert_int_equal(prony_counters_metrics("papi", &events, metrics, 8), 2);
    assert_string_equal(metrics[0]->name, "ipc");
    assert_string_equal(metrics[1]->name, "cpi");
    values[0] = (struct prony_value){.value = 200, .status = PRONY_COUNTED};
    values[1] = (struct prony_value){.value = 300, .status = PRONY_SCALED};
    assert_true(prony_counters_metric(metrics[0], &events, values, given) == 1.5);
    values[1].status = PRONY_IMPLAUSIBLE;
    assert_true(isnan(prony_counters_metric(metrics[0], &events, values, given)));
    assert_int_equal(prony_counters_metrics("papi", &events, metrics, 0), 0);
    assert_int_equal(prony_counters_metrics("software", &events, metrics, 8), 0);
    prony_list_free(&events);
}

static const struct prony_metric *named(const char *provider, const struct prony_list *events, const char *name)
{
    const struct prony_metric *metrics[8];
    unsigned n = prony_counters_metrics(provider, events, metrics, 8);
    for (unsigned i = 0; i < n; i++)
        if (strcmp(metrics[i]->name, name) == 0)
            return metrics[i];
    fail_msg("no metric %s", name);
    return NULL;
}

/* 300 uJ over 50 items, and 300 lines in 8 us. */
static void derives_by_item_and_by_time(void **state)
{
    const double given[PRONY_GROUP_GIVEN] = {50, 8000}, nothing[PRONY_GROUP_GIVEN] = {NAN, NAN};
    struct prony_list energy = {NULL, 0, 0}, misses = {NULL, 0, 0};
    struct prony_value value = {.value = 300, .status = PRONY_COUNTED};
    const struct prony_metric *joules, *bytes;
    (void)state;
    assert_int_equal(prony_list_split(&energy, "package-energy", ',', NULL), 0);
    assert_int_equal(prony_list_split(&misses, "PAPI_L3_TCM", ',', NULL), 0);
    joules = named("software", &energy, "package_joules_per_item");
    bytes = named("papi", &misses, "memory_bytes_per_s");
    assert_float_equal(prony_counters_metric(joules, &energy, &value, given), 6e-6, 1e-15);
    assert_float_equal(prony_counters_metric(bytes, &misses, &value, given), 2.4e9, 1);
    assert_true(isnan(prony_counters_metric(bytes, &misses, &value, nothing)));
    value.status = PRONY_NOT_SUPPORTED;
    assert_true(isnan(prony_counters_metric(joules, &energy, &value, given)));
    prony_list_free(&energy);
    prony_list_free(&misses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_value_of_arithmetic),   cmocka_unit_test(is_null_when_an_input_is),
        cmocka_unit_test(refuses_what_is_no_formula),    cmocka_unit_test(reads_a_group),
        cmocka_unit_test(refuses_a_bad_group),           cmocka_unit_test(all_built_in_groups_are_right),
        cmocka_unit_test(derives_what_the_events_allow), cmocka_unit_test(derives_by_item_and_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
