/* pingpong: two workers send a message back and forth over the channel; every full round trip is clocked.
 *
 * Role 0 writes the trip's number into each cache line of the message, role 1 checks it and answers with its
 * complement, role 0 checks that: the payload is proved to have been touched at both ends, and that is part of the
 * time, as is one reading of the clock a trip. A message of 0 bytes on a stream, which has no empty messages,
 * travels as 1 byte. Not measured: one-way times, several messages in flight. */
#include "base/clock.h"
#include "workloads/kit.h"

#include <prony/plugin/channel.h>

static const struct prony_option options[] = {
    {"items", PRONY_INT, "200", 1, 1e8, NULL, "round trips of one repetition"},
    {"size", PRONY_BYTES, "64", 0, 16777216.0, NULL, "bytes of a message"},
    {.name = NULL},
};

enum { ROLES = 2 };

struct pingpong_arg {
    uint64_t size, stride; /* of a role's part of the data: a line for its result, then the message */
};

struct pingpong_result {
    uint64_t right, wrong;
};

static uint64_t stamp_bytes(uint64_t left)
{
    return left < sizeof(uint64_t) ? left : sizeof(uint64_t);
}

static void stamp(unsigned char *message, uint64_t size, uint64_t number)
{
    for (uint64_t at = 0; at < size; at += LINE_BYTES)
        memcpy(message + at, &number, stamp_bytes(size - at));
}

static int stamped(const unsigned char *message, uint64_t size, uint64_t number)
{
    int wrong = 0;
    for (uint64_t at = 0; at < size; at += LINE_BYTES)
        wrong |= memcmp(message + at, &number, stamp_bytes(size - at)) != 0;
    return !wrong;
}

/* One round trip as role 0 or role 1 sees it. 0, or the channel's error; *right: the message was as it should be. */
static int trip(struct prony_worker *worker, unsigned char *message, uint64_t size, uint64_t number, int *right)
{
    const struct prony_channel *channel = worker->channel;
    const int starts = worker->index == 0;
    int64_t got = 0;
    if (starts) {
        stamp(message, size, number);
        got = channel->send(worker->attached, message, size, -1);
    }
    if (got >= 0)
        got = channel->recv(worker->attached, message, size, -1);
    if (got < 0)
        return (int)got;
    *right = (uint64_t)got == size && stamped(message, size, starts ? ~number : number);
    if (!starts) {
        stamp(message, size, ~number);
        got = channel->send(worker->attached, message, size, -1);
    }
    return got < 0 ? (int)got : 0;
}

static int pingpong_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_histogram *latency = prony_at(worker, worker->latency.off);
    struct pingpong_result result = {0, 0};
    struct pingpong_arg arg;
    unsigned char *mine;
    uint64_t size, then, now;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    if (worker->channel == NULL || worker->attached == NULL)
        return -ENOTCONN;
    mine = prony_at(worker, task->out.off + worker->index * arg.stride);
    size = arg.size == 0 && (worker->channel->head.caps & PRONY_CHANNEL_STREAM) != 0 ? 1 : arg.size;
    code = prony_worker_begin(worker);
    then = prony_now_ns();
    for (int64_t i = task->lo; i < task->hi && code == 0; i++) {
        int right = 0;
        code = trip(worker, mine + LINE_BYTES, size, (uint64_t)i, &right);
        result.right += right != 0;
        result.wrong += right == 0;
        if (worker->index != 0)
            continue;
        now = prony_now_ns();
        prony_histogram_record(latency, now - then);
        then = now;
    }
    prony_worker_end(worker);
    memcpy(mine, &result, sizeof result);
    return code;
}

static uint64_t stride_of(const struct prony_params *params)
{
    uint64_t size = (uint64_t)prony_param_int(params, "size");
    return LINE_BYTES + (size / LINE_BYTES + 1) * LINE_BYTES;
}

static int pingpong_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                         struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = ROLES * stride_of(params);
    need->operations = 2 * need->items * prony_param_int(params, "size");
    need->roles = ROLES;
    need->ends = ROLES;
    return 0;
}

static void pingpong_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct pingpong_arg arg = {(uint64_t)prony_param_int(bench->params, "size"), stride_of(bench->params)};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void pingpong_poison(struct prony_bench *bench)
{
    const struct pingpong_result none = {0, UINT64_MAX};
    for (unsigned role = 0; role < ROLES; role++)
        memcpy(data_at(bench, role * stride_of(bench->params)), &none, sizeof none);
}

static int pingpong_verify(struct prony_bench *bench, struct prony_error *error)
{
    uint64_t trips = (uint64_t)(bench->need->items * bench->repeats);
    for (unsigned role = 0; role < ROLES; role++) {
        struct pingpong_result result;
        memcpy(&result, data_at(bench, role * stride_of(bench->params)), sizeof result);
        if (result.wrong == UINT64_MAX)
            return prony_fail(error, -EBADMSG, "role %u left no result", role);
        if (result.right != trips || result.wrong != 0)
            return prony_fail(error, -EBADMSG, "role %u got %llu right and %llu wrong messages of %llu", role,
                              (unsigned long long)result.right, (unsigned long long)result.wrong,
                              (unsigned long long)trips);
    }
    return 0;
}

static const struct prony_kernel kernels[] = {{"pingpong", pingpong_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, pingpong) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "pingpong",
                       .summary = "round trips of a message between two workers", .options = options),
    .unit = "round trip",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .clock = PRONY_PER_OP,
    .need = pingpong_need,
    .task = pingpong_task,
    .poison = pingpong_poison,
    .verify = pingpong_verify,
};
