/* Squares of a list by an executor: every number is a task of its own, with a future whose value is the square. One task
 * is not a number, and its error reaches its future alone.
 *
 *     futures [NUMBER...] */
#include <prony/executor.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 4

/* The number's text comes in the task itself. */
static int square(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_future *future = prony_at(worker, task->future);
    char *end;
    long long number = strtoll((const char *)task->arg, &end, 10);
    if (end == (const char *)task->arg || *end != '\0')
        return -EINVAL;
    future->value = (uint64_t)(number * number);
    return 0;
}

static const struct prony_kernel kernels[] = {{"square", square}, {NULL, NULL}};

int main(int argc, char **argv)
{
    static const char *const usual[] = {"1", "2", "three", "4", "5"};
    const struct prony_policy policy = {.staff = PRONY_THREADS, .idle = PRONY_IDLE_ADAPTIVE};
    const unsigned n = argc > 1 ? (unsigned)argc - 1 : 5;
    const struct prony_wish wish = {WORKERS, prony_executor_area(WORKERS), 0, n};
    struct prony_ground ground;
    struct prony_executor *executor = NULL;
    struct prony_error error = {0, ""};
    int code = prony_ground_make(&ground, kernels, &wish, &error);
    if (code != 0 || (code = prony_executor_open(&ground.setup, &policy, &executor, &error)) != 0) {
        (void)fprintf(stderr, "futures: %s\n", error.text);
        return 3;
    }
    for (unsigned i = 0; i < n; i++) {
        struct prony_task task = {.ref = {1, 0}, .future = ground.futures.off + i * sizeof(struct prony_future)};
        (void)snprintf((char *)task.arg, sizeof task.arg, "%s", argc > 1 ? argv[i + 1] : usual[i]);
        (void)prony_executor_submit(executor, &task, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t value = 0;
        char text[64];
        code = prony_executor_result(executor, ground.futures.off + i * sizeof(struct prony_future), &value, -1);
        if (code == 0)
            (void)printf("%s: %llu\n", argc > 1 ? argv[i + 1] : usual[i], (unsigned long long)value);
        else
            (void)printf("%s: %s\n", argc > 1 ? argv[i + 1] : usual[i], prony_code_text(code, text, sizeof text));
    }
    code = prony_executor_close(executor, 1, 1000000000);
    prony_ground_free(&ground);
    return code != 0 ? 3 : 0;
}
