/* square: the squares of a list of numbers, the first example of every pool's tutorial.
 *
 * The list is 0 .. items-1, or what is typed: -p list=1+2+3+4+5. Too little work an item to be worth sharing in small
 * chunks: it shows what a map costs. Not measured: building the list. */
#include "workloads/kit.h"

/* Beyond this a square does not fit into 64 bits. */
#define ROOT_MOST 3037000499ll

static const struct prony_option options[] = {
    {"items", PRONY_INT, "1M", 1, 1e9, NULL, "numbers to square, from 0; not used with a list"},
    {"list", PRONY_TEXT, "", 0, 0, NULL, "the numbers to square, with + between them: 1+2+3+4+5"},
    {.name = NULL},
};

static int square_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    const int64_t *in = prony_at(worker, task->in.off);
    int64_t *out = prony_at(worker, task->out.off);
    for (int64_t i = task->lo; i < task->hi; i++)
        out[i] = in[i] * in[i];
    return 0;
}

/* Reads the numbers of a list into `numbers`, when that is not NULL. How many there are, or -EINVAL. */
static int64_t read_list(const char *text, int64_t *numbers, struct prony_error *error)
{
    int64_t n = 0;
    const char *at = text;
    for (;;) {
        char *end;
        long long number = strtoll(at, &end, 10);
        if (end == at || number > ROOT_MOST || number < -ROOT_MOST || (*end != '\0' && *end != '+'))
            return prony_fail(error, -EINVAL,
                              "list=%s: item %lld is not a number from %lld to %lld; numbers have + between "
                              "them, as in 1+2+3",
                              text, (long long)n + 1, -ROOT_MOST, ROOT_MOST);
        if (numbers != NULL)
            numbers[n] = number;
        n++;
        if (*end == '\0')
            return n;
        at = end + 1;
    }
}

static int square_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                       struct prony_error *error)
{
    const char *list = prony_param_text(params, "list");
    (void)workers;
    need->items = list[0] != '\0' ? read_list(list, NULL, error) : prony_param_int(params, "items");
    if (need->items < 0)
        return (int)need->items;
    need->bytes = 2 * (uint64_t)need->items * sizeof(int64_t);
    need->moved = (int64_t)need->bytes;
    return 0;
}

static uint64_t half(const struct prony_bench *bench)
{
    return (uint64_t)bench->need->items * sizeof(int64_t);
}

static int square_prepare(struct prony_bench *bench, struct prony_error *error)
{
    const char *list = prony_param_text(bench->params, "list");
    int64_t *in = data_at(bench, 0), n;
    if (list[0] != '\0') {
        n = read_list(list, in, error);
        return n < 0 ? (int)n : 0;
    }
    for (int64_t i = 0; i < bench->need->items; i++)
        in[i] = i;
    return 0;
}

static void square_task(const struct prony_bench *bench, struct prony_task *task)
{
    task->ref = (struct prony_ref){1, 0};
    task->in = data_span(bench, 0, half(bench));
    task->out = data_span(bench, half(bench), half(bench));
}

/* No square is negative. */
static void square_poison(struct prony_bench *bench)
{
    memset(data_at(bench, half(bench)), 0xff, half(bench));
}

/* Squares of 0, 1, 2, ... are the running sums of the odd numbers. */
static int square_verify(struct prony_bench *bench, struct prony_error *error)
{
    const int64_t *in = data_at(bench, 0), *out = data_at(bench, half(bench));
    const int listed = prony_param_text(bench->params, "list")[0] != '\0';
    int64_t square = 0;
    for (int64_t i = 0; i < bench->need->items; square += 2 * i + 1, i++) {
        int64_t answer = listed ? in[i] * in[i] : square;
        if (out[i] != answer)
            return prony_fail(error, -EBADMSG, "the square of %lld is %lld, not %lld", (long long)in[i],
                              (long long)answer, (long long)out[i]);
    }
    return 0;
}

static const struct prony_kernel kernels[] = {{"square", square_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, square) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "square", .summary = "squares of a list of numbers",
                       .options = options),
    .unit = "number",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .need = square_need,
    .prepare = square_prepare,
    .task = square_task,
    .poison = square_poison,
    .verify = square_verify,
};
