/* The same loops as in loops.c, written as the library's guide writes them. */
#include "shims/gbench/loops.h"

#include <benchmark/benchmark.h>

static void loop(benchmark::State &state)
{
    for (auto _ : state)
        benchmark::ClobberMemory();
}

static void pausing(benchmark::State &state)
{
    for (auto _ : state) {
        state.PauseTiming();
        state.ResumeTiming();
    }
}

void prony_gbench_register_peers(void)
{
    (void)benchmark::RegisterBenchmark("loop/cpp", loop);
    (void)benchmark::RegisterBenchmark("pause/cpp", pausing);
}
