/* How each kind of plot looks: its gnuplot script and its data. Scripts name their data by file, so that `gnuplot NAME.gp`
 * in the folder draws the plot again. */
#include "results/plot/plots.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define WIDTH 560u     /* that a card of the page has on a screen, and a phone can still show */
#define ROWS_MAX 16    /* series in one plot */
#define LINES_MAX 8    /* lines that can be told apart */
#define EVENTS_MAX 3   /* panels of counters */
#define COUNTS_MAX 64  /* different numbers of workers */
#define COUNTS_SHOWN 4 /* of them in a plot of rates: what its key has room for */
#define LOG_FROM 30.0  /* largest by smallest value from which an axis is logarithmic */

/* Told apart in all common kinds of colour blindness, on light and on dark. */
static const char *const palette[] = {"#2b7bba", "#e08a00", "#189e78", "#c65d9c",
                                      "#d5542c", "#7a8b99", "#a6842c", "#8a6fd1"};
static const int marks[] = {7, 5, 9, 11, 13, 6, 4, 8};

/* Text in double quotes: nothing in it can end the string or be taken for a command. */
void prony_plot_quote(FILE *out, const char *text, unsigned most)
{
    unsigned used = 0;
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        bool starts = ((unsigned char)*text & 0xC0) != 0x80;
        if (starts && used++ == most) {
            (void)fputs("..", out);
            break;
        }
        if (strchr("\"\\`", *text) != NULL)
            (void)fputc('\\', out);
        (void)fputc(iscntrl((unsigned char)*text) ? ' ' : *text, out);
    }
    (void)fputc('"', out);
}

void prony_plot_begin(const struct prony_drawing *drawing, unsigned width, unsigned height)
{
    FILE *gp = drawing->gp;
    (void)fprintf(gp, "# Drawn by prony; `gnuplot %s.gp` in this folder draws it again.\nreset\n", drawing->name);
    (void)fprintf(gp, "set terminal svg size %u,%u dynamic font \"system-ui,sans-serif,14\" noenhanced\n", width,
                  height);
    (void)fprintf(gp, "set output \"%s.svg\"\nset encoding utf8\nset datafile missing \"-\"\n", drawing->name);
    (void)fprintf(gp, "ink = \"" PLOT_INK "\"\nset border 3 lc rgb ink\nset tics nomirror scale 0.5 textcolor rgb ink\n"
                      "set grid lc rgb \"#d4767676\" lt 1 lw 1\nset style data lines\nset bars 0.6\n");
}

/* gnuplot centres titles; this one begins where the eye does. */
void prony_plot_title(const struct prony_drawing *drawing, unsigned height)
{
    (void)fputs("set label 1 ", drawing->gp);
    prony_plot_quote(drawing->gp, drawing->title, 64);
    (void)fprintf(drawing->gp, " at screen 0.012,%.4f left font \"system-ui,sans-serif,15\" textcolor rgb ink\n",
                  1 - 16.0 / height);
}

unsigned prony_plot_keys_height(unsigned entries)
{
    return 18 * ((entries + 1) / 2);
}

void prony_plot_keys(FILE *gp, unsigned entries, unsigned height)
{
    unsigned key = prony_plot_keys_height(entries);
    (void)fprintf(gp,
                  "set tmargin at screen %.4f\nset bmargin at screen %.4f\nset rmargin 3\n"
                  "set key at screen 0.03,%.4f left top vertical Left reverse maxrows %u samplen 1.2 width -4 font "
                  "\"system-ui,sans-serif,11\" textcolor rgb ink\n",
                  1 - 38.0 / height, (key + 76.0) / height, (key + 13.0) / height, (entries + 1) / 2);
}

static void key_right(FILE *gp, double top)
{
    (void)fprintf(gp,
                  "set key at screen 0.70,%g left top Left reverse samplen 1.5 font \"system-ui,sans-serif,12\" "
                  "textcolor rgb ink\n",
                  top);
}

void prony_plot_axis(FILE *gp, const char *axis, const char *text)
{
    (void)fprintf(gp, "set %slabel ", axis);
    prony_plot_quote(gp, text, 60);
    (void)fputs(" textcolor rgb ink\n", gp);
}

/* One figure in a data row. */
void prony_plot_number(FILE *dat, double value)
{
    if (isfinite(value))
        (void)fprintf(dat, " %.9g", value);
    else
        (void)fputs(" -", dat);
}

