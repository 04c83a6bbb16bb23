/* Connections between processes that are no kin: over unix sockets and loopback TCP, used as pipes. */
#include <prony/listener.h>
#include <prony/pipe.h>

#include "tests/unit/family.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LARGE 3000000u

/* A path for a socket, an abstract name, a port: of this process alone. */
static const char *address_of(unsigned kind)
{
    static char text[PRONY_ADDRESS];
    if (kind == 0)
        (void)snprintf(text, sizeof text, "unix:/tmp/prony-listener-%d", getpid());
    else if (kind == 1)
        (void)snprintf(text, sizeof text, "unix:@prony-listener-%d", getpid());
    else
        (void)snprintf(text, sizeof text, "tcp:127.0.0.1:0");
    return text;
}
enum { KINDS = 3, TCP = 2 };

static void listen_at(struct prony_listener *listener, unsigned kind)
{
    struct prony_error error = {0, ""};
    if (prony_listener_open(listener, address_of(kind), &error) != 0)
        fail_msg("%s", error.text);
}

static void connect_pair(struct prony_listener *listener, struct prony_connection side[2])
{
    struct prony_error error = {0, ""};
    if (prony_connect(listener->address, &side[0], LONG_NS, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(prony_listener_accept(listener, &side[1], LONG_NS), 0);
}

/* Gives back each message with its bytes turned, until the end. */
static void *echo(void *memory)
{
    struct prony_listener *listener = memory;
    unsigned char *message = malloc(LARGE);
    size_t got;
    struct prony_connection peer;
    int code = message == NULL ? -ENOMEM : prony_connect(listener->address, &peer, LONG_NS, NULL);
    while (code == 0 && (code = prony_connection_receive(&peer, message, LARGE, &got, LONG_NS)) == 0) {
        for (size_t i = 0; i < got; i++)
            message[i] ^= 0xff;
        code = prony_connection_send(&peer, message, got, LONG_NS);
    }
    free(message);
    return code == -ENODATA ? NULL : memory;
}

static void messages_stay_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 4, 1000, 32768, 32769, LARGE};
    unsigned char *message = malloc(LARGE), *back = malloc(LARGE);
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct prony_listener listener;
        struct prony_connection peer;
        pid_t pid;
        listen_at(&listener, kind);
        pid = process_of(echo, &listener);
        assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), 0);
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t got = 0;
            for (size_t k = 0; k < sizes[i]; k++)
                message[k] = (unsigned char)(k * 31 + i);
            assert_int_equal(prony_connection_send(&peer, message, sizes[i], LONG_NS), 0);
            assert_int_equal(prony_connection_receive(&peer, back, LARGE, &got, LONG_NS), 0);
            assert_int_equal(got, sizes[i]);
            for (size_t k = 0; k < got; k++)
                back[k] ^= 0xff;
            assert_memory_equal(message, back, got);
        }
        (void)close(peer.fd);
        assert_int_equal(status_of(pid), 0);
        prony_listener_close(&listener);
    }
    free(message);
    free(back);
}

static void they_are_waited_for_like_pipes(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct prony_listener listener;
        unsigned char ready[3];
        struct prony_connection side[2], other[2];
        int all[3];
        char text[8];
        size_t got;
        listen_at(&listener, kind);
        assert_int_equal(prony_listener_accept(&listener, &side[1], 0), -ETIMEDOUT);
        assert_int_equal(prony_listener_accept(&listener, &side[1], 5 * MS), -ETIMEDOUT);
        connect_pair(&listener, side);
        all[0] = listener.fd, all[1] = side[0].fd, all[2] = side[1].fd;
        assert_int_equal(prony_wait_many(all, 3, ready, 0), 0);
        assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, NULL, MS), -ETIMEDOUT);
        assert_int_equal(prony_connection_send(&side[0], "abc", 3, LONG_NS), 0);
        assert_int_equal(prony_pipe_poll(side[1].fd, LONG_NS), 0);
        assert_int_equal(prony_wait_many(all, 3, ready, LONG_NS), 1);
        assert_true(!ready[0] && !ready[1] && ready[2]);
        assert_int_equal(prony_connect(listener.address, &other[0], LONG_NS, NULL), 0);
        assert_int_equal(prony_pipe_poll(listener.fd, LONG_NS), 0);
        assert_int_equal(prony_wait_many(all, 3, ready, LONG_NS), 2);
        assert_true(ready[0] && !ready[1] && ready[2]);
        assert_int_equal(prony_listener_accept(&listener, &other[1], LONG_NS), 0);
        assert_int_equal(prony_connection_send(&side[0], "defghijkl", 9, LONG_NS), 0);
        assert_int_equal(prony_connection_send(&side[0], "m", 1, LONG_NS), 0);
        assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, &got, LONG_NS), 0);
        assert_true(got == 3 && memcmp(text, "abc", 3) == 0);
        assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, &got, LONG_NS), -EMSGSIZE);
        assert_int_equal(got, 9);
        assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, &got, LONG_NS), 0);
        assert_true(got == 1 && text[0] == 'm');
        (void)close(side[0].fd);
        assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, NULL, LONG_NS), -ENODATA);
        (void)close(side[1].fd);
        prony_listener_close(&listener); /* connections stay */
        assert_int_equal(prony_connection_send(&other[1], "n", 1, LONG_NS), 0);
        assert_int_equal(prony_connection_receive(&other[0], text, sizeof text, NULL, LONG_NS), 0);
        (void)close(other[0].fd);
        (void)close(other[1].fd);
    }
}

