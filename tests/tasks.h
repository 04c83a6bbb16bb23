/* Tasks that several tests give to engines, and the check for code in processes that cmocka does not follow. */
#ifndef TESTS_TASKS_H
#define TESTS_TASKS_H

#include <errno.h>
#include <prony/task.h>
#include <stdio.h>
#include <unistd.h>

/* Ends this process when it does not hold. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                              \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* Adds one to the counter of every item. */
static inline int count(struct prony_worker *worker, const struct prony_task *task)
{
    int32_t *counts = prony_at(worker, task->out.off);
    for (int64_t i = task->lo; i < task->hi; i++)
        (void)__atomic_fetch_add(&counts[i], 1, __ATOMIC_RELAXED);
    return 0;
}

/* lo is n; the value is fib(n). */
static inline int fib(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_future *mine = prony_at(worker, task->future), *its;
    struct prony_task kids[2] = {*task, *task};
    int code;
    if (task->lo < 2) {
        mine->value = (uint64_t)task->lo;
        return 0;
    }
    for (unsigned i = 0; i < 2; i++) {
        kids[i].lo = task->lo - 1 - i;
        kids[i].future = prony_worker_push(worker, sizeof *its);
        if (kids[i].future == 0)
            return -ENOMEM;
        if ((code = worker->ops->spawn(worker, &kids[i])) != 0)
            return code;
    }
    if ((code = worker->ops->join(worker, kids, 2)) != 0)
        return code;
    mine->value = 0;
    for (unsigned i = 2; i-- > 0;) {
        its = prony_at(worker, kids[i].future);
        code = code != 0 ? code : its->status;
        mine->value += its->value;
        prony_worker_pop(worker, sizeof *its);
    }
    return code;
}

#endif