static void figure(FILE *dat, const struct prony_figure *figure)
{
    prony_plot_number(dat, figure->value);
    prony_plot_number(dat, isfinite(figure->low) ? figure->low : figure->value);
    prony_plot_number(dat, isfinite(figure->high) ? figure->high : figure->value);
}

/* The factor and letter that make the largest value readable. */
static double prefix(double most, const char **letter)
{
    static const char *const letters[] = {"", "k ", "M ", "G ", "T "};
    double factor = 1;
    unsigned i = 0;
    while (most / factor >= 1000 && i < 4) {
        factor *= 1000;
        i++;
    }
    *letter = letters[i];
    return factor;
}

static const char *plural(const char *unit, char *text, size_t bytes)
{
    size_t length = strlen(unit);
    (void)snprintf(text, bytes, "%s%s", length == 0 ? "item" : unit, length > 0 && unit[length - 1] == 's' ? "" : "s");
    return text;
}

/* The numbers of workers in a group, ascending; at most `room`. */
static unsigned worker_counts(const struct prony_view *view, const struct prony_view_group *group, unsigned *counts,
                              unsigned room)
{
    unsigned n = 0;
    for (unsigned i = 0; i < group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(view, group, i);
        unsigned at = 0;
        if (isnan(cell->rate.value))
            continue;
        while (at < n && counts[at] < cell->workers)
            at++;
        if ((at < n && counts[at] == cell->workers) || n == room)
            continue;
        memmove(&counts[at + 1], &counts[at], (n - at) * sizeof *counts);
        counts[at] = cell->workers;
        n++;
    }
    return n;
}

/* Thins an ascending list to `most`, the first and the last among them. */
static unsigned thinned(unsigned *counts, unsigned n, unsigned most)
{
    if (n <= most)
        return n;
    for (unsigned i = 0; i < most; i++)
        counts[i] = counts[i * (n - 1) / (most - 1)];
    return most;
}

/* The row of a series, in order of appearance, which is that of falling rates; -1 beyond the last row. */
static int row_of(const char **rows, unsigned *n, unsigned most, const char *series)
{
    for (unsigned i = 0; i < *n; i++)
        if (strcmp(rows[i], series) == 0)
            return (int)i;
    if (*n == most)
        return -1;
    rows[*n] = series;
    return (int)(*n)++;
}

bool prony_draw_rate_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    return group->count > 1 && !isnan(prony_view_at(view, group, 1)->rate.value);
}

static void row_tics(FILE *gp, const char *const *rows, unsigned n)
{
    (void)fputs("set ytics (", gp);
    for (unsigned i = 0; i < n; i++) {
        (void)fputs(i > 0 ? ", " : "", gp);
        prony_plot_quote(gp, rows[i], 34);
        (void)fprintf(gp, " %u", i + 1);
    }
    (void)fprintf(gp, ") scale 0\nset yrange [%g:0.4]\n", n + 0.6);
}

