/* signalfd: messages in shared memory, announced by SIGUSR2 to the receiver's thread, which reads a signalfd.
 *
 * Messages with boundaries. Signals of one number coalesce; the slots are looked at before each read, so that none is
 * missed. A signalfd tells the thread that reads it of its own signals: the end is used by the thread that attached it. A
 * read without a limit cannot be told of the peer's end: a keeper signals then. SIGUSR2 is blocked until detach. */
#include "channels/ear.h"

#include "channels/keeper.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    PRONY_BOX_OPTIONS,
    {.name = NULL},
};

struct signal_end {
    struct prony_box box; /* first: sent to and received from as a box */
    int fd;
    bool masked;
};

static int signal_hear(struct prony_box *box, uint64_t sleep_ns, bool forever)
{
    const struct signal_end *end = (const struct signal_end *)(const void *)box;
    struct signalfd_siginfo info;
    if (sleep_ns > 0 && !(forever && box->line.wait == PRONY_WAIT_BLOCK)) {
        struct prony_waiting nap = {.slice_ns = sleep_ns};
        (void)prony_wait_fd(&nap, end->fd, POLLIN);
    }
    if (box->line.wait == PRONY_WAIT_BLOCK && !(sleep_ns > 0 && forever)) {
        struct pollfd one = {end->fd, POLLIN, 0};
        if (poll(&one, 1, 0) <= 0)
            return -EAGAIN;
    }
    if (read(end->fd, &info, sizeof info) == (ssize_t)sizeof info)
        return 0;
    return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
}

static const struct prony_bell bell = {.ring = signal_ring, .hear = signal_hear};
PRONY_BOX_MOVES(signal, &bell)

static void signal_gone(void *shared, int gone)
{
    struct prony_box_way *way = *(struct prony_box_way **)shared;
    for (int i = 0; i < 2; i++) {
        __atomic_store_n(&way[i].dead, 1, __ATOMIC_SEQ_CST);
        if (gone != (i ^ 1)) /* way i is heard by the other end */
            poke(&way[i]);
    }
}

static void signal_clean(void *shared)
{
    (void)shared;
}

static const struct prony_keep keep = {.gone = signal_gone, .clean = signal_clean};

static int signal_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                          struct prony_error *error)
{
    void *base = NULL;
    int code = prony_box_connect(params, &bell, a, b, &base, error);
    if (code == 0)
        code = prony_keeper_start(a, b, &keep, &base, NULL, 0, error);
    if (base != NULL)
        (void)munmap(base, 2 * sizeof(struct prony_box_way));
    return code;
}

static int signal_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, signal_connect, channel, error);
}

static int signal_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                         struct prony_error *error)
{
    struct signal_end *end = calloc(1, sizeof *end);
    sigset_t set = signals();
    int code;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    code = prony_box_attach(blob, &bell, &end->box, error);
    if (code != 0) {
        free(end);
        return code;
    }
    end->fd = signalfd(-1, &set, SFD_CLOEXEC | (end->box.line.wait == PRONY_WAIT_BLOCK ? 0 : SFD_NONBLOCK));
    if (end->fd < 0) {
        code = prony_fail(error, -errno, "no signalfd: %s", strerrordesc_np(errno));
        prony_box_free(&end->box);
        return code;
    }
    end->masked = ear_open(&end->box);
    *result = end;
    return 0;
}

static void signal_free(void *handle)
{
    struct signal_end *end = handle;
    ear_close(&end->box, end->masked);
    (void)close(end->fd);
    prony_box_free(&end->box);
}

static int signal_pollfd(void *end)
{
    return ((const struct signal_end *)end)->fd;
}

PRONY_EXPORT(channel, signalfd) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "signalfd",
                       .summary = "SIGUSR2 read from a signalfd, over shared memory",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = signal_create,
    .address = prony_lines_address,
    .attach = signal_attach,
    .send = signal_send,
    .recv = signal_recv,
    .pollfd = signal_pollfd,
    .detach = signal_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
