#include "measure/disturb.h"
#include "stats/stats.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number behind `key`; 0 when there is none. */
static uint64_t number_after(const char *text, const char *key)
{
    const char *found = strstr(text, key);
    unsigned long long value = 0;
    if (found != NULL)
        (void)sscanf(found + strlen(key), " : %llu", &value);
    return value;
}

static size_t slurp(const char *path, char *text, size_t bytes)
{
    FILE *file = fopen(path, "re");
    size_t got = 0;
    if (file != NULL) {
        got = fread(text, 1, bytes - 1, file);
        (void)fclose(file);
    }
    text[got] = '\0';
    return got;
}

/* The steal column of one PU, in clock ticks. /proc/stat: cpuN user nice system idle iowait irq softirq steal */
static uint64_t steal_ticks(const char *stat, int pu)
{
    char key[32];
    const char *line;
    unsigned long long steal = 0;
    int length = snprintf(key, sizeof key, "\ncpu%d ", pu);
    line = strstr(stat, key);
    if (line != NULL)
        (void)sscanf(line + length, "%*u %*u %*u %*u %*u %*u %*u %llu", &steal);
    return steal;
}

/* Does a worker before this one have the same PU? */
static bool seen_before(const int *pus, unsigned index)
{
    for (unsigned i = 0; i < index; i++)
        if (pus[i] == pus[index])
            return true;
    return false;
}

int prony_doings_read(const char *root, const struct prony_cell *cell, const struct prony_slot *slots,
                      struct prony_doings *doings, struct prony_error *error)
{
    static char text[256 * 1024]; /* main thread only; /proc/stat of 1,000 PUs fits */
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    char path[512];
    doings->steal_ns = 0;
    doings->who = calloc(cell->workers + 1u, sizeof *doings->who);
    if (doings->who == NULL)
        return prony_fail(error, -ENOMEM, "no memory for what disturbs %u workers", cell->workers);
    (void)snprintf(path, sizeof path, "%s/proc/stat", root);
    if (cell->placement.binding && slurp(path, text, sizeof text) != 0)
        for (unsigned i = 0; i < cell->workers; i++)
            if (!seen_before(cell->placement.pus, i))
                doings->steal_ns += steal_ticks(text, cell->placement.pus[i]) * tick_ns;
    for (unsigned i = 0; i < cell->workers; i++) {
        struct prony_worker_doings *who = &doings->who[i];
        if (slots[i].tid == 0)
            continue;
        who->pid = slots[i].pid;
        who->tid = slots[i].tid;
        who->bound = cell->placement.binding && slots[i].pu >= 0;
        (void)snprintf(path, sizeof path, "%s/proc/%d/task/%d/status", root, who->pid, who->tid);
        if (slurp(path, text, sizeof text) != 0)
            who->involuntary = number_after(text, "\nnonvoluntary_ctxt_switches");
        (void)snprintf(path, sizeof path, "%s/proc/%d/task/%d/sched", root, who->pid, who->tid);
        if (slurp(path, text, sizeof text) != 0)
            who->migrations = number_after(text, "\nse.nr_migrations");
    }
    return 0;
}

void prony_doings_free(struct prony_doings *doings)
{
    free(doings->who);
    doings->who = NULL;
}

