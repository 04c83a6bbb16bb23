/* What the doctor found: a table, JSON, a part of the report and of its page. */
#include "results/doctor/doctor.h"
#include "results/page/page.h"

#include <errno.h>
#include <string.h>

const char *prony_severity_name(enum prony_severity severity)
{
    static const char *const names[] = {"ok", "note", "warn"};
    return names[severity];
}

int prony_doctor_table(const struct prony_finding *findings, unsigned n, FILE *out, bool colour)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    unsigned counts[3] = {0};
    for (unsigned i = 0; i < n; i++) {
        const struct prony_finding *finding = &findings[i];
        counts[finding->severity]++;
        (void)fprintf(out, "%s%-4s%s  %-15s %s\n", colour ? colours[finding->severity] : "",
                      prony_severity_name(finding->severity), colour ? "\033[0m" : "", finding->name, finding->state);
        if (finding->severity == PRONY_FINE)
            continue;
        (void)fprintf(out, "%22s%s\n", "", finding->effect);
        if (finding->remedy != NULL)
            (void)fprintf(out, "%22sto change it: %s\n", "", finding->remedy);
    }
    (void)fprintf(out, "\n%u ok, %u notes, %u warnings\n", counts[PRONY_FINE], counts[PRONY_NOTE], counts[PRONY_WARN]);
    return ferror(out) ? -EIO : 0;
}

static json_t *findings_json(const struct prony_finding *findings, unsigned n)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < n; i++)
        if (json_array_append_new(array, json_pack("{s:s, s:s, s:o, s:s, s:o}", "name", findings[i].name, "severity",
                                                   prony_severity_name(findings[i].severity), "state",
                                                   prony_json_text(findings[i].state), "effect", findings[i].effect,
                                                   "remedy", prony_json_text(findings[i].remedy))) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

int prony_doctor_json(const struct prony_finding *findings, unsigned n, FILE *out)
{
    json_t *array = findings_json(findings, n);
    int code = array == NULL                                                            ? -ENOMEM
               : json_dumpf(array, out, JSON_INDENT(1)) != 0 || fputc('\n', out) == EOF ? -EIO
                                                                                        : 0;
    json_decref(array);
    return code;
}

int prony_report_doctor(struct prony_report *report, const struct prony_finding *findings, unsigned n)
{
    return json_object_set_new(json_object_get(report->root, "context"), "doctor", findings_json(findings, n)) == 0
               ? 0
               : -ENOMEM;
}

void prony_page_doctor(FILE *out, const struct prony_report *report)
{
    const json_t *findings = json_object_get(json_object_get(report->root, "context"), "doctor"), *finding;
    unsigned fine = 0;
    size_t i;
    if (!json_is_array(findings))
        return;
    (void)fputs(
        "<h2 id=doctor>What disturbs this machine</h2>\n<div class=scroll><table><thead><tr><th>what</th><th>here</th>"
        "<th>what it does, and how to change it</th></tr></thead><tbody>\n",
        out);
    json_array_foreach(findings, i, finding)
    {
        const char *severity = prony_json_string(finding, "severity"), *remedy = prony_json_string(finding, "remedy");
        if (strcmp(severity, "ok") == 0) {
            fine++;
            continue;
        }
        (void)fprintf(out, "<tr><td class=%s>", strcmp(severity, "warn") == 0 ? "failed" : "skipped");
        prony_html(out, prony_json_string(finding, "name"));
        (void)fputs("</td><td class=why>", out);
        prony_html(out, prony_json_string(finding, "state"));
        (void)fputs("</td><td class=why>", out);
        prony_html(out, prony_json_string(finding, "effect"));
        if (remedy[0] != '\0') {
            (void)fputs("<br><code>", out);
            prony_html(out, remedy);
            (void)fputs("</code>", out);
        }
        (void)fputs("</td></tr>\n", out);
    }
    (void)fprintf(
        out,
        "</tbody></table></div>\n<p>%u more things were looked at and are fine. <code>prony doctor</code> shows "
        "them all.</p>\n",
        fine);
}
