/* Every provider of the registry keeps the contract of prony/plugin/counter.h. */
#include "base/registry.h"
#include "measure/measure.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct prony_provider *provider_at(unsigned i)
{
    return (const struct prony_provider *)(const void *)prony_registry_at(PRONY_PROVIDER, i);
}

static unsigned count(const char *const *names)
{
    unsigned n = 0;
    while (names[n] != NULL)
        n++;
    return n;
}

static bool is_text(const char *text, size_t bytes)
{
    return memchr(text, '\0', bytes) != NULL && strchr(text, '\n') == NULL;
}

static void is_complete(void **state)
{
    const struct prony_provider *provider;
    unsigned n = 0;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++) {
        n++;
        assert_int_equal(provider->head.abi, PRONY_ABI);
        assert_int_equal(provider->head.size, sizeof *provider);
        assert_non_null(provider->head.name);
        assert_true(strlen(provider->head.summary) > 8 && strlen(provider->head.summary) < 100);
        assert_true(provider->head.caps & (PRONY_COUNTER_IN_WORKER | PRONY_COUNTER_RERUN));
        assert_non_null(provider->events);
        assert_non_null(provider->known);
        assert_non_null(provider->trial);
        if (provider->head.caps & PRONY_COUNTER_IN_WORKER) {
            assert_non_null(provider->enter);
            assert_non_null(provider->read);
            assert_non_null(provider->leave);
        } else {
            assert_true(provider->head.caps & PRONY_COUNTER_RERUN);
            assert_non_null(provider->command);
        }
        assert_true(count(provider->events) <= PRONY_EVENTS_MAX);
    }
    assert_true(n >= 2);
}

static void probes_quickly_and_says_why(void **state)
{
    const struct prony_provider *provider;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++) {
        struct prony_error error = {0, ""};
        int code = provider->head.probe == NULL ? 0 : provider->head.probe(&error);
        assert_true(code == 0 || code == -ENOTSUP);
        if (code != 0)
            assert_true(strlen(error.text) > 8);
    }
}

static void knows_its_own_events_and_no_others(void **state)
{
    const struct prony_provider *provider;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++) {
        struct prony_error error = {0, ""};
        for (unsigned j = 0; provider->events[j] != NULL; j++)
            assert_int_equal(provider->known(provider->events[j], &error), 0);
        assert_int_equal(provider->known("PAPI_NO_SUCH_EVENT_AT_ALL", &error), -ENOENT);
        assert_non_null(strstr(error.text, "PAPI_NO_SUCH_EVENT_AT_ALL"));
    }
}

/* A value either holds a number and its source, or null and a reason. */
static void check_value(const struct prony_provider *provider, const char *event, const struct prony_value *value)
{
    bool counted = value->status == PRONY_COUNTED || value->status == PRONY_SCALED;
    if (value->status == PRONY_NOT_TRIED || value->status > PRONY_SCALED)
        fail_msg("%s: %s was not tried", provider->head.name, event);
    if (!is_text(value->source, sizeof value->source) || !is_text(value->reason, sizeof value->reason))
        fail_msg("%s: %s: source or reason is no line", provider->head.name, event);
    if (counted && (value->source[0] == '\0' || value->reason[0] != '\0' || value->value < 0))
        fail_msg("%s: %s counted %lld by '%s' because '%s'", provider->head.name, event, (long long)value->value,
                 value->source, value->reason);
    if (!counted && (value->reason[0] == '\0' || value->value != 0))
        fail_msg("%s: %s is not null with a reason", provider->head.name, event);
}

