/* posix-sem-shm: messages in shared memory, counted by a process-shared POSIX semaphore for each direction.
 *
 * Messages with boundaries. glibc's semaphore is a futex that calls the kernel only when somebody sleeps; it looks once and
 * sleeps. */
#include "channels/box.h"

#include <semaphore.h>
#include <time.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    PRONY_BOX_OPTIONS,
    {.name = NULL},
};

static sem_t *sem_of(struct prony_box_way *way)
{
    return (sem_t *)(void *)way->own;
}

static void sem_set_up(struct prony_box_way *way)
{
    static_assert(sizeof(sem_t) <= sizeof way->own, "lies in the box");
    (void)sem_init(sem_of(way), 1, 0);
}

static int sem_ring(struct prony_box *box)
{
    return sem_post(sem_of(box->way[PRONY_OUT])) == 0 ? 0 : -errno;
}

static int sem_hear(struct prony_box *box, uint64_t sleep_ns, bool forever)
{
    sem_t *sem = sem_of(box->way[PRONY_IN]);
    (void)forever;
    if (sleep_ns == 0) {
        if (sem_trywait(sem) == 0)
            return 0;
    } else {
        uint64_t until = prony_now_ns() + sleep_ns;
        struct timespec limit = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
        if (sem_clockwait(sem, CLOCK_MONOTONIC, &limit) == 0)
            return 0;
    }
    return errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR ? -EAGAIN : -errno;
}

static const struct prony_bell bell = {
    .counts = true, .memory = true, .set_up = sem_set_up, .ring = sem_ring, .hear = sem_hear};
PRONY_BOX_MOVES(sem, &bell)

static int sem_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                       struct prony_error *error)
{
    return prony_box_join(params, &bell, a, b, error);
}

static int sem_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, sem_connect, channel, error);
}

static int sem_attach(const struct prony_blob *blob, struct prony_worker *worker, void **end, struct prony_error *error)
{
    (void)worker;
    return prony_box_new(blob, &bell, end, error);
}

PRONY_EXPORT(channel, posix_sem_shm) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "posix-sem-shm", .summary = "POSIX semaphores over shared memory",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN,
                       .options = options),
    .copies = 2,
    .create = sem_create,
    .address = prony_lines_address,
    .attach = sem_attach,
    .send = sem_send,
    .recv = sem_recv,
    .detach = prony_box_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
