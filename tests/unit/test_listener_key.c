/* Listeners and clients with a key: each side proves that it has it, and who does not is gone in bounded time. */
#include <prony/listener.h>
#include <prony/pipe.h>

#include "tests/unit/family.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static const struct prony_key right = {"open sesame", 11, LONG_NS}, wrong = {"open sesam", 10, LONG_NS};

enum { KINDS = 2, GUESTS = 16 };

static void open_keyed(struct prony_listener *listener, unsigned kind, const struct prony_key *key)
{
    struct prony_error error = {0, ""};
    char address[PRONY_ADDRESS];
    int code;
    (void)snprintf(address, sizeof address, kind == 0 ? "unix:@prony-key-%d" : "tcp:127.0.0.1:0", getpid());
    code = prony_listener_open_keyed(listener, address, key, &error);
    if (code == -ENOTSUP) {
        print_message("%s\n", error.text);
        skip();
    }
    if (code != 0)
        fail_msg("%s", error.text);
}

/* A client in a process of its own. */
struct caller {
    struct prony_listener *listener;
    const struct prony_key *key;
    int code;         /* that it expects */
    const char *says; /* in the error */
};

static void *call(void *memory)
{
    const struct caller *caller = memory;
    struct prony_connection peer;
    struct prony_error error = {0, ""};
    char text[8];
    size_t got = 0;
    int code = prony_connect_keyed(caller->listener->address, caller->key, &peer, LONG_NS, &error);
    if (code != caller->code || (code != 0 && strstr(error.text, caller->says) == NULL)) {
        (void)fprintf(stderr, "%d %s\n", code, error.text);
        return memory;
    }
    if (code != 0)
        return NULL;
    if (prony_connection_send(&peer, "abc", 3, LONG_NS) != 0 ||
        prony_connection_receive(&peer, text, sizeof text, &got, LONG_NS) != 0)
        return memory;
    return got == 2 && memcmp(text, "de", 2) == 0 ? NULL : memory;
}

static void talks(const struct prony_connection *peer)
{
    char text[8];
    size_t got = 0;
    assert_int_equal(prony_connection_receive(peer, text, sizeof text, &got, LONG_NS), 0);
    assert_true(got == 3 && memcmp(text, "abc", 3) == 0);
    assert_int_equal(prony_connection_send(peer, "de", 2, LONG_NS), 0);
    (void)close(peer->fd);
}

static void who_has_the_key_is_let_in(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct prony_listener listener;
        struct prony_connection peer;
        struct caller caller = {&listener, &right, 0, ""};
        open_keyed(&listener, kind, &right);
        assert_int_equal(prony_listener_accept(&listener, &peer, 0), -ETIMEDOUT);
        for (unsigned i = 0; i < 3; i++) {
            pid_t pid = process_of(call, &caller);
            assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), 0);
            talks(&peer);
            assert_int_equal(status_of(pid), 0);
        }
        prony_listener_close(&listener);
    }
}

static void a_wrong_key_is_told_to_both(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct prony_listener listener;
        struct prony_connection peer;
        struct caller caller = {&listener, &wrong, -EACCES, "not the same key"};
        pid_t pid;
        open_keyed(&listener, kind, &right);
        pid = process_of(call, &caller);
        assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), -EACCES);
        assert_int_equal(status_of(pid), 0);
        caller = (struct caller){&listener, &right, 0, ""};
        pid = process_of(call, &caller);
        assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), 0);
        talks(&peer);
        assert_int_equal(status_of(pid), 0);
        prony_listener_close(&listener);
    }
}

/* Clients that say nothing: one with the key comes in past any number of them, at once. */
static void the_silent_hold_up_nobody(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct prony_connection silent[2 * GUESTS], peer;
        struct prony_listener listener;
        struct caller caller = {&listener, &right, 0, ""};
        unsigned refused = 0;
        pid_t pid;
        int code;
        open_keyed(&listener, kind, &right);
        for (unsigned i = 0; i < 2 * GUESTS; i++)
            assert_int_equal(prony_connect(listener.address, &silent[i], LONG_NS, NULL), 0);
        pid = process_of(call, &caller);
        while ((code = prony_listener_accept(&listener, &peer, LONG_NS)) == -EACCES)
            refused++;
        assert_int_equal(code, 0);
        assert_in_range(refused, GUESTS, 2 * GUESTS);
        talks(&peer);
        assert_int_equal(status_of(pid), 0);
        for (unsigned i = 0; i < 2 * GUESTS; i++)
            (void)close(silent[i].fd);
        prony_listener_close(&listener);
    }
}

