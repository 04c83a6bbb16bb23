/* What the commands that launch external programs share. */
#ifndef PRONY_RUNNER_SHARED_H
#define PRONY_RUNNER_SHARED_H

#include "base/text.h"
#include "topology/topology.h"

#include <stdint.h>
#include <stdio.h>

/* Set by SIGINT, SIGTERM or SIGHUP once runner_catch_signals was called; a second one changes nothing. */
extern volatile int runner_interrupted;
void runner_catch_signals(void);

/* --pin: NULL is one PU (the last one, which has the fewest interrupts on most machines), "none" is none, else a list as
 * "0-2+4" or "0,2". PUs are malloc'ed. -EINVAL / -ERANGE with the reason. */
int runner_pin(const char *text, const struct prony_topology *topology, int **pus, unsigned *npus,
               struct prony_error *error);

/* A command's text as words, without a shell; NULL leaves none. The reason names the option. */
int runner_words(const char *text, const char *option, struct prony_list *words, struct prony_error *error);

/* The progress line: done in [0, 1], time left (-1: unknown), and what is going on. */
void runner_progress(double done, int64_t left_ns, const char *what);

#endif
