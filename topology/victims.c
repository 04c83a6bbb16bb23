/* Whom a worker that has nothing to do takes work from, nearest first. Workers are sorted as their PUs lie in the tree, so
 * that whatever two of them share is a range around both; a worker's order is its ranges from the inside out. */
#include "topology/model.h"

#include <errno.h>
#include <stdlib.h>

struct sitter {
    const struct pu *pu; /* NULL: unknown, or not bound; shares nothing with anybody */
    unsigned worker;
};

static int by_place(const void *a, const void *b)
{
    const struct sitter *x = a, *y = b;
    if (x->pu != y->pu)
        return x->pu == NULL || (y->pu != NULL && x->pu > y->pu) ? 1 : -1;
    return x->worker < y->worker ? -1 : 1;
}

/* How many levels, from the package inwards, two workers have in common: LEVELS is one PU. */
static int common(const struct sitter *a, const struct sitter *b)
{
    int level = 0;
    if (a->pu == NULL || b->pu == NULL)
        return 0;
    while (level < LEVELS && a->pu->rank[level] == b->pu->rank[level])
        level++;
    return level;
}

/* The order of the worker at `at`. Each range is begun behind the one inside it and as far on as the worker is from that
 * one's start: so the k-th of a core, cache or node begins with the k-th of the next one, and no two with the same. */
static void order_of(const struct sitter *sitters, unsigned workers, unsigned at, uint16_t *order)
{
    unsigned low = at, high = at + 1;
    for (int level = LEVELS; level >= 0; level--) {
        const unsigned inner_low = low, inner_high = high;
        unsigned room, others;
        while (low > 0 && common(&sitters[low - 1], &sitters[at]) >= level)
            low--;
        while (high < workers && common(&sitters[high], &sitters[at]) >= level)
            high++;
        room = high - low;
        others = room - (inner_high - inner_low);
        for (unsigned i = 0; i < others; i++) {
            const unsigned behind = (at - inner_low + i) % others;
            *order++ = (uint16_t)sitters[low + (inner_high - low + behind) % room].worker;
        }
    }
}

int prony_topology_victims(const struct prony_topology *topology, const int *pus, unsigned workers, uint16_t *order)
{
    struct sitter *sitters;
    if (workers == 0 || workers > UINT16_MAX)
        return -EINVAL;
    sitters = calloc(workers, sizeof *sitters);
    if (sitters == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < workers; i++)
        sitters[i] = (struct sitter){prony_topology_pu(topology, pus[i]), i};
    qsort(sitters, workers, sizeof *sitters, by_place);
    for (unsigned i = 0; i < workers; i++)
        order_of(sitters, workers, i, order + (size_t)sitters[i].worker * (workers - 1));
    free(sitters);
    return 0;
}
