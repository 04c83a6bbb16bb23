/* One launch of an external program, without a shell: bound, timed, bounded, and with nothing of it left over.
 *
 * The clock starts in the child, right before execve, and stops when its end is seen; the costs of fork and of binding are
 * outside. stdin is /dev/null. stdout and stderr go into memory files, which never make the program wait for a reader.
 * The program leads a process group of its own; what is left of it when it ends, or at the timeout, is killed, also
 * processes that left the group. For that the caller becomes a subreaper, and must have no other children meanwhile. */
#ifndef PRONY_MEASURE_LAUNCH_H
#define PRONY_MEASURE_LAUNCH_H

#include <prony/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prony_launch {
    char *const *argv; /* ends with NULL; argv[0] is looked up in PATH */
    const int *pus;    /* the program is bound to these; NULL: as the caller is */
    unsigned npus;
    int64_t timeout_ns;            /* 0: none */
    bool capture;                  /* keep stdout; else it is discarded */
    const volatile int *interrupt; /* non-zero: kill it and return -EINTR. NULL: never */
    /* Called with the program's process before it executes the program, and when all of it has ended; NULL: not. */
    void (*attend)(void *context, int pid);
    void (*ended)(void *context);
    void *context;
};

/* What it took. Times and switches are those of the program and of all children it waited for. */
struct prony_launched {
    uint64_t wall_ns, user_ns, system_ns;
    uint64_t max_rss_bytes; /* of its largest process; 0: not above what the caller itself has before execve */
    uint64_t voluntary, involuntary, minor_faults, major_faults, blocks_in, blocks_out;
    char *output; /* stdout, ended by a NUL; NULL unless captured. prony_launched_free */
    size_t output_bytes;
};

/* Runs it to its end. 0 only when it exited with 0. -ENOENT, -EACCES, ...: it cannot be executed; -ETIMEDOUT; -EINTR;
 * -EPROTO: another exit status; -(PRONY_DIED + signal); -EFBIG: it printed more than 64 MiB. The reason quotes the last
 * line of its stderr. Main thread only. */
int prony_launch(const struct prony_launch *launch, struct prony_launched *launched, struct prony_error *error);
void prony_launched_free(struct prony_launched *launched);

#endif
