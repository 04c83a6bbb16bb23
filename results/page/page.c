/* report.html: one file that opens offline, on a phone and in the dark. */
#include "results/page/page.h"
#include "results/messages.h"
#include "results/roofline.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MAX 40 /* verdicts on top; more are said below the table of a large plan */

static void count_item(FILE *out, const char *kind, unsigned n)
{
    if (n > 0)
        (void)fprintf(out, "<li class=%s>%u %s</li>", kind, n, kind);
}

static void head_part(FILE *out, const struct prony_report *report, const struct prony_view *view)
{
    const json_t *context = json_object_get(report->root, "context"), *plan = json_object_get(report->root, "plan");
    const json_t *topology = json_object_get(context, "topology");
    const char *suite = prony_json_string(plan, "suite"), *name = prony_json_string(plan, "name");
    const char *model = prony_json_string(json_object_get(context, "cpu"), "model");
    const char *machine = prony_json_string(json_object_get(context, "virtualisation"), "machine");
    char text[32];
    (void)fputs("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
                "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n<meta name=color-scheme "
                "content=\"light dark\">\n<title>prony: ",
                out);
    prony_html(out, suite);
    (void)fprintf(out,
                  "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<p class=brand>prony, a dynamometer for "
                  "parallel engines</p>\n<h1>",
                  prony_page_css);
    prony_html(out, name[0] != '\0' ? name : suite);
    (void)fputs("</h1>\n<p class=machine>", out);
    prony_html(out, model[0] != '\0' ? model : "unknown CPU");
    if (prony_json_number(topology, "pus") > 0)
        (void)fprintf(out, ", %.0f PUs on %.0f cores", prony_json_number(topology, "pus"),
                      prony_json_number(topology, "cores"));
    if (machine[0] != '\0' && strcmp(machine, "none") != 0) {
        (void)fputs(", a virtual machine (", out);
        prony_html(out, machine);
        (void)fputc(')', out);
    }
    (void)fputs("<br>", out);
    prony_html(out, prony_json_string(context, "started"));
    (void)fputs(", suite ", out);
    prony_html(out, suite);
    (void)fprintf(out, ", %s of wall time</p>\n<ul class=counts>",
                  prony_text_of_ns(prony_json_number(plan, "wall_ns"), text, sizeof text));
    count_item(out, "ok", view->ok);
    count_item(out, "failed", view->failed);
    count_item(out, "skipped", view->skipped);
    count_item(out, "interrupted", view->interrupted);
    (void)fputs("</ul>\n</header>\n", out);
}

static void banners(FILE *out, const struct prony_report *report, const struct prony_view *view)
{
    char trouble[160];
    if (prony_view_trouble(view, report, trouble, sizeof trouble)[0] != '\0')
        (void)fprintf(out,
                      "<p class=banner><strong>%s.</strong> What was measured is below; reasons are under "
                      "<a href=#unmeasured>What was not measured</a>.</p>\n",
                      trouble);
    if (view->marked_visits * 4 > view->visits)
        (void)fprintf(
            out,
            "<p class=\"banner warn\"><strong>The machine was not steady:</strong> %u of %u visits are marked. See "
            "<a href=#disturbed>What disturbed the run</a>.</p>\n",
            view->marked_visits, view->visits);
}

/* A line for each workload whose cells differ in their workers; one for all when no law could be fitted; nothing where
 * there are no such cells. */
static void scaling_part(FILE *out, const struct prony_view *view)
{
    char text[512], reason[512] = "";
    unsigned said = 0, fitted = 0;
    for (unsigned g = 0; g < view->groups; g++) {
        fitted += prony_view_scaling_say(view, &view->group[g], false, text, sizeof text)[0] != '\0';
        if (reason[0] == '\0')
            (void)prony_view_scaling_say(view, &view->group[g], true, reason, sizeof reason);
    }
    if (fitted == 0) {
        (void)fputs(reason[0] != '\0' ? "<h2 id=scaling>Scaling</h2>\n<p class=how>No law of scaling is fitted; " : "",
                    out);
        prony_html(out, reason);
        (void)fputs(reason[0] != '\0' ? ".</p>\n" : "", out);
        return;
    }
    for (unsigned g = 0; g < view->groups && said < SHORT_MAX; g++) {
        if (prony_view_scaling_say(view, &view->group[g], true, text, sizeof text)[0] == '\0')
            continue;
        (void)fputs(said++ == 0 ? "<h2 id=scaling>Scaling</h2>\n<ul class=short>\n<li><b>" : "<li><b>", out);
        prony_html(out, view->group[g].label);
        (void)fputs("</b><span>", out);
        prony_html(out, text);
        (void)fputs(".</span></li>\n", out);
    }
    if (said > 0)
        (void)fputs("</ul>\n", out);
}

