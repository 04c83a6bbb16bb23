/* libgomp, and the floors of each metric, for scripts/bench/engines.c. */
#include "engines.h"

#include <omp.h>
#include <prony/sync.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* libgomp */

static uint64_t *answers;

static void omp_start(void)
{
    const int pus[2] = {first_pu, second_pu};
    omp_set_dynamic(0);
    omp_set_num_threads(2);
#pragma omp parallel
    bind_to(pus[omp_get_thread_num()]);
}

static void omp_tasks(int n, int first)
{
#pragma omp parallel
#pragma omp single
    {
        for (int i = 0; i < n; i++) {
#pragma omp task firstprivate(i)
            __atomic_store_n(&answers[i], (uint64_t)(first + i), __ATOMIC_RELEASE);
        }
#pragma omp taskwait
    }
}

static double omp_submit(void)
{
    double rate[5];
    for (int round = -1; round < 5; round++) {
        uint64_t begun = prony_now_ns();
        omp_tasks(TASKS, round);
        if (round >= 0)
            rate[round] = TASKS / ((double)(prony_now_ns() - begun) / 1e9);
        for (int i = 0; i < TASKS; i++)
            if (answers[i] != (uint64_t)(int64_t)(i + round))
                fail("a wrong result");
    }
    return median(rate, 5);
}

/* Deferred tasks that the caller runs in its taskwait; the other thread is held meanwhile. */
static double omp_helped(void)
{
    double ns[51];
    for (int round = -5; round < 51; round++) {
        uint32_t open = 0, held = 0;
#pragma omp parallel shared(open, held)
        if (omp_get_thread_num() == 1) {
            __atomic_store_n(&held, 1, __ATOMIC_RELEASE);
            while (__atomic_load_n(&open, __ATOMIC_ACQUIRE) == 0)
                prony_pause();
        } else {
            uint64_t begun;
            while (__atomic_load_n(&held, __ATOMIC_ACQUIRE) == 0)
                prony_pause();
            for (int i = 0; i < HELPED; i++) {
#pragma omp task firstprivate(i, round)
                __atomic_store_n(&answers[i], (uint64_t)(round + i), __ATOMIC_RELEASE);
            }
            begun = prony_now_ns();
#pragma omp taskwait
            if (round >= 0)
                ns[round] = (double)(prony_now_ns() - begun) / HELPED;
            __atomic_store_n(&open, 1, __ATOMIC_RELEASE);
        }
        for (int i = 0; i < HELPED; i++)
            if (answers[i] != (uint64_t)(int64_t)(i + round))
                fail("a wrong result");
    }
    return median(ns, 51);
}

/* The same with a caller that only produces, as prony's does: it waits for tasks without helping, and keeps so few of them
 * queued that libgomp does not run new ones at once. */
static double omp_produce(void)
{
    enum { WINDOW = 96 };
    double rate[5];
    unsigned own = 0;
    for (int round = -1; round < 5; round++) {
        uint64_t begun = prony_now_ns();
#pragma omp parallel
        if (omp_get_thread_num() == 0) {
            for (int i = 0; i < TASKS + WINDOW; i++) {
                while (i >= WINDOW && __atomic_load_n(&answers[i - WINDOW], __ATOMIC_ACQUIRE) !=
                                          (uint64_t)(int64_t)(i - WINDOW + round))
                    prony_pause();
                if (i >= TASKS)
                    continue;
#pragma omp task firstprivate(i)
                {
                    if (omp_get_thread_num() == 0)
                        own++;
                    __atomic_store_n(&answers[i], (uint64_t)(int64_t)(i + round), __ATOMIC_RELEASE);
                }
            }
        }
        if (round >= 0)
            rate[round] = TASKS / ((double)(prony_now_ns() - begun) / 1e9);
        memset(answers, -1, TASKS * sizeof *answers);
    }
    if (own != 0)
        fail("libgomp's caller ran tasks although it should not");
    return median(rate, 5);
}

/* The part of the tasks that libgomp's caller runs. */
static double omp_share(void)
{
    unsigned own[2] = {0, 0};
    for (int round = 0; round < 5; round++) {
#pragma omp parallel
#pragma omp single
        for (int i = 0; i < TASKS; i++) {
#pragma omp task
            own[omp_get_thread_num()]++;
        }
    }
    return (double)own[0] / (own[0] + own[1]);
}

static void omp_once(void *context, int number)
{
    (void)context;
    omp_tasks(1, number);
}

