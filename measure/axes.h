/* What a row of axes means on this machine: names and tags become plug-ins, worker tokens numbers, parameters axes of
 * their own. Used by plan.c, and by exec_plan.c for values. */
#ifndef PRONY_MEASURE_AXES_H
#define PRONY_MEASURE_AXES_H

#include "measure/plan.h"

#define PRONY_NO_CHANNEL "none" /* among channels */

/* A plug-in of an axis, and whether it can run here. */
struct prony_pick {
    const struct prony_head *head;
    struct prony_error absent; /* code 0: it can; else why not */
    bool takes_channel;        /* workloads: asked with their default parameters */
};

struct prony_picks {
    struct prony_pick *item;
    unsigned count, room;
};

/* One -p: values of a key, for one plug-in or (scope NULL) for all that know it. */
struct prony_param_axis {
    char *scope, *key;
    struct prony_list values;
};

struct prony_axes {
    struct prony_picks engines, workloads, channels;
    bool carries; /* the row names channels: engines that can carry their tasks over them */
    bool own;     /* and "none": the same engines in their own way beside */
    unsigned *workers;
    unsigned workers_count, workers_room;
    struct prony_list places;
    struct prony_param_axis *params;
    unsigned params_count;
    unsigned named; /* PRONY_NAMED_* */
};

/* Fills `axes` (zeroed before; prony_axes_free in any case). What the build lacks and nobody named becomes a note. */
int prony_axes_read(const struct prony_row *row, const struct prony_topology_facts *facts, struct prony_list *notes,
                    struct prony_axes *axes, struct prony_error *error);
/* Checks the parameters of all rows against all plug-ins of the plan, and expands ranges of numbers. A key that nobody
 * has is -ENOENT, a value that nobody takes -ERANGE or -EINVAL. */
int prony_axes_check(struct prony_axes *axes, unsigned n, struct prony_error *error);
/* The axis that sets `key` of the plug-in `owner`: its own before a general one, a later one before an earlier; -1:
 * none. */
int prony_axes_winner(const struct prony_axes *axes, const char *owner, const char *key);
/* Replaces the place "pairs" by a list:A+B for every pair of PUs; of a large machine, of some
 * of its PUs, which a note says. */
int prony_axes_pairs(struct prony_axes *axes, const struct prony_topology *topology, struct prony_list *notes,
                     struct prony_error *error);
/* -ENOTSUP with the reason for a cell whose workers spin for each other on one PU. */
int prony_axes_spin_apart(const struct prony_cell *cell, const struct prony_topology *topology,
                          struct prony_error *reason);
/* What an engine without one of these capabilities cannot do, in words: "map a range". */
const char *prony_axes_lacking(uint64_t caps);
/* Does the channel reach between the engine's workers? 0, or -ENOTSUP with the reason. */
int prony_axes_reach(const struct prony_head *engine, const struct prony_head *channel, struct prony_error *reason);
/* Replaces "1..8" and "1..1024*2" among the values of a numeric key by the numbers. -EINVAL, -ERANGE. */
int prony_values_expand(const char *key, struct prony_list *values, struct prony_error *error);
void prony_axes_free(struct prony_axes *axes);

#endif
