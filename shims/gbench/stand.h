/* A test stand: one cell in this process, set up as a cell host sets it up, driven by somebody else's clock. */
#ifndef PRONY_SHIMS_GBENCH_STAND_H
#define PRONY_SHIMS_GBENCH_STAND_H

#include "measure/cell.h"
#include "measure/host.h"

/* What stands under every stand. Not owned. */
struct gbench_ground {
    const struct prony_topology *topology;
    const struct prony_method *method; /* provider and events */
    const struct prony_list *params;   /* "PLUGIN.KEY=VALUE", as typed */
};

struct gbench_wish {
    const struct prony_engine *engine;
    const struct prony_workload *workload;
    const struct prony_channel *channel; /* NULL: none */
    unsigned workers;
    int64_t size;  /* of pingpong's messages; 0: its default */
    int64_t items; /* of the workload; 0: its default */
};

struct gbench_stand {
    struct prony_cell cell;
    struct prony_host host;
    bool open;
};

/* Places, lays out, prepares and opens; the engine is at rest afterwards. -ENOTSUP, -ERANGE: this cannot be had here, and
 * why; else it failed. */
int gbench_stand_open(struct gbench_stand *stand, const struct gbench_wish *wish, const struct gbench_ground *ground,
                      struct prony_error *error);
/* Closes what is open, and lets the calling thread go anywhere again. -errno when the engine does not close. */
int gbench_stand_close(struct gbench_stand *stand, const struct prony_topology *topology, struct prony_error *error);
/* Checks "PLUGIN.KEY=VALUE" against the plug-ins there are. */
int gbench_param_check(const char *text, struct prony_error *error);

#endif
