/* The roofline plot: ceilings and workloads on logarithmic axes, one panel with the fewest workers and one with all. */
#include "results/plot/plots.h"
#include "results/roofline.h"

#include <math.h>
#include <string.h>

#define WIDTH 720u
#define HEIGHT 880u
#define POINTS_MAX 24
#define LEFT 0.115 /* of the panels, as parts of the whole */
#define RIGHT 0.97
#define TALL 0.37 /* a panel's height */

static const char slope_colour[] = "#2b7bba", peak_colour[] = "#d5542c";
static const char *const palette[] = {"#189e78", "#c65d9c", "#8a6fd1", "#a6842c", "#e08a00", "#7a8b99"};
static const int marks[] = {7, 5, 9, 11, 13, 15};
static const char *const levels[] = {"l1", "l2", "l3", "memory"};

/* One panel: what it shows, and how far its axes go. */
struct panel {
    unsigned workers, count, group[POINTS_MAX];
    const struct prony_view_cell *cell[POINTS_MAX];
    double left, right, bottom, top;
};

/* Once a report: with its first group. */
bool prony_draw_roofline_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    unsigned workers;
    const json_t *ceilings = prony_roofline_ceilings(view);
    return group == view->group && prony_roofline_workers(ceilings, &workers, 1) == 1 &&
           prony_roofline_highest(ceilings, "compute", NULL, workers) != NULL &&
           prony_roofline_highest(ceilings, "bandwidth", NULL, workers) != NULL;
}

static double place_number(const struct prony_view_cell *cell, const char *key)
{
    return prony_json_number(json_object_get(cell->json, "roofline"), key);
}

/* Of every workload with both operations and bytes, the best cell with so many workers; NULL where there is none, so that
 * a workload has the same place in both panels. */
static void points_take(const struct prony_drawing *drawing, struct panel *panel)
{
    const struct prony_view *view = drawing->view;
    for (unsigned g = 0; g < view->groups && panel->count < POINTS_MAX; g++) {
        const struct prony_view_cell *best = NULL;
        bool any = false;
        for (unsigned i = 0; i < view->group[g].count; i++) {
            const struct prony_view_cell *cell = prony_view_at(view, &view->group[g], i);
            if (!(place_number(cell, "intensity") > 0) || !isfinite(place_number(cell, "fraction")))
                continue;
            any = true;
            if (cell->workers == panel->workers &&
                (best == NULL || place_number(cell, "flop_per_s") > place_number(best, "flop_per_s")))
                best = cell;
        }
        panel->group[panel->count] = g;
        panel->cell[panel->count] = best;
        panel->count += any;
    }
}

static double rate_of(const json_t *ceiling)
{
    return prony_json_number(ceiling, "rate") / 1e9;
}

/* Axes that hold every point, every ridge, and the lowest peak. */
static void axes_fit(const json_t *ceilings, struct panel *panel)
{
    const json_t *ceiling, *memory = prony_roofline_highest(ceilings, "bandwidth", "memory", panel->workers);
    double most = 0, least = INFINITY, slowest = INFINITY;
    size_t i;
    panel->left = 0.02;
    panel->right = 16;
    json_array_foreach(ceilings, i, ceiling)
    {
        bool flops = strcmp(prony_json_string(ceiling, "kind"), "compute") == 0;
        if (prony_json_whole(ceiling, "workers") != panel->workers)
            continue;
        most = flops ? fmax(most, rate_of(ceiling)) : most;
        least = flops ? fmin(least, rate_of(ceiling)) : least;
        slowest = flops ? slowest : fmin(slowest, rate_of(ceiling));
    }
    slowest = memory != NULL ? rate_of(memory) : slowest;
    for (unsigned k = 0; k < panel->count; k++) {
        double x = panel->cell[k] == NULL ? NAN : place_number(panel->cell[k], "intensity");
        if (isnan(x))
            continue;
        panel->left = fmin(panel->left, x / 2);
        panel->right = fmax(panel->right, x * 4);
        least = fmin(least, place_number(panel->cell[k], "flop_per_s") / 1e9);
    }
    panel->right = fmax(panel->right, 4 * most / slowest);
    panel->bottom = fmin(least / 2, slowest * panel->left);
    panel->top = most * 2.2;
}

/* One line of the plot. */
static void line_say(FILE *gp, double x1, double y1, double x2, double y2, const char *colour, bool strong)
{
    (void)fprintf(gp, "set arrow from %.6g,%.6g to %.6g,%.6g nohead lw %s lc rgb \"%s\"\n", x1, y1, x2, y2,
                  strong ? "2" : "1", colour);
}

static void peaks_say(FILE *gp, const json_t *ceilings, const struct panel *panel, double fastest)
{
    const json_t *ceiling, *highest = prony_roofline_highest(ceilings, "compute", NULL, panel->workers);
    char number[32];
    size_t i;
    json_array_foreach(ceilings, i, ceiling)
    {
        double rate = rate_of(ceiling);
        bool single = strcmp(prony_json_string(ceiling, "precision"), "float") == 0;
        if (strcmp(prony_json_string(ceiling, "kind"), "compute") != 0 ||
            prony_json_whole(ceiling, "workers") != panel->workers)
            continue;
        line_say(gp, fmax(panel->left, rate / fastest), rate, panel->right, rate, peak_colour, ceiling == highest);
        (void)fprintf(gp,
                      "set label \"%s%s %sFLOP/s\" at %.6g,%.6g right offset -0.5,0.45 font "
                      "\"system-ui,sans-serif,12\" textcolor rgb \"%s\"\n",
                      prony_json_string(ceiling, "width"), single ? " float" : "",
                      prony_text_of_count(rate * 1e9, number, sizeof number), panel->right, rate, peak_colour);
    }
}

