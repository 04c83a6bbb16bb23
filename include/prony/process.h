/* Processes: started three ways, waited for, ended, told apart by a descriptor that can be polled.
 *
 * What a new process runs is an entry: a function with a name in a table that main() hands over before anything else:
 *
 *     static const struct prony_entry entries[] = {{"work", work}, {NULL, NULL}};
 *     int main(int argc, char **argv)
 *     {
 *         int code;
 *         if (prony_process_enter(argc, argv, entries, &code))
 *             return code;
 *
 * Fork runs it in a copy of the caller. Spawn executes the program again, clean: nothing of the caller's memory and none
 * of its descriptors but those given along. Forkserver forks it from a clean image that is executed once, at the first
 * such start, and ends with the caller. */
#ifndef PRONY_PROCESS_H
#define PRONY_PROCESS_H

#include <prony/error.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRONY_BIRTH_BYTES 16384 /* of an argument; more belongs into an arena */
#define PRONY_BIRTH_FDS 16
#define PRONY_PROCESS_NAME 64

/* What an entry is given: a copy of the argument, and the descriptors in the order in which they were given along (by fork
 * at their numbers, else at new ones). */
struct prony_birth {
    const void *arg;
    size_t bytes;
    const int *fds;
    unsigned nfds;
};

/* Returns the exit code, 0 .. 255. */
typedef int prony_entry_fn(const struct prony_birth *birth);

struct prony_entry {
    const char *name; /* up to 63 bytes; a table ends with a NULL name */
    prony_entry_fn *fn;
};

/* An entry that is always there: it ends with the code in the first byte of its argument; without one, with 0. */
#define PRONY_ENTRY_NOTHING "prony-nothing"

enum prony_start_method { PRONY_START_FORK, PRONY_START_SPAWN, PRONY_START_FORKSERVER };

struct prony_start {
    enum prony_start_method method;
    const char *entry;
    struct prony_birth birth; /* read before the start returns */
    int daemon; /* killed when its parent ends. By fork and spawn the kernel sees to it when the thread that started it
                   ends: start daemons from one that stays */
    const char *name; /* up to 63 bytes; NULL: the entry's */
};

#define PRONY_EXIT_UNKNOWN 255 /* nobody was left to say */

/* Owned by the caller, used by one thread at a time, and only in the process that started it. */
struct prony_process {
    int pid;
    int sentinel;  /* readable once the process has ended: for prony_wait_many and poll. -1 after close */
    int line;      /* who tells the end of a forkserver's child; else -1 */
    int exit_code; /* when it has ended: 0 .. 255, or the negative number of the signal that ended it */
    int ended;     /* seen by join or alive */
    char name[PRONY_PROCESS_NAME];
};

/* The process that asks. */
struct prony_self {
    int pid, daemon;
    char name[PRONY_PROCESS_NAME]; /* "main" where prony did not start it */
};

struct prony_child {
    int pid;
    char name[PRONY_PROCESS_NAME];
};

/* First in main(). `entries` may be NULL. 1: this image was started to run an entry, which has been run: return `exit_code`. Else 0. */
int prony_process_enter(int argc, char **argv, const struct prony_entry *entries, int *exit_code);
/* 0, -ENOENT (no such entry), -EPERM (the caller is a daemon, which would leave its children behind), -EINVAL (main() has
 * not called prony_process_enter, and the method needs it), -EMSGSIZE, or why there is no process. */
int prony_process_start(struct prony_process *process, const struct prony_start *start, struct prony_error *error);
/* Waits for the end. 0 or -ETIMEDOUT; again is harmless. */
int prony_process_join(struct prony_process *process, int64_t timeout_ns);
int prony_process_is_alive(struct prony_process *process);
/* SIGTERM, SIGKILL. 0, also when it has ended. */
int prony_process_terminate(struct prony_process *process);
int prony_process_kill(struct prony_process *process);
/* Frees what belongs to it. 0 or -EBUSY: it has not ended. */
int prony_process_close(struct prony_process *process);

const struct prony_self *prony_process_current(void);
/* Who started this process: by forkserver, who asked for it. `sentinel` is readable once it has ended: poll it, do not
 * close it. 0; -ENOENT: this process was not started by prony; -ESRCH: the parent ended before it was first asked for. */
int prony_process_parent(int *pid, int *sentinel);
/* The processes that this one started, did not close, and that have not ended: up to `room` of them into `list`. How many
 * there are. Any thread. */
unsigned prony_process_active(struct prony_child *list, unsigned room);

#ifdef __cplusplus
}
#endif
#endif
