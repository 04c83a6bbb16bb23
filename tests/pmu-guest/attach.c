/* attach: counts threads from outside by the provider perf. Two threads run loops of different length while the main
 * thread, which runs a third, has counters on each of them: every count must be that of its own thread. Prints
 * `attached COUNTED KNOWN` for each. */
#include <prony/plugin/counter.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 2 };
static const uint64_t turns = 5000000;
extern const struct prony_provider prony_provider_perf;

static struct {
    atomic_int tid, go;
    uint64_t turns;
} threads[THREADS];

static __attribute__((noinline)) void loop(uint64_t n)
{
    __asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(n) : : "cc");
}

static void *run(void *argument)
{
    unsigned i = (unsigned)(uintptr_t)argument;
    atomic_store(&threads[i].tid, (int)syscall(SYS_gettid));
    while (atomic_load(&threads[i].go) == 0)
        (void)usleep(1000);
    loop(threads[i].turns);
    return NULL;
}

int main(void)
{
    static const char *const events[] = {"instructions"};
    pthread_t thread[THREADS];
    void *attached[THREADS];
    struct prony_value values[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i].turns = turns * (i + 1);
        if (pthread_create(&thread[i], NULL, run, (void *)(uintptr_t)i) != 0)
            return 1;
        while (atomic_load(&threads[i].tid) == 0)
            (void)usleep(1000);
        if (prony_provider_perf.attach(atomic_load(&threads[i].tid), 0, events, 1, &values[i], &attached[i], NULL) != 0)
            return 2;
    }
    for (unsigned i = 0; i < THREADS; i++)
        atomic_store(&threads[i].go, 1);
    loop(3 * turns);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(thread[i], NULL);
        if (prony_provider_perf.survey(attached[i], &values[i], 1) != 0 || values[i].status != PRONY_COUNTED)
            return 3;
        prony_provider_perf.detach(attached[i]);
        (void)printf("attached %lld %llu\n", (long long)values[i].value, (unsigned long long)(2 * threads[i].turns));
    }
    return 0;
}
