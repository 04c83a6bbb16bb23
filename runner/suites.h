/* Suites: those of suites/, built into the program, and files of one's own. */
#ifndef PRONY_RUNNER_SUITES_H
#define PRONY_RUNNER_SUITES_H

#include "results/report.h"

struct runner_suite {
    const char *name;
    const unsigned char *text;
    size_t bytes;
};
extern const struct runner_suite runner_suites[]; /* generated; ends with a NULL name */

/* Reads a built-in suite by name, or FILE.json. -ENOENT with the nearest names. `name` is its short name, malloc'ed. */
int runner_suite_read(const char *suite, struct prony_row **rows, unsigned *n, struct prony_method *method,
                      char **summary, char **name, struct prony_error *error);

#endif
