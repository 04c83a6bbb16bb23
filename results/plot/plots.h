/* Between plots.c (what is drawn), draw.c (how each kind looks) and gnuplot.c (who draws). */
#ifndef PRONY_RESULTS_PLOTS_H
#define PRONY_RESULTS_PLOTS_H

#include "results/view.h"

#define PLOT_INK "#767676" /* text, axes and grid; becomes currentColor, and is readable on white and black without */

/* A plot under way: NAME.gp and NAME.dat. */
struct prony_drawing {
    const char *name, *title;
    FILE *gp, *dat;
    const struct prony_view *view;
    const struct prony_view_group *group;
};

/* What all plots begin with, and text, labels and numbers in them (draw.c). */
void prony_plot_begin(const struct prony_drawing *drawing, unsigned width, unsigned height);
void prony_plot_title(const struct prony_drawing *drawing, unsigned height);
void prony_plot_quote(FILE *out, const char *text, unsigned most);
void prony_plot_axis(FILE *gp, const char *axis, const char *text);
void prony_plot_number(FILE *dat, double value);
/* The key below the plot, in two columns, and how much higher (in pixels) it makes the picture. */
void prony_plot_keys(FILE *gp, unsigned entries, unsigned height);
unsigned prony_plot_keys_height(unsigned entries);

/* Each writes one plot of its kind. True when the group has enough for it. */
bool prony_draw_rate_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_rate(const struct prony_drawing *drawing);
bool prony_draw_speedup_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_speedup(const struct prony_drawing *drawing);
bool prony_draw_latency_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_latency(const struct prony_drawing *drawing);
bool prony_draw_counters_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_counters(const struct prony_drawing *drawing);
/* Of all sizes of a workload that sends messages, with its first group (draw_wire.c). */
bool prony_draw_sizes_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_sizes(const struct prony_drawing *drawing);
bool prony_draw_cost_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_cost(const struct prony_drawing *drawing);
bool prony_draw_cdf_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_cdf(const struct prony_drawing *drawing);
bool prony_draw_heat_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_heat(const struct prony_drawing *drawing);
/* Of the whole report, with its first group (draw_beside.c, draw_roofline.c). */
bool prony_draw_beside_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_beside(const struct prony_drawing *drawing);
bool prony_draw_roofline_wanted(const struct prony_view *view, const struct prony_view_group *group);
void prony_draw_roofline(const struct prony_drawing *drawing);

/* Runs gnuplot once over all scripts in the folder, then makes each SVG fit for pages (colours, ids). Returns 0, or
 * -errno with the reason: no gnuplot, or it failed. */
int prony_gnuplot_run(const char *folder, const struct prony_plot *plots, unsigned n, struct prony_error *error);

#endif
