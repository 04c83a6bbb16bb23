/* What is needed to doubt a result later: kernel, CPU, its settings, the limits put on this process, versions, the command.
 * Everything is read from the system's own files; what is not there is null. Environment variables are not recorded. */
#include "results/model.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The first line of a small file. */
static bool line_of(const char *path, char *text, size_t bytes)
{
    FILE *file = fopen(path, "re");
    bool read = file != NULL && fgets(text, (int)bytes, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (!read)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return true;
}

static json_t *line_json(const char *path)
{
    char text[512];
    return line_of(path, text, sizeof text) ? prony_json_text(text) : json_null();
}

static json_t *number_json(const char *path)
{
    char text[64], *end;
    long long value;
    if (!line_of(path, text, sizeof text))
        return json_null();
    value = strtoll(text, &end, 10);
    return end != text ? json_integer(value) : json_null();
}

/* The value of "key : value" in a file of such lines (/proc/cpuinfo, /proc/self/status, /proc/meminfo). */
static json_t *field_json(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    char line[4096];
    json_t *found = NULL;
    while (file != NULL && found == NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':'), *end = colon;
        if (colon == NULL)
            continue;
        while (end > line && isspace((unsigned char)end[-1]))
            end--;
        *end = '\0';
        if (strcmp(line, key) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        found = prony_json_text(colon);
    }
    if (file != NULL)
        (void)fclose(file);
    return found != NULL ? found : json_null();
}

/* The boot parameters that bear on measurements, and no others: the line may hold things that are nobody's business. */
static json_t *boot_json(void)
{
    static const char *const wanted[] = {
        "isolcpus",   "nohz",        "rcu_nocbs", "mitigations", "idle",    "intel_",      "amd_",
        "processor.", "cpuidle",     "nosmt",     "maxcpus",     "nr_cpus", "irqaffinity", "transparent_hugepage",
        "hugepages",  "clocksource", "tsc",       "preempt",     "spectre", "spec_"};
    char line[4096], *save = NULL;
    json_t *found = json_array();
    if (!line_of("/proc/cmdline", line, sizeof line))
        return found;
    for (char *word = strtok_r(line, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
            if (strncmp(word, wanted[i], strlen(wanted[i])) == 0) {
                (void)json_array_append_new(found, prony_json_text(word));
                break;
            }
    return found;
}

static json_t *kernel_json(void)
{
    struct utsname names;
    if (uname(&names) != 0)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "system", names.sysname, "release", names.release, "version",
                     names.version, "machine", names.machine, "parameters", boot_json());
}

static json_t *cpu_json(const struct prony_topology_facts *facts)
{
    const char *cpuinfo = "/proc/cpuinfo";
    json_t *model = facts->model[0] != '\0' ? prony_json_text(facts->model) : field_json(cpuinfo, "model name");
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model", model, "vendor", field_json(cpuinfo, "vendor_id"),
                     "family", field_json(cpuinfo, "cpu family"), "number", field_json(cpuinfo, "model"), "stepping",
                     field_json(cpuinfo, "stepping"), "microcode", field_json(cpuinfo, "microcode"), "mhz_at_start",
                     field_json(cpuinfo, "cpu MHz"));
}

static json_t *clocks_json(void)
{
    const char *cpu = "/sys/devices/system/cpu/";
    char path[256];
    json_t *clocks = json_object();
    static const char *const files[][2] = {{"governor", "cpu0/cpufreq/scaling_governor"},
                                           {"driver", "cpu0/cpufreq/scaling_driver"},
                                           {"min_khz", "cpu0/cpufreq/scaling_min_freq"},
                                           {"max_khz", "cpu0/cpufreq/scaling_max_freq"},
                                           {"boost", "cpufreq/boost"},
                                           {"no_turbo", "intel_pstate/no_turbo"},
                                           {"idle_driver", "cpuidle/current_driver"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", cpu, files[i][1]);
        (void)json_object_set_new(clocks, files[i][0], line_json(path));
    }
    (void)json_object_set_new(clocks, "clocksource",
                              line_json("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
    return clocks;
}

static json_t *smt_json(const struct prony_topology_facts *facts)
{
    return json_pack("{s:b, s:o}", "used", facts->smt, "control", line_json("/sys/devices/system/cpu/smt/control"));
}

static json_t *mitigations_json(void)
{
    const char *folder = "/sys/devices/system/cpu/vulnerabilities";
    DIR *entries = opendir(folder);
    json_t *found = json_object();
    char path[512];
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)json_object_set_new(found, entry->d_name, line_json(path));
    }
    if (entries != NULL)
        (void)closedir(entries);
    return found;
}

/* Where this process is in the unified hierarchy; the empty string for the root or none. */
static void cgroup_path(char *path, size_t bytes)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[512];
    path[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(path, bytes, "%s", strcmp(line + 3, "/") == 0 ? "" : line + 3);
        }
    if (file != NULL)
        (void)fclose(file);
}

/* A limit in the nearest group, from this one upward, that sets it. */
static json_t *cgroup_limit(const char *group, const char *name)
{
    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    char place[512], path[1024], text[512];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(place, sizeof place, "%s", group);
        for (;;) {
            char *slash = strrchr(place, '/');
            (void)snprintf(path, sizeof path, "%s%s/%s", roots[i], place, name);
            if (line_of(path, text, sizeof text) && text[0] != '\0' && strncmp(text, "max", 3) != 0)
                return prony_json_text(text);
            if (slash == NULL)
                break;
            *slash = '\0';
        }
    }
    return json_null();
}

