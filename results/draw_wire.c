/* Plots of messages: time or throughput by size, CPU time against latency, and who is how far from whom. */
#include "results/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 560u
#define HEIGHT 380u
#define LINES_MAX 8
#define PUS_MAX 64

static const char *const palette[] = {"#2b7bba", "#e08a00", "#189e78", "#c65d9c",
                                      "#d5542c", "#7a8b99", "#a6842c", "#8a6fd1"};

static const json_t *wire_of(const struct prony_view_cell *cell)
{
    const json_t *wire = json_object_get(cell->json, "wire");
    return cell->ok && json_is_object(wire) ? wire : NULL;
}

static void series_say(const struct prony_view_cell *cell, char *text, size_t bytes)
{
    const char *channel = prony_json_string(cell->json, "channel"), *wait = prony_json_string(wire_of(cell), "wait");
    (void)snprintf(text, bytes, "%s%s%s", channel, wait[0] != '\0' ? " " : "", wait);
}

static bool is_first_of(const struct prony_view *view, const struct prony_view_group *group)
{
    for (unsigned g = 0; g < view->groups; g++)
        if (strcmp(view->group[g].workload, group->workload) == 0)
            return &view->group[g] == group;
    return false;
}

bool prony_draw_sizes_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    double first = NAN;
    if (!is_first_of(view, group))
        return false;
    for (unsigned i = 0; i < view->count; i++) {
        const json_t *wire = wire_of(&view->cell[i]);
        double size = wire == NULL ? NAN : prony_json_number(wire, "size");
        if (strcmp(view->cell[i].workload, group->workload) != 0 || isnan(size) || size < 1)
            continue;
        if (!isnan(first) && size != first)
            return true;
        first = size;
    }
    return false;
}

/* The series of the first group, fastest first. */
static unsigned pick(const struct prony_drawing *drawing, char names[LINES_MAX][64])
{
    unsigned n = 0;
    for (unsigned i = 0; i < drawing->group->count && n < LINES_MAX; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        bool known = false;
        if (wire_of(cell) == NULL)
            continue;
        series_say(cell, names[n], sizeof names[n]);
        for (unsigned j = 0; j < n; j++)
            known = known || strcmp(names[j], names[n]) == 0;
        n += !known;
    }
    return n;
}

static void begin(const struct prony_drawing *drawing, const char *x, const char *y)
{
    prony_plot_begin(drawing, WIDTH, HEIGHT);
    prony_plot_title(drawing, HEIGHT);
    prony_plot_axis(drawing->gp, "x", x);
    prony_plot_axis(drawing->gp, "y", y);
    (void)fprintf(drawing->gp, "set tmargin at screen 0.9\nset rmargin at screen 0.68\nset logscale xy\n"
                               "set key at screen 0.70,0.9 left top Left reverse samplen 1.5 font "
                               "\"system-ui,sans-serif,12\" textcolor rgb ink\n");
}

/* Round trips as times, streams as bytes a second; bands are 95% intervals. */
void prony_draw_sizes(const struct prony_drawing *drawing)
{
    char names[LINES_MAX][64], name[64];
    bool bytes = strcmp(drawing->group->workload, "stream") == 0;
    unsigned n = pick(drawing, names);
    (void)fputs("# size value low high; one block a channel and wait policy\n", drawing->dat);
    for (unsigned s = 0; s < n; s++) {
        (void)fprintf(drawing->dat, "%s# %s\n", s > 0 ? "\n\n" : "", names[s]);
        for (unsigned i = 0; i < drawing->view->count; i++) {
            const struct prony_view_cell *cell = &drawing->view->cell[i];
            double items = prony_json_number(cell->json, "items"), size, value, low, high;
            if (wire_of(cell) == NULL || strcmp(cell->workload, drawing->group->workload) != 0)
                continue;
            series_say(cell, name, sizeof name);
            size = prony_json_number(wire_of(cell), "size");
            if (strcmp(name, names[s]) != 0 || size < 1)
                continue;
            value = bytes ? items * size / cell->time_ns.value : cell->time_ns.value / items / 1000;
            low = bytes ? items * size / cell->time_ns.high : cell->time_ns.low / items / 1000;
            high = bytes ? items * size / cell->time_ns.low : cell->time_ns.high / items / 1000;
            (void)fprintf(drawing->dat, "%.0f", size);
            prony_plot_number(drawing->dat, value);
            prony_plot_number(drawing->dat, isfinite(low) ? low : value);
            prony_plot_number(drawing->dat, isfinite(high) ? high : value);
            (void)fputc('\n', drawing->dat);
        }
    }
    begin(drawing, "bytes a message", bytes ? "GB/s" : "us");
    (void)fputs("set logscale x 2\nset format x \"%.0f\"\nset xtics (1, 64, \"1Ki\" 1024, \"16Ki\" 16384, \"256Ki\" "
                "262144, \"4Mi\" 4194304)\nplot ",
                drawing->gp);
    for (unsigned s = 0; s < n; s++) {
        (void)fprintf(
            drawing->gp,
            "%s\"%s.dat\" index %u using 1:3:4 with filledcurves fs transparent solid 0.2 noborder lc rgb "
            "\"%s\" notitle, \"\" index %u using 1:2 with linespoints pt 7 ps 0.6 lw 1.8 lc rgb \"%s\" title ",
            s > 0 ? ", \\\n     " : "", drawing->name, s, palette[s], s, palette[s]);
        prony_plot_quote(drawing->gp, names[s], 24);
    }
    (void)fputs("\n", drawing->gp);
}