static void short_part(FILE *out, const struct prony_view *view)
{
    char verdict[512], advice[1536];
    unsigned said = 0, more = 0;
    (void)fputs("<h2>In short</h2>\n", out);
    if (prony_view_advice(view, advice, sizeof advice)[0] != '\0') {
        (void)fputs("<p class=advice>", out);
        prony_html(out, advice);
        (void)fputs("</p>\n", out);
    }
    (void)fputs("<ul class=short>\n", out);
    for (unsigned g = 0; g < view->groups; g++) {
        if (prony_view_verdict(view, &view->group[g], verdict, sizeof verdict)[0] == '\0')
            continue;
        if (said++ >= SHORT_MAX) {
            more++;
            continue;
        }
        (void)fputs("<li><b>", out);
        prony_html(out, view->group[g].label);
        (void)fputs("</b><span>", out);
        prony_html(out, verdict);
        (void)fputs(".</span></li>\n", out);
    }
    if (said == 0 && prony_roofline_ceilings(view) == NULL)
        (void)fputs("<li><b>Nothing was measured</b><span>No cell of this run has figures.</span></li>\n", out);
    (void)fputs("</ul>\n", out);
    if (more > 0)
        (void)fprintf(out, "<p>And %u more workloads, in the table of all cells.</p>\n", more);
}

/* An SVG as it lies in the folder, without the prologue that only a file of its own may have. */
static void plot_inline(FILE *out, const char *folder, const struct prony_plot *plot)
{
    char *path, *svg = NULL;
    const char *start, *style, *end;
    size_t bytes;
    if (asprintf(&path, "%s/%s.svg", folder, plot->name) < 0)
        return;
    if (prony_json_slurp(path, &svg, &bytes, NULL) == 0 && (start = strstr(svg, "<svg")) != NULL) {
        style = strstr(start, "<style>");
        end = style != NULL ? strstr(style, "</style>") : NULL;
        if (end != NULL) /* the page has its own */
            (void)fprintf(out, "%.*s%s", (int)(style - start), start, end + 8);
        else
            (void)fputs(start, out);
    }
    free(svg);
    free(path);
}

static void plots_part(FILE *out, const char *folder, const struct prony_plots *plots)
{
    if (plots->count > 0 || plots->missing[0] != '\0')
        (void)fputs("<h2 id=plots>Plots</h2>\n", out);
    if (plots->missing[0] != '\0') {
        (void)fputs("<p>", out);
        prony_html(out, plots->missing);
        (void)fputs(".</p>\n", out);
    }
    for (unsigned i = 0; i < plots->count; i++) {
        const struct prony_plot *plot = &plots->plot[i];
        if (i == 0 || plot->kind != plots->plot[i - 1].kind) { /* one explanation for all of a kind */
            (void)fputs(i > 0 ? "</div>\n<p class=caption>" : "<p class=caption>", out);
            prony_html(out, plot->caption);
            (void)fputs("</p>\n<div class=plots>\n", out);
        }
        (void)fputs("<figure><div class=scroll>", out);
        plot_inline(out, folder, plot);
        (void)fprintf(out,
                      "</div><figcaption><a href=\"plots/%s.svg\">SVG</a> <a href=\"plots/%s.gp\">gnuplot script</a> "
                      "<a href=\"plots/%s.dat\">data</a></figcaption></figure>\n",
                      plot->name, plot->name, plot->name);
    }
    if (plots->count > 0)
        (void)fputs("</div>\n", out);
}

