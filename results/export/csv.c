/* The report as CSV (RFC 4180): one row a cell, numbers in the units of report.json, empty where there is none. */
#include "results/messages.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Quoted where needed; a first character that a spreadsheet would take for a formula is kept as text. */
static void text_say(FILE *out, const char *text)
{
    bool formula = text[0] != '\0' && strchr("=+-@", text[0]) != NULL;
    if (!formula && strpbrk(text, ",\"\r\n") == NULL) {
        (void)fprintf(out, "%s,", text);
        return;
    }
    (void)fputs(formula ? "\"'" : "\"", out);
    for (; *text != '\0'; text++)
        (void)fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, out);
    (void)fputs("\",", out);
}

static void number_say(FILE *out, double value)
{
    if (isfinite(value))
        (void)fprintf(out, "%.10g", value);
    (void)fputc(',', out);
}

static void figure_say(FILE *out, const struct prony_figure *figure)
{
    number_say(out, figure->value);
    number_say(out, figure->low);
    number_say(out, figure->high);
}

static void params_say(FILE *out, const json_t *params)
{
    char *text = json_dumps(params, JSON_COMPACT);
    text_say(out, text != NULL && strcmp(text, "{}") != 0 ? text : "");
    free(text);
}

static void messages_say(FILE *out, const struct prony_view_cell *cell)
{
    struct prony_messages messages;
    if (prony_messages_of(cell, &messages)) {
        number_say(out, messages.rate);
        number_say(out, messages.bytes_per_s);
        number_say(out, messages.cpu_ns);
        number_say(out, messages.switches);
        number_say(out, messages.calls);
        if (isfinite(messages.vain))
            (void)fprintf(out, "%.10g", messages.vain);
    } else {
        (void)fputs(",,,,,", out);
    }
    (void)fputs("\r\n", out);
}

int prony_report_csv(const struct prony_report *report, FILE *out)
{
    static const char *const points[] = {"p50", "p90", "p99", "p99.9", "p99.99", "max"};
    struct prony_view view;
    int code = prony_view_make(report, &view);
    if (code != 0)
        return code;
    (void)fputs(
        "id,workload,engine,channel,workers,placement,params,status,reason,unit,items,visits,marked_visits,"
        "median_ns,ci95_low_ns,ci95_high_ns,rate,rate_low,rate_high,speedup,speedup_low,speedup_high,efficiency,"
        "p50_ns,p90_ns,p99_ns,p99.9_ns,p99.99_ns,max_ns,verified,"
        "messages_per_s,bytes_per_s,cpu_ns_per_message,switches_per_message,system_calls_per_message,"
        "system_calls_in_vain_per_message\r\n",
        out);
    for (unsigned i = 0; i < view.count; i++) {
        const struct prony_view_cell *cell = &view.cell[i];
        const char *const words[] = {cell->id, cell->workload, cell->engine, prony_json_string(cell->json, "channel")};
        for (size_t w = 0; w < 4; w++)
            text_say(out, words[w]);
        number_say(out, cell->workers);
        text_say(out, prony_json_string(json_object_get(cell->json, "placement"), "policy"));
        params_say(out, json_object_get(cell->json, "params"));
        text_say(out, cell->status);
        text_say(out, cell->reason);
        text_say(out, cell->unit);
        number_say(out, prony_json_number(cell->json, "items"));
        number_say(out, cell->visits);
        number_say(out, cell->marked);
        figure_say(out, &cell->time_ns);
        figure_say(out, &cell->rate);
        figure_say(out, &cell->speedup);
        number_say(out, cell->efficiency.value);
        for (size_t p = 0; p < 6; p++)
            number_say(out, prony_json_number(json_object_get(cell->json, "latency"), points[p]));
        number_say(out, prony_json_number(cell->json, "verified"));
        messages_say(out, cell);
    }
    prony_view_free(&view);
    return ferror(out) ? -EIO : 0;
}
