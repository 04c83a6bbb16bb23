/* The table of `prony exec`. */
#include "results/exec.h"
#include "results/view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LEAST = 7, NAME_MOST = 25 };

struct pen {
    FILE *out;
    int name; /* columns */
    const char *dim, *red, *plain;
};

/* A mean over the measured launches; the largest for a level. NaN: not counted. */
static double counted(const struct prony_view_cell *cell, const char *event, bool level)
{
    const json_t *counters = json_object_get(cell->json, "counters");
    double value = prony_json_number(json_object_get(json_object_get(counters, "total"), event), "value");
    return level ? value : value / prony_json_number(counters, "samples");
}

static const char *time_say(double ns, char *text, size_t bytes)
{
    if (!isnan(ns))
        return ns < 1 ? "0" : prony_text_of_ns(ns, text, bytes);
    return "-";
}

static unsigned columns(const char *text)
{
    unsigned n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* A name that is too long has a line of its own. */
static void name_say(const struct pen *pen, const struct prony_view_cell *cell)
{
    unsigned wide = columns(cell->series);
    if (wide > (unsigned)pen->name)
        (void)fprintf(pen->out, "%s\n%*s", cell->series, pen->name, "");
    else
        (void)fprintf(pen->out, "%s%*s", cell->series, pen->name - (int)wide, "");
}

/* What was counted from outside, a launch's share; in a line of its own. */
static void counters_say(const struct pen *pen, const struct prony_view_cell *cell)
{
    const json_t *counters = json_object_get(cell->json, "counters"), *event;
    const json_t *events = json_object_get(json_array_get(json_object_get(counters, "workers"), 0), "events");
    const char *name;
    json_object_foreach(json_object_get(counters, "total"), name, event)
    {
        const json_t *own = json_object_get(events, name);
        if (strcmp(prony_json_string(own, "source"), "wait4") == 0)
            continue;
        if (json_is_number(json_object_get(event, "value")))
            (void)fprintf(pen->out, "  %s%s %.6g%s%s\n", pen->dim, name, counted(cell, name, false),
                          strcmp(prony_json_string(event, "status"), "scaled") == 0 ? " (scaled)" : "", pen->plain);
        else
            (void)fprintf(pen->out, "  %s%s: %s: %s%s\n", pen->dim, name, prony_json_string(event, "status"),
                          prony_json_string(event, "reason"), pen->plain);
    }
}

/* fastest: NULL for one that does not race. */
static void row_say(const struct pen *pen, const struct prony_view_cell *cell, const struct prony_view_cell *fastest,
                    char group)
{
    char time[32], user[32], system[32], peak[32] = "-", spread[32] = "-", relative[32] = "";
    const struct prony_figure *ns = &cell->time_ns;
    double half = fmax(ns->high - ns->value, ns->value - ns->low) / ns->value * 100;
    double by = fastest != NULL ? ns->value / fastest->time_ns.value : 1;
    double bytes = counted(cell, "process-memory-peak", true);
    if (!isnan(half))
        (void)snprintf(spread, sizeof spread, "%.*f%%", half < 9.95 ? 1 : 0, half);
    if (!isnan(bytes))
        (void)prony_text_of_bytes(bytes, peak, sizeof peak);
    if (fastest != NULL)
        (void)snprintf(relative, sizeof relative, "%.*f %c", by < 10 ? 2 : by < 100 ? 1 : 0, by, group);
    name_say(pen, cell);
    (void)fprintf(pen->out, " %9s %5s %9s %9s %9s%*s\n", time_say(ns->value, time, sizeof time), spread,
                  time_say(counted(cell, "user-time", false), user, sizeof user),
                  time_say(counted(cell, "system-time", false), system, sizeof system), peak,
                  relative[0] != '\0' ? 8 : 0, relative);
    counters_say(pen, cell);
}

/* The fastest and those like it have the letter a, the next ones b, and so on. */
static bool race_say(const struct pen *pen, const struct prony_view_cell **racers, unsigned n)
{
    bool tie = false;
    char group = 'a';
    for (unsigned first = 0; first < n; group = group < 'z' ? (char)(group + 1) : group) {
        unsigned tied = prony_view_tied(racers + first, n - first);
        for (unsigned i = 0; i < tied; i++)
            row_say(pen, racers[first + i], n > 1 ? racers[0] : NULL, group);
        tie = tie || tied > 1;
        first += tied;
    }
    return tie;
}

static void rest_say(const struct pen *pen, const struct prony_view *view, const struct prony_view_group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(view, group, i);
        bool failed = strcmp(cell->status, "failed") == 0;
        if (cell->ok)
            continue;
        if (!failed && cell->visits > 0)
            row_say(pen, cell, NULL, ' ');
        else
            (void)fprintf(pen->out, "%s\n", cell->series);
        (void)fprintf(pen->out, "  %s%s: %s%s\n", failed ? pen->red : pen->dim, cell->status, cell->reason, pen->plain);
    }
}

static int group_say(const struct pen *pen, const struct prony_view *view, const struct prony_view_group *group)
{
    const struct prony_view_cell **racers = malloc((group->count + 1u) * sizeof *racers);
    unsigned n;
    if (racers == NULL)
        return -ENOMEM;
    n = prony_view_race(view, group, racers, group->count);
    if (race_say(pen, racers, n))
        (void)fprintf(pen->out, "%sthe same letter: cannot be told apart%s%s\n", pen->dim,
                      isnan(racers[0]->time_ns.low) ? " (an interval needs 6 visits)" : "", pen->plain);
    rest_say(pen, view, group);
    free(racers);
    return 0;
}

int prony_exec_table(const struct prony_report *report, FILE *out, bool colour)
{
    struct pen pen = {out, NAME_LEAST, colour ? "\033[2m" : "", colour ? "\033[31m" : "", colour ? "\033[0m" : ""};
    const json_t *plan = json_object_get(report->root, "plan");
    char wall[32];
    struct prony_view view;
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < view.count; i++) {
        int wide = (int)columns(view.cell[i].series);
        pen.name = wide > pen.name ? wide : pen.name;
    }
    pen.name = pen.name > NAME_MOST ? NAME_MOST : pen.name;
    (void)fprintf(out, "%s%-*s %9s %5s %9s %9s %9s%s%s\n", pen.dim, pen.name, "command", "median", "+-", "user",
                  "system", "peak", view.count > 1 ? "   times" : "", pen.plain);
    for (unsigned i = 0; i < view.groups && code == 0; i++)
        code = group_say(&pen, &view, &view.group[i]);
    (void)fprintf(out, "%s%.0f visits of %.0f launches, in random order; +-: the 95%% interval; %s%s\n", pen.dim,
                  prony_json_number(plan, "visits"), prony_json_number(plan, "samples"),
                  prony_text_of_ns(prony_json_number(plan, "wall_ns"), wall, sizeof wall), pen.plain);
    prony_view_free(&view);
    return code != 0 ? code : ferror(out) ? -EIO : 0;
}
