/* The bounded queue: every message once, in order, within its limits, whoever dies. */
#include <prony/arena.h>
#include <prony/queue.h>

#include "base/clock.h"
#include "tests/unit/family.h"

#include <errno.h>

#define CAPACITY 4
#define MESSAGE 40
#define EACH 2000

struct bench {
    struct prony_arena arena;
    struct prony_span span;
};

static struct prony_queue *queue_of(const struct bench *bench)
{
    return (struct prony_queue *)(void *)(bench->arena.base + bench->span.off);
}

static void make(struct bench *bench)
{
    struct prony_error error;
    uint64_t room = prony_queue_room(CAPACITY, MESSAGE);
    assert_true(room > CAPACITY * MESSAGE);
    assert_int_equal(prony_arena_create(&bench->arena, 65536, &error), 0);
    assert_int_equal(prony_arena_take(&bench->arena, room + sizeof(uint64_t), 64, &bench->span, &error), 0);
    assert_int_equal(prony_queue_init(queue_of(bench), CAPACITY, MESSAGE, &error), 0);
}

static void drop(struct bench *bench)
{
    prony_arena_close(&bench->arena);
}

static void sizes_that_cannot_be(void **state)
{
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(prony_queue_room(0, 8), 0);
    assert_int_equal(prony_queue_room(8, UINT32_MAX), 0);
    assert_int_equal(prony_queue_init(NULL, 0, 8, &error), -EINVAL);
    assert_non_null(strstr(error.text, "cannot be"));
}

static void first_in_first_out_with_sizes(void **state)
{
    struct bench bench;
    struct prony_queue *queue;
    char text[MESSAGE] = "";
    size_t got = 99;
    (void)state;
    make(&bench);
    queue = queue_of(&bench);
    assert_int_equal(prony_queue_put(queue, "a", 1, 0), 0);
    assert_int_equal(prony_queue_put(queue, NULL, 0, 0), 0);
    assert_int_equal(prony_queue_put(queue, "longer", 7, 0), 0);
    assert_int_equal(prony_queue_put(queue, text, MESSAGE + 1, 0), -EMSGSIZE);
    assert_int_equal(prony_queue_size(queue), 3);
    assert_int_equal(prony_queue_get(queue, text, sizeof text, &got, 0), 0);
    assert_true(got == 1 && text[0] == 'a');
    assert_int_equal(prony_queue_get(queue, NULL, 0, &got, 0), 0);
    assert_int_equal(got, 0);
    assert_int_equal(prony_queue_get(queue, text, 3, &got, 0), -EMSGSIZE);
    assert_int_equal(got, 7);
    assert_int_equal(prony_queue_get(queue, text, sizeof text, NULL, 0), 0); /* it had stayed */
    assert_string_equal(text, "longer");
    drop(&bench);
}

static void limits_when_full_and_when_empty(void **state)
{
    struct bench bench;
    struct prony_queue *queue;
    uint64_t begun;
    char byte = 'x';
    (void)state;
    make(&bench);
    queue = queue_of(&bench);
    assert_int_equal(prony_queue_get(queue, &byte, 1, NULL, 0), -ETIMEDOUT);
    begun = prony_now_ns();
    assert_int_equal(prony_queue_get(queue, &byte, 1, NULL, 5 * MS), -ETIMEDOUT);
    for (unsigned i = 0; i < CAPACITY; i++)
        assert_int_equal(prony_queue_put(queue, &byte, 1, -1), 0);
    assert_int_equal(prony_queue_put(queue, &byte, 1, 0), -ETIMEDOUT);
    assert_int_equal(prony_queue_put(queue, &byte, 1, 5 * MS), -ETIMEDOUT);
    assert_true(prony_now_ns() - begun >= (uint64_t)(10 * MS));
    assert_int_equal(prony_queue_size(queue), CAPACITY);
    drop(&bench);
}

