/* The checks of `prony doctor`: one function each, over files of /proc and /sys. */
#include "results/doctor/doctor.h"
#include "topology/quota.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CPU "/sys/devices/system/cpu/"

/* A check: what it looks at, and what it does to a measurement when it is so. */
struct check {
    const char *name, *effect, *remedy;
    void (*look)(const char *root, struct prony_finding *finding);
};

static void say(struct prony_finding *finding, enum prony_severity severity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct prony_finding *finding, enum prony_severity severity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->state, sizeof finding->state, format, arguments);
    va_end(arguments);
    finding->severity = severity;
    if (severity == PRONY_FINE)
        finding->remedy = NULL;
}

/* The first line of a file; what keeps it from being read is the finding. */
static bool line_of(const char *root, const char *file, char *text, size_t bytes, struct prony_finding *finding)
{
    char path[PATH_MAX];
    FILE *stream;
    bool read;
    (void)snprintf(path, sizeof path, "%s%s", root, file);
    errno = 0;
    stream = fopen(path, "re");
    read = stream != NULL && fgets(text, (int)bytes, stream) != NULL;
    if (!read && finding != NULL) {
        finding->remedy = NULL;
        say(finding, PRONY_NOTE, "cannot be told: %s: %s", file, errno != 0 ? strerrordesc_np(errno) : "it is empty");
    }
    if (stream != NULL)
        (void)fclose(stream);
    if (read)
        text[strcspn(text, "\n")] = '\0';
    return read;
}

static bool number_of(const char *root, const char *file, long *value, struct prony_finding *finding)
{
    char text[64], *end;
    if (!line_of(root, file, text, sizeof text, finding))
        return false;
    *value = strtol(text, &end, 10);
    if (end == text && finding != NULL)
        say(finding, PRONY_NOTE, "cannot be told: %s says '%s'", file, text);
    return end != text;
}

/* How many CPUs a list "0-3,8" names; 0 when it names none. */
static unsigned listed(const char *list)
{
    unsigned n = 0;
    for (const char *at = list; *at >= '0' && *at <= '9';) {
        char *end;
        long low = strtol(at, &end, 10), high = low;
        if (*end == '-')
            high = strtol(end + 1, &end, 10);
        n += high >= low ? (unsigned)(high - low + 1) : 0;
        at = *end == ',' ? end + 1 : end;
    }
    return n;
}

static unsigned online(const char *root)
{
    char text[512];
    unsigned n = line_of(root, CPU "online", text, sizeof text, NULL) ? listed(text) : 0;
    return n > 0 ? n : 1;
}

