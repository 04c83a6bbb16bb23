/* The inside of the shim, for its C++ files alone. */
#ifndef PRONY_SHIMS_GBENCH_INNER_H
#define PRONY_SHIMS_GBENCH_INNER_H

#include "shims/gbench/gbench.h"

#ifdef __cplusplus
#include <benchmark/benchmark.h>

#include <mutex>
#include <string>

struct prony_gbench {
    benchmark::internal::Benchmark *inner;
    std::string name;
    prony_gbench_fn *fn;
    void *context;
    prony_gbench_fixture fixture;
    int64_t arity; /* -1: not known yet */
    bool timed, counted;
    unsigned clocks;
    /* The present run: benchmarks run one after another, so a family has one at a time. */
    std::mutex lock;
    int entered, left, code;
};

struct prony_gbench_state {
    benchmark::State &inner;
    int64_t args;
    bool begun, ended, paused;
};

/* One thread of one run: fixtures, the function, and what it left undone. */
void prony_gbench_thread_run(prony_gbench &family, benchmark::State &inner);
/* The first wrong call on a family; code 0: none. */
const prony_error &prony_gbench_mistake();
#endif
#endif
