/* Parts of the page: the table of cells, what was not measured, what disturbed the run, the machine. */
#include "results/page/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 60 /* of what disturbed the run; the rest is counted */

void prony_html(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const char *entity = *text == '<'   ? "&lt;"
                             : *text == '>' ? "&gt;"
                             : *text == '&' ? "&amp;"
                             : *text == '"' ? "&quot;"
                                            : NULL;
        if (entity != NULL)
            (void)fputs(entity, out);
        else
            (void)fputc(*text, out);
    }
}

/* A number cell: what is sorted by, and what is read. */
static void number_open(FILE *out, double value)
{
    if (isfinite(value))
        (void)fprintf(out, "<td class=n data-v=\"%.9g\">", value);
    else
        (void)fputs("<td class=n data-v=\"\">", out);
}

static void time_cell(FILE *out, const struct prony_figure *time)
{
    char text[32], low[32], high[32];
    number_open(out, time->value);
    if (isfinite(time->value))
        (void)fputs(prony_text_of_ns(time->value, text, sizeof text), out);
    if (isfinite(time->low))
        (void)fprintf(out, "<br><small>%s to %s</small>", prony_text_of_ns(time->low, low, sizeof low),
                      prony_text_of_ns(time->high, high, sizeof high));
    (void)fputs("</td>", out);
}

static void speedup_cell(FILE *out, const struct prony_figure *speedup)
{
    number_open(out, speedup->value);
    if (isfinite(speedup->value))
        (void)fprintf(out, speedup->value < 0.1 ? "%.2g" : "%.2f", speedup->value);
    if (isfinite(speedup->low))
        (void)fprintf(out, speedup->low < 0.1 ? "<br><small>%.2g to %.2g</small>" : "<br><small>%.2f to %.2f</small>",
                      speedup->low, speedup->high);
    (void)fputs("</td>", out);
}

/* How many visits are marked, and what the median would be with or without them. */
static void marked_say(FILE *out, const struct prony_view_cell *cell)
{
    const json_t *stats = json_object_get(cell->json, "stats");
    bool used = json_is_true(json_object_get(stats, "marked_used"));
    const json_t *other = json_object_get(json_object_get(stats, "summaries"), used ? "clean" : "all");
    double median = prony_json_number(other, "median") / prony_view_by(cell);
    char text[32];
    (void)fprintf(out, "<br><small>%u marked", cell->marked);
    if (isfinite(median))
        (void)fprintf(out, "; %s %s", used ? "without" : "with all", prony_text_of_ns(median, text, sizeof text));
    (void)fputs("</small>", out);
}

static void cell_row(FILE *out, const struct prony_view *view, const struct prony_view_cell *cell, bool speedups)
{
    static const char *const points[] = {"p50", "p99"};
    struct prony_figure shown = prony_view_time(cell);
    char text[96];
    (void)fputs("<tr><td class=label>", out);
    prony_html(out, view->group[cell->group].label);
    (void)fputs("</td><td class=label>", out);
    prony_html(out, cell->series);
    if (cell->baseline)
        (void)fputs(" <small>(baseline)</small>", out);
    (void)fprintf(out, "</td><td class=n data-v=\"%u\">%u</td>", cell->workers, cell->workers);
    time_cell(out, &shown);
    number_open(out, cell->rate.value);
    if (isfinite(cell->rate.value))
        prony_html(out, prony_view_rate(cell->rate.value, cell->unit, text, sizeof text));
    (void)fputs("</td>", out);
    if (speedups)
        speedup_cell(out, &cell->speedup);
    for (size_t p = 0; p < 2; p++) {
        double value = prony_json_number(json_object_get(cell->json, "latency"), points[p]);
        number_open(out, value);
        (void)fprintf(out, "%s</td>", isfinite(value) ? prony_text_of_ns(value, text, sizeof text) : "");
    }
    (void)fprintf(out, "<td class=n data-v=\"%u\">%u", cell->visits, cell->visits);
    if (cell->marked > 0)
        marked_say(out, cell);
    (void)fputs("</td><td class=", out);
    prony_html(out, cell->status[0] != '\0' && strpbrk(cell->status, " \"'>") == NULL ? cell->status : "failed");
    (void)fputc('>', out);
    prony_html(out, cell->status);
    (void)fputs("</td></tr>\n", out);
}

