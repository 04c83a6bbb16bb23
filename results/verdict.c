/* What the figures say, in words. */
#include "results/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAID_MAX 6 /* names in one sentence */

const char *prony_view_rate(double rate, const char *unit, char *text, size_t bytes)
{
    char number[32];
    const char *plural = unit[0] == '\0' || unit[strlen(unit) - 1] == 's' ? "" : "s";
    (void)prony_text_of_count(rate, number, sizeof number);
    (void)snprintf(text, bytes, "%s %s%s/s", number, unit[0] == '\0' ? "items" : unit, plural);
    return text;
}

unsigned prony_view_race(const struct prony_view *view, const struct prony_view_group *group,
                         const struct prony_view_cell **racers, unsigned room)
{
    json_t *seen = json_object();
    unsigned n = 0;
    for (unsigned i = 0; i < group->count && n < room && seen != NULL; i++) {
        const struct prony_view_cell *cell = prony_view_at(view, group, i);
        if (!cell->ok || cell->dry || isnan(cell->rate.value) || json_object_get(seen, cell->series) != NULL)
            continue;
        (void)json_object_set_new_nocheck(seen, cell->series, json_true());
        racers[n++] = cell; /* the order is by falling rate: the first of a series is its best */
    }
    json_decref(seen);
    return n;
}

static void names_say(FILE *out, const struct prony_view_cell *const *cells, unsigned n)
{
    for (unsigned i = 0; i < n && i < SAID_MAX; i++)
        (void)fprintf(out, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", cells[i]->series);
    if (n > SAID_MAX)
        (void)fprintf(out, " and %u more", n - SAID_MAX);
}

static void times_serial(FILE *out, const struct prony_view_cell *cell)
{
    if (!isnan(cell->speedup.value) && strcmp(cell->engine, "serial") != 0)
        (void)fprintf(out, ", %.2f times serial", cell->speedup.value);
}

unsigned prony_view_tied(const struct prony_view_cell **racers, unsigned n)
{
    unsigned tied = 1;
    for (unsigned i = 1; i < n; i++) {
        const struct prony_view_cell *racer = racers[i];
        if (racers[0]->rate.low > racer->rate.high)
            continue;
        memmove(&racers[tied + 1], &racers[tied], (i - tied) * sizeof *racers);
        racers[tied++] = racer;
    }
    return tied;
}

static void sentence(FILE *out, const struct prony_view_group *group, const struct prony_view_cell **racers, unsigned n)
{
    const struct prony_view_cell *best = racers[0];
    char rate[96], rival[96];
    unsigned tied = prony_view_tied(racers, n);
    (void)prony_view_rate(best->rate.value, group->unit, rate, sizeof rate);
    if (n == 1) {
        (void)fprintf(out, "%s alone was measured: %s with %u worker%s", best->series, rate, best->workers,
                      best->workers == 1 ? "" : "s");
        times_serial(out, best);
    } else if (isnan(best->rate.low) || (tied > 1 && isnan(racers[1]->rate.low))) {
        (void)fprintf(out, "no winner is named: an interval needs 6 visits. %s came first with %s", best->series, rate);
    } else if (tied == 1) {
        (void)fprintf(out, "%s is fastest: %s with %u worker%s", best->series, rate, best->workers,
                      best->workers == 1 ? "" : "s");
        times_serial(out, best);
        (void)fprintf(out, "; next is %s with %s", racers[1]->series,
                      prony_view_rate(racers[1]->rate.value, group->unit, rival, sizeof rival));
    } else {
        (void)fputs("no winner: ", out);
        names_say(out, racers, tied);
        (void)fprintf(out, " cannot be told apart (around %s", rate);
        times_serial(out, best);
        (void)fputc(')', out);
    }
}

const char *prony_view_verdict(const struct prony_view *view, const struct prony_view_group *group, char *text,
                               size_t bytes)
{
    const struct prony_view_cell **racers = malloc((group->count + 1u) * sizeof *racers);
    bool peak = prony_roofline_is_peak(view, (unsigned)(group - view->group));
    unsigned n = racers == NULL || peak ? 0 : prony_view_race(view, group, racers, group->count);
    FILE *out = n == 0 ? NULL : fmemopen(text, bytes, "w");
    text[0] = '\0';
    if (out != NULL) {
        sentence(out, group, racers, n);
        (void)fclose(out);
        text[bytes - 1] = '\0';
    }
    free(racers);
    return text;
}

const char *prony_view_trouble(const struct prony_view *view, const struct prony_report *report, char *text,
                               size_t bytes)
{
    bool interrupted = json_is_true(json_object_get(json_object_get(report->root, "plan"), "interrupted"));
    size_t used = 0;
    text[0] = '\0';
    if (interrupted || view->interrupted > 0)
        used = (size_t)snprintf(text, bytes, "interrupted: %u of %u cells were measured", view->ok, view->count);
    if (view->failed > 0 && used < bytes)
        (void)snprintf(text + used, bytes - used, "%s%u of %u cells failed", used > 0 ? "; " : "", view->failed,
                       view->count);
    return text;
}