static void silence_ends(void **state)
{
    const struct prony_key hasty = {right.bytes, right.length, 5 * MS};
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct prony_listener listener;
        struct prony_connection silent, peer;
        struct prony_error error = {0, ""};
        char text[64];
        size_t got;
        open_keyed(&listener, kind, &hasty);
        assert_int_equal(prony_connect(listener.address, &silent, LONG_NS, NULL), 0);
        assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), -EACCES);
        /* who came without a key finds the question, and the end */
        assert_int_equal(prony_connection_receive(&silent, text, sizeof text, &got, LONG_NS), 0);
        assert_true(got == 40 && memcmp(text, "prony-1\n", 8) == 0);
        assert_int_equal(prony_connection_receive(&silent, text, sizeof text, &got, LONG_NS), -ENODATA);
        (void)close(silent.fd);
        prony_listener_close(&listener);
        /* a listener that does not ask */
        open_keyed(&listener, kind, NULL);
        assert_int_equal(prony_connect_keyed(listener.address, &hasty, &peer, -1, &error), -ETIMEDOUT);
        assert_non_null(strstr(error.text, "did not ask for the key in time"));
        prony_listener_close(&listener);
    }
}

static void send_raw(const struct prony_connection *peer, const void *bytes, size_t n)
{
    assert_int_equal(send(peer->fd, bytes, n, MSG_NOSIGNAL), n);
}

/* Half a proof, none, a message of another kind, and the end. */
static void what_is_no_proof(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned way = 0; way < 4; way++) {
            unsigned char proof[68] = {64};
            struct prony_listener listener;
            struct prony_connection client, peer;
            open_keyed(&listener, kind, &right);
            assert_int_equal(prony_connect(listener.address, &client, LONG_NS, NULL), 0);
            if (way == 0) {
                assert_int_equal(prony_connection_send(&client, "hello", 5, LONG_NS), 0);
            } else if (way == 1) {
                send_raw(&client, proof, 3);
                assert_int_equal(prony_listener_accept(&listener, &peer, 0), -ETIMEDOUT);
                send_raw(&client, proof + 3, 20);
                assert_int_equal(prony_listener_accept(&listener, &peer, 5 * MS), -ETIMEDOUT);
                send_raw(&client, proof + 23, 45);
            } else if (way == 2) {
                send_raw(&client, proof, 30);
            }
            if (way >= 2)
                (void)close(client.fd);
            assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), -EACCES);
            if (way < 2)
                (void)close(client.fd);
            prony_listener_close(&listener);
        }
}

/* A proof that was heard is good for nobody else: the listener's number is another one. */
static void a_proof_is_good_once(void **state)
{
    unsigned char asked[44], proof[68], verdict[36], refused[36] = {32};
    struct prony_listener listener, between;
    struct prony_connection client, to_listener, peer;
    struct caller caller = {&between, &right, 0, ""};
    pid_t pid;
    (void)state;
    open_keyed(&listener, 1, &right);
    open_keyed(&between, 1, NULL); /* hands on what it hears, both ways */
    pid = process_of(call, &caller);
    assert_int_equal(prony_listener_accept(&between, &client, LONG_NS), 0);
    assert_int_equal(prony_connect(listener.address, &to_listener, LONG_NS, NULL), 0);
    assert_int_equal(prony_listener_accept(&listener, &peer, 0), -ETIMEDOUT);
    assert_int_equal(recv(to_listener.fd, asked, sizeof asked, MSG_WAITALL), sizeof asked);
    send_raw(&client, asked, sizeof asked);
    assert_int_equal(recv(client.fd, proof, sizeof proof, MSG_WAITALL), sizeof proof);
    send_raw(&to_listener, proof, sizeof proof);
    assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), 0);
    assert_int_equal(recv(to_listener.fd, verdict, sizeof verdict, MSG_WAITALL), sizeof verdict);
    send_raw(&client, verdict, sizeof verdict);
    talks(&client);
    assert_int_equal(status_of(pid), 0);
    (void)close(to_listener.fd);
    (void)close(peer.fd);
    assert_int_equal(prony_connect(listener.address, &to_listener, LONG_NS, NULL), 0);
    send_raw(&to_listener, proof, sizeof proof);
    assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), -EACCES);
    assert_int_equal(recv(to_listener.fd, asked, sizeof asked, MSG_WAITALL), sizeof asked);
    assert_int_equal(recv(to_listener.fd, verdict, sizeof verdict, MSG_WAITALL), sizeof verdict);
    assert_memory_equal(verdict, refused, sizeof refused);
    (void)close(to_listener.fd);
    prony_listener_close(&between);
    prony_listener_close(&listener);
}