void prony_page_cells(FILE *out, const struct prony_view *view)
{
    bool speedups = false;
    for (unsigned i = 0; i < view->count; i++)
        speedups = speedups || isfinite(view->cell[i].speedup.value);
    (void)fprintf(out,
                  "<h2 id=cells>All cells</h2>\n<p>Select a heading to sort. Times are those of one repetition, and of "
                  "one message or round trip where messages are sent.</p>\n"
                  "<input class=find type=search placeholder=\"Find cells\" aria-label=\"Find cells\" hidden>\n"
                  "<div class=scroll><table class=sorts><thead><tr><th>workload</th><th>engine</th>"
                  "<th class=n>workers</th><th class=n>time</th><th class=n>rate</th>%s<th class=n>p50</th>"
                  "<th class=n>p99</th><th class=n>visits</th><th>status</th></tr></thead><tbody>\n",
                  speedups ? "<th class=n>speed-up</th>" : "");
    for (unsigned i = 0; i < view->count; i++)
        cell_row(out, view, &view->cell[view->order[i]], speedups);
    (void)fputs("</tbody></table></div>\n", out);
}

/* How long tasks waited and ran, in the cells that were asked for it. */
void prony_page_task_times(FILE *out, const struct prony_view *view)
{
    double times[PRONY_VIEW_TIMES], timed;
    char text[32];
    bool any = false;
    for (unsigned i = 0; i < view->count; i++) {
        const struct prony_view_cell *cell = &view->cell[view->order[i]];
        if (!prony_view_task_times(cell, times, &timed))
            continue;
        if (!any)
            (void)fputs(
                "<h2 id=tasks>How long tasks waited and ran</h2>\n<p>Of submitted tasks, of the last repetition "
                "of each sample. Reading the clock costs time, so rates of these cells are not to be compared "
                "with others.</p>\n<div class=scroll><table class=sorts><thead><tr><th>workload</th><th>engine"
                "</th><th class=n>workers</th><th class=n>timed</th><th class=n>wait p50</th><th class=n>wait "
                "p99</th><th class=n>longest wait</th><th class=n>run p50</th><th class=n>run p99</th><th "
                "class=n>longest run</th></tr></thead><tbody>\n",
                out);
        any = true;
        (void)fputs("<tr><td class=label>", out);
        prony_html(out, view->group[cell->group].label);
        (void)fputs("</td><td class=label>", out);
        prony_html(out, cell->series);
        (void)fprintf(out, "</td><td class=n data-v=\"%u\">%u</td>", cell->workers, cell->workers);
        number_open(out, timed);
        (void)fprintf(out, "%.0f</td>", timed);
        for (unsigned k = 0; k < PRONY_VIEW_TIMES; k++) {
            number_open(out, times[k]);
            (void)fprintf(out, "%s</td>", isfinite(times[k]) ? prony_text_of_ns(times[k], text, sizeof text) : "");
        }
        (void)fputs("</tr>\n", out);
    }
    if (any)
        (void)fputs("</tbody></table></div>\n", out);
}

/* Cells that share a status and a reason share a row, so that "needs SMT" is said once. */
static json_t *by_reason(const struct prony_view *view)
{
    json_t *reasons = json_object();
    for (unsigned i = 0; i < view->count && reasons != NULL; i++) {
        const struct prony_view_cell *cell = &view->cell[i];
        char key[320];
        json_t *ids;
        if (cell->ok)
            continue;
        (void)snprintf(key, sizeof key, "%s\n%s", cell->status, cell->reason);
        ids = json_object_get(reasons, key);
        if (ids == NULL) {
            ids = json_array();
            (void)json_object_set_new_nocheck(reasons, key, ids);
        }
        (void)json_array_append_new(ids, prony_json_text(cell->id));
    }
    return reasons;
}

