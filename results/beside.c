/* Python beside ours: in words, and as a section of the page and of the Markdown. */
#include "results/beside.h"

#include "results/page/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
            "prony's engines and channels are %s to %s times as fast as Python's that they mirror: ahead in %u of %u "
            "pairs, behind in %u, not told apart in %u",
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
