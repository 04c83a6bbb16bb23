/* Every word of gbench.h in use: a program of Google Benchmarks in plain C. Its figures are small and mean little; what
 * it shows is how each thing is said, and tests/e2e/test_gbench.py knows what must come out. */
#include "shims/gbench/gbench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MOST = 4096 };

/* The plainest loop: arguments, bytes, a value that the compiler may not drop. */
static void copy(struct prony_gbench_state *state, void *context)
{
    static char from[CELLS_MOST], to[CELLS_MOST];
    size_t bytes = (size_t)prony_gbench_arg_of(state, 0);
    (void)context;
    PRONY_GBENCH_EACH(state)
    {
        memcpy(to, from, bytes);
        PRONY_GBENCH_CLOBBER();
    }
    prony_gbench_bytes(state, prony_gbench_iterations(state) * (int64_t)bytes);
}

/* Work that grows linearly; which class or function is fitted is said where it is registered. */
static void sum(struct prony_gbench_state *state, void *context)
{
    int64_t n = prony_gbench_arg_of(state, 0), total = 0;
    (void)context;
    PRONY_GBENCH_EACH(state)
    {
        for (int64_t i = 0; i < n; i++) {
            total += i;
            PRONY_GBENCH_KEEP(total);
        }
    }
    prony_gbench_complexity_n(state, n);
    prony_gbench_items(state, prony_gbench_iterations(state) * n);
}

static double linear(int64_t n)
{
    return (double)n;
}

/* A fixture: one table a run, made and freed off the clock; the clock also stands still while it is shuffled again. */
struct table {
    int n, *cells;
};

static int table_set_up(struct prony_gbench_state *state, void *context)
{
    struct table *table = context;
    table->n = (int)prony_gbench_arg_of(state, 0);
    table->cells = malloc((size_t)table->n * sizeof *table->cells);
    return table->cells == NULL ? -ENOMEM : 0;
}

static void table_tear_down(struct prony_gbench_state *state, void *context)
{
    struct table *table = context;
    (void)state;
    free(table->cells);
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void sort(struct prony_gbench_state *state, void *context)
{
    struct table *table = context;
    unsigned random = 1;
    PRONY_GBENCH_EACH(state)
    {
        prony_gbench_pause(state);
        for (int i = 0; i < table->n; i++)
            table->cells[i] = (int)((random = random * 1664525u + 1013904223u) >> 8);
        prony_gbench_resume(state);
        qsort(table->cells, (size_t)table->n, sizeof *table->cells, by_value);
    }
    for (int i = 1; i < table->n; i++)
        if (table->cells[i - 1] > table->cells[i])
            prony_gbench_skip(state, "cell %d is out of order", i);
    prony_gbench_complexity_n(state, table->n);
    prony_gbench_label(state, "qsort of %d", table->n);
}

/* Counters in all their flavours, over two arguments. */
static void grid(struct prony_gbench_state *state, void *context)
{
    double cells = (double)(prony_gbench_arg_of(state, 0) * prony_gbench_arg_of(state, 1));
    (void)context;
    PRONY_GBENCH_EACH(state)
    PRONY_GBENCH_CLOBBER();
    prony_gbench_counter(state, "cells", cells, 0);
    prony_gbench_counter(state, "cell_rate", cells, PRONY_GBENCH_EACH_ITERATION | PRONY_GBENCH_RATE);
    prony_gbench_counter(state, "ns_a_cell", cells * 1e-9,
                         PRONY_GBENCH_EACH_ITERATION | PRONY_GBENCH_RATE | PRONY_GBENCH_INVERT);
    prony_gbench_counter(state, "every", 3, PRONY_GBENCH_EACH_ITERATION);
    prony_gbench_counter(state, "average", 5.0 * (double)prony_gbench_iterations(state), PRONY_GBENCH_PER_ITERATION);
    prony_gbench_counter(state, "kibi", 2048, PRONY_GBENCH_BINARY);
}

/* Several threads: what each has of its own, and one word that all of them share. */
struct crew {
    int64_t shared; /* changed by all, atomically */
    int alive;
};

static int crew_set_up(struct prony_gbench_state *state, void *context)
{
    struct crew *crew = context;
    (void)state;
    crew->shared = crew->alive = 0;
    return 0;
}

static void crew_tear_down(struct prony_gbench_state *state, void *context)
{
    const struct crew *crew = context;
    if (crew->alive != 0)
        prony_gbench_skip(state, "%d threads were not torn down", crew->alive);
}

static int hand_set_up(struct prony_gbench_state *state, void *context)
{
    (void)state;
    (void)__atomic_fetch_add(&((struct crew *)context)->alive, 1, __ATOMIC_RELAXED);
    return 0;
}

static void hand_tear_down(struct prony_gbench_state *state, void *context)
{
    (void)state;
    (void)__atomic_fetch_sub(&((struct crew *)context)->alive, 1, __ATOMIC_RELAXED);
}

static void add(struct prony_gbench_state *state, void *context)
{
    struct crew *crew = context;
    PRONY_GBENCH_EACH(state)
    (void)__atomic_fetch_add(&crew->shared, 1, __ATOMIC_RELAXED);
    prony_gbench_counter(state, "hands", prony_gbench_threads_of(state), PRONY_GBENCH_PER_THREAD);
    prony_gbench_counter(state, "first", prony_gbench_thread(state) == 0 ? 1 : 0, 0);
}

/* A clock of one's own: a model that says that an iteration took 2 us. */
static void model(struct prony_gbench_state *state, void *context)
{
    (void)context;
    PRONY_GBENCH_EACH(state)
    prony_gbench_iteration_time(state, 2e-6);
}

/* The whole loop handed to somebody else, who counts for himself. */
static void handed_on(struct prony_gbench_state *state, void *context)
{
    volatile int64_t left = prony_gbench_begin(state);
    (void)context;
    while (left > 0)
        left = left - 1;
    prony_gbench_end(state);
    prony_gbench_counter(state, "iterations_due", (double)prony_gbench_iterations(state), 0);
}

/* What cannot be done here says so, instead of a time. */
static void impossible(struct prony_gbench_state *state, void *context)
{
    prony_gbench_skip(state, "there is no %s here", (const char *)context);
    PRONY_GBENCH_EACH(state)
    PRONY_GBENCH_CLOBBER();
    if (prony_gbench_failed(state))
        return;
    prony_gbench_label(state, "never shown");
}

static double greatest(const double *values, size_t n)
{
    double most = -INFINITY;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, values[i]);
    return most;
}

