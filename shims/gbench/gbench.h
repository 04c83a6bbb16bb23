/* Google Benchmark for programs in C.
 *
 *     static void copy(struct prony_gbench_state *state, void *context)
 *     {
 *         size_t bytes = (size_t)prony_gbench_arg_of(state, 0);
 *         PRONY_GBENCH_EACH (state)
 *             memcpy(to, from, bytes);
 *         prony_gbench_bytes(state, prony_gbench_iterations(state) * (int64_t)bytes);
 *     }
 *     static void all(void)
 *     {
 *         prony_gbench_range(prony_gbench_register("copy", copy, NULL), 8, 8192);
 *     }
 *     PRONY_GBENCH_MAIN(all)
 *
 * A family is a function under a name; each combination of its arguments and numbers of threads is one benchmark, which
 * the library runs with more and more iterations until the time is long enough, and reports. What the words mean in
 * detail is in the library's user guide; this header says what differs in C.
 *
 * Mistakes never abort and nothing is thrown: a wrong call on a family returns a negative errno and is remembered, so
 * that prony_gbench_run refuses with the first one's reason; a wrong call on a state makes its benchmark fail with
 * words, as prony_gbench_skip does. Families are made by one thread before they run; a state belongs to one thread.
 * Texts and tables that are passed are copied; functions and `context` must outlive the runs. */
#ifndef PRONY_GBENCH_H
#define PRONY_GBENCH_H

#include <prony/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_gbench;       /* a family; owned by the shim until the process ends */
struct prony_gbench_state; /* one thread of one run; valid while the function runs */

/* What is measured: runs its loop once, then returns. */
typedef void prony_gbench_fn(struct prony_gbench_state *state, void *context);

/* NULL without memory; every call below takes a NULL family, and refuses. */
struct prony_gbench *prony_gbench_register(const char *name, prony_gbench_fn *fn, void *context);

/* Arguments. Each call adds benchmarks; all of a family have equally many arguments (-EINVAL otherwise). */
int prony_gbench_arg(struct prony_gbench *family, int64_t value);
int prony_gbench_args(struct prony_gbench *family, const int64_t *values, size_t n);
/* lo, hi, and the powers of the multiplier between them (8 unless set before). */
int prony_gbench_range(struct prony_gbench *family, int64_t lo, int64_t hi);
/* The product of n such ranges. */
int prony_gbench_ranges(struct prony_gbench *family, const int64_t (*bounds)[2], size_t n);
/* lo, lo + step, ... up to hi. */
int prony_gbench_dense(struct prony_gbench *family, int64_t lo, int64_t hi, int step);
struct prony_gbench_list {
    const int64_t *values;
    size_t count;
};
/* The product of n lists. */
int prony_gbench_product(struct prony_gbench *family, const struct prony_gbench_list *lists, size_t n);
int prony_gbench_multiplier(struct prony_gbench *family, int multiplier);
/* Shown in the benchmark's name, "copy/bytes:64"; one for each argument. */
int prony_gbench_arg_names(struct prony_gbench *family, const char *const *names, size_t n);

/* Threads that run the function at the same time; they start and end their loops together. */
int prony_gbench_threads(struct prony_gbench *family, int threads);
int prony_gbench_thread_range(struct prony_gbench *family, int least, int most); /* doubling */
int prony_gbench_thread_dense(struct prony_gbench *family, int least, int most, int stride);
int prony_gbench_thread_per_cpu(struct prony_gbench *family);

/* How long and how often. min_time and warm_up (seconds) do not go with a fixed number of iterations. */
int prony_gbench_min_time(struct prony_gbench *family, double seconds);
int prony_gbench_warm_up(struct prony_gbench *family, double seconds);
int prony_gbench_iterations_are(struct prony_gbench *family, int64_t iterations);
int prony_gbench_repetitions(struct prony_gbench *family, int repetitions);
enum prony_gbench_rows { PRONY_GBENCH_ALL_ROWS, PRONY_GBENCH_SHOW_AGGREGATES, PRONY_GBENCH_ONLY_AGGREGATES };
/* Of repetitions: all rows; only aggregates on the display, all in files; only aggregates. */
int prony_gbench_rows(struct prony_gbench *family, enum prony_gbench_rows rows);

enum prony_gbench_unit { PRONY_GBENCH_NS, PRONY_GBENCH_US, PRONY_GBENCH_MS, PRONY_GBENCH_S };
int prony_gbench_unit(struct prony_gbench *family, enum prony_gbench_unit unit);

/* Which clock rates and iterations go by; without any, the CPU time of the calling threads. With several threads the
 * library divides its times by the iterations of all of them together. */
enum {
    PRONY_GBENCH_REAL = 1,       /* wall time */
    PRONY_GBENCH_MANUAL = 2,     /* what prony_gbench_iteration_time says; not together with REAL */
    PRONY_GBENCH_PROCESS_CPU = 4 /* CPU time is that of the whole process */
};
int prony_gbench_clocks(struct prony_gbench *family, unsigned clocks);

/* How the time grows with prony_gbench_complexity_n: a class to fit, AUTO: the one that fits CPU time best, or a
 * function of n whose coefficient is fitted. */
enum prony_gbench_order {
    PRONY_GBENCH_O_1,
    PRONY_GBENCH_O_N,
    PRONY_GBENCH_O_N2,
    PRONY_GBENCH_O_N3,
    PRONY_GBENCH_O_LOG_N,
    PRONY_GBENCH_O_N_LOG_N,
    PRONY_GBENCH_O_AUTO
};
int prony_gbench_complexity(struct prony_gbench *family, enum prony_gbench_order order);
int prony_gbench_complexity_fn(struct prony_gbench *family, double (*growth)(int64_t n));

