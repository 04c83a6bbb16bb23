/* A log-linear histogram of nanoseconds: recording is a few instructions, and it lies in the arena.
 *
 * The buckets are those of HDR Histogram (Gil Tene, https://hdrhistogram.org) with 128 sub-buckets a power of two:
 * values below 256 are exact, others are right within 1/128 (0.8%). Largest value 2^41-1 ns (36 minutes);
 * greater ones are counted in the last bucket and in `clipped`. One writer; readers read when the writer rests. */
#ifndef PRONY_HISTOGRAM_H
#define PRONY_HISTOGRAM_H

#include <stdint.h>

#define PRONY_HISTOGRAM_SUB 128u
#define PRONY_HISTOGRAM_TOP 41u /* bits */
#define PRONY_HISTOGRAM_BUCKETS (PRONY_HISTOGRAM_SUB * (PRONY_HISTOGRAM_TOP - 6u))

struct prony_histogram {
    uint64_t count, min_ns, max_ns, clipped; /* min_ns is valid when count > 0 */
    uint64_t bucket[PRONY_HISTOGRAM_BUCKETS];
};

/* The bucket of a value: exact below 256, then 128 a doubling. */
static inline unsigned prony_histogram_bucket(uint64_t ns)
{
    unsigned shift;
    if (ns < 2u * PRONY_HISTOGRAM_SUB)
        return (unsigned)ns;
    shift = 56u - (unsigned)__builtin_clzll(ns); /* so that ns >> shift lies in [128, 256) */
    return (shift << 7) + (unsigned)(ns >> shift);
}

/* The least value that falls into a bucket. The values of bucket i are [low(i), low(i + 1)). */
static inline uint64_t prony_histogram_low(unsigned bucket)
{
    unsigned shift;
    if (bucket < 2u * PRONY_HISTOGRAM_SUB)
        return bucket;
    shift = (bucket >> 7) - 1u;
    return (uint64_t)(128u + (bucket & 127u)) << shift;
}

static inline void prony_histogram_record(struct prony_histogram *histogram, uint64_t ns)
{
    unsigned bucket = ns >> PRONY_HISTOGRAM_TOP ? PRONY_HISTOGRAM_BUCKETS - 1u : prony_histogram_bucket(ns);
    histogram->clipped += ns >> PRONY_HISTOGRAM_TOP ? 1u : 0u;
    if (histogram->count++ == 0 || ns < histogram->min_ns)
        histogram->min_ns = ns;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
    histogram->bucket[bucket]++;
}

#endif
