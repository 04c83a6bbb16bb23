/* JUnit XML, as continuous integration reads it: one test suite, one test case a cell. */
#ifndef PRONY_RESULTS_JUNIT_H
#define PRONY_RESULTS_JUNIT_H

#include <stdio.h>

enum prony_junit { PRONY_JUNIT_PASSED, PRONY_JUNIT_FAILED, PRONY_JUNIT_ERROR, PRONY_JUNIT_SKIPPED };

void prony_junit_open(FILE *out, const char *suite, unsigned tests, unsigned failures, unsigned errors,
                      unsigned skipped);
/* text: the message of what is not passed, and the output of what is. ns: NaN for none. */
void prony_junit_case(FILE *out, const char *group, const char *name, double ns, enum prony_junit kind,
                      const char *text);
void prony_junit_close(FILE *out);

#endif