/* A worker's life, twice, with an event more that no provider has. */
static void live(const struct prony_provider *provider)
{
    const char *events[PRONY_EVENTS_MAX];
    struct prony_value values[PRONY_EVENTS_MAX], before[PRONY_EVENTS_MAX];
    struct prony_worker worker;
    struct prony_error error = {0, ""};
    unsigned n = count(provider->events);
    if ((provider->head.caps & PRONY_COUNTER_IN_WORKER) == 0)
        return; /* its values come from files, after the worker's end */
    n = n < PRONY_EVENTS_MAX ? n : PRONY_EVENTS_MAX - 1;
    for (unsigned i = 0; i < n; i++)
        events[i] = provider->events[i];
    events[n++] = "no-such-event";
    memset(&worker, 0, sizeof worker);
    for (int turn = 0; turn < 2; turn++) {
        memset(values, 0xa5, sizeof values); /* yesterday's answer */
        if (provider->enter(&worker, events, n, values, &error) != 0)
            fail_msg("%s: %s", provider->head.name, error.text);
        for (unsigned i = 0; i < n; i++)
            check_value(provider, events[i], &values[i]);
        assert_true(values[n - 1].status != PRONY_COUNTED);
        assert_int_equal(provider->read(&worker, values, n), 0);
        memcpy(before, values, sizeof before);
        for (volatile unsigned i = 0; i < 1000000; i++)
            ;
        assert_int_equal(provider->read(&worker, values, n), 0);
        for (unsigned i = 0; i < n; i++) {
            check_value(provider, events[i], &values[i]);
            assert_int_equal(values[i].status, before[i].status);
            assert_true(values[i].value >= before[i].value); /* totals never shrink */
        }
        provider->leave(&worker);
        assert_null(worker.counting);
    }
}

static void lives_in_the_main_thread(void **state)
{
    const struct prony_provider *provider;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++)
        live(provider);
}

static void *live_in_thread(void *provider)
{
    live(provider);
    return NULL;
}

static void lives_in_threads_at_once(void **state)
{
    const struct prony_provider *provider;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++) {
        pthread_t threads[3];
        if (provider->prepare != NULL)
            assert_int_equal(provider->prepare(provider->events, count(provider->events), NULL), 0);
        for (int j = 0; j < 3; j++)
            assert_int_equal(pthread_create(&threads[j], NULL, live_in_thread, (void *)(uintptr_t)provider), 0);
        for (int j = 0; j < 3; j++)
            assert_int_equal(pthread_join(threads[j], NULL), 0);
    }
}

static void lives_in_a_forked_worker(void **state)
{
    const struct prony_provider *provider;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++) {
        int status = 0;
        pid_t child;
        if (provider->prepare != NULL)
            assert_int_equal(provider->prepare(provider->events, count(provider->events), NULL), 0);
        child = fork();
        if (child == 0) {
            live(provider);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void refuses_too_many_events(void **state)
{
    const struct prony_provider *provider;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++) {
        const char *events[PRONY_EVENTS_MAX + 1];
        struct prony_value values[PRONY_EVENTS_MAX + 1];
        struct prony_worker worker;
        struct prony_error error = {0, ""};
        unsigned room = PRONY_EVENTS_MAX + 1;
        for (unsigned j = 0; j < room; j++)
            events[j] = provider->events[0] == NULL ? "nothing" : provider->events[0];
        memset(&worker, 0, sizeof worker);
        if (provider->events[0] == NULL)
            continue;
        assert_int_equal(provider->enter(&worker, events, room, values, &error), -E2BIG);
        assert_null(worker.counting);
    }
}

/* In a process of its own; true or with a reason. */
static void is_tried(void **state)
{
    const struct prony_provider *provider;
    (void)state;
    for (unsigned i = 0; (provider = provider_at(i)) != NULL; i++) {
        struct prony_error error = {0, ""};
        int code = prony_provider_trial(provider, &error);
        if (code != 0)
            assert_true(strlen(error.text) > 8);
        if (strcmp(provider->head.name, "software") == 0)
            assert_int_equal(code, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_complete),
        cmocka_unit_test(probes_quickly_and_says_why),
        cmocka_unit_test(knows_its_own_events_and_no_others),
        cmocka_unit_test(lives_in_the_main_thread),
        cmocka_unit_test(lives_in_threads_at_once),
        cmocka_unit_test(lives_in_a_forked_worker),
        cmocka_unit_test(refuses_too_many_events),
        cmocka_unit_test(is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
