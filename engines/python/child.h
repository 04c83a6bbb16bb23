/* The Python process of an engine: started with a socket, ended with all that it started. */
#ifndef PRONY_ENGINES_PYTHON_CHILD_H
#define PRONY_ENGINES_PYTHON_CHILD_H

#include <prony/error.h>
#include <prony/setup.h>
#include <stdbool.h>
#include <sys/types.h>

struct prony_child {
    pid_t pid;          /* also its process group; 0: not running */
    int pidfd, socket;  /* our end: packets */
    int script, output; /* memory files: what it runs, what it and its workers print */
    bool tracked;       /* it has a process that removes named semaphores when it is killed */
};

/* Opens the memory files; nothing runs yet. */
int prony_child_prepare(struct prony_child *child, const void *script, size_t bytes, struct prony_error *error);
/* Starts `interpreter` on the script in a process group of its own, with arguments: socket, this process, arena
 * descriptor, workers, and `more` (NULL-terminated, at most 4). The channel's descriptors keep their numbers. */
int prony_child_start(struct prony_child *child, const char *interpreter, const struct prony_setup *setup,
                      const char *const *more, struct prony_error *error);
/* Waits until it has ended by itself: its wait status, or -ETIMEDOUT. Its group is gone on success. */
int prony_child_reap(struct prony_child *child, uint64_t end_ns);
/* Ends it and its workers whatever they do. */
void prony_child_kill(struct prony_child *child);
/* The last line that was printed, which says why it failed. */
void prony_child_last_line(const struct prony_child *child, char *text, size_t bytes);
void prony_child_release(struct prony_child *child);

/* Milliseconds for poll(2) until a moment of CLOCK_MONOTONIC, rounded up; -1 for UINT64_MAX: no limit. */
int prony_child_left_ms(uint64_t end_ns);

#endif
