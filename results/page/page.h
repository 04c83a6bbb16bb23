/* Shared by page.c (the order of things) and parts.c (tables and lists): HTML that cannot be broken by its data. */
#ifndef PRONY_RESULTS_PAGE_H
#define PRONY_RESULTS_PAGE_H

#include "results/view.h"

extern const char prony_page_css[], prony_page_js[]; /* generated from page/ */

/* Text with <, >, & and quotes escaped. */
void prony_html(FILE *out, const char *text);

/* From the doctype to <main>, and from </main> to the end. */
void prony_page_open(FILE *out, const char *title);
void prony_page_close(FILE *out);

void prony_page_cells(FILE *out, const struct prony_view *view);
void prony_page_task_times(FILE *out, const struct prony_view *view);
void prony_page_unmeasured(FILE *out, const struct prony_view *view);
void prony_page_disturbed(FILE *out, const struct prony_report *report, const struct prony_view *view);
/* What the doctor found on the machine, when the report has it. */
void prony_page_doctor(FILE *out, const struct prony_report *report);
/* How close the cells came to the peaks that were measured; nothing without peaks (roofline_say.c). */
void prony_page_roofline(FILE *out, const struct prony_view *view);
/* Python's engines beside ours; nothing where none was measured (results/beside.c). */
void prony_page_beside(FILE *out, const struct prony_view *view);
void prony_page_profile(FILE *out, const struct prony_report *report, const struct prony_view *view);
void prony_page_context(FILE *out, const struct prony_report *report);

#endif
