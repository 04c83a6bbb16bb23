/* The pipe: what it refuses, its capacity, and that an interrupted call goes on. */
#include "base/params.h"
#include "base/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct prony_channel *pipe_channel(void)
{
    return prony_find_channel("pipe", NULL);
}

static void make(unsigned ends, const char *capacity, void **handle, int right)
{
    struct prony_params params;
    struct prony_error error = {0, ""};
    assert_int_equal(prony_params_init(&params, pipe_channel()->head.options, &error), 0);
    assert_int_equal(prony_params_set(&params, "capacity", capacity, &error), 0);
    assert_int_equal(pipe_channel()->create(&params, ends, handle, &error), right);
    if (right != 0)
        assert_true(strlen(error.text) > 10);
    prony_params_free(&params);
}

static void odd_ends_are_refused(void **state)
{
    void *handle = NULL;
    (void)state;
    make(1, "0", &handle, -EINVAL);
    make(3, "0", &handle, -EINVAL);
    make(0, "0", &handle, -EINVAL);
}

static void capacity_is_set(void **state)
{
    struct prony_blob blob;
    void *handle = NULL;
    (void)state;
    make(2, "128Ki", &handle, 0);
    assert_int_equal(pipe_channel()->address(handle, 1, &blob), 0);
    assert_int_equal(blob.fds, 2);
    assert_int_equal(fcntl(blob.fd[0], F_GETPIPE_SZ), 131072);
    assert_int_equal(fcntl(blob.fd[1], F_GETPIPE_SZ), 131072);
    assert_int_equal(pipe_channel()->address(handle, 2, &blob), -EINVAL);
    pipe_channel()->destroy(handle);
}

/* Ends 2 and 3 are a pair of their own. */
static void pairs_are_apart(void **state)
{
    const struct prony_channel *channel = pipe_channel();
    struct prony_worker worker = {.index = 0};
    struct prony_blob blob;
    struct pollfd one;
    void *handle = NULL, *end[4];
    char byte = 'x';
    (void)state;
    make(4, "0", &handle, 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(channel->address(handle, i, &blob), 0);
        assert_int_equal(channel->attach(&blob, &worker, &end[i], NULL), 0);
    }
    assert_int_equal(channel->send(end[2], &byte, 1, -1), 1);
    assert_int_equal(channel->recv(end[1], &byte, 1, 0), -ETIMEDOUT);
    one = (struct pollfd){channel->pollfd(end[3]), POLLIN, 0};
    assert_int_equal(poll(&one, 1, 0), 1);
    byte = 0;
    assert_int_equal(channel->recv(end[3], &byte, 1, -1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(poll(&one, 1, 0), 0);
    for (unsigned i = 0; i < 4; i++)
        channel->detach(end[i]);
    channel->destroy(handle);
}

static atomic_int interrupts, told;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&interrupts, 1);
}

static void *receive(void *end)
{
    char data[3];
    int64_t got = pipe_channel()->recv(end, data, sizeof data, -1);
    atomic_store(&told, 1);
    return got == (int64_t)sizeof data && memcmp(data, "abc", 3) == 0 ? NULL : end;
}

/* A message in three pieces, with signals between them that interrupt the read. */
static void interrupted_reads_go_on(void **state)
{
    const struct prony_channel *channel = pipe_channel();
    struct sigaction action = {.sa_handler = on_signal}, before; /* no SA_RESTART */
    struct prony_worker worker = {.index = 0};
    struct prony_blob blob;
    void *handle = NULL, *end[2], *wrong = NULL;
    pthread_t thread;
    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    make(2, "0", &handle, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(channel->address(handle, i, &blob), 0);
        assert_int_equal(channel->attach(&blob, &worker, &end[i], NULL), 0);
    }
    assert_int_equal(pthread_create(&thread, NULL, receive, end[1]), 0);
    for (int i = 0; i < 3; i++) {
        int seen = atomic_load(&interrupts);
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
        for (int wait = 0; wait < 10000 && atomic_load(&interrupts) == seen; wait++)
            (void)usleep(1000);
        assert_int_equal(atomic_load(&told), 0);
        assert_int_equal(channel->send(end[0], &"abc"[i], 1, -1), 1);
    }
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    assert_int_equal(atomic_load(&interrupts), 3);
    for (unsigned i = 0; i < 2; i++)
        channel->detach(end[i]);
    channel->destroy(handle);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_ends_are_refused),
        cmocka_unit_test(capacity_is_set),
        cmocka_unit_test(pairs_are_apart),
        cmocka_unit_test(interrupted_reads_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
