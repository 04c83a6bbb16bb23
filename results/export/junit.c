/* JUnit XML, and a report in it: a verified cell has passed. */
#include "results/export/junit.h"
#include "results/view.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Text for XML 1.0, attributes included; control characters, which it cannot hold, become '?'. */
static void escaped(FILE *out, const char *text)
{
    static const char *const entities[] = {
        ['<'] = "&lt;", ['>'] = "&gt;", ['&'] = "&amp;", ['"'] = "&quot;", ['\n'] = "&#10;", ['\t'] = "&#9;"};
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < sizeof entities / sizeof entities[0] && entities[byte] != NULL)
            (void)fputs(entities[byte], out);
        else
            (void)fputc(byte < 0x20 || byte == 0x7F ? '?' : *text, out);
    }
}

void prony_junit_open(FILE *out, const char *suite, unsigned tests, unsigned failures, unsigned errors,
                      unsigned skipped)
{
    (void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"", out);
    escaped(out, suite);
    (void)fprintf(out, "\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\">\n", tests, failures, errors,
                  skipped);
}

void prony_junit_case(FILE *out, const char *group, const char *name, double ns, enum prony_junit kind,
                      const char *text)
{
    static const char *const tags[] = {"system-out", "failure", "error", "skipped"};
    (void)fputs("<testcase classname=\"prony.", out);
    escaped(out, group);
    (void)fputs("\" name=\"", out);
    escaped(out, name);
    if (isfinite(ns))
        (void)fprintf(out, "\" time=\"%.9f", ns / 1e9);
    (void)fputs("\">", out);
    if (kind == PRONY_JUNIT_PASSED && text[0] != '\0') {
        (void)fputs("<system-out>", out);
        escaped(out, text);
        (void)fputs("</system-out>", out);
    } else if (kind != PRONY_JUNIT_PASSED) {
        (void)fprintf(out, "<%s message=\"", tags[kind]);
        escaped(out, text);
        (void)fputs("\"/>", out);
    }
    (void)fputs("</testcase>\n", out);
}

void prony_junit_close(FILE *out)
{
    (void)fputs("</testsuite>\n</testsuites>\n", out);
}

int prony_report_junit(const struct prony_report *report, FILE *out)
{
    struct prony_view view;
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    prony_junit_open(out, prony_json_string(json_object_get(report->root, "plan"), "suite"), view.count, view.failed,
                     view.interrupted, view.skipped);
    for (unsigned i = 0; i < view.count; i++) {
        const struct prony_view_cell *cell = &view.cell[i];
        enum prony_junit kind = cell->ok                               ? PRONY_JUNIT_PASSED
                                : strcmp(cell->status, "failed") == 0  ? PRONY_JUNIT_FAILED
                                : strcmp(cell->status, "skipped") == 0 ? PRONY_JUNIT_SKIPPED
                                                                       : PRONY_JUNIT_ERROR;
        char text[160];
        (void)snprintf(text, sizeof text, "%.0f answers verified", prony_json_number(cell->json, "verified"));
        prony_junit_case(out, cell->workload, cell->id, cell->time_ns.value, kind, cell->ok ? text : cell->reason);
    }
    prony_junit_close(out);
    prony_view_free(&view);
    return ferror(out) ? -EIO : 0;
}
