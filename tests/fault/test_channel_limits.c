/* Channels at their limits: no descriptors, no queues, a port in use, a reader that stops, signals in every blocking call.
 * Each ends with a reason in time, or goes on as if nothing had happened. */
#include "base/clock.h"
#include "base/params.h"
#include "base/registry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS 1000000000
enum { TRIPS = 60 };

struct line {
    const struct prony_channel *channel;
    struct prony_params params;
    void *handle;
    struct prony_blob blob[2];
    struct prony_error error;
};

static int open_line(struct line *line, const struct prony_channel *channel, const char *const *option)
{
    int code;
    memset(line, 0, sizeof *line);
    line->channel = channel;
    assert_int_equal(prony_params_init(&line->params, channel->head.options, &line->error), 0);
    for (; option != NULL && *option != NULL; option += 2)
        assert_int_equal(prony_params_set(&line->params, option[0], option[1], &line->error), 0);
    code = channel->create(&line->params, 2, &line->handle, &line->error);
    for (unsigned i = 0; i < 2 && code == 0; i++)
        code = channel->address(line->handle, i, &line->blob[i]);
    return code;
}

static void *attach(struct line *line, unsigned end)
{
    struct prony_worker worker = {.index = end};
    void *attached = NULL;
    return line->channel->attach(&line->blob[end], &worker, &attached, &line->error) == 0 ? attached : NULL;
}

static void each(void (*check)(const struct prony_channel *channel))
{
    const struct prony_head *head;
    struct prony_error error;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_CHANNEL, i)) != NULL; i++)
        if ((head->caps & PRONY_CHANNEL_PYTHON) == 0 && (head->probe == NULL || head->probe(&error) == 0))
            check((const struct prony_channel *)(const void *)head);
}

/* Refused with a reason, within a second, and nothing of it stays open. */
static void refused(const char *name, const char *const *option, const char *says)
{
    struct line line;
    struct prony_error error;
    const struct prony_channel *channel = prony_find_channel(name, &error);
    uint64_t begun = prony_now_ns();
    int before = dup(0), after;
    (void)close(before);
    assert_non_null(channel);
    assert_true(open_line(&line, channel, option) < 0);
    assert_true(prony_now_ns() - begun < 10ull * SECOND_NS);
    if (strstr(line.error.text, says) == NULL)
        fail_msg("%s: '%s' does not say '%s'", name, line.error.text, says);
    after = dup(0);
    (void)close(after);
    assert_int_equal(before, after);
    prony_params_free(&line.params);
}

static void no_queues(void **state)
{
    struct rlimit before, none = {0, 0};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_MSGQUEUE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_MSGQUEUE, &none), 0);
    refused("posix-mq", NULL, "ulimit -q");
    assert_int_equal(setrlimit(RLIMIT_MSGQUEUE, &before), 0);
}

static void too_large_for_the_kernel(void **state)
{
    static const char *const pipe_bytes[] = {"capacity", "1Gi", NULL};
    static const char *const socket_bytes[] = {"buffer", "1Gi", NULL};
    struct rlimit before, little = {1 << 20, 0};
    (void)state;
    if (geteuid() != 0) /* root may have larger ones */
        refused("pipe", pipe_bytes, "pipe-max-size");
    refused("unix-dgram", socket_bytes, "wmem_max");
    refused("udp", socket_bytes, "wmem_max");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    refused("shm-ring", (const char *const[]){"capacity", "64Mi", NULL}, "no room");
    refused("futex", (const char *const[]){"slot", "16Mi", NULL}, "no shared memory");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void port_in_use(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char port[16];
    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    (void)snprintf(port, sizeof port, "%u", ntohs(at.sin_port));
    refused("tcp", (const char *const[]){"port", port, NULL}, "in use");
    (void)close(fd);
}

/* With every number of free descriptors, from none to enough: an error with a reason, nothing left, then it works. */
static void check_descriptors(const struct prony_channel *channel)
{
    struct rlimit before, few;
    struct line line;
    int code = -1, first = dup(0), again;
    (void)close(first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    for (int i = 0; i < 32 && code != 0; i++) {
        few.rlim_cur = (rlim_t)(first + i);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        code = open_line(&line, channel, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (code == 0)
            channel->destroy(line.handle);
        else if (strlen(line.error.text) < 10)
            fail_msg("%s with %d descriptors: no reason", channel->head.name, i);
        prony_params_free(&line.params);
        again = dup(0);
        (void)close(again);
        if (again != first)
            fail_msg("%s with %d descriptors: some are left", channel->head.name, i);
    }
    if (code != 0)
        fail_msg("%s: %s", channel->head.name, line.error.text);
}

static void descriptors(void **state)
{
    (void)state;
    each(check_descriptors);
}

/* Signals */

static int over;

static void on_signal(int number)
{
    (void)number;
}

static void *shower(void *context)
{
    const pthread_t *threads = context;
    const struct timespec nap = {0, 200000};
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        (void)pthread_kill(threads[0], SIGUSR1);
        (void)pthread_kill(threads[1], SIGUSR1);
        (void)nanosleep(&nap, NULL);
    }
    return NULL;
}

static void *answer(void *context)
{
    struct line *line = context;
    const struct timespec nap = {0, 300000};
    unsigned char data[64];
    void *end = attach(line, 1);
    int64_t code = end == NULL ? -1 : 0;
    for (int i = 0; i < TRIPS && code >= 0; i++) {
        code = line->channel->recv(end, data, sizeof data, i % 2 == 0 ? -1 : 20ll * SECOND_NS);
        (void)nanosleep(&nap, NULL); /* so that the other side sleeps, too */
        if (code >= 0)
            code = line->channel->send(end, data, sizeof data, i % 2 == 0 ? 20ll * SECOND_NS : -1);
    }
    if (end != NULL)
        line->channel->detach(end);
    return code < 0 ? line : NULL;
}

static void check_signals(const struct prony_channel *channel)
{
    unsigned char data[64] = {0};
    pthread_t thread[3] = {pthread_self()};
    struct line line;
    void *end, *wrong;
    if ((channel->head.caps & PRONY_CHANNEL_THREADS) == 0)
        return;
    assert_int_equal(open_line(&line, channel, NULL), 0);
    end = attach(&line, 0);
    assert_non_null(end);
    __atomic_store_n(&over, 0, __ATOMIC_RELAXED);
    assert_int_equal(pthread_create(&thread[1], NULL, answer, &line), 0);
    assert_int_equal(pthread_create(&thread[2], NULL, shower, thread), 0);
    for (unsigned char i = 0; i < TRIPS; i++) {
        int64_t sent, got;
        data[0] = i;
        sent = channel->send(end, data, sizeof data, i % 2 == 0 ? -1 : 20ll * SECOND_NS);
        got = channel->recv(end, data, sizeof data, i % 2 == 0 ? 20ll * SECOND_NS : -1);
        if (sent != (int64_t)sizeof data || got != (int64_t)sizeof data || data[0] != i)
            fail_msg("%s: trip %d under signals: sent %lld, got %lld", channel->head.name, i, (long long)sent,
                     (long long)got);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    (void)pthread_join(thread[2], NULL);
    (void)pthread_join(thread[1], &wrong);
    assert_null(wrong);
    channel->detach(end);
    channel->destroy(line.handle);
    prony_params_free(&line.params);
}

static void signals(void **state)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: calls come back with EINTR */
    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    each(check_signals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_queues),   cmocka_unit_test(too_large_for_the_kernel),
        cmocka_unit_test(port_in_use), cmocka_unit_test(descriptors),
        cmocka_unit_test(signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
