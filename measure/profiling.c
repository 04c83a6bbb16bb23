/* The profiled visit, in the host: first some repetitions whose every task is noted, then others whose workers' stacks are
 * sampled. Apart, so that the cost of noting does not show in the stacks; and both apart from the measured visits. */
#include "base/clock.h"
#include "measure/host.h"
#include "measure/sampler.h"
#include "measure/trace.h"

#include <string.h>

enum { TRIAL_NOTES = 4096, SAMPLES_MOST = 60 };
static const uint64_t sampling_ns = 400000000, period_ns = 1000000;
static const double fill = 0.9; /* of a timeline */

/* What one note costs here, with a warm ring: the best of a few runs, as anything else only adds to it. */
static double note_cost(struct prony_timeline *timeline)
{
    double best = 1e9;
    for (unsigned round = 0; round < 5; round++) {
        uint64_t begun = prony_now_ns(), took;
        for (unsigned i = 0; i < TRIAL_NOTES; i++)
            prony_timeline_note(timeline, PRONY_NOTE_BEGUN, 0, i, i, 1);
        took = prony_now_ns() - begun;
        best = (double)took / TRIAL_NOTES < best ? (double)took / TRIAL_NOTES : best;
    }
    return best;
}

static uint64_t written(struct prony_timeline *timeline)
{
    return __atomic_load_n(&timeline->written, __ATOMIC_ACQUIRE);
}

/* What was noted up to here is of no interest. Its owner may be writing: only `since` is ours. */
static void forget(struct prony_host *host)
{
    for (unsigned i = 0; i <= host->setup.workers; i++) {
        struct prony_timeline *timeline = prony_board_timeline(host->arena.base, i);
        timeline->since = written(timeline);
    }
}

/* All notes since then: one worker may happen to make them all. */
static uint64_t noted(struct prony_host *host)
{
    uint64_t all = 0;
    for (unsigned i = 0; i <= host->setup.workers; i++) {
        struct prony_timeline *timeline = prony_board_timeline(host->arena.base, i);
        all += written(timeline) - timeline->since;
    }
    return all;
}

/* One repetition says how many notes it makes; then as many repetitions as a timeline holds. */
static int record(struct prony_host *host, int64_t repeats, struct prony_error *error)
{
    struct prony_trail *trail = prony_board_trail(host->arena.base);
    struct prony_timeline *mine = prony_board_timeline(host->arena.base, host->setup.workers);
    const struct prony_engine *engine = host->bench.engine;
    uint64_t ns, most;
    int code;
    trail->note_ns = note_cost(mine);
    code = prony_host_gang(host, PRONY_OWN_TRACE, 1, "recording", error);
    if (code != 0)
        return code;
    host->bench.engine = prony_trace_engine(engine, mine);
    forget(host);
    code = prony_host_take(host, 1, false, &ns, error);
    most = noted(host);
    trail->repeats = (int64_t)(fill * (double)mine->room / (double)(most == 0 ? 1 : most));
    trail->repeats = trail->repeats > repeats ? repeats : trail->repeats;
    trail->repeats = trail->repeats < 1 ? 1 : trail->repeats;
    forget(host);
    trail->begun_ticks = prony_timeline_ticks(mine);
    trail->begun_ns = prony_now_ns();
    if (code == 0)
        code = prony_host_take(host, trail->repeats, false, &ns, error);
    trail->ended_ns = prony_now_ns();
    trail->ended_ticks = prony_timeline_ticks(mine);
    trail->from_ns = host->drove_from_ns;
    trail->to_ns = host->drove_to_ns;
    host->bench.engine = engine;
    if (code == 0)
        code = prony_host_gang(host, PRONY_OWN_TRACE, 0, "recording", error);
    return code;
}

/* Samples until the workers had a while to run. A long repetition gets a longer step, or the kernel's buffers run over. */
static int sample(struct prony_host *host, int64_t repeats, struct prony_error *error)
{
    struct prony_trail *trail = prony_board_trail(host->arena.base);
    uint64_t ns = 0, spent = 0;
    int code = prony_host_take(host, repeats, false, &ns, error);
    if (code != 0)
        return code;
    trail->period_ns = ns / 100 > period_ns ? ns / 100 : period_ns;
    if (prony_sampler_open(host->arena.base, trail->period_ns, &host->sampler, &trail->reason) != 0)
        return 0; /* said in the trail; the timeline is there */
    for (unsigned i = 0; i < SAMPLES_MOST && spent < sampling_ns && code == 0; i++, spent += ns) {
        code = prony_host_take(host, repeats, false, &ns, error);
        prony_sampler_collect(host->sampler);
    }
    prony_sampler_close(host->sampler);
    host->sampler = NULL;
    return code;
}

void prony_host_profile(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer)
{
    struct prony_error *error = &answer->error;
    uint64_t ns;
    if (prony_host_unpark(host, error) != 0)
        return;
    if (prony_host_take(host, order->repeats, false, &ns, error) == 0 && record(host, order->repeats, error) == 0)
        (void)sample(host, order->repeats, error);
    prony_host_park(host);
}