/* Each level by its fastest way. Names lie along the lines, staggered so that they do not meet. */
static void slopes_say(FILE *gp, const json_t *ceilings, const struct panel *panel, double peak)
{
    double across = (RIGHT - LEFT) * WIDTH / log(panel->right / panel->left),
           up = TALL * HEIGHT / log(panel->top / panel->bottom);
    char number[32];
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        const json_t *ceiling = prony_roofline_highest(ceilings, "bandwidth", levels[i], panel->workers);
        double rate = rate_of(ceiling), from, x;
        if (ceiling == NULL)
            continue;
        from = fmax(panel->left, panel->bottom / rate);
        line_say(gp, from, from * rate, peak / rate, peak, slope_colour, true);
        x = from * pow(peak / rate / from, 0.12);
        (void)fprintf(gp,
                      "set label \"%s %sB/s\" at %.6g,%.6g left rotate by %.1f offset 0,0.5 font "
                      "\"system-ui,sans-serif,12\" textcolor rgb \"%s\"\n",
                      levels[i], prony_text_of_count(rate * 1e9, number, sizeof number), x, x * rate,
                      atan2(up, across) * 180 / M_PI, slope_colour);
    }
}

static void titled(FILE *gp, const char *label)
{
    (void)fputs("title ", gp);
    prony_plot_quote(gp, label, 30);
}

static void panel_draw(const struct prony_drawing *drawing, const struct panel *panel, unsigned row, double top)
{
    const json_t *ceilings = prony_roofline_ceilings(drawing->view);
    double peak = rate_of(prony_roofline_highest(ceilings, "compute", NULL, panel->workers));
    double fastest = rate_of(prony_roofline_highest(ceilings, "bandwidth", NULL, panel->workers));
    FILE *gp = drawing->gp;
    (void)fprintf(gp, "unset arrow\nunset label\nset tmargin at screen %g\nset bmargin at screen %g\n", top,
                  top - TALL);
    (void)fprintf(gp, "set xrange [%.6g:%.6g]\nset yrange [%.6g:%.6g]\n", panel->left, panel->right, panel->bottom,
                  panel->top);
    if (row == 0)
        prony_plot_title(drawing, HEIGHT);
    (void)fprintf(gp, "set label \"%u worker%s\" at graph 0.015,0.955 left textcolor rgb ink\n", panel->workers,
                  panel->workers == 1 ? "" : "s");
    peaks_say(gp, ceilings, panel, fastest);
    slopes_say(gp, ceilings, panel, peak);
    (void)fprintf(gp, "plot %s", panel->count == 0 ? "NaN notitle" : "");
    for (unsigned k = 0; k < panel->count; k++) {
        (void)fprintf(gp, "%s\"%s.dat\" index %u every ::%u::%u using 1:2 with points pt %d ps 1 lc rgb \"%s\" ",
                      k > 0 ? ", \\\n     " : "", drawing->name, row, k, k, marks[k % 6], palette[k % 6]);
        if (row > 0)
            (void)fputs("notitle", gp);
        else
            titled(gp, drawing->view->group[panel->group[k]].label);
    }
    (void)fputs("\n", gp);
}

static void data_write(const struct prony_drawing *drawing, const struct panel *panel, unsigned row)
{
    (void)fprintf(drawing->dat, "%s# %u workers\n", row > 0 ? "\n\n" : "", panel->workers);
    for (unsigned k = 0; k < panel->count; k++) {
        const struct prony_view_cell *cell = panel->cell[k];
        prony_plot_number(drawing->dat, cell == NULL ? NAN : place_number(cell, "intensity"));
        prony_plot_number(drawing->dat, cell == NULL ? NAN : place_number(cell, "flop_per_s") / 1e9);
        prony_plot_number(drawing->dat, cell == NULL ? NAN : place_number(cell, "fraction"));
        (void)fprintf(drawing->dat, " # %s\n", cell == NULL ? "not measured" : cell->id);
    }
    if (panel->count == 0)
        (void)fputs("# none\n", drawing->dat);
}

void prony_draw_roofline(const struct prony_drawing *drawing)
{
    const json_t *ceilings = prony_roofline_ceilings(drawing->view);
    unsigned counts[64], n = prony_roofline_workers(ceilings, counts, 64), panels = n > 1 ? 2 : 1;
    prony_plot_begin(drawing, WIDTH, HEIGHT);
    (void)fprintf(drawing->gp,
                  "set multiplot\nset lmargin at screen %g\nset rmargin at screen %g\nset logscale xy\n"
                  "set format x \"%%g\"\nset format y \"%%g\"\nset key at screen 0.5,0.008 center bottom horizontal "
                  "maxcols 4 Left reverse samplen 1 font \"system-ui,sans-serif,12\" textcolor rgb ink\n",
                  LEFT, RIGHT);
    prony_plot_axis(drawing->gp, "y", "GFLOP/s");
    (void)fputs("# operations a byte, GFLOP/s, part of the ceiling; one block a panel\n", drawing->dat);
    for (unsigned row = 0; row < panels; row++) {
        struct panel panel = {.workers = counts[row == 0 ? 0 : n - 1]};
        points_take(drawing, &panel);
        axes_fit(ceilings, &panel);
        data_write(drawing, &panel, row);
        if (row + 1 == panels)
            prony_plot_axis(drawing->gp, "x", "floating-point operations a byte");
        panel_draw(drawing, &panel, row, row == 0 ? 0.95 : 0.51);
    }
    (void)fputs("unset multiplot\n", drawing->gp);
}
