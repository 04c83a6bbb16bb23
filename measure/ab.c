#include "measure/ab.h"
#include "base/clock.h"
#include "measure/command.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS_A_BLOCK = 2 };
static const double confidence = 0.95; /* of the intervals that inform */
static const char *const side_names[] = {"base", "head"};

/* What all steps share. */
struct bout {
    const struct prony_ab_plan *plan;
    struct prony_ab *ab;
    struct prony_error *error;
    uint64_t started_ns, first_block_ns, random;
};

static int out_of_memory(struct prony_error *error)
{
    return prony_fail(error, -ENOMEM, "no memory for the pairs");
}

/* One launch of a side, and what it says. */
static int launch_side(const struct bout *bout, const struct prony_list *words, enum prony_side side,
                       struct prony_readings *readings)
{
    const struct prony_ab_plan *plan = bout->plan;
    struct prony_command_how how = {
        .prepare = &plan->prepare,
        .cleanup = &plan->cleanup,
        .pus = plan->pus,
        .npus = plan->npus,
        .timeout_ns = plan->timeout_ns,
        .capture = plan->capture,
        .interrupt = plan->interrupt,
    };
    struct prony_launched launched;
    int code = prony_command_launch(&how, words, &launched, bout->error);
    if (code == 0)
        code = plan->read(plan->read_context, &launched, readings, bout->error);
    if (code == 0)
        code = prony_readings_reduce(readings, plan->metric, plan->reduce, plan->higher, bout->error);
    prony_launched_free(&launched);
    bout->ab->launches++;
    return code == 0 || code == -EINTR ? code : prony_fail_within(bout->error, code, "%s", side_names[side]);
}

static int series_add(struct prony_ab_contest *contest, const struct bout *bout, const char *benchmark,
                      const char *metric)
{
    struct prony_ab_series *series = &contest->series[contest->series_count++];
    series->benchmark = strdup(benchmark);
    series->metric = strdup(metric);
    series->primary = strcmp(metric, bout->plan->metric) == 0;
    series->comparable = true;
    return series->benchmark != NULL && series->metric != NULL ? 0 : out_of_memory(bout->error);
}

/* The first launch says which benchmarks and metrics there are. */
static int contest_open(struct prony_ab_contest *contest, const struct bout *bout,
                        const struct prony_readings *readings)
{
    int code = 0;
    bool any = false;
    contest->series = calloc(readings->count + 1, sizeof *contest->series);
    if (contest->series == NULL)
        return out_of_memory(bout->error);
    for (size_t i = 0; i < readings->count && code == 0; i++) {
        code = series_add(contest, bout, readings->item[i].benchmark, readings->item[i].metric);
        any |= contest->series[i].primary;
    }
    if (code == 0 && !any)
        return prony_fail(bout->error, -EINVAL, "%s says nothing of the metric '%s' (--metric)%s%s",
                          side_names[contest->opener], bout->plan->metric,
                          readings->count > 0 ? "; it has, among others: " : "",
                          readings->count > 0 ? readings->item[0].metric : "");
    return code;
}

/* The fresh contest has the series of the first one, in the same places. */
static int contest_reopen(struct prony_ab_contest *contest, const struct bout *bout,
                          const struct prony_ab_contest *first)
{
    int code = 0;
    contest->series = calloc(first->series_count + 1, sizeof *contest->series);
    if (contest->series == NULL)
        return out_of_memory(bout->error);
    for (unsigned i = 0; i < first->series_count && code == 0; i++)
        code = series_add(contest, bout, first->series[i].benchmark, first->series[i].metric);
    return code;
}

