/* Counts the system calls that the workers of a cell host make in the timed part of a gang's kernel, from outside: with
 * ptrace, so that not one instruction is added to what is timed at other times.
 *
 * A call counts when it begins after the worker has noted in its slot that its timed part begins, and before it has noted
 * the end: the engine's own calls lie outside. A thread that a worker's process has beside it (a queue's feeder) counts as
 * that worker's; one in a process of several workers counts for none of them, but for all together. Readings of a clock are
 * left out: they are prony's, where they are system calls at all. Main thread only. */
#ifndef PRONY_MEASURE_TRACER_H
#define PRONY_MEASURE_TRACER_H

#include <prony/error.h>
#include <prony/task.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct prony_tally_calls {
    uint64_t done, futex, vain; /* as in struct prony_calls */
};

struct prony_tracee;
struct prony_tracer {
    int host;     /* its pid: a child of this process, which the client reaps */
    int signals;  /* readable when a traced thread may have stopped */
    sigset_t old; /* the mask to be restored */
    const struct prony_slot *slots;
    unsigned workers, count, room;
    struct prony_tracee *tracee;
    int blind;                       /* errno: the kernel does not tell what a call is */
    struct prony_tally_calls *tally; /* one a worker, and one for the threads that belong to none: may be set to 0 */
};

/* Takes hold of the workers' threads, which go on at once. -ENOTSUP with the reason when this is not allowed here; nothing
 * is held then. */
int prony_tracer_begin(struct prony_tracer *tracer, int host, const struct prony_slot *slots, unsigned workers,
                       struct prony_error *error);
/* Lets every thread that has stopped go on, and counts. To be called whenever `signals` is readable, and now and then. */
void prony_tracer_look(struct prony_tracer *tracer);
/* Were all workers traced all the time? 0, or -ENOTSUP with the reason. */
int prony_tracer_check(const struct prony_tracer *tracer, struct prony_error *error);
/* Lets go of them all. With `kill`, or when one cannot be let go of within a second, their processes are killed and reaped,
 * the host itself is not reaped: -ECHILD. */
int prony_tracer_end(struct prony_tracer *tracer, bool kill);

#endif
