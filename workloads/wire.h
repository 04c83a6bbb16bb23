/* What the workloads over a channel share: messages with a number and a known content, their counts, and the check of
 * them. One role's part of the data is a result, an answer's line and room for two messages; in front of all of them lies one line
 * that roles may talk through where a message can be lost.
 *
 * The sender writes a word into every cache line of a message, made of the message's number and the line's place; the
 * receiver reads and compares them all: both have touched every line, and that is part of the time, since a message
 * that nobody touches is not what programs send. What it costs is measured beside, as the phase "touch". All other bytes
 * are filled before the clock starts, and the last message is compared byte by byte after it has stopped. */
#ifndef PRONY_WORKLOADS_WIRE_H
#define PRONY_WORKLOADS_WIRE_H

#include "base/clock.h"
#include "workloads/kit.h"

#include <prony/plugin/channel.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#define WIRE_SIZE_OPTION                                                                                               \
    {                                                                                                                  \
        "size", PRONY_BYTES, "64", 0, 16777216.0, NULL, "bytes of a message"                                           \
    }
#define WIRE_ITEMS_OPTION(what)                                                                                        \
    {                                                                                                                  \
        "items", PRONY_INT, "0", 0, 1e8, NULL, what " of one repetition; 0: as many as make 4 MiB, from 2 to 200"      \
    }

static const char *const wire_phases[] = {"touch", NULL};

enum { WIRE_ANSWER = 8, WIRE_RESULT_LEFT = 0x77697265, WIRE_TOUCHES = 32, WIRE_FEW = 8 };

/* How long a receiver of a channel that loses waits before it looks whether the sender has ended, and a sender for an
 * answer before it takes it for lost. */
static const int64_t wire_patience_ns = 20000000, wire_answer_ns = 60000000;

struct wire_arg {
    uint64_t size, stride, seed;
    uint64_t more[5]; /* the workload's own */
};

struct wire_result {
    uint64_t sent, got, wrong, lost, late; /* lost: gaps in the numbers seen; late: came after a later one */
    uint64_t whole;                        /* the last message had every byte right, or there was none */
    uint64_t left;                         /* WIRE_RESULT_LEFT */
    uint64_t touch_ns;                     /* of stamping and checking one message; a figure, and no answer */
};

struct wire_line { /* between the roles, beside the channel */
    uint64_t began_ns;
    uint32_t ended; /* the sender has sent all: futile to wait for more */
    uint32_t pad[13];
};

struct wire {
    struct prony_worker *worker;
    const struct prony_channel *channel;
    struct wire_line *line;
    unsigned char *mine, *answer, *message; /* mine: where the result goes */
    uint64_t size, answer_bytes, mask;      /* mask: of the bits of a number that a message has room for */
    uint64_t seed;
    bool lossy;
    uint32_t over;    /* line->ended before the last wait for a message: what was sent by then would have come */
    uint64_t last_ns; /* of the last message, where some may be lost */
    struct wire_result result;
};

/* What one sender has sent so far, as its receiver sees it. */
struct wire_flow {
    void *end;
    uint64_t next; /* number of the message that should come next */
    uint64_t seen; /* of the last that came, in full */
    bool any;
};

/* Messages */

static inline uint64_t wire_word(uint64_t number, uint64_t at)
{
    return number + at * 0x9e3779b97f4a7c15u;
}

static inline uint64_t wire_room(uint64_t size, uint64_t at)
{
    return size - at < sizeof(uint64_t) ? size - at : sizeof(uint64_t);
}

static inline void wire_stamp(unsigned char *message, uint64_t size, uint64_t number)
{
    for (uint64_t at = 0; at < size; at += LINE_BYTES) {
        uint64_t word = wire_word(number, at);
        memcpy(message + at, &word, wire_room(size, at));
    }
}

static inline bool wire_stamped(const unsigned char *message, uint64_t size, uint64_t number)
{
    bool right = true;
    for (uint64_t at = 0; at < size; at += LINE_BYTES) {
        uint64_t word = wire_word(number, at);
        right &= memcmp(message + at, &word, wire_room(size, at)) == 0;
    }
    return right;
}

