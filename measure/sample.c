/* Samples: poison, clock, drive, clock, verify; calibration, warm-up and visits are made of them. */
#include "base/clock.h"
#include "measure/host.h"
#include "measure/sampler.h"
#include "stats/stats.h"
#include "stats/steady.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WARM_LOOK = 4, REWARM = 1 }; /* look: at the course of the warm-up, after so many samples */
static const double warm_tolerance = 0.03;

struct sample {
    uint64_t ns;
    uint64_t phases_ns[PRONY_PHASES];
};

int prony_host_check(struct prony_host *host, struct prony_error *error)
{
    struct prony_bench *bench = &host->bench;
    char text[96];
    if (bench->tally.status != 0)
        return prony_fail(error, bench->tally.status, "items %lld to %lld failed: %s", (long long)bench->tally.first_lo,
                          (long long)bench->tally.first_hi, prony_code_text(bench->tally.status, text, sizeof text));
    if (host->workload->shape == PRONY_TASKS) {
        int code = prony_drive_check_futures(bench, error);
        if (code != 0)
            return code;
    }
    return host->workload->verify == NULL ? 0 : host->workload->verify(bench, error);
}

/* One sample. `counted` reads the counters at both ends, off the clock. */
static int take(struct prony_host *host, int64_t repeats, bool counted, struct sample *sample,
                struct prony_error *error)
{
    struct prony_bench *bench = &host->bench;
    uint64_t begun, ended;
    char text[96];
    int code = 0;
    bench->repeats = repeats;
    memset(&bench->tally, 0, sizeof bench->tally);
    memset(bench->ns, 0, sizeof bench->ns);
    *bench->error = (struct prony_error){0, ""};
    if (host->workload->poison != NULL)
        host->workload->poison(bench);
    if (counted)
        code = prony_host_gang(host, PRONY_OWN_COUNT_BEGIN, host->set, "reading counters", error);
    if (code != 0)
        return code;
    if (host->sampler != NULL)
        prony_sampler_run(host->sampler, true);
    begun = prony_now_ns();
    code = host->drive(bench);
    ended = prony_now_ns();
    if (host->sampler != NULL)
        prony_sampler_run(host->sampler, false);
    host->drove_from_ns = begun;
    host->drove_to_ns = ended;
    if (code != 0)
        return bench->error->text[0] != '\0'
                   ? prony_fail(error, code, "%s", bench->error->text)
                   : prony_fail(error, code, "the engine failed: %s", prony_code_text(code, text, sizeof text));
    if (counted)
        code = prony_host_gang(host, PRONY_OWN_COUNT_END, 0, "reading counters", error);
    if (code == 0)
        code = prony_host_check(host, error);
    sample->ns = bench->ns[0] != 0 ? bench->ns[0] : ended - begun;
    memcpy(sample->phases_ns, &bench->ns[1], sizeof sample->phases_ns);
    bench->sample++;
    return code;
}

int prony_host_take(struct prony_host *host, int64_t repeats, bool counted, uint64_t *ns, struct prony_error *error)
{
    struct sample sample = {0, {0}};
    int code = take(host, repeats, counted, &sample, error);
    *ns = sample.ns;
    return code;
}

/* Finds how many repetitions make a sample of about target_ns; at least one. Grows by at most 16 a step, since the first
 * repetitions are slow. */
static int calibrate(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer)
{
    uint64_t started = prony_now_ns();
    int64_t fixed = prony_param_int(&host->own_params, "repeats"), repeats = fixed > 0 ? fixed : 1;
    struct sample sample;
    int code;
    for (;;) {
        double want;
        code = take(host, repeats, false, &sample, &answer->error);
        if (code != 0)
            return code;
        answer->verified++;
        answer->calibrate_ns = sample.ns / (uint64_t)repeats;
        if (fixed > 0 || (double)sample.ns >= 0.7 * (double)order->target_ns ||
            prony_now_ns() - started > (uint64_t)order->limit_ns / 2)
            break;
        want = (double)repeats * (double)order->target_ns / (double)(sample.ns == 0 ? 1 : sample.ns);
        want = fmin(want, 16.0 * (double)repeats);
        if (want < (double)repeats + 1 || want > 1e12)
            break;
        repeats = (int64_t)want;
    }
    answer->repeats = repeats;
    return 0;
}

/* Samples until their course is steady, or the limit. */
void prony_host_warm(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer)
{
    double series[PRONY_WARM_MOST];
    uint64_t started = prony_now_ns();
    struct prony_steady steady = {PRONY_COURSE_UNKNOWN, 0, 0};
    unsigned n = 0;
    bool last = false;
    if (prony_host_unpark(host, &answer->error) != 0 || calibrate(host, order, answer) != 0)
        return;
    while (!last && !prony_course_is_steady(steady.course)) {
        struct sample sample;
        if (take(host, answer->repeats, false, &sample, &answer->error) != 0)
            return;
        answer->verified++;
        answer->warm_ns[n] = sample.ns;
        series[n++] = (double)sample.ns;
        last = n == PRONY_WARM_MOST || prony_now_ns() - started > (uint64_t)order->limit_ns;
        if (last || n % WARM_LOOK == 0)
            steady = prony_steady_find(series, n, warm_tolerance);
    }
    answer->warm_samples = n;
    answer->course = steady.course;
    answer->steady_from = (uint32_t)steady.from;
    prony_host_park(host);
}