static double omp_copy(void)
{
    double rate[9];
    unsigned char *data = aligned_alloc(4096, (size_t)2 * COPIES * COPY);
    memset(data, 1, (size_t)2 * COPIES * COPY);
    for (int round = -1; round < 9; round++) {
        uint64_t begun = prony_now_ns();
        for (int i = 0; i < 100; i++) {
#pragma omp parallel
#pragma omp single
            {
                for (int k = 0; k < COPIES; k++) {
#pragma omp task firstprivate(k)
                    memcpy(data + (size_t)(COPIES + k) * COPY, data + (size_t)k * COPY, COPY);
                }
#pragma omp taskwait
            }
        }
        if (round >= 0)
            rate[round] = 100.0 * COPIES / ((double)(prony_now_ns() - begun) / 1e9);
    }
    free(data);
    return median(rate, 9);
}

static double omp_grain(double grain_ns, bool unit)
{
    double ns = step_ns(), share[15];
    int64_t steps = (int64_t)(grain_ns / ns), items = (int64_t)(20e6 / grain_ns);
    for (int round = -1; round < 15; round++) {
        uint64_t a = prony_now_ns(), b, c;
        for (int64_t i = 0; i < items / 2; i++)
            (void)spin(steps);
        b = prony_now_ns();
        if (unit) {
#pragma omp parallel for schedule(dynamic, 1)
            for (int64_t i = 0; i < items; i++)
                (void)spin(steps);
        } else {
#pragma omp parallel for
            for (int64_t i = 0; i < items; i++)
                (void)spin(steps);
        }
        c = prony_now_ns();
        if (round >= 0)
            share[round] = (double)(b - a) / (double)(c - b);
    }
    return median(share, 15);
}

double measure_omp(const char *metric)
{
    double value, cores;
    answers = malloc(TASKS * sizeof *answers);
    memset(answers, -1, TASKS * sizeof *answers);
    omp_start();
    if (strcmp(metric, "submit") == 0)
        return omp_submit();
    if (strcmp(metric, "submit-produce") == 0)
        return omp_produce();
    if (strcmp(metric, "submit-share") == 0)
        return omp_share();
    if (strcmp(metric, "hot") == 0)
        return trip_ns(omp_once, NULL, TRIPS, 0, &cores);
    if (strncmp(metric, "idle", 4) == 0) {
        value = trip_ns(omp_once, NULL, GAPS, 1000000, &cores);
        return strcmp(metric, "idle-cpu") == 0 ? cores : value;
    }
    if (strcmp(metric, "helped") == 0)
        return omp_helped();
    if (strcmp(metric, "copy") == 0)
        return omp_copy();
    if (strncmp(metric, "grain-", 6) == 0)
        return omp_grain(atof(metric + 6), false);
    if (strncmp(metric, "unit-", 5) == 0)
        return omp_grain(atof(metric + 5), true);
    fail("openmp has no such metric");
    return 0;
}

/* Floors */

struct lines {
    _Alignas(128) uint32_t ping;
    _Alignas(128) uint32_t pong;
    _Alignas(128) uint32_t stop;
};

static void *answerer(void *argument)
{
    struct lines *lines = argument;
    bind_to(second_pu);
    for (uint32_t trip = 1; __atomic_load_n(&lines->stop, __ATOMIC_RELAXED) == 0;)
        if (__atomic_load_n(&lines->ping, __ATOMIC_ACQUIRE) == trip)
            __atomic_store_n(&lines->pong, trip++, __ATOMIC_RELEASE);
    return NULL;
}

