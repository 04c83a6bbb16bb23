/* What `prony exec` says of its report. */
#ifndef PRONY_RESULTS_EXEC_H
#define PRONY_RESULTS_EXEC_H

#include "results/report.h"

/* The commands by time, in groups that cannot be told apart, with what wait4 counted; 80 columns. */
int prony_exec_table(const struct prony_report *report, FILE *out, bool colour);

#endif
