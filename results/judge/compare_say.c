/* A comparison for people and machines: table, Markdown, a page, JSON, JUnit. */
#include "results/export/junit.h"
#include "results/judge/judge.h"
#include "results/page/page.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char unpaired[] = "Unpaired: the reports were taken at different times, and what the machine did "
                               "meanwhile is in the ratios. Weaker than "
                               "cells of one run, or pairs of launches.";

static bool is_rank(const struct prony_comparison *comparison)
{
    return strcmp(prony_json_string(comparison->root, "schema"), PRONY_RANK_SCHEMA) == 0;
}

/* "+3.1%", "-12%": what a ratio of times means. */
static const char *change_of(double ratio, char *text, size_t bytes)
{
    double percent = (ratio - 1) * 100;
    if (isnan(ratio))
        (void)snprintf(text, bytes, "-");
    else
        (void)snprintf(text, bytes, "%+.*f%%", fabs(percent) < 9.95 ? 1 : 0, percent);
    return text;
}

struct row {
    const char *id, *verdict, *reason;
    char before[32], after[32], change[32], interval[64];
};

static void row_take(const json_t *cell, struct row *row)
{
    char low[32], high[32];
    double first = prony_json_end(cell, "ratio_ci95", 0);
    row->id = prony_json_string(cell, "id");
    row->verdict = prony_json_string(cell, "verdict");
    row->reason = prony_json_string(cell, "reason");
    (void)prony_text_of_ns(prony_json_number(json_object_get(cell, "a"), "median"), row->before, sizeof row->before);
    (void)prony_text_of_ns(prony_json_number(json_object_get(cell, "b"), "median"), row->after, sizeof row->after);
    if (!json_is_object(json_object_get(cell, "a")))
        row->before[0] = row->after[0] = '\0';
    (void)change_of(prony_json_number(cell, "ratio"), row->change, sizeof row->change);
    (void)snprintf(row->interval, sizeof row->interval, "%s%s%s", isnan(first) ? "" : change_of(first, low, sizeof low),
                   isnan(first) ? "-" : " to ",
                   isnan(first) ? "" : change_of(prony_json_end(cell, "ratio_ci95", 1), high, sizeof high));
}

static void counts_say(const struct prony_comparison *comparison, FILE *out)
{
    struct prony_compare_counts counts;
    prony_comparison_count(comparison, &counts);
    (void)fprintf(
        out,
        "%u regressed, %u improved, %u equivalent, %u inconclusive at a margin of %g%%; %u not comparable, %u "
        "skipped, %u in one report only",
        counts.regressed, counts.improved, counts.equivalent, counts.inconclusive,
        prony_json_number(comparison->root, "margin_percent"), counts.uncompared, counts.skipped, counts.alone);
}

static void differences_say(const struct prony_comparison *comparison, FILE *out, const char *before, const char *after,
                            void (*say)(FILE *, const char *))
{
    const json_t *difference;
    size_t i;
    json_array_foreach(json_object_get(comparison->root, "differences"), i, difference)
    {
        static const char *const sides[] = {"a", "b"};
        (void)fputs(before, out);
        say(out, prony_json_string(difference, "what"));
        for (size_t s = 0; s < 2; s++) {
            const json_t *value = json_object_get(difference, sides[s]);
            char *text =
                value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
            (void)fputs(s == 0 ? ": " : ", now ", out);
            say(out, text != NULL ? text : "nothing");
            free(text);
        }
        (void)fputs(after, out);
    }
}

static void plain(FILE *out, const char *text)
{
    (void)fputs(text, out);
}

