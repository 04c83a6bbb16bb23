/* The clock of everything: CLOCK_MONOTONIC in nanoseconds. It is the same for all processes of a machine. */
#ifndef PRONY_BASE_CLOCK_H
#define PRONY_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t prony_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
