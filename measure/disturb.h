/* What the operating system did to a visit: read from /proc before and after it, by the runner. */
#ifndef PRONY_MEASURE_DISTURB_H
#define PRONY_MEASURE_DISTURB_H

#include "measure/cell.h"

struct prony_doings {
    uint64_t steal_ns, involuntary, migrations;
};

/* Sums over the cell's workers (their pid and tid in `slots`) and its PUs. What cannot be read counts as 0. */
void prony_doings_read(const struct prony_cell *cell, const struct prony_slot *slots, struct prony_doings *doings);

#endif
