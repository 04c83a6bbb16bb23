/* Python beside ours: in words, as a section of the page and of the Markdown, and as a plot. */
#include "results/beside.h"

#include "results/page.h"
#include "results/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64u /* of the plot */
#define WIDTH 720u
#define ROW_HEIGHT 20u
#define FRAME 110u /* height of title, axis and key */

static const struct prony_view_cell *cell_by_id(const struct prony_view *view, const char *id)
{
    for (unsigned i = 0; i < view->count; i++)
        if (strcmp(view->cell[i].id, id) == 0)
            return &view->cell[i];
    return NULL;
}

unsigned prony_beside_pairs(const struct prony_view *view, struct prony_beside *pairs, unsigned room)
{
    unsigned n = 0;
    for (unsigned i = 0; i < view->count && n < room; i++) {
        const struct prony_view_cell *python = &view->cell[i], *ours;
        if (!isfinite(python->factor.value) || (ours = cell_by_id(view, python->mirror)) == NULL)
            continue;
        pairs[n++] = (struct prony_beside){python, ours};
    }
    return n;
}

const char *prony_beside_name(const struct prony_view *view, const struct prony_beside *pair, char *text, size_t bytes)
{
    (void)snprintf(text, bytes, "%s: %s n=%u", view->group[pair->python->group].label, pair->python->series,
                   pair->python->workers);
    return text;
}

const char *prony_beside_factor(double factor, char *text, size_t bytes)
{
    (void)snprintf(text, bytes, factor >= 999.5 ? "%.0f" : factor < 0.1 ? "%.2g" : "%.3g", factor);
    return text;
}

/* Is ours ahead (1), behind (-1), or can this run not tell (0)? */
static int side(const struct prony_beside *pair)
{
    const struct prony_figure *factor = &pair->python->factor;
    return factor->low > 1 ? 1 : factor->high < 1 ? -1 : 0;
}

const char *prony_beside_say(const struct prony_view *view, char *text, size_t bytes)
{
    struct prony_beside *pairs = calloc(view->count + 1u, sizeof *pairs);
    unsigned n = pairs == NULL ? 0 : prony_beside_pairs(view, pairs, view->count), ahead = 0, behind = 0;
    double least = INFINITY, most = 0;
    char low[32], high[32];
    text[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        ahead += side(&pairs[i]) > 0;
        behind += side(&pairs[i]) < 0;
        least = fmin(least, pairs[i].python->factor.value);
        most = fmax(most, pairs[i].python->factor.value);
    }
    if (n > 0)
        (void)snprintf(
            text, bytes,
            "prony's engines are %s to %s times as fast as Python's that they mirror: ahead in %u of %u pairs, "
            "behind in %u, not told apart in %u",
            prony_beside_factor(least, low, sizeof low), prony_beside_factor(most, high, sizeof high), ahead, n, behind,
            n - ahead - behind);
    free(pairs);
    return text;
}

static void time_cell(FILE *out, const struct prony_view_cell *cell)
{
    char text[32];
    double items = prony_json_number(cell->json, "items");
    double each = cell->time_ns.value / (items > 0 ? items : 1);
    (void)fprintf(out, "<td class=n data-v=\"%.9g\">%s</td>", each, prony_text_of_ns(each, text, sizeof text));
}

static void page_row(FILE *out, const struct prony_view *view, const struct prony_beside *pair)
{
    const struct prony_figure *factor = &pair->python->factor;
    const struct prony_view_group *group = &view->group[pair->python->group];
    const char *const texts[] = {group->label, pair->python->series, pair->ours->series};
    char value[32], low[32], high[32];
    (void)fputs("<tr>", out);
    for (unsigned i = 0; i < 3; i++) {
        (void)fputs("<td class=label>", out);
        prony_html(out, texts[i]);
        (void)fputs(i == 0 ? "<br><small>by " : "</td>", out);
        prony_html(out, i == 0 ? group->unit : "");
        (void)fputs(i == 0 ? "</small></td>" : "", out);
    }
    (void)fprintf(out, "<td class=n data-v=\"%u\">%u</td>", pair->python->workers, pair->python->workers);
    time_cell(out, pair->python);
    time_cell(out, pair->ours);
    (void)fprintf(out, "<td class=n data-v=\"%.9g\">%s", factor->value,
                  prony_beside_factor(factor->value, value, sizeof value));
    if (isfinite(factor->low))
        (void)fprintf(out, "<br><small>%s to %s</small>", prony_beside_factor(factor->low, low, sizeof low),
                      prony_beside_factor(factor->high, high, sizeof high));
    (void)fputs("</td></tr>\n", out);
}

void prony_page_beside(FILE *out, const struct prony_view *view)
{
    struct prony_beside *pairs = calloc(view->count + 1u, sizeof *pairs);
    unsigned n = pairs == NULL ? 0 : prony_beside_pairs(view, pairs, view->count);
    char text[256];
    if (n > 0) {
        (void)fputs("<h2 id=beside>Beside Python</h2>\n<p>", out);
        prony_html(out, prony_beside_say(view, text, sizeof text));
        (void)fputs(".</p>\n<div class=scroll><table class=sorts><thead><tr><th>workload</th><th>Python"
                    "</th><th>ours</th><th class=n>workers</th><th class=n>Python's time</th><th class=n>our time</th>"
                    "<th class=n>factor</th></tr></thead><tbody>\n",
                    out);
    }
    for (unsigned i = 0; i < n; i++)
        page_row(out, view, &pairs[i]);
    if (n > 0)
        (void)fputs(
            "</tbody></table></div>\n<p class=how>Times are those of one unit. The factor is the median of ratios "
            "within blocks of visits, with a 95% interval.</p>\n",
            out);
    free(pairs);
}

