/* sysv-mq: a System V message queue for each direction.
 *
 * Messages with boundaries, in order; a message must lie behind its type, so that both sides copy once more. The calls know
 * no limit in time: one with a limit naps between tries. The pair's keeper makes and removes the queues, also when all
 * others are killed, and sends a last message of a type of its own for an end that is gone. */
#include "channels/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 1, END = 2 }; /* types */

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    {"capacity", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes that a queue holds; 0: the kernel's msgmnb, 16 KiB"},
    {.name = NULL},
};

struct kept {
    uint64_t capacity;
    int queue[2]; /* by the end that sends to it */
};

struct plan {
    int in, out;
    uint64_t largest;
};

struct mq_end {
    struct prony_line line;
    struct plan plan;
    struct msgbuf *bounce;
    bool over; /* the peer's last message has been seen */
};

static uint64_t kernel_says(const char *name)
{
    unsigned long long value = 0;
    FILE *file = fopen(name, "re");
    if (file != NULL) {
        if (fscanf(file, "%llu", &value) != 1)
            value = 0;
        (void)fclose(file);
    }
    return value;
}

static uint64_t largest_of(uint64_t capacity)
{
    uint64_t most = kernel_says("/proc/sys/kernel/msgmax"), holds = kernel_says("/proc/sys/kernel/msgmnb");
    holds = capacity > 0 ? capacity : holds;
    return most < holds ? most : holds;
}

static int mq_make(void *shared, struct prony_error *error)
{
    struct kept *kept = shared;
    for (int i = 0; i < 2; i++) {
        struct msqid_ds about;
        kept->queue[i] = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
        if (kept->queue[i] < 0)
            return prony_fail(error, -errno, "no message queue: %s (raise /proc/sys/kernel/msgmni)",
                              strerrordesc_np(errno));
        if (kept->capacity == 0)
            continue;
        if (msgctl(kept->queue[i], IPC_STAT, &about) != 0)
            return prony_fail(error, -errno, "a queue cannot be asked: %s", strerrordesc_np(errno));
        about.msg_qbytes = kept->capacity;
        if (msgctl(kept->queue[i], IPC_SET, &about) != 0)
            return prony_fail(error, -ENOTSUP, "a queue cannot hold %llu bytes: %s (raise /proc/sys/kernel/msgmnb)",
                              (unsigned long long)kept->capacity, strerrordesc_np(errno));
    }
    return 0;
}

/* What was sent to the dead is of no use, and its senders must wake; what it sent before is still to be received. */
static void mq_gone(void *shared, int end)
{
    struct kept *kept = shared;
    const struct msgbuf last = {.mtype = END};
    const struct timespec nap = {0, 10000000};
    for (int i = 0; i < 2; i++)
        if (end != i)
            (void)msgctl(kept->queue[i], IPC_RMID, NULL);
    for (int tries = 0; end >= 0 && tries < 500; tries++) {
        if (msgsnd(kept->queue[end], &last, 0, IPC_NOWAIT) == 0 || errno != EAGAIN)
            return;
        (void)nanosleep(&nap, NULL);
    }
}

static void mq_clean(void *shared)
{
    const struct kept *kept = shared;
    for (int i = 0; i < 2; i++)
        if (kept->queue[i] >= 0)
            (void)msgctl(kept->queue[i], IPC_RMID, NULL);
}

static const struct prony_keep keep = {.make = mq_make, .gone = mq_gone, .clean = mq_clean};

static int mq_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                      struct prony_error *error)
{
    struct kept *kept = mmap(NULL, sizeof *kept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int code;
    if (kept == MAP_FAILED)
        return prony_fail(error, -errno, "no memory for a keeper: %s", strerrordesc_np(errno));
    *kept = (struct kept){.capacity = (uint64_t)prony_param_int(params, "capacity"), .queue = {-1, -1}};
    code = prony_keeper_start(a, b, &keep, kept, NULL, 0, error);
    if (code == 0) {
        struct plan first = {kept->queue[1], kept->queue[0], largest_of(kept->capacity)};
        struct plan second = {kept->queue[0], kept->queue[1], first.largest};
        memcpy(prony_call_of(a)->own, &first, sizeof first);
        memcpy(prony_call_of(b)->own, &second, sizeof second);
    }
    (void)munmap(kept, sizeof *kept);
    return code;
}

static int mq_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, mq_connect, channel, error);
}

static int64_t mq_limit(const struct prony_params *params, struct prony_error *how)
{
    (void)prony_fail(how, -EMSGSIZE, "raise /proc/sys/kernel/msgmax, and the queue's by capacity=BYTES or msgmnb");
    return (int64_t)largest_of((uint64_t)prony_param_int(params, "capacity"));
}

