/* System calls a message, of cells whose workers send messages: counted after the last visit, in samples that nobody
 * times. */
#ifndef PRONY_MEASURE_CALLS_H
#define PRONY_MEASURE_CALLS_H

#include "measure/live.h"

/* What counting one cell takes, about. */
enum { PRONY_CALLS_NS = 15000000 };

/* Does the cell have messages whose calls can be counted? */
bool prony_calls_wanted(const struct prony_cell *cell);
/* Fills cell->calls of a cell with a live host, or the reason why not; deadline_ns: of the group, 0 for none. What was
 * measured before stays as it is, also when the host must be killed. */
void prony_calls(struct prony_bout *bout, struct prony_live *live, uint64_t deadline_ns);

#endif
