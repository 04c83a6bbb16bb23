/* The counter contract: who counts which events.
 *
 * IN_WORKER providers open and read inside each worker, by gang: open before timing, read a running set at both ends of
 * a sample. RERUN providers count the cell in a second run, in a host under a tool (valgrind), whose times are not
 * reported; there enter and leave mark what is counted, and gather reads it when the host has ended. Every event has a status; what could not be counted is null with a reason, never 0. */
#ifndef PRONY_PLUGIN_COUNTER_H
#define PRONY_PLUGIN_COUNTER_H

#include <prony/plugin/head.h>
#include <prony/task.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PRONY_COUNTER_IN_WORKER = 1, PRONY_COUNTER_RERUN = 2 };
enum { PRONY_ATTACH_FAMILY = 1, PRONY_ATTACH_AT_EXEC = 2 };

enum prony_status {
    PRONY_NOT_TRIED, /* 0, so that zeroed memory claims nothing */
    PRONY_COUNTED,
    PRONY_NOT_SUPPORTED, /* this machine or provider cannot */
    PRONY_DENIED,        /* permissions forbid */
    PRONY_NO_COUNTER,    /* it exists, but no counter was left */
    PRONY_IMPLAUSIBLE,   /* it counted, and a known loop showed that the number is wrong */
    PRONY_SCALED         /* counted part of the time and scaled; see enabled and running */
};

/* What kind of number an event is: bits. */
enum {
    PRONY_EVENT_LEVEL = 1, /* a level, not a count: the highest one is kept and nothing is summed */
    PRONY_EVENT_SHARED = 2 /* of more than the worker (process, cgroup, machine): a total is the largest, not the sum */
};

#define PRONY_EVENTS_MAX 32

/* One event of one worker. Lies in the arena: no pointers. */
struct prony_value {
    int64_t value;                   /* valid when COUNTED or SCALED */
    uint32_t status;                 /* enum prony_status */
    uint32_t samples;                /* that a sum was taken over; 0 in a running total */
    uint64_t enabled_ns, running_ns; /* 0 where the provider does not tell */
    char source[24];                 /* what really counted: "perf", "getrusage", "/proc" */
    char reason[104];                /* why it was not counted; empty when it was */
};

/* The command line of a RERUN provider's tool: words to be followed by the host's own, ended by NULL. */
struct prony_tool {
    const char *words[24];
    char text[2][640]; /* room for words that are made */
};

struct prony_provider {
    struct prony_head head;
    const char *const *events; /* counted when the user names none; NULL-terminated */
    /* Does it know this name? 0, -ENOENT (with the nearest names), -ENOTSUP. May load the library; starts no counting. */
    int (*known)(const char *event, struct prony_error *error);
    /* Counts a known loop in the calling thread: 0 when at least one of its default events counts; else the reason.
     * May take 100 ms and leave library state behind: called in a process of its own. */
    int (*trial)(struct prony_error *error);
    /* In the host's main thread before the engine opens, so that workers inherit what is costly. NULL: nothing. */
    int (*prepare)(const char *const *events, unsigned n, struct prony_error *error);
    /* In the worker, by gang, again when its generation moves: opens and starts; fills status, source and reason of
     * values[0..n-1]; keeps its own in worker->counting. A process never touches a set it inherited: a child that stops
     * one stops its parent's. Returns 0 also when no event could be opened. */
    int (*enter)(struct prony_worker *worker, const char *const *events, unsigned n, struct prony_value *values,
                 struct prony_error *error);
    /* In the worker: running totals of the events that count, into values[].value, enabled_ns, running_ns. -ESTALE: this
     * is not the thread or process that entered, so that it must enter again (totals begin anew). */
    int (*read)(struct prony_worker *worker, struct prony_value *values, unsigned n);
    /* In the worker, by gang at the end, and never for an inherited state. */
    void (*leave)(struct prony_worker *worker);
    /* Which of these events can be counted at the same time: writes the number of each one's set, from 0, and returns how
     * many sets there are. The sets take turns, a visit each; enter is then given one of them. NULL: all fit. */
    unsigned (*split)(const char *const *events, unsigned n, unsigned char *set);
    /* PRONY_EVENT_* bits of an event; NULL: 0 for all. */
    unsigned (*nature)(const char *event);
    /* The rest is for RERUN providers; NULL for others. The tool that runs the host and leaves its files in `folder`. */
    int (*command)(const char *folder, struct prony_tool *tool, struct prony_error *error);
    /* In the worker, in a host under the tool: a kernel begins (1), or has ended (0). */
    void (*region)(int inside);
    /* After the host's end: what worker number `worker` counted, from the files in `folder`. */
    int (*gather)(const char *folder, unsigned worker, const char *const *events, unsigned n,
                  struct prony_value *values, struct prony_error *error);
    /* From outside; NULL: it cannot. Counts thread `tid` and, with FAMILY, the threads and processes that it starts from
     * now on; with AT_EXEC from its next execve. Fills values as enter does. *attached is for survey, which writes running
     * totals, also when the thread has ended, and detach. */
    int (*attach)(int tid, unsigned how, const char *const *events, unsigned n, struct prony_value *values,
                  void **attached, struct prony_error *error);
    int (*survey)(void *attached, struct prony_value *values, unsigned n);
    void (*detach)(void *attached);
};

#ifdef __cplusplus
}
#endif
#endif