/* A further aggregate over repetitions, beside mean, median, stddev and cv. The library calls it with nothing but the
 * values, so a program has PRONY_GBENCH_STATISTICS different ones at most (-ENOSPC). */
enum { PRONY_GBENCH_STATISTICS = 16 };
typedef double prony_gbench_statistic_fn(const double *values, size_t n);
int prony_gbench_statistic(struct prony_gbench *family, const char *name, prony_gbench_statistic_fn *fn,
                           bool percentage);

/* Around the function, off the clock: once a run, in the first thread that comes (the others wait) and in the last that
 * goes; and in every thread. Any may be NULL. A set-up that returns a negative errno makes the benchmark fail, and what
 * was not set up is not torn down. (The library calls set-ups of its own without a context: these are the shim's.) */
struct prony_gbench_fixture {
    int (*set_up)(struct prony_gbench_state *state, void *context);
    void (*tear_down)(struct prony_gbench_state *state, void *context);
    int (*thread_set_up)(struct prony_gbench_state *state, void *context);
    void (*thread_tear_down)(struct prony_gbench_state *state, void *context);
};
int prony_gbench_use_fixture(struct prony_gbench *family, const struct prony_gbench_fixture *fixture);

/* The loop. begin starts the clock, together with the other threads, and says how many iterations are due; end stops it.
 * Both once a run. A function that hands the number on, instead of counting itself, calls them directly. */
int64_t prony_gbench_begin(struct prony_gbench_state *state);
void prony_gbench_end(struct prony_gbench_state *state);

static inline bool prony_gbench_more(struct prony_gbench_state *state, int64_t left)
{
    if (__builtin_expect(left != 0, 1))
        return true;
    prony_gbench_end(state);
    return false;
}

/* Runs the statement below it once an iteration; counts in a register, as the library's own loop in C++ does. Leave it
 * by `break` or `return` only after prony_gbench_skip. */
#define PRONY_GBENCH_EACH(state)                                                                                       \
    for (int64_t prony_gbench_left = prony_gbench_begin(state); prony_gbench_more((state), prony_gbench_left);         \
         prony_gbench_left--)

/* The compiler must produce the value, or must not keep memory in registers across this point. */
#define PRONY_GBENCH_KEEP(value) __asm__ volatile("" : : "g"(value) : "memory")
#define PRONY_GBENCH_CLOBBER() __asm__ volatile("" : : : "memory")

/* Inside the loop, of this thread's clock; some 100 ns each. */
void prony_gbench_pause(struct prony_gbench_state *state);
void prony_gbench_resume(struct prony_gbench_state *state);
/* With PRONY_GBENCH_MANUAL: what an iteration took. Times of one run add up, so one call may tell those of several. */
void prony_gbench_iteration_time(struct prony_gbench_state *state, double seconds);

int64_t prony_gbench_arg_of(struct prony_gbench_state *state, size_t i);
int prony_gbench_thread(const struct prony_gbench_state *state);
int prony_gbench_threads_of(const struct prony_gbench_state *state);
int64_t prony_gbench_iterations(const struct prony_gbench_state *state); /* of the whole loop; 0 before it */

/* The benchmark is reported as failed, with these words; those of the first thread count. Then leave the loop. */
void prony_gbench_skip(struct prony_gbench_state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool prony_gbench_failed(const struct prony_gbench_state *state);

/* Results beside the time. Threads' counters are added up. */
enum {
    PRONY_GBENCH_RATE = 1,           /* divided by the time */
    PRONY_GBENCH_PER_THREAD = 2,     /* divided by the threads */
    PRONY_GBENCH_EACH_ITERATION = 4, /* a constant of every iteration: multiplied by them */
    PRONY_GBENCH_PER_ITERATION = 8,  /* divided by the iterations */
    PRONY_GBENCH_INVERT = 16,        /* 1 / value, last of all */
    PRONY_GBENCH_BINARY = 32         /* shown in Ki and Mi, not k and M */
};
void prony_gbench_counter(struct prony_gbench_state *state, const char *name, double value, unsigned flags);
void prony_gbench_items(struct prony_gbench_state *state, int64_t items); /* of this thread, in all iterations */
void prony_gbench_bytes(struct prony_gbench_state *state, int64_t bytes);
void prony_gbench_label(struct prony_gbench_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void prony_gbench_complexity_n(struct prony_gbench_state *state, int64_t n);

/* A main function's parts, in this order. initialize takes the --benchmark_* flags out of argv; for --help it calls
 * `help` (may be NULL), prints the library's own text and exits, and it exits for a flag with a wrong value. */
void prony_gbench_initialize(int *argc, char **argv, void (*help)(void));
/* Says on stderr which arguments nobody took. True: there were some. */
bool prony_gbench_unrecognized(int argc, char **argv);
/* A line of the report's context; a key only once. */
int prony_gbench_context(const char *key, const char *value);
/* Runs, or with --benchmark_list_tests lists, what `filter` matches (NULL: --benchmark_filter), and says in *matched
 * (may be NULL) how many that were. -errno: a family was made wrongly, and nothing ran. */
int prony_gbench_run(const char *filter, size_t *matched, struct prony_error *error);
void prony_gbench_shutdown(void);
/* How the library itself was built: "release", or "debug", as in the context's library_build_type. Debian's is debug. */
const char *prony_gbench_library_build(void);

/* register_all() makes the families. Exit codes: 0; 2: flags, or nothing matched; 3: a family was made wrongly. */
int prony_gbench_main(int argc, char **argv, void (*register_all)(void));
#define PRONY_GBENCH_MAIN(register_all)                                                                                \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return prony_gbench_main(argc, argv, register_all);                                                            \
    }

#ifdef __cplusplus
}
#endif
#endif