static int grow(struct prony_ab_contest *contest, const struct bout *bout)
{
    unsigned room = contest->room == 0 ? 32 : 2 * contest->room;
    if (contest->pairs < contest->room)
        return 0;
    for (unsigned i = 0; i < contest->series_count; i++) {
        double **arrays[] = {&contest->series[i].value[PRONY_BASE], &contest->series[i].value[PRONY_HEAD],
                             &contest->series[i].d};
        for (unsigned j = 0; j < 3; j++) {
            double *grown = realloc(*arrays[j], room * sizeof *grown);
            if (grown == NULL)
                return out_of_memory(bout->error);
            *arrays[j] = grown;
        }
    }
    contest->room = room;
    return 0;
}

/* The benchmarks of both sides are the same, at every launch. */
static int same_benchmarks(const struct prony_ab_contest *contest, const struct bout *bout,
                           const struct prony_readings *readings, enum prony_side side)
{
    const struct prony_ab_series *series = contest->series;
    size_t has = 0, wants = 0;
    for (unsigned i = 0; i < contest->series_count; i++) {
        wants += series[i].primary;
        if (series[i].primary && prony_readings_find(readings, series[i].benchmark, series[i].metric, i) == NULL)
            return prony_fail(bout->error, -EINVAL, "%s does not say the %s of '%s', which %s said at first",
                              side_names[side], series[i].metric, series[i].benchmark, side_names[contest->opener]);
    }
    for (size_t i = 0; i < readings->count; i++)
        has += strcmp(readings->item[i].metric, bout->plan->metric) == 0;
    for (size_t i = 0; has > wants && i < readings->count; i++) {
        bool known = strcmp(readings->item[i].metric, bout->plan->metric) != 0;
        for (unsigned j = 0; j < contest->series_count && !known; j++)
            known = strcmp(series[j].benchmark, readings->item[i].benchmark) == 0;
        if (!known)
            return prony_fail(bout->error, -EINVAL, "%s has a benchmark '%s' that %s did not have at first",
                              side_names[side], readings->item[i].benchmark, side_names[contest->opener]);
    }
    return 0;
}

/* Notes which launch came when. */
static int note(struct prony_ab *ab, const struct prony_ab_contest *contest, enum prony_side side)
{
    if (ab->sequence_count == ab->sequence_room) {
        unsigned room = ab->sequence_room == 0 ? 128 : 2 * ab->sequence_room;
        char *grown = realloc(ab->sequence, room);
        if (grown == NULL)
            return -ENOMEM;
        ab->sequence = grown;
        ab->sequence_room = room;
    }
    ab->sequence[ab->sequence_count++] = (contest == &ab->null ? "ab" : "AB")[side];
    return 0;
}

static int take(struct prony_ab_contest *contest, const struct bout *bout, enum prony_side side)
{
    struct prony_readings readings = {NULL, 0, 0, 0};
    int code = launch_side(bout, contest->command[side], side, &readings);
    if (code == 0 && contest->series == NULL) {
        contest->opener = side;
        code = contest_open(contest, bout, &readings);
    }
    if (code == 0)
        code = same_benchmarks(contest, bout, &readings, side);
    if (code == 0)
        code = grow(contest, bout);
    if (code == 0 && note(bout->ab, contest, side) != 0)
        code = out_of_memory(bout->error);
    for (unsigned i = 0; code == 0 && i < contest->series_count; i++) {
        struct prony_ab_series *series = &contest->series[i];
        const struct prony_reading *found = prony_readings_find(&readings, series->benchmark, series->metric, i);
        double value = found != NULL ? found->value : NAN;
        series->comparable = series->comparable && isfinite(value) && value > 0;
        series->value[side][contest->pairs] = value;
    }
    prony_readings_free(&readings);
    return code;
}

/* Two adjacent launches. */
static int take_pair(struct prony_ab_contest *contest, const struct bout *bout, bool head_first)
{
    int code = take(contest, bout, head_first ? PRONY_HEAD : PRONY_BASE);
    if (code == 0)
        code = take(contest, bout, head_first ? PRONY_BASE : PRONY_HEAD);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < contest->series_count; i++) {
        struct prony_ab_series *series = &contest->series[i];
        double d = log(series->value[PRONY_HEAD][contest->pairs]) - log(series->value[PRONY_BASE][contest->pairs]);
        series->d[contest->pairs] = series->primary && bout->plan->higher ? -d : d;
    }
    contest->pairs++;
    return 0;
}

