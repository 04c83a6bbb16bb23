/* A map workload from one pure function of the item's number.
 *
 *     #include <prony/plugin/simple.h>
 *     static int64_t collatz(int64_t i) { int64_t n = 0; for (i++; i != 1; n++) i = i & 1 ? 3 * i + 1 : i / 2; return n; }
 *     PRONY_MAP_WORKLOAD(collatz, collatz)
 *
 * cc -shared -fPIC -I include -o mine.so mine.c && prony run -w ./mine.so
 *
 * fn(i) is called for 0 <= i < items (-p items=). Every result is stored, poisoned before each sample, and compared
 * after it with the same function called in order. */
#ifndef PRONY_PLUGIN_SIMPLE_H
#define PRONY_PLUGIN_SIMPLE_H

#include <errno.h>
#include <prony/plugin/workload.h>
#include <stdlib.h>

static const struct prony_option prony_simple_options[] = {
    {"items", PRONY_INT, "100000", 1, 1e9, NULL, "numbers the function is called with, from 0"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static inline int prony_simple_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                                    struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = (uint64_t)need->items * sizeof(int64_t);
    return 0;
}

/* The answers, called in order, once a launch. */
static inline int prony_simple_prepare(struct prony_bench *bench, struct prony_error *error, int64_t (*fn)(int64_t))
{
    int64_t *answer = (int64_t *)malloc(bench->need->bytes);
    if (answer == NULL)
        return prony_fail(error, -ENOMEM, "no memory for %lld answers", (long long)bench->need->items);
    for (int64_t i = 0; i < bench->need->items; i++)
        answer[i] = fn(i);
    bench->local = answer;
    return 0;
}

static inline void prony_simple_poison(struct prony_bench *bench)
{
    int64_t *out = (int64_t *)(void *)(bench->setup->base + bench->data.off);
    const int64_t *answer = (const int64_t *)bench->local;
    for (int64_t i = 0; i < bench->need->items; i++)
        out[i] = ~answer[i];
}

static inline int prony_simple_verify(struct prony_bench *bench, struct prony_error *error)
{
    const int64_t *out = (const int64_t *)(const void *)(bench->setup->base + bench->data.off);
    const int64_t *answer = (const int64_t *)bench->local;
    for (int64_t i = 0; i < bench->need->items; i++)
        if (out[i] != answer[i])
            return prony_fail(error, -EBADMSG, "item %lld is %lld, not %lld", (long long)i, (long long)out[i],
                              (long long)answer[i]);
    return 0;
}

static inline void prony_simple_release(struct prony_bench *bench)
{
    free(bench->local);
}

#define PRONY_MAP_WORKLOAD(id, function)                                                                               \
    static int id##_kernel(struct prony_worker *worker, const struct prony_task *task)                                 \
    {                                                                                                                  \
        int64_t *out = (int64_t *)prony_at(worker, task->out.off);                                                     \
        for (int64_t i = task->lo; i < task->hi; i++)                                                                  \
            out[i] = function(i);                                                                                      \
        return 0;                                                                                                      \
    }                                                                                                                  \
    static int id##_prepare(struct prony_bench *bench, struct prony_error *error)                                      \
    {                                                                                                                  \
        return prony_simple_prepare(bench, error, function);                                                           \
    }                                                                                                                  \
    static const struct prony_kernel id##_kernels[] = {{#id, id##_kernel}, {NULL, NULL}};                              \
    PRONY_EXPORT(workload,                                                                                             \
                 id) = {.head = PRONY_HEAD(struct prony_workload, .name = #id, .summary = "a function of one's own",   \
                                           .options = prony_simple_options),                                           \
                        .unit = "call",                                                                                \
                        .kernels = id##_kernels,                                                                       \
                        .shape = PRONY_MAP,                                                                            \
                        .need = prony_simple_need,                                                                     \
                        .prepare = id##_prepare,                                                                       \
                        .poison = prony_simple_poison,                                                                 \
                        .verify = prony_simple_verify,                                                                 \
                        .release = prony_simple_release};

#endif
