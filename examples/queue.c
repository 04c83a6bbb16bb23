/* A bounded queue between processes: a producer puts numbers into it, consumers take them and send their squares back
 * through a pipe. All are clean images of this program; what they share is an arena, and places in it are offsets.
 *
 *     queue [NUMBERS [CONSUMERS]] */
#include <prony/arena.h>
#include <prony/pipe.h>
#include <prony/process.h>
#include <prony/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAPACITY 8
#define MOST 16

struct order {
    uint64_t off; /* of the queue */
    int64_t numbers;
};

/* What both sides begin with: the order, and the queue in the arena as this process has it mapped. */
static struct prony_queue *take_order(const struct prony_birth *birth, struct prony_arena *arena, struct order *order)
{
    struct prony_error error;
    if (birth->bytes != sizeof *order || prony_arena_attach(arena, birth->fds[0], &error) != 0)
        return NULL;
    memcpy(order, birth->arg, sizeof *order);
    return (struct prony_queue *)(void *)(arena->base + order->off);
}

static int produce(const struct prony_birth *birth)
{
    struct prony_arena arena;
    struct order order;
    struct prony_queue *queue = take_order(birth, &arena, &order);
    if (queue == NULL)
        return 1;
    for (int64_t i = 1; i <= order.numbers; i++)
        if (prony_queue_put(queue, &i, sizeof i, -1) != 0)
            return 1;
    prony_queue_close(queue);
    prony_arena_close(&arena);
    return 0;
}

static int consume(const struct prony_birth *birth)
{
    struct prony_arena arena;
    struct order order;
    struct prony_queue *queue = take_order(birth, &arena, &order);
    int64_t number;
    if (queue == NULL)
        return 1;
    while (prony_queue_get(queue, &number, sizeof number, NULL, -1) == 0) {
        number *= number;
        if (prony_pipe_send(birth->fds[1], &number, sizeof number, -1) != 0)
            return 1;
    }
    prony_arena_close(&arena);
    return 0;
}

static const struct prony_entry entries[] = {{"produce", produce}, {"consume", consume}, {NULL, NULL}};

/* Starts the producer and the consumers, adds up what comes back until the last of them has closed its end. */
static int run(const struct prony_arena *arena, const struct order *order, unsigned consumers,
               struct prony_error *error)
{
    struct prony_process processes[MOST + 1];
    struct prony_pipe results;
    unsigned started = 0;
    int64_t square, sum = 0;
    int code = prony_pipe_make(&results, 0, error);
    if (code != 0)
        return code;
    for (; code == 0 && started <= consumers; started += code == 0) {
        const int fds[2] = {arena->fd, results.fd[1]};
        const struct prony_start start = {PRONY_START_SPAWN,
                                          started == 0 ? "produce" : "consume",
                                          {order, sizeof *order, fds, started == 0 ? 1 : 2},
                                          1,
                                          NULL};
        code = prony_process_start(&processes[started], &start, error);
    }
    (void)close(results.fd[1]);
    while (code == 0 && prony_pipe_receive(results.fd[0], &square, sizeof square, NULL, -1) == 0)
        sum += square;
    (void)close(results.fd[0]);
    for (unsigned i = 0; i < started; i++) {
        if (code != 0)
            (void)prony_process_kill(&processes[i]);
        (void)prony_process_join(&processes[i], -1);
        if (code == 0 && processes[i].exit_code != 0)
            code = prony_fail(error, -EIO, "a process ended with %d", processes[i].exit_code);
        (void)prony_process_close(&processes[i]);
    }
    if (code == 0)
        (void)printf("%lld\n", (long long)sum);
    return code;
}

int main(int argc, char **argv)
{
    const uint64_t room = prony_queue_room(CAPACITY, sizeof(int64_t));
    struct order order = {0, argc > 1 ? strtoll(argv[1], NULL, 10) : 10};
    const unsigned consumers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
    struct prony_error error = {0, ""};
    struct prony_arena arena;
    struct prony_span span;
    int code;
    if (prony_process_enter(argc, argv, entries, &code))
        return code;
    if (consumers < 1 || consumers > MOST) {
        (void)fprintf(stderr, "queue: 1 to %d consumers\n", MOST);
        return 2;
    }
    code = prony_arena_create(&arena, room + 64, &error);
    if (code == 0) {
        code = prony_arena_take(&arena, room, 64, &span, &error);
        order.off = span.off;
        if (code == 0)
            code = prony_queue_init(arena.base + span.off, CAPACITY, sizeof(int64_t), &error);
        if (code == 0)
            code = run(&arena, &order, consumers, &error);
        prony_arena_close(&arena);
    }
    if (code != 0)
        (void)fprintf(stderr, "queue: %s\n", error.text);
    return code != 0 ? 3 : 0;
}