void prony_page_unmeasured(FILE *out, const struct prony_view *view)
{
    json_t *reasons, *ids, *id;
    const char *key;
    size_t i;
    if (view->ok == view->count)
        return;
    reasons = by_reason(view);
    (void)fputs("<h2 id=unmeasured>What was not measured</h2>\n<div "
                "class=scroll><table><thead><tr><th>status</th><th>reason</th>"
                "<th>cells</th></tr></thead><tbody>\n",
                out);
    json_object_foreach(reasons, key, ids)
    {
        const char *reason = strchr(key, '\n');
        (void)fprintf(out, "<tr><td>%.*s</td><td class=why>", (int)(reason - key), key);
        prony_html(out, reason + 1);
        (void)fputs("</td><td class=why>", out);
        json_array_foreach(ids, i, id)
        {
            if (i == 6) {
                (void)fprintf(out, " and %zu more", json_array_size(ids) - i);
                break;
            }
            (void)fputs(i > 0 ? ", <code>" : "<code>", out);
            prony_html(out, json_string_value(id) != NULL ? json_string_value(id) : "");
            (void)fputs("</code>", out);
        }
        (void)fputs("</td></tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n", out);
    json_decref(reasons);
}

/* The range of a pulse over all visits. */
static void pulse_say(FILE *out, const struct prony_view *view, const char *key, const char *name)
{
    double least = INFINITY, most = 0;
    char low[32], high[32];
    for (unsigned i = 0; i < view->count; i++) {
        const json_t *visit;
        size_t v;
        json_array_foreach(json_object_get(view->cell[i].json, "visits"), v, visit)
        {
            const json_t *seen = json_object_get(visit, "disturbed");
            double before = prony_json_number(json_object_get(seen, "before"), key);
            double after = prony_json_number(json_object_get(seen, "after"), key);
            least = fmin(least, fmin(before, after)); /* fmin and fmax pass over NaN */
            most = fmax(most, fmax(before, after));
        }
    }
    if (most > 0)
        (void)fprintf(out, "<p>%s took from %s to %s during the run.</p>\n", name,
                      prony_text_of_ns(least, low, sizeof low), prony_text_of_ns(most, high, sizeof high));
}

static void marked_rows(FILE *out, const struct prony_view *view)
{
    unsigned said = 0;
    (void)fputs("<div class=scroll><table><thead><tr><th>cell</th><th class=n>block</th><th>what was seen</th><th "
                "class=n>stolen</th>"
                "<th class=n>switches</th><th class=n>migrations</th></tr></thead><tbody>\n",
                out);
    for (unsigned i = 0; i < view->count && said < ROWS_MAX; i++) {
        const json_t *visit;
        size_t v;
        json_array_foreach(json_object_get(view->cell[i].json, "visits"), v, visit)
        {
            const json_t *seen = json_object_get(visit, "disturbed");
            char text[32];
            if (!json_is_true(json_object_get(seen, "marked")) || said++ >= ROWS_MAX)
                continue;
            (void)fputs("<tr><td><code>", out);
            prony_html(out, view->cell[i].id);
            (void)fprintf(out, "</code></td><td class=n>%.0f</td><td class=why>", prony_json_number(visit, "block"));
            prony_html(out, prony_json_string(seen, "why"));
            (void)fprintf(out, "</td><td class=n>%s</td><td class=n>%.0f</td><td class=n>%.0f</td></tr>\n",
                          prony_text_of_ns(prony_json_number(seen, "steal_ns"), text, sizeof text),
                          prony_json_number(seen, "involuntary"), prony_json_number(seen, "migrations"));
        }
    }
    (void)fputs("</tbody></table></div>\n", out);
    if (view->marked_visits > ROWS_MAX)
        (void)fprintf(out, "<p>The first %u of %u marked visits; all are in report.json.</p>\n", ROWS_MAX,
                      view->marked_visits);
}

/* Cells whose warm-up did not end in a level that lasts, by what their samples did instead. */
static void courses_say(FILE *out, const struct prony_view *view)
{
    static const char *const courses[][2] = {
        {"slowing", "became slower than they had been, and stayed so"},
        {"never steady", "found no lasting level before the warm-up's limit"},
        {"too few", "were too long for enough of them to tell"},
    };
    for (size_t c = 0; c < sizeof courses / sizeof courses[0]; c++) {
        unsigned n = 0;
        for (unsigned i = 0; i < view->count; i++) {
            const json_t *warm = json_object_get(view->cell[i].json, "warm");
            if (strcmp(prony_json_string(warm, "course"), courses[c][0]) != 0)
                continue;
            (void)fputs(n == 0 ? "<p>Warm-up, " : n < 8 ? ", " : "", out);
            if (n == 0)
                (void)fprintf(out, "%s (samples that %s): ", courses[c][0], courses[c][1]);
            if (n++ < 8)
                prony_html(out, view->cell[i].id);
        }
        if (n > 0)
            (void)fprintf(out, n > 8 ? " and %u more.</p>\n" : ".</p>\n", n - 8);
    }
}

void prony_page_disturbed(FILE *out, const struct prony_report *report, const struct prony_view *view)
{
    const json_t *note, *notes = json_object_get(json_object_get(report->root, "plan"), "notes");
    size_t i;
    (void)fputs("<h2 id=disturbed>What disturbed the run</h2>\n", out);
    if (view->marked_visits == 0)
        (void)fprintf(out, "<p>Nothing that was looked for: none of %u visits is marked.</p>\n", view->visits);
    else
        (void)fprintf(out,
                      "<p>%u of %u visits are marked: the machine's own pulse moved by more than 25%% around them. "
                      "Where at least 6 others remain, marked visits are left out of a cell's figures; they stay in "
                      "report.json.</p>\n",
                      view->marked_visits, view->visits);
    courses_say(out, view);
    pulse_say(out, view, "line_ns", "Handing a cache line to another core and back");
    pulse_say(out, view, "compute_ns", "A short fixed computation");
    if (view->marked_visits > 0)
        marked_rows(out, view);
    if (json_array_size(notes) > 0)
        (void)fputs("<ul>\n", out);
    json_array_foreach(notes, i, note)
    {
        (void)fputs("<li>", out);
        prony_html(out, json_string_value(note) != NULL ? json_string_value(note) : "");
        (void)fputs("</li>\n", out);
    }
    if (json_array_size(notes) > 0)
        (void)fputs("</ul>\n", out);
}

/* A line of the list of facts; nothing for null and empty ones. */
static void fact(FILE *out, const char *name, const json_t *value)
{
    char *dumped = NULL;
    const char *text = json_string_value(value);
    if (value == NULL || json_is_null(value) || (text != NULL && text[0] == '\0'))
        return;
    if (text == NULL)
        dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    (void)fputs("<dt>", out);
    prony_html(out, name);
    (void)fputs("</dt><dd>", out);
    prony_html(out, text != NULL             ? text
                    : json_is_boolean(value) ? json_is_true(value) ? "yes" : "no"
                    : dumped != NULL         ? dumped
                                             : "");
    (void)fputs("</dd>\n", out);
    free(dumped);
}

static void facts(FILE *out, const char *heading, const json_t *object)
{
    const char *key;
    json_t *value;
    char name[96];
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (json_is_object(value) || json_is_array(value))
            continue;
        (void)snprintf(name, sizeof name, "%s%s%s", heading, heading[0] != '\0' ? " " : "", key);
        for (char *at = name; *at != '\0'; at++)
            *at = *at == '_' ? ' ' : *at;
        fact(out, name, value);
    }
}

