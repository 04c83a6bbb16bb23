/* Provider callgrind: instructions, branches and cache misses of the kernels alone, counted by simulation, where there is
 * no PMU and no quiet machine: the same program gives the same counts. The cell is run once more, in a host under
 * valgrind; its times are thrown away, its counts are those of a simple CPU (valgrind's cache and branch predictor), and
 * are labelled as simulated.
 *
 * Each worker zeroes its counts when it enters, lets callgrind collect inside kernels only, and has its own counts
 * written when it leaves, under its number.
 *
 * Not measured: engines, the kernel of the system, workers in other programs (CPython's). Kernels that wait for each
 * other spin a number of times that no simulation repeats. */
#include <prony/plugin/counter.h>

#include "counters/valgrind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

static const char *const defaults[] = {"instructions", "branches", "branch-misses", "l1d-misses", "ll-misses", NULL};
static const char *const command_line[] = {
    "valgrind",
    "--tool=callgrind",
    "--separate-threads=yes",
    "--collect-atstart=no",
    "--cache-sim=yes",
    "--branch-sim=yes",
    "--combine-dumps=no",
    "--fair-sched=yes",
    "--child-silent-after-fork=yes",
    "--quiet",
};
enum { WORDS = sizeof command_line / sizeof command_line[0] };

static int known(const char *event, struct prony_error *error)
{
    return prony_valgrind_known("the provider callgrind", event, error);
}

static int probe(struct prony_error *error)
{
#ifdef PRONY_SANITIZED
    const bool sanitized = true;
#else
    const bool sanitized = false;
#endif
    if (sanitized)
        return prony_fail(error, -ENOTSUP, "prony was built with a sanitizer, and valgrind does not run such programs");
    return prony_valgrind_present(error);
}

/* Does valgrind run here at all? It knows not every instruction of every CPU. */
static int trial(struct prony_error *error)
{
    int status = 0, code = probe(error);
    pid_t child;
    if (code != 0)
        return code;
    child = fork();
    if (child == 0) {
        (void)execlp("valgrind", "valgrind", "--tool=callgrind", "--quiet", "--callgrind-out-file=/dev/null",
                     "/bin/true", (char *)NULL);
        _exit(127);
    }
    if (child < 0)
        return prony_fail(error, -errno, "no process to try valgrind: %s", strerrordesc_np(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return prony_fail(error, -ENOTSUP, "valgrind --tool=callgrind /bin/true fails here (%s %d)",
                      WIFSIGNALED(status) ? "signal" : "exit code",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int command(const char *folder, struct prony_tool *tool, struct prony_error *error)
{
    unsigned n = 0;
    int code = probe(error);
    if (code != 0)
        return code;
    for (; n < WORDS; n++)
        tool->words[n] = command_line[n];
    (void)snprintf(tool->text[0], sizeof tool->text[0], "--callgrind-out-file=%s/counts.%%p", folder);
    (void)snprintf(tool->text[1], sizeof tool->text[1], "--log-file=%s/log.%%p", folder);
    tool->words[n++] = tool->text[0];
    tool->words[n++] = tool->text[1];
    tool->words[n] = NULL;
    return 0;
}

static void region(int inside)
{
    (void)inside; /* a toggle, a thread at a time */
    CALLGRIND_TOGGLE_COLLECT;
}

static int enter(struct prony_worker *worker, const char *const *events, unsigned n, struct prony_value *values,
                 struct prony_error *error)
{
    (void)events;
    if (n > PRONY_EVENTS_MAX)
        return prony_fail(error, -E2BIG, "at most %d events can be counted at once", PRONY_EVENTS_MAX);
    memset(values, 0, n * sizeof *values);
    worker->counting = (void *)(uintptr_t)command_line; /* a sign that it entered: there is nothing to keep */
    CALLGRIND_ZERO_STATS;
    return 0;
}

static int read_values(struct prony_worker *worker, struct prony_value *values, unsigned n)
{
    (void)worker, (void)values, (void)n; /* the counts are in valgrind until it writes them */
    return 0;
}

static void leave(struct prony_worker *worker)
{
    char name[32];
    (void)snprintf(name, sizeof name, "worker %u", worker->index);
    CALLGRIND_DUMP_STATS_AT(name);
    worker->counting = NULL;
}

static int gather(const char *folder, unsigned worker, const char *const *events, unsigned n,
                  struct prony_value *values, struct prony_error *error)
{
    int64_t sums[PRONY_VALGRIND_EVENTS] = {0};
    char trigger[64];
    DIR *entries = opendir(folder);
    struct dirent *entry;
    bool found = false;
    if (entries == NULL)
        return prony_fail(error, -errno, "valgrind's folder cannot be read: %s", strerrordesc_np(errno));
    (void)snprintf(trigger, sizeof trigger, "Client Request: worker %u", worker);
    while ((entry = readdir(entries)) != NULL) {
        char path[4096];
        FILE *file;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, "counts.", 7) != 0 || (file = fopen(path, "re")) == NULL)
            continue;
        found |= prony_valgrind_add(file, trigger, sums);
        (void)fclose(file);
    }
    (void)closedir(entries);
    for (unsigned i = 0; i < n; i++) {
        int which = prony_valgrind_find(events[i]);
        values[i] = (struct prony_value){.status = PRONY_NOT_SUPPORTED};
        if (which < 0)
            (void)snprintf(values[i].reason, sizeof values[i].reason, "the provider callgrind has no such event");
        else if (!found)
            (void)snprintf(
                values[i].reason, sizeof values[i].reason,
                "valgrind left no counts of this worker: it runs in a program of its own, or it ended early");
        if (which < 0 || !found)
            continue;
        values[i].status = PRONY_COUNTED;
        values[i].value = sums[which];
        (void)snprintf(values[i].source, sizeof values[i].source, "callgrind (simulated)");
    }
    return 0;
}

PRONY_EXPORT(provider, callgrind) = {
    .head = PRONY_HEAD(struct prony_provider, .name = "callgrind",
                       .summary = "simulated instructions, branches, cache misses: by a second run in valgrind",
                       .caps = PRONY_COUNTER_RERUN, .probe = probe),
    .events = defaults,
    .known = known,
    .trial = trial,
    .enter = enter,
    .read = read_values,
    .leave = leave,
    .command = command,
    .region = region,
    .gather = gather,
};
