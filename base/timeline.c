#include "base/timeline.h"

#include "base/clock.h"

#include <prony/task.h>
#include <stdio.h>
#include <string.h>

_Thread_local struct prony_timeline *prony_timeline_self;

/* Two to three times cheaper than the clock. Turned into nanoseconds later, from readings of both at either end. */
static inline uint64_t counter(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return prony_now_ns();
#endif
}

int prony_timeline_counter_holds(void)
{
#if defined(__x86_64__)
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    char name[32] = "";
    /* The kernel itself keeps time by it only after it found it steady and the same on all processors. */
    if (file == NULL)
        return 0;
    if (fgets(name, sizeof name, file) == NULL)
        name[0] = '\0';
    (void)fclose(file);
    return strcmp(name, "tsc\n") == 0;
#elif defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

uint64_t prony_timeline_ticks(const struct prony_timeline *timeline)
{
    return timeline->counter != 0 ? counter() : prony_now_ns();
}

void prony_timeline_note(struct prony_timeline *timeline, enum prony_note_kind kind, unsigned detail, uint64_t future,
                         int64_t lo, int64_t items)
{
    const uint64_t at = timeline->written;
    struct prony_note *note = prony_timeline_notes(timeline) + (at & (timeline->room - 1));
    note->future = future;
    note->lo = lo;
    note->items = items > UINT32_MAX ? UINT32_MAX : (uint32_t)items;
    note->kind = (uint16_t)kind;
    note->detail = (uint16_t)detail;
    note->ticks = prony_timeline_ticks(timeline);
    __atomic_store_n(&timeline->written, at + 1, __ATOMIC_RELEASE);
}

int prony_timeline_run(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_timeline *timeline = worker->timeline;
    int status;
    prony_timeline_note(timeline, PRONY_NOTE_BEGUN, 0, task->future, task->lo, task->hi - task->lo);
    status = worker->kernels[task->ref.workload][task->ref.kernel].fn(worker, task);
    prony_timeline_note(timeline, PRONY_NOTE_ENDED, status != 0, task->future, task->lo, task->hi - task->lo);
    return status;
}