static json_t *limits_json(const struct prony_topology_facts *facts)
{
    char group[512];
    cgroup_path(group, sizeof group);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "allowed_pus",
                     field_json("/proc/self/status", "Cpus_allowed_list"), "allowed_nodes",
                     field_json("/proc/self/status", "Mems_allowed_list"), "cpu_max", cgroup_limit(group, "cpu.max"),
                     "cpuset", cgroup_limit(group, "cpuset.cpus"), "memory_max", cgroup_limit(group, "memory.max"),
                     "quota_cpus", facts->quota > 0 ? json_real(facts->quota) : json_null());
}

/* Which hypervisor, and whether in a container, by the marks that both leave. */
static json_t *virtualisation_json(void)
{
    static const char *const products[][2] = {{"KVM", "kvm"},
                                              {"QEMU", "qemu"},
                                              {"VMware", "vmware"},
                                              {"VirtualBox", "virtualbox"},
                                              {"Virtual Machine", "hyper-v"},
                                              {"HVM domU", "xen"},
                                              {"Amazon EC2", "amazon"},
                                              {"Google Compute", "google"},
                                              {"Firecracker", "firecracker"}};
    const char *machine = NULL, *container = NULL;
    char text[256] = "";
    json_t *flags = field_json("/proc/cpuinfo", "flags");
    const char *list = json_string_value(flags);
    bool hypervisor = list != NULL && strstr(list, " hypervisor") != NULL;
    if (line_of("/sys/devices/virtual/dmi/id/product_name", text, sizeof text) ||
        line_of("/sys/hypervisor/type", text, sizeof text))
        for (size_t i = 0; i < sizeof products / sizeof products[0] && machine == NULL; i++)
            machine = strstr(text, products[i][0]) != NULL ? products[i][1] : NULL;
    if (machine == NULL && hypervisor &&
        line_of("/sys/devices/system/clocksource/clocksource0/available_clocksource", text, sizeof text) &&
        strstr(text, "kvm-clock") != NULL)
        machine = "kvm";
    if (access("/.dockerenv", F_OK) == 0)
        container = "docker";
    else if (access("/run/.containerenv", F_OK) == 0)
        container = "podman";
    else if (line_of("/run/systemd/container", text, sizeof text))
        container = text;
    json_decref(flags);
    return json_pack("{s:s, s:o}", "machine",
                     machine != NULL ? machine
                     : hypervisor    ? "unknown hypervisor"
                                     : "none",
                     "container", prony_json_text(container));
}

