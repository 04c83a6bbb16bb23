/* futex: messages in shared memory, counted in a word that the receiver sleeps on.
 *
 * Messages with boundaries. The sender calls the kernel only when the receiver has said that it sleeps. wait=block sleeps at
 * once when nothing is there: the bare cost of futex(2). */
#include "channels/box.h"

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    PRONY_BOX_OPTIONS,
    {.name = NULL},
};

struct count {
    uint32_t word, asleep;
};

static struct count *count_of(struct prony_box_way *way)
{
    return (struct count *)(void *)way->own;
}

static int futex_ring(struct prony_box *box)
{
    struct count *count = count_of(box->way[PRONY_OUT]);
    __atomic_fetch_add(&count->word, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&count->asleep, __ATOMIC_SEQ_CST) != 0)
        prony_futex_wake(&count->word, 1);
    return 0;
}

static bool take(struct count *count)
{
    if (__atomic_load_n(&count->word, __ATOMIC_ACQUIRE) == 0)
        return false;
    __atomic_fetch_sub(&count->word, 1, __ATOMIC_ACQ_REL);
    return true;
}

static int futex_hear(struct prony_box *box, uint64_t sleep_ns, bool forever)
{
    struct count *count = count_of(box->way[PRONY_IN]);
    (void)forever;
    if (take(count))
        return 0;
    if (sleep_ns == 0)
        return -EAGAIN;
    __atomic_store_n(&count->asleep, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&count->word, __ATOMIC_SEQ_CST) == 0)
        (void)prony_futex_wait(&count->word, 0, (int64_t)sleep_ns);
    __atomic_store_n(&count->asleep, 0, __ATOMIC_RELAXED);
    return take(count) ? 0 : -EAGAIN;
}

static const struct prony_bell bell = {.counts = true, .memory = true, .ring = futex_ring, .hear = futex_hear};
PRONY_BOX_MOVES(futex, &bell)

static int futex_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                         struct prony_error *error)
{
    return prony_box_join(params, &bell, a, b, error);
}

static int futex_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, futex_connect, channel, error);
}

static int futex_attach(const struct prony_blob *blob, struct prony_worker *worker, void **end,
                        struct prony_error *error)
{
    (void)worker;
    return prony_box_new(blob, &bell, end, error);
}

PRONY_EXPORT(channel, futex) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "futex", .summary = "a futex over shared memory",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN,
                       .options = options),
    .copies = 2,
    .create = futex_create,
    .address = prony_lines_address,
    .attach = futex_attach,
    .send = futex_send,
    .recv = futex_recv,
    .detach = prony_box_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