static inline void wire_fill(unsigned char *message, uint64_t size, uint64_t seed)
{
    for (uint64_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = mix64(seed + at);
        memcpy(message + at, &word, wire_room(size, at));
    }
}

/* Is every byte of message `number` as it was filled and stamped? */
static inline bool wire_whole(const unsigned char *message, uint64_t size, uint64_t seed, uint64_t number)
{
    bool right = true;
    for (uint64_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = at % LINE_BYTES == 0 ? wire_word(number, at) : mix64(seed + at);
        right &= memcmp(message + at, &word, wire_room(size, at)) == 0;
    }
    return right;
}

/* The life of a role */

/* Where messages may be lost, one of an earlier sample may have come after nobody waited for it any more. */
static inline void wire_clear(struct wire *wire, void *end)
{
    int64_t got;
    do
        got = wire->channel->recv(end, wire->message, wire->size, 0);
    while (got >= 0 || got == -EMSGSIZE);
}

/* Fills the message, or with `receives` makes the buffer wrong everywhere. 0, or why there is nothing to talk over. */
static inline int wire_open(struct wire *wire, struct prony_worker *worker, const struct prony_task *task,
                            bool receives)
{
    struct wire_arg arg;
    memset(wire, 0, sizeof *wire);
    memcpy(&arg, task->arg, sizeof arg);
    if (worker->channel == NULL || worker->attached == NULL)
        return -ENOTCONN;
    wire->worker = worker;
    wire->channel = worker->channel;
    wire->line = prony_at(worker, task->out.off);
    wire->mine = (unsigned char *)prony_at(worker, task->out.off) + LINE_BYTES + worker->index * arg.stride;
    wire->answer = wire->mine + LINE_BYTES;
    wire->message = wire->answer + LINE_BYTES;
    wire->size = arg.size == 0 && (wire->channel->head.caps & PRONY_CHANNEL_STREAM) != 0 ? 1 : arg.size;
    wire->mask = wire->size >= sizeof(uint64_t) ? UINT64_MAX : (UINT64_C(1) << (8 * wire->size)) - 1;
    wire->answer_bytes = wire->channel->largest > 0 && wire->channel->largest < WIRE_ANSWER ? wire->channel->largest
                                                                                            : (uint64_t)WIRE_ANSWER;
    wire->lossy = (wire->channel->head.caps & PRONY_CHANNEL_LOSSY) != 0;
    wire->seed = arg.seed;
    wire->result.whole = 1;
    if (worker->index == 0) /* nobody looks at it before all have begun */
        memset(wire->line, 0, sizeof *wire->line);
    for (unsigned i = 0; wire->lossy && worker->spokes != NULL && i + 1 < worker->roles; i++)
        wire_clear(wire, worker->spokes[i]);
    if (wire->lossy)
        wire_clear(wire, worker->attached);
    if (receives)
        memset(wire->message, 0xa5, wire->size);
    else
        wire_fill(wire->message, wire->size, wire->seed);
    return 0;
}

/* Which memory node the message lies on; -errno where the kernel does not tell. */
static inline int32_t wire_node(const unsigned char *address)
{
    void *page = (void *)((uintptr_t)address & ~(uintptr_t)4095);
    int status = -ENODATA;
    if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) != 0)
        return -errno;
    return status;
}

/* What stamping and checking a message costs, beside the timed part: the median would be steadier, but the mean of warm
 * passes is what the timed part pays. */
static inline uint64_t wire_touch_ns(struct wire *wire)
{
    unsigned passes = wire->size > 65536 ? 2 : WIRE_TOUCHES;
    uint64_t begun = prony_now_ns();
    bool right = true;
    for (unsigned i = 0; i < passes; i++) {
        wire_stamp(wire->message, wire->size, i);
        __asm__ volatile("" ::: "memory");
        right &= wire_stamped(wire->message, wire->size, i);
    }
    return right ? (prony_now_ns() - begun) / passes : 0;
}

/* Leaves the result where the host finds it; off the clock. */
static inline int wire_close(struct wire *wire, int code)
{
    wire->worker->usage->node = wire_node(wire->message);
    wire->worker->usage->asked = 1;
    wire->result.touch_ns = wire_touch_ns(wire);
    wire->result.left = WIRE_RESULT_LEFT;
    memcpy(wire->mine, &wire->result, sizeof wire->result);
    return code;
}

