/* sort: merge sort of 8-byte keys from the seed: much data that goes from hand to hand, round after round.
 *
 * Blocks are sorted one by one, then merged in rounds that double the sorted runs. In every round each block of the
 * result is an item of its own, which finds by bisection where its part of the two runs begins (the merge path of Odeh,
 * Green, Mwassi, Shmueli, Birk 2012), so that the last merge is as parallel as the first sorting. by=map: a map a round,
 * all wait for each other between rounds; by=tasks: one recursion, tasks that spawn tasks, for engines that nest. Both do
 * the same work. The answer: in order, and by a sum of hashes the same keys. Not measured: the best sort of this machine
 * (a plain merge, no radix, no vectors), making the keys, strings or records. */
#include "base/clock.h"
#include "workloads/kit.h"

enum { BY_MAP, BY_TASKS, SHORT = 24 };
static const char *const ways[] = {"map", "tasks", NULL};
static const char *const phases[] = {"sort", "merge", NULL};

static const struct prony_option options[] = {
    {"items", PRONY_INT, "1M", 1, 1e8, NULL, "keys to sort"},
    {"block", PRONY_INT, "8Ki", 2, 1e8, NULL, "keys that a task sorts, or leaves merged"},
    {"by", PRONY_CHOICE, "map", 0, 0, ways, "map: a map a round; tasks: by recursion, for engines that nest"},
    {.name = NULL},
};

/* Round 0 sorts blocks, round r merges runs of block << (r - 1) keys in pairs. The data: the keys as they came, and two
 * places that the rounds use in turn; the last round leaves its result in the second. */
struct sort_arg {
    uint64_t items, block;
    uint32_t rounds; /* of merging */
    uint32_t round;
    uint32_t merges; /* of a recursion: only the merging of `round` is left to do */
};
static_assert(sizeof(struct sort_arg) <= PRONY_ARG_BYTES, "travels with the task");

static uint64_t blocks_of(const struct sort_arg *arg)
{
    return (arg->items + arg->block - 1) / arg->block;
}

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* Where a round leaves its keys; before round 0 they are where they came. */
static uint64_t *place(uint64_t *keys, const struct sort_arg *arg, uint32_t round)
{
    return keys + ((arg->rounds - round) % 2 == 0 ? 2 : 1) * arg->items;
}

/* Merges until `out` has n keys; of equal keys the left one comes first. */
static void merge(const uint64_t *left, const uint64_t *left_end, const uint64_t *right, const uint64_t *right_end,
                  uint64_t *out, uint64_t n)
{
    for (; n > 0 && left < left_end && right < right_end; n--)
        *out++ = *right < *left ? *right++ : *left++;
    memcpy(out, left < left_end ? left : right, n * sizeof *out);
}

/* How many of the first n keys of the merged runs come from the left one. */
static uint64_t from_left(const uint64_t *left, uint64_t lefts, const uint64_t *right, uint64_t rights, uint64_t n)
{
    uint64_t low = n > rights ? n - rights : 0, high = least(n, lefts);
    while (low < high) {
        const uint64_t half = low + (high - low) / 2;
        if (left[half] <= right[n - half - 1])
            low = half + 1;
        else
            high = half;
    }
    return low;
}

/* Block `i` of the result of a round of merging. */
static void merge_block(uint64_t *keys, const struct sort_arg *arg, uint32_t round, uint64_t i)
{
    const uint64_t run = arg->block << (round - 1), at = i * arg->block, first = at / (2 * run) * (2 * run);
    const uint64_t *left = place(keys, arg, round - 1) + first, *right;
    const uint64_t lefts = least(run, arg->items - first), rights = least(run, arg->items - first - lefts);
    const uint64_t n = least(arg->block, arg->items - at), gone = at - first;
    uint64_t taken;
    right = left + lefts;
    taken = from_left(left, lefts, right, rights, gone);
    merge(left + taken, left + lefts, right + (gone - taken), right + rights, place(keys, arg, round) + at, n);
}

