/* queue: messages through one bounded queue; the first half of the workers put, the others get. One alone does both.
 *
 * Every message is its number and a pattern made of it; what came is checked and added up. Two copies a message, in and
 * out, both under the queue's lock, are part of the time. `kind` joinable: getters say task_done after each message, and
 * who put joins the queue in the end. */
#include "workloads/kit.h"

#include <prony/queue.h>

enum { PLAIN, JOINABLE };
static const char *const kinds[] = {"plain", "joinable", NULL};

static const struct prony_option options[] = {
    {"items", PRONY_INT, "10k", 1, 1e9, NULL, "messages of one repetition, all workers together"},
    {"kind", PRONY_CHOICE, "plain", 0, 0, kinds, "joinable: messages are told to be done, and waited for"},
    {"size", PRONY_BYTES, "64", 8, 1 << 20, NULL, "bytes of a message"},
    {"capacity", PRONY_INT, "64", 1, 1e6, NULL, "messages that fit into the queue"},
    {.name = NULL},
};

/* What a getter leaves: how many came, and the sum of their numbers. */
struct account {
    uint64_t count, sum;
};

struct queue_arg {
    uint64_t accounts; /* where they lie, behind the queue */
    uint32_t size, capacity;
    uint32_t kind;
};

static void fill(unsigned char *message, uint32_t size, uint64_t number)
{
    memcpy(message, &number, sizeof number);
    memset(message + sizeof number, (int)(mix64(number) & 0xff), size - sizeof number);
}

/* Its number; UINT64_MAX when something of it is wrong. */
static uint64_t number_in(const unsigned char *message, size_t got, uint32_t size)
{
    uint64_t number;
    memcpy(&number, message, sizeof number);
    for (uint32_t i = sizeof number; i < size; i++)
        if (message[i] != (unsigned char)(mix64(number) & 0xff))
            return UINT64_MAX;
    return got == size ? number : UINT64_MAX;
}

static int get_one(struct prony_queue *queue, unsigned char *message, const struct queue_arg *arg,
                   struct account *account)
{
    uint64_t number;
    size_t got = 0;
    int code = prony_queue_get(queue, message, arg->size, &got, STUCK_NS);
    if (code != 0)
        return code;
    number = number_in(message, got, arg->size);
    account->count++;
    account->sum += number;
    if (number == UINT64_MAX)
        return -EBADMSG;
    return arg->kind == JOINABLE ? prony_queue_task_done(queue) : 0;
}

static int put_one(struct prony_queue *queue, unsigned char *message, uint32_t size, uint64_t number)
{
    fill(message, size, number);
    return prony_queue_put(queue, message, size, STUCK_NS);
}

static int queue_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_queue *queue = prony_at(worker, task->out.off);
    const unsigned putters = worker->roles / 2, me = worker->index;
    const int64_t items = task->hi - task->lo;
    struct account account = {0, 0};
    struct queue_arg arg;
    unsigned char *message;
    uint64_t off;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    if ((off = prony_worker_push(worker, arg.size)) == 0)
        return -ENOMEM;
    message = prony_at(worker, off);
    code = prony_worker_begin(worker);
    if (putters == 0)
        for (int64_t i = 0; i < items && code == 0; i++) {
            code = put_one(queue, message, arg.size, (uint64_t)i);
            code = code != 0 ? code : get_one(queue, message, &arg, &account);
        }
    else if (me < putters)
        for (int64_t i = me; i < items && code == 0; i += putters)
            code = put_one(queue, message, arg.size, (uint64_t)i);
    else
        for (int64_t i = share(items, me - putters, worker->roles - putters); i > 0 && code == 0; i--)
            code = get_one(queue, message, &arg, &account);
    if (code == 0 && arg.kind == JOINABLE && me < (putters == 0 ? 1 : putters))
        code = prony_queue_join(queue, STUCK_NS);
    prony_worker_end(worker);
    memcpy(prony_at(worker, task->out.off + arg.accounts + me * (uint64_t)LINE_BYTES), &account, sizeof account);
    prony_worker_pop(worker, arg.size);
    return code;
}

static uint64_t accounts_at(const struct prony_params *params)
{
    const uint64_t room =
        prony_queue_room((uint32_t)prony_param_int(params, "capacity"), (uint32_t)prony_param_int(params, "size"));
    return (room + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

static int queue_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                      struct prony_error *error)
{
    (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = accounts_at(params) + (uint64_t)workers * LINE_BYTES;
    need->scratch = 4096 + (uint64_t)prony_param_int(params, "size");
    return 0;
}

static void queue_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct queue_arg arg = {accounts_at(bench->params), (uint32_t)prony_param_int(bench->params, "size"),
                            (uint32_t)prony_param_int(bench->params, "capacity"),
                            (uint32_t)prony_param_int(bench->params, "kind")};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void queue_poison(struct prony_bench *bench)
{
    (void)prony_queue_init(data_at(bench, 0), (uint32_t)prony_param_int(bench->params, "capacity"),
                           (uint32_t)prony_param_int(bench->params, "size"), NULL);
    turns_poison(bench, accounts_at(bench->params));
}

static int queue_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint64_t items = (uint64_t)(bench->need->items * bench->repeats);
    const uint32_t left = prony_queue_size(data_at(bench, 0));
    uint64_t count = 0, sum = 0;
    for (unsigned i = 0; i < bench->setup->workers; i++) {
        const struct account *account = data_at(bench, accounts_at(bench->params) + i * (uint64_t)LINE_BYTES);
        count += account->count;
        sum += account->sum;
    }
    if (count != items || sum != items * (items - 1) / 2 || left != 0)
        return prony_fail(error, -EBADMSG, "%llu of %llu messages came, their numbers add up to %llu, %u are left",
                          (unsigned long long)count, (unsigned long long)items, (unsigned long long)sum, left);
    return 0;
}

static const struct prony_kernel kernels[] = {{"queue", queue_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, queue) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "queue", .summary = "messages through one bounded queue",
                       .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = queue_need,
    .task = queue_task,
    .poison = queue_poison,
    .verify = queue_verify,
};