/* Ends the timed part of a receiver: where the channel loses, with the last message and not with the waiting after it. */
static inline void wire_end(struct wire *wire)
{
    prony_worker_end(wire->worker);
    if (wire->lossy && wire->last_ns > wire->worker->slot->begun_ns)
        wire->worker->slot->ended_ns = wire->last_ns;
}

/* Sending and receiving. A message orders what lies beside it in the arena; the thread sanitizer, which cannot see that
 * through the kernel, is told. */

static inline int64_t wire_put(struct wire *wire, void *end, const void *data, size_t bytes)
{
#ifdef __SANITIZE_THREAD__
    __tsan_release(wire->line);
#endif
    return wire->channel->send(end, data, bytes, -1);
}

static inline int64_t wire_get(struct wire *wire, void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    int64_t got = wire->channel->recv(end, data, bytes, timeout_ns);
#ifdef __SANITIZE_THREAD__
    __tsan_acquire(wire->line);
#endif
    return got;
}

static inline int wire_send(struct wire *wire, void *end, uint64_t number)
{
    int64_t got;
    wire_stamp(wire->message, wire->size, number);
    got = wire_put(wire, end, wire->message, wire->size);
    if (got < 0 && !(wire->lossy && (got == -ENOBUFS || got == -EAGAIN)))
        return (int)got;
    wire->result.sent++;
    return 0;
}

/* The number in full of a message whose first word has only some of its bits. */
static inline uint64_t wire_number(struct wire *wire, struct wire_flow *flow)
{
    uint64_t word = 0, ahead;
    if (!wire->lossy || wire->mask == 0)
        return flow->next;
    memcpy(&word, wire->message, wire_room(wire->size, 0));
    ahead = (word - flow->next) & wire->mask;
    return ahead <= wire->mask / 2 ? flow->next + ahead : flow->next - ((flow->next - word) & wire->mask);
}

/* One message, counted and checked; -EAGAIN: none came within the patience of a channel that loses, or the channel's
 * error. */
static inline int wire_take(struct wire *wire, struct wire_flow *flow)
{
    int64_t got;
    if (wire->lossy)
        wire->over = __atomic_load_n(&wire->line->ended, __ATOMIC_ACQUIRE);
    got = wire_get(wire, flow->end, wire->message, wire->size, wire->lossy ? wire_patience_ns : -1);
    if (got < 0)
        return wire->lossy && got == -ETIMEDOUT ? -EAGAIN : (int)got;
    flow->seen = wire_number(wire, flow);
    flow->any = true;
    if (flow->seen >= flow->next) {
        wire->result.lost += flow->seen - flow->next;
        flow->next = flow->seen + 1;
    } else {
        wire->result.late++;
    }
    wire->result.wrong += (uint64_t)got != wire->size || !wire_stamped(wire->message, wire->size, flow->seen);
    wire->result.got++;
    if (wire->lossy)
        wire->last_ns = prony_now_ns();
    return 0;
}

/* Takes messages until number `hi` - 1 is there, or the sender has ended and nothing comes any more. */
static inline int wire_drain(struct wire *wire, struct wire_flow *flow, uint64_t hi)
{
    int code = 0;
    while (flow->next < hi && code == 0) {
        code = wire_take(wire, flow);
        if (code == -EAGAIN)
            code = wire->over != 0 ? -ENODATA : 0;
    }
    return code == -ENODATA ? 0 : code;
}

static inline int wire_pour(struct wire *wire, void *end, uint64_t lo, uint64_t hi)
{
    int code = 0;
    for (uint64_t i = lo; i < hi && code == 0; i++)
        code = wire_send(wire, end, i);
    return code;
}

/* The receiver tells that it has read everything up to `number`; the sender waits for that. Where the answer may be lost
 * the sender goes on after a while (-EAGAIN). */
static inline int wire_tell(struct wire *wire, void *end, uint64_t number)
{
    int64_t got;
    memcpy(wire->answer, &number, sizeof number);
    got = wire_put(wire, end, wire->answer, wire->answer_bytes);
    return got < 0 ? (int)got : 0;
}