static const char reading[] =
    "<h2 id=read>How to read this</h2>\n"
    "<dl class=read>\n"
    "<dt>Cell</dt><dd>One engine under one workload, with a number of workers, a placement and parameters.</dd>\n"
    "<dt>Visit</dt><dd>One stay at a cell: it is warmed again, then timed a few times. Cells take turns in random "
    "order, so that a slow minute of the machine strikes them all alike. Figures are medians over visits, because "
    "samples of one visit resemble each other.</dd>\n"
    "<dt>Time and rate</dt><dd>Time is that of one repetition of the workload, and of one message or round trip where "
    "messages are sent; rate is items a second. Below the time stands its 95% interval, which assumes nothing about "
    "how the times are distributed.</dd>\n"
    "<dt>No winner</dt><dd>Where the intervals of two engines overlap, this run cannot tell them apart. More visits "
    "(<code>--visits</code>) make intervals narrower.</dd>\n"
    "<dt>Speed-up</dt><dd>How many times faster than the serial engine on the same work, compared within blocks of "
    "visits. Efficiency is that divided by the workers.</dd>\n"
    "<dt>Beside Python</dt><dd>How many times as fast as one of CPython's pools the engine of ours is that mirrors it, "
    "with as many workers on the same work: thread for ThreadPoolExecutor, futures-process for ProcessPoolExecutor, "
    "fork for Pool; futures-thread and fork in place of the first two where those were not run. code=c says that "
    "Python's workers ran prony's kernels, code=python that they ran the same work as Python functions.</dd>\n"
    "<dt>Scaling</dt><dd>Laws fitted to the rates over workers: contention (or the serial share) is what has to be "
    "done by one after another, coherency the cost of keeping all in agreement, the peak where more workers stop "
    "helping. In parentheses 95% intervals. Fewer numbers of workers than a law needs are not fitted.</dd>\n"
    "<dt>How close to the machine</dt><dd>What a cell does against the least of two limits measured in the same run: "
    "the peak of operations, and its operations a byte times the bandwidth of the level that holds its data. A cell "
    "without floating-point operations is held against the bandwidth alone. More than 100% says that the machine gave "
    "more while the cell was visited than while the peaks were.</dd>\n"
    "<dt>Percentiles</dt><dd>Of single operations, in workloads that time each one; a ping-pong is the full round "
    "trip. Too few operations leave a percentile empty.</dd>\n"
    "<dt>Verified</dt><dd>Every sample's answer was checked against the known one. A wrong answer is a failed "
    "cell.</dd>\n"
    "<dt>Marked visits</dt><dd>Around them the time to hand over a cache line, or to do a fixed computation, moved by "
    "more than 25%: the machine itself had changed.</dd>\n"
    "</dl>\n";

static void repeat_part(FILE *out, const struct prony_report *report)
{
    (void)fputs("<h2 id=repeat>Repeat this run</h2>\n<pre>", out);
    prony_html(out, prony_json_string(json_object_get(report->root, "context"), "repeat"));
    (void)fputs("</pre>\n", out);
}

int prony_report_page(const struct prony_report *report, const char *plots_folder, const struct prony_plots *plots,
                      FILE *out)
{
    struct prony_view view;
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    head_part(out, report, &view);
    (void)fputs("<main>\n", out);
    banners(out, report, &view);
    short_part(out, &view);
    scaling_part(out, &view);
    prony_page_beside(out, &view);
    prony_page_roofline(out, &view);
    plots_part(out, plots_folder, plots);
    prony_page_cells(out, &view);
    prony_page_messages(out, &view);
    prony_page_task_times(out, &view);
    prony_page_profile(out, report, &view);
    prony_page_unmeasured(out, &view);
    prony_page_disturbed(out, report, &view);
    prony_page_doctor(out, report);
    repeat_part(out, report);
    (void)fputs(reading, out);
    prony_page_context(out, report);
    (void)fprintf(
        out,
        "</main>\n<footer>prony %s. All figures with their raw samples are in <a href=report.json>report.json</a>."
        "</footer>\n<script>\n%s</script>\n</body>\n</html>\n",
        prony_json_string(json_object_get(report->root, "tool"), "version"), prony_page_js);
    prony_view_free(&view);
    return ferror(out) ? -EIO : 0;
}