/* Rows are engines, from the fastest down; colours and marks are numbers of workers. */
void prony_draw_rate(const struct prony_drawing *drawing)
{
    const struct prony_view_group *group = drawing->group;
    const char *rows[ROWS_MAX] = {NULL}, *letter;
    unsigned counts[COUNTS_MAX], n = 0, workers;
    double most = 0, least = INFINITY, factor;
    char label[128], unit[64];
    workers = thinned(counts, worker_counts(drawing->view, group, counts, COUNTS_MAX), COUNTS_SHOWN);
    for (unsigned i = 0; i < group->count; i++)
        if (!isnan(prony_view_at(drawing->view, group, i)->rate.value))
            (void)row_of(rows, &n, ROWS_MAX, prony_view_at(drawing->view, group, i)->series);
    (void)fputs("# row rate low high (items/s); one block a number of workers\n", drawing->dat);
    for (unsigned w = 0; w < workers; w++) {
        double dodge = workers > 1 ? 0.44 * (w / (double)(workers - 1) - 0.5) : 0;
        (void)fprintf(drawing->dat, "%s# workers %u\n", w > 0 ? "\n\n" : "", counts[w]);
        for (unsigned i = 0; i < group->count; i++) {
            const struct prony_view_cell *cell = prony_view_at(drawing->view, group, i);
            int row = isnan(cell->rate.value) ? -1 : row_of(rows, &n, ROWS_MAX, cell->series);
            if (row < 0 || cell->workers != counts[w])
                continue;
            (void)fprintf(drawing->dat, "%g", row + 1 + dodge);
            figure(drawing->dat, &cell->rate);
            (void)fprintf(drawing->dat, " # %s\n", cell->id);
            most = fmax(most, cell->rate.value);
            least = fmin(least, cell->rate.value);
        }
    }
    factor = prefix(most, &letter);
    (void)snprintf(label, sizeof label, "%s%s per second%s", letter, plural(group->unit, unit, sizeof unit),
                   most / least > LOG_FROM ? ", logarithmic" : "");
    prony_plot_begin(drawing, WIDTH, 128 + 32 * n);
    prony_plot_title(drawing, 128 + 32 * n);
    prony_plot_axis(drawing->gp, "x", label);
    row_tics(drawing->gp, rows, n);
    (void)fprintf(drawing->gp,
                  "set border 1\nset grid noytics\nset tmargin at screen %.4f\nset bmargin 5.2\nset rmargin 3\n"
                  "set key at screen 0.5,%.4f center bottom horizontal maxrows 1 samplen 1.5 textcolor rgb ink\n",
                  1 - 36.0 / (128 + 32 * n), 6.0 / (128 + 32 * n));
    if (most / least > LOG_FROM)
        (void)fputs("set logscale x\n", drawing->gp);
    else
        (void)fputs("set xrange [0:*]\n", drawing->gp);
    (void)fprintf(drawing->gp, "set format x \"%%g\"\nf = %g\nplot ", factor);
    for (unsigned w = 0; w < workers; w++)
        (void)fprintf(drawing->gp,
                      "%s\"%s.dat\" index %u using ($2/f):1:($3/f):($4/f) with xerrorbars pt %d ps 0.8 lw 2 lc rgb "
                      "\"%s\" title \"%u worker%s\"",
                      w > 0 ? ", \\\n     " : "", drawing->name, w, marks[w], palette[w], counts[w],
                      counts[w] == 1 ? "" : "s");
    (void)fputs("\n", drawing->gp);
}

bool prony_draw_speedup_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    unsigned first = 0;
    for (unsigned i = 0; i < group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(view, group, i);
        if (isnan(cell->speedup.value) || strcmp(cell->engine, "serial") == 0)
            continue;
        if (first != 0 && first != cell->workers)
            return true;
        first = cell->workers;
    }
    return false;
}

/* The cell of a series that has this many workers, and a speed-up. */
static const struct prony_view_cell *cell_of(const struct prony_drawing *drawing, const char *series, unsigned workers)
{
    for (unsigned i = 0; i < drawing->group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        if (cell->workers == workers && !isnan(cell->speedup.value) && strcmp(cell->series, series) == 0)
            return cell;
    }
    return NULL;
}

/* Defines f<row>(x): the law of the series, laid through its speed-ups. False: none was fitted. */
static bool law_define(const struct prony_drawing *drawing, const char *series, unsigned row)
{
    unsigned counts[COUNTS_MAX], workers = worker_counts(drawing->view, drawing->group, counts, COUNTS_MAX), n = 0;
    const json_t *law = NULL;
    const char *name = "";
    double s = 0, k = 0, logs = 0;
    bool grows;
    for (unsigned w = 0; w < workers; w++) {
        const struct prony_view_cell *cell = cell_of(drawing, series, counts[w]);
        double x = counts[w];
        if (cell == NULL ||
            (law == NULL && (law = prony_view_law(prony_view_scaling(drawing->view, cell->id), &name)) == NULL))
            continue;
        grows = strcmp(name, "gustafson") == 0;
        s = prony_json_number(law, strcmp(name, "usl") == 0 ? "contention" : "serial");
        k = strcmp(name, "usl") == 0 ? prony_json_number(law, "coherency") : 0;
        logs += log(cell->speedup.value / (grows ? x - s * (x - 1) : x / (1 + s * (x - 1) + k * x * (x - 1))));
        n++;
    }
    if (n == 0 || !isfinite(logs))
        return false;
    if (strcmp(name, "gustafson") == 0)
        (void)fprintf(drawing->gp, "f%u(x) = %.9g * (x - %.9g*(x-1))\n", row, exp(logs / n), s);
    else
        (void)fprintf(drawing->gp, "f%u(x) = %.9g * x / (1 + %.9g*(x-1) + %.9g*x*(x-1))\n", row, exp(logs / n), s, k);
    return true;
}

