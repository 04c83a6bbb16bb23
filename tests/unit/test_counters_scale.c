/* Counts that had a counter part of the time: scaled by the ratio, refused below its least, left alone when whole. */
#include "measure/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct prony_value counted(int64_t value, uint64_t enabled_ns, uint64_t running_ns)
{
    return (struct prony_value){
        .value = value, .status = PRONY_COUNTED, .enabled_ns = enabled_ns, .running_ns = running_ns};
}

static void is_scaled_by_its_ratio(void **state)
{
    struct prony_value values[] = {counted(300, 1000, 750), counted(300, 1000, 1000), counted(300, 0, 0),
                                   counted(10, 1000, 200)};
    (void)state;
    assert_int_equal(prony_counters_scale(values, 4), 2);
    assert_int_equal(values[0].status, PRONY_SCALED);
    assert_int_equal(values[0].value, 400);
    assert_int_equal(values[1].status, PRONY_COUNTED);
    assert_int_equal(values[1].value, 300);
    assert_int_equal(values[2].status, PRONY_COUNTED); /* its provider does not tell */
    assert_int_equal(values[3].value, 50);
    assert_int_equal(prony_counters_scale(values, 4), 0); /* never twice */
    assert_int_equal(values[0].value, 400);
}

static void is_refused_below_the_least(void **state)
{
    struct prony_value values[] = {counted(300, 1000, 199), counted(0, 1000, 0)};
    (void)state;
    assert_int_equal(prony_counters_scale(values, 2), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(values[i].status, PRONY_NO_COUNTER);
        assert_int_equal(values[i].value, 0);
        assert_non_null(strstr(values[i].reason, i == 0 ? "19.9% of the time" : "0.0% of the time"));
    }
}

static void leaves_what_was_not_counted_alone(void **state)
{
    struct prony_value value = counted(7, 1000, 500);
    (void)state;
    value.status = PRONY_IMPLAUSIBLE;
    assert_int_equal(prony_counters_scale(&value, 1), 0);
    assert_int_equal(value.status, PRONY_IMPLAUSIBLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_scaled_by_its_ratio),
        cmocka_unit_test(is_refused_below_the_least),
        cmocka_unit_test(leaves_what_was_not_counted_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
