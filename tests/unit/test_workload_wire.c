/* Messages over channels that misbehave in known ways: what is lost is counted, what is changed is found, and what a
 * stalled reader delays is seen in every message that it delayed. */
#include "tests/conformance/rig.h"

#include <time.h>

enum { DROPS = 5, STALL_AT = 10, STALL_NS = 30000000 };

static const struct prony_channel *plain;
static struct prony_channel fake;
static unsigned sends, receives;
static size_t broken_byte;

static int64_t send_some(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    return ++sends % DROPS == 0 ? (int64_t)bytes : plain->send(end, data, bytes, timeout_ns);
}

static int64_t send_broken(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    unsigned char copy[256];
    assert_true(bytes <= sizeof copy);
    memcpy(copy, data, bytes);
    copy[bytes > broken_byte ? broken_byte : 0] ^= bytes > broken_byte ? 1 : 0;
    return plain->send(end, copy, bytes, timeout_ns);
}

static int64_t receive_late(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    const struct timespec stall = {0, STALL_NS};
    if (bytes > 8 && ++receives == STALL_AT)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &stall, NULL);
    return plain->recv(end, data, bytes, timeout_ns);
}

static void open_over_fake(struct rig *rig, const char *workload, const char *const *params)
{
    rig_open(rig, prony_find_workload(workload, NULL), &rig_engine, 2, params, NULL);
    rig->channel = rig->setup.channel = rig->seen.channel = &fake;
    for (unsigned i = 0; i < 2; i++)
        rig->workers[i].channel = &fake;
}

static void make_fake(void)
{
    plain = prony_find_channel("pipe", NULL);
    fake = *plain;
    fake.head.caps &= ~(uint64_t)PRONY_CHANNEL_STREAM;
    sends = receives = 0;
}

static void lost_messages_are_counted(void **state)
{
    static const char *const params[] = {"items", "40", "size", "100", NULL};
    struct rig rig;
    (void)state;
    make_fake();
    fake.head.caps |= PRONY_CHANNEL_LOSSY;
    fake.send = send_some;
    open_over_fake(&rig, "stream", params);
    assert_int_equal(rig_sample(&rig), 0);
    assert_int_equal(rig.bench.shortfall, 40 / DROPS);
    assert_int_equal(rig.bench.reordered, 0);
    rig_close(&rig);
}

/* A message that came after its sample was over is none of the next. */
static void late_messages_are_not_counted(void **state)
{
    static const char *const params[] = {"items", "40", "size", "100", NULL}, *const all[] = {"stream", "pingpong"};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct prony_worker worker = {.index = 0};
        unsigned char late[100] = {7};
        struct rig rig;
        void *end;
        make_fake();
        fake.head.caps |= PRONY_CHANNEL_LOSSY;
        open_over_fake(&rig, all[i], params);
        assert_int_equal(plain->attach(&rig.ends[0], &worker, &end, NULL), 0);
        assert_int_equal(plain->send(end, late, sizeof late, -1), sizeof late);
        plain->detach(end);
        if (rig_sample(&rig) != 0)
            fail_msg("%s: %s", all[i], rig.error.text);
        assert_int_equal(rig.bench.shortfall, 0);
        assert_int_equal(rig.bench.reordered, 0);
        rig_close(&rig);
    }
}

static void a_channel_that_does_not_say_so_may_lose_nothing(void **state)
{
    static const char *const params[] = {"items", "4", "size", "100", NULL};
    struct rig rig;
    (void)state;
    make_fake();
    open_over_fake(&rig, "stream", params);
    assert_int_equal(rig_sample(&rig), 0);
    ((struct prony_head *)&fake.head)->caps |= PRONY_CHANNEL_LOSSY;
    fake.send = send_some;
    sends = 1;
    assert_int_equal(rig_sample(&rig), 0);
    fake.head.caps &= ~(uint64_t)PRONY_CHANNEL_LOSSY;
    assert_int_equal(rig_verify(&rig), -EBADMSG);
    rig_close(&rig);
}

/* Byte 0 is stamped and checked in time, byte 8 only in the last message. */
static void a_changed_byte_is_found(void **state)
{
    static const char *const params[] = {"items", "6", "size", "100", NULL}, *const all[] = {
                                                                                 "stream", "oneway",  "burst",
                                                                                 "fan-in", "fan-out", "bidirectional"};
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct rig rig;
        make_fake();
        fake.send = send_broken;
        broken_byte = i < 6 ? 70 : 80;
        open_over_fake(&rig, all[i % 6], params);
        if (rig_sample(&rig) != -EBADMSG)
            fail_msg("%s: byte %zu may be wrong", all[i % 6], broken_byte);
        rig_close(&rig);
    }
}

static void a_stall_is_in_every_message_it_delayed(void **state)
{
    static const char *const params[] = {"items", "100", "size", "100", "rate", "10k", NULL};
    const struct prony_histogram *latency;
    uint64_t delayed = 0;
    struct rig rig;
    (void)state;
    make_fake();
    fake.recv = receive_late;
    open_over_fake(&rig, "paced", params);
    assert_int_equal(rig_sample(&rig), 0);
    latency = (const struct prony_histogram *)(const void *)(rig.setup.base + rig.workers[1].latency.off);
    assert_int_equal(latency->count, 100);
    for (unsigned i = prony_histogram_bucket(STALL_NS / 2); i < PRONY_HISTOGRAM_BUCKETS; i++)
        delayed += latency->bucket[i];
    assert_true(delayed >= 100 - STALL_AT);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_messages_are_counted),
        cmocka_unit_test(late_messages_are_not_counted),
        cmocka_unit_test(a_channel_that_does_not_say_so_may_lose_nothing),
        cmocka_unit_test(a_changed_byte_is_found),
        cmocka_unit_test(a_stall_is_in_every_message_it_delayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