bool prony_draw_cost_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    return strcmp(group->workload, "pingpong") == 0 && group->count > 1 &&
           wire_of(prony_view_at(view, group, 1)) != NULL && prony_view_has_choice(view);
}

/* The front: nobody to the left of it is faster. Cells come by falling rate, so by rising time. */
void prony_draw_cost(const struct prony_drawing *drawing)
{
    double least = INFINITY;
    char name[64];
    (void)fputs("# cpu_us time_us on_front name\n", drawing->dat);
    for (unsigned i = 0; i < drawing->group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        double cpu, items = prony_json_number(cell->json, "items");
        if (wire_of(cell) == NULL)
            continue;
        cpu = prony_json_number(json_object_get(wire_of(cell), "cpu_ns_per_message"), "median");
        if (isnan(cpu) || cpu <= 0)
            continue;
        series_say(cell, name, sizeof name);
        (void)fprintf(drawing->dat, "%.6g %.6g %d ", cpu / 1000, cell->time_ns.value / items / 1000, cpu < least);
        prony_plot_quote(drawing->dat, name, 24);
        (void)fputc('\n', drawing->dat);
        least = fmin(least, cpu);
    }
    begin(drawing, "us of CPU time a message, both sides", "us a round trip");
    (void)fprintf(
        drawing->gp,
        "set offsets graph 0.05, graph 0.25, graph 0.1, graph 0.05\nset rmargin 3\nunset key\n"
        "plot \"%s.dat\" using ($3==1?$1:NaN):2 with steps lw 1.5 dt 2 lc rgb ink, \"\" using 1:2 with points pt "
        "7 ps 0.8 lc rgb \"%s\", \"\" using 1:2:4 with labels left offset 0.8,0.3 textcolor rgb ink\n",
        drawing->name, palette[0]);
}

static int pu_of(const struct prony_view_cell *cell, size_t worker)
{
    const json_t *pu = json_array_get(json_object_get(json_object_get(cell->json, "placement"), "pus"), worker);
    return json_is_integer(pu) ? (int)json_integer_value(pu) : -1;
}

bool prony_draw_heat_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    unsigned pairs = 0;
    for (unsigned i = 0; i < group->count; i++)
        pairs += prony_view_at(view, group, i)->workers == 2 && prony_view_at(view, group, i)->ok;
    return strcmp(group->workload, "line") == 0 && pairs > 0;
}

void prony_draw_heat(const struct prony_drawing *drawing)
{
    (void)fputs("# pu pu ns\n", drawing->dat);
    for (unsigned i = 0; i < drawing->group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        double ns = cell->time_ns.value / prony_json_number(cell->json, "items");
        int a = pu_of(cell, 0), b = pu_of(cell, 1);
        if (cell->ok && a >= 0 && b >= 0)
            (void)fprintf(drawing->dat, "%d %d %.6g\n%d %d %.6g\n", a, b, ns, b, a, ns);
    }
    prony_plot_begin(drawing, WIDTH, 480);
    prony_plot_title(drawing, 480);
    prony_plot_axis(drawing->gp, "x", "PU");
    prony_plot_axis(drawing->gp, "y", "PU");
    (void)fprintf(drawing->gp,
                  "set tmargin at screen 0.9\nset rmargin at screen 0.82\nunset key\nset grid nopolar noxtics noytics\n"
                  "set xtics 1\nset ytics 1\nset palette defined (0 \"#189e78\", 1 \"#e08a00\", 2 \"#d5542c\")\n"
                  "set cblabel \"ns a round trip\" textcolor rgb ink\nset cbrange [0:*]\n"
                  "plot \"%s.dat\" using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror fs solid noborder "
                  "lc palette, \"\" using 1:2:(sprintf(\"%%.0f\", $3)) with labels "
                  "textcolor rgb \"#ffffff\"\n",
                  drawing->name);
}