/* Points with their intervals; the fitted law over them, or lines between them where none was fitted. */
static void speedup_panel(const struct prony_drawing *drawing, const char *const *rows, unsigned n, unsigned column,
                          double spread)
{
    bool above = column == 3, laws[LINES_MAX];
    for (unsigned i = 0; i < n; i++)
        laws[i] = law_define(drawing, rows[i], i);
    (void)fputs("plot ", drawing->gp);
    (void)fputs(above ? "x with lines dt 2 lw 1.5 lc rgb ink title \"ideal\""
                      : "1 with lines dt 2 lw 1.5 lc rgb ink notitle",
                drawing->gp);
    for (unsigned i = 0; i < n; i++) {
        (void)fprintf(
            drawing->gp,
            ", \\\n     \"%s.dat\" index %u using ($1*(1+%g)):%u:%u:%u with %s pt %d ps 0.7 lw 1.8 lc rgb \"%s\" ",
            drawing->name, i, spread * (i - (n - 1) / 2.0), column, column + 1, column + 2,
            laws[i] ? "yerrorbars" : "yerrorlines", marks[i], palette[i]);
        if (above) {
            (void)fputs("title ", drawing->gp);
            prony_plot_quote(drawing->gp, rows[i], 22);
        } else {
            (void)fputs("notitle", drawing->gp);
        }
        if (laws[i])
            (void)fprintf(drawing->gp, ", \\\n     f%u(x)%s with lines lw 1.2 lc rgb \"%s\" notitle", i,
                          above ? "" : "/x", palette[i]);
    }
    (void)fputs("\n", drawing->gp);
}

/* One block a series, its points by rising number of workers; the fastest series first. */
static unsigned speedup_data(const struct prony_drawing *drawing, const char **rows, const unsigned *counts,
                             unsigned workers)
{
    const struct prony_view_group *group = drawing->group;
    unsigned n = 0;
    (void)fputs("# workers engine-row speedup low high efficiency low high; one block a series\n", drawing->dat);
    for (unsigned i = 0; i < group->count; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, group, i);
        if (!isnan(cell->speedup.value) && strcmp(cell->engine, "serial") != 0)
            (void)row_of(rows, &n, LINES_MAX, cell->series);
    }
    for (unsigned row = 0; row < n; row++) {
        (void)fprintf(drawing->dat, "%s# %s\n", row > 0 ? "\n\n" : "", rows[row]);
        for (unsigned w = 0; w < workers; w++)
            for (unsigned i = 0; i < group->count; i++) {
                const struct prony_view_cell *cell = prony_view_at(drawing->view, group, i);
                if (cell->workers != counts[w] || isnan(cell->speedup.value) || strcmp(cell->series, rows[row]) != 0)
                    continue;
                (void)fprintf(drawing->dat, "%u %u", cell->workers, row + 1);
                figure(drawing->dat, &cell->speedup);
                figure(drawing->dat, &cell->efficiency);
                (void)fprintf(drawing->dat, " # %s\n", cell->id);
            }
    }
    return n;
}

void prony_draw_speedup(const struct prony_drawing *drawing)
{
    const char *rows[LINES_MAX] = {NULL};
    unsigned counts[COUNTS_MAX], workers = worker_counts(drawing->view, drawing->group, counts, COUNTS_MAX);
    unsigned n = speedup_data(drawing, rows, counts, workers), most = counts[workers - 1];
    bool wide = most > 16;
    prony_plot_begin(drawing, WIDTH, 470);
    (void)fputs("set multiplot\nset lmargin at screen 0.115\nset rmargin at screen 0.68\n", drawing->gp);
    (void)fputs("set tmargin at screen 0.91\nset bmargin at screen 0.48\n", drawing->gp);
    key_right(drawing->gp, 0.915);
    prony_plot_title(drawing, 470);
    if (wide)
        (void)fputs("set logscale xy 2\n", drawing->gp);
    (void)fprintf(drawing->gp, "set xrange [%g:%g]\nset yrange [%s:*]\n", wide ? 0.9 : counts[0] - 0.25,
                  wide ? most * 1.1 : most + 0.25, wide ? "*" : "0");
    (void)fputs("set xtics (", drawing->gp);
    for (unsigned i = 0, said = 0; i < workers; i++)
        if (!wide || (counts[i] & (counts[i] - 1)) == 0 || i + 1 == workers)
            (void)fprintf(drawing->gp, "%s%u", said++ > 0 ? ", " : "", counts[i]);
    (void)fputs(")\nset format x \"\"\n", drawing->gp);
    prony_plot_axis(drawing->gp, "y", "times serial");
    speedup_panel(drawing, rows, n, 3, 0.008);
    (void)fputs("set tmargin at screen 0.425\nset bmargin at screen 0.15\nunset label 1\nset format x \"%g\"\nunset "
                "logscale y\n"
                "set yrange [0:*]\n",
                drawing->gp);
    prony_plot_axis(drawing->gp, "y", "efficiency");
    prony_plot_axis(drawing->gp, "x", "workers");
    speedup_panel(drawing, rows, n, 6, 0.008);
    (void)fputs("unset multiplot\n", drawing->gp);
}

