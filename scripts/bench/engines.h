/* What the parts of scripts/bench/engines.c share: the work, which is the same for all, and small helpers. */
#ifndef PRONY_BENCH_ENGINES_H
#define PRONY_BENCH_ENGINES_H

#include "base/clock.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TASKS = 100000,
    BATCH = 64,
    ITEMS = 1000000,
    TRIPS = 4000,
    GAPS = 150,
    LIVES = 41,
    COPIES = 64,
    COPY = 65536,
    HELPED = 100
};

extern int first_pu, second_pu; /* the first two that the process may use */

static inline void bind_to(int pu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(pu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static inline void fail(const char *what)
{
    (void)fprintf(stderr, "engines: %s\n", what);
    exit(3);
}

static inline void check(int code, const char *what)
{
    if (code != 0)
        fail(what);
}

static inline void find_pus(void)
{
    cpu_set_t allowed;
    int pus = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
        fail("two processors are needed");
    for (int pu = 0; pu < CPU_SETSIZE && pus < 2; pu++)
        if (CPU_ISSET(pu, &allowed))
            *(pus++ == 0 ? &first_pu : &second_pu) = pu;
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *value, int n)
{
    qsort(value, (size_t)n, sizeof *value, by_value);
    return n % 2 != 0 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

/* The work, the same for all engines. */

static inline uint64_t spin(int64_t steps)
{
    uint64_t x = 88172645463325252u;
    for (int64_t i = 0; i < steps; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

static inline double step_ns(void)
{
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        uint64_t begun = prony_now_ns();
        (void)spin(100000);
        double ns = (double)(prony_now_ns() - begun) / 100000;
        best = ns < best ? ns : best;
    }
    return best;
}

static inline void square(int64_t *to, const int64_t *from, int64_t lo, int64_t hi)
{
    for (int64_t i = lo; i < hi; i++)
        to[i] = from[i] * from[i];
}

extern int worker_pid; /* where the worker is a process of its own; else 0 */

/* CPU time of the process and of the worker's. */
static inline double cpu_ns(void)
{
    const clockid_t own = CLOCK_PROCESS_CPUTIME_ID;
    clockid_t clocks[2] = {own, own};
    struct timespec spent;
    double ns = 0;
    if (worker_pid != 0 && clock_getcpuclockid(worker_pid, &clocks[1]) != 0)
        fail("the worker has no clock");
    for (int i = 0; i < (worker_pid != 0 ? 2 : 1); i++) {
        (void)clock_gettime(clocks[i], &spent);
        ns += (double)spent.tv_sec * 1e9 + (double)spent.tv_nsec;
    }
    return ns;
}

/* Median of a number of trips, each after a gap without work; and the CPU time over wall time meanwhile. */
static inline double trip_ns(void (*once)(void *context, int number), void *context, int trips, int64_t gap_ns,
                             double *cores)
{
    double *ns = malloc((size_t)trips * sizeof *ns), value;
    const struct timespec gap = {0, gap_ns};
    const double cpu = cpu_ns();
    const uint64_t all = prony_now_ns();
    for (int i = -trips / 10; i < trips; i++) {
        uint64_t begun;
        if (gap_ns > 0)
            (void)nanosleep(&gap, NULL);
        begun = prony_now_ns();
        once(context, i);
        if (i >= 0)
            ns[i] = (double)(prony_now_ns() - begun);
    }
    *cores = (cpu_ns() - cpu) / (double)(prony_now_ns() - all);
    value = median(ns, trips);
    free(ns);
    return value;
}

double measure_pool(int processes, const char *metric); /* engines_pool.c */
double measure_group(int processes, int tasks);         /* engines_group.c: thread, fork */
double measure_omp(const char *metric);                 /* engines_peer.c */
double measure_floor(const char *metric);
double measure_uneven(const char *metric);                   /* engines_uneven.c */
double measure_many(const char *engine, const char *metric); /* engines_many.c */

#endif
