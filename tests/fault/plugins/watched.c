/* A workload over a channel that goes wrong, in the way its parameter says, only while somebody traces it. */
#include <prony/plugin/channel.h>
#include <prony/plugin/workload.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const ways[] = {"not", "die", "hang", "exit-host", "lie", NULL};
enum { NOT, DIE, HANG, EXIT_HOST, LIE };
enum { MESSAGES = 20 };

static const struct prony_option options[] = {
    {"way", PRONY_CHOICE, "not", 0, 0, ways, "what goes wrong"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static int is_traced(void)
{
    FILE *file = fopen("/proc/thread-self/status", "re");
    char line[128];
    int tracer = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "TracerPid: %d", &tracer);
    if (file != NULL)
        (void)fclose(file);
    return tracer != 0;
}

static int watched(struct prony_worker *worker, const struct prony_task *task)
{
    int64_t *got = prony_at(worker, task->out.off);
    char data[8] = "message";
    int code = prony_worker_begin(worker);
    if (worker->index == 1 && task->arg[0] != NOT && is_traced()) {
        if (task->arg[0] == DIE)
            (void)raise(SIGKILL);
        else if (task->arg[0] == EXIT_HOST)
            (void)kill(getppid(), SIGKILL);
        for (; task->arg[0] != LIE;)
            (void)pause();
    }
    for (int64_t i = 0; i < task->hi && code == 0; i++) {
        int64_t n = worker->index == 0 ? worker->channel->send(worker->attached, data, sizeof data, -1)
                                       : worker->channel->recv(worker->attached, data, sizeof data, -1);
        code = n < 0 ? (int)n : 0;
    }
    prony_worker_end(worker);
    if (worker->index == 1)
        *got = task->arg[0] == LIE && is_traced() ? 0 : task->hi;
    return code;
}

static int need(const struct prony_params *params, unsigned workers, struct prony_need *wanted,
                struct prony_error *error)
{
    (void)params, (void)workers, (void)error;
    *wanted = (struct prony_need){
        .items = MESSAGES, .messages = MESSAGES, .message = 8, .roles = 2, .ends = 2, .bytes = sizeof(int64_t)};
    return 0;
}

static void describe(const struct prony_bench *bench, struct prony_task *task)
{
    task->out = bench->data;
    task->arg[0] = (unsigned char)prony_param_int(bench->params, "way");
}

static int verify(struct prony_bench *bench, struct prony_error *error)
{
    int64_t *got = (int64_t *)(void *)(bench->setup->base + bench->data.off), all = MESSAGES * bench->repeats;
    return *got == all ? 0 : prony_fail(error, -EBADMSG, "%lld messages came of %lld", (long long)*got, (long long)all);
}

static const struct prony_kernel kernels[] = {{"watched", watched}, {NULL, NULL}};

PRONY_EXPORT(workload, watched) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "watched", .summary = "goes wrong while it is traced",
                       .options = options),
    .unit = "message",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = need,
    .task = describe,
    .verify = verify,
};
