#include "results/messages.h"
#include "results/page/page.h"

#include <math.h>
#include <string.h>

static const char about[] =
    "CPU time and switches of all sides, over the timed samples. System calls were counted one by one after the last "
    "visit, in a short sample that is not timed; answers are in them. Tries in vain found nothing to do. How often a "
    "side tries in vain, sleeps or wakes the other is a matter of timing, and was counted while each call was slowed "
    "down.";

bool prony_messages_of(const struct prony_view_cell *cell, struct prony_messages *messages)
{
    const json_t *wire = json_object_get(cell->json, "wire"), *sides = json_object_get(wire, "sides"), *side;
    size_t i;
    *messages = (struct prony_messages){
        .size = prony_json_number(wire, "size"),
        .rate = prony_json_number(wire, "messages_per_s"),
        .bytes_per_s = prony_json_number(wire, "bytes_per_s"),
        .cpu_ns = prony_json_number(json_object_get(wire, "cpu_ns_per_message"), "median"),
        .switches = 0,
        .calls = prony_json_number(wire, "system_calls"),
        .futex = prony_json_number(wire, "system_calls_futex"),
        .vain = prony_json_number(wire, "system_calls_in_vain"),
        .side_cpu_ns = {NAN, NAN},
        .side_calls = {NAN, NAN},
        .why = prony_json_string(wire, "system_calls_reason"),
    };
    json_array_foreach(sides, i, side)
    {
        messages->switches +=
            prony_json_number(side, "voluntary_per_message") + prony_json_number(side, "involuntary_per_message");
        if (json_array_size(sides) == 2) {
            messages->side_cpu_ns[i] = prony_json_number(side, "cpu_ns_per_message");
            messages->side_calls[i] = prony_json_number(side, "system_calls");
        }
    }
    return json_is_object(wire);
}

const char *prony_messages_count(double value, char *text, size_t bytes)
{
    if (isnan(value))
        (void)snprintf(text, bytes, "-");
    else if (value != 0 && value < 0.01)
        (void)snprintf(text, bytes, "< 0.01");
    else
        (void)snprintf(text, bytes, "%.2f", value);
    return text;
}

/* Why calls were not counted, as far as the cells agree in it: the first reason. */
static const char *first_why(const struct prony_view *view)
{
    struct prony_messages messages;
    for (unsigned i = 0; i < view->count; i++)
        if (prony_messages_of(&view->cell[i], &messages) && messages.why[0] != '\0')
            return messages.why;
    return "";
}

static void number_cell(FILE *out, double value, const char *text)
{
    if (isfinite(value))
        (void)fprintf(out, "<td class=n data-v=\"%.9g\">%s", value, text);
    else
        (void)fputs("<td class=n data-v=\"\">", out);
}

static void page_row(FILE *out, const struct prony_view *view, const struct prony_view_cell *cell,
                     const struct prony_messages *messages)
{
    char text[32], other[32];
    (void)fputs("<tr><td class=label>", out);
    prony_html(out, view->group[cell->group].label);
    (void)fputs("</td><td class=label>", out);
    prony_html(out, cell->series);
    (void)fputs("</td>", out);
    number_cell(out, messages->size, prony_text_of_bytes(messages->size, text, sizeof text));
    (void)fputs("</td>", out);
    number_cell(out, messages->rate, prony_text_of_count(messages->rate, text, sizeof text));
    (void)fputs("</td>", out);
    number_cell(out, messages->bytes_per_s, prony_text_of_count(messages->bytes_per_s, text, sizeof text));
    (void)fputs("</td>", out);
    number_cell(out, messages->cpu_ns, prony_text_of_ns(messages->cpu_ns, text, sizeof text));
    if (isfinite(messages->side_cpu_ns[0]))
        (void)fprintf(out, "<br><small>%s + %s</small>", prony_text_of_ns(messages->side_cpu_ns[0], text, sizeof text),
                      prony_text_of_ns(messages->side_cpu_ns[1], other, sizeof other));
    (void)fputs("</td>", out);
    number_cell(out, messages->switches, prony_messages_count(messages->switches, text, sizeof text));
    (void)fputs("</td>", out);
    number_cell(out, messages->calls, prony_messages_count(messages->calls, text, sizeof text));
    if (isfinite(messages->side_calls[0]))
        (void)fprintf(out, "<br><small>%s + %s</small>",
                      prony_messages_count(messages->side_calls[0], text, sizeof text),
                      prony_messages_count(messages->side_calls[1], other, sizeof other));
    (void)fputs("</td>", out);
    number_cell(out, messages->vain, prony_messages_count(messages->vain, text, sizeof text));
    (void)fputs("</td></tr>\n", out);
}

