/* The data caches of this machine, as the system tells of them: for sizes that have to fit into one, or into none. */
#ifndef PRONY_BASE_CACHES_H
#define PRONY_BASE_CACHES_H

#include <stdint.h>

enum { PRONY_CACHE_LEVELS = 4 };

struct prony_cache {
    uint64_t bytes;   /* 0: there is none, or the system does not tell */
    unsigned sharers; /* PUs that share it, at least 1 */
};

/* The cache of a level from 1 that the first PU uses. Where kinds of cores differ, others may have another. Read at the
 * first call; any thread. */
struct prony_cache prony_cache_of(unsigned level);
/* The last level that there is; bytes is 0 when none is known. */
struct prony_cache prony_cache_last(void);

/* "32K" is 32768, "96M"; 0 for anything else. "0-3,8" are 5 PUs. */
uint64_t prony_cache_size_read(const char *text);
unsigned prony_cache_sharers_read(const char *text);

#endif
