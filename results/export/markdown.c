/* The report as Markdown: what a pull request or a wiki shows. */
#include "results/beside.h"
#include "results/messages.h"
#include "results/roofline.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Text inside a table cell: bars and line ends would break it, tags would be taken for HTML. */
static void cell_say(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            (void)fputs("\\|", out);
        else if (*text == '<')
            (void)fputs("&lt;", out);
        else
            (void)fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out);
    }
}

static void percent_say(FILE *out, const struct prony_figure *time)
{
    char low[32], high[32];
    if (isnan(time->low))
        (void)fputs(" - |", out);
    else
        (void)fprintf(out, " %s to %s |", prony_text_of_ns(time->low, low, sizeof low),
                      prony_text_of_ns(time->high, high, sizeof high));
}

static void row_say(FILE *out, const struct prony_view_cell *cell)
{
    char time[32], rate[96];
    struct prony_figure shown = prony_view_time(cell);
    (void)fputs("| ", out);
    cell_say(out, cell->series);
    (void)fprintf(out, " | %u |", cell->workers);
    if (isnan(cell->time_ns.value)) {
        (void)fputs(" - | - | - | - |", out);
    } else {
        (void)fprintf(out, " %s |", prony_text_of_ns(shown.value, time, sizeof time));
        percent_say(out, &shown);
        (void)fprintf(out, " %s |", prony_view_rate(cell->rate.value, cell->unit, rate, sizeof rate));
        if (isnan(cell->speedup.value))
            (void)fputs(" - |", out);
        else if (isnan(cell->speedup.low))
            (void)fprintf(out, " %.2f |", cell->speedup.value);
        else
            (void)fprintf(out, " %.2f (%.2f to %.2f) |", cell->speedup.value, cell->speedup.low, cell->speedup.high);
    }
    (void)fprintf(out, " %s%s", cell->status, cell->reason[0] != '\0' ? ": " : "");
    cell_say(out, cell->reason);
    if (cell->marked > 0)
        (void)fprintf(out, "; %u of %u visits marked", cell->marked, cell->visits);
    (void)fputs(" |\n", out);
}

static void head_say(FILE *out, const struct prony_report *report, const struct prony_view *view)
{
    const json_t *context = json_object_get(report->root, "context"), *plan = json_object_get(report->root, "plan");
    const char *name = prony_json_string(plan, "name"),
               *model = prony_json_string(json_object_get(context, "cpu"), "model");
    char trouble[160];
    (void)fprintf(out, "# prony: %s\n\n", prony_json_string(plan, "suite"));
    if (name[0] != '\0')
        (void)fprintf(out, "%s  \n", name);
    (void)fprintf(out, "%s, %s, %.0f PUs, kernel %s\n\n", prony_json_string(context, "started"),
                  model[0] != '\0' ? model : "unknown CPU",
                  prony_json_number(json_object_get(context, "topology"), "pus"),
                  prony_json_string(json_object_get(context, "kernel"), "release"));
    if (prony_view_trouble(view, report, trouble, sizeof trouble)[0] != '\0')
        (void)fprintf(out, "> **%s**\n\n", trouble);
}

/* How long tasks waited and ran, where that was asked for. */
static void tasks_say(const struct prony_view *view, FILE *out)
{
    double times[PRONY_VIEW_TIMES], timed;
    bool any = false;
    char text[32];
    for (unsigned i = 0; i < view->count; i++) {
        const struct prony_view_cell *cell = &view->cell[view->order[i]];
        if (!prony_view_task_times(cell, times, &timed))
            continue;
        if (!any)
            (void)fputs("\n## How long tasks waited and ran\n\n| workload | engine | workers | timed | wait p50 | wait "
                        "p99 | longest wait | run p50 | run p99 | longest run |\n| --- | --- | ---: | ---: | ---: | "
                        "---: | ---: | ---: | ---: | ---: |\n",
                        out);
        any = true;
        (void)fputs("| ", out);
        cell_say(out, view->group[cell->group].label);
        (void)fputs(" | ", out);
        cell_say(out, cell->series);
        (void)fprintf(out, " | %u | %.0f |", cell->workers, timed);
        for (unsigned k = 0; k < PRONY_VIEW_TIMES; k++)
            (void)fprintf(out, " %s |", isnan(times[k]) ? "-" : prony_text_of_ns(times[k], text, sizeof text));
        (void)fputs("\n", out);
    }
}

int prony_report_markdown(const struct prony_report *report, FILE *out)
{
    struct prony_view view;
    const json_t *note;
    size_t i;
    char verdict[512], close[1024];
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    head_say(out, report, &view);
    for (unsigned g = 0; g < view.groups; g++)
        if (prony_view_verdict(&view, &view.group[g], verdict, sizeof verdict)[0] != '\0')
            (void)fprintf(out, "- **%s**: %s.\n", view.group[g].label, verdict);
    for (unsigned g = 0; g < view.groups; g++)
        if (prony_view_scaling_say(&view, &view.group[g], false, verdict, sizeof verdict)[0] != '\0')
            (void)fprintf(out, "- **%s**: %s.\n", view.group[g].label, verdict);
    if (prony_roofline_say(&view, close, sizeof close)[0] != '\0')
        (void)fprintf(out, "- **how close to the machine**: %s\n", close);
    for (unsigned g = 0; g < view.groups; g++) {
        (void)fprintf(out, "\n## %s\n\n| engine | workers | time | 95%% interval | rate | speed-up | status |\n",
                      view.group[g].label);
        (void)fputs("| --- | ---: | ---: | ---: | ---: | ---: | --- |\n", out);
        for (unsigned c = 0; c < view.group[g].count; c++)
            row_say(out, prony_view_at(&view, &view.group[g], c));
    }
    prony_markdown_beside(out, &view);
    prony_markdown_messages(out, &view);
    tasks_say(&view, out);
    (void)fputs("\nTime is that of one repetition: the median over visits, with a distribution-free interval.\n", out);
    if (json_array_size(json_object_get(json_object_get(report->root, "plan"), "notes")) > 0)
        (void)fputs("\n## Notes\n\n", out);
    json_array_foreach(json_object_get(json_object_get(report->root, "plan"), "notes"), i, note)(void)
        fprintf(out, "- %s\n", json_string_value(note));
    (void)fprintf(out, "\nRepeat it with:\n\n    %s\n",
                  prony_json_string(json_object_get(report->root, "context"), "repeat"));
    prony_view_free(&view);
    return ferror(out) ? -EIO : 0;
}