void prony_page_context(FILE *out, const struct prony_report *report)
{
    static const char *const parts[][2] = {
        {"cpu", "CPU"},       {"clocks", "clock"},           {"smt", "SMT"},
        {"limits", "limit"},  {"virtualisation", "virtual"}, {"topology", "topology"},
        {"kernel", "kernel"}, {"system", "system"}};
    const json_t *context = json_object_get(report->root, "context"), *tool = json_object_get(report->root, "tool");
    (void)fputs("<h2 id=machine>Machine and method</h2>\n<details><summary>The plan</summary><dl>\n", out);
    facts(out, "", json_object_get(report->root, "plan"));
    facts(out, "counters", json_object_get(json_object_get(report->root, "plan"), "counters"));
    (void)fputs("</dl></details>\n<details><summary>The machine</summary><dl>\n", out);
    facts(out, "", context);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        facts(out, parts[i][1], json_object_get(context, parts[i][0]));
    (void)fputs("</dl></details>\n<details><summary>Mitigations of processor flaws</summary><dl>\n", out);
    facts(out, "", json_object_get(context, "mitigations"));
    (void)fputs("</dl></details>\n<details><summary>Versions</summary><dl>\n", out);
    facts(out, "", tool);
    facts(out, "", json_object_get(tool, "libraries"));
    (void)fputs("</dl></details>\n", out);
}