static double latency(const struct prony_view_cell *cell, const char *point)
{
    return prony_json_number(json_object_get(cell->json, "latency"), point);
}

bool prony_draw_latency_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    for (unsigned i = 0; i < group->count; i++)
        if (!isnan(latency(prony_view_at(view, group, i), "p50")))
            return true;
    return false;
}

void prony_draw_latency(const struct prony_drawing *drawing)
{
    static const char *const points[] = {"p50", "p90", "p99", "p99.9", "p99.99", "max"};
    unsigned n = 0, counts[LINES_MAX], workers = worker_counts(drawing->view, drawing->group, counts, LINES_MAX),
             height;
    char names[LINES_MAX][96];
    (void)fputs("# place percentile ns; one block a cell\n", drawing->dat);
    for (unsigned i = 0; i < drawing->group->count && n < LINES_MAX; i++) {
        const struct prony_view_cell *cell = prony_view_at(drawing->view, drawing->group, i);
        if (isnan(latency(cell, "p50")))
            continue;
        (void)snprintf(names[n], sizeof names[n], workers > 1 ? "%.80s n=%u" : "%.80s", cell->series, cell->workers);
        (void)fprintf(drawing->dat, "%s# %s\n", n > 0 ? "\n\n" : "", cell->id);
        for (unsigned p = 0; p < 6; p++) {
            (void)fprintf(drawing->dat, "%u %s", p + 1, points[p]);
            prony_plot_number(drawing->dat, latency(cell, points[p]));
            (void)fputc('\n', drawing->dat);
        }
        n++;
    }
    height = 330 + prony_plot_keys_height(n);
    prony_plot_begin(drawing, WIDTH, height);
    prony_plot_title(drawing, height);
    (void)fputs("set logscale y\nset ytics (\"1 ns\" 1, \"10 ns\" 10, \"100 ns\" 100, \"1 us\" 1e3, \"10 us\" 1e4, "
                "\"100 us\" 1e5, \"1 ms\" 1e6, \"10 ms\" 1e7, \"100 ms\" 1e8, \"1 s\" 1e9, \"10 s\" 1e10)\n"
                "set xrange [0.7:6.3]\nset xtics (\"p50\" 1, \"p90\" 2, \"p99\" 3, \"p99.9\" 4, \"p99.99\" 5, "
                "\"max\" 6)\nset grid noxtics\n",
                drawing->gp);
    prony_plot_keys(drawing->gp, n, height);
    (void)fputs("plot ", drawing->gp);
    for (unsigned i = 0; i < n; i++) {
        (void)fprintf(drawing->gp,
                      "%s\"%s.dat\" index %u using 1:3 with linespoints pt %d ps 0.7 lw 1.8 lc rgb \"%s\" title ",
                      i > 0 ? ", \\\n     " : "", drawing->name, i, marks[i], palette[i]);
        prony_plot_quote(drawing->gp, names[i], 34);
    }
    (void)fputs("\n", drawing->gp);
}

/* The counters of a cell's worker by event; NULL: no such worker. */
static const json_t *event_of(const struct prony_view_cell *cell, size_t worker, const char *event)
{
    const json_t *workers = json_object_get(json_object_get(cell->json, "counters"), "workers");
    return json_object_get(json_object_get(json_array_get(workers, worker), "events"), event);
}

/* The first events that some worker of the group counted more than zero of. */
static unsigned events_of(const struct prony_view *view, const struct prony_view_group *group, const char **events)
{
    const char *name;
    json_t *total;
    unsigned n = 0;
    for (unsigned i = 0; i < group->count && n == 0; i++) {
        const struct prony_view_cell *cell = prony_view_at(view, group, i);
        if (!cell->ok)
            continue;
        json_object_foreach(json_object_get(json_object_get(cell->json, "counters"), "total"), name,
                            total) if (n < EVENTS_MAX && prony_json_number(total, "value") > 0) events[n++] = name;
    }
    return n;
}

