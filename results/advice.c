/* Which way should processes talk on this machine? In words, from the cells that carried messages. */
#include "results/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 4

/* One mechanism under one wait policy: less is better in all that is asked. */
struct runner_up {
    const struct prony_view_cell *cell;
    struct prony_figure figure;
};

static const json_t *wire_of(const struct prony_view_cell *cell)
{
    const json_t *wire = json_object_get(cell->json, "wire");
    return cell->ok && json_is_object(wire) ? wire : NULL;
}

static int by_figure(const void *a, const void *b)
{
    double x = ((const struct runner_up *)a)->figure.value, y = ((const struct runner_up *)b)->figure.value;
    return (x > y) - (x < y);
}

static struct prony_figure cpu_of(const struct prony_view_cell *cell)
{
    const json_t *cpu = json_object_get(wire_of(cell), "cpu_ns_per_message");
    return (struct prony_figure){prony_json_number(cpu, "median"), prony_json_end(cpu, "ci95", 0),
                                 prony_json_end(cpu, "ci95", 1)};
}

static bool same_way(const struct prony_view_cell *a, const struct prony_view_cell *b)
{
    return strcmp(prony_json_string(a->json, "channel"), prony_json_string(b->json, "channel")) == 0 &&
           strcmp(prony_json_string(wire_of(a), "wait"), prony_json_string(wire_of(b), "wait")) == 0;
}

/* Leaves of each way only its first cell: engines and placements may have carried it several times. */
static unsigned distinct(struct runner_up *found, unsigned n)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        bool known = false;
        for (unsigned k = 0; k < kept && !known; k++)
            known = same_way(found[k].cell, found[i].cell);
        if (!known)
            found[kept++] = found[i];
    }
    return kept;
}

/* The ways to carry the workload at this size, the least first. wait NULL: any. */
static unsigned gather(const struct prony_view *view, const char *workload, double size, const char *wait, bool cpu,
                       struct runner_up *found)
{
    unsigned n = 0;
    for (unsigned i = 0; i < view->count; i++) {
        const struct prony_view_cell *cell = &view->cell[i];
        const json_t *wire = wire_of(cell);
        if (wire == NULL || strcmp(cell->workload, workload) != 0 || prony_json_number(wire, "size") != size ||
            (wait != NULL && strcmp(prony_json_string(wire, "wait"), wait) != 0))
            continue;
        found[n] = (struct runner_up){cell, cpu ? cpu_of(cell) : cell->time_ns};
        n += !isnan(found[n].figure.value);
    }
    qsort(found, n, sizeof *found, by_figure);
    return distinct(found, n);
}

/* The size nearest to `wanted` from below; the least there is; NaN: the workload was not measured. */
static double size_near(const struct prony_view *view, const char *workload, double wanted)
{
    double best = NAN;
    for (unsigned i = 0; i < view->count; i++) {
        const json_t *wire = wire_of(&view->cell[i]);
        double size = wire == NULL ? NAN : prony_json_number(wire, "size");
        if (isnan(size) || strcmp(view->cell[i].workload, workload) != 0)
            continue;
        if (isnan(best) || (best > wanted && size < best) || (size <= wanted && size > best))
            best = size;
    }
    return best;
}

static void name_say(FILE *out, const struct prony_view_cell *cell)
{
    const char *wait = prony_json_string(wire_of(cell), "wait");
    (void)fputs(prony_json_string(cell->json, "channel"), out);
    if (wait[0] != '\0')
        (void)fprintf(out, " (%s)", wait);
}

/* Moves those that cannot be told from the first up behind it, the order kept: one with a wide interval may stand behind
 * others that are told apart. How many, the first among them; 0: it has no interval. */
static unsigned tied(struct runner_up *found, unsigned n)
{
    unsigned count = 1;
    if (isnan(found[0].figure.high))
        return 0;
    for (unsigned i = 1; i < n; i++) {
        const struct runner_up one = found[i];
        if (one.figure.low > found[0].figure.high)
            continue;
        memmove(&found[count + 1], &found[count], (i - count) * sizeof *found);
        found[count++] = one;
    }
    return count;
}

