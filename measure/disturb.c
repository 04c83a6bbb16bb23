#include "measure/disturb.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The number behind `key` at the start of a line; 0 when there is none. */
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

void prony_doings_read(const struct prony_cell *cell, const struct prony_slot *slots, struct prony_doings *doings)
{
    static char text[256 * 1024]; /* main thread only; /proc/stat of 1,000 PUs fits */
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    char path[96];
    memset(doings, 0, sizeof *doings);
    if (cell->placement.binding && slurp("/proc/stat", text, sizeof text) != 0)
        for (unsigned i = 0; i < cell->workers; i++)
            if (i == 0 || cell->placement.pus[i] != cell->placement.pus[i - 1])
                doings->steal_ns += steal_ticks(text, cell->placement.pus[i]) * tick_ns;
    for (unsigned i = 0; i < cell->workers; i++) {
        if (slots[i].tid == 0)
            continue;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%d/status", slots[i].pid, slots[i].tid);
        if (slurp(path, text, sizeof text) != 0) {
            const char *found = strstr(text, "nonvoluntary_ctxt_switches:");
            unsigned long long switches = 0;
            if (found != NULL)
                (void)sscanf(found, "nonvoluntary_ctxt_switches: %llu", &switches);
            doings->involuntary += switches;
        }
        (void)snprintf(path, sizeof path, "/proc/%d/task/%d/sched", slots[i].pid, slots[i].tid);
        if (slurp(path, text, sizeof text) != 0)
            doings->migrations += number_after(text, "nr_migrations");
    }
}
