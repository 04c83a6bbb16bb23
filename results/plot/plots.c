/* Which plots a report gets: of each kind a few at most, so that a large plan is drawn in the same time as a small one; what was
 * left out is said. */
#include "results/plot/plots.h"
#include "results/roofline.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *name, *title, *caption;
    unsigned most;  /* 0: one, of the whole report */
    bool all_sizes; /* of the workload, not of the group alone */
    bool (*wanted)(const struct prony_view *view, const struct prony_view_group *group);
    void (*draw)(const struct prony_drawing *drawing);
} kinds[] = {
    {"roofline", "Workloads under the peaks of this machine",
     "Lines are peaks measured in this run: slanted by bytes, flat by operations. A point as high as the lines above "
     "it uses the machine whole; its horizontal place is the operations it does for each byte.",
     0, false, prony_draw_roofline_wanted, prony_draw_roofline},
    {"beside", "prony's engines beside Python's",
     "Right of the line prony is faster. A row is a workload and its number of workers; whiskers are 95% intervals of "
     "the factor.",
     0, false, prony_draw_beside_wanted, prony_draw_beside},
    {"sizes", "by size of a message",
     "Both axes are logarithmic; bands are 95% intervals. The eight fastest that were measured at several sizes are "
     "shown.",
     4, true, prony_draw_sizes_wanted, prony_draw_sizes},
    {"cost", "CPU time against latency",
     "Down and left is better. Filled points on the dashed line are the front: nobody beats them in both. Choose "
     "there.",
     2, false, prony_draw_cost_wanted, prony_draw_cost},
    {"cdf", "how long they took",
     "Of all messages, how many took at most this long: left is faster, steep is steady. The eight fastest are shown.",
     3, false, prony_draw_cdf_wanted, prony_draw_cdf},
    {"heat", "from PU to PU", "How long a cache line takes there and back.", 2, false, prony_draw_heat_wanted,
     prony_draw_heat},
    {"rate", "rate by engine",
     "Right is faster. Whiskers are 95% intervals of the median over visits; where they overlap, there is no winner.",
     9, false, prony_draw_rate_wanted, prony_draw_rate},
    {"speedup", "speed-up by workers",
     "Above: how many times faster than serial. Below: that by worker; 1 means that no worker's time is lost.", 6,
     false, prony_draw_speedup_wanted, prony_draw_speedup},
    {"latency", "latency percentiles",
     "Lower is better. A percentile is shown only where at least 10 operations lie beyond it.", 5, false,
     prony_draw_latency_wanted, prony_draw_latency},
    {"counters", "counters by worker",
     "What each worker counted for one item; points apart in a row mean that workers did unequal work.", 4, false,
     prony_draw_counters_wanted, prony_draw_counters},
};

/* A file name that needs no quoting anywhere, and is not taken yet. */
static void name_make(struct prony_plots *plots, const char *kind, const char *label, char *name, size_t bytes)
{
    size_t used = (size_t)snprintf(name, bytes - 8, "%s-%s", kind, label), length;
    bool taken = false;
    used = used < bytes - 8 ? used : bytes - 9;
    for (size_t i = 0; i < used; i++)
        if (!isalnum((unsigned char)name[i]) && strchr(".-_", name[i]) == NULL)
            name[i] = '-';
    length = strlen(name);
    for (unsigned i = 0; i < plots->count; i++)
        taken = taken || strcmp(plots->plot[i].name, name) == 0;
    if (taken)
        (void)snprintf(name + length, bytes - length, "-%u", plots->count);
}

static FILE *open_in(const char *folder, const char *name, const char *ending)
{
    char *path;
    FILE *file;
    if (asprintf(&path, "%s/%s.%s", folder, name, ending) < 0)
        return NULL;
    file = fopen(path, "we");
    free(path);
    return file;
}

static int plot_draw(const struct kind *kind, const struct prony_view *view, const struct prony_view_group *group,
                     const char *folder, struct prony_plots *plots, struct prony_error *error)
{
    struct prony_plot *plot = &plots->plot[plots->count];
    const char *label = kind->most == 0 ? "all" : group->label;
    struct prony_drawing drawing = {plot->name, plot->title, NULL, NULL, view, group};
    int bad = 0;
    name_make(plots, kind->name, label, plot->name, sizeof plot->name);
    plot->kind = kind->name;
    (void)snprintf(plot->title, sizeof plot->title, "%s%s%s",
                   kind->most == 0   ? ""
                   : kind->all_sizes ? group->workload
                                     : label,
                   kind->most == 0 ? "" : ": ", kind->title);
    (void)snprintf(plot->caption, sizeof plot->caption, "%s", kind->caption);
    errno = 0;
    drawing.gp = open_in(folder, plot->name, "gp");
    drawing.dat = open_in(folder, plot->name, "dat");
    if (drawing.gp != NULL && drawing.dat != NULL)
        kind->draw(&drawing);
    bad |= drawing.gp == NULL || ferror(drawing.gp);
    bad |= drawing.dat == NULL || ferror(drawing.dat);
    bad |= drawing.gp != NULL && fclose(drawing.gp) != 0;
    bad |= drawing.dat != NULL && fclose(drawing.dat) != 0;
    plots->count++;
    return bad == 0 ? 0
                    : prony_fail(error, errno != 0 ? -errno : -EIO, "cannot write the plot %s: %s", plot->name,
                                 errno != 0 ? strerrordesc_np(errno) : "the disk may be full");
}

int prony_plots_draw(const struct prony_report *report, const char *folder, struct prony_plots *plots,
                     struct prony_error *error)
{
    struct prony_error reason = {0, ""};
    struct prony_view view;
    unsigned left_out = 0;
    size_t most = 1;
    int code = prony_view_make(report, &view);
    memset(plots, 0, sizeof *plots);
    if (code != 0)
        return prony_fail(error, code, "no memory for the plots");
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        most += kinds[k].most > 0 ? kinds[k].most : view.groups;
    plots->plot = calloc(most, sizeof *plots->plot);
    if (plots->plot == NULL)
        code = prony_fail(error, -ENOMEM, "no memory for the plots");
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0] && code == 0; k++) {
        unsigned drawn = 0;
        for (unsigned g = 0; g < view.groups && code == 0; g++) {
            if (!kinds[k].wanted(&view, &view.group[g]) || (kinds[k].most > 0 && prony_roofline_is_peak(&view, g)))
                continue;
            if (kinds[k].most > 0 && drawn++ >= kinds[k].most)
                left_out++;
            else
                code = plot_draw(&kinds[k], &view, &view.group[g], folder, plots, error);
        }
    }
    prony_view_free(&view);
    if (code != 0 || plots->count == 0)
        return code;
    if (left_out > 0)
        (void)snprintf(plots->missing, sizeof plots->missing,
                       "%u more plots would be drawn of so many parameters; their figures are in the table", left_out);
    if (prony_gnuplot_run(folder, plots->plot, plots->count, &reason) != 0) {
        plots->count = 0;
        (void)snprintf(plots->missing, sizeof plots->missing, "no plots: %.180s", reason.text);
    }
    return 0;
}
