/* Plots of messages: time or throughput by size, CPU time against latency, and who is how far from whom. */
#include "results/plot/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 560u
#define LINES_MAX 8
#define POINTS_MAX 64u
#define PUS_SHOWN 4096

static const char *const palette[] = {"#2b7bba", "#e08a00", "#189e78", "#c65d9c",
                                      "#d5542c", "#7a8b99", "#a6842c", "#8a6fd1"};

static const json_t *wire_of(const struct prony_view_cell *cell)
{
    const json_t *wire = json_object_get(cell->json, "wire");
    return cell->ok && json_is_object(wire) ? wire : NULL;
}

/* What one size of a series took: us a message (of paced ones, whose time is the pace, the median latency), or GB/s. */
struct point {
    double size, value, low, high;
};

static int by_size(const void *a, const void *b)
{
    const struct point *left = a, *right = b;
    return (left->size > right->size) - (left->size < right->size);
}

/* The points of a series of a workload at sizes that a logarithm has, by rising size. Writes at most `room`. */
static unsigned points_of(const struct prony_view *view, const char *workload, const char *series, struct point *points,
                          unsigned room)
{
    bool bytes = strcmp(workload, "stream") == 0;
    unsigned n = 0;
    for (unsigned i = 0; i < view->count && n < room; i++) {
        const struct prony_view_cell *cell = &view->cell[i];
        double items = prony_json_number(cell->json, "items"), size;
        struct prony_figure time = prony_view_time(cell);
        if (wire_of(cell) == NULL || strcmp(cell->workload, workload) != 0 || strcmp(cell->series, series) != 0)
            continue;
        size = prony_json_number(wire_of(cell), "size");
        if (size < 1)
            continue;
        if (strcmp(workload, "paced") == 0)
            time = (struct prony_figure){prony_json_number(json_object_get(cell->json, "latency"), "p50"), NAN, NAN};
        points[n] = bytes ? (struct point){size, items * size / cell->time_ns.value, items * size / cell->time_ns.high,
                                           items * size / cell->time_ns.low}
                          : (struct point){size, time.value / 1000, time.low / 1000, time.high / 1000};
        n++;
    }
    qsort(points, n, sizeof *points, by_size);
    return n;
}

/* The series that were measured at two sizes or more, the fastest of the first group first. */
static unsigned pick(const struct prony_view *view, const char *workload, const char **names)
{
    struct point points[POINTS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < view->count && n < LINES_MAX; i++) {
        const struct prony_view_cell *cell = &view->cell[view->order[i]];
        bool known = wire_of(cell) == NULL || strcmp(cell->workload, workload) != 0;
        unsigned sizes;
        for (unsigned j = 0; j < n; j++)
            known = known || strcmp(names[j], cell->series) == 0;
        if (known)
            continue;
        sizes = points_of(view, workload, cell->series, points, POINTS_MAX);
        if (sizes > 1 && points[0].size < points[sizes - 1].size)
            names[n++] = cell->series;
    }
    return n;
}

bool prony_draw_sizes_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    const char *names[LINES_MAX];
    for (unsigned g = 0; g < view->groups; g++)
        if (strcmp(view->group[g].workload, group->workload) == 0)
            return &view->group[g] == group && pick(view, group->workload, names) > 0;
    return false;
}

static void begin(const struct prony_drawing *drawing, const char *x, const char *y, unsigned lines)
{
    unsigned height = 330 + prony_plot_keys_height(lines);
    prony_plot_begin(drawing, WIDTH, height);
    prony_plot_title(drawing, height);
    prony_plot_axis(drawing->gp, "x", x);
    prony_plot_axis(drawing->gp, "y", y);
    prony_plot_keys(drawing->gp, lines, height);
    (void)fputs("set logscale xy\n", drawing->gp);
}

