/* mutex-cond: messages in shared memory, counted under a process-shared mutex, with a condition variable to sleep on.
 *
 * Messages with boundaries. The mutex is robust: a peer that dies with it is told of. Spinning takes the mutex at each try,
 * which is in the way of the sender. */
#include "channels/box.h"

#include <pthread.h>
#include <time.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    PRONY_BOX_OPTIONS,
    {.name = NULL},
};

struct tally {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t count;
};

static struct tally *tally_of(struct prony_box_way *way)
{
    static_assert(sizeof(struct tally) <= sizeof way->own, "lies in the box");
    return (struct tally *)(void *)way->own;
}

static void cond_set_up(struct prony_box_way *way)
{
    struct tally *tally = tally_of(way);
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    (void)pthread_mutexattr_init(&mutex);
    (void)pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&tally->mutex, &mutex);
    (void)pthread_mutexattr_destroy(&mutex);
    (void)pthread_condattr_init(&cond);
    (void)pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    (void)pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&tally->cond, &cond);
    (void)pthread_condattr_destroy(&cond);
    tally->count = 0;
}

/* A code of a lock or a wait: a dead peer's mutex is ours, and mended for whoever comes next. */
static int locked(struct tally *tally, int code)
{
    if (code != EOWNERDEAD)
        return -code;
    (void)pthread_mutex_consistent(&tally->mutex);
    (void)pthread_mutex_unlock(&tally->mutex);
    return -EPIPE;
}

static int cond_ring(struct prony_box *box)
{
    struct tally *tally = tally_of(box->way[PRONY_OUT]);
    int code = locked(tally, pthread_mutex_lock(&tally->mutex));
    if (code != 0)
        return code;
    tally->count++;
    (void)pthread_mutex_unlock(&tally->mutex);
    (void)pthread_cond_signal(&tally->cond);
    return 0;
}

static int cond_hear(struct prony_box *box, uint64_t sleep_ns, bool forever)
{
    struct tally *tally = tally_of(box->way[PRONY_IN]);
    uint64_t until = sleep_ns == 0 ? 0 : prony_now_ns() + sleep_ns;
    struct timespec limit = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    int code = locked(tally, pthread_mutex_lock(&tally->mutex));
    bool heard;
    (void)forever;
    if (code != 0)
        return code;
    while (tally->count == 0 && until != 0 && code == 0) {
        code = pthread_cond_timedwait(&tally->cond, &tally->mutex, &limit);
        if (code == EOWNERDEAD)
            return locked(tally, code);
    }
    heard = tally->count > 0;
    tally->count -= heard ? 1 : 0;
    (void)pthread_mutex_unlock(&tally->mutex);
    return heard ? 0 : -EAGAIN;
}

static const struct prony_bell bell = {
    .counts = true, .memory = true, .set_up = cond_set_up, .ring = cond_ring, .hear = cond_hear};
PRONY_BOX_MOVES(cond, &bell)

static int cond_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                        struct prony_error *error)
{
    return prony_box_join(params, &bell, a, b, error);
}

static int cond_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, cond_connect, channel, error);
}

static int cond_attach(const struct prony_blob *blob, struct prony_worker *worker, void **end,
                       struct prony_error *error)
{
    (void)worker;
    return prony_box_new(blob, &bell, end, error);
}

PRONY_EXPORT(channel, mutex_cond) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "mutex-cond",
                       .summary = "a process-shared mutex and condition over shared memory",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN,
                       .options = options),
    .copies = 2,
    .create = cond_create,
    .address = prony_lines_address,
    .attach = cond_attach,
    .send = cond_send,
    .recv = cond_recv,
    .detach = prony_box_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
