/* The roofline in words and as a section of the page. */
#include "results/page/page.h"
#include "results/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const json_t *place_of(const struct prony_view_cell *cell)
{
    return json_object_get(cell->json, "roofline");
}

static double fraction_of(const struct prony_view_cell *cell)
{
    return prony_json_number(place_of(cell), "fraction");
}

const char *prony_roofline_rate(const json_t *roofline, const char *key, char *text, size_t bytes)
{
    bool flops = strcmp(prony_json_string(roofline, "unit"), "FLOP/s") == 0;
    double rate = prony_json_number(roofline, key[0] != '\0' ? key : flops ? "flop_per_s" : "bytes_per_s");
    char count[32];
    (void)snprintf(text, bytes, "%s%s", prony_text_of_count(rate, count, sizeof count), flops ? "FLOP/s" : "B/s");
    return text;
}

/* A ceiling by the words of its cell's parameters: "avx512", "l2 copy". */
static const char *name_of(const json_t *ceiling, char *text, size_t bytes)
{
    const char *width = prony_json_string(ceiling, "width");
    bool single = strcmp(prony_json_string(ceiling, "precision"), "float") == 0;
    if (width[0] != '\0')
        (void)snprintf(text, bytes, "%s%s", width, single ? " float" : "");
    else
        (void)snprintf(text, bytes, "%s %s", prony_json_string(ceiling, "level"), prony_json_string(ceiling, "op"));
    return text;
}

const char *prony_roofline_bound(const json_t *roofline, char *text, size_t bytes)
{
    const char *bound = prony_json_string(roofline, "bound");
    (void)snprintf(text, bytes, "%s",
                   strcmp(bound, "compute") == 0     ? "the peak of operations"
                   : strcmp(bound, "bandwidth") == 0 ? prony_json_string(roofline, "level")
                                                     : "");
    return text;
}

static int by_fraction(const void *a, const void *b)
{
    double x = fraction_of(*(const struct prony_view_cell *const *)a),
           y = fraction_of(*(const struct prony_view_cell *const *)b);
    return (x < y) - (x > y);
}

unsigned prony_roofline_ranked(const struct prony_view *view, bool best, const struct prony_view_cell **cells,
                               unsigned room)
{
    unsigned n = 0, kept = 0;
    for (unsigned i = 0; i < view->count && n < room; i++)
        if (isfinite(fraction_of(&view->cell[i])))
            cells[n++] = &view->cell[i];
    qsort(cells, n, sizeof *cells, by_fraction);
    for (unsigned i = 0; i < n; i++) {
        bool known = false;
        for (unsigned k = 0; best && k < kept && !known; k++)
            known = cells[k]->group == cells[i]->group && cells[k]->workers == cells[i]->workers;
        if (!known)
            cells[kept++] = cells[i];
    }
    return kept;
}

/* "One worker does 144 GFLOP/s at most (avx512) and moves 50.5 GB/s from memory (memory read): below 2.84 FLOP a byte it
 * waits for memory." */
static void machine_say(FILE *out, const json_t *ceilings, unsigned workers)
{
    const json_t *peak = prony_roofline_highest(ceilings, "compute", NULL, workers),
                 *memory = prony_roofline_highest(ceilings, "bandwidth", "memory", workers);
    double flops = prony_json_number(peak, "rate"), bytes = prony_json_number(memory, "rate");
    char number[24], text[32], name[64];
    if (peak == NULL && memory == NULL)
        return;
    (void)snprintf(number, sizeof number, workers == 1 ? "One worker" : "%u workers", workers);
    (void)fputs(number, out);
    if (peak != NULL)
        (void)fprintf(out, " can do %sFLOP/s (%s)", prony_text_of_count(flops, text, sizeof text),
                      name_of(peak, name, sizeof name));
    if (memory != NULL)
        (void)fprintf(out, "%s can move %sB/s to or from memory (%s)", peak != NULL ? " and" : "",
                      prony_text_of_count(bytes, text, sizeof text), prony_json_string(memory, "op"));
    if (peak != NULL && memory != NULL)
        (void)fprintf(out, ": below %.3g operations a byte memory is the limit", flops / bytes);
    (void)fputs(". ", out);
}

static void cell_say(FILE *out, const struct prony_view *view, const struct prony_view_cell *cell)
{
    (void)fprintf(out, "%s on %s (%u worker%s) with %.3g%%", view->group[cell->group].label, cell->series,
                  cell->workers, cell->workers == 1 ? "" : "s", 100 * fraction_of(cell));
}

const char *prony_roofline_say(const struct prony_view *view, char *text, size_t bytes)
{
    const json_t *ceilings = prony_roofline_ceilings(view);
    const struct prony_view_cell **cells = calloc(view->count + 1u, sizeof *cells);
    FILE *out = cells == NULL || ceilings == NULL ? NULL : fmemopen(text, bytes, "w");
    unsigned counts[16], n, most;
    text[0] = '\0';
    if (out != NULL) {
        most = prony_roofline_workers(ceilings, counts, 16);
        machine_say(out, ceilings, counts[0]);
        if (most > 1)
            machine_say(out, ceilings, counts[most - 1]);
        n = prony_roofline_ranked(view, true, cells, view->count);
        if (n > 0) {
            (void)fputs("Closest to its limit came ", out);
            cell_say(out, view, cells[0]);
            if (n > 1)
                (void)fputs(", farthest stayed ", out);
            if (n > 1)
                cell_say(out, view, cells[n - 1]);
            (void)fputs(".", out);
        }
        (void)fclose(out);
        text[bytes - 1] = '\0';
        if (text[0] != '\0' && text[strlen(text) - 1] == ' ')
            text[strlen(text) - 1] = '\0';
    }
    free(cells);
    return text;
}