/* Round trips as times, streams as bytes a second; bands are 95% intervals. */
void prony_draw_sizes(const struct prony_drawing *drawing)
{
    const char *names[LINES_MAX];
    struct point points[POINTS_MAX];
    bool bytes = strcmp(drawing->group->workload, "stream") == 0;
    unsigned n = pick(drawing->view, drawing->group->workload, names);
    (void)fputs("# size value low high; one block a channel and wait policy\n", drawing->dat);
    for (unsigned s = 0; s < n; s++) {
        unsigned sizes = points_of(drawing->view, drawing->group->workload, names[s], points, POINTS_MAX);
        (void)fprintf(drawing->dat, "%s# %s\n", s > 0 ? "\n\n" : "", names[s]);
        for (unsigned i = 0; i < sizes; i++) {
            (void)fprintf(drawing->dat, "%.0f", points[i].size);
            prony_plot_number(drawing->dat, points[i].value);
            prony_plot_number(drawing->dat, isfinite(points[i].low) ? points[i].low : points[i].value);
            prony_plot_number(drawing->dat, isfinite(points[i].high) ? points[i].high : points[i].value);
            (void)fputc('\n', drawing->dat);
        }
    }
    begin(drawing, "bytes a message", bytes ? "GB/s" : "us", n);
    (void)fputs("set logscale x 2\nset format x \"%.0f\"\nset xtics (1, 64, \"1Ki\" 1024, \"16Ki\" 16384, \"256Ki\" "
                "262144, \"4Mi\" 4194304)\nplot ",
                drawing->gp);
    for (unsigned s = 0; s < n; s++) {
        (void)fprintf(
            drawing->gp,
            "%s\"%s.dat\" index %u using 1:3:4 with filledcurves fs transparent solid 0.2 noborder lc rgb "
            "\"%s\" notitle, \"\" index %u using 1:2 with linespoints pt 7 ps 0.6 lw 1.8 lc rgb \"%s\" title ",
            s > 0 ? ", \\\n     " : "", drawing->name, s, palette[s], s, palette[s]);
        prony_plot_quote(drawing->gp, names[s], 34);
    }
    (void)fputs("\n", drawing->gp);
}

bool prony_draw_cost_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    return strcmp(group->workload, "pingpong") == 0 && group->count > 1 &&
           wire_of(prony_view_at(view, group, 1)) != NULL && prony_view_has_choice(view);
}

static double cpu_of(const struct prony_view_cell *cell)
{
    return wire_of(cell) == NULL ? NAN
                                 : prony_json_number(json_object_get(wire_of(cell), "cpu_ns_per_message"), "median");
}

/* The front: nobody to the left of it is faster. Cells come by falling rate, so by rising time. One block of those on the
 * front, one of the others. */
static unsigned cost_block(const struct prony_drawing *drawing, bool front)
{
    double least = INFINITY;
    unsigned n = 0;
    for (unsigned i = 0; i < drawing->group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        double cpu = cpu_of(cell), items = prony_json_number(cell->json, "items");
        if (isnan(cpu) || cpu <= 0 || isnan(cell->time_ns.value))
            continue;
        if ((cpu < least) == front) {
            (void)fprintf(drawing->dat, "%.6g %.6g ", cpu / 1000, cell->time_ns.value / items / 1000);
            prony_plot_quote(drawing->dat, cell->series, 28);
            (void)fputc('\n', drawing->dat);
            n++;
        }
        least = fmin(least, cpu);
    }
    return n;
}

void prony_draw_cost(const struct prony_drawing *drawing)
{
    bool few;
    (void)fputs("# cpu_us time_us name: the front\n", drawing->dat);
    (void)cost_block(drawing, true);
    (void)fputs("\n\n# the others\n- - \"\"\n", drawing->dat);
    few = cost_block(drawing, false) <= LINES_MAX; /* else their names would hide each other */
    begin(drawing, "us of CPU time a message, both sides", "us a round trip", 2);
    (void)fprintf(drawing->gp,
                  "set offsets graph 0.05, graph 0.3, graph 0.1, graph 0.05\n"
                  "plot \"%s.dat\" index 1 using 1:2 with points pt 6 ps 0.6 lc rgb \"%s\" title \"beaten in both\", "
                  "\\\n     \"\" index 1 using 1:2:(%d == 1 ? stringcolumn(3) : \"\") with labels left offset 0.8,0 "
                  "font \"system-ui,sans-serif,9\" "
                  "textcolor rgb ink notitle, \\\n     \"\" index 0 using 1:2 with steps lw 1.5 dt 2 lc rgb \"%s\" "
                  "notitle, \\\n     \"\" index 0 using 1:2 with points pt 7 ps 1.1 lc rgb \"%s\" title "
                  "\"the front\", \\\n     \"\" index 0 using 1:2:3 with labels left offset 1,0.5 font "
                  "\"system-ui,sans-serif,13\" textcolor rgb ink notitle\n",
                  drawing->name, palette[5], few, palette[1], palette[1]);
}

static const json_t *histogram_of(const struct prony_view_cell *cell)
{
    const json_t *buckets = json_object_get(json_object_get(cell->json, "latency"), "histogram");
    return wire_of(cell) != NULL && json_array_size(buckets) > 1 ? buckets : NULL;
}

bool prony_draw_cdf_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    for (unsigned i = 0; i < group->count; i++)
        if (histogram_of(prony_view_at(view, group, i)) != NULL)
            return true;
    return false;
}