static int mq_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                     struct prony_error *error)
{
    struct mq_end *end = calloc(1, sizeof *end);
    int code = -ENOMEM;
    (void)worker;
    if (end != NULL) {
        memcpy(&end->plan, ((const struct prony_call *)(const void *)blob->data)->own, sizeof end->plan);
        end->bounce = malloc(sizeof *end->bounce + end->plan.largest);
    }
    if (end == NULL || end->bounce == NULL)
        (void)prony_fail(error, -ENOMEM, "no memory for an end");
    else
        code = prony_line_attach(blob, &end->line, error);
    if (code == 0) {
        *result = end;
        return 0;
    }
    if (end != NULL)
        free(end->bounce);
    free(end);
    return code;
}

static void mq_detach(void *handle)
{
    struct mq_end *end = handle;
    prony_line_detach(&end->line);
    free(end->bounce);
    free(end);
}

/* May this try sleep in the call? */
static int flags_of(const struct prony_waiting *waiting, int said)
{
    bool sleeps = waiting->deadline == UINT64_MAX && (waiting->line->wait == PRONY_WAIT_BLOCK || said == 1);
    return sleeps ? 0 : IPC_NOWAIT;
}

/* Those of a call without a limit that tries before it prepares to wait. */
static inline int first_flags(const struct prony_line *line)
{
    return line->wait == PRONY_WAIT_BLOCK ? 0 : IPC_NOWAIT;
}

/* After a try that got -1: what prony_wait_next says, or an error. */
static int again(struct prony_waiting *waiting)
{
    const struct timespec nap = {0, 50000};
    int code;
    if (errno == EIDRM || errno == EINVAL)
        return -EPIPE;
    if (errno != EAGAIN && errno != ENOMSG && errno != EINTR)
        return -errno;
    code = prony_wait_next(waiting);
    if (code == 1 && waiting->deadline != UINT64_MAX)
        (void)nanosleep(&nap, NULL);
    return code;
}

/* After a first try, which failed, or without one. */
static __attribute__((noinline)) int send_on(struct mq_end *end, size_t bytes, uint64_t deadline, bool failed)
{
    struct prony_waiting waiting = prony_wait_at(&end->line, PRONY_OUT, deadline);
    int code = failed ? again(&waiting) : 0;
    while (code >= 0) {
        if (msgsnd(end->plan.out, end->bounce, bytes, flags_of(&waiting, code)) == 0) {
            prony_wait_end(&waiting);
            return 0;
        }
        code = again(&waiting);
    }
    return code;
}

static int64_t mq_send_to(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct mq_end *end = handle;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    const bool tries = prony_line_burst(&end->line, deadline) > 0;
    int code;
    if (bytes > end->plan.largest)
        return -EMSGSIZE;
    end->bounce->mtype = MESSAGE;
    if (bytes > 0)
        memcpy((char *)end->bounce + sizeof end->bounce->mtype, data, bytes);
    if (tries && msgsnd(end->plan.out, end->bounce, bytes, first_flags(&end->line)) == 0)
        return (int64_t)bytes;
    code = send_on(end, bytes, deadline, tries);
    return code != 0 ? code : (int64_t)bytes;
}

/* A message of n bytes that has come. */
static inline int64_t hand_over(struct mq_end *end, void *data, size_t bytes, ssize_t n)
{
    end->over = end->bounce->mtype == END;
    if (end->over)
        return -EPIPE;
    if ((size_t)n > bytes)
        return -EMSGSIZE;
    if (n > 0)
        memcpy(data, (char *)end->bounce + sizeof end->bounce->mtype, (size_t)n);
    return n;
}

static __attribute__((noinline)) ssize_t recv_on(struct mq_end *end, uint64_t deadline, bool failed)
{
    struct prony_waiting waiting = prony_wait_at(&end->line, PRONY_IN, deadline);
    int code = failed ? again(&waiting) : 0;
    while (code >= 0) {
        ssize_t n = msgrcv(end->plan.in, end->bounce, end->plan.largest, 0, flags_of(&waiting, code));
        if (n >= 0) {
            prony_wait_end(&waiting);
            return n;
        }
        code = again(&waiting);
    }
    return code;
}

static int64_t mq_recv_from(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    struct mq_end *end = handle;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    const unsigned most = prony_line_burst(&end->line, deadline);
    ssize_t n;
    if (end->over)
        return -EPIPE;
    for (unsigned left = most; left > 0; left--) {
        n = msgrcv(end->plan.in, end->bounce, end->plan.largest, 0, first_flags(&end->line));
        if (n >= 0)
            return hand_over(end, data, bytes, n);
        if (errno != ENOMSG)
            break;
    }
    n = recv_on(end, deadline, most > 0);
    return n < 0 ? n : hand_over(end, data, bytes, n);
}

PRONY_EXPORT(channel, sysv_mq) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "sysv-mq", .summary = "System V message queues",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN,
                       .options = options),
    .copies = 4,
    .create = mq_create,
    .address = prony_lines_address,
    .attach = mq_attach,
    .send = mq_send_to,
    .recv = mq_recv_from,
    .detach = mq_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
    .limit = mq_limit,
};
