/* Many reports of one plan over time: what each cell took, and where it changed. */
#ifndef PRONY_RESULTS_HISTORY_H
#define PRONY_RESULTS_HISTORY_H

#include "results/report.h"

struct prony_history; /* in memory; the JSON of prony.history/1 */

/* Is this a folder that holds reports, but is none itself? */
bool prony_history_is(const char *path);
/* Reads all reports in a folder: FILE.json, and report.json in its folders (links are not followed), in the order of their
 * start. What cannot be read, or holds a time that is none, is left out with its reason. A change is marked where the
 * unpaired 95% interval of the ratio to the report at which the present level began lies wholly beyond the margin, on the
 * same machine. -ENODATA: no report. */
int prony_history_read(const char *folder, double margin_percent, struct prony_history **history,
                       struct prony_error *error);
void prony_history_free(struct prony_history *history);
/* "html" or "json". */
int prony_history_format_check(const char *format, struct prony_error *error);
int prony_history_export(const struct prony_history *history, const char *format, FILE *out, struct prony_error *error);
/* The changes, newest first, for a terminal. */
int prony_history_table(const struct prony_history *history, FILE *out);

#endif
