/* signal: messages in shared memory, announced by SIGUSR2 to the receiver's thread, which waits in sigtimedwait.
 *
 * Messages with boundaries. Signals of one number coalesce; the slots are looked at before each wait, so that none is
 * missed, and messages already there cost no wait. Signal handlers are not used. SIGUSR2 is blocked in the attaching
 * thread until detach. */
#include "channels/ear.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    PRONY_BOX_OPTIONS,
    {.name = NULL},
};

struct signal_end {
    struct prony_box box; /* first: sent to and received from as a box */
    bool masked;
};

static int signal_hear(struct prony_box *box, uint64_t sleep_ns, bool forever)
{
    const struct timespec limit = {(time_t)(sleep_ns / 1000000000u), (long)(sleep_ns % 1000000000u)};
    sigset_t set = signals();
    (void)box, (void)forever;
    if (sigtimedwait(&set, NULL, &limit) > 0)
        return 0;
    return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
}

static const struct prony_bell bell = {.ring = signal_ring, .hear = signal_hear};
PRONY_BOX_MOVES(signal, &bell)

static int signal_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                          struct prony_error *error)
{
    return prony_box_join(params, &bell, a, b, error);
}

static int signal_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, signal_connect, channel, error);
}

static int signal_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                         struct prony_error *error)
{
    struct signal_end *end = calloc(1, sizeof *end);
    int code;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    code = prony_box_attach(blob, &bell, &end->box, error);
    if (code != 0) {
        free(end);
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
    prony_box_free(&end->box);
}

PRONY_EXPORT(channel, signal) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "signal",
                       .summary = "SIGUSR2 to the receiving thread over shared memory",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN,
                       .options = options),
    .copies = 2,
    .create = signal_create,
    .address = prony_lines_address,
    .attach = signal_attach,
    .send = signal_send,
    .recv = signal_recv,
    .detach = signal_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
