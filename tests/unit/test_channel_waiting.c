/* How channels foretell gaps, told by waits that are said to have begun long ago; and messages of every length in a box. */
#include "base/params.h"
#include "base/registry.h"
#include "channels/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BUDGET_NS UINT64_C(1000000000000) /* no machine stands still for that long in between */

static struct prony_line a_line(void)
{
    return (struct prony_line){
        .life = -1, .wait = PRONY_WAIT_ADAPTIVE, .stride = PRONY_STRIDE_MEMORY, .budget_ns = BUDGET_NS};
}

/* A wait whose message comes after so many budgets. Returns whether it began by spinning. */
static bool wait_for(struct prony_line *line, double budgets)
{
    struct prony_waiting waiting = prony_wait_at(line, PRONY_IN, UINT64_MAX);
    int code = prony_wait_next(&waiting);
    bool spun = waiting.spinning;
    assert_int_equal(code, spun ? 0 : 1);
    assert_int_equal(waiting.tries, 1);
    waiting.begun = prony_now_ns() - (uint64_t)(budgets * (double)BUDGET_NS);
    waiting.look = UINT64_MAX;
    if (spun && budgets >= 1)
        assert_int_equal(prony_wait_look(&waiting), 1);
    assert_int_equal(waiting.spinning, spun && budgets < 1);
    prony_wait_end(&waiting);
    return spun;
}

static unsigned spins_of(struct prony_line *line, unsigned waits, double budgets)
{
    unsigned spins = 0;
    for (unsigned i = 0; i < waits; i++)
        spins += wait_for(line, budgets);
    return spins;
}

static void short_gaps_are_spun_through(void **state)
{
    struct prony_line line = a_line();
    (void)state;
    assert_int_equal(spins_of(&line, 1000, 0.5), 1000);
}

/* Two that spin in vain, then one after 8, 16, 32, 64, 128, 256, 512 that sleep at once. */
static void long_gaps_are_slept_through(void **state)
{
    struct prony_line line = a_line();
    (void)state;
    assert_int_equal(spins_of(&line, 1000, 10), 8);
    assert_int_equal(spins_of(&line, 20000, 10), 20);
    line = a_line();
    assert_int_equal(spins_of(&line, 1000, 1.5), 8);
}

static void one_long_gap_changes_nothing(void **state)
{
    struct prony_line line = a_line();
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_true(wait_for(&line, 0.5));
        assert_true(wait_for(&line, 10));
    }
}

static void gaps_that_shorten_are_noticed(void **state)
{
    struct prony_line line = a_line();
    (void)state;
    (void)spins_of(&line, 1000, 10);
    assert_false(wait_for(&line, 0.5)); /* a short sleep */
    assert_int_equal(spins_of(&line, 100, 0.5), 100);
    (void)spins_of(&line, 1030, 10);
    assert_true(line.gap[PRONY_IN].left > 100);
    assert_false(wait_for(&line, 1.5)); /* short, and waking up */
    assert_int_equal(line.gap[PRONY_IN].left, 8);
    assert_int_equal(spins_of(&line, 9, 1.5), 1);
}

/* Long gaps, and a message that had waited for its reader. */
static void one_short_sleep_costs_one_spin(void **state)
{
    struct prony_line line = a_line();
    (void)state;
    (void)spins_of(&line, 1000, 10);
    for (int i = 0; i < 5; i++) {
        assert_false(wait_for(&line, 0.5));
        assert_int_equal(spins_of(&line, 200, 10), 1);
    }
}

static void other_policies_learn_nothing(void **state)
{
    struct prony_line line = a_line();
    struct prony_waiting waiting;
    (void)state;
    line.wait = PRONY_WAIT_SPIN;
    for (int i = 0; i < 20; i++)
        assert_true(wait_for(&line, 0.5));
    line.wait = PRONY_WAIT_BLOCK;
    waiting = prony_wait_at(&line, PRONY_IN, UINT64_MAX);
    assert_int_equal(prony_wait_next(&waiting), 1);
    prony_wait_end(&waiting);
    assert_int_equal(line.gap[PRONY_IN].misses + line.gap[PRONY_IN].skip + line.gap[PRONY_IN].left, 0);
}

/* Around the lengths at which a message moves to another place in its slot, and at which it takes several. */
static void every_length_goes_through_a_box(void **state)
{
    const struct prony_channel *channel = prony_find_channel("futex", NULL);
    struct prony_worker worker = {.index = 0};
    struct prony_params params;
    struct prony_blob blob;
    unsigned char out[320], in[320];
    void *handle = NULL, *end[2];
    (void)state;
    assert_int_equal(prony_params_init(&params, channel->head.options, NULL), 0);
    assert_int_equal(prony_params_set(&params, "slots", "3", NULL), 0);
    assert_int_equal(prony_params_set(&params, "slot", "128", NULL), 0);
    assert_int_equal(channel->create(&params, 2, &handle, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(channel->address(handle, i, &blob), 0);
        assert_int_equal(channel->attach(&blob, &worker, &end[i], NULL), 0);
    }
    for (size_t bytes = 0; bytes <= sizeof out; bytes++) {
        memset(out, (int)(bytes % 251) + 1, sizeof out);
        memset(in, 0, sizeof in);
        assert_int_equal(channel->send(end[bytes % 2], out, bytes, -1), bytes);
        assert_int_equal(channel->recv(end[1 - bytes % 2], in, sizeof in, -1), bytes);
        assert_memory_equal(in, out, bytes);
        for (size_t i = bytes; i < sizeof in; i++)
            assert_int_equal(in[i], 0);
    }
    for (unsigned i = 0; i < 2; i++)
        channel->detach(end[i]);
    channel->destroy(handle);
    prony_params_free(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_gaps_are_spun_through),     cmocka_unit_test(long_gaps_are_slept_through),
        cmocka_unit_test(one_long_gap_changes_nothing),    cmocka_unit_test(gaps_that_shorten_are_noticed),
        cmocka_unit_test(one_short_sleep_costs_one_spin),  cmocka_unit_test(other_policies_learn_nothing),
        cmocka_unit_test(every_length_goes_through_a_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
