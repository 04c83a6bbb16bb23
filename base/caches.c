/* Reading /sys/devices/system/cpu/cpuN/cache. */
#include "base/caches.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUS_TRIED = 64, INDEXES = 8 };

static struct prony_cache caches[PRONY_CACHE_LEVELS + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

uint64_t prony_cache_size_read(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || n > UINT32_MAX || (shift != 0 ? end[1] : end[0]) != '\0')
        return 0;
    return (uint64_t)n << shift;
}

unsigned prony_cache_sharers_read(const char *text)
{
    unsigned n = 0;
    for (;;) {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (end == text)
            return n;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        n += last >= first && last - first < 65536 ? (unsigned)(last - first) + 1 : 0;
        if (*end != ',')
            return n;
        text = end + 1;
    }
}

/* A file of one line, without its end. False: there is none. */
static int line_of(unsigned pu, unsigned index, const char *name, char *text, int bytes)
{
    char path[96];
    FILE *file;
    int found;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/cache/index%u/%s", pu, index, name);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    found = fgets(text, bytes, file) != NULL;
    (void)fclose(file);
    if (found)
        text[strcspn(text, "\n")] = '\0';
    return found;
}

/* Takes what this PU has; how many caches it told of. */
static unsigned take(unsigned pu)
{
    unsigned found = 0;
    for (unsigned index = 0; index < INDEXES; index++) {
        char level[16], type[32], size[32], shared[1024];
        unsigned long number;
        if (!line_of(pu, index, "level", level, sizeof level) || !line_of(pu, index, "type", type, sizeof type) ||
            !line_of(pu, index, "size", size, sizeof size) || strcmp(type, "Instruction") == 0)
            continue;
        number = strtoul(level, NULL, 10);
        if (number < 1 || number > PRONY_CACHE_LEVELS)
            continue;
        caches[number].bytes = prony_cache_size_read(size);
        if (line_of(pu, index, "shared_cpu_list", shared, sizeof shared))
            caches[number].sharers = prony_cache_sharers_read(shared);
        caches[number].sharers += caches[number].sharers == 0;
        found++;
    }
    return found;
}

static void read_all(void)
{
    for (unsigned pu = 0; pu < PUS_TRIED && take(pu) == 0; pu++)
        ;
}

struct prony_cache prony_cache_of(unsigned level)
{
    static const struct prony_cache none = {0, 1};
    (void)pthread_once(&once, read_all);
    return level >= 1 && level <= PRONY_CACHE_LEVELS && caches[level].bytes > 0 ? caches[level] : none;
}

struct prony_cache prony_cache_last(void)
{
    for (unsigned level = PRONY_CACHE_LEVELS; level > 0; level--)
        if (prony_cache_of(level).bytes > 0)
            return prony_cache_of(level);
    return (struct prony_cache){0, 1};
}
