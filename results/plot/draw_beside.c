/* The plot of factors: Python's engines beside ours, a row a pair. */
#include "results/beside.h"
#include "results/plot/plots.h"

#include <math.h>
#include <string.h>

#define ROWS_MAX 64u
#define WIDTH 720u
#define ROW_HEIGHT 20u
#define FRAME 110u /* height of title, axis and key */

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
