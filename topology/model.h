/* Private to this room: a topology is hwloc's tree and one flat record a PU, made once when it is loaded. */
#ifndef PRONY_TOPOLOGY_MODEL_H
#define PRONY_TOPOLOGY_MODEL_H

#include "topology/topology.h"

#include <hwloc.h>

/* Where a PU sits, from far to near. Levels that a machine lacks have the same groups as the level before. */
enum level { LEVEL_PACKAGE, LEVEL_NODE, LEVEL_L3, LEVEL_L2, LEVEL_CORE, LEVEL_PU, LEVELS };

struct pu {
    int os;                /* index that the system gives it */
    unsigned kind;         /* rank of its core kind: 0 is the one with the most performance */
    unsigned node;         /* NUMA node, logical; the nearest when there are several */
    unsigned core;         /* dense number of the core, in order */
    unsigned sibling;      /* its place among the PUs of its core: 0 is the first */
    unsigned siblings;     /* how many those are */
    unsigned rank[LEVELS]; /* which child of its group one level up */
    unsigned in_node;      /* which core of its NUMA node, counting in order */
    hwloc_obj_t object;
};

struct prony_topology {
    hwloc_topology_t tree;
    bool here;
    struct pu *pus;  /* in hwloc's logical order: neighbours share most */
    unsigned *by_os; /* positions in `pus`, by ascending OS index */
    struct prony_topology_facts facts;
};

/* The record of a PU by OS index; NULL when it is not among the allowed ones. */
const struct pu *prony_topology_pu(const struct prony_topology *topology, int os);
/* "Package 0", "L3 2 (32 MiB)", "Node 1 (64 GiB)": what an object is called. Writes into `text` and returns it. */
const char *prony_topology_label(hwloc_obj_t object, char *text, size_t bytes);
/* The workers of a placement that sit on a PU, "0", "0, 2 and 14 more"; "" for none. Returns how many there are. */
unsigned prony_topology_sitters(const struct prony_placement *placement, int os, char *text, size_t bytes);

#endif