static void pair_table(const struct prony_comparison *comparison, FILE *out, bool colour)
{
    const json_t *root = comparison->root, *cell;
    int width = 4;
    size_t i;
    json_array_foreach(json_object_get(root, "cells"), i, cell) width =
        (int)strlen(prony_json_string(cell, "id")) > width ? (int)strlen(prony_json_string(cell, "id")) : width;
    width = width > 64 ? 64 : width;
    (void)fprintf(out, "  %-*s %10s %10s %8s  %-19s %s\n", width, "cell", "A", "B", "change", "95% interval",
                  "verdict");
    json_array_foreach(json_object_get(root, "cells"), i, cell)
    {
        struct row row;
        bool red;
        row_take(cell, &row);
        red = colour && strcmp(row.verdict, "regressed") == 0;
        (void)fprintf(out, "  %-*s %10s %10s %8s  %-19s %s%s%s%s%s\n", width, row.id, row.before, row.after, row.change,
                      row.interval, red ? "\033[31m" : "", row.verdict, red ? "\033[0m" : "",
                      row.reason[0] != '\0' ? ": " : "", row.reason);
    }
    (void)fputc('\n', out);
    counts_say(comparison, out);
    (void)fprintf(out, "\nA is %s, B is %s.\n%s\n", prony_json_string(json_object_get(root, "a"), "file"),
                  prony_json_string(json_object_get(root, "b"), "file"), unpaired);
    if (!json_is_true(json_object_get(root, "same_machine")))
        (void)fputs("Different machines: the ratios are of machines, too.\n", out);
    if (json_array_size(json_object_get(root, "differences")) > 0)
        (void)fputs("What else differs:\n", out);
    differences_say(comparison, out, "  ", "\n", plain);
}

static void rank_table(const struct prony_comparison *comparison, FILE *out)
{
    const json_t *workload, *group, *racer;
    size_t w, g, r;
    json_array_foreach(json_object_get(comparison->root, "workloads"), w, workload)
    {
        unsigned place = 1;
        (void)fprintf(out, "%s%s: %s\n", w > 0 ? "\n" : "", prony_json_string(workload, "workload"),
                      prony_json_string(workload, "verdict"));
        json_array_foreach(json_object_get(workload, "groups"), g, group)
        {
            json_array_foreach(group, r, racer)
            {
                char rate[32], low[32] = "-", high[32] = "-";
                if (json_is_array(json_object_get(racer, "rate_ci95"))) {
                    (void)prony_text_of_count(prony_json_end(racer, "rate_ci95", 0), low, sizeof low);
                    (void)prony_text_of_count(prony_json_end(racer, "rate_ci95", 1), high, sizeof high);
                }
                (void)fprintf(out, "  %3u%s %-28s n%-4.0f %10s/s  %s to %s\n", place,
                              json_array_size(group) > 1 ? "=" : " ", prony_json_string(racer, "series"),
                              prony_json_number(racer, "workers"),
                              prony_text_of_count(prony_json_number(racer, "rate"), rate, sizeof rate), low, high);
            }
            place += (unsigned)json_array_size(group);
        }
    }
    (void)fputs("\nThose with = in one place cannot be told apart by this report.\n", out);
}

int prony_comparison_table(const struct prony_comparison *comparison, FILE *out, bool colour)
{
    if (is_rank(comparison))
        rank_table(comparison, out);
    else
        pair_table(comparison, out, colour);
    return ferror(out) ? -EIO : 0;
}

static int json_say(const struct prony_comparison *comparison, FILE *out)
{
    return prony_json_print(comparison->root, out);
}

static void markdown_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            (void)fputs("&lt;", out);
        else
            (void)fprintf(out, "%s%c", *text == '|' ? "\\" : "", *text == '\n' ? ' ' : *text);
    }
}

static void pair_markdown(const struct prony_comparison *comparison, FILE *out)
{
    const json_t *cell;
    size_t i;
    (void)fputs("# prony: comparison\n\n", out);
    counts_say(comparison, out);
    (void)fprintf(
        out,
        ".\n\n> %s\n\n| cell | A | B | change | 95%% interval | verdict |\n| --- | ---: | ---: | ---: | --- | --- |\n",
        unpaired);
    json_array_foreach(json_object_get(comparison->root, "cells"), i, cell)
    {
        struct row row;
        row_take(cell, &row);
        (void)fputs("| ", out);
        markdown_text(out, row.id);
        (void)fprintf(out, " | %s | %s | %s | %s | %s%s", row.before, row.after, row.change, row.interval, row.verdict,
                      row.reason[0] != '\0' ? ": " : "");
        markdown_text(out, row.reason);
        (void)fputs(" |\n", out);
    }
    if (json_array_size(json_object_get(comparison->root, "differences")) > 0)
        (void)fputs("\n## What else differs\n\n", out);
    differences_say(comparison, out, "- ", "\n", markdown_text);
}

