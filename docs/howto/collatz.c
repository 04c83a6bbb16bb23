/* collatz: steps that each number takes to reach 1.
 *
 * Uneven items without memory: neighbours differ by a factor of ten and more. Sums of steps are checked, number by number.
 * Not measured: memory bandwidth; the output is 4 bytes a number. */
#include <prony/plugin/workload.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct prony_option options[] = {
    {"items", PRONY_INT, "100k", 1, 1e8, NULL, "numbers tried, from 1"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static int collatz_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    uint32_t *out = prony_at(worker, task->out.off);
    for (int64_t i = task->lo; i < task->hi; i++) {
        out[i] = 0;
        for (uint64_t n = (uint64_t)i + 1; n != 1; n = n & 1 ? 3 * n + 1 : n / 2)
            out[i]++;
    }
    return 0;
}

static int collatz_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                        struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = (uint64_t)need->items * sizeof(uint32_t);
    return 0;
}

/* The answer, by another way: a number that has fallen below where it began needs no more steps of its own. */
static int collatz_prepare(struct prony_bench *bench, struct prony_error *error)
{
    uint32_t *answer = malloc(bench->need->bytes);
    if (answer == NULL)
        return prony_fail(error, -ENOMEM, "no memory for %lld answers", (long long)bench->need->items);
    answer[0] = 0;
    for (int64_t i = 1; i < bench->need->items; i++) {
        uint64_t n = (uint64_t)i + 1;
        for (answer[i] = 0; n > (uint64_t)i; n = n & 1 ? 3 * n + 1 : n / 2)
            answer[i]++;
        answer[i] += answer[n - 1];
    }
    bench->local = answer;
    return 0;
}

static void collatz_poison(struct prony_bench *bench)
{
    memset(bench->setup->base + bench->data.off, 0xff, bench->need->bytes);
}

static int collatz_verify(struct prony_bench *bench, struct prony_error *error)
{
    const uint32_t *out = (const void *)(bench->setup->base + bench->data.off), *answer = bench->local;
    for (int64_t i = 0; i < bench->need->items; i++)
        if (out[i] != answer[i])
            return prony_fail(error, -EBADMSG, "%lld takes %u steps, not %u", (long long)i + 1, answer[i], out[i]);
    return 0;
}

static void collatz_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"collatz", collatz_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, collatz) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "collatz", .summary = "steps of 3n+1 to reach 1: uneven items",
                       .options = options),
    .unit = "number",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .need = collatz_need,
    .prepare = collatz_prepare,
    .poison = collatz_poison,
    .verify = collatz_verify,
    .release = collatz_release,
};
