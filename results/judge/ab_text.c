/* A paired comparison for people: table, Markdown, a page; and JUnit XML, for what collects test results. */
#include "results/judge/ab.h"
#include "results/model.h"
#include "results/page/page.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const char *prony_ab_unit(const char *read, const char *metric)
{
    bool wall = strcmp(read, "wall") == 0;
    if ((wall || strcmp(read, "gbench") == 0 || strcmp(read, "prony") == 0) &&
        (strcmp(metric, "time") == 0 || strcmp(metric, "cpu") == 0 || metric[0] == 'p' || strcmp(metric, "max") == 0))
        return "ns";
    if (strcmp(read, "callgrind") == 0)
        return "simulated";
    return wall && strcmp(metric, "rss") == 0 ? "bytes" : "";
}

const char *prony_ab_word(const struct prony_ab *ab)
{
    if (ab->status == PRONY_AB_FAILED)
        return "failed";
    if (ab->status == PRONY_AB_INTERRUPTED)
        return "interrupted";
    if (prony_ab_count(ab, PRONY_REGRESSED) > 0)
        return "regressed";
    if (prony_ab_count(ab, PRONY_INCONCLUSIVE) > 0)
        return "inconclusive";
    return prony_ab_count(ab, PRONY_IMPROVED) > 0 ? "improved" : "equivalent";
}

/* A row as words, the same in all formats. */
struct row {
    const char *benchmark, *metric, *verdict;
    char base[32], head[32], change[32], interval[48], pairs[16], note[120];
    bool primary;
};
static const char *const columns[] = {"benchmark", "metric", "base", "head", "change", "interval", "pairs", "verdict"};
enum { COLUMNS = 8 };

static const char *cell_of(const struct row *row, unsigned column)
{
    const char *const cells[] = {row->benchmark, row->metric,   row->base,  row->head,
                                 row->change,    row->interval, row->pairs, row->verdict};
    return cells[column];
}

static void value_text(double value, const char *unit, char *text, size_t bytes)
{
    if (!isfinite(value))
        (void)snprintf(text, bytes, "-");
    else if (strcmp(unit, "ns") == 0)
        (void)prony_text_of_ns(value, text, bytes);
    else if (strcmp(unit, "bytes") == 0)
        (void)prony_text_of_bytes(value, text, bytes);
    else
        (void)snprintf(text, bytes, strcmp(unit, "simulated") == 0 ? "%.8g" : "%.5g", value);
}

static void row_note(const struct prony_ab_telling *telling, unsigned i, struct row *row)
{
    const struct prony_ab *ab = telling->ab;
    const struct prony_ab_series *series = &ab->main.series[i];
    if (!series->primary || ab->status != PRONY_AB_JUDGED || ab->verdict[i] != PRONY_INCONCLUSIVE)
        return;
    if (series->judged.verdict == PRONY_REGRESSED)
        (void)snprintf(row->note, sizeof row->note, "regressed at first, %+.2f%% and %s on fresh pairs",
                       100 * expm1(ab->fresh.series[i].judged.median),
                       prony_verdict_name(ab->fresh.series[i].judged.verdict));
    else if (series->judged.decisive_pairs > 0)
        (void)snprintf(row->note, sizeof row->note, "about %zu pairs would decide",
                       series->judged.decisive_pairs + series->judged.decisive_pairs % 2);
    else
        (void)snprintf(row->note, sizeof row->note, "not even %d pairs would decide", PRONY_PAIRS_MOST);
}

static void row_make(const struct prony_ab_telling *telling, unsigned i, struct row *row)
{
    const struct prony_ab *ab = telling->ab;
    const struct prony_ab_series *series = &ab->main.series[i];
    const char *unit = prony_ab_unit(telling->read, series->metric);
    double sign = series->primary && telling->plan->higher ? -1 : 1;
    double ends[2] = {sign * series->judged.interval.low, sign * series->judged.interval.high};
    *row = (struct row){.benchmark = series->benchmark, .metric = series->metric, .primary = series->primary};
    value_text(series->median[PRONY_BASE], unit, row->base, sizeof row->base);
    value_text(series->median[PRONY_HEAD], unit, row->head, sizeof row->head);
    (void)snprintf(row->pairs, sizeof row->pairs, "%u", ab->main.pairs);
    if (isfinite(series->judged.median) && ab->main.pairs > 0)
        (void)snprintf(row->change, sizeof row->change, "%+.2f%%", 100 * expm1(sign * series->judged.median));
    else
        (void)snprintf(row->change, sizeof row->change, "-");
    if (isfinite(ends[0]) && isfinite(ends[1]) && ab->main.pairs > 0)
        (void)snprintf(row->interval, sizeof row->interval, "%+.2f%% .. %+.2f%%", 100 * expm1(fmin(ends[0], ends[1])),
                       100 * expm1(fmax(ends[0], ends[1])));
    else
        (void)snprintf(row->interval, sizeof row->interval, "-");
    row->verdict = !series->primary                ? "informs"
                   : ab->status != PRONY_AB_JUDGED ? "not judged"
                                                   : prony_verdict_name(ab->verdict[i]);
    row_note(telling, i, row);
}

