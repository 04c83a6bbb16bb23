/* The table on stdout after a run. */
#include "results/beside.h"
#include "results/roofline.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pen {
    FILE *out;
    unsigned width;
    const char *bold, *dim, *red, *plain;
};

/* Bytes of a text that fill at most `room` columns, whole UTF-8 characters only. */
static int fitting(const char *text, unsigned room)
{
    unsigned columns = 0;
    int bytes = 0;
    for (; text[bytes] != '\0'; bytes++)
        if (((unsigned char)text[bytes] & 0xC0) != 0x80 && columns++ == room)
            break;
    return bytes;
}

static void interval_say(char *text, size_t bytes, const struct prony_figure *time)
{
    double percent = fmax(time->high - time->value, time->value - time->low) / time->value * 100;
    if (isnan(percent))
        (void)snprintf(text, bytes, "-");
    else
        (void)snprintf(text, bytes, "%.*f%%", percent < 9.95 ? 1 : 0, percent);
}

static void measured_row(const struct pen *pen, const struct prony_view_cell *cell, unsigned name)
{
    char time[32], spread[32], rate[32], speedup[48] = "-";
    const char *flag = cell->marked > 0 ? " *" : "";
    struct prony_figure shown = prony_view_time(cell);
    interval_say(spread, sizeof spread, &shown);
    if (!isnan(cell->speedup.value))
        (void)snprintf(speedup, sizeof speedup, cell->speedup.value < 0.1 ? "%.2g" : "%.2f", cell->speedup.value);
    (void)fprintf(pen->out, "  %-*.*s %5u %9s %6s %9s/s %9s%s\n", (int)name, fitting(cell->series, name), cell->series,
                  cell->workers, prony_text_of_ns(shown.value, time, sizeof time), spread,
                  prony_text_of_count(cell->rate.value, rate, sizeof rate), speedup, flag);
}

static void other_row(const struct pen *pen, const struct prony_view_cell *cell, unsigned name)
{
    unsigned used = 2 + name + 1 + 5 + 1 + (unsigned)strlen(cell->status) + 2;
    unsigned room = pen->width > used + 8 ? pen->width - used : 8;
    bool failed = strcmp(cell->status, "failed") == 0;
    int bytes = fitting(cell->reason, room);
    bool cut = cell->reason[bytes] != '\0';
    if (cut)
        bytes = fitting(cell->reason, room - 3);
    (void)fprintf(pen->out, "  %-*.*s %5u %s%s: %.*s%s%s\n", (int)name, fitting(cell->series, name), cell->series,
                  cell->workers, failed ? pen->red : pen->dim, cell->status, bytes, cell->reason, cut ? "..." : "",
                  pen->plain);
}

/* A sentence, broken between words. */
static void wrapped(const struct pen *pen, const char *text)
{
    (void)fputs(pen->dim, pen->out);
    while (*text != '\0') {
        int bytes = fitting(text, pen->width - 2);
        while (text[bytes] != '\0' && bytes > 0 && text[bytes] != ' ')
            bytes--;
        if (bytes == 0) /* one word is wider than the terminal */
            bytes = (int)strlen(text);
        (void)fprintf(pen->out, "  %.*s\n", bytes, text);
        text += bytes + strspn(text + bytes, " ");
    }
    (void)fputs(pen->plain, pen->out);
}

static void group_say(const struct pen *pen, const struct prony_view *view, const struct prony_view_group *group,
                      unsigned name)
{
    char verdict[512];
    const json_t *first = prony_view_at(view, group, 0)->json;
    const char *by = json_is_object(json_object_get(first, "wire")) ? ", each " : ", by ";
    (void)fprintf(pen->out, "%s%s%s%s%s%s%s\n", pen->bold, group->label, pen->plain, pen->dim,
                  group->unit[0] != '\0' ? by : "", group->unit, pen->plain);
    for (unsigned i = 0; i < group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(view, group, i);
        if (!isnan(cell->time_ns.value) && cell->visits > 0)
            measured_row(pen, cell, name);
        if (!cell->ok)
            other_row(pen, cell, name);
    }
    if (prony_view_verdict(view, group, verdict, sizeof verdict)[0] != '\0')
        wrapped(pen, verdict);
    if (prony_view_scaling_say(view, group, false, verdict, sizeof verdict)[0] != '\0')
        wrapped(pen, verdict);
    (void)fputc('\n', pen->out);
}