static json_t *system_json(void)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "memory", field_json("/proc/meminfo", "MemTotal"),
                     "transparent_hugepages", line_json("/sys/kernel/mm/transparent_hugepage/enabled"), "aslr",
                     number_json("/proc/sys/kernel/randomize_va_space"), "perf_event_paranoid",
                     number_json("/proc/sys/kernel/perf_event_paranoid"), "load", line_json("/proc/loadavg"),
                     "page_bytes", (json_int_t)sysconf(_SC_PAGESIZE));
}

static json_t *topology_json(const struct prony_run *run, const struct prony_topology_facts *facts)
{
    return json_pack("{s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:i, s:s}", "this_system",
                     run->topology != NULL && prony_topology_is_here(run->topology), "pus", (int)facts->pus,
                     "pus_present", (int)facts->pus_present, "cores", (int)facts->cores, "packages",
                     (int)facts->packages, "nodes", (int)facts->nodes, "kinds", (int)facts->kinds, "smt", facts->smt,
                     "default_workers", (int)facts->default_workers, "file", "topology.xml");
}

/* A word as a shell reads it back. */
static void quote(FILE *out, const char *word)
{
    if (word[0] != '\0' &&
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%") == strlen(word)) {
        (void)fputs(word, out);
        return;
    }
    (void)fputc('\'', out);
    for (; *word != '\0'; word++)
        (void)fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    (void)fputc('\'', out);
}

/* The words of an output folder, which exists by now: 2 for "-o DIR", 1 for "--output=DIR" and "-oDIR". */
static int output_words(const char *word)
{
    if (strcmp(word, "-o") == 0 || strcmp(word, "--output") == 0)
        return 2;
    return strncmp(word, "--output=", 9) == 0 || (strncmp(word, "-o", 2) == 0 && word[2] != '\0');
}

/* The command, with the seed when it was not typed, so that the same order of visits comes again; without the output
 * folder, so that it can be typed again. */
static json_t *repeat_json(const struct prony_run *run, int argc, char **argv)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    bool seeded = false;
    json_t *repeat;
    if (out == NULL)
        return NULL;
    for (int i = 0; i < argc; i++) {
        int skipped = i == 0 ? 0 : output_words(argv[i]);
        if (skipped > 0) {
            i += skipped - 1;
            continue;
        }
        (void)fputs(i > 0 ? " " : "", out);
        quote(out, argv[i]);
        seeded = seeded || strncmp(argv[i], "--seed", 6) == 0;
    }
    if (!seeded && argc > 0)
        (void)fprintf(out, " --seed %llu", (unsigned long long)run->method.seed);
    repeat = fclose(out) == 0 ? prony_json_text(text) : NULL;
    free(text);
    return repeat;
}

json_t *prony_tool_json(void)
{
    char jansson[64];
    (void)snprintf(jansson, sizeof jansson, "%s (%s)", JANSSON_VERSION, jansson_version_str());
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:{s:s, s:s, s:o}}", "name", "prony", "version", PRONY_VERSION,
                     "compiler",
#ifdef __clang__
                     "clang " __clang_version__,
#else
                     "gcc " __VERSION__,
#endif
                     "build", PRONY_BUILD_TYPE, "sanitized",
#ifdef PRONY_SANITIZED
                     1,
#else
                     0,
#endif
                     "libraries", "glibc", gnu_get_libc_version(), "jansson", jansson, "hwloc",
                     prony_json_text(prony_topology_library()));
}