static void addresses_that_cannot_be(void **state)
{
    static const char *const bad[] = {"",
                                      "unix:",
                                      "unix:@",
                                      "tcp:",
                                      "tcp:127.0.0.1",
                                      "tcp:127.0.0.1:",
                                      "tcp:127.0.0.1:65536",
                                      "tcp:127.0.0.1:7x",
                                      "tcp:0.0.0.0:0",
                                      "tcp:localhost:0",
                                      "pipe:x"};
    char long_one[400];
    struct prony_listener listener, second;
    struct prony_error error = {0, ""};
    struct prony_connection peer;
    struct stat file;
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(prony_listener_open(&listener, bad[i], &error), -EINVAL);
        assert_int_equal(prony_connect(bad[i], &peer, 0, &error), -EINVAL);
        assert_non_null(strstr(error.text, "is no address"));
    }
    memset(long_one, 'x', sizeof long_one);
    memcpy(long_one, "unix:", 5);
    long_one[sizeof long_one - 1] = '\0';
    assert_int_equal(prony_listener_open(&listener, long_one, &error), -EINVAL);
    assert_int_equal(prony_connect(address_of(0), &peer, LONG_NS, &error), -ENOENT);
    assert_int_equal(prony_connect(address_of(1), &peer, LONG_NS, &error), -ECONNREFUSED);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        char address[PRONY_ADDRESS];
        listen_at(&listener, kind);
        (void)memcpy(address, listener.address, sizeof address);
        assert_int_equal(prony_listener_open(&second, address, &error), -EADDRINUSE);
        assert_int_equal(second.fd, -1);
        assert_int_equal(kind == 0 ? stat(address + 5, &file) : 0, 0); /* the other's file is left alone */
        prony_listener_close(&listener);
        assert_int_equal(kind == 0 ? stat(address + 5, &file) : -1, -1);
        assert_int_equal(prony_connect(address, &peer, LONG_NS, &error), kind == 0 ? -ENOENT : -ECONNREFUSED);
    }
}

/* A try whose listener has no room for it ends with its limit. */
static void a_full_listener_is_waited_for(void **state)
{
    struct prony_listener listener;
    struct prony_connection fds[200];
    int n = 0, code = 0;
    (void)state;
    listen_at(&listener, 1);
    while (n < 200 && code == 0 && (code = prony_connect(listener.address, &fds[n], 2 * MS, NULL)) == 0)
        n++;
    assert_int_equal(code, -ETIMEDOUT);
    assert_true(n > 0);
    while (n > 0)
        (void)close(fds[--n].fd);
    prony_listener_close(&listener);
}

/* A peer that stops in the middle of a message over TCP. */
static void a_torn_message_ends_the_connection(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        static const unsigned char begun[] = {10, 0, 0, 0, 'a', 'b'};
        struct prony_listener listener;
        struct prony_connection side[2];
        char text[16];
        listen_at(&listener, TCP);
        connect_pair(&listener, side);
        assert_int_equal(send(side[0].fd, begun, sizeof begun, 0), sizeof begun);
        if (way == 0) {
            assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, NULL, 5 * MS), -ETIMEDOUT);
            assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, NULL, LONG_NS), -ENODATA);
            assert_int_equal(prony_connection_receive(&side[0], text, sizeof text, NULL, LONG_NS), -ENODATA);
        } else {
            (void)close(side[0].fd);
            assert_int_equal(prony_connection_receive(&side[1], text, sizeof text, NULL, LONG_NS), -EBADMSG);
        }
        if (way == 0)
            (void)close(side[0].fd);
        (void)close(side[1].fd);
        prony_listener_close(&listener);
    }
}

/* Nobody's process against ours. */
static void *as_another_user(void *memory)
{
    struct prony_listener *listener = memory;
    struct prony_connection peer;
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return memory;
    return prony_connect(listener->address, &peer, LONG_NS, NULL) == -EACCES ? NULL : memory;
}

static void another_user_is_refused(void **state)
{
    struct prony_listener listener;
    struct prony_connection peer;
    pid_t pid;
    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can become another */
    listen_at(&listener, 1);
    pid = process_of(as_another_user, &listener);
    assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), -EACCES);
    assert_int_equal(status_of(pid), 0);
    prony_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_stay_whole),
        cmocka_unit_test(they_are_waited_for_like_pipes),
        cmocka_unit_test(addresses_that_cannot_be),
        cmocka_unit_test(a_full_listener_is_waited_for),
        cmocka_unit_test(a_torn_message_ends_the_connection),
        cmocka_unit_test(another_user_is_refused),
    };
    (void)alarm(200);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
