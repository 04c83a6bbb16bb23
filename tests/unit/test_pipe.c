/* Pipes: boundaries of messages, both ways and one way, limits, the end, and the wait for many. */
#include <prony/pipe.h>

#include "base/clock.h"
#include "tests/unit/family.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static void close_both(struct prony_pipe *ends)
{
    for (unsigned i = 0; i < 2; i++)
        if (ends->fd[i] >= 0)
            (void)close(ends->fd[i]);
}

static void make(struct prony_pipe *ends, int duplex)
{
    struct prony_error error;
    assert_int_equal(prony_pipe_make(ends, duplex, &error), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_true((fcntl(ends->fd[i], F_GETFD) & FD_CLOEXEC) != 0);
}

static void messages_stay_whole(void **state)
{
    struct prony_pipe ends;
    char text[64] = "";
    size_t got = 99;
    (void)state;
    make(&ends, 1);
    assert_int_equal(prony_pipe_send(ends.fd[0], "one", 3, -1), 0);
    assert_int_equal(prony_pipe_send(ends.fd[0], NULL, 0, -1), 0);
    assert_int_equal(prony_pipe_send(ends.fd[0], "three", 5, -1), 0);
    assert_int_equal(prony_pipe_send(ends.fd[1], "back", 4, -1), 0);
    assert_int_equal(prony_pipe_receive(ends.fd[1], text, sizeof text, &got, -1), 0);
    assert_true(got == 3 && memcmp(text, "one", 3) == 0);
    assert_int_equal(prony_pipe_receive(ends.fd[1], text, sizeof text, &got, -1), 0);
    assert_int_equal(got, 0); /* an empty message is no end */
    assert_int_equal(prony_pipe_receive(ends.fd[1], text, 4, &got, -1), -EMSGSIZE);
    assert_int_equal(got, 5);
    assert_int_equal(prony_pipe_receive(ends.fd[0], text, sizeof text, &got, -1), 0);
    assert_true(got == 4 && memcmp(text, "back", 4) == 0);
    close_both(&ends);
}

static void one_way_is_one_way(void **state)
{
    struct prony_pipe ends;
    char byte = 'x';
    (void)state;
    make(&ends, 0);
    assert_int_equal(prony_pipe_send(ends.fd[0], &byte, 1, 0), -EPIPE);
    assert_int_equal(prony_pipe_send(ends.fd[1], &byte, 1, 0), 0);
    assert_int_equal(prony_pipe_receive(ends.fd[0], &byte, 1, NULL, 0), 0);
    assert_int_equal(prony_pipe_receive(ends.fd[1], &byte, 1, NULL, -1), -ENODATA);
    close_both(&ends);
}

static void limits_hold_both_ways(void **state)
{
    static char block[30000];
    struct prony_pipe ends;
    uint64_t begun = prony_now_ns();
    unsigned sent = 0;
    int code;
    (void)state;
    make(&ends, 1);
    assert_int_equal(prony_pipe_receive(ends.fd[0], block, 1, NULL, 0), -ETIMEDOUT);
    assert_int_equal(prony_pipe_receive(ends.fd[0], block, 1, NULL, 5 * MS), -ETIMEDOUT);
    assert_int_equal(prony_pipe_poll(ends.fd[0], 0), -ETIMEDOUT);
    while ((code = prony_pipe_send(ends.fd[0], block, sizeof block, 5 * MS)) == 0)
        assert_true(++sent < 1000);
    assert_int_equal(code, -ETIMEDOUT);
    assert_true(sent > 0 && prony_now_ns() - begun >= (uint64_t)(10 * MS));
    assert_int_equal(prony_pipe_poll(ends.fd[1], -1), 0);
    assert_int_equal(prony_pipe_receive(ends.fd[1], block, sizeof block, NULL, 0), 0);
    assert_int_equal(prony_pipe_send(ends.fd[0], block, sizeof block, 0), 0);
    close_both(&ends);
}

static void the_end_comes_after_what_was_sent(void **state)
{
    struct prony_pipe ends;
    char byte = 'x';
    (void)state;
    make(&ends, 1);
    assert_int_equal(prony_pipe_send(ends.fd[0], &byte, 1, -1), 0);
    (void)close(ends.fd[0]);
    ends.fd[0] = -1;
    assert_int_equal(prony_pipe_poll(ends.fd[1], 0), 0);
    assert_int_equal(prony_pipe_receive(ends.fd[1], &byte, 1, NULL, -1), 0);
    assert_int_equal(prony_pipe_poll(ends.fd[1], 0), 0);
    assert_int_equal(prony_pipe_receive(ends.fd[1], &byte, 1, NULL, -1), -ENODATA);
    assert_int_equal(prony_pipe_send(ends.fd[1], &byte, 1, -1), -EPIPE);
    assert_int_equal(prony_pipe_receive(-1, &byte, 1, NULL, -1), -EBADF);
    assert_int_equal(prony_pipe_poll(9999, 0), -EBADF);
    close_both(&ends);
}

#define LARGE (5u << 20)

static unsigned char byte_of(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 13);
}

