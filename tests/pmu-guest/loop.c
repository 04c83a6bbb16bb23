/* loop: every worker runs a loop of an exact number of instructions, so that a counter of instructions has a known
 * answer, another one in each worker. A turn is two instructions, the count-down and the branch. The workers do not meet
 * before it: whoever waits for another spins, and spinning is instructions too. Built as a plug-in (-w ./loop.so), for
 * the guest and for the machine itself. */
#include <prony/plugin/workload.h>

#include <errno.h>
#include <string.h>

static const struct prony_option options[] = {
    {"turns", PRONY_INT, "10M", 1, 1e12, NULL, "turns of the loop in worker 0; worker i runs i+1 times as many"},
    {.name = NULL},
};

/* Not inlined: a simulator can be told to count in this function alone. */
__attribute__((noinline)) void prony_test_loop(uint64_t turns)
{
#if defined __aarch64__
    __asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(turns) : : "cc");
#elif defined __x86_64__
    __asm__ volatile("1: sub $1, %0\n\tjnz 1b" : "+r"(turns) : : "cc");
#else
#error "the loop is written for arm64 and x86-64"
#endif
}

static int loop_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    int64_t *done = (int64_t *)prony_at(worker, task->out.off), turns;
    memcpy(&turns, task->arg, sizeof turns);
    turns *= worker->index + 1;
    for (int64_t i = task->lo; i < task->hi; i++) {
        prony_test_loop((uint64_t)turns);
        done[worker->index]++;
    }
    return 0;
}

static int loop_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    (void)params, (void)error;
    need->items = 1;
    need->bytes = workers * sizeof(int64_t);
    return 0;
}

static void loop_task(const struct prony_bench *bench, struct prony_task *task)
{
    int64_t turns = prony_param_int(bench->params, "turns");
    task->ref.workload = 1;
    task->in = task->out = bench->data;
    memcpy(task->arg, &turns, sizeof turns);
}

static int64_t *done_of(const struct prony_bench *bench)
{
    return (int64_t *)(void *)(bench->setup->base + bench->data.off);
}

static void loop_poison(struct prony_bench *bench)
{
    memset(done_of(bench), 0, bench->setup->workers * sizeof(int64_t));
}

static int loop_verify(struct prony_bench *bench, struct prony_error *error)
{
    for (unsigned i = 0; i < bench->setup->workers; i++)
        if (done_of(bench)[i] != bench->repeats)
            return prony_fail(error, -EBADMSG, "worker %u ran %lld loops of %lld", i, (long long)done_of(bench)[i],
                              (long long)bench->repeats);
    return 0;
}

static const struct prony_kernel kernels[] = {{"loop", loop_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, loop) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "loop", .summary = "a loop of an exact number of instructions",
                       .options = options),
    .unit = "loop",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = loop_need,
    .task = loop_task,
    .poison = loop_poison,
    .verify = loop_verify,
};
