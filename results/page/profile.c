/* The part of the page about profiles: the summary a cell, then its timeline and flame graph. */
#include "results/profile/profile.h"
#include "results/page/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A drawing of the folder, without its own style: the page's colours hold. */
static bool drawing(FILE *out, const char *folder, const char *stem, const char *kind)
{
    char *path, *svg = NULL, *style, *end;
    size_t bytes;
    bool there = false;
    if (folder == NULL || asprintf(&path, "%s/profile/%s.%s", folder, stem, kind) < 0)
        return false;
    if (prony_json_slurp(path, &svg, &bytes, NULL) == 0 && bytes > PRONY_DRAWING_BYTES)
        (void)fprintf(out, "<p>A drawing of %.1f MB is linked below and not shown here.</p>\n", (double)bytes / 1e6);
    else if (svg != NULL && (style = strstr(svg, "<style>")) != NULL && (end = strstr(style, "</style>")) != NULL) {
        (void)fprintf(out, "<figure><div class=scroll>%.*s%s</div></figure>\n", (int)(style - svg), svg, end + 8);
        there = true;
    }
    free(svg);
    free(path);
    return there;
}

static double sum(const json_t *recorded, const char *key)
{
    const json_t *who;
    double all = 0;
    size_t i;
    json_array_foreach(json_object_get(recorded, "workers"), i, who) all += prony_json_number(who, key);
    return all;
}

static void share(FILE *out, double part, double all)
{
    (void)fprintf(out, "<td class=n data-v=\"%.6g\">%.1f%%</td>", all > 0 ? part / all : 0,
                  all > 0 ? 100 * part / all : 0);
}

static void duration(FILE *out, double ns)
{
    char text[32];
    (void)fprintf(out, "<td class=n>%s</td>", isfinite(ns) ? prony_text_of_ns(ns, text, sizeof text) : "");
}

static void row(FILE *out, const struct prony_view_cell *cell, const json_t *profile)
{
    const json_t *recorded = json_object_get(profile, "recorded");
    double all =
        prony_json_number(recorded, "window_ns") * (double)json_array_size(json_object_get(recorded, "workers"));
    double imbalance = prony_json_number(recorded, "imbalance");
    (void)fputs("<tr><td class=label><code>", out);
    prony_html(out, cell->id);
    (void)fputs("</code></td>", out);
    share(out, sum(recorded, "busy_ns"), all);
    share(out, sum(recorded, "waiting_ns"), all);
    share(out, sum(recorded, "idle_ns"), all);
    share(out, sum(recorded, "overhead_ns"), all);
    (void)fprintf(out, isfinite(imbalance) ? "<td class=n>%.1f%%</td>" : "<td></td>", 100 * imbalance);
    duration(out, prony_json_number(recorded, "critical_path_ns"));
    duration(out, prony_json_number(recorded, "queue_p50_ns"));
    duration(out, prony_json_number(recorded, "queue_p99_ns"));
    (void)fprintf(out, "<td class=n>%.0f</td><td class=n>%.0f</td></tr>\n", prony_json_number(recorded, "tasks"),
                  prony_json_number(recorded, "steals"));
}

static void said(FILE *out, const char *what, const char *why)
{
    if (why[0] == '\0')
        return;
    (void)fprintf(out, "<p>%s: ", what);
    prony_html(out, why);
    (void)fputs("</p>\n", out);
}