static inline int wire_told(struct wire *wire, void *end, uint64_t number)
{
    const uint64_t mask =
        wire->answer_bytes == WIRE_ANSWER ? UINT64_MAX : (UINT64_C(1) << (8 * wire->answer_bytes)) - 1;
    for (;;) {
        uint64_t seen = 0;
        int64_t got = wire_get(wire, end, wire->answer, wire->answer_bytes, wire->lossy ? wire_answer_ns : -1);
        if (got < 0)
            return wire->lossy && got == -ETIMEDOUT ? -EAGAIN : (int)got;
        memcpy(&seen, wire->answer, wire->answer_bytes);
        if (((seen ^ number) & mask) == 0)
            return 0;
        if (!wire->lossy)
            return -EBADMSG;
    }
}

/* After the clock has stopped: the last message, byte by byte. */
static inline void wire_look(struct wire *wire, const struct wire_flow *flow)
{
    if (flow->any)
        wire->result.whole = wire_whole(wire->message, wire->size, wire->seed, flow->seen);
}

/* In the host */

static inline uint64_t wire_stride(const struct prony_params *params)
{
    uint64_t size = (uint64_t)prony_param_int(params, "size");
    return 2 * LINE_BYTES + 2 * (size / LINE_BYTES + 1) * LINE_BYTES;
}

static inline int64_t wire_items(const struct prony_params *params)
{
    int64_t items = prony_param_int(params, "items"), size = prony_param_int(params, "size");
    if (items == 0)
        items = 4194304 / (size < 1 ? 1 : size);
    return prony_param_int(params, "items") != 0 ? items : items < 2 ? 2 : items > 200 ? 200 : items;
}

/* For workloads of two roles, or (roles 0) a star of all workers. */
static inline int wire_need(const struct prony_params *params, unsigned workers, unsigned roles,
                            struct prony_need *need, struct prony_error *error)
{
    unsigned all = roles == 0 ? workers : roles;
    if (all < 2)
        return prony_fail(error, -ENOTSUP, "needs 2 workers");
    need->items = wire_items(params);
    need->message = (uint64_t)prony_param_int(params, "size");
    need->messages = need->items;
    need->few = WIRE_FEW;
    need->operations = need->items * (int64_t)need->message;
    need->bytes = LINE_BYTES + all * wire_stride(params);
    need->roles = roles;
    need->ends = roles == 0 ? 2 * (workers - 1) : roles;
    need->star = roles == 0;
    return 0;
}

static inline void wire_task(const struct prony_bench *bench, struct prony_task *task, struct wire_arg *arg)
{
    arg->size = (uint64_t)prony_param_int(bench->params, "size");
    arg->stride = wire_stride(bench->params);
    arg->seed = bench->seed;
    task_fill(bench, task, 0, arg, sizeof *arg);
}

/* For workloads without parameters of their own. */
static inline void wire_plain_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct wire_arg arg = {.size = 0};
    wire_task(bench, task, &arg);
}

static inline unsigned wire_roles(const struct prony_bench *bench)
{
    return bench->need->roles != 0 ? bench->need->roles : bench->setup->workers;
}

static inline void wire_poison(struct prony_bench *bench)
{
    for (unsigned role = 0; role < wire_roles(bench); role++)
        memset(data_at(bench, LINE_BYTES + role * wire_stride(bench->params)), 0xff,
               offsetof(struct wire_result, touch_ns));
}

static inline int wire_result_of(const struct prony_bench *bench, unsigned role, struct wire_result *result,
                                 struct prony_error *error)
{
    memcpy(result, data_at(bench, LINE_BYTES + role * wire_stride(bench->params)), sizeof *result);
    if (result->left != WIRE_RESULT_LEFT)
        return prony_fail(error, -EBADMSG, "role %u left no result", role);
    if (result->wrong != 0)
        return prony_fail(error, -EBADMSG, "role %u got %llu messages with a wrong content of %llu", role,
                          (unsigned long long)result->wrong, (unsigned long long)result->got);
    if (result->whole != 1)
        return prony_fail(error, -EBADMSG, "role %u: the last message has a wrong byte", role);
    return 0;
}