/* "regressed: 1 of 3 benchmarks; ..." */
static void summary(const struct prony_ab_telling *telling, char *text, size_t bytes)
{
    const struct prony_ab *ab = telling->ab;
    unsigned m = 0, regressed = prony_ab_count(ab, PRONY_REGRESSED);
    const char *simulated = strcmp(telling->read, "callgrind") == 0 ? "; counts are simulated, by valgrind" : "";
    char wall[32];
    for (unsigned i = 0; i < ab->main.series_count; i++)
        m += ab->main.series[i].primary;
    (void)prony_text_of_ns((double)ab->wall_ns, wall, sizeof wall);
    if (ab->status != PRONY_AB_JUDGED)
        (void)snprintf(text, bytes, "%s: %s", prony_ab_word(ab), ab->reason.text);
    else if (regressed > 0)
        (void)snprintf(text, bytes,
                       "regressed: %u of %u benchmark%s by more than the margin of %.3g%%; %u launches in %s%s",
                       regressed, m, m == 1 ? "" : "s", 100 * telling->plan->margin, ab->launches, wall, simulated);
    else
        (void)snprintf(text, bytes, "%s: no regression beyond %.3g%% was %s; %u launches in %s%s", prony_ab_word(ab),
                       100 * telling->plan->margin,
                       prony_ab_count(ab, PRONY_INCONCLUSIVE) > 0 ? "shown, nor excluded for all" : "found",
                       ab->launches, wall, simulated);
}

static const char *paint(const struct prony_ab_telling *telling, const char *verdict)
{
    if (!telling->colour)
        return "";
    return strcmp(verdict, "regressed") == 0  ? "\033[31m"
           : strcmp(verdict, "improved") == 0 ? "\033[32m"
           : strcmp(verdict, "informs") == 0  ? "\033[2m"
                                              : "";
}

static int table(const struct prony_ab_telling *telling, FILE *out)
{
    const struct prony_ab *ab = telling->ab;
    size_t widths[COLUMNS];
    char words[400];
    struct row row;
    for (unsigned c = 0; c < COLUMNS; c++)
        widths[c] = strlen(columns[c]);
    for (unsigned i = 0; i < ab->main.series_count; i++) {
        row_make(telling, i, &row);
        for (unsigned c = 0; c < COLUMNS; c++)
            widths[c] = strlen(cell_of(&row, c)) > widths[c] ? strlen(cell_of(&row, c)) : widths[c];
    }
    for (unsigned c = 0; ab->main.series_count > 0 && c < COLUMNS; c++)
        (void)fprintf(out, c >= 2 && c < 7 ? "%*s%s" : "%-*s%s", c == 7 ? 0 : (int)widths[c], columns[c],
                      c == 7 ? "\n" : "  ");
    for (unsigned i = 0; i < ab->main.series_count; i++) {
        row_make(telling, i, &row);
        (void)fputs(paint(telling, row.verdict), out);
        for (unsigned c = 0; c < COLUMNS; c++)
            (void)fprintf(out, c >= 2 && c < 7 ? "%*s%s" : "%-*s%s", c == 7 ? 0 : (int)widths[c], cell_of(&row, c),
                          c == 7 ? "" : "  ");
        (void)fprintf(out, "%s%s%s\n", paint(telling, row.verdict)[0] != '\0' ? "\033[0m" : "",
                      row.note[0] != '\0' ? ": " : "", row.note);
    }
    summary(telling, words, sizeof words);
    (void)fprintf(out, "%s\n", words);
    return 0;
}

/* Text inside a table of Markdown. */
static void md_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        (void)fprintf(out, strchr("|\\`*_<>[]", *text) != NULL ? "\\%c" : "%c", *text);
}

static int markdown(const struct prony_ab_telling *telling, FILE *out)
{
    char words[400];
    struct row row;
    summary(telling, words, sizeof words);
    (void)fprintf(out, "**");
    md_text(out, words);
    (void)fprintf(out, "**\n\n|");
    for (unsigned c = 0; c < COLUMNS; c++)
        (void)fprintf(out, " %s |", columns[c]);
    (void)fprintf(out, "\n| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |\n");
    for (unsigned i = 0; i < telling->ab->main.series_count; i++) {
        row_make(telling, i, &row);
        (void)fputc('|', out);
        for (unsigned c = 0; c < COLUMNS; c++) {
            (void)fputc(' ', out);
            md_text(out, cell_of(&row, c));
            if (c == COLUMNS - 1 && row.note[0] != '\0') {
                (void)fputs(": ", out);
                md_text(out, row.note);
            }
            (void)fputs(" |", out);
        }
        (void)fputc('\n', out);
    }
    (void)fprintf(out, "\nbase: ");
    md_text(out, telling->base);
    (void)fprintf(out, "  \nhead: ");
    md_text(out, telling->head);
    (void)fprintf(out, "\n");
    return 0;
}

