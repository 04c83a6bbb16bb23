/* A history for people and machines: a page with a curve a cell, a list of changes, JSON. */
#include "results/judge/history.h"
#include "results/judge/history_model.h"
#include "results/page/page.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define WIDTH 640
#define HEIGHT 120
#define SIDE 12
#define TOP 10

static const char *report_of(const json_t *root, const json_t *at, const char *key)
{
    return prony_json_string(json_array_get(json_object_get(root, "reports"), (size_t)json_integer_value(at)), key);
}

/* "+12%", with its interval. */
static void change_say(FILE *out, const json_t *change)
{
    if (!json_is_number(json_object_get(change, "ratio"))) {
        (void)fprintf(out, "%s", prony_json_string(change, "verdict"));
        return;
    }
    (void)fprintf(out, "%+.1f%% (%+.1f%% to %+.1f%%)", (prony_json_number(change, "ratio") - 1) * 100,
                  (prony_json_end(change, "ratio_ci95", 0) - 1) * 100,
                  (prony_json_end(change, "ratio_ci95", 1) - 1) * 100);
}

static const json_t *change_at(const json_t *series, const json_t *report)
{
    const json_t *change;
    size_t i;
    json_array_foreach(json_object_get(series, "changes"), i,
                       change) if (json_equal(json_object_get(change, "report"), report)) return change;
    return NULL;
}

struct frame {
    double least, most; /* of time, in ns */
    size_t reports;
};

static double x_of(const struct frame *frame, const json_t *point)
{
    double at = (double)json_integer_value(json_object_get(point, "report"));
    return SIDE + (frame->reports > 1 ? at / (double)(frame->reports - 1) : 0.5) * (WIDTH - 2 * SIDE);
}

static double y_of(const struct frame *frame, double ns)
{
    return TOP +
           (frame->most > frame->least ? (frame->most - ns) / (frame->most - frame->least) : 0.5) * (HEIGHT - 2 * TOP);
}

/* The ends of what is drawn of a point: its interval, or the median alone. */
static void ends_of(const json_t *point, double *low, double *high)
{
    double median = prony_json_number(point, "median");
    *low = fmin(prony_json_end(point, "ci95", 0), median); /* fmin passes over NaN */
    *high = fmax(prony_json_end(point, "ci95", 1), median);
}

static void point_draw(FILE *out, const json_t *root, const json_t *series, const struct frame *frame,
                       const json_t *point)
{
    const json_t *report = json_object_get(point, "report"), *change = change_at(series, report);
    const char *verdict = prony_json_string(change, "verdict"), *name = report_of(root, report, "name");
    double low, high, x = x_of(frame, point);
    char text[32], first[32], last[32];
    const char *colour = strcmp(verdict, "regressed") == 0  ? "var(--bad)"
                         : strcmp(verdict, "improved") == 0 ? "var(--good)"
                         : change != NULL                   ? "var(--warn)"
                                                            : "var(--link)";
    ends_of(point, &low, &high);
    (void)fprintf(out, "<g fill=\"%s\" stroke=\"%s\"><title>", colour, colour);
    prony_html(out, report_of(root, report, "started"));
    (void)fputs(name[0] != '\0' ? ", " : "", out);
    prony_html(out, name);
    (void)fprintf(out, ": %s (%s to %s)", prony_text_of_ns(prony_json_number(point, "median"), text, sizeof text),
                  prony_text_of_ns(low, first, sizeof first), prony_text_of_ns(high, last, sizeof last));
    if (change != NULL) {
        (void)fputs("; ", out);
        change_say(out, change);
    }
    (void)fprintf(out,
                  "</title><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke-width=\"%s\" opacity=\".55\"/>",
                  x, x, y_of(frame, high), y_of(frame, low), change != NULL ? "4" : "3");
    (void)fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" stroke=\"none\"/></g>\n", x,
                  y_of(frame, prony_json_number(point, "median")), change != NULL ? "5.5" : "3");
}