/* One block: how many of all were not above each bucket's end. Returns the us that all but one in a thousand kept to. */
static double cdf_block(FILE *dat, const json_t *buckets)
{
    double all = 0, seen = 0, most = 0;
    const json_t *bucket;
    size_t i;
    json_array_foreach(buckets, i, bucket) all += json_number_value(json_array_get(bucket, 2));
    (void)fprintf(dat, "%.6g 0\n", json_number_value(json_array_get(json_array_get(buckets, 0), 0)) / 1000);
    json_array_foreach(buckets, i, bucket)
    {
        if (seen < 0.999 * all)
            most = json_number_value(json_array_get(bucket, 1)) / 1000;
        seen += json_number_value(json_array_get(bucket, 2));
        (void)fprintf(dat, "%.6g %.6g\n", json_number_value(json_array_get(bucket, 1)) / 1000, 100 * seen / all);
    }
    return most;
}

/* Of each series the first cell, the fastest series first. */
void prony_draw_cdf(const struct prony_drawing *drawing)
{
    const char *names[LINES_MAX];
    double most = 0;
    unsigned n = 0;
    (void)fputs("# us percent; one block a series\n", drawing->dat);
    for (unsigned i = 0; i < drawing->group->count && n < LINES_MAX; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        bool known = histogram_of(cell) == NULL;
        for (unsigned j = 0; j < n; j++)
            known = known || strcmp(names[j], cell->series) == 0;
        if (known)
            continue;
        (void)fprintf(drawing->dat, "%s# %s\n", n > 0 ? "\n\n" : "", cell->series);
        most = fmax(most, cdf_block(drawing->dat, histogram_of(cell)));
        names[n++] = cell->series;
    }
    begin(drawing, "us", "% that took at most this long", n);
    (void)fprintf(drawing->gp,
                  "unset logscale y\nset yrange [0:100]\nset xrange [*:%.6g]\nset format x \"%%g\"\n"
                  "set xtics font \"system-ui,sans-serif,11\"\nplot ",
                  most);
    for (unsigned s = 0; s < n; s++) {
        (void)fprintf(drawing->gp, "%s\"%s.dat\" index %u using 1:2 with lines lw 1.8 lc rgb \"%s\" title ",
                      s > 0 ? ", \\\n     " : "", drawing->name, s, palette[s]);
        prony_plot_quote(drawing->gp, names[s], 34);
    }
    (void)fputs("\n", drawing->gp);
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

/* A tic at each PU that was measured, or at every so many-th, and the ends half a PU beyond. */
static void pu_axes(const struct prony_drawing *drawing)
{
    bool seen[PUS_SHOWN] = {false};
    int first = PUS_SHOWN, last = -1, step, n = 0;
    for (unsigned i = 0; i < drawing->group->count; i++)
        for (size_t worker = 0; worker < 2; worker++) {
            int pu = pu_of(prony_view_at(drawing->view, drawing->group, i), worker);
            if (pu < 0 || pu >= PUS_SHOWN)
                continue;
            seen[pu] = true;
            first = pu < first ? pu : first;
            last = pu > last ? pu : last;
        }
    if (last < 0)
        return;
    step = 1 + (last - first) / 24;
    for (const char *axis = "xy"; *axis != '\0'; axis++) {
        (void)fprintf(drawing->gp, "set %crange [%g:%g]\nset %ctics scale 0 (", *axis, first - 0.5, last + 0.5, *axis);
        n = 0;
        for (int pu = first; pu <= last; pu++)
            if (seen[pu] && (pu - first) % step == 0)
                (void)fprintf(drawing->gp, "%s\"%d\" %d", n++ > 0 ? ", " : "", pu, pu);
        (void)fputs(")\n", drawing->gp);
    }
}

void prony_draw_heat(const struct prony_drawing *drawing)
{
    (void)fputs("# pu pu ns\n", drawing->dat);
    for (unsigned i = 0; i < drawing->group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        double ns = prony_view_time(cell).value;
        int a = pu_of(cell, 0), b = pu_of(cell, 1);
        if (cell->ok && a >= 0 && b >= 0)
            (void)fprintf(drawing->dat, "%d %d %.6g\n%d %d %.6g\n", a, b, ns, b, a, ns);
    }
    prony_plot_begin(drawing, WIDTH, 480);
    prony_plot_title(drawing, 480);
    prony_plot_axis(drawing->gp, "x", "PU");
    prony_plot_axis(drawing->gp, "y", "PU");
    pu_axes(drawing);
    (void)fprintf(drawing->gp,
                  "set tmargin at screen 0.9\nset rmargin at screen 0.82\nunset key\nset grid nopolar noxtics noytics\n"
                  "set palette defined (0 \"#189e78\", 1 \"#e08a00\", 2 \"#d5542c\")\n"
                  "set cblabel \"ns a round trip\" textcolor rgb ink\nset cbrange [0:*]\n"
                  "plot \"%s.dat\" using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror fs solid noborder "
                  "lc palette, \"\" using 1:2:(sprintf(\"%%.0f\", $3)) with labels "
                  "textcolor rgb \"#ffffff\"\n",
                  drawing->name);
}