/* Calls `see` with the first line of every file that the pattern names; returns how many there are. */
static size_t each(const char *root, const char *pattern, void (*see)(const char *line, void *context), void *context)
{
    char path[PATH_MAX], text[256];
    glob_t found;
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s%s", root, pattern);
    if (glob(path, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (line_of("", found.gl_pathv[i], text, sizeof text, NULL)) {
            see(text, context);
            n++;
        }
    globfree(&found);
    return n;
}

struct governors {
    unsigned others;
    char first[32];
};

static void governor_see(const char *line, void *context)
{
    struct governors *seen = context;
    if (strcmp(line, "performance") == 0)
        return;
    if (seen->others++ == 0)
        (void)snprintf(seen->first, sizeof seen->first, "%s", line);
}

static void governor(const char *root, struct prony_finding *finding)
{
    struct governors seen = {0, ""};
    size_t n = each(root, CPU "cpu[0-9]*/cpufreq/scaling_governor", governor_see, &seen);
    if (n == 0) {
        finding->remedy = NULL;
        say(finding, PRONY_NOTE, "cannot be told: no cpufreq here; the firmware or the hypervisor sets the clock");
    } else if (seen.others > 0) {
        say(finding, PRONY_WARN, "%s on %u of %zu PUs", seen.first, seen.others, n);
    } else {
        say(finding, PRONY_FINE, "performance on all %zu PUs", n);
    }
}

static void turbo(const char *root, struct prony_finding *finding)
{
    long value;
    if (number_of(root, CPU "intel_pstate/no_turbo", &value, NULL)) {
        finding->remedy = "echo 1 > " CPU "intel_pstate/no_turbo";
        say(finding, value == 0 ? PRONY_NOTE : PRONY_FINE, "turbo is %s", value == 0 ? "on" : "off");
    } else if (number_of(root, CPU "cpufreq/boost", &value, finding)) {
        say(finding, value != 0 ? PRONY_NOTE : PRONY_FINE, "boost is %s", value != 0 ? "on" : "off");
    }
}

static void smt(const char *root, struct prony_finding *finding)
{
    char control[32] = "unknown";
    long active;
    if (!number_of(root, CPU "smt/active", &active, finding))
        return;
    (void)line_of(root, CPU "smt/control", control, sizeof control, NULL);
    say(finding, active != 0 ? PRONY_NOTE : PRONY_FINE, "%s (control: %s)",
        active != 0 ? "cores run two or more threads each" : "one thread a core", control);
}

static void isolation(const char *root, struct prony_finding *finding)
{
    char isolated[256] = "", quiet[256] = "";
    bool read = line_of(root, CPU "isolated", isolated, sizeof isolated, finding);
    (void)line_of(root, CPU "nohz_full", quiet, sizeof quiet, NULL);
    if (!read)
        return;
    if (listed(isolated) == 0 && listed(quiet) == 0)
        say(finding, PRONY_NOTE, "no PU is kept free of other work (isolcpus) or of the tick (nohz_full)");
    else
        say(finding, listed(isolated) > 0 ? PRONY_FINE : PRONY_NOTE, "isolcpus %s, nohz_full %s",
            listed(isolated) > 0 ? isolated : "none", listed(quiet) > 0 ? quiet : "none");
}

static void interrupts(const char *root, struct prony_finding *finding)
{
    char mask[256];
    unsigned bits = 0, pus = online(root);
    if (!line_of(root, "/proc/irq/default_smp_affinity", mask, sizeof mask, finding))
        return;
    for (const char *at = mask; *at != '\0'; at++)
        if (*at != ',')
            bits += (unsigned)__builtin_popcountl(strtoul((char[]){*at, '\0'}, NULL, 16));
    if (pus > 1 && bits >= pus)
        say(finding, PRONY_NOTE, "new interrupts may go to any of the %u PUs (mask %s)", pus, mask);
    else
        say(finding, PRONY_FINE, "new interrupts go to %u of %u PUs (mask %s)", bits < pus ? bits : pus, pus, mask);
}

static void hugepages(const char *root, struct prony_finding *finding)
{
    char text[128];
    if (!line_of(root, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text, finding))
        return;
    say(finding, strstr(text, "[always]") != NULL ? PRONY_NOTE : PRONY_FINE, "%s", text);
}

static void aslr(const char *root, struct prony_finding *finding)
{
    long value;
    if (number_of(root, "/proc/sys/kernel/randomize_va_space", &value, finding))
        say(finding, value != 0 ? PRONY_NOTE : PRONY_FINE, "addresses are %s (randomize_va_space %ld)",
            value != 0 ? "drawn anew at every launch" : "the same at every launch", value);
}

static void balancing(const char *root, struct prony_finding *finding)
{
    char nodes[128] = "0";
    long value;
    if (!number_of(root, "/proc/sys/kernel/numa_balancing", &value, finding))
        return;
    (void)line_of(root, "/sys/devices/system/node/online", nodes, sizeof nodes, NULL);
    if (value == 0)
        say(finding, PRONY_FINE, "off");
    else if (listed(nodes) < 2)
        say(finding, PRONY_FINE, "on, but there is one node");
    else
        say(finding, PRONY_WARN, "on, with %u nodes", listed(nodes));
}

static void paranoid(const char *root, struct prony_finding *finding)
{
    long value;
    if (!number_of(root, "/proc/sys/kernel/perf_event_paranoid", &value, finding))
        return;
    if (value <= 1)
        say(finding, PRONY_FINE, "%ld: own processes and the kernel can be counted", value);
    else
        say(finding, PRONY_NOTE, "%ld: %s", value,
            value == 2 ? "own processes can be counted, the kernel's part not" : "only root can count");
}

static void watchdog(const char *root, struct prony_finding *finding)
{
    long value;
    if (number_of(root, "/proc/sys/kernel/nmi_watchdog", &value, finding))
        say(finding, value != 0 ? PRONY_NOTE : PRONY_FINE, "the NMI watchdog is %s", value != 0 ? "on" : "off");
}

static void quota(const char *root, struct prony_finding *finding)
{
    double cpus = prony_quota_read(root);
    if (cpus > 0)
        say(finding, PRONY_WARN, "the control groups leave %.4g CPUs", cpus);
    else
        say(finding, PRONY_FINE, "no CPU quota that can be seen");
}

static void steal(const char *root, struct prony_finding *finding)
{
    unsigned long long ticks[8] = {0}, sum = 0;
    char line[512];
    double share;
    if (!line_of(root, "/proc/stat", line, sizeof line, finding))
        return;
    if (sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2], &ticks[3],
               &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != 8) {
        say(finding, PRONY_NOTE, "cannot be told: the first line of /proc/stat has no stolen time");
        return;
    }
    for (size_t i = 0; i < 8; i++)
        sum += ticks[i];
    share = sum > 0 ? 100.0 * (double)ticks[7] / (double)sum : 0;
    say(finding,
        share >= 1      ? PRONY_WARN
        : share >= 0.05 ? PRONY_NOTE
                        : PRONY_FINE,
        "%.2f%% of the time since boot was taken by the hypervisor", share);
}

static void load(const char *root, struct prony_finding *finding)
{
    char line[128];
    double now;
    unsigned pus = online(root);
    if (!line_of(root, "/proc/loadavg", line, sizeof line, finding))
        return;
    if (sscanf(line, "%lf", &now) != 1) {
        say(finding, PRONY_NOTE, "cannot be told: /proc/loadavg says '%s'", line);
        return;
    }
    say(finding,
        now > 0.5 * pus   ? PRONY_WARN
        : now > 0.1 * pus ? PRONY_NOTE
                          : PRONY_FINE,
        "%.2f tasks on average over the last minute, on %u PUs", now, pus);
}

static void throttle_see(const char *line, void *context)
{
    *(unsigned long long *)context += strtoull(line, NULL, 10);
}

static void thermal(const char *root, struct prony_finding *finding)
{
    unsigned long long times = 0;
    if (each(root, CPU "cpu[0-9]*/thermal_throttle/core_throttle_count", throttle_see, &times) == 0) {
        finding->remedy = NULL;
        say(finding, PRONY_NOTE, "cannot be told: the kernel counts no throttling here");
    } else if (times > 0) {
        say(finding, PRONY_WARN, "cores were slowed down by heat %llu times since boot", times);
    } else {
        say(finding, PRONY_FINE, "no core was slowed down by heat since boot");
    }
}

static void swap(const char *root, struct prony_finding *finding)
{
    char path[PATH_MAX], line[512];
    unsigned long long used = 0, size = 0;
    FILE *file;
    if (!line_of(root, "/proc/swaps", line, sizeof line, finding))
        return;
    (void)snprintf(path, sizeof path, "%s/proc/swaps", root);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long long its_size, its_used;
        if (sscanf(line, "%*s %*s %llu %llu", &its_size, &its_used) == 2) {
            size += its_size;
            used += its_used;
        }
    }
    if (file != NULL)
        (void)fclose(file);
    if (size == 0)
        say(finding, PRONY_FINE, "none");
    else
        say(finding, used > 0 ? PRONY_WARN : PRONY_NOTE, "%llu of %llu KiB are used", used, size);
}

