/* What about this machine disturbs measurements: each finding says what it does, whether it is so, and how to change it.
 * Read from the system's own files; nothing is changed. */
#ifndef PRONY_RESULTS_DOCTOR_H
#define PRONY_RESULTS_DOCTOR_H

#include "results/report.h"

enum prony_severity { PRONY_FINE, PRONY_NOTE, PRONY_WARN };

struct prony_finding {
    const char *name;   /* "governor"; static, as the next two */
    const char *effect; /* what it does to a measurement */
    const char *remedy; /* the command that changes it; NULL when fine, or nothing does */
    enum prony_severity severity;
    char state[200]; /* what is so here; what could not be read is a note with the reason */
};

#define PRONY_FINDINGS_MAX 24

/* Fills findings, at most PRONY_FINDINGS_MAX; returns how many. `root` goes before every path ("" for this system). */
unsigned prony_doctor_look(const char *root, struct prony_finding *findings);
/* "ok", "note", "warn" */
const char *prony_severity_name(enum prony_severity severity);
int prony_doctor_table(const struct prony_finding *findings, unsigned n, FILE *out, bool colour);
/* An array of {name, severity, state, effect, remedy}. */
int prony_doctor_json(const struct prony_finding *findings, unsigned n, FILE *out);
/* Puts them into the report's context, as context.doctor. */
int prony_report_doctor(struct prony_report *report, const struct prony_finding *findings, unsigned n);

#endif