/* What each producer sends: the sum of 1..EACH; a consumer adds what it gets to the word behind the queue. */
static void *produce(void *memory)
{
    for (uint64_t i = 1; i <= EACH; i++)
        if (prony_queue_put(memory, &i, sizeof i, LONG_NS) != 0)
            return DISCONTENT;
    return NULL;
}

static void *consume(void *memory)
{
    uint64_t *sum = (uint64_t *)(void *)((char *)memory + prony_queue_room(CAPACITY, MESSAGE)), number;
    int code;
    size_t got;
    while ((code = prony_queue_get(memory, &number, sizeof number, &got, LONG_NS)) == 0) {
        if (got != sizeof number || number == 0 || number > EACH)
            return DISCONTENT;
        __atomic_fetch_add(sum, number, __ATOMIC_RELAXED);
        if (prony_queue_task_done(memory) != 0)
            return DISCONTENT;
    }
    return code == -EPIPE ? NULL : DISCONTENT;
}

static void many_producers_and_consumers(void **state)
{
    struct bench bench;
    (void)state;
    for (unsigned processes = 0; processes < 2; processes++) {
        struct prony_queue *queue;
        pid_t pids[MEMBERS];
        make(&bench);
        queue = queue_of(&bench);
        for (unsigned i = 0; i < MEMBERS; i++)
            pids[i] = process_of(consume, queue);
        if (processes)
            by_processes(produce, queue);
        else
            by_threads(produce, queue);
        assert_int_equal(prony_queue_join(queue, LONG_NS), 0);
        assert_int_equal(prony_queue_size(queue), 0);
        prony_queue_close(queue);
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_int_equal(status_of(pids[i]), 0);
        assert_true(*(uint64_t *)(void *)((char *)queue + prony_queue_room(CAPACITY, MESSAGE)) ==
                    (uint64_t)MEMBERS * EACH * (EACH + 1) / 2);
        drop(&bench);
    }
}

static void threads_consume_too(void **state)
{
    struct bench bench;
    pthread_t thread;
    void *said;
    (void)state;
    make(&bench);
    assert_int_equal(pthread_create(&thread, NULL, consume, queue_of(&bench)), 0);
    by_threads(produce, queue_of(&bench));
    assert_int_equal(prony_queue_join(queue_of(&bench), LONG_NS), 0);
    prony_queue_close(queue_of(&bench));
    assert_int_equal(pthread_join(thread, &said), 0);
    assert_null(said);
    drop(&bench);
}

static void join_counts_what_is_done(void **state)
{
    struct bench bench;
    struct prony_queue *queue;
    char byte = 'x';
    (void)state;
    make(&bench);
    queue = queue_of(&bench);
    assert_int_equal(prony_queue_join(queue, 0), 0);
    assert_int_equal(prony_queue_task_done(queue), -EINVAL);
    assert_int_equal(prony_queue_put(queue, &byte, 1, 0), 0);
    assert_int_equal(prony_queue_get(queue, &byte, 1, NULL, 0), 0);
    assert_int_equal(prony_queue_join(queue, 0), -ETIMEDOUT); /* taken, but not dealt with */
    assert_int_equal(prony_queue_join(queue, 2 * MS), -ETIMEDOUT);
    assert_int_equal(prony_queue_task_done(queue), 0);
    assert_int_equal(prony_queue_join(queue, -1), 0);
    assert_int_equal(prony_queue_task_done(queue), -EINVAL);
    drop(&bench);
}

static void *get_from_closed(void *memory)
{
    char byte;
    return prony_queue_get(memory, &byte, 1, NULL, LONG_NS) == -EPIPE ? NULL : DISCONTENT;
}