static void virtualisation(const char *root, struct prony_finding *finding)
{
    char path[PATH_MAX], line[4096], type[64] = "";
    bool guest = false;
    FILE *file;
    if (!line_of(root, "/proc/cpuinfo", line, sizeof line, finding))
        return;
    (void)snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    file = fopen(path, "re");
    while (file != NULL && !guest && fgets(line, sizeof line, file) != NULL)
        guest = strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (!line_of(root, "/sys/hypervisor/type", type, sizeof type, NULL))
        (void)line_of(root, "/sys/devices/virtual/dmi/id/product_name", type, sizeof type, NULL);
    if (guest)
        say(finding, PRONY_NOTE, "a virtual machine%s%s%s", type[0] != '\0' ? " (" : "", type,
            type[0] != '\0' ? ")" : "");
    else
        say(finding, PRONY_FINE, "not a virtual machine, as far as the CPU tells");
}

static void clocksource(const char *root, struct prony_finding *finding)
{
    static const char *const quick[] = {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"};
    char text[64];
    if (!line_of(root, "/sys/devices/system/clocksource/clocksource0/current_clocksource", text, sizeof text, finding))
        return;
    for (size_t i = 0; i < sizeof quick / sizeof quick[0]; i++)
        if (strcmp(text, quick[i]) == 0) {
            say(finding, PRONY_FINE, "%s, read without a system call", text);
            return;
        }
    say(finding, PRONY_WARN, "%s, read by a system call", text);
}

static const struct check checks[] = {
    {"governor", "the clock climbs under load: the first samples, and short ones, are slower",
     "cpupower frequency-set -g performance", governor},
    {"turbo", "the clock depends on heat and on how many cores work: one worker looks faster, and speed-ups smaller",
     "echo 0 > " CPU "cpufreq/boost", turbo},
    {"smt", "two workers on one core share it: they are slower than on two cores, unless --place core",
     "echo off > " CPU "smt/control", smt},
    {"isolation", "other tasks and the scheduler's tick run on the PUs of workers: rare long samples",
     "boot with isolcpus=managed_irq,domain,LIST nohz_full=LIST rcu_nocbs=LIST", isolation},
    {"interrupts", "an interrupt on a worker's PU makes a sample longer",
     "echo MASK > /proc/irq/default_smp_affinity (and stop irqbalance)", interrupts},
    {"hugepages", "pages are joined behind the scenes: memory workloads change their speed from launch to launch",
     "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled", hugepages},
    {"aslr",
     "code and data lie elsewhere at every launch: launches differ by some percent; compare several (--launches)",
     "setarch -R COMMAND", aslr},
    {"numa-balancing", "pages move between nodes while they are measured", "sysctl kernel.numa_balancing=0", balancing},
    {"perf-paranoid", "which hardware events can be counted", "sysctl kernel.perf_event_paranoid=1", paranoid},
    {"watchdog", "takes one hardware counter of every core, and interrupts it", "sysctl kernel.nmi_watchdog=0",
     watchdog},
    {"quota", "workers are stopped until the next period when the quota is used up",
     "raise cpu.max of the control group, or use fewer workers", quota},
    {"steal", "the hypervisor ran somebody else on these PUs meanwhile", "use a machine of your own, or dedicated CPUs",
     steal},
    {"load", "others compete for the PUs", "stop what else runs here", load},
    {"thermal", "hot cores run slower: later visits are longer", "cool the machine, or lower its clock", thermal},
    {"swap", "memory that was paged out comes back in a sample", "swapoff -a", swap},
    {"virtualisation",
     "virtual CPUs move between cores: handing over a cache line changes its price within a run; often no counters",
     NULL, virtualisation},
    {"clocksource", "a slow clock is part of every short sample", "boot with clocksource=tsc, if the CPU's is stable",
     clocksource},
};

unsigned prony_doctor_look(const char *root, struct prony_finding *findings)
{
    unsigned n = sizeof checks / sizeof checks[0];
    _Static_assert(sizeof checks / sizeof checks[0] <= PRONY_FINDINGS_MAX, "room for every check");
    for (unsigned i = 0; i < n; i++) {
        findings[i] = (struct prony_finding){checks[i].name, checks[i].effect, checks[i].remedy, PRONY_FINE, ""};
        checks[i].look(root, &findings[i]);
    }
    return n;
}
