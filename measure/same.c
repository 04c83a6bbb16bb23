#include "measure/same.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

static int add(struct prony_list *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int add(struct prony_list *lines, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    int length, code;
    va_start(arguments, format);
    length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -ENOMEM;
    for (char *end = line; (end = strchr(end, '\n')) != NULL;)
        *end = ' '; /* as the journal writes it */
    code = prony_list_add(lines, line, (size_t)length);
    free(line);
    return code;
}

/* FNV-1a, 64 bits: tells apart what was not made to deceive. */
static uint64_t hash(const void *bytes, size_t n, uint64_t so_far)
{
    for (const unsigned char *at = bytes; n > 0; n--)
        so_far = (so_far ^ *at++) * 1099511628211u;
    return so_far;
}
static const uint64_t nothing = 14695981039346656037u;

/* The build id that the linker wrote into this program, in hexadecimal. */
static int find_build(struct dl_phdr_info *info, size_t size, void *context)
{
    char *text = context;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        const unsigned char *at = (const unsigned char *)(uintptr_t)(info->dlpi_addr + header->p_vaddr);
        const unsigned char *end = at + header->p_memsz;
        while (header->p_type == PT_NOTE && (size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const void *)at;
            const unsigned char *name = at + sizeof *note, *id = name + ((note->n_namesz + 3u) & ~3u);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
                for (unsigned b = 0; b < note->n_descsz && b < 20; b++)
                    (void)snprintf(text + 2 * b, 3, "%02x", id[b]);
                return 1;
            }
            at = id + ((note->n_descsz + 3u) & ~3u);
        }
    }
    return 1; /* the program is the first; libraries are not asked */
}

/* Which machine this is, without telling its name: from what systemd says is its own, else from the host's name. */
static uint64_t who(const struct utsname *names)
{
    char id[64] = "";
    FILE *file = fopen("/etc/machine-id", "re");
    size_t n = file == NULL ? 0 : fread(id, 1, sizeof id, file);
    if (file != NULL)
        (void)fclose(file);
    if (n >= 32)
        return hash(id, n, nothing);
    return hash(names->nodename, strlen(names->nodename), nothing);
}

static int add_pus(const struct prony_topology *topology, struct prony_list *lines)
{
    unsigned n = prony_topology_pus(topology, NULL, 0);
    int *pus = calloc(n + 1, sizeof *pus), code = -ENOMEM;
    char *text = NULL;
    size_t bytes;
    FILE *out = pus == NULL ? NULL : open_memstream(&text, &bytes);
    if (out != NULL) {
        (void)prony_topology_pus(topology, pus, n);
        for (unsigned i = 0; i < n; i++)
            (void)fprintf(out, "%s%d", i > 0 ? "," : "", pus[i]);
        if (fclose(out) == 0)
            code = add(lines, "same\tset of allowed PUs\t%s", text);
    }
    free(text);
    free(pus);
    return code;
}

/* The whole tree; what it holds is too much to be told. */
static int add_tree(const struct prony_topology *topology, struct prony_list *lines)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    int code = out == NULL ? -ENOMEM : prony_topology_print(topology, NULL, out, NULL);
    if (out != NULL && fclose(out) != 0)
        code = -ENOMEM;
    if (code == 0)
        code = add(lines, "same\ttopology\ttree %016llx", (unsigned long long)hash(text, bytes, nothing));
    free(text);
    return code;
}

int prony_same_machine(const struct prony_topology *topology, struct prony_list *lines, struct prony_error *error)
{
    struct prony_topology_facts facts;
    struct utsname names;
    char build[64] = "unknown";
    int code;
    prony_topology_facts(topology, &facts);
    (void)uname(&names);
    (void)dl_iterate_phdr(find_build, build);
    code = add(lines, "same\tversion of prony\t%s", PRONY_VERSION);
    if (code == 0)
        code = add(lines, "same\tbuild of prony\t%s", build);
    if (code == 0)
        code = add(lines, "same\tmachine\t%016llx", (unsigned long long)who(&names));
    if (code == 0)
        code = add(lines, "same\tkernel\t%s %s %s %s", names.sysname, names.release, names.version, names.machine);
    if (code == 0)
        code = add(lines, "same\tCPU\t%s", facts.model);
    if (code == 0)
        code = add_pus(topology, lines);
    if (code == 0)
        code = add(lines, "same\tquota of CPUs\t%.3g", facts.quota);
    if (code == 0)
        code = add_tree(topology, lines);
    return code == 0 ? 0 : prony_fail(error, code, "no memory to tell what machine this is");
}

/* A plug-in that was loaded from a file is the same when its file is. */
static int add_file(const struct prony_head *head, struct prony_list *lines)
{
    const int fd = prony_registry_fd(head);
    unsigned char bytes[65536];
    uint64_t sum = nothing;
    off_t at = 0;
    for (ssize_t n; (n = pread(fd, bytes, sizeof bytes, at)) > 0; at += n)
        sum = hash(bytes, (size_t)n, sum);
    return add(lines, "same\tplug-in %s\t%lld bytes, %016llx", head->name, (long long)at, (unsigned long long)sum);
}