static void insert(const uint64_t *in, uint64_t *out, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t key = in[i];
        uint64_t at = i;
        for (; at > 0 && out[at - 1] > key; at--)
            out[at] = out[at - 1];
        out[at] = key;
    }
}

/* Short runs by insertion, then merged to and fro between the two places, so that the last merge ends where round 0 has
 * to leave the block. */
static void sort_block(uint64_t *keys, const struct sort_arg *arg, uint64_t i)
{
    const uint64_t at = i * arg->block, n = least(arg->block, arg->items - at);
    uint64_t *to = place(keys, arg, 0) + at, *from = place(keys, arg, 1) + at;
    unsigned turns = 0;
    for (uint64_t run = SHORT; run < n; run *= 2)
        turns++;
    if (turns % 2 == 0) {
        uint64_t *other = to;
        to = from;
        from = other;
    }
    for (uint64_t run = 0; run < n; run += SHORT)
        insert(keys + at + run, from + run, least(SHORT, n - run));
    for (uint64_t run = SHORT; run < n; run *= 2) {
        uint64_t *other = to;
        for (uint64_t lo = 0; lo < n; lo += 2 * run) {
            const uint64_t mid = least(n, lo + run), hi = least(n, lo + 2 * run);
            merge(from + lo, from + mid, from + mid, from + hi, to + lo, hi - lo);
        }
        to = from;
        from = other;
    }
}

/* Items: blocks. */
static int sort_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    uint64_t *keys = prony_at(worker, task->in.off);
    struct sort_arg arg;
    memcpy(&arg, task->arg, sizeof arg);
    for (uint64_t i = (uint64_t)task->lo; i < (uint64_t)task->hi; i++) {
        if (arg.round == 0)
            sort_block(keys, &arg, i);
        else
            merge_block(keys, &arg, arg.round, i);
    }
    return 0;
}

static int recurse(struct prony_worker *worker, const struct prony_task *task, struct sort_arg arg);

/* Blocks [lo, mid) of the task by a task of their own, [mid, hi) here. */
static int halves(struct prony_worker *worker, const struct prony_task *task, struct sort_arg arg, int64_t mid)
{
    struct prony_task kid = *task, rest = *task;
    int code;
    kid.hi = rest.lo = mid;
    memcpy(kid.arg, &arg, sizeof arg);
    code = kid_begin(worker, &kid);
    return code != 0 ? code : kid_end(worker, &kid, recurse(worker, &rest, arg), NULL);
}

/* Sorts the task's blocks, which are those of one run of the round, or all that is left of it. */
static int recurse(struct prony_worker *worker, const struct prony_task *task, struct sort_arg arg)
{
    uint64_t *keys = prony_at(worker, task->in.off);
    int code = 0;
    if (arg.merges == 0 && arg.round > 0) {
        struct sort_arg less = arg;
        const int64_t mid = task->lo + (INT64_C(1) << (arg.round - 1));
        less.round--;
        code = mid < task->hi ? halves(worker, task, less, mid) : recurse(worker, task, less);
        arg.merges = 1;
    }
    if (code != 0)
        return code;
    if (task->hi - task->lo > 1)
        return halves(worker, task, arg, task->lo + (task->hi - task->lo) / 2);
    if (arg.round == 0)
        sort_block(keys, &arg, (uint64_t)task->lo);
    else
        merge_block(keys, &arg, arg.round, (uint64_t)task->lo);
    return 0;
}

static int recurse_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct sort_arg arg;
    memcpy(&arg, task->arg, sizeof arg);
    return recurse(worker, task, arg);
}

/* The host's side */

static int by_tasks(const struct prony_params *params)
{
    return prony_param_int(params, "by") == BY_TASKS;
}

static struct sort_arg arg_of(const struct prony_params *params)
{
    struct sort_arg arg = {(uint64_t)prony_param_int(params, "items"), (uint64_t)prony_param_int(params, "block"), 0, 0,
                           0};
    while (arg.block << arg.rounds < arg.items)
        arg.rounds++;
    return arg;
}