static void rank_markdown(const struct prony_comparison *comparison, FILE *out)
{
    const json_t *workload, *group, *racer;
    size_t w, g, r;
    (void)fputs("# prony: ranking\n\n| workload | place | who | workers | rate |\n| --- | ---: | --- | ---: | ---: |\n",
                out);
    json_array_foreach(json_object_get(comparison->root, "workloads"), w, workload)
    {
        unsigned place = 1;
        json_array_foreach(json_object_get(workload, "groups"), g, group)
        {
            json_array_foreach(group, r, racer)
            {
                char rate[32];
                (void)fputs("| ", out);
                markdown_text(out, prony_json_string(workload, "workload"));
                (void)fprintf(out, " | %u%s | ", place, json_array_size(group) > 1 ? "=" : "");
                markdown_text(out, prony_json_string(racer, "series"));
                (void)fprintf(out, " | %.0f | %s/s |\n", prony_json_number(racer, "workers"),
                              prony_text_of_count(prony_json_number(racer, "rate"), rate, sizeof rate));
            }
            place += (unsigned)json_array_size(group);
        }
    }
    (void)fputs("\nThose with = in one place cannot be told apart by this report.\n", out);
}

static int markdown_say(const struct prony_comparison *comparison, FILE *out)
{
    if (is_rank(comparison))
        rank_markdown(comparison, out);
    else
        pair_markdown(comparison, out);
    return 0;
}