/* How close each workload came to the machine, its best engine by number of workers. */
static void roofline_say(const struct pen *pen, const struct prony_view *view)
{
    const struct prony_view_cell **cells = calloc(view->count + 1u, sizeof *cells);
    char text[1024], does[48], ceiling[48];
    unsigned n = cells == NULL ? 0 : prony_roofline_ranked(view, true, cells, view->count);
    if (prony_roofline_say(view, text, sizeof text)[0] != '\0') {
        (void)fprintf(pen->out, "%show close to the machine%s\n", pen->bold, pen->plain);
        for (unsigned i = 0; i < n; i++) {
            const json_t *place = json_object_get(cells[i]->json, "roofline");
            const char *label = view->group[cells[i]->group].label;
            (void)fprintf(pen->out, "  %-*.*s %-*.*s %3u %12s of %12s %6.3g%%\n", 22, fitting(label, 22), label, 8,
                          fitting(cells[i]->series, 8), cells[i]->series, cells[i]->workers,
                          prony_roofline_rate(place, "", does, sizeof does),
                          prony_roofline_rate(place, "ceiling", ceiling, sizeof ceiling),
                          100 * prony_json_number(place, "fraction"));
        }
        wrapped(pen, text);
        (void)fputc('\n', pen->out);
    }
    free(cells);
}

/* Each of Python's engines beside the one of ours that mirrors it. */
static void beside_say(const struct pen *pen, const struct prony_view *view)
{
    struct prony_beside *pairs = calloc(view->count + 1u, sizeof *pairs);
    unsigned n = pairs == NULL ? 0 : prony_beside_pairs(view, pairs, view->count);
    int most, ours = 15;
    char text[256], name[160], value[32], low[32], high[32];
    for (unsigned i = 0; i < n; i++) /* over a channel it is longer than an engine's name */
        ours = (int)strlen(pairs[i].ours->series) > ours ? (int)strlen(pairs[i].ours->series) : ours;
    ours = ours < 26 ? ours : 26;
    most = (pen->width < 100 ? (int)pen->width : 100) - 27 - ours;
    if (n > 0)
        (void)fprintf(pen->out, "%sbeside Python%s\n", pen->bold, pen->plain);
    for (unsigned i = 0; i < n; i++) {
        const struct prony_figure *factor = &pairs[i].python->factor;
        (void)prony_beside_name(view, &pairs[i], name, sizeof name);
        (void)fprintf(pen->out, "  %-*.*s %-*.*s %6s", most, fitting(name, (unsigned)most), name, ours,
                      fitting(pairs[i].ours->series, (unsigned)ours), pairs[i].ours->series,
                      prony_beside_factor(factor->value, value, sizeof value));
        if (isfinite(factor->low))
            (void)fprintf(pen->out, "  %s to %s", prony_beside_factor(factor->low, low, sizeof low),
                          prony_beside_factor(factor->high, high, sizeof high));
        (void)fputc('\n', pen->out);
    }
    if (n > 0) {
        wrapped(pen, prony_beside_say(view, text, sizeof text));
        (void)fputc('\n', pen->out);
    }
    free(pairs);
}

static void foot_say(const struct pen *pen, const struct prony_report *report, const struct prony_view *view)
{
    char trouble[160], wall[32];
    const json_t *plan = json_object_get(report->root, "plan");
    (void)fprintf(pen->out, "%u cells: %u ok, %u failed, %u skipped, %u interrupted; %s of wall time\n", view->count,
                  view->ok, view->failed, view->skipped, view->interrupted,
                  prony_text_of_ns(prony_json_number(plan, "wall_ns"), wall, sizeof wall));
    if (view->marked_visits > 0)
        (void)fprintf(pen->out, "* the machine's state moved during %u of %u visits; they are marked\n",
                      view->marked_visits, view->visits);
    if (prony_view_trouble(view, report, trouble, sizeof trouble)[0] != '\0')
        (void)fprintf(pen->out, "%s%s%s\n", pen->red, trouble, pen->plain);
}

int prony_report_table(const struct prony_report *report, FILE *out, unsigned width, bool colour)
{
    struct pen pen = {out,
                      width < 60 ? 60 : width,
                      colour ? "\033[1m" : "",
                      colour ? "\033[2m" : "",
                      colour ? "\033[31m" : "",
                      colour ? "\033[0m" : ""};
    struct prony_view view;
    unsigned name = 12, most = pen.width - 52 > 60 ? 60 : pen.width - 52;
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < view.count; i++)
        name = strlen(view.cell[i].series) > name ? (unsigned)strlen(view.cell[i].series) : name;
    name = name > most ? most : name;
    (void)fprintf(out, "%s  %-*s %5s %9s %6s %11s %9s%s\n", pen.dim, (int)name, "", "n", "time", "+-", "rate",
                  "speed-up", pen.plain);
    for (unsigned i = 0; i < view.groups; i++)
        group_say(&pen, &view, &view.group[i], name);
    beside_say(&pen, &view);
    roofline_say(&pen, &view);
    foot_say(&pen, report, &view);
    prony_view_free(&view);
    return ferror(out) ? -EIO : 0;
}
