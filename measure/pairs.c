/* The place "pairs": every two PUs of this machine, for a picture of who is how far from whom; and which
 * workers may not share one. */
#include "measure/axes.h"
#include "measure/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUS_MOST = 32 }; /* 496 pairs */

static int add(struct prony_list *list, const char *text)
{
    return prony_list_add(list, text, strlen(text));
}

/* Of too many, every so many-th; the first and the last among them. */
static unsigned thinned(int *pus, unsigned n)
{
    for (unsigned i = 0; n > PUS_MOST && i < PUS_MOST; i++)
        pus[i] = pus[(uint64_t)i * (n - 1) / (PUS_MOST - 1)];
    return n < PUS_MOST ? n : PUS_MOST;
}

static int add_pairs(struct prony_list *places, const int *pus, unsigned n)
{
    char text[64];
    int bad = 0;
    for (unsigned a = 0; a < n; a++)
        for (unsigned b = a + 1; b < n; b++) {
            (void)snprintf(text, sizeof text, "list:%d+%d", pus[a], pus[b]);
            bad |= prony_list_has(places, text) ? 0 : add(places, text);
        }
    return bad;
}

static int expand(struct prony_list *places, const struct prony_topology *topology, struct prony_list *notes,
                  struct prony_error *error)
{
    unsigned n = prony_topology_pus(topology, NULL, 0), all = n;
    int *pus = calloc(n + 1, sizeof *pus), bad;
    char note[160];
    if (pus == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    (void)prony_topology_pus(topology, pus, n);
    n = thinned(pus, n);
    bad = add_pairs(places, pus, n);
    free(pus);
    if (n < all) {
        (void)snprintf(note, sizeof note, "place pairs: %u of %u PUs were taken, evenly spaced (list:A+B names others)",
                       n, all);
        bad |= add(notes, note);
    }
    if (bad != 0)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    return all >= 2 ? 0 : prony_fail(error, -ERANGE, "place pairs: this machine has one PU that may be used");
}

int prony_axes_pairs(struct prony_axes *axes, const struct prony_topology *topology, struct prony_list *notes,
                     struct prony_error *error)
{
    struct prony_list places = {0};
    int code = 0;
    if (!prony_list_has(&axes->places, "pairs"))
        return 0;
    for (size_t i = 0; i < axes->places.count && code == 0; i++)
        code = strcmp(axes->places.item[i], "pairs") == 0 ? expand(&places, topology, notes, error)
               : add(&places, axes->places.item[i]) != 0  ? prony_fail(error, -ENOMEM, "no memory for a plan")
                                                          : 0;
    if (code != 0) {
        prony_list_free(&places);
        return code;
    }
    prony_list_free(&axes->places);
    axes->places = places;
    return 0;
}

/* Does the cell wait by spinning? Then two of its roles on one PU take turns by the scheduler's time slices: milliseconds
 * a message, and the figure would say nothing about the channel. */
int prony_axes_spin_apart(const struct prony_cell *cell, const struct prony_topology *topology,
                          struct prony_error *reason)
{
    unsigned roles = cell->need.roles == 0 ? cell->workers : cell->need.roles;
    bool spins = cell->need.spins != 0;
    for (unsigned i = 0; i < cell->channel_params.count && cell->channel != NULL; i++) {
        const struct prony_param *param = &cell->channel_params.values[i];
        spins = spins || (strcmp(param->option->name, "wait") == 0 && strcmp(param->text, "spin") == 0);
    }
    for (unsigned i = 0; spins && cell->placement.binding && i < roles; i++)
        for (unsigned j = 0; j < i; j++)
            if (cell->placement.pus[i] == cell->placement.pus[j])
                return prony_fail(reason, -ENOTSUP,
                                  "workers that spin for each other cannot share PU %d: take wait=block, or other PUs",
                                  cell->placement.pus[i]);
    if (spins && cell->channel != NULL && cell->need.ends == 0 && cell->placement.binding) { /* it carries tasks */
        const int caller = prony_caller_pu(cell, topology);
        for (unsigned i = 0; i < roles; i++)
            if (cell->placement.pus[i] == caller)
                return prony_fail(reason, -ENOTSUP,
                                  "the caller and worker %u would spin for each other on PU %d: take wait=block, or "
                                  "fewer workers",
                                  i, caller);
    }
    return 0;
}