static void mark(struct prony_disturbed *disturbed, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void mark(struct prony_disturbed *disturbed, const char *format, ...)
{
    size_t used = strlen(disturbed->why);
    va_list args;
    disturbed->marked = true;
    if (used != 0)
        used += (size_t)snprintf(disturbed->why + used, sizeof disturbed->why - used, "; ");
    va_start(args, format);
    if (used < sizeof disturbed->why)
        (void)vsnprintf(disturbed->why + used, sizeof disturbed->why - used, format, args);
    va_end(args);
}

static uint64_t grown(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

void prony_doings_compare(const struct prony_cell *cell, const struct prony_doings *before,
                          const struct prony_doings *after, struct prony_disturbed *disturbed)
{
    uint64_t moved = 0;
    disturbed->steal_ns = grown(before->steal_ns, after->steal_ns);
    disturbed->involuntary = disturbed->migrations = 0;
    for (unsigned i = 0; i < cell->workers; i++) {
        const struct prony_worker_doings *was = &before->who[i], *is = &after->who[i];
        if (was->tid == 0 || was->pid != is->pid || was->tid != is->tid)
            continue;
        disturbed->involuntary += grown(was->involuntary, is->involuntary);
        disturbed->migrations += grown(was->migrations, is->migrations);
        moved += was->bound && is->bound ? grown(was->migrations, is->migrations) : 0;
    }
    if (disturbed->steal_ns != 0)
        mark(disturbed, "the hypervisor took %.0f ms", (double)disturbed->steal_ns / 1e6);
    if (moved != 0)
        mark(disturbed, "bound workers were moved: %llu migrations", (unsigned long long)moved);
}

void prony_clocks_read(const char *root, const int pus[2], double khz[2])
{
    char path[512], text[64];
    for (int i = 0; i < 2; i++) {
        khz[i] = 0;
        (void)snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", root, pus[i]);
        if (pus[i] >= 0 && slurp(path, text, sizeof text) != 0)
            khz[i] = strtod(text, NULL); /* "<unknown>" is 0 */
    }
}

void prony_clocks_compare(const int pus[2], const double before[2], const double after[2],
                          struct prony_disturbed *disturbed)
{
    const double limit = 0.1;
    for (int i = 0; i < 2; i++)
        if (before[i] > 0 && after[i] > 0 && fabs(after[i] - before[i]) > limit * before[i])
            mark(disturbed, "the clock of PU %d went from %.0f to %.0f MHz", pus[i], before[i] / 1e3, after[i] / 1e3);
}

/* Switches that a visit may have beside its usual ones: one every two samples, or one in 10 ms of the workers' time,
 * which the kernel's own threads and interrupts cause on a quiet machine. */
static double allowance(const struct prony_cell *cell, const struct prony_visit *visit)
{
    const double each_ns = 1e7;
    double ns = 0;
    for (unsigned i = 0; i < visit->samples; i++)
        ns += (double)visit->samples_ns[i];
    return fmax(visit->samples / 2.0, ns * cell->workers / each_ns);
}

/* Involuntary switches in one sample: the median of the visits. Two threads of an engine that share a PU, its caller and
 * a worker, take turns in every repetition; that is no disturbance. */
static double usual_switches(const struct prony_cell *cell)
{
    double *each = malloc((cell->visits_count + 1u) * sizeof *each), usual;
    size_t n = 0;
    if (each == NULL)
        return INFINITY; /* nothing is marked for it */
    for (unsigned i = 0; i < cell->visits_count; i++)
        if (cell->visits[i].samples != 0)
            each[n++] = (double)cell->visits[i].disturbed.involuntary / cell->visits[i].samples;
    usual = prony_median(each, n);
    free(each);
    return usual;
}

void prony_switches_judge(struct prony_cell *cell)
{
    enum { LEAST = 3 };     /* visits that can show what is usual */
    const double times = 3; /* the usual number varies by itself */
    double usual;
    if (cell->visits_count < LEAST || !cell->placement.binding || cell->placement.oversubscribed)
        return;
    usual = usual_switches(cell);
    for (unsigned i = 0; i < cell->visits_count; i++) {
        struct prony_visit *visit = &cell->visits[i];
        double most = allowance(cell, visit) + times * usual * visit->samples;
        if (!visit->disturbed.marked && visit->samples != 0 && (double)visit->disturbed.involuntary > most)
            mark(&visit->disturbed, "%llu involuntary switches (usual: %.0f)",
                 (unsigned long long)visit->disturbed.involuntary, usual * visit->samples);
    }
}