/* Where the times of this visit's tasks are gathered; NULL: they were not asked for. */
static struct prony_task_times *times_of(const struct prony_host *host)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)host->arena.base;
    return board->times.len == 0 ? NULL : (struct prony_task_times *)(void *)(host->arena.base + board->times.off);
}

/* What the futures say after a sample: of its last repetition, and of the tasks that were timed. */
static void gather_times(const struct prony_host *host)
{
    struct prony_task_times *times = times_of(host);
    const struct prony_future *future = (const void *)(host->arena.base + host->bench.futures.off);
    for (uint64_t i = 0; times != NULL && i < host->need.futures; i++)
        if (future[i].queued_ns != 0 && future[i].begun_ns >= future[i].queued_ns &&
            future[i].ended_ns >= future[i].begun_ns) {
            prony_histogram_record(&times->wait, future[i].begun_ns - future[i].queued_ns);
            prony_histogram_record(&times->run, future[i].ended_ns - future[i].begun_ns);
        }
}

/* Histograms and what the workers spent: of this visit alone. */
static void clear_own(struct prony_host *host)
{
    for (unsigned i = 0; i < host->setup.workers; i++) {
        uint64_t own = host->setup.own.off + i * host->setup.own_stride;
        memset(host->arena.base + own, 0, sizeof(struct prony_histogram) + sizeof(struct prony_usage));
    }
    if (times_of(host) != NULL)
        memset(times_of(host), 0, sizeof(struct prony_task_times));
}

/* Events that do not fit at once take turns, a visit each. */
static bool next_set(struct prony_host *host, unsigned turn, struct prony_error *error)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)host->arena.base;
    unsigned char set = (unsigned char)(turn % board->sets);
    if (set == host->set)
        return true;
    host->set = set;
    return prony_host_gang(host, PRONY_OWN_COUNT_ENTER, set, "opening counters", error) == 0;
}

void prony_host_visit(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer)
{
    double phases[PRONY_PHASES][PRONY_SAMPLES_MOST];
    unsigned samples = order->samples < PRONY_SAMPLES_MOST ? order->samples : PRONY_SAMPLES_MOST;
    struct sample sample;
    if (prony_host_unpark(host, &answer->error) != 0)
        return;
    for (unsigned i = 0; i < REWARM; i++) {
        if (take(host, order->repeats, false, &sample, &answer->error) != 0)
            return;
        answer->verified++;
    }
    if (host->counting && !next_set(host, order->turn, &answer->error))
        return;
    clear_own(host);
    for (unsigned i = 0; i < samples; i++) {
        if (take(host, order->repeats, host->counting, &sample, &answer->error) != 0)
            return;
        gather_times(host);
        answer->verified++;
        answer->shortfall += host->bench.shortfall;
        answer->reordered += host->bench.reordered;
        answer->samples_ns[answer->samples++] = sample.ns;
        for (unsigned j = 0; j < PRONY_PHASES; j++)
            phases[j][i] = (double)sample.phases_ns[j];
    }
    for (unsigned j = 0; j < PRONY_PHASES; j++)
        answer->phases_ns[j] = (uint64_t)prony_median(phases[j], samples);
    prony_host_park(host);
}

/* Makes a repetition as short as the workload allows. */
static void shorten(struct prony_host *host)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)host->arena.base;
    struct prony_params params;
    struct prony_need need = {.items = 0};
    char items[24];
    (void)snprintf(items, sizeof items, "%lld", (long long)host->need.few);
    if (host->need.few <= 0 || prony_params_copy(&params, &host->workload_params, NULL) != 0)
        return;
    if (prony_params_set(&params, "items", items, NULL) == 0 &&
        host->workload->need(&params, host->setup.workers, &need, NULL) == 0 && need.bytes <= board->data.len &&
        need.messages < host->need.messages && prony_params_set(&host->workload_params, "items", items, NULL) == 0)
        host->need = need;
    prony_params_free(&params);
}

/* Calls are counted one by one, by somebody who stops the worker at each: a few messages, and never very many. */
void prony_host_count(struct prony_host *host, const struct prony_order *order, struct prony_answer *answer)
{
    enum { MOST = 20000 };
    struct prony_error *error = &answer->error;
    struct sample sample;
    shorten(host);
    answer->messages = host->need.messages;
    if (host->need.messages > MOST / order->repeats)
        (void)prony_fail(error, -E2BIG, "one repetition has %lld messages, and at most %d are traced",
                         (long long)host->need.messages, MOST);
    if (error->code != 0 || prony_host_unpark(host, error) != 0 ||
        take(host, order->repeats, false, &sample, error) != 0)
        return;
    answer->verified++;
    prony_host_park(host);
}