static void details(FILE *out, const struct prony_report *report, const struct prony_view_cell *cell,
                    const json_t *profile, bool drawn)
{
    static const char *const links[][2] = {{"trace.json", "trace (ui.perfetto.dev)"},
                                           {"timeline.svg", "timeline"},
                                           {"folded", "folded stacks"},
                                           {"svg", "flame graph"},
                                           {"speedscope.json", "speedscope"}};
    const json_t *recorded = json_object_get(profile, "recorded"), *sampled = json_object_get(profile, "sampled");
    const char *stem = prony_json_string(profile, "files");
    char window[32];
    (void)fprintf(out, "<details%s><summary>", drawn ? " open" : "");
    prony_html(out, cell->id);
    (void)fprintf(
        out,
        "</summary>\n<p>%.0f repetitions in %s, %.0f notes at %.0f ns each, %.0f overwritten. %.0f stacks, one "
        "every %.3g ms of a worker's own time, %.0f dropped.</p>\n",
        prony_json_number(recorded, "repeats"),
        prony_text_of_ns(prony_json_number(recorded, "window_ns"), window, sizeof window),
        prony_json_number(recorded, "notes"), prony_json_number(recorded, "note_ns"),
        prony_json_number(recorded, "overwritten"), prony_json_number(sampled, "samples"),
        prony_json_number(sampled, "period_ns") / 1e6, prony_json_number(sampled, "dropped"));
    said(out, "The sampled part", prony_json_string(sampled, "reason"));
    said(out, "No files", prony_json_string(profile, "files_reason"));
    if (stem[0] != '\0') {
        if (drawn) {
            (void)drawing(out, report->folder, stem, "timeline.svg");
            (void)drawing(out, report->folder, stem, "svg");
        }
        (void)fputs("<figcaption>", out);
        for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
            if (i >= 2 && !(prony_json_number(sampled, "samples") > 0))
                break;
            (void)fputs("<a href=\"profile/", out);
            prony_html(out, stem);
            (void)fprintf(out, ".%s\">%s</a> ", links[i][0], links[i][1]);
        }
        (void)fputs("</figcaption>\n", out);
    }
    (void)fputs("</details>\n", out);
}

static const char intro[] =
    "<h2 id=profile>Profile</h2>\n"
    "<p>Of one more visit to each cell, after those that were measured, in a process of its own: noting and sampling "
    "cost time, so figures above never contain them and figures here always do. First every task is noted, then others "
    "are run and the workers' stacks sampled.</p>\n"
    "<dl class=read>"
    "<dt>Busy, waiting</dt><dd>Workers in tasks; workers in tasks that wait for kids, peers, locks or messages.</dd>"
    "<dt>Idle</dt><dd>Before a worker's first task, after its last, and asleep.</dd>"
    "<dt>Overhead</dt><dd>Between two tasks of a worker and not asleep: finding the next one.</dd>"
    "<dt>Imbalance</dt><dd>How much longer than the mean the busiest worker was busy.</dd>"
    "<dt>Critical path</dt><dd>The longest chain of tasks from parent to kid: no number of workers makes it "
    "shorter.</dd>"
    "<dt>Queue wait</dt><dd>From handing a task over to its beginning; chunks of a map are not queued.</dd></dl>\n"
    "<div class=scroll><table><thead><tr><th>cell</th><th class=n>busy</th><th class=n>waiting</th><th "
    "class=n>idle</th>"
    "<th class=n>overhead</th><th class=n>imbalance</th><th class=n>critical path</th><th class=n>queue wait</th>"
    "<th class=n>p99</th><th class=n>tasks</th><th class=n>steals</th></tr></thead><tbody>\n";

void prony_page_profile(FILE *out, const struct prony_report *report, const struct prony_view *view)
{
    unsigned shown = 0;
    bool any = false;
    for (unsigned i = 0; i < view->count; i++)
        any |= json_object_get(view->cell[i].json, "profile") != NULL;
    if (!any)
        return;
    (void)fputs(intro, out);
    for (unsigned i = 0; i < view->count; i++) {
        const json_t *profile = json_object_get(view->cell[view->order[i]].json, "profile");
        if (json_is_true(json_object_get(profile, "taken")))
            row(out, &view->cell[view->order[i]], profile);
    }
    (void)fputs("</tbody></table></div>\n", out);
    for (unsigned i = 0; i < view->count; i++) {
        const struct prony_view_cell *cell = &view->cell[view->order[i]];
        const json_t *profile = json_object_get(cell->json, "profile");
        if (profile != NULL && !json_is_true(json_object_get(profile, "taken")))
            said(out, cell->id, prony_json_string(profile, "reason"));
        else if (profile != NULL)
            details(out, report, cell, profile, shown++ < PRONY_PROFILES_SHOWN);
    }
    if (shown > PRONY_PROFILES_SHOWN)
        (void)fprintf(out, "<p>The first %d of %u profiles are drawn; the others are linked.</p>\n",
                      PRONY_PROFILES_SHOWN, shown);
}
