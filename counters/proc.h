/* Numbers that the kernel keeps in files: of a thread, of a cgroup, of a package. */
#ifndef PRONY_COUNTERS_PROC_H
#define PRONY_COUNTERS_PROC_H

#include <prony/plugin/counter.h>

enum { PRONY_PROC_FILES = 8 }; /* packages of a machine, at most */

/* A number that is read again and again through descriptors that stay open. */
struct prony_proc {
    int fd[PRONY_PROC_FILES]; /* the number is the sum over them; -1: not open */
    int64_t range[PRONY_PROC_FILES], last[PRONY_PROC_FILES], turns[PRONY_PROC_FILES]; /* of counters that begin anew */
    const char *key; /* the number stands behind this word; NULL: it is word number `word` of the file */
    unsigned word;
    int64_t unit; /* what it is multiplied with */
};

/* Each opens its number for the calling thread: 0, or -errno with status and reason in `value`. */
int prony_proc_migrations(struct prony_proc *proc, struct prony_value *value);
int prony_proc_run_wait(struct prony_proc *proc, struct prony_value *value);
/* Of the process's cgroup: `key` is a word of its cpu.stat. */
int prony_proc_cgroup(struct prony_proc *proc, const char *key, int64_t unit, struct prony_value *value);
/* Of all packages together, in microjoules; below `root`, which is empty but in tests. */
int prony_proc_energy(const char *root, struct prony_proc *proc, struct prony_value *value);

/* The number now; -1 when it cannot be read. */
int64_t prony_proc_read(struct prony_proc *proc);
void prony_proc_close(struct prony_proc *proc);

#endif