static inline bool wire_loses(const struct prony_bench *bench)
{
    return bench->setup->channel != NULL && (bench->setup->channel->head.caps & PRONY_CHANNEL_LOSSY) != 0;
}

/* Counts of both sides: what was sent must be there, or, where the channel loses, be missing and counted. `expected`
 * messages each way that is used. */
static inline int wire_agree(struct prony_bench *bench, uint64_t sent, uint64_t got, uint64_t gaps, uint64_t late,
                             uint64_t expected, struct prony_error *error)
{
    bool lossy = wire_loses(bench);
    if (sent != expected)
        return prony_fail(error, -EBADMSG, "%llu messages were sent, not %llu", (unsigned long long)sent,
                          (unsigned long long)expected);
    if (!lossy && (got != sent || gaps != 0 || late != 0))
        return prony_fail(
            error, -EBADMSG, "%llu messages were sent and %llu received (%llu missing, %llu out of order)",
            (unsigned long long)sent, (unsigned long long)got, (unsigned long long)gaps, (unsigned long long)late);
    if (got > sent || gaps > sent - got + late)
        return prony_fail(error, -EBADMSG, "%llu messages were sent, %llu received and %llu missed: they do not add up",
                          (unsigned long long)sent, (unsigned long long)got, (unsigned long long)gaps);
    bench->shortfall += (int64_t)(sent - got);
    bench->reordered += (int64_t)late;
    return 0;
}

/* Verifies a workload whose roles together send `expected` messages and receive them. */
static inline int wire_verify_all(struct prony_bench *bench, uint64_t expected, struct prony_error *error)
{
    struct wire_result all = {0}, one;
    uint64_t touch = 0;
    bench->shortfall = bench->reordered = 0;
    for (unsigned role = 0; role < wire_roles(bench); role++) {
        int code = wire_result_of(bench, role, &one, error);
        if (code != 0)
            return code;
        all.sent += one.sent;
        all.got += one.got;
        all.lost += one.lost;
        all.late += one.late;
        touch = one.touch_ns > touch ? one.touch_ns : touch;
    }
    bench->ns[1] = touch;
    return wire_agree(bench, all.sent, all.got, all.lost, all.late, expected, error);
}

static inline int wire_verify(struct prony_bench *bench, struct prony_error *error)
{
    return wire_verify_all(bench, (uint64_t)(bench->need->messages * bench->repeats), error);
}

/* What a star needs, where every role but the hub has all messages of its own. */
static inline int wire_star_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                                 struct prony_error *error)
{
    int code = wire_need(params, workers, 0, need, error);
    need->items *= workers - 1;
    need->messages *= workers - 1;
    need->operations *= workers - 1;
    return code;
}

/* The rest of a reader's life, once it has begun with `code`: reads all, says so, ends. */
static inline int wire_read_all(struct wire *wire, struct wire_flow *flow, uint64_t hi, int code)
{
    if (code == 0)
        code = wire_drain(wire, flow, hi);
    if (code == 0 && !wire->lossy)
        code = wire_tell(wire, flow->end, hi);
    wire_end(wire);
    wire_look(wire, flow);
    return wire_close(wire, code);
}

/* A kernel of two roles: the first sends, the second reads. */
typedef int wire_send_fn(struct wire *wire, const struct wire_arg *arg, uint64_t hi);
typedef int wire_read_fn(struct wire *wire, struct wire_flow *flow, const struct wire_arg *arg, uint64_t hi);
static inline int wire_two(struct prony_worker *worker, const struct prony_task *task, wire_send_fn *sender,
                           wire_read_fn *reader)
{
    struct wire_flow flow = {.end = worker->attached};
    struct wire_arg arg;
    struct wire wire;
    int code = wire_open(&wire, worker, task, worker->index != 0);
    if (code != 0)
        return code;
    memcpy(&arg, task->arg, sizeof arg);
    code = prony_worker_begin(worker);
    if (code == 0)
        code = worker->index == 0 ? sender(&wire, &arg, (uint64_t)task->hi)
                                  : reader(&wire, &flow, &arg, (uint64_t)task->hi);
    wire_end(&wire);
    wire_look(&wire, &flow);
    return wire_close(&wire, code);
}

#endif