/* A listener without the key is no listener: it asks, and sends back what it was told, or says that all is well. */
static void a_false_listener_is_found_out(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        unsigned char asked[44] = {way == 2 ? 39 : 40}, proof[68], verdict[36] = {32};
        struct prony_listener listener;
        struct prony_connection client;
        struct caller caller = {&listener, &right, -EACCES, "not the same key"};
        pid_t pid;
        open_keyed(&listener, 1, &right);
        prony_listener_close(&listener); /* there are keys here */
        open_keyed(&listener, 1, NULL);
        memcpy(asked + 4, "prony-1\n", 8);
        pid = process_of(call, &caller);
        assert_int_equal(prony_listener_accept(&listener, &client, LONG_NS), 0);
        send_raw(&client, asked, sizeof asked);
        if (way < 2) {
            assert_int_equal(recv(client.fd, proof, sizeof proof, MSG_WAITALL), sizeof proof);
            memcpy(verdict + 4, way == 0 ? proof + 36 : verdict + 4, 32);
            send_raw(&client, verdict, sizeof verdict);
        }
        assert_int_equal(status_of(pid), 0);
        (void)close(client.fd);
        prony_listener_close(&listener);
    }
}

static void it_is_waited_for_like_a_pipe(void **state)
{
    struct prony_listener listener;
    struct prony_connection peer;
    struct caller caller = {&listener, &right, 0, ""};
    pid_t pid;
    int code;
    (void)state;
    open_keyed(&listener, 1, &right);
    assert_int_equal(prony_pipe_poll(listener.fd, 0), -ETIMEDOUT);
    pid = process_of(call, &caller);
    do { /* first that it has come, then that it has answered */
        assert_int_equal(prony_pipe_poll(listener.fd, LONG_NS), 0);
        code = prony_listener_accept(&listener, &peer, 0);
    } while (code == -ETIMEDOUT);
    assert_int_equal(code, 0);
    assert_int_equal(prony_pipe_poll(listener.fd, 0), -ETIMEDOUT); /* what it sends now is not the listener's */
    talks(&peer);
    assert_int_equal(status_of(pid), 0);
    prony_listener_close(&listener);
}

static void *accept_in_a_copy(void *memory)
{
    struct prony_connection peer;
    return prony_listener_accept(memory, &peer, LONG_NS) == -EPERM ? NULL : memory;
}

static void keys_that_cannot_be(void **state)
{
    static const struct prony_key bad[] = {{"", 0, 0}, {NULL, 5, 0}, {"key", 3, -1}};
    struct prony_listener listener;
    struct prony_connection peer;
    struct prony_error error = {0, ""};
    (void)state;
    open_keyed(&listener, 1, &right);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct prony_listener other;
        assert_int_equal(prony_listener_open_keyed(&other, "tcp:127.0.0.1:0", &bad[i], &error), -EINVAL);
        assert_int_equal(other.fd, -1);
        assert_int_equal(prony_connect_keyed(listener.address, &bad[i], &peer, LONG_NS, &error), -EINVAL);
        assert_int_equal(prony_listener_accept(&listener, &peer, LONG_NS), -EACCES);
    }
    assert_int_equal(status_of(process_of(accept_in_a_copy, &listener)), 0);
    prony_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_the_key_is_let_in),
        cmocka_unit_test(a_wrong_key_is_told_to_both),
        cmocka_unit_test(the_silent_hold_up_nobody),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(what_is_no_proof),
        cmocka_unit_test(a_proof_is_good_once),
        cmocka_unit_test(a_false_listener_is_found_out),
        cmocka_unit_test(it_is_waited_for_like_a_pipe),
        cmocka_unit_test(keys_that_cannot_be),
    };
    (void)alarm(200);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
