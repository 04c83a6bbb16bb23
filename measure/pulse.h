/* The pulse: the state of the machine between visits. Two figures, each about a tenth of a millisecond:
 *
 *   line RT   the round trip of two cache lines between two processes on two PUs, no pause instruction, mean of a batch,
 *             median over batches: the yardstick of all handing over
 *   compute   a fixed loop of dependent multiplications on the first PU: the core's speed
 *
 * Taken by two processes of its own, parked in between. */
#ifndef PRONY_MEASURE_PULSE_H
#define PRONY_MEASURE_PULSE_H

#include "measure/cell.h"

struct prony_pulser {
    int pid, fd;
};

/* Starts the two processes; they die with the runner. */
int prony_pulser_start(struct prony_pulser *pulser, struct prony_error *error);
/* Takes the pulse between two PUs; pu_b < 0 or == pu_a: no line RT (NaN); pu_a < 0: unbound. A pulse that cannot be taken
 * is NaN; two other processes are started for the next one. */
struct prony_pulse prony_pulser_take(struct prony_pulser *pulser, int pu_a, int pu_b);
void prony_pulser_stop(struct prony_pulser *pulser);

/* Did it move by more than 25% between the two? Compared where both were taken. `line`: does line RT matter? Writes which
 * one moved, and how, into `why`. */
bool prony_pulse_moved(const struct prony_pulse *before, const struct prony_pulse *after, bool line, char *why,
                       size_t bytes);

#endif
