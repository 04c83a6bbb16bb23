/* What a note costs, and what a task costs whose timeline is off, beside one that has none at all. Interleaved rounds;
 * medians. The off task is compared with a bare call through the same table: the branch is all that it adds. */
#include "base/clock.h"
#include "base/timeline.h"

#include <prony/task.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 31, CALLS = 2000000, ROOM = 16384 };

static int kernel(struct prony_worker *worker, const struct prony_task *task)
{
    __asm__ volatile("" ::"r"(worker), "r"(task) : "memory");
    return 0;
}

static double bare(struct prony_worker *worker, struct prony_task *task)
{
    uint64_t begun = prony_now_ns();
    for (int i = 0; i < CALLS; i++) {
        __asm__ volatile("" : "+r"(worker), "+r"(task)::"memory");
        (void)worker->kernels[task->ref.workload][task->ref.kernel].fn(worker, task);
    }
    return (double)(prony_now_ns() - begun) / CALLS;
}

static double run(struct prony_worker *worker, struct prony_task *task)
{
    uint64_t begun = prony_now_ns();
    for (int i = 0; i < CALLS; i++) {
        __asm__ volatile("" : "+r"(worker), "+r"(task)::"memory");
        (void)prony_task_run(worker, task);
    }
    return (double)(prony_now_ns() - begun) / CALLS;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ok when the whole 95% interval of the median (ranks 10 and 22 of 31) is below the target, missed when all is above. */
static int judge(const char *name, double *value, double target, const char *what)
{
    const char *verdict;
    qsort(value, ROUNDS, sizeof *value, by_value);
    verdict = value[21] <= target ? "ok" : value[9] > target ? "missed" : "undecided";
    (void)printf("%s %.2f %.2f %s # %s, 95%% interval %.2f to %.2f\n", name, value[ROUNDS / 2], target, verdict, what,
                 value[9], value[21]);
    return value[9] > target;
}

int main(void)
{
    static const struct prony_kernel table[] = {{"k", kernel}, {NULL, NULL}};
    const struct prony_kernel *const kernels[] = {table, table};
    struct prony_timeline *timeline = aligned_alloc(64, sizeof *timeline + ROOM * sizeof(struct prony_note));
    struct prony_worker worker = {.kernels = kernels};
    struct prony_task task = {.ref = {1, 0}, .hi = 1};
    double note[ROUNDS], off[ROUNDS];
    int missed;
    if (timeline == NULL)
        return 3;
    *timeline = (struct prony_timeline){.room = ROOM, .counter = prony_timeline_counter_holds() != 0};
    for (int i = 0; i < ROUNDS; i++) {
        double plain, with;
        worker.timeline = NULL;
        plain = i % 2 == 0 ? bare(&worker, &task) : 0;
        with = run(&worker, &task);
        plain = i % 2 == 0 ? plain : bare(&worker, &task);
        off[i] = with - plain;
        worker.timeline = timeline;
        note[i] = (run(&worker, &task) - with) / 2; /* two notes a task */
    }
    missed = judge("timeline-note-ns", note, 50, "one note, of two a task");
    missed |= judge("timeline-off-ns", off, 1, "a task whose timeline is off, over a bare call");
    free(timeline);
    return missed;
}