/* ABBA or BAAB: both orders, so that neither side is always second. */
static int take_quad(struct prony_ab_contest *contest, struct bout *bout)
{
    bool head_first = prony_random_below(&bout->random, 2) == 1;
    int code = take_pair(contest, bout, head_first);
    return code == 0 ? take_pair(contest, bout, !head_first) : code;
}

static int take_block(struct prony_ab_contest *contest, struct bout *bout)
{
    struct prony_ab_contest *both[] = {contest, &bout->ab->null};
    bool with_null = bout->plan->null_control && contest == &bout->ab->main;
    unsigned first = with_null ? (unsigned)prony_random_below(&bout->random, 2) : 0;
    int code = take_quad(both[first], bout);
    return code == 0 && with_null ? take_quad(both[1 - first], bout) : code;
}

static double margin_for(const struct prony_ab_plan *plan, const char *benchmark)
{
    for (unsigned i = plan->margins_count; i > 0; i--)
        if (prony_text_matches(plan->margins[i - 1].glob, benchmark))
            return plan->margins[i - 1].margin;
    return plan->margin;
}

/* Judges the primary series of a contest together; of those listed in `only` alone when it is given. */
static int judge(struct prony_ab_contest *contest, const struct bout *bout, const bool *only)
{
    struct prony_comparison *family = calloc(contest->series_count + 1, sizeof *family);
    unsigned m = 0, back = 0;
    int code = 0;
    if (family == NULL)
        return out_of_memory(bout->error);
    for (unsigned i = 0; i < contest->series_count; i++) {
        struct prony_ab_series *series = &contest->series[i];
        struct prony_comparison *judged = &series->judged;
        *judged = (struct prony_comparison){
            .d = series->d, .pairs = contest->pairs, .margin = margin_for(bout->plan, series->benchmark)};
        for (unsigned side = 0; side < PRONY_SIDES; side++)
            series->median[side] = series->comparable ? prony_median(series->value[side], contest->pairs) : NAN;
        judged->median = series->comparable ? prony_median(series->d, contest->pairs) : NAN;
        judged->interval = series->comparable ? prony_median_interval(series->d, contest->pairs, confidence)
                                              : (struct prony_interval){NAN, NAN, NAN};
        if (series->primary && (only == NULL || only[i]))
            family[m++] = *judged;
    }
    if (m > 0)
        code = prony_compare_judge(family, m, bout->plan->alpha);
    for (unsigned i = 0; code == 0 && i < contest->series_count; i++)
        if (contest->series[i].primary && (only == NULL || only[i]))
            contest->series[i].judged = family[back++];
    free(family);
    return code == 0 ? 0 : prony_fail(bout->error, code, "the pairs cannot be judged");
}

static unsigned primaries(const struct prony_ab_contest *contest)
{
    unsigned m = 0;
    for (unsigned i = 0; i < contest->series_count; i++)
        m += contest->series[i].primary;
    return m;
}

/* Are the intervals narrow enough? The width alone is looked at, never a verdict. */
static bool precise(struct prony_ab_contest *contest, const struct bout *bout)
{
    if (contest->pairs < bout->ab->least_pairs || judge(contest, bout, NULL) != 0)
        return false;
    for (unsigned i = 0; i < contest->series_count; i++) {
        const struct prony_interval *ci = &contest->series[i].judged.interval;
        if (contest->series[i].primary && !((ci->high - ci->low) / 2 <= log1p(bout->plan->precision)))
            return false;
    }
    return true;
}

