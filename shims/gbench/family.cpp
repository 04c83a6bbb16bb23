/* Families: checks what the library would abort for, adds a context to its callbacks, lets no exception out. */
#include "shims/gbench/inner.h"

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <new>
#include <utility>
#include <vector>

using benchmark::State;
using Inner = benchmark::internal::Benchmark;

namespace
{

const int64_t values_most = 100000; /* of one dense range */

std::vector<std::unique_ptr<prony_gbench>> &families()
{
    static std::vector<std::unique_ptr<prony_gbench>> all;
    return all;
}

prony_error first_mistake;

int mistake(const prony_gbench *family, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Keeps the first, for prony_gbench_run. */
int mistake(const prony_gbench *family, int code, const char *format, ...)
{
    char text[sizeof first_mistake.text];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (first_mistake.code == 0)
        (void)prony_fail(&first_mistake, code, "benchmark %.60s: %s",
                         family == nullptr ? "(none)" : family->name.c_str(), text);
    return code;
}

/* Calls `change` on the library's object unless `wrong` says why not. */
template <class Change> int change(prony_gbench *family, bool right, const char *what, Change make)
{
    if (family == nullptr)
        return mistake(family, -EINVAL, "%s of a benchmark that was not registered", what);
    if (!right)
        return mistake(family, -EINVAL, "%s", what);
    try {
        make(*family->inner);
        return 0;
    } catch (const std::bad_alloc &) {
        return mistake(family, -ENOMEM, "no memory");
    }
}

/* Every benchmark of a family has as many arguments as the first. */
template <class Change> int add_args(prony_gbench *family, size_t n, bool right, const char *what, Change make)
{
    if (family != nullptr && right && family->arity >= 0 && family->arity != (int64_t)n)
        return mistake(family, -EINVAL, "%zu arguments, where it has %lld", n, (long long)family->arity);
    int code = change(family, right, what, make);
    if (code == 0)
        family->arity = (int64_t)n;
    return code;
}

/* The library's statistics have no context: each has a slot and a function of its own. */
std::array<prony_gbench_statistic_fn *, PRONY_GBENCH_STATISTICS> statistics;

template <size_t slot> double statistic(const std::vector<double> &values)
{
    return statistics[slot](values.data(), values.size());
}

template <size_t... slots>
std::array<benchmark::StatisticsFunc *, sizeof...(slots)> make_slots(std::index_sequence<slots...>)
{
    return {statistic<slots>...};
}

} // namespace

const prony_error &prony_gbench_mistake()
{
    return first_mistake;
}

extern "C" {

struct prony_gbench *prony_gbench_register(const char *name, prony_gbench_fn *fn, void *context)
{
    if (name == nullptr || name[0] == '\0' || fn == nullptr) {
        (void)mistake(nullptr, -EINVAL, "a benchmark needs a name and a function");
        return nullptr;
    }
    try {
        families().push_back(std::make_unique<prony_gbench>());
        prony_gbench *family = families().back().get();
        family->name = name;
        family->fn = fn;
        family->context = context;
        family->arity = -1;
        family->inner =
            benchmark::RegisterBenchmark(name, [family](State &state) { prony_gbench_thread_run(*family, state); });
        return family;
    } catch (const std::bad_alloc &) {
        (void)mistake(nullptr, -ENOMEM, "no memory for %s", name);
        return nullptr;
    }
}

int prony_gbench_arg(struct prony_gbench *family, int64_t value)
{
    return add_args(family, 1, true, "an argument", [=](Inner &inner) { inner.Arg(value); });
}

int prony_gbench_args(struct prony_gbench *family, const int64_t *values, size_t n)
{
    return add_args(family, n, values != nullptr && n > 0, "no arguments",
                    [=](Inner &inner) { inner.Args(std::vector<int64_t>(values, values + n)); });
}

int prony_gbench_range(struct prony_gbench *family, int64_t lo, int64_t hi)
{
    return add_args(family, 1, lo <= hi, "a range from high to low", [=](Inner &inner) { inner.Range(lo, hi); });
}

int prony_gbench_ranges(struct prony_gbench *family, const int64_t (*bounds)[2], size_t n)
{
    bool right = bounds != nullptr && n > 0;
    for (size_t i = 0; right && i < n; i++)
        right = bounds[i][0] <= bounds[i][1];
    return add_args(family, n, right, "no ranges, or one from high to low", [=](Inner &inner) {
        std::vector<std::pair<int64_t, int64_t>> ranges;
        for (size_t i = 0; i < n; i++)
            ranges.emplace_back(bounds[i][0], bounds[i][1]);
        inner.Ranges(ranges);
    });
}

int prony_gbench_dense(struct prony_gbench *family, int64_t lo, int64_t hi, int step)
{
    bool right = step > 0 && lo <= hi && (uint64_t)hi - (uint64_t)lo < (uint64_t)values_most * (uint64_t)step;
    return add_args(family, 1, right, "a dense range wants lo <= hi, a step above 0, at most 100000 values",
                    [=](Inner &inner) { inner.DenseRange(lo, hi, step); });
}

int prony_gbench_product(struct prony_gbench *family, const struct prony_gbench_list *lists, size_t n)
{
    bool right = lists != nullptr && n > 0;
    for (size_t i = 0; right && i < n; i++)
        right = lists[i].values != nullptr && lists[i].count > 0;
    return add_args(family, n, right, "a product with nothing in it", [=](Inner &inner) {
        std::vector<std::vector<int64_t>> product;
        for (size_t i = 0; i < n; i++)
            product.emplace_back(lists[i].values, lists[i].values + lists[i].count);
        inner.ArgsProduct(product);
    });
}

int prony_gbench_multiplier(struct prony_gbench *family, int multiplier)
{
    return change(family, multiplier >= 2, "a multiplier below 2",
                  [=](Inner &inner) { inner.RangeMultiplier(multiplier); });
}

int prony_gbench_arg_names(struct prony_gbench *family, const char *const *names, size_t n)
{
    return add_args(family, n, names != nullptr && n > 0, "no names",
                    [=](Inner &inner) { inner.ArgNames(std::vector<std::string>(names, names + n)); });
}

int prony_gbench_threads(struct prony_gbench *family, int threads)
{
    return change(family, threads > 0, "fewer than 1 thread", [=](Inner &inner) { inner.Threads(threads); });
}

int prony_gbench_thread_range(struct prony_gbench *family, int least, int most)
{
    return change(family, least > 0 && least <= most, "a range of threads wants 1 <= least <= most",
                  [=](Inner &inner) { inner.ThreadRange(least, most); });
}

int prony_gbench_thread_dense(struct prony_gbench *family, int least, int most, int stride)
{
    return change(family, least > 0 && least <= most && stride > 0,
                  "a range of threads wants 1 <= least <= most and a stride above 0",
                  [=](Inner &inner) { inner.DenseThreadRange(least, most, stride); });
}

int prony_gbench_thread_per_cpu(struct prony_gbench *family)
{
    return change(family, true, "a thread a CPU", [](Inner &inner) { inner.ThreadPerCpu(); });
}

int prony_gbench_min_time(struct prony_gbench *family, double seconds)
{
    int code = change(family, seconds > 0 && (family == nullptr || !family->counted),
                      "a least time above 0 s, and no fixed iterations", [=](Inner &inner) { inner.MinTime(seconds); });
    if (code == 0)
        family->timed = true;
    return code;
}

int prony_gbench_warm_up(struct prony_gbench *family, double seconds)
{
    int code = change(family, seconds >= 0 && (family == nullptr || !family->counted),
                      "a warm-up of at least 0 s, and no fixed iterations",
                      [=](Inner &inner) { inner.MinWarmUpTime(seconds); });
    if (code == 0)
        family->timed = true;
    return code;
}

int prony_gbench_iterations_are(struct prony_gbench *family, int64_t iterations)
{
    int code =
        change(family, iterations > 0 && (family == nullptr || !family->timed),
               "iterations of at least 1, and no least time", [=](Inner &inner) { inner.Iterations(iterations); });
    if (code == 0)
        family->counted = true;
    return code;
}

int prony_gbench_repetitions(struct prony_gbench *family, int repetitions)
{
    return change(family, repetitions > 0, "fewer than 1 repetition",
                  [=](Inner &inner) { inner.Repetitions(repetitions); });
}

int prony_gbench_rows(struct prony_gbench *family, enum prony_gbench_rows rows)
{
    return change(family, true, "rows", [=](Inner &inner) {
        if (rows == PRONY_GBENCH_SHOW_AGGREGATES)
            inner.DisplayAggregatesOnly(true);
        else
            inner.ReportAggregatesOnly(rows == PRONY_GBENCH_ONLY_AGGREGATES);
    });
}

int prony_gbench_unit(struct prony_gbench *family, enum prony_gbench_unit unit)
{
    static const benchmark::TimeUnit units[] = {benchmark::kNanosecond, benchmark::kMicrosecond,
                                                benchmark::kMillisecond, benchmark::kSecond};
    return change(family, (unsigned)unit <= PRONY_GBENCH_S, "no such unit",
                  [=](Inner &inner) { inner.Unit(units[unit]); });
}

int prony_gbench_clocks(struct prony_gbench *family, unsigned clocks)
{
    const unsigned both = PRONY_GBENCH_REAL | PRONY_GBENCH_MANUAL;
    bool right = family == nullptr || (((clocks | family->clocks) & both) != both &&
                                       (clocks & ~(both | (unsigned)PRONY_GBENCH_PROCESS_CPU)) == 0);
    int code = change(family, right, "clocks: real or manual, not both", [=](Inner &inner) {
        if ((clocks & PRONY_GBENCH_REAL) != 0)
            inner.UseRealTime();
        if ((clocks & PRONY_GBENCH_MANUAL) != 0)
            inner.UseManualTime();
        if ((clocks & PRONY_GBENCH_PROCESS_CPU) != 0)
            inner.MeasureProcessCPUTime();
    });
    if (code == 0)
        family->clocks |= clocks;
    return code;
}

int prony_gbench_complexity(struct prony_gbench *family, enum prony_gbench_order order)
{
    static const benchmark::BigO orders[] = {benchmark::o1,      benchmark::oN,    benchmark::oNSquared,
                                             benchmark::oNCubed, benchmark::oLogN, benchmark::oNLogN,
                                             benchmark::oAuto};
    return change(family, (unsigned)order <= PRONY_GBENCH_O_AUTO, "no such complexity",
                  [=](Inner &inner) { inner.Complexity(orders[order]); });
}

int prony_gbench_complexity_fn(struct prony_gbench *family, double (*growth)(int64_t n))
{
    return change(family, growth != nullptr, "a complexity without a function",
                  [=](Inner &inner) { inner.Complexity(growth); });
}

int prony_gbench_statistic(struct prony_gbench *family, const char *name, prony_gbench_statistic_fn *fn,
                           bool percentage)
{
    static const auto slots = make_slots(std::make_index_sequence<PRONY_GBENCH_STATISTICS>());
    size_t slot = 0;
    if (name == nullptr || fn == nullptr)
        return mistake(family, -EINVAL, "a statistic needs a name and a function");
    while (slot < statistics.size() && statistics[slot] != nullptr && statistics[slot] != fn)
        slot++;
    if (slot == statistics.size())
        return mistake(family, -ENOSPC, "a program has at most %d statistics", PRONY_GBENCH_STATISTICS);
    statistics[slot] = fn;
    return change(family, true, "a statistic", [=](Inner &inner) {
        inner.ComputeStatistics(name, slots[slot], percentage ? benchmark::kPercentage : benchmark::kTime);
    });
}

int prony_gbench_use_fixture(struct prony_gbench *family, const struct prony_gbench_fixture *fixture)
{
    return change(family, fixture != nullptr, "a fixture that is none", [=](Inner &) { family->fixture = *fixture; });
}

} // extern "C"
