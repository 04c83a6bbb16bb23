#include "counters/events.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES "/sys/bus/event_source/devices"

enum { PATH_BYTES = 512, TEXT_BYTES = 1024, NAME_BYTES = 80, CACHE_NAMES = 42 };

static const struct {
    const char *name;
    uint32_t type, config;
    bool with_kernel;
} generic[] = {
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, false},
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, false},
    {"ref-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES, false},
    {"bus-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES, false},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS, false},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, false},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES, false},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, false},
    {"stalled-cycles-frontend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND, false},
    {"stalled-cycles-backend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND, false},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, false},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, true},
    {"major-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ, true},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, true},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, true},
};
enum { GENERIC = sizeof generic / sizeof generic[0] };

/* The kernel's generic cache events are cache x operation x result, in the order of its numbers. */
static const char *const caches[] = {"L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch", "node"};
static const char *const operations[] = {"load", "store", "prefetch"};

static void cache_name(unsigned i, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%s-%s%s", caches[i / 6], operations[i / 2 % 3], i % 2 == 0 ? "s" : "-misses");
}

/* The text of a file below sysfs, without the end of its line. False: it cannot be read. */
static bool read_text(const char *root, const char *pmu, const char *file, char text[TEXT_BYTES])
{
    char path[PATH_BYTES];
    FILE *in;
    bool got;
    (void)snprintf(path, sizeof path, "%s" DEVICES "/%s/%s", root, pmu, file);
    in = fopen(path, "re");
    got = in != NULL && fgets(text, TEXT_BYTES, in) != NULL;
    if (in != NULL)
        (void)fclose(in);
    text[got ? strcspn(text, "\n") : 0] = '\0';
    return got;
}

static bool type_of(const char *root, const char *pmu, uint32_t *type)
{
    char text[TEXT_BYTES];
    if (!read_text(root, pmu, "type", text))
        return false;
    *type = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

/* Is `cpu` in a list such as 0-3,8? */
static bool in_list(const char *list, int cpu)
{
    while (*list >= '0' && *list <= '9') {
        char *end;
        long from = strtol(list, &end, 10), to = *end == '-' ? strtol(end + 1, &end, 10) : from;
        if (cpu >= from && cpu <= to)
            return true;
        list = *end == ',' ? end + 1 : end;
    }
    return false;
}

/* The PMU of the cores that `cpu` belongs to. How many kinds of cores there are. */
static unsigned core_pmu(const char *root, int cpu, char pmu[32])
{
    char path[PATH_BYTES], text[TEXT_BYTES];
    DIR *devices;
    struct dirent *entry;
    unsigned kinds = 0;
    (void)snprintf(path, sizeof path, "%s" DEVICES, root);
    devices = opendir(path);
    pmu[0] = '\0';
    while (devices != NULL && (entry = readdir(devices)) != NULL) {
        if (entry->d_name[0] == '.' || !read_text(root, entry->d_name, "cpus", text))
            continue;
        kinds++;
        if (in_list(text, cpu))
            (void)snprintf(pmu, 32, "%.31s", entry->d_name);
    }
    if (devices != NULL)
        (void)closedir(devices);
    return kinds;
}

/* A generic event of hardware, on the PMU of the thread's own kind of core where there are several. */
static int on_own_kind(const char *root, int cpu, struct prony_event *event, struct prony_error *error)
{
    uint32_t type;
    if (core_pmu(root, cpu, event->pmu) < 2) {
        event->pmu[0] = '\0';
        return 0;
    }
    if (event->pmu[0] == '\0' || !type_of(root, event->pmu, &type))
        return prony_fail(error, -ENOTSUP, "this CPU has several kinds of cores, and the worker is bound to none");
    event->config[0] |= (uint64_t)type << 32;
    return 0;
}

/* Puts a term's value where the PMU's format wants it: config1:0-7,32-35. */
static bool put_term(const char *format, uint64_t value, uint64_t config[3])
{
    unsigned which = 0;
    if (strncmp(format, "config", 6) != 0)
        return false;
    format += 6;
    if (*format == '1' || *format == '2')
        which = (unsigned)(*format++ - '0');
    if (*format++ != ':')
        return false;
    while (*format >= '0' && *format <= '9') {
        char *end;
        unsigned long from = strtoul(format, &end, 10), to = *end == '-' ? strtoul(end + 1, &end, 10) : from;
        for (unsigned long bit = from; bit <= to && bit < 64; bit++, value >>= 1)
            config[which] = (config[which] & ~(UINT64_C(1) << bit)) | ((value & 1) << bit);
        format = *end == ',' ? end + 1 : end;
    }
    return value == 0;
}

/* event=0x3c,umask=0x1,inv */
static int put_terms(const char *root, const char *pmu, char *terms, struct prony_event *event,
                     struct prony_error *error)
{
    char *rest = NULL, file[128], format[TEXT_BYTES];
    for (char *term = strtok_r(terms, ",", &rest); term != NULL; term = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(term, '='), *end = NULL;
        uint64_t value = equals == NULL ? 1 : strtoull(equals + 1, &end, 0);
        if (equals != NULL)
            *equals = '\0';
        (void)snprintf(file, sizeof file, "format/%.100s", term);
        if (strncmp(term, "config", 6) == 0 && (term[6] == '\0' || ((term[6] == '1' || term[6] == '2') && !term[7])))
            event->config[term[6] == '\0' ? 0 : term[6] - '0'] = value;
        else if ((end != NULL && *end != '\0') || !read_text(root, pmu, file, format) ||
                 !put_term(format, value, event->config))
            return prony_fail(error, -ENOENT, "the PMU %s has no event or term '%s'", pmu, term);
    }
    return 0;
}

/* Joules become microjoules and MiB bytes, so that whole numbers tell them. */
static void set_factor(const char *root, const char *pmu, const char *name, struct prony_event *event)
{
    char file[128], text[TEXT_BYTES];
    (void)snprintf(file, sizeof file, "events/%.80s.scale", name);
    if (read_text(root, pmu, file, text))
        event->factor = strtod(text, NULL);
    (void)snprintf(file, sizeof file, "events/%.80s.unit", name);
    if (read_text(root, pmu, file, text))
        event->factor *= strcmp(text, "Joules") == 0 ? 1e6 : strcmp(text, "MiB") == 0 ? 1048576 : 1;
}

static void set_cpus(const char *list, struct prony_event *event)
{
    for (int cpu = 0; cpu < 4096 && event->ncpus < PRONY_EVENT_CPUS; cpu++)
        if (in_list(list, cpu))
            event->cpus[event->ncpus++] = cpu;
}

/* PMU/EVENT/ */
static int of_pmu(const char *root, const char *name, int cpu, struct prony_event *event, struct prony_error *error)
{
    const char *slash = strchr(name, '/');
    char pmu[32], what[TEXT_BYTES], file[128], text[TEXT_BYTES];
    size_t length;
    (void)snprintf(pmu, sizeof pmu, "%.*s", (int)(slash - name), name);
    (void)snprintf(what, sizeof what, "%.200s", slash + 1);
    length = strlen(what);
    if (length < 2 || what[length - 1] != '/' || strstr(name, "..") != NULL)
        return prony_fail(error, -ENOENT, "'%s' is no event: it takes PMU/EVENT/", name);
    what[length - 1] = '\0';
    if (!type_of(root, pmu, &event->type))
        return prony_fail(error, -ENOENT, "this machine has no PMU '%s' (ls " DEVICES ")", pmu);
    (void)snprintf(event->pmu, sizeof event->pmu, "%s", pmu);
    (void)snprintf(file, sizeof file, "events/%.80s", what);
    if (read_text(root, pmu, file, text)) {
        set_factor(root, pmu, what, event);
        (void)snprintf(what, sizeof what, "%s", text);
    }
    if (read_text(root, pmu, "cpumask", text))
        set_cpus(text, event);
    else if (cpu >= 0 && read_text(root, pmu, "cpus", text) && !in_list(text, cpu))
        return prony_fail(error, -ENOTSUP, "CPU %d, to which the worker is bound, is none of the PMU %s (%.40s)", cpu,
                          pmu, text);
    return put_terms(root, pmu, what, event, error);
}

static int unknown(const char *name, struct prony_error *error)
{
    char made[CACHE_NAMES][NAME_BYTES];
    const char *names[GENERIC + CACHE_NAMES + 1];
    char hint[120];
    unsigned n = 0;
    for (unsigned i = 0; i < GENERIC; i++)
        names[n++] = generic[i].name;
    for (unsigned i = 0; i < CACHE_NAMES; i++) {
        cache_name(i, made[i]);
        names[n++] = made[i];
    }
    names[n] = NULL;
    return prony_fail(error, -ENOENT, "the provider perf has no event '%s'%s", name,
                      prony_text_nearest(name, names, hint, sizeof hint));
}

int prony_event_find(const char *root, const char *name, int cpu, struct prony_event *event, struct prony_error *error)
{
    char *end;
    *event = (struct prony_event){.factor = 1};
    for (unsigned i = 0; i < GENERIC; i++)
        if (strcmp(name, generic[i].name) == 0) {
            event->type = generic[i].type;
            event->config[0] = generic[i].config;
            event->with_kernel = generic[i].with_kernel;
            event->software = event->type == PERF_TYPE_SOFTWARE;
            return event->software ? 0 : on_own_kind(root, cpu, event, error);
        }
    for (unsigned i = 0; i < CACHE_NAMES; i++) {
        char made[NAME_BYTES];
        cache_name(i, made);
        if (strcmp(name, made) == 0) {
            event->type = PERF_TYPE_HW_CACHE;
            event->config[0] = i / 6 | (i / 2 % 3) << 8 | (i % 2) << 16;
            return on_own_kind(root, cpu, event, error);
        }
    }
    if (name[0] == 'r' && name[1] != '\0' && strspn(name + 1, "0123456789abcdefABCDEF") == strlen(name + 1)) {
        event->type = PERF_TYPE_RAW;
        event->config[0] = strtoull(name + 1, &end, 16);
        return 0;
    }
    return strchr(name, '/') != NULL ? of_pmu(root, name, cpu, event, error) : unknown(name, error);
}