static void a_closed_queue_is_emptied_and_ends(void **state)
{
    struct bench bench;
    struct prony_queue *queue;
    pid_t waiter;
    char byte = 'x';
    (void)state;
    make(&bench);
    queue = queue_of(&bench);
    waiter = process_of(get_from_closed, queue);
    prony_queue_close(queue);
    assert_int_equal(status_of(waiter), 0);
    drop(&bench);
    make(&bench);
    queue = queue_of(&bench);
    assert_int_equal(prony_queue_put(queue, &byte, 1, 0), 0);
    prony_queue_close(queue);
    assert_int_equal(prony_queue_put(queue, &byte, 1, -1), -EPIPE);
    assert_int_equal(prony_queue_get(queue, &byte, 1, NULL, -1), 0);
    assert_int_equal(prony_queue_get(queue, &byte, 1, NULL, -1), -EPIPE);
    drop(&bench);
}

/* Dies with the queue's mutex held, as in the middle of a copy. */
static void *die_inside(void *memory)
{
    struct prony_queue *queue = memory;
    (void)prony_mutex_acquire(&queue->mutex, -1);
    (void)raise(SIGKILL);
    return DISCONTENT;
}

/* What was put is there, whatever becomes of who put it. */
static void *put_and_die(void *memory)
{
    if (prony_queue_put(memory, "3", 1, 0) == 0)
        (void)raise(SIGKILL);
    return DISCONTENT;
}

static void the_dead_do_not_jam_it(void **state)
{
    struct bench bench;
    struct prony_queue *queue;
    char byte = 'x';
    (void)state;
    make(&bench);
    queue = queue_of(&bench);
    assert_int_equal(prony_queue_put(queue, "1", 1, 0), 0);
    assert_int_equal(WTERMSIG(status_of(process_of(die_inside, queue))), SIGKILL);
    assert_int_equal(prony_queue_put(queue, "2", 1, LONG_NS), 0);
    assert_int_equal(WTERMSIG(status_of(process_of(die_inside, queue))), SIGKILL);
    assert_int_equal(WTERMSIG(status_of(process_of(put_and_die, queue))), SIGKILL);
    for (char expected = '1'; expected <= '3'; expected++) {
        assert_int_equal(prony_queue_get(queue, &byte, 1, NULL, LONG_NS), 0);
        assert_int_equal(byte, expected);
    }
    drop(&bench);
}

/* Producers and consumers are killed at any moment; a process that comes after them still finds a queue that works. */
static void *churn(void *memory)
{
    uint64_t number = 1;
    for (unsigned i = 0; i < 1000000; i++) {
        (void)prony_queue_put(memory, &number, sizeof number, 1 * MS);
        if (i % 3 != 0)
            (void)prony_queue_get(memory, &number, sizeof number, NULL, 1 * MS);
    }
    return NULL;
}

static void kills_at_any_moment(void **state)
{
    struct bench bench;
    struct prony_queue *queue;
    uint64_t number;
    int code;
    (void)state;
    make(&bench);
    queue = queue_of(&bench);
    for (unsigned round = 0; round < 40; round++) {
        pid_t pids[2] = {process_of(churn, queue), process_of(churn, queue)};
        (void)usleep(500 + round * 137 % 2000);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(kill(pids[i], SIGKILL), 0);
            (void)status_of(pids[i]);
        }
    }
    while ((code = prony_queue_get(queue, &number, sizeof number, NULL, 0)) == 0)
        assert_int_equal(number, 1); /* never half a message */
    assert_int_equal(code, -ETIMEDOUT);
    for (uint64_t i = 0; i < CAPACITY; i++)
        assert_int_equal(prony_queue_put(queue, &i, sizeof i, 0), 0);
    for (uint64_t i = 0; i < CAPACITY; i++) {
        assert_int_equal(prony_queue_get(queue, &number, sizeof number, NULL, 0), 0);
        assert_int_equal(number, i);
    }
    drop(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_cannot_be),
        cmocka_unit_test(first_in_first_out_with_sizes),
        cmocka_unit_test(limits_when_full_and_when_empty),
        cmocka_unit_test(many_producers_and_consumers),
        cmocka_unit_test(threads_consume_too),
        cmocka_unit_test(join_counts_what_is_done),
        cmocka_unit_test(a_closed_queue_is_emptied_and_ends),
        cmocka_unit_test(the_dead_do_not_jam_it),
        cmocka_unit_test(kills_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