/* Longer than any socket's buffer, and nobody has to receive meanwhile. */
static void long_messages_too(void **state)
{
    struct prony_pipe ends;
    unsigned char *out = malloc(LARGE), *in = calloc(1, LARGE);
    size_t got;
    (void)state;
    assert_true(out != NULL && in != NULL);
    make(&ends, 0);
    for (size_t i = 0; i < LARGE; i++)
        out[i] = byte_of(i);
    assert_int_equal(prony_pipe_send(ends.fd[1], out, LARGE, 0), 0);
    assert_int_equal(prony_pipe_send(ends.fd[1], "z", 1, 0), 0);
    assert_int_equal(prony_pipe_send(ends.fd[1], out, LARGE, 0), 0);
    assert_int_equal(prony_pipe_receive(ends.fd[0], in, LARGE, &got, 0), 0);
    assert_int_equal(got, LARGE);
    assert_memory_equal(in, out, LARGE);
    assert_int_equal(prony_pipe_receive(ends.fd[0], in, LARGE, &got, 0), 0);
    assert_true(got == 1 && in[0] == 'z');
    assert_int_equal(prony_pipe_receive(ends.fd[0], in, 10, &got, 0), -EMSGSIZE);
    assert_int_equal(got, LARGE);
    assert_int_equal(prony_pipe_receive(ends.fd[0], in, 10, &got, 0), -ETIMEDOUT);
    close_both(&ends);
    free(out);
    free(in);
}

/* A simple queue: several processes send, several receive, each message reaches one of them. */
struct crowd {
    struct prony_pipe ends;
    uint64_t sum;
};
#define EACH 2000

static void *send_all(void *memory)
{
    struct crowd *crowd = memory;
    for (uint64_t i = 1; i <= EACH; i++)
        if (prony_pipe_send(crowd->ends.fd[1], &i, sizeof i, LONG_NS) != 0)
            return DISCONTENT;
    return NULL;
}

static void *receive_all(void *memory)
{
    struct crowd *crowd = memory;
    uint64_t number;
    size_t got;
    int code;
    (void)close(crowd->ends.fd[1]);
    while ((code = prony_pipe_receive(crowd->ends.fd[0], &number, sizeof number, &got, LONG_NS)) == 0) {
        if (got != sizeof number || number == 0 || number > EACH)
            return DISCONTENT;
        __atomic_fetch_add(&crowd->sum, number, __ATOMIC_RELAXED);
    }
    return code == -ENODATA ? NULL : DISCONTENT;
}

static void many_send_and_many_receive(void **state)
{
    struct crowd *crowd = shared_memory(sizeof *crowd);
    pid_t pids[MEMBERS];
    (void)state;
    make(&crowd->ends, 0);
    for (unsigned i = 0; i < MEMBERS; i++)
        pids[i] = process_of(receive_all, crowd);
    by_processes(send_all, crowd);
    by_threads(send_all, crowd);
    (void)close(crowd->ends.fd[1]);
    crowd->ends.fd[1] = -1;
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(status_of(pids[i]), 0);
    assert_int_equal(crowd->sum, (uint64_t)2 * MEMBERS * EACH * (EACH + 1) / 2);
    close_both(&crowd->ends);
    (void)munmap(crowd, sizeof *crowd);
}

#define PIPES 20

static void waiting_for_many(void **state)
{
    struct prony_pipe ends[PIPES];
    unsigned char ready[PIPES];
    int fds[PIPES], bad[2];
    (void)state;
    for (unsigned i = 0; i < PIPES; i++) {
        make(&ends[i], 0);
        fds[i] = ends[i].fd[0];
    }
    assert_int_equal(prony_wait_many(fds, PIPES, ready, 0), 0);
    assert_int_equal(prony_wait_many(fds, 2, ready, 2 * MS), 0);
    assert_int_equal(prony_wait_many(NULL, 0, ready, 0), 0);
    assert_int_equal(prony_pipe_send(ends[3].fd[1], "x", 1, -1), 0);
    assert_int_equal(prony_wait_many(fds, PIPES, ready, -1), 1);
    (void)close(ends[17].fd[1]);
    ends[17].fd[1] = -1;
    assert_int_equal(prony_wait_many(fds, PIPES, ready, -1), 2);
    for (unsigned i = 0; i < PIPES; i++)
        assert_int_equal(ready[i], i == 3 || i == 17);
    bad[0] = fds[3];
    bad[1] = 9999;
    assert_int_equal(prony_wait_many(bad, 2, ready, 0), -EBADF);
    for (unsigned i = 0; i < PIPES; i++)
        close_both(&ends[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_stay_whole),   cmocka_unit_test(one_way_is_one_way),
        cmocka_unit_test(limits_hold_both_ways), cmocka_unit_test(the_end_comes_after_what_was_sent),
        cmocka_unit_test(long_messages_too),     cmocka_unit_test(many_send_and_many_receive),
        cmocka_unit_test(waiting_for_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