bool prony_draw_counters_wanted(const struct prony_view *view, const struct prony_view_group *group)
{
    const char *events[EVENTS_MAX];
    return events_of(view, group, events) > 0;
}

/* What a count is divided by: the items of all counted samples. */
static double items_of(const struct prony_view_cell *cell, const json_t *event)
{
    const json_t *counters = json_object_get(cell->json, "counters");
    double repeats = prony_json_number(counters, "repeats"), items = prony_json_number(cell->json, "items");
    double samples = prony_json_number(event, "samples");
    if (!(samples > 0)) /* a report of before they were kept by event */
        samples = prony_json_number(counters, "samples");
    if (!(repeats > 0))
        repeats = prony_json_number(cell->json, "repeats");
    return samples * fmax(repeats, 1) * fmax(items, 1);
}

static double counters_data(const struct prony_drawing *drawing, const char *event,
                            const struct prony_view_cell *const *rows, unsigned n)
{
    double most = 0;
    for (unsigned row = 0; row < n; row++) {
        const json_t *workers = json_object_get(json_object_get(rows[row]->json, "counters"), "workers");
        for (size_t w = 0; w < json_array_size(workers); w++) {
            const json_t *counted = event_of(rows[row], w, event);
            double value = prony_json_number(counted, "value") / items_of(rows[row], counted);
            if (!isfinite(value))
                continue;
            (void)fprintf(drawing->dat, "%u %.9g %zu # %s\n", row + 1, value, w, rows[row]->id);
            most = fmax(most, value);
        }
    }
    return most;
}

/* What counts are shown in, so that the axis has plain numbers: "page-faults per million numbers". */
static double counters_label(const char *event, const char *unit, double most, char *label, size_t bytes)
{
    static const char *const by[] = {"", "thousand ", "million ", "billion "}, *const of[] = {"", ", thousands",
                                                                                              ", millions",
                                                                                              ", billions"};
    char many[64];
    double factor = 1;
    unsigned up = 0, down = 0;
    for (; most / factor >= 10000 && up < 3; up++)
        factor *= 1000;
    for (; most / factor < 0.5 && most > 0 && down < 3; down++)
        factor /= 1000;
    (void)snprintf(label, bytes, "%s per %s%s%s", event, by[down], down > 0 ? plural(unit, many, sizeof many) : unit,
                   of[up]);
    return factor;
}

void prony_draw_counters(const struct prony_drawing *drawing)
{
    const struct prony_view_cell *rows[ROWS_MAX] = {NULL};
    const char *events[EVENTS_MAX] = {NULL}, *names[ROWS_MAX] = {NULL};
    char text[ROWS_MAX][96], label[200];
    unsigned n = prony_view_race(drawing->view, drawing->group, rows, ROWS_MAX), panels, panel, height;
    panels = events_of(drawing->view, drawing->group, events);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(text[i], sizeof text[i], "%.80s n=%u", rows[i]->series, rows[i]->workers);
        names[i] = text[i];
    }
    height = 36 + panels * (22 * n + 70);
    prony_plot_begin(drawing, WIDTH, height);
    prony_plot_title(drawing, height);
    (void)fputs(
        "set multiplot\nset border 1\nset grid noytics\nset lmargin at screen 0.33\nset rmargin at screen 0.96\n",
        drawing->gp);
    row_tics(drawing->gp, names, n);
    (void)fputs("# row value worker (0 first); one block an event\n", drawing->dat);
    for (panel = 0; panel < panels; panel++) {
        double factor, top = 36 + panel * (22.0 * n + 70);
        (void)fprintf(drawing->dat, "%s# %s by item, of each worker\n", panel > 0 ? "\n\n" : "", events[panel]);
        factor = counters_label(events[panel], drawing->group->unit, counters_data(drawing, events[panel], rows, n),
                                label, sizeof label);
        prony_plot_axis(drawing->gp, "x", label);
        (void)fprintf(drawing->gp,
                      "set tmargin at screen %.4f\nset bmargin at screen %.4f\nset xrange [0:*]\n"
                      "set format x \"%%g\"\nplot \"%s.dat\" index %u using ($2/%g):1 with points pt 6 ps 0.9 lw 2 "
                      "lc rgb \"%s\" notitle\nunset label 1\n",
                      1 - top / height, 1 - (top + 22 * n) / height, drawing->name, panel, factor, palette[panel]);
    }
    (void)fputs("unset multiplot\n", drawing->gp);
}