static void figure_say(FILE *out, const struct prony_view_cell *cell, double ns, bool bytes)
{
    char text[32];
    if (bytes)
        (void)fprintf(out, "%sB/s",
                      prony_text_of_count(prony_json_number(wire_of(cell), "bytes_per_s"), text, sizeof text));
    else
        (void)fputs(prony_text_of_ns(ns, text, sizeof text), out);
}

/* "pipe (spin) is first with 1.2 us; next is fifo (spin), 1.15 times that". items: what a time is divided by. */
static void ranking_say(FILE *out, struct runner_up *found, unsigned n, bool bytes, bool per_item)
{
    double items = per_item ? prony_json_number(found[0].cell->json, "items") : 1;
    unsigned same = tied(found, n);
    if (n > 1 && same != 1) {
        (void)fputs(same == 0 ? "no winner is named, since an interval needs 6 visits; first came " : "no winner: ",
                    out);
        for (unsigned i = 0; i < n && i < (same == 0 ? 1 : same) && i < NAMED_MAX; i++) {
            (void)fputs(i == 0 ? "" : ", ", out);
            name_say(out, found[i].cell);
        }
        if (same > NAMED_MAX)
            (void)fprintf(out, " and %u more", same - NAMED_MAX);
        (void)fputs(same == 0 ? " with " : " cannot be told apart, around ", out);
        figure_say(out, found[0].cell, found[0].figure.value / items, bytes);
        return;
    }
    name_say(out, found[0].cell);
    (void)fputs(n == 1 ? " alone was measured: " : " is first with ", out);
    figure_say(out, found[0].cell, found[0].figure.value / items, bytes);
    if (n == 1)
        return;
    (void)fputs("; next is ", out);
    name_say(out, found[1].cell);
    (void)fprintf(out, bytes ? ", which takes %.2f times as long" : ", %.2f times that",
                  found[1].figure.value / found[0].figure.value);
}

static void size_say(FILE *out, double size)
{
    if (size >= 1048576)
        (void)fprintf(out, "%g MiB", size / 1048576);
    else if (size >= 1024)
        (void)fprintf(out, "%g KiB", size / 1024);
    else
        (void)fprintf(out, "%g B", size);
}

static void ask(FILE *out, const struct prony_view *view, const char *workload, double wanted, const char *head,
                bool cpu, struct runner_up *found)
{
    static const char *const waits[] = {NULL, "block"};
    double size = size_near(view, workload, wanted);
    bool bytes = !cpu && strcmp(workload, "stream") == 0;
    for (unsigned w = 0; w < (cpu || bytes ? 1u : 2u); w++) {
        unsigned n = gather(view, workload, size, waits[w], cpu, found);
        if (n == 0)
            continue;
        (void)fputs(w == 0 ? head : " Where both sides sleep while they wait: ", out);
        if (w == 0) {
            (void)fputs(" (", out);
            size_say(out, size);
            (void)fputs("): ", out);
        }
        ranking_say(out, found, n, bytes, !cpu);
        (void)fputs(".", out);
    }
}

bool prony_view_has_choice(const struct prony_view *view)
{
    const struct prony_view_cell *first = NULL;
    for (unsigned i = 0; i < view->count; i++) {
        if (wire_of(&view->cell[i]) == NULL)
            continue;
        if (first != NULL && !same_way(first, &view->cell[i]))
            return true;
        first = first == NULL ? &view->cell[i] : first;
    }
    return false;
}

const char *prony_view_advice(const struct prony_view *view, char *text, size_t bytes)
{
    struct runner_up *found = calloc(view->count + 1u, sizeof *found);
    FILE *out = found == NULL || !prony_view_has_choice(view) ? NULL : fmemopen(text, bytes, "w");
    text[0] = '\0';
    if (out != NULL) {
        ask(out, view, "pingpong", 64, "For small messages, there and back", false, found);
        ask(out, view, "stream", 1e18, " For large ones, one way", false, found);
        ask(out, view, "pingpong", 64, " For the least CPU time a message, both sides together", true, found);
        (void)fclose(out);
        text[bytes - 1] = '\0';
    }
    free(found);
    return text;
}