static void curve_draw(FILE *out, const json_t *root, const json_t *series)
{
    const json_t *points = json_object_get(series, "points"), *point;
    struct frame frame = {INFINITY, 0, json_array_size(json_object_get(root, "reports"))};
    size_t i;
    json_array_foreach(points, i, point)
    {
        double low, high;
        ends_of(point, &low, &high);
        frame.least = fmin(frame.least, low);
        frame.most = fmax(frame.most, high);
    }
    (void)fprintf(
        out,
        "<svg class=prony-plot role=img aria-label=\"median time by report\" viewBox=\"0 0 %d %d\">\n<polyline "
        "fill=none stroke=currentColor stroke-opacity=\".35\" points=\"",
        WIDTH, HEIGHT);
    json_array_foreach(points, i, point)(void)
        fprintf(out, "%.1f,%.1f ", x_of(&frame, point), y_of(&frame, prony_json_number(point, "median")));
    (void)fputs("\"/>\n", out);
    json_array_foreach(points, i, point) point_draw(out, root, series, &frame, point);
    (void)fputs("</svg>", out);
}

static void series_say(FILE *out, const json_t *root, const json_t *series)
{
    const json_t *points = json_object_get(series, "points"), *first = json_array_get(points, 0);
    const json_t *last = json_array_get(points, json_array_size(points) - 1);
    double least = INFINITY, most = 0, low, high;
    const json_t *point;
    char text[4][32];
    size_t i;
    json_array_foreach(points, i, point)
    {
        ends_of(point, &low, &high);
        least = fmin(least, low);
        most = fmax(most, high);
    }
    (void)fputs("<figure><b><code>", out);
    prony_html(out, prony_json_string(series, "id"));
    (void)fputs("</code></b>\n", out);
    curve_draw(out, root, series);
    (void)fprintf(
        out,
        "<figcaption>%zu reports; %s at first, %s at last; drawn from %s to %s; %zu changes</figcaption></figure>\n",
        json_array_size(points), prony_text_of_ns(prony_json_number(first, "median"), text[0], sizeof text[0]),
        prony_text_of_ns(prony_json_number(last, "median"), text[1], sizeof text[1]),
        prony_text_of_ns(least, text[2], sizeof text[2]), prony_text_of_ns(most, text[3], sizeof text[3]),
        json_array_size(json_object_get(series, "changes")));
}

/* Calls `say` with every change, those of the newest report first. Returns how many there are. */
static size_t changes_each(const json_t *root, void (*say)(FILE *, const json_t *, const json_t *, const json_t *),
                           FILE *out)
{
    size_t said = 0;
    for (size_t at = json_array_size(json_object_get(root, "reports")); at-- > 0;) {
        const json_t *series;
        size_t i;
        json_array_foreach(json_object_get(root, "cells"), i, series)
        {
            json_t *report = json_integer((json_int_t)at);
            const json_t *change = change_at(series, report);
            json_decref(report);
            if (change == NULL)
                continue;
            say(out, root, series, change);
            said++;
        }
    }
    return said;
}

static void change_row(FILE *out, const json_t *root, const json_t *series, const json_t *change)
{
    const char *verdict = prony_json_string(change, "verdict");
    const json_t *at = json_object_get(change, "report"), *from = json_object_get(change, "from");
    (void)fputs("<tr><td>", out);
    prony_html(out, report_of(root, at, "started"));
    (void)fputs("</td><td class=label><code>", out);
    prony_html(out, prony_json_string(series, "id"));
    (void)fprintf(out, "</code></td><td class=%s>",
                  strcmp(verdict, "regressed") == 0  ? "failed"
                  : strcmp(verdict, "improved") == 0 ? "ok"
                                                     : "skipped");
    prony_html(out, verdict);
    (void)fputs("</td><td class=n>", out);
    if (json_is_number(json_object_get(change, "ratio")))
        change_say(out, change);
    (void)fputs("</td><td class=why>", out);
    prony_html(out, report_of(root, at, "file"));
    (void)fputs("<br>against ", out);
    prony_html(out, report_of(root, from, "file"));
    if (prony_json_string(change, "reason")[0] != '\0') {
        (void)fputs("<br>", out);
        prony_html(out, prony_json_string(change, "reason"));
    }
    (void)fputs("</td></tr>\n", out);
}