static void register_arguments(void)
{
    static const char *const bytes[] = {"bytes"}, *const sides[] = {"rows", "columns"};
    static const int64_t rows[] = {1, 3}, columns[] = {2, 4}, pair[] = {7, 11}, bounds[][2] = {{1, 8}, {2, 2}};
    static const struct prony_gbench_list lists[] = {{rows, 2}, {columns, 2}};
    struct prony_gbench *family = prony_gbench_register("copy", copy, NULL);
    prony_gbench_arg_names(family, bytes, 1);
    prony_gbench_multiplier(family, 4);
    prony_gbench_range(family, 64, CELLS_MOST);
    prony_gbench_dense(family, 100, 300, 100);
    prony_gbench_arg(family, 5);
    family = prony_gbench_register("grid", grid, NULL);
    prony_gbench_arg_names(family, sides, 2);
    prony_gbench_product(family, lists, 2);
    prony_gbench_args(family, pair, 2);
    prony_gbench_ranges(family, bounds, 2);
}

static void register_growth(void)
{
    static struct table table;
    static const struct prony_gbench_fixture on_table = {.set_up = table_set_up, .tear_down = table_tear_down};
    struct prony_gbench *family = prony_gbench_register("sum/class", sum, NULL);
    prony_gbench_range(family, 64, 4096);
    prony_gbench_complexity(family, PRONY_GBENCH_O_N);
    family = prony_gbench_register("sum/function", sum, NULL);
    prony_gbench_range(family, 64, 4096);
    prony_gbench_complexity_fn(family, linear);
    family = prony_gbench_register("sort", sort, &table);
    prony_gbench_range(family, 64, 512);
    prony_gbench_use_fixture(family, &on_table);
    prony_gbench_unit(family, PRONY_GBENCH_US);
    prony_gbench_complexity(family, PRONY_GBENCH_O_AUTO);
}

static void register_threads(void)
{
    static struct crew crew;
    static const struct prony_gbench_fixture hands = {crew_set_up, crew_tear_down, hand_set_up, hand_tear_down};
    struct prony_gbench *family = prony_gbench_register("add", add, &crew);
    prony_gbench_use_fixture(family, &hands);
    prony_gbench_thread_range(family, 1, 2);
    prony_gbench_threads(family, 3);
    prony_gbench_thread_dense(family, 4, 6, 2);
    prony_gbench_clocks(family, PRONY_GBENCH_REAL);
    family = prony_gbench_register("add/cpus", add, &crew);
    prony_gbench_use_fixture(family, &hands);
    prony_gbench_thread_per_cpu(family);
    prony_gbench_iterations_are(family, 1000);
}

static void register_clocks(void)
{
    struct prony_gbench *family = prony_gbench_register("model", model, NULL);
    prony_gbench_clocks(family, PRONY_GBENCH_MANUAL);
    prony_gbench_iterations_are(family, 100);
    family = prony_gbench_register("handed_on", handed_on, NULL);
    prony_gbench_clocks(family, PRONY_GBENCH_REAL | PRONY_GBENCH_PROCESS_CPU);
    prony_gbench_min_time(family, 0.001);
    prony_gbench_warm_up(family, 0.001);
    family = prony_gbench_register("repeated", handed_on, NULL);
    prony_gbench_repetitions(family, 3);
    prony_gbench_statistic(family, "greatest", greatest, false);
    prony_gbench_rows(family, PRONY_GBENCH_ONLY_AGGREGATES);
    prony_gbench_register("impossible", impossible, (void *)(uintptr_t) "abacus");
}

static void print_help(void)
{
    (void)puts("gbench_example: Google Benchmark in plain C");
}

/* PRONY_GBENCH_MAIN would do; this is what it does, with a help text and a line in the report's context. */
int main(int argc, char **argv)
{
    struct prony_error error = {0, ""};
    size_t matched = 0;
    prony_gbench_initialize(&argc, argv, print_help);
    if (prony_gbench_unrecognized(argc, argv))
        return 2;
    prony_gbench_context("written_in", "C11");
    prony_gbench_context("library_build", prony_gbench_library_build());
    register_arguments();
    register_growth();
    register_threads();
    register_clocks();
    if (prony_gbench_run(NULL, &matched, &error) != 0)
        (void)fprintf(stderr, "gbench_example: %s\n", error.text);
    prony_gbench_shutdown();
    return error.code != 0 ? 3 : matched == 0 ? 2 : 0;
}