void prony_page_messages(FILE *out, const struct prony_view *view)
{
    struct prony_messages messages;
    bool any = false;
    for (unsigned i = 0; i < view->count; i++) {
        const struct prony_view_cell *cell = &view->cell[view->order[i]];
        if (!prony_messages_of(cell, &messages))
            continue;
        if (!any)
            (void)fprintf(out,
                          "<h2 id=messages>What a message costs</h2>\n<p>%s Below them stands what each of two sides "
                          "did.</p>\n<div class=scroll><table class=sorts><thead><tr><th>workload</th><th>engine</th>"
                          "<th class=n>size</th><th class=n>messages/s</th><th class=n>bytes/s</th><th class=n>CPU time"
                          "</th><th class=n>switches</th><th class=n>system calls</th><th class=n>tries in vain</th>"
                          "</tr></thead><tbody>\n",
                          about);
        any = true;
        page_row(out, view, cell, &messages);
    }
    if (!any)
        return;
    (void)fputs("</tbody></table></div>\n", out);
    if (first_why(view)[0] != '\0') {
        (void)fputs("<p>Where system calls are missing they were not counted: ", out);
        prony_html(out, first_why(view));
        (void)fputs(".</p>\n", out);
    }
}

/* Bars would end a cell of the table. */
static void bar_less(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        (void)fputs(*text == '|' ? "\\|" : *text == '<' ? "&lt;" : (char[]){*text, '\0'}, out);
}

void prony_markdown_messages(FILE *out, const struct prony_view *view)
{
    struct prony_messages messages;
    char text[7][32];
    bool any = false;
    for (unsigned i = 0; i < view->count; i++) {
        const struct prony_view_cell *cell = &view->cell[view->order[i]];
        if (!prony_messages_of(cell, &messages))
            continue;
        if (!any)
            (void)fprintf(out,
                          "\n## What a message costs\n\n%s\n\n| workload | engine | size | messages/s | bytes/s | CPU "
                          "time | switches | system calls | tries in vain |\n| --- | --- | ---: | ---: | ---: | ---: | "
                          "---: | ---: | ---: |\n",
                          about);
        any = true;
        (void)fputs("| ", out);
        bar_less(out, view->group[cell->group].label);
        (void)fputs(" | ", out);
        bar_less(out, cell->series);
        (void)fprintf(out, " | %s | %s | %s | %s | %s | %s | %s |\n",
                      prony_text_of_bytes(messages.size, text[0], sizeof text[0]),
                      prony_text_of_count(messages.rate, text[1], sizeof text[1]),
                      prony_text_of_count(messages.bytes_per_s, text[2], sizeof text[2]),
                      prony_text_of_ns(messages.cpu_ns, text[3], sizeof text[3]),
                      prony_messages_count(messages.switches, text[4], sizeof text[4]),
                      prony_messages_count(messages.calls, text[5], sizeof text[5]),
                      prony_messages_count(messages.vain, text[6], sizeof text[6]));
    }
    if (any && first_why(view)[0] != '\0')
        (void)fprintf(out, "\nWhere system calls are missing they were not counted: %s.\n", first_why(view));
}
