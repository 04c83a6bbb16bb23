/* eventfd: messages in shared memory, counted by an eventfd in semaphore mode for each direction.
 *
 * Messages with boundaries; one write and one read of eight bytes a message (a slot). A read without a limit cannot be told
 * of the peer's end: a keeper writes then. */
#include "channels/box.h"

#include "channels/keeper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    PRONY_BOX_OPTIONS,
    {.name = NULL},
};

enum { BELLS = 1 }; /* descriptors 1 and 2: the bells of both ways */

/* Where the keeper finds them. */
struct kept {
    struct prony_box_way *way;
    int fd[2];
};

static int event_ring(struct prony_box *box)
{
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(box->line.fd[BELLS + box->number], &one, sizeof one);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof one ? 0 : -errno;
}

static int event_hear(struct prony_box *box, uint64_t sleep_ns, bool forever)
{
    int fd = box->line.fd[BELLS + (box->number ^ 1u)];
    uint64_t count;
    if (sleep_ns > 0 && !(forever && box->line.wait == PRONY_WAIT_BLOCK)) {
        struct prony_waiting nap = {.slice_ns = sleep_ns};
        (void)prony_wait_fd(&nap, fd, POLLIN);
    }
    if (box->line.wait == PRONY_WAIT_BLOCK && !(sleep_ns > 0 && forever)) {
        struct pollfd one = {fd, POLLIN, 0};
        if (poll(&one, 1, 0) <= 0)
            return -EAGAIN;
    }
    if (read(fd, &count, sizeof count) == (ssize_t)sizeof count)
        return 0;
    return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
}

static const struct prony_bell bell = {.counts = true, .ring = event_ring, .hear = event_hear};
PRONY_BOX_MOVES(event, &bell)

static void event_gone(void *shared, int end)
{
    struct kept *kept = shared;
    const uint64_t one = 1;
    for (int i = 0; i < 2; i++) {
        __atomic_store_n(&kept->way[i].dead, 1, __ATOMIC_SEQ_CST);
        if (end != (i ^ 1) && write(kept->fd[i], &one, sizeof one) < 0)
            continue; /* full: then nobody sleeps on it */
    }
}

static void event_clean(void *shared)
{
    (void)shared;
}

static const struct prony_keep keep = {.gone = event_gone, .clean = event_clean};

static int event_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                         struct prony_error *error)
{
    bool blocks = prony_call_of(a)->wait == PRONY_WAIT_BLOCK;
    struct kept kept;
    void *base = NULL;
    int code = prony_box_connect(params, &bell, a, b, &base, error);
    for (int i = 0; i < 2 && code == 0; i++) {
        kept.fd[i] = prony_blob_add(a, eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | (blocks ? 0 : EFD_NONBLOCK)));
        code = kept.fd[i] < 0 ? prony_fail(error, -errno, "no eventfd: %s", strerrordesc_np(errno))
                              : prony_blob_add_copy(b, kept.fd[i], error);
    }
    kept.way = base;
    if (code == 0)
        code = prony_keeper_start(a, b, &keep, &kept, kept.fd, 2, error);
    if (base != NULL)
        (void)munmap(base, 2 * sizeof(struct prony_box_way));
    return code;
}

static int event_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, event_connect, channel, error);
}

static int event_attach(const struct prony_blob *blob, struct prony_worker *worker, void **end,
                        struct prony_error *error)
{
    (void)worker;
    return prony_box_new(blob, &bell, end, error);
}

static int event_pollfd(void *end)
{
    const struct prony_box *box = end;
    return box->line.fd[BELLS + (box->number ^ 1u)];
}

PRONY_EXPORT(channel, eventfd) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "eventfd", .summary = "eventfd semaphores over shared memory",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = event_create,
    .address = prony_lines_address,
    .attach = event_attach,
    .send = event_send,
    .recv = event_recv,
    .pollfd = event_pollfd,
    .detach = prony_box_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