/* UTC, ISO 8601. */
static void date_of(int64_t at_s, char *text, size_t bytes)
{
    const time_t when = (time_t)at_s;
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&when, &utc) != NULL)
        (void)strftime(text, bytes, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* Only in the context of a run that was interrupted and went on. */
static int resumed_add(json_t *context, const struct prony_run *run)
{
    json_t *all;
    if (run->resumed_count == 0)
        return 0;
    all = json_array();
    for (unsigned i = 0; i < run->resumed_count; i++) {
        char when[32];
        date_of(run->resumed[i].at_s, when, sizeof when);
        (void)json_array_append_new(all,
                                    json_pack("{s:s, s:I, s:o}", "at", when, "at_s", (json_int_t)run->resumed[i].at_s,
                                              "t_ns", prony_json_count(run->resumed[i].t_ns)));
    }
    return json_object_set_new(context, "resumed", all);
}

json_t *prony_context_json(const struct prony_run *run, int argc, char **argv)
{
    struct prony_topology_facts facts = {0};
    char started[32], host[256] = "";
    json_t *words = json_array(), *context;
    if (run->topology != NULL)
        prony_topology_facts(run->topology, &facts);
    date_of(run->started_s, started, sizeof started);
    (void)gethostname(host, sizeof host - 1);
    for (int i = 0; i < argc; i++)
        (void)json_array_append_new(words, prony_json_text(argv[i]));
    context = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "started", started,
                        "started_s", (json_int_t)run->started_s, "command", words, "repeat",
                        repeat_json(run, argc, argv), "host", prony_json_text(host), "kernel", kernel_json(), "cpu",
                        cpu_json(&facts), "clocks", clocks_json(), "smt", smt_json(&facts), "mitigations",
                        mitigations_json(), "limits", limits_json(&facts), "virtualisation", virtualisation_json(),
                        "system", system_json(), "topology", topology_json(run, &facts));
    if (context != NULL && resumed_add(context, run) != 0) {
        json_decref(context);
        context = NULL;
    }
    return context;
}

/* Replaces `word` in a text wherever it stands alone. NULL: it is not there, or no memory. */
static char *without(const char *text, const char *word, const char *instead)
{
    size_t length = strlen(word), bytes;
    char *clean = NULL;
    bool found = false;
    FILE *out = open_memstream(&clean, &bytes);
    for (const char *at = text; out != NULL && *at != '\0';) {
        bool starts = at == text || !isalnum((unsigned char)at[-1]);
        if (starts && strncmp(at, word, length) == 0 && !isalnum((unsigned char)at[length])) {
            (void)fputs(instead, out);
            at += length;
            found = true;
        } else {
            (void)fputc(*at++, out);
        }
    }
    if (out == NULL || fclose(out) != 0 || !found) {
        free(clean);
        return NULL;
    }
    return clean;
}

static void redact(json_t *value, const char *host)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (json_is_object(value)) {
        json_object_foreach(value, key, inner) redact(inner, host);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, inner) redact(inner, host);
    } else if (json_is_string(value)) {
        char *clean = without(json_string_value(value), host, "HOST");
        if (clean != NULL)
            (void)json_string_set(value, clean);
        free(clean);
    }
}

int prony_context_redact(struct prony_report *report)
{
    static const char *const places[] = {"command", "repeat", "kernel"}; /* what else holds words somebody chose */
    json_t *context = json_object_get(report->root, "context"), *cell;
    char host[256] = "";
    size_t i;
    (void)gethostname(host, sizeof host - 1);
    if (json_object_set_new(context, "host", json_null()) != 0)
        return -ENOMEM;
    if (host[0] == '\0')
        return 0;
    for (size_t place = 0; place < sizeof places / sizeof places[0]; place++)
        redact(json_object_get(context, places[place]), host);
    redact(json_object_get(json_object_get(report->root, "plan"), "notes"), host);
    json_array_foreach(json_object_get(report->root, "cells"), i, cell) redact(json_object_get(cell, "reason"), host);
    if (report->xml != NULL) {
        char *clean = without(report->xml, host, "HOST");
        if (clean != NULL) {
            free(report->xml);
            report->xml = clean;
        }
    }
    return 0;
}