static void pair_page(const struct prony_comparison *comparison, FILE *out)
{
    const json_t *root = comparison->root, *cell;
    size_t i;
    (void)fputs("<p>", out);
    counts_say(comparison, out);
    (void)fprintf(
        out,
        ".</p>\n<p class=\"banner warn\">%s%s</p>\n<h2>Cells</h2>\n<div class=scroll><table class=sorts><thead><tr>"
        "<th>cell</th><th class=n>A</th><th class=n>B</th><th class=n>change</th><th class=n>95%% interval</th>"
        "<th>verdict</th></tr></thead><tbody>\n",
        unpaired, json_is_true(json_object_get(root, "same_machine")) ? "" : " The reports are of different machines.");
    json_array_foreach(json_object_get(root, "cells"), i, cell)
    {
        struct row row;
        row_take(cell, &row);
        (void)fputs("<tr><td class=label><code>", out);
        prony_html(out, row.id);
        (void)fprintf(out,
                      "</code></td><td class=n>%s</td><td class=n>%s</td><td class=n>%s</td><td class=n>%s</td>"
                      "<td class=\"why %s\">",
                      row.before, row.after, row.change, row.interval,
                      strcmp(row.verdict, "regressed") == 0  ? "failed"
                      : strcmp(row.verdict, "improved") == 0 ? "ok"
                                                             : "");
        prony_html(out, row.verdict);
        (void)fputs(row.reason[0] != '\0' ? ": " : "", out);
        prony_html(out, row.reason);
        (void)fputs("</td></tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n<h2>What else differs</h2>\n<ul>\n", out);
    differences_say(comparison, out, "<li>", "</li>\n", prony_html);
    (void)fputs("</ul>\n", out);
}

static void rank_page(const struct prony_comparison *comparison, FILE *out)
{
    const json_t *workload, *group, *racer;
    size_t w, g, r;
    json_array_foreach(json_object_get(comparison->root, "workloads"), w, workload)
    {
        (void)fputs("<h2>", out);
        prony_html(out, prony_json_string(workload, "workload"));
        (void)fputs("</h2>\n<p>", out);
        prony_html(out, prony_json_string(workload, "verdict"));
        (void)fputs(".</p>\n<ol>\n", out);
        json_array_foreach(json_object_get(workload, "groups"), g, group)
        {
            (void)fputs("<li>", out);
            json_array_foreach(group, r, racer)
            {
                char rate[32];
                (void)fputs(r > 0 ? ", " : "", out);
                prony_html(out, prony_json_string(racer, "series"));
                (void)fprintf(out, " (%s/s with %.0f)",
                              prony_text_of_count(prony_json_number(racer, "rate"), rate, sizeof rate),
                              prony_json_number(racer, "workers"));
            }
            (void)fputs("</li>\n", out);
        }
        (void)fputs("</ol>\n", out);
    }
}

static int page_say(const struct prony_comparison *comparison, FILE *out)
{
    bool rank = is_rank(comparison);
    prony_page_open(out, rank ? "ranking" : "comparison");
    if (rank)
        rank_page(comparison, out);
    else
        pair_page(comparison, out);
    prony_page_close(out);
    return 0;
}

static int junit_say(const struct prony_comparison *comparison, FILE *out)
{
    const json_t *cell;
    size_t i;
    struct prony_compare_counts counts;
    prony_comparison_count(comparison, &counts);
    prony_junit_open(out, "prony compare", (unsigned)json_array_size(json_object_get(comparison->root, "cells")),
                     counts.regressed, counts.uncompared, counts.skipped + counts.inconclusive);
    json_array_foreach(json_object_get(comparison->root, "cells"), i, cell)
    {
        struct row row;
        char text[256];
        enum prony_junit kind;
        row_take(cell, &row);
        kind = strcmp(row.verdict, "regressed") == 0                                             ? PRONY_JUNIT_FAILED
               : strcmp(row.verdict, "uncompared") == 0                                          ? PRONY_JUNIT_ERROR
               : strcmp(row.verdict, "skipped") == 0 || strcmp(row.verdict, "inconclusive") == 0 ? PRONY_JUNIT_SKIPPED
                                                                                                 : PRONY_JUNIT_PASSED;
        (void)snprintf(text, sizeof text, "%s: %s (%s)%s%s", row.verdict, row.change, row.interval,
                       row.reason[0] != '\0' ? ": " : "", row.reason);
        prony_junit_case(out, "compare", row.id, prony_json_number(json_object_get(cell, "b"), "median"), kind, text);
    }
    prony_junit_close(out);
    return 0;
}

static const struct format {
    const char *name;
    int (*write)(const struct prony_comparison *comparison, FILE *out);
    bool pair_only;
} formats[] = {
    {"html", page_say, false},
    {"md", markdown_say, false},
    {"json", json_say, false},
    {"junit", junit_say, true},
};

static const struct format *format_find(const char *name, struct prony_error *error)
{
    static const char *const names[] = {"html", "md", "json", "junit", NULL};
    char hint[120];
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    (void)prony_fail(error, -EINVAL, "unknown format '%s'%s (known: html, md, json, junit)", name,
                     prony_text_nearest(name, names, hint, sizeof hint));
    return NULL;
}

int prony_comparison_format_check(const char *format, struct prony_error *error)
{
    return format_find(format, error) != NULL ? 0 : -EINVAL;
}

int prony_comparison_export(const struct prony_comparison *comparison, const char *format, FILE *out,
                            struct prony_error *error)
{
    const struct format *known = format_find(format, error);
    int code;
    if (known == NULL)
        return -EINVAL;
    if (known->pair_only && is_rank(comparison))
        return prony_fail(error, -EINVAL, "%s holds verdicts, and a ranking of one report has none", format);
    errno = 0;
    code = known->write(comparison, out);
    if (fflush(out) != 0 || ferror(out))
        code = errno != 0 ? -errno : -EIO;
    return code == 0 ? 0
                     : prony_fail(error, code, "cannot write the comparison as %s: %s", format, strerrordesc_np(-code));
}
