/* States: one thread of one run, its fixtures, its loop and what it reports. */
#include "shims/gbench/inner.h"

#include <cstdarg>
#include <cstdio>
#include <new>
#include <utility>

using benchmark::State;

namespace
{

/* The first thread of a run sets up while the others wait. */
int enter(prony_gbench &family, prony_gbench_state &state)
{
    std::lock_guard<std::mutex> hold(family.lock);
    if (family.entered++ == 0)
        family.code = family.fixture.set_up == nullptr ? 0 : family.fixture.set_up(&state, family.context);
    return family.code;
}

void leave(prony_gbench &family, prony_gbench_state &state)
{
    std::lock_guard<std::mutex> hold(family.lock);
    if (++family.left < state.inner.threads())
        return;
    if (family.code == 0 && family.fixture.tear_down != nullptr)
        family.fixture.tear_down(&state, family.context);
    family.entered = family.left = 0;
}

void say_set_up(prony_gbench_state &state, int code)
{
    char text[96];
    if (!state.inner.error_occurred())
        prony_gbench_skip(&state, "the set-up failed: %s", prony_code_text(code, text, sizeof text));
}

/* May the clock be touched? Says why not. */
bool in_loop(prony_gbench_state *state, const char *what)
{
    if (state->inner.error_occurred())
        return false;
    if (state->begun && !state->ended)
        return true;
    prony_gbench_skip(state, "%s outside its loop", what);
    return false;
}

} // namespace

void prony_gbench_thread_run(prony_gbench &family, State &inner)
{
    prony_gbench_state state = {inner, family.arity, false, false, false};
    int code = enter(family, state);
    if (code != 0)
        say_set_up(state, code);
    else if (family.fixture.thread_set_up != nullptr &&
             (code = family.fixture.thread_set_up(&state, family.context)) != 0)
        say_set_up(state, code);
    if (code == 0 && !inner.error_occurred())
        family.fn(&state, family.context);
    if (!inner.error_occurred() && !state.ended) /* the library aborts, or believes the time */
        prony_gbench_skip(&state, state.begun ? "it left its loop before the end" : "it never ran its loop");
    if (code == 0 && family.fixture.thread_tear_down != nullptr)
        family.fixture.thread_tear_down(&state, family.context);
    leave(family, state);
}

extern "C" {

/* The whole loop is one batch: the library starts its clock for it, and the next call, which finds nothing left, stops
 * it. Between the two nothing is counted. */
int64_t prony_gbench_begin(struct prony_gbench_state *state)
{
    State &inner = state->inner;
    if (state->begun && !inner.error_occurred())
        prony_gbench_skip(state, "it ran its loop twice");
    if (inner.error_occurred()) {
        state->ended = true;
        return 0;
    }
    state->begun = true;
    if (inner.KeepRunningBatch(inner.max_iterations))
        return inner.max_iterations;
    state->ended = true;
    return 0;
}

void prony_gbench_end(struct prony_gbench_state *state)
{
    if (!state->begun || state->ended)
        return;
    if (state->paused)
        prony_gbench_skip(state, "its loop ended with the clock paused");
    state->ended = true;
    (void)state->inner.KeepRunningBatch(state->inner.max_iterations);
}

void prony_gbench_pause(struct prony_gbench_state *state)
{
    if (!in_loop(state, "pause"))
        return;
    if (state->paused) {
        prony_gbench_skip(state, "the clock was paused twice");
        return;
    }
    state->paused = true;
    state->inner.PauseTiming();
}

void prony_gbench_resume(struct prony_gbench_state *state)
{
    if (!in_loop(state, "resume"))
        return;
    if (!state->paused) {
        prony_gbench_skip(state, "the clock was resumed, but not paused");
        return;
    }
    state->paused = false;
    state->inner.ResumeTiming();
}

void prony_gbench_iteration_time(struct prony_gbench_state *state, double seconds)
{
    if (!state->inner.error_occurred())
        state->inner.SetIterationTime(seconds);
}

int64_t prony_gbench_arg_of(struct prony_gbench_state *state, size_t i)
{
    if (state->args > 0 && i < (size_t)state->args)
        return state->inner.range(i);
    prony_gbench_skip(state, "it asked for argument %zu of %lld", i, state->args > 0 ? (long long)state->args : 0LL);
    return 0;
}

int prony_gbench_thread(const struct prony_gbench_state *state)
{
    return state->inner.thread_index();
}

int prony_gbench_threads_of(const struct prony_gbench_state *state)
{
    return state->inner.threads();
}

int64_t prony_gbench_iterations(const struct prony_gbench_state *state)
{
    return state->inner.iterations();
}

void prony_gbench_skip(struct prony_gbench_state *state, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    state->inner.SkipWithError(text);
}

bool prony_gbench_failed(const struct prony_gbench_state *state)
{
    return state->inner.error_occurred();
}

void prony_gbench_counter(struct prony_gbench_state *state, const char *name, double value, unsigned flags)
{
    using benchmark::Counter;
    static const std::pair<unsigned, Counter::Flags> theirs[] = {
        {PRONY_GBENCH_RATE, Counter::kIsRate},
        {PRONY_GBENCH_PER_THREAD, Counter::kAvgThreads},
        {PRONY_GBENCH_EACH_ITERATION, Counter::kIsIterationInvariant},
        {PRONY_GBENCH_PER_ITERATION, Counter::kAvgIterations},
        {PRONY_GBENCH_INVERT, Counter::kInvert},
    };
    Counter::Flags all = Counter::kDefaults;
    for (const auto &flag : theirs)
        if ((flags & flag.first) != 0)
            all = all | flag.second;
    try {
        state->inner.counters[name] =
            Counter(value, all, (flags & PRONY_GBENCH_BINARY) != 0 ? Counter::kIs1024 : Counter::kIs1000);
    } catch (const std::bad_alloc &) {
        prony_gbench_skip(state, "no memory for a counter");
    }
}

void prony_gbench_items(struct prony_gbench_state *state, int64_t items)
{
    prony_gbench_counter(state, "items_per_second", (double)items, PRONY_GBENCH_RATE);
}

void prony_gbench_bytes(struct prony_gbench_state *state, int64_t bytes)
{
    prony_gbench_counter(state, "bytes_per_second", (double)bytes, PRONY_GBENCH_RATE | PRONY_GBENCH_BINARY);
}

void prony_gbench_label(struct prony_gbench_state *state, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    state->inner.SetLabel(text);
}

void prony_gbench_complexity_n(struct prony_gbench_state *state, int64_t n)
{
    state->inner.SetComplexityN(n);
}

} // extern "C"
