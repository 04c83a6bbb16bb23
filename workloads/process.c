/* process: every worker starts processes, one after the other, and waits for the end of each: what a start method costs.
 *
 * The process does nothing but end with the code it was given. fork copies the worker, so its cost grows with the memory
 * mapped there; spawn executes prony again, libraries and all; forkserver has been executed once, off the clock, by the
 * first process of a warm-up; thread is a thread of the worker, for comparison. Processes of workers that are threads are
 * forked beside the others. Not measured: loading what a real program would. */
#include "workloads/kit.h"

#include <prony/process.h>
#include <pthread.h>

enum { THREAD = 3 }; /* those before it are numbered as prony_start_method */
static const char *const methods[] = {"fork", "spawn", "forkserver", "thread", NULL};

static const struct prony_option options[] = {
    {"items", PRONY_INT, "8", 1, 1e6, NULL, "starts of one repetition, all workers together"},
    {"method", PRONY_CHOICE, "fork", 0, 0, methods, "how the process starts; thread: a thread in its place"},
    {.name = NULL},
};

struct process_arg {
    uint32_t method;
};

static void *give_back(void *code)
{
    return code;
}

/* Starts one and takes its code. 0 or -errno. */
static int one_thread(unsigned char given, int *code)
{
    pthread_t thread;
    void *said;
    int failed = pthread_create(&thread, NULL, give_back, (void *)(uintptr_t)given);
    if (failed == 0 && (failed = pthread_join(thread, &said)) == 0)
        *code = (int)(uintptr_t)said;
    return -failed;
}

static int one_process(enum prony_start_method method, unsigned char given, int *code)
{
    const struct prony_start start = {method, PRONY_ENTRY_NOTHING, {&given, 1, NULL, 0}, 0, NULL};
    struct prony_process process;
    int failed = prony_process_start(&process, &start, NULL);
    if (failed != 0)
        return failed;
    failed = prony_process_join(&process, STUCK_NS);
    if (failed != 0) {
        (void)prony_process_kill(&process);
        (void)prony_process_join(&process, -1);
    }
    *code = process.exit_code;
    (void)prony_process_close(&process);
    return failed;
}

static int process_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    const int64_t mine = share(task->hi - task->lo, worker->index, worker->roles);
    struct process_arg arg;
    uint64_t done = 0;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    code = prony_worker_begin(worker);
    for (int64_t i = 0; i < mine && code == 0; i++) {
        const unsigned char given = (unsigned char)(i * 7 + worker->index + 1);
        int came = -1;
        code = arg.method == THREAD ? one_thread(given, &came)
                                    : one_process((enum prony_start_method)arg.method, given, &came);
        if (code == 0 && came != given)
            code = -EBADMSG;
        done += code == 0;
    }
    prony_worker_end(worker);
    *turns_of(worker, task, 0) = done;
    return code;
}

static int process_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                        struct prony_error *error)
{
    (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = (uint64_t)workers * LINE_BYTES;
    return 0;
}

static void process_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct process_arg arg = {(uint32_t)prony_param_int(bench->params, "method")};
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void process_poison(struct prony_bench *bench)
{
    turns_poison(bench, 0);
}

static int process_verify(struct prony_bench *bench, struct prony_error *error)
{
    return turns_verify(bench, 0, error);
}

static const struct prony_kernel kernels[] = {{"process", process_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, process) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "process",
                       .summary = "workers start processes and wait for their end", .options = options),
    .unit = "start",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = process_need,
    .task = process_task,
    .poison = process_poison,
    .verify = process_verify,
};