void prony_markdown_beside(FILE *out, const struct prony_view *view)
{
    struct prony_beside *pairs = calloc(view->count + 1u, sizeof *pairs);
    unsigned n = pairs == NULL ? 0 : prony_beside_pairs(view, pairs, view->count);
    char name[256], value[32], low[32], high[32];
    if (n > 0)
        (void)fputs("\n## Beside Python\n\n| workload and Python's engine | ours | factor | 95% interval |\n"
                    "| --- | --- | ---: | ---: |\n",
                    out);
    for (unsigned i = 0; i < n; i++) {
        const struct prony_figure *factor = &pairs[i].python->factor;
        (void)fprintf(out, "| %s | %s | %s |", prony_beside_name(view, &pairs[i], name, sizeof name),
                      pairs[i].ours->series, prony_beside_factor(factor->value, value, sizeof value));
        if (isfinite(factor->low))
            (void)fprintf(out, " %s to %s |\n", prony_beside_factor(factor->low, low, sizeof low),
                          prony_beside_factor(factor->high, high, sizeof high));
        else
            (void)fputs(" - |\n", out);
    }
    free(pairs);
}

/* Once a report: with its first group. */
bool prony_draw_beside_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    struct prony_beside first;
    return group == view->group && prony_beside_pairs(view, &first, 1) == 1;
}

/* A row a pair, in the order of the report; colours are Python's engines. */
static void rows_write(const struct prony_drawing *drawing, const struct prony_beside *pairs, unsigned n,
                       const char *engine)
{
    (void)fprintf(drawing->dat, "# %s\n", engine);
    for (unsigned i = 0; i < n; i++) {
        const struct prony_figure *factor = &pairs[i].python->factor;
        if (strcmp(pairs[i].python->engine, engine) != 0)
            continue;
        (void)fprintf(drawing->dat, "%u", i + 1);
        prony_plot_number(drawing->dat, factor->value);
        prony_plot_number(drawing->dat, isfinite(factor->low) ? factor->low : factor->value);
        prony_plot_number(drawing->dat, isfinite(factor->high) ? factor->high : factor->value);
        (void)fprintf(drawing->dat, " # %s\n", pairs[i].python->id);
    }
}

void prony_draw_beside(const struct prony_drawing *drawing)
{
    static const char *const engines[] = {"python-threads", "python-processes", "python-pool"};
    static const char *const colours[] = {"#2b7bba", "#e08a00", "#189e78"};
    static const int marks[] = {7, 5, 9};
    struct prony_beside pairs[ROWS_MAX];
    const unsigned n = prony_beside_pairs(drawing->view, pairs, ROWS_MAX), height = FRAME + ROW_HEIGHT * n;
    unsigned said = 0;
    char name[160];
    (void)fputs("# row factor low high; one block an engine of Python's\n", drawing->dat);
    prony_plot_begin(drawing, WIDTH, height);
    prony_plot_title(drawing, height);
    prony_plot_axis(drawing->gp, "x", "times as fast as Python, logarithmic");
    (void)fputs("set ytics (", drawing->gp);
    for (unsigned i = 0; i < n; i++) {
        const struct prony_view_cell *python = pairs[i].python; /* its colour says the engine, not with which options */
        (void)snprintf(name, sizeof name, "%.60s%.40s, %u", drawing->view->group[python->group].label,
                       python->series + strcspn(python->series, " "), python->workers);
        (void)fputs(i > 0 ? ", " : "", drawing->gp);
        prony_plot_quote(drawing->gp, name, 40);
        (void)fprintf(drawing->gp, " %u", i + 1);
    }
    (void)fprintf(
        drawing->gp,
        ") scale 0 font \"system-ui,sans-serif,12\"\nset yrange [%g:0.4]\nset logscale x\nset format x \"%%g\"\n"
        "set border 1\nset tmargin at screen %.4f\nset bmargin 5.2\nset rmargin 3\n"
        "set key at screen 0.5,%.4f center bottom horizontal maxrows 1 samplen 1.5 textcolor rgb ink\n"
        "set arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc rgb ink\nplot ",
        n + 0.6, 1 - 36.0 / height, 6.0 / height);
    for (unsigned e = 0; e < 3; e++) {
        bool any = false;
        for (unsigned i = 0; i < n; i++)
            any = any || strcmp(pairs[i].python->engine, engines[e]) == 0;
        if (!any)
            continue;
        (void)fputs(said > 0 ? "\n\n" : "", drawing->dat);
        rows_write(drawing, pairs, n, engines[e]);
        (void)fprintf(
            drawing->gp,
            "%s\"%s.dat\" index %u using 2:1:3:4 with xerrorbars pt %d ps 0.8 lw 2 lc rgb \"%s\" title \"%s\"",
            said > 0 ? ", \\\n     " : "", drawing->name, said, marks[e], colours[e], engines[e]);
        said++;
    }
    (void)fputs("\n", drawing->gp);
}