static int add_files(struct prony_list *lines)
{
    const struct prony_head *head;
    int code = 0;
    for (int kind = 0; kind < PRONY_KINDS; kind++)
        for (unsigned i = 0; code == 0 && (head = prony_registry_at((enum prony_kind)kind, i)) != NULL; i++)
            if (prony_registry_fd(head) >= 0)
                code = add_file(head, lines);
    return code;
}

static int add_method(const struct prony_method *method, struct prony_list *lines)
{
    int code = add(lines, "same\tseed\t%llu", (unsigned long long)method->seed);
    if (code == 0)
        code = add(lines, "same\tnumber of visits\t%u", method->visits);
    if (code == 0)
        code = add(lines, "same\tnumber of samples\t%u", method->samples);
    if (code == 0)
        code = add(lines, "same\tnumber of launches\t%u", method->launches);
    if (code == 0)
        code = add(lines, "same\tprecision\t%g%%", method->precision);
    if (code == 0)
        code = add(lines, "same\ttimeout\t%lld ns", (long long)method->timeout_ns);
    if (code == 0)
        code = add(lines, "same\tscaling\t%s", method->weak ? "weak" : "strong");
    return code == 0 ? add(lines, "same\tprofile\t%s", method->profile ? "one" : "none") : code;
}

static int add_counters(const struct prony_method *method, struct prony_list *lines)
{
    char *events = NULL;
    size_t bytes;
    FILE *out = open_memstream(&events, &bytes);
    int code = -ENOMEM;
    if (out == NULL)
        return code;
    for (size_t i = 0; i < method->events.count; i++)
        (void)fprintf(out, "%s%s", i > 0 ? "+" : "", method->events.item[i]);
    if (fclose(out) == 0)
        code = add(lines, "same\tchoice of counters\t%s:%s",
                   method->provider != NULL ? method->provider->head.name : "none", events);
    free(events);
    return code;
}

/* Where its workers sit; of a skipped one, that it is. */
static int add_cell(const struct prony_cell *cell, unsigned number, struct prony_list *lines)
{
    char *pus = NULL;
    size_t bytes;
    FILE *out = open_memstream(&pus, &bytes);
    int code = -ENOMEM;
    if (out == NULL)
        return code;
    for (unsigned i = 0; cell->outcome != PRONY_SKIPPED && i < cell->placement.workers; i++)
        (void)fprintf(out, "%s%d", i > 0 ? "," : "", cell->placement.pus[i]);
    if (fclose(out) == 0)
        code = add(lines, "cell\t%u\t%s\t%s", number, cell->id, cell->outcome == PRONY_SKIPPED ? "skipped" : pus);
    free(pus);
    return code;
}

int prony_same_plan(const struct prony_run *run, struct prony_list *lines, struct prony_error *error)
{
    int code = add(lines, "same\tsuite\t%s", run->suite);
    if (code == 0)
        code = add(lines, "same\tname\t%s", run->name != NULL ? run->name : "");
    if (code == 0)
        code = add_method(&run->method, lines);
    if (code == 0)
        code = add_counters(&run->method, lines);
    if (code == 0)
        code = add_files(lines);
    for (unsigned i = 0; code == 0 && i < run->count; i++)
        code = add_cell(&run->cells[i], i, lines);
    return code == 0 ? 0 : prony_fail(error, code, "no memory to tell what the plan is");
}

/* The name in `same NAME TEXT`, its length 0 in other lines, and the text. */
static const char *split(const char *line, size_t *length)
{
    const char *name = strncmp(line, "same\t", 5) == 0 ? line + 5 : "";
    *length = strcspn(name, "\t");
    return name;
}

int prony_same_check(const struct prony_list *then, const struct prony_list *now, bool whole, struct prony_error *error)
{
    for (size_t i = 0; i < now->count; i++) {
        const char *is = now->item[i], *was = i < then->count ? then->item[i] : "";
        size_t length, its;
        const char *name = split(is, &length), *other = split(was, &its);
        if (strcmp(is, was) == 0)
            continue;
        if (length > 0 && length == its && strncmp(name, other, length) == 0)
            return prony_fail(error, -ESTALE, "the %.*s is another: it was %.80s, it is %.80s", (int)length, name,
                              other + its + 1, name + length + 1);
        return prony_fail(error, -ESTALE, "the plan is another: it had \"%.90s\", it has \"%.90s\"", was, is);
    }
    if (whole && now->count < then->count)
        return prony_fail(error, -ESTALE, "the plan is another: \"%.90s\" is not in it any more",
                          then->item[now->count]);
    return 0;
}
