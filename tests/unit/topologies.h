/* Topologies that several tests load. */
#ifndef TESTS_TOPOLOGIES_H
#define TESTS_TOPOLOGIES_H

#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HYBRID                                                                                                         \
    FIXTURES "/topology/hybrid.xml" /* PUs 0-3: four small cores on one L2; 4+5, 6+7: two large ones with SMT */

/* NULL: this system. */
static inline struct prony_topology *load(const char *source)
{
    struct prony_topology *topology;
    struct prony_error error = {0, ""};
    if (prony_topology_load(source, &topology, &error) != 0)
        fail_msg("%s: %s", source == NULL ? "this system" : source, error.text);
    return topology;
}

#endif