/* Line RT (DESIGN: two cache lines, no pause instruction, batch mean). */
static double line_trip(void)
{
    static struct lines lines;
    pthread_t thread;
    double ns[41];
    uint32_t trip = 0;
    check(pthread_create(&thread, NULL, answerer, &lines), "cannot start a thread");
    for (int i = -1; i < 41; i++) {
        uint64_t begun = prony_now_ns();
        for (int k = 0; k < 500; k++) {
            __atomic_store_n(&lines.ping, ++trip, __ATOMIC_RELEASE);
            while (__atomic_load_n(&lines.pong, __ATOMIC_ACQUIRE) != trip)
                ;
        }
        if (i >= 0)
            ns[i] = (double)(prony_now_ns() - begun) / 500;
    }
    __atomic_store_n(&lines.stop, 1, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    return median(ns, 41);
}

static void *sleeper(void *argument)
{
    struct lines *lines = argument;
    bind_to(second_pu);
    for (uint32_t trip = 1; __atomic_load_n(&lines->stop, __ATOMIC_ACQUIRE) == 0; trip++) {
        while (__atomic_load_n(&lines->ping, __ATOMIC_ACQUIRE) != trip)
            (void)prony_futex_wait(&lines->ping, trip - 1, -1);
        __atomic_store_n(&lines->pong, trip, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* From a futex wake after 1 ms to the sleeper's answer, which the caller spins for. */
static double futex_trip(void)
{
    static struct lines lines;
    const struct timespec gap = {0, 1000000};
    pthread_t thread;
    double ns[GAPS];
    check(pthread_create(&thread, NULL, sleeper, &lines), "cannot start a thread");
    for (int i = -15; i < GAPS; i++) {
        uint32_t trip = (uint32_t)(i + 16);
        uint64_t begun;
        (void)nanosleep(&gap, NULL);
        if (i == GAPS - 1)
            __atomic_store_n(&lines.stop, 1, __ATOMIC_RELEASE);
        begun = prony_now_ns();
        __atomic_store_n(&lines.ping, trip, __ATOMIC_RELEASE);
        prony_futex_wake(&lines.ping, 1);
        while (__atomic_load_n(&lines.pong, __ATOMIC_ACQUIRE) != trip)
            prony_pause();
        if (i >= 0)
            ns[i] = (double)(prony_now_ns() - begun);
    }
    (void)pthread_join(thread, NULL);
    return median(ns, GAPS);
}

static void *nothing(void *argument)
{
    return argument;
}

static double lives(bool processes)
{
    double ns[LIVES];
    for (int i = -5; i < LIVES; i++) {
        uint64_t begun = prony_now_ns();
        pthread_t thread[2];
        pid_t pid[2];
        for (int k = 0; k < 2; k++) {
            if (!processes)
                check(pthread_create(&thread[k], NULL, nothing, NULL), "cannot start a thread");
            else if ((pid[k] = fork()) == 0)
                _exit(0);
        }
        for (int k = 0; k < 2; k++)
            (void)(processes ? waitpid(pid[k], NULL, 0) : pthread_join(thread[k], NULL));
        if (i >= 0)
            ns[i] = (double)(prony_now_ns() - begun);
    }
    return median(ns, LIVES);
}

/* Bare copying: of all buffers, or of a half by each of two threads that meet before and after. */
struct copier {
    unsigned char *data;
    pthread_barrier_t *meet;
    int pu, first, end;
    double *rate; /* of all together; 9 */
};

static void *copier_run(void *argument)
{
    const struct copier *copier = argument;
    bind_to(copier->pu);
    for (int round = -1; round < 9; round++) {
        uint64_t begun;
        (void)pthread_barrier_wait(copier->meet);
        begun = prony_now_ns();
        for (int i = 0; i < 100; i++)
            for (int k = copier->first; k < copier->end; k++) {
                memcpy(copier->data + (size_t)(COPIES + k) * COPY, copier->data + (size_t)k * COPY, COPY);
                __asm__ volatile("" ::"r"(copier->data) : "memory");
            }
        (void)pthread_barrier_wait(copier->meet);
        if (round >= 0)
            copier->rate[round] = 100.0 * COPIES / ((double)(prony_now_ns() - begun) / 1e9);
    }
    return NULL;
}

static double memory_copies(int threads)
{
    double rate[2][9];
    pthread_t second;
    pthread_barrier_t meet;
    unsigned char *data = aligned_alloc(4096, (size_t)2 * COPIES * COPY);
    struct copier copiers[2] = {{data, &meet, first_pu, 0, COPIES / threads, rate[0]},
                                {data, &meet, second_pu, COPIES / threads, COPIES, rate[1]}};
    memset(data, 1, (size_t)2 * COPIES * COPY);
    check(pthread_barrier_init(&meet, NULL, (unsigned)threads), "no barrier");
    if (threads == 2)
        check(pthread_create(&second, NULL, copier_run, &copiers[1]), "cannot start a thread");
    (void)copier_run(&copiers[0]);
    if (threads == 2)
        (void)pthread_join(second, NULL);
    (void)pthread_barrier_destroy(&meet);
    free(data);
    return median(rate[0], 9);
}

double measure_floor(const char *metric)
{
    if (strncmp(metric, "life", 4) == 0)
        return lives(metric[4] != '\0');
    bind_to(first_pu);
    if (strcmp(metric, "hot") == 0)
        return line_trip();
    if (strcmp(metric, "idle") == 0)
        return futex_trip();
    if (strncmp(metric, "copy", 4) == 0)
        return memory_copies(metric[4] == '\0' ? 1 : 2);
    fail("no such floor");
    return 0;
}
