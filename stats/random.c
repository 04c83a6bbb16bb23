/* Seeded random numbers and orders; the same on every machine. */
#include "stats/stats.h"

uint64_t prony_random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t prony_random_below(uint64_t *state, uint64_t n)
{
    unsigned __int128 product = (unsigned __int128)prony_random_next(state) * n;
    if ((uint64_t)product < n) {
        uint64_t surplus = -n % n; /* 2^64 mod n: so many low halves would come once too often */
        while ((uint64_t)product < surplus)
            product = (unsigned __int128)prony_random_next(state) * n;
    }
    return (uint64_t)(product >> 64);
}

void prony_shuffle(unsigned *order, unsigned n, uint64_t seed, uint64_t block)
{
    uint64_t state = seed;
    state = prony_random_next(&state) ^ block; /* mixed first, so that (1, 2) and (2, 1) are strangers */
    for (unsigned i = 0; i < n; i++) {
        unsigned j = (unsigned)prony_random_below(&state, (uint64_t)i + 1);
        order[i] = i; /* j may be i */
        order[i] = order[j];
        order[j] = i;
    }
}