static void reports_say(FILE *out, const json_t *root)
{
    const json_t *report;
    size_t i;
    (void)fputs(
        "<h2>Reports</h2>\n<div class=scroll><table><thead><tr><th>started</th><th>suite</th><th>name</th><th>file</th>"
        "</tr></thead><tbody>\n",
        out);
    json_array_foreach(json_object_get(root, "reports"), i, report)
    {
        static const char *const keys[] = {"started", "suite", "name", "file"};
        (void)fputs("<tr>", out);
        for (size_t k = 0; k < 4; k++) {
            (void)fputs(k == 3 ? "<td class=why>" : "<td>", out);
            prony_html(out, prony_json_string(report, keys[k]));
            (void)fputs("</td>", out);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n", out);
    if (json_array_size(json_object_get(root, "left_out")) == 0)
        return;
    (void)fputs("<h2>Left out</h2>\n<ul>\n", out);
    json_array_foreach(json_object_get(root, "left_out"), i, report)
    {
        (void)fputs("<li>", out);
        prony_html(out, prony_json_string(report, "reason"));
        (void)fputs("</li>\n", out);
    }
    (void)fputs("</ul>\n", out);
}

static int page_say(const struct prony_history *history, FILE *out)
{
    const json_t *root = history->root, *series;
    size_t i;
    prony_page_open(out, "history");
    (void)fprintf(
        out,
        "<p>%zu reports, %zu cells. A dot is the median of a cell in one report, the bar its 95%% interval over "
        "visits; reports stand at equal distances.</p>\n<h2>Changes</h2>\n<p>Marked where the 95%% interval of the "
        "ratio to the report at which the present level began lies wholly beyond %g%%. The reports are "
        "unpaired, so what the machine did meanwhile is in the ratios, and of many unchanged cells a few may be "
        "marked by chance.</p>\n<div class=scroll><table class=sorts><thead><tr><th>when</th><th>cell</th>"
        "<th>verdict</th><th class=n>time</th><th>reports</th></tr></thead><tbody>\n",
        json_array_size(json_object_get(root, "reports")), json_array_size(json_object_get(root, "cells")),
        history->margin_percent);
    if (changes_each(root, change_row, out) == 0)
        (void)fputs("<tr><td colspan=5>None that the intervals can tell.</td></tr>\n", out);
    (void)fputs("</tbody></table></div>\n<h2>Cells</h2>\n<div class=plots>\n", out);
    json_array_foreach(json_object_get(root, "cells"), i, series) series_say(out, root, series);
    (void)fputs("</div>\n", out);
    reports_say(out, root);
    prony_page_close(out);
    return 0;
}

static int json_say(const struct prony_history *history, FILE *out)
{
    return prony_json_print(history->root, out);
}

static void change_line(FILE *out, const json_t *root, const json_t *series, const json_t *change)
{
    (void)fprintf(out, "%s  %-11s %s  ", report_of(root, json_object_get(change, "report"), "started"),
                  prony_json_string(change, "verdict"), prony_json_string(series, "id"));
    if (json_is_number(json_object_get(change, "ratio")))
        change_say(out, change);
    else
        (void)fputs(prony_json_string(change, "reason"), out);
    (void)fputc('\n', out);
}

int prony_history_table(const struct prony_history *history, FILE *out)
{
    const json_t *root = history->root, *left;
    size_t i;
    if (changes_each(root, change_line, out) == 0)
        (void)fputs("no change that the intervals can tell\n", out);
    (void)fprintf(out, "\n%zu reports, %zu cells, margin %g%%\n", json_array_size(json_object_get(root, "reports")),
                  json_array_size(json_object_get(root, "cells")), history->margin_percent);
    json_array_foreach(json_object_get(root, "left_out"), i, left)(void)
        fprintf(out, "left out: %s\n", prony_json_string(left, "reason"));
    return ferror(out) ? -EIO : 0;
}

int prony_history_format_check(const char *format, struct prony_error *error)
{
    if (strcmp(format, "html") == 0 || strcmp(format, "json") == 0)
        return 0;
    return prony_fail(error, -EINVAL, "a history is written as html or json, not as %s", format);
}

int prony_history_export(const struct prony_history *history, const char *format, FILE *out, struct prony_error *error)
{
    int code = prony_history_format_check(format, error);
    if (code != 0)
        return code;
    errno = 0;
    code = strcmp(format, "html") == 0 ? page_say(history, out) : json_say(history, out);
    if (fflush(out) != 0 || ferror(out))
        code = errno != 0 ? -errno : -EIO;
    return code == 0 ? 0
                     : prony_fail(error, code, "cannot write the history as %s: %s", format, strerrordesc_np(-code));
}
