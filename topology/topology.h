/* The machine's processing units and who should sit on which. The only room that sees hwloc.
 *
 * PUs are named by their OS index everywhere outside this room. Discovery is restricted to the PUs this process may use
 * (cpuset, taskset). A topology from a file or a synthetic string plans, and never binds. */
#ifndef PRONY_TOPOLOGY_TOPOLOGY_H
#define PRONY_TOPOLOGY_TOPOLOGY_H

#include <prony/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct prony_topology;

/* source: NULL for this system, an hwloc XML file, or "synthetic:STRING". -EINVAL / -ENOENT with the reason.
 * This system is loaded before any thread of the process binds itself: what the caller is bound to is all it sees. */
int prony_topology_load(const char *source, struct prony_topology **topology, struct prony_error *error);
void prony_topology_free(struct prony_topology *topology);

/* False for XML and synthetic sources: plans only. */
bool prony_topology_is_here(const struct prony_topology *topology);

struct prony_topology_facts {
    unsigned pus, cores, packages, nodes; /* allowed ones */
    unsigned pus_present;                 /* in the machine, allowed or not */
    unsigned kinds;                       /* hybrid core kinds; 1 where all are alike or unknown */
    bool smt;                             /* some allowed core has two allowed PUs or more */
    double quota;                         /* cgroup CPU quota in CPUs; 0: none */
    unsigned default_workers;             /* min(pus, quota rounded down, at least 1) */
    char model[64];                       /* CPU model as the hardware says; may be empty */
};
void prony_topology_facts(const struct prony_topology *topology, struct prony_topology_facts *facts);

/* Allowed PUs in ascending OS index: writes at most `room`, returns how many there are. */
unsigned prony_topology_pus(const struct prony_topology *topology, int *pus, unsigned room);

struct prony_placement {
    char policy[256]; /* as given: "compact", "list:0-2+4" */
    unsigned workers;
    int *pus;            /* one a worker, in worker order; -1 each for policy none. Owned; prony_placement_free */
    bool oversubscribed; /* some PU has two workers */
    bool binding;        /* workers are to be bound (a real system, and not policy none) */
};

/* Policies:
 *   compact  fills a core's PUs, then the next core of the same cache, package: neighbours share most
 *   spread   as far apart as possible: packages in turn, then caches, then cores; SMT siblings last, of whatever kind
 *   core     one worker a core (its first PU), cores in order
 *   smt      the PUs of one core together, core by core; needs SMT, and leaves out cores without it
 *   numa     NUMA nodes in turn; within a node a core a worker, SMT siblings last
 *   list:..  the PUs named: "list:0-2+4", in that order; a PU named twice needs `oversubscribe`
 *   pair:..  two workers by the nearest thing that their PUs share: pair:same-pu, smt (a core), l2, l3, package, node,
 *            machine; the first such pair in the order of the tree
 *   none     no binding
 * Where core kinds differ, the performance kind comes first. More workers than PUs (or than cores, for core) is -ERANGE
 * unless `oversubscribe`. A policy this machine cannot honour (smt without SMT, a PU outside the cpuset) is -EINVAL
 * with the reason, never another choice. */
int prony_topology_place(const struct prony_topology *topology, const char *policy, unsigned workers,
                         bool oversubscribe, struct prony_placement *placement, struct prony_error *error);
void prony_placement_free(struct prony_placement *placement);
/* Checks the policy's spelling only (nearest names offered). */
int prony_topology_policy_check(const char *policy, struct prony_error *error);

/* Whom each worker takes work from, nearest first: who shares its PU, core, L2, L3, node, package, then all others. Row i
 * of `order`, workers - 1 long, is worker i's. At each level the k-th of a group begins with the k-th of the next group,
 * so that workers that run dry together do not all turn to one victim. Workers whose PU is unknown (-1) go last. */
int prony_topology_victims(const struct prony_topology *topology, const int *pus, unsigned workers, uint16_t *order);

/* What two PUs share, nearest first: "core", "L1", "L2", "L3", "package", "node", "machine"; "same PU" for one. Static
 * strings. */
const char *prony_topology_shared(const struct prony_topology *topology, int pu_a, int pu_b);

/* The tree, for people: one object a line, indented (what a single core has to itself is on its line); PUs that
 * `placement` uses say which workers sit there (NULL: none). */
int prony_topology_print(const struct prony_topology *topology, const struct prony_placement *placement, FILE *out,
                         struct prony_error *error);
/* The whole topology as hwloc XML (malloc'ed, caller frees), for the report. */
int prony_topology_xml(const struct prony_topology *topology, char **xml, struct prony_error *error);
/* A drawing of the tree with the workers in it, as SVG into `out`. */
int prony_topology_svg(const struct prony_topology *topology, const struct prony_placement *placement, FILE *out,
                       struct prony_error *error);
/* hwloc's version: what it was compiled with and what runs, "2.9.0 (2.9.0)". */
const char *prony_topology_library(void);

#endif