static int sort_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = 3 * (uint64_t)need->items * sizeof(uint64_t);
    need->futures = by_tasks(params) ? 1 : 0;
    need->engine_caps = by_tasks(params) ? PRONY_CAP_NEST | PRONY_CAP_SUBMIT : 0;
    need->moved = 2 * need->items * (int64_t)sizeof(uint64_t);
    return 0;
}

static uint64_t hash(const uint64_t *keys, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += mix64(keys[i]);
    return sum;
}

static int sort_prepare(struct prony_bench *bench, struct prony_error *error)
{
    uint64_t *keys = data_at(bench, 0), *sum = malloc(sizeof *sum);
    if (sum == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a sum");
    for (int64_t i = 0; i < bench->need->items; i++)
        keys[i] = mix64(bench->seed + (uint64_t)i);
    *sum = hash(keys, (uint64_t)bench->need->items);
    bench->local = sum;
    return 0;
}

static void sort_task(const struct prony_bench *bench, struct prony_task *task)
{
    const struct sort_arg arg = arg_of(bench->params);
    task_fill(bench, task, (unsigned)by_tasks(bench->params), &arg, sizeof arg);
}

static void sort_poison(struct prony_bench *bench)
{
    const uint64_t bytes = (uint64_t)bench->need->items * sizeof(uint64_t);
    memset(data_at(bench, bytes), 0xff, 2 * bytes);
    futures_poison(bench);
}

/* The rounds, one map after the other. */
static int drive_rounds(struct prony_bench *bench, struct prony_task *task)
{
    struct sort_arg arg = arg_of(bench->params);
    int code = 0;
    task->lo = 0;
    task->hi = (int64_t)blocks_of(&arg);
    for (; arg.round <= arg.rounds && code == 0; arg.round++) {
        const uint64_t begun = prony_now_ns();
        memcpy(task->arg, &arg, sizeof arg);
        code = bench->engine->map(bench->handle, task, bench->chunk, &bench->tally, bench->timeout_ns);
        code = code != 0 ? code : bench->tally.status;
        bench->ns[arg.round == 0 ? 1 : 2] += prony_now_ns() - begun;
    }
    return code;
}

static int drive_recursion(struct prony_bench *bench, struct prony_task *task)
{
    struct sort_arg arg = arg_of(bench->params);
    int code;
    arg.round = arg.rounds;
    memcpy(task->arg, &arg, sizeof arg);
    task->lo = 0;
    task->hi = (int64_t)blocks_of(&arg);
    task->future = bench->futures.off;
    code = bench->engine->submit(bench->handle, task, 1);
    if (code == 0)
        code = bench->engine->wait(bench->handle, &task->future, 1, 1, bench->timeout_ns);
    return code != 0 ? code : future_at(bench, 0)->status;
}

static int sort_drive(struct prony_bench *bench)
{
    struct prony_task task = {.lo = 0};
    int code = 0;
    sort_task(bench, &task);
    memset(bench->ns, 0, sizeof bench->ns);
    for (int64_t i = 0; i < bench->repeats && code == 0; i++)
        code = by_tasks(bench->params) ? drive_recursion(bench, &task) : drive_rounds(bench, &task);
    return code == 0 ? 0 : prony_fail(bench->error, code, "sort: a repetition failed");
}

static int sort_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint64_t n = (uint64_t)bench->need->items, *keys = data_at(bench, 2 * n * sizeof(uint64_t));
    for (uint64_t i = 1; i < n; i++)
        if (keys[i - 1] > keys[i])
            return prony_fail(error, -EBADMSG, "key %llu is greater than the next one", (unsigned long long)i - 1);
    if (hash(keys, n) != *(const uint64_t *)bench->local)
        return prony_fail(error, -EBADMSG, "the keys are in order, and not those that came");
    return futures_verify(bench, error);
}

static void sort_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"sort", sort_kernel}, {"recurse", recurse_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, sort) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "sort",
                       .summary = "merge sort of many keys, in rounds or recursive", .options = options),
    .unit = "key",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .phases = phases,
    .need = sort_need,
    .prepare = sort_prepare,
    .task = sort_task,
    .poison = sort_poison,
    .drive = sort_drive,
    .verify = sort_verify,
    .release = sort_release,
};
