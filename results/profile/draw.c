/* The timeline as a drawing: a lane a worker, tasks above, waits thin. At most so many stretches that each can be seen. */
#include "results/profile/profile.h"

#include <errno.h>
#include <string.h>

enum { WIDTH = 1200, LEFT = 110, RIGHT = 16, TOP = 44, LANE = 30, TASK = 20, WAIT = 5 };

/* How far the drawing goes: to where the first stretches that it has room for end. */
static uint64_t span_of(const struct prony_profile *profile, uint32_t *drawn)
{
    uint64_t span = profile->window_ns;
    *drawn = profile->stretches;
    if (profile->stretches > PRONY_TIMELINE_STRETCHES) {
        *drawn = PRONY_TIMELINE_STRETCHES;
        span = profile->stretch[PRONY_TIMELINE_STRETCHES].from_ns;
    }
    return span == 0 ? 1 : span;
}

static double at_x(uint64_t ns, uint64_t span)
{
    double share = (double)ns / (double)span;
    return LEFT + (share > 1 ? 1 : share) * (WIDTH - LEFT - RIGHT);
}

static void axis(FILE *out, uint64_t span, unsigned lanes)
{
    char text[32];
    for (unsigned i = 0; i <= 4; i++) {
        uint64_t ns = span / 4 * i;
        double x = at_x(ns, span);
        (void)fprintf(out,
                      "<path d=\"M%.1f %d V%u\" stroke=\"currentColor\" opacity=\".18\"/><text x=\"%.1f\" y=\"%d\" "
                      "text-anchor=\"%s\">%s</text>\n",
                      x, TOP - 6, TOP + lanes * LANE, x, TOP - 12,
                      i == 0   ? "start"
                      : i == 4 ? "end"
                               : "middle",
                      i == 0 ? "0" : prony_text_of_ns((double)ns, text, sizeof text));
    }
}

static void stretch_draw(FILE *out, const struct prony_stretch *stretch, uint64_t span)
{
    static const char *const waits[PRONY_WAITS] = {
        [PRONY_ON_WORK] = "#b9bfc6", [PRONY_ON_KIDS] = "#8e6bbf", [PRONY_ON_PEERS] = "#c9862b",
        [PRONY_ON_LOCK] = "#cf4a3c", [PRONY_ON_SEND] = "#2e9b8f", [PRONY_ON_RECEIVE] = "#2e9b8f",
        [PRONY_ON_TASKS] = "#b9bfc6"};
    static const char *const tasks[] = {"#3b7dc4", "#5b9bd9"};
    double x = at_x(stretch->from_ns, span), wide = at_x(stretch->to_ns, span) - x;
    unsigned inset = stretch->depth > 8 ? 8 : stretch->depth;
    char took[32], waited[32];
    bool task = stretch->wait < 0;
    double y = TOP + (double)stretch->lane * LANE + (task ? inset : TASK + 2);
    (void)fprintf(out, "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%u\" fill=\"%s\"><title>", x, y,
                  wide < 0.3 ? 0.3 : wide, task ? TASK - inset : WAIT,
                  !task                    ? waits[stretch->wait % PRONY_WAITS]
                  : stretch->thief_of >= 0 ? "#d2691e"
                                           : tasks[stretch->depth % 2]);
    (void)prony_text_of_ns((double)(stretch->to_ns - stretch->from_ns), took, sizeof took);
    if (!task)
        (void)fprintf(out, "wait for %s: %s", prony_wait_name(stretch->wait), took);
    else
        (void)fprintf(out, "item %lld, %u in all: %s", (long long)stretch->lo, stretch->items, took);
    if (task && stretch->queued_ns != UINT64_MAX)
        (void)fprintf(out, ", queued %s before",
                      prony_text_of_ns((double)(stretch->from_ns - stretch->queued_ns), waited, sizeof waited));
    if (task && stretch->thief_of >= 0)
        (void)fprintf(out, ", stolen from worker %d", stretch->thief_of);
    (void)fputs("</title></rect>\n", out);
}

static void key(FILE *out, unsigned y)
{
    static const struct {
        const char *fill, *text;
    } entries[] = {{"#3b7dc4", "task"},         {"#d2691e", "stolen task"}, {"#b9bfc6", "wait for work or results"},
                   {"#8e6bbf", "for kids"},     {"#c9862b", "for peers"},   {"#cf4a3c", "for a lock"},
                   {"#2e9b8f", "for a message"}};
    unsigned x = LEFT;
    for (unsigned i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        (void)fprintf(
            out, "<rect x=\"%u\" y=\"%u\" width=\"10\" height=\"10\" fill=\"%s\"/><text x=\"%u\" y=\"%u\">%s</text>\n",
            x, y - 9, entries[i].fill, x + 15, y, entries[i].text);
        x += 42 + 7 * (unsigned)strlen(entries[i].text);
    }
}

int prony_timeline_draw(const struct prony_profile *profile, FILE *out)
{
    unsigned workers = profile->workers < PRONY_TIMELINE_LANES ? profile->workers : PRONY_TIMELINE_LANES;
    unsigned lanes = workers + (workers == profile->workers), height = TOP + lanes * LANE + 52;
    uint32_t drawn, hidden = 0;
    uint64_t span = span_of(profile, &drawn);
    (void)fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"prony-timeline\" viewBox=\"0 0 %d %u\" width=\"%d\" "
        "height=\"%u\" role=\"img\">\n<style>svg{background:#fff;color:#1f2328}</style>\n<g "
        "font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"currentColor\">\n",
        WIDTH, height, WIDTH, height);
    axis(out, span, lanes);
    for (unsigned i = 0; i < lanes; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, i == profile->workers ? "caller" : "worker %u", i);
        (void)fprintf(out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%s</text>\n", LEFT - 10, TOP + i * LANE + 15,
                      name);
    }
    for (uint32_t i = 0; i < drawn; i++) {
        if (profile->stretch[i].lane < lanes)
            stretch_draw(out, &profile->stretch[i], span);
        else
            hidden++;
    }
    key(out, height - 30);
    (void)fprintf(out, "<text x=\"%d\" y=\"%u\">", LEFT, height - 10);
    if (drawn < profile->stretches)
        (void)fprintf(out, "the first %u of %u tasks and waits; all are in the trace", drawn, profile->stretches);
    else
        (void)fprintf(out, "all %u tasks and waits of %lld repetitions", drawn, (long long)profile->digest.repeats);
    if (workers < profile->workers)
        (void)fprintf(out, "; the first %u of %u workers (%u of them are not drawn)", workers, profile->workers,
                      hidden);
    if (profile->digest.lost > 0)
        (void)fprintf(out, "; %llu older records were overwritten", (unsigned long long)profile->digest.lost);
    (void)fputs("</text>\n</g>\n</svg>\n", out);
    return ferror(out) ? -EIO : 0;
}
