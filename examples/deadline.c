/* Futures with a deadline: each number is a task that takes so many milliseconds in a process of its own, and each has the
 * same limit. What takes longer is stopped where it is, and its future says so; nothing else is lost. Callbacks print what
 * comes, in the order in which it comes.
 *
 *     deadline [LIMIT-MS [NUMBER...]] */
#include <prony/group.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORKERS 4

static int sleep_for(struct prony_worker *worker, const struct prony_task *task)
{
    (void)worker;
    return usleep((useconds_t)task->lo * 1000) == 0 ? 0 : -EINVAL;
}

static const struct prony_kernel kernels[] = {{"sleep", sleep_for}, {NULL, NULL}};

static int say(void *context, uint64_t handle, const struct prony_future *outcome)
{
    char text[64];
    (void)handle;
    (void)printf("%s ms: %s\n", (const char *)context,
                 outcome->status == 0 ? "done" : prony_code_text(outcome->status, text, sizeof text));
    return fflush(stdout) == 0 ? 0 : -EIO; /* a worker that takes another one's place is a copy of this process */
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"1", "60000", "2"};
    const char *const *numbers = argc > 2 ? (const char *const *)argv + 2 : usual;
    const struct prony_policy policy = {.staff = PRONY_PROCESSES, .idle = PRONY_IDLE_ADAPTIVE};
    const unsigned n = argc > 2 ? (unsigned)argc - 2 : 3;
    const struct prony_wish wish = {WORKERS, prony_executor_area(WORKERS), 0, WORKERS};
    struct prony_ground ground;
    struct prony_executor *executor = NULL;
    struct prony_group *group = NULL;
    struct prony_error error = {0, ""};
    int code = prony_ground_make(&ground, kernels, &wish, &error);
    if (code != 0 || (code = prony_executor_open(&ground.setup, &policy, &executor, &error)) != 0 ||
        (code = prony_executor_group(executor, ground.futures, &group, &error)) != 0) {
        (void)fprintf(stderr, "deadline: %s\n", error.text);
        return 3;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct prony_task task = {.ref = {1, 0}, .lo = strtoll(numbers[i], NULL, 10)};
        const struct prony_terms terms = {
            .limit_ns = (argc > 1 ? strtoll(argv[1], NULL, 10) : 500) * 1000000,
            .done = say,
            .failed = say,
            .context = (void *)(uintptr_t)numbers[i],
        };
        code = prony_group_submit(group, &task, &terms, NULL, &error);
        if (code != 0)
            (void)fprintf(stderr, "deadline: %s\n", error.text);
    }
    code = prony_group_close(group, 1, -1);
    (void)prony_executor_close(executor, 1, 1000000000);
    prony_ground_free(&ground);
    return code != 0 ? 3 : 0;
}