static bool spent(const struct bout *bout, unsigned blocks)
{
    uint64_t now = prony_now_ns(), budget = (uint64_t)bout->plan->budget_ns;
    uint64_t block = blocks > 0 ? (now - bout->first_block_ns) / blocks : 0;
    return budget > 0 && now - bout->started_ns + block > budget;
}

static void tell(const struct bout *bout, const struct prony_ab_contest *contest, unsigned wanted)
{
    const struct prony_ab_plan *plan = bout->plan;
    uint64_t now = prony_now_ns(), used = now - bout->first_block_ns;
    double done = contest->pairs / (double)wanted;
    int64_t left = contest->pairs > 0 ? (int64_t)((double)used / done - (double)used) : -1;
    if (plan->budget_ns > 0 && (plan->precision > 0 || left > plan->budget_ns - (int64_t)(now - bout->started_ns)))
        left = plan->budget_ns - (int64_t)(now - bout->started_ns);
    if (plan->progress != NULL)
        plan->progress(plan->progress_context, done < 1 ? done : 1, left > 0 ? left : 0);
}

/* Blocks until there are enough pairs, or the budget is spent. */
static int take_all(struct prony_ab_contest *contest, struct bout *bout)
{
    const struct prony_ab_plan *plan = bout->plan;
    unsigned wanted = (plan->pairs + PAIRS_A_BLOCK - 1) / PAIRS_A_BLOCK * PAIRS_A_BLOCK;
    int code = 0;
    bout->first_block_ns = prony_now_ns();
    for (unsigned blocks = 0; code == 0; blocks++) {
        bool enough = contest->pairs >= wanted && (plan->precision <= 0 || precise(contest, bout));
        if (enough || contest->pairs >= PRONY_PAIRS_MOST || spent(bout, blocks))
            break;
        tell(bout, contest, wanted);
        code = take_block(contest, bout);
        if (code == 0 && contest->pairs == PAIRS_A_BLOCK) {
            bout->ab->least_pairs = prony_pairs_least(primaries(contest), plan->alpha);
            if (plan->precision <= 0 && wanted < bout->ab->least_pairs)
                break;
        }
    }
    if (code == 0 && contest->pairs < bout->ab->least_pairs)
        return prony_fail(bout->error, -ERANGE,
                          "%u pairs cannot decide %u benchmark%s: at least %u are needed (--pairs, --budget)",
                          plan->precision <= 0 && wanted < bout->ab->least_pairs ? plan->pairs : contest->pairs,
                          primaries(contest), primaries(contest) == 1 ? "" : "s", (unsigned)bout->ab->least_pairs);
    return code;
}

static int warm_up(const struct bout *bout)
{
    int code = 0;
    for (unsigned i = 0; i < bout->plan->warmup && code == 0; i++)
        for (unsigned side = 0; side < PRONY_SIDES && code == 0; side++) {
            struct prony_readings readings = {NULL, 0, 0, 0};
            code = launch_side(bout, &bout->plan->command[side], side, &readings);
            prony_readings_free(&readings);
        }
    return code;
}

/* The final verdicts. A red one is asked again on fresh pairs when that is wanted, and stands if it comes back. */
static int settle(struct bout *bout)
{
    struct prony_ab *ab = bout->ab;
    bool *red = calloc(ab->main.series_count + 1, sizeof *red), any = false;
    int code = 0;
    ab->verdict = calloc(ab->main.series_count + 1, sizeof *ab->verdict);
    if (red == NULL || ab->verdict == NULL)
        code = out_of_memory(bout->error);
    for (unsigned i = 0; code == 0 && i < ab->main.series_count; i++) {
        if (ab->main.series[i].primary)
            ab->verdict[i] = ab->main.series[i].judged.verdict;
        red[i] = ab->verdict[i] == PRONY_REGRESSED;
        any |= red[i];
    }
    if (code == 0 && any && bout->plan->confirm) {
        struct prony_ab_plan again = *bout->plan;
        struct bout fresh = *bout;
        again.pairs = ab->main.pairs;
        again.precision = 0;
        again.budget_ns = 0; /* as many pairs as before, and no more */
        fresh.plan = &again;
        code = contest_reopen(&ab->fresh, bout, &ab->main);
        if (code == 0)
            code = take_all(&ab->fresh, &fresh);
        if (code == 0)
            code = judge(&ab->fresh, bout, red);
        for (unsigned i = 0; code == 0 && i < ab->main.series_count; i++)
            if (red[i] && ab->fresh.series[i].judged.verdict != PRONY_REGRESSED) {
                ab->verdict[i] = PRONY_INCONCLUSIVE;
                ab->unconfirmed = true;
            }
    }
    free(red);
    return code;
}