static void rates_part(FILE *out, const json_t *ceilings)
{
    const json_t *ceiling;
    size_t i;
    char text[64];
    (void)fputs("<details><summary>The peaks that were measured</summary><div class=scroll><table class=sorts>"
                "<thead><tr><th>peak</th><th class=n>workers</th><th class=n>rate</th><th>cell</th></tr></thead>"
                "<tbody>\n",
                out);
    json_array_foreach(ceilings, i, ceiling)
    {
        double rate = prony_json_number(ceiling, "rate"), workers = prony_json_number(ceiling, "workers");
        bool flops = strcmp(prony_json_string(ceiling, "kind"), "compute") == 0;
        (void)fputs("<tr><td>", out);
        prony_html(out, name_of(ceiling, text, sizeof text));
        (void)fprintf(out, "</td><td class=n data-v=\"%.0f\">%.0f</td><td class=n data-v=\"%.9g\">", workers, workers,
                      rate);
        (void)fprintf(out, "%s%s</td><td><code>", prony_text_of_count(rate, text, sizeof text),
                      flops ? "FLOP/s" : "B/s");
        prony_html(out, prony_json_string(ceiling, "cell"));
        (void)fputs("</code></td></tr>\n", out);
    }
    (void)fputs("</tbody></table></div></details>\n", out);
}

static void cell_row(FILE *out, const struct prony_view *view, const struct prony_view_cell *cell)
{
    const json_t *place = place_of(cell);
    double intensity = prony_json_number(place, "intensity"), fraction = fraction_of(cell);
    char text[64];
    (void)fputs("<tr><td class=label>", out);
    prony_html(out, view->group[cell->group].label);
    (void)fputs("</td><td class=label>", out);
    prony_html(out, cell->series);
    (void)fprintf(out, "</td><td class=n data-v=\"%u\">%u</td><td class=n data-v=\"%.9g\">", cell->workers,
                  cell->workers, intensity);
    if (intensity > 0)
        (void)fprintf(out, "%.3g", intensity);
    (void)fprintf(out, "</td><td class=n>%s</td>", prony_roofline_rate(place, "", text, sizeof text));
    (void)fprintf(out, "<td class=n>%s</td><td>", prony_roofline_rate(place, "ceiling", text, sizeof text));
    prony_html(out, prony_roofline_bound(place, text, sizeof text));
    (void)fprintf(out, "</td><td class=n data-v=\"%.9g\">%.3g%%</td></tr>\n", fraction, 100 * fraction);
}

/* Cells without a fraction, by the reason. */
static void absent_part(FILE *out, const struct prony_view *view)
{
    json_t *reasons = json_object(), *names, *name;
    const char *why;
    size_t i;
    for (unsigned c = 0; c < view->count; c++) {
        const char *reason = prony_json_string(place_of(&view->cell[c]), "reason");
        const char *label = view->group[view->cell[c].group].label;
        if (reason[0] == '\0')
            continue;
        names = json_object_get(reasons, reason);
        if (names == NULL) {
            names = json_object();
            (void)json_object_set_new_nocheck(reasons, reason, names);
        }
        (void)json_object_set_new_nocheck(names, label, json_true());
    }
    json_object_foreach(reasons, why, names)
    {
        const char *label;
        i = 0;
        (void)fputs("<p class=how>Without a fraction: ", out);
        json_object_foreach(names, label, name)
        {
            (void)fputs(i++ > 0 ? ", " : "", out);
            prony_html(out, label);
        }
        (void)fputs("; ", out);
        prony_html(out, why);
        (void)fputs(".</p>\n", out);
    }
    json_decref(reasons);
}

void prony_page_roofline(FILE *out, const struct prony_view *view)
{
    const json_t *ceilings = prony_roofline_ceilings(view);
    const struct prony_view_cell **cells;
    char text[1024];
    unsigned n;
    if (ceilings == NULL || (cells = calloc(view->count + 1u, sizeof *cells)) == NULL)
        return;
    n = prony_roofline_ranked(view, false, cells, view->count);
    (void)fputs("<h2 id=roofline>How close to the machine</h2>\n<p>", out);
    prony_html(out, prony_roofline_say(view, text, sizeof text));
    (void)fputs("</p>\n", out);
    if (n > 0)
        (void)fputs("<div class=scroll><table class=sorts><thead><tr><th>workload</th><th>engine</th><th class=n>"
                    "workers</th><th class=n>FLOP a byte</th><th class=n>does</th><th class=n>limit</th><th>set by"
                    "</th><th class=n>of it</th></tr></thead><tbody>\n",
                    out);
    for (unsigned i = 0; i < n; i++)
        cell_row(out, view, cells[i]);
    if (n > 0)
        (void)fputs("</tbody></table></div>\n", out);
    absent_part(out, view);
    rates_part(out, ceilings);
    free(cells);
}