static int page(const struct prony_ab_telling *telling, FILE *out)
{
    char words[400];
    struct row row;
    summary(telling, words, sizeof words);
    (void)fprintf(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>prony ab: %s</title>\n"
        "<style>\n%s</style></head>\n<body><main>\n<h1>prony ab: %s</h1>\n<p>",
        prony_ab_word(telling->ab), prony_page_css, prony_ab_word(telling->ab));
    prony_html(out, words);
    (void)fputs("</p>\n<dl><dt>base</dt><dd><code>", out);
    prony_html(out, telling->base);
    (void)fputs("</code></dd><dt>head</dt><dd><code>", out);
    prony_html(out, telling->head);
    (void)fputs("</code></dd></dl>\n<table><thead><tr>", out);
    for (unsigned c = 0; c < COLUMNS; c++)
        (void)fprintf(out, "<th scope=\"col\">%s</th>", columns[c]);
    (void)fputs("</tr></thead><tbody>\n", out);
    for (unsigned i = 0; i < telling->ab->main.series_count; i++) {
        row_make(telling, i, &row);
        (void)fputs("<tr>", out);
        for (unsigned c = 0; c < COLUMNS; c++) {
            (void)fputs("<td>", out);
            prony_html(out, cell_of(&row, c));
            if (c == COLUMNS - 1 && row.note[0] != '\0') {
                (void)fputs(": ", out);
                prony_html(out, row.note);
            }
            (void)fputs("</td>", out);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</tbody></table>\n</main></body></html>\n", out);
    return 0;
}

/* A test case a primary benchmark: a regression is a failure, an inconclusive one is skipped. */
static int junit(const struct prony_ab_telling *telling, FILE *out)
{
    const struct prony_ab *ab = telling->ab;
    unsigned m = 0, failed = ab->status != PRONY_AB_JUDGED;
    struct row row;
    for (unsigned i = 0; i < ab->main.series_count; i++)
        m += ab->main.series[i].primary;
    (void)fprintf(out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"prony ab\" tests=\"%u\" "
                  "failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\">\n",
                  m + failed, prony_ab_count(ab, PRONY_REGRESSED), failed, prony_ab_count(ab, PRONY_INCONCLUSIVE),
                  (double)ab->wall_ns / 1e9);
    if (failed > 0) {
        (void)fprintf(out, "<testcase classname=\"prony ab\" name=\"measurement\"><error message=\"");
        prony_html(out, ab->reason.text);
        (void)fprintf(out, "\"/></testcase>\n");
    }
    for (unsigned i = 0; i < ab->main.series_count; i++) {
        row_make(telling, i, &row);
        if (!row.primary)
            continue;
        (void)fprintf(out, "<testcase classname=\"prony ab\" name=\"");
        prony_html(out, row.benchmark);
        (void)fprintf(out, "\">");
        if (ab->status == PRONY_AB_JUDGED &&
            (ab->verdict[i] == PRONY_REGRESSED || ab->verdict[i] == PRONY_INCONCLUSIVE)) {
            (void)fprintf(out, "<%s message=\"%s %s (%s)", ab->verdict[i] == PRONY_REGRESSED ? "failure" : "skipped",
                          row.verdict, row.change, row.interval);
            if (row.note[0] != '\0')
                (void)fprintf(out, ", %s", row.note);
            (void)fprintf(out, "\"/>");
        }
        (void)fprintf(out, "<system-out>%s %s against %s, %s (%s), %s pairs: %s</system-out></testcase>\n", row.metric,
                      row.head, row.base, row.change, row.interval, row.pairs, row.verdict);
    }
    (void)fprintf(out, "</testsuite>\n</testsuites>\n");
    return 0;
}

static const struct format {
    const char *name;
    int (*write)(const struct prony_ab_telling *telling, FILE *out);
} formats[] = {{"table", table}, {"json", prony_ab_json}, {"md", markdown},     {"html", page},
               {"junit", junit}, {"gab", prony_ab_gab},   {"bmf", prony_ab_bmf}};

static const struct format *format_find(const char *name, struct prony_error *error)
{
    static const char *const names[] = {"json", "md", "html", "junit", "gab", "bmf", NULL};
    char hint[120];
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    (void)prony_fail(error, -EINVAL, "unknown format '%s'%s (known: json, md, html, junit, gab, bmf)", name,
                     prony_text_nearest(name, names, hint, sizeof hint));
    return NULL;
}

int prony_ab_format_check(const char *format, struct prony_error *error)
{
    return format_find(format, error) != NULL ? 0 : -EINVAL;
}

int prony_ab_export(const struct prony_ab_telling *telling, const char *format, FILE *out, struct prony_error *error)
{
    const struct format *known = format_find(format, error);
    int code;
    if (known == NULL)
        return -EINVAL;
    code = known->write(telling, out);
    if (code == 0 && (fflush(out) != 0 || ferror(out)))
        code = -EIO;
    return code == 0 ? 0
                     : prony_fail(error, code, "cannot write the verdict as %s: %s", format, strerrordesc_np(-code));
}