static int check_null(const struct bout *bout)
{
    struct prony_ab_contest *null = &bout->ab->null;
    int code = judge(null, bout, NULL);
    for (unsigned i = 0; code == 0 && i < null->series_count; i++) {
        const struct prony_ab_series *series = &null->series[i];
        enum prony_verdict verdict = series->judged.verdict;
        if (!series->primary || (verdict != PRONY_REGRESSED && verdict != PRONY_IMPROVED))
            continue;
        bout->ab->null_red = true;
        code =
            prony_fail(bout->error, -EBADE,
                       "the null control is red: base differs from itself by %+.2f%% at '%s', so nothing can be told "
                       "here",
                       100 * expm1(series->judged.median), series->benchmark);
    }
    return code;
}

int prony_ab_run(const struct prony_ab_plan *plan, struct prony_ab *ab, struct prony_error *error)
{
    struct bout bout = {.plan = plan, .ab = ab, .error = error, .started_ns = prony_now_ns(), .random = plan->seed};
    const struct prony_list *base = &plan->command[PRONY_BASE], *head = &plan->command[PRONY_HEAD];
    int code;
    *ab = (struct prony_ab){
        .main = {.command = {base, head}}, .null = {.command = {base, base}}, .fresh = {.command = {base, head}}};
    (void)prony_random_next(&bout.random); /* a small seed is far from random */
    code = warm_up(&bout);
    if (code == 0)
        code = take_all(&ab->main, &bout);
    if (ab->main.pairs > 0) { /* also what an interrupted comparison has is looked at */
        struct prony_error first = *error;
        int judged = judge(&ab->main, &bout, NULL);
        if (code != 0)
            *error = first;
        else
            code = judged;
    }
    if (code == 0 && plan->null_control)
        code = check_null(&bout);
    if (code == 0)
        code = settle(&bout);
    ab->wall_ns = prony_now_ns() - bout.started_ns;
    ab->status = code == 0 ? PRONY_AB_JUDGED : code == -EINTR ? PRONY_AB_INTERRUPTED : PRONY_AB_FAILED;
    if (code != 0)
        ab->reason = *error;
    return code;
}

static void contest_free(struct prony_ab_contest *contest)
{
    for (unsigned i = 0; i < contest->series_count; i++) {
        free(contest->series[i].benchmark);
        free(contest->series[i].metric);
        free(contest->series[i].value[PRONY_BASE]);
        free(contest->series[i].value[PRONY_HEAD]);
        free(contest->series[i].d);
    }
    free(contest->series);
}

void prony_ab_free(struct prony_ab *ab)
{
    contest_free(&ab->main);
    contest_free(&ab->null);
    contest_free(&ab->fresh);
    free(ab->verdict);
    free(ab->sequence);
    memset(ab, 0, sizeof *ab);
}

unsigned prony_ab_count(const struct prony_ab *ab, enum prony_verdict verdict)
{
    unsigned n = 0;
    for (unsigned i = 0; ab->verdict != NULL && i < ab->main.series_count; i++)
        n += ab->main.series[i].primary && ab->verdict[i] == verdict;
    return n;
}
