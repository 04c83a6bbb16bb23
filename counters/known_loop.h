/* A loop with known least counts, to tell a counter that stands still from one that had nothing to count. */
#ifndef PRONY_COUNTERS_KNOWN_LOOP_H
#define PRONY_COUNTERS_KNOWN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/* Runs it; false: no memory for it. */
bool prony_known_loop_run(void);
/* The least that an event of this name must count in it; 0: no claim. */
int64_t prony_known_loop_least(const char *event);

#endif
