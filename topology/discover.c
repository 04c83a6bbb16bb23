/* Discovery: loads hwloc's tree and flattens it into one record a PU. */
#include "topology/model.h"
#include "topology/quota.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNTHETIC "synthetic:"
#define MOST_SYNTHETIC 65536 /* PUs; a slip of the finger should not eat the memory */

static const enum level no_level = LEVELS;

static enum level level_of(hwloc_obj_t object)
{
    switch (object->type) {
    case HWLOC_OBJ_PACKAGE:
        return LEVEL_PACKAGE;
    case HWLOC_OBJ_L3CACHE:
        return LEVEL_L3;
    case HWLOC_OBJ_L2CACHE:
        return LEVEL_L2;
    case HWLOC_OBJ_CORE:
        return LEVEL_CORE;
    default:
        return no_level;
    }
}

/* The PUs that a synthetic description asks for: the product of its counts ("pack:2 [numa] core:4(indexes=..) 2"). */
static double synthetic_size(const char *text)
{
    double size = 1;
    while (*text != '\0') {
        size_t length = strcspn(text, " \t");
        const char *colon = memchr(text, ':', length), *count = colon != NULL ? colon + 1 : text;
        const char *close = *text == '['                        ? strchr(text, ']')
                            : memchr(text, '(', length) != NULL ? strchr(text, ')')
                                                                : NULL;
        if (isdigit((unsigned char)*count))
            size *= strtod(count, NULL);
        text = close != NULL ? close + 1 : text + length;
        text += strspn(text, " \t");
    }
    return size;
}

static int set_synthetic(hwloc_topology_t tree, const char *text, struct prony_error *error)
{
    if (synthetic_size(text) > MOST_SYNTHETIC)
        return prony_fail(error, -ERANGE, "synthetic topology \"%s\" has more than %d PUs", text, MOST_SYNTHETIC);
    if (hwloc_topology_set_synthetic(tree, text) != 0)
        return prony_fail(error, -EINVAL,
                          "\"%s\" does not describe a topology; write, for example, "
                          "\"synthetic:pack:2 [numa] l3:4 core:8 pu:2\"",
                          text);
    return 0;
}

static int set_xml(hwloc_topology_t tree, const char *path, struct prony_error *error)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return prony_fail(error, -errno, "topology %s: %s%s", path, strerror(errno),
                          strchr(path, ':') != NULL ? " (a description needs \"" SYNTHETIC "\" before it)" : "");
    if (!S_ISREG(status.st_mode))
        return prony_fail(error, -EINVAL, "topology %s: not a file", path);
    if (access(path, R_OK) != 0)
        return prony_fail(error, -errno, "topology %s: %s", path, strerror(errno));
    if (hwloc_topology_set_xml(tree, path) != 0)
        return prony_fail(error, -EINVAL, "topology %s: not an hwloc XML file (lstopo FILE.xml writes one)", path);
    return 0;
}

/* hwloc takes other machines for this one when such a variable is set; prony has --topology for that. */
static int check_environment(struct prony_error *error)
{
    static const char *const names[] = {"HWLOC_XMLFILE", "HWLOC_SYNTHETIC", "HWLOC_FSROOT", "HWLOC_CPUID_PATH"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]) != NULL)
            return prony_fail(error, -EINVAL,
                              "%s is set and hides this machine from hwloc; unset it and use --topology to plan "
                              "for another machine",
                              names[i]);
    return 0;
}

static int load_tree(struct prony_topology *topology, const char *source, struct prony_error *error)
{
    hwloc_topology_t tree;
    int code;
    if (hwloc_topology_init(&tree) != 0)
        return prony_fail(error, -ENOMEM, "no memory for a topology");
    if (source == NULL) {
        code = check_environment(error);
        (void)hwloc_topology_set_flags(tree,
                                       HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM | HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING);
    } else if (strncmp(source, SYNTHETIC, strlen(SYNTHETIC)) == 0) {
        code = set_synthetic(tree, source + strlen(SYNTHETIC), error);
    } else {
        code = set_xml(tree, source, error);
    }
    if (code == 0 && hwloc_topology_load(tree) != 0)
        code = source == NULL ? prony_fail(error, -ENOTSUP, "hwloc cannot read this machine: %s", strerror(errno))
                              : prony_fail(error, -EINVAL, "topology %s: hwloc cannot make a machine of it", source);
    if (code != 0) {
        hwloc_topology_destroy(tree);
        return code;
    }
    topology->tree = tree;
    topology->here = source == NULL;
    return 0;
}

/* hwloc's kinds ascend in performance. Where it cannot rank them, all are alike to us. */
static unsigned kind_rank(hwloc_topology_t tree, hwloc_const_cpuset_t cpus)
{
    int kinds = hwloc_cpukinds_get_nr(tree, 0), kind = hwloc_cpukinds_get_by_cpuset(tree, cpus, 0), efficiency = -1;
    if (kinds < 2 || kind < 0 || hwloc_cpukinds_get_info(tree, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0) != 0)
        return 0;
    return efficiency < 0 ? 0 : (unsigned)(kinds - 1 - kind);
}

static hwloc_obj_t nearest_node(hwloc_topology_t tree, hwloc_obj_t pu)
{
    int os = pu->nodeset == NULL ? -1 : hwloc_bitmap_first(pu->nodeset);
    return os < 0 ? NULL : hwloc_get_numanode_obj_by_os_index(tree, (unsigned)os);
}

static void describe(struct prony_topology *topology, struct pu *pu, hwloc_obj_t object, unsigned group[LEVELS])
{
    hwloc_obj_t node = nearest_node(topology->tree, object);
    pu->object = object;
    pu->os = (int)object->os_index;
    pu->kind = kind_rank(topology->tree, object->cpuset);
    pu->node = node == NULL ? 0 : node->logical_index;
    for (int level = 0; level < LEVELS; level++)
        group[level] = 0;
    group[LEVEL_NODE] = pu->node;
    group[LEVEL_PU] = object->logical_index;
    group[LEVEL_CORE] = 1 + object->logical_index; /* where hwloc knows no cores, each PU is one */
    for (hwloc_obj_t above = object->parent; above != NULL; above = above->parent)
        if (level_of(above) != no_level)
            group[level_of(above)] = 1 + above->logical_index; /* 0: this PU has none */
}

/* Numbers the groups of every level within their group of the level above. `group` holds LEVELS hwloc indices a PU.
 * A group is where all levels down to it agree, so that nodes across packages or packages across nodes nest all the
 * same; PUs of a group are neighbours in logical order. */
static void number(struct prony_topology *topology, const unsigned *group)
{
    unsigned pus = topology->facts.pus, cores = 0;
    for (unsigned i = 0; i < pus; i++) {
        struct pu *pu = &topology->pus[i], *before = pu - 1;
        bool same = i > 0;
        for (int level = 0; level < LEVELS; level++) {
            bool still = same && group[i * LEVELS + level] == group[(i - 1) * LEVELS + level];
            pu->rank[level] = !same ? 0 : before->rank[level] + (still ? 0 : 1);
            same = still;
            if (level == LEVEL_CORE)
                pu->core = still ? cores - 1 : cores++;
        }
        pu->sibling = pu->rank[LEVEL_PU];
    }
    for (unsigned i = pus; i-- > 0;) {
        struct pu *pu = &topology->pus[i];
        bool last = i + 1 == pus || topology->pus[i + 1].core != pu->core;
        pu->siblings = last ? pu->sibling + 1 : topology->pus[i + 1].siblings;
        if (pu->siblings > 1)
            topology->facts.smt = true;
    }
    topology->facts.cores = cores;
}

/* Numbers the cores of each node. */
static int count_in_nodes(struct prony_topology *topology, struct prony_error *error)
{
    unsigned pus = topology->facts.pus, nodes = 1, *cores;
    for (unsigned i = 0; i < pus; i++)
        nodes = topology->pus[i].node >= nodes ? topology->pus[i].node + 1 : nodes;
    cores = calloc(nodes, sizeof *cores);
    if (cores == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a topology");
    for (unsigned i = 0; i < pus; i++) {
        struct pu *pu = &topology->pus[i];
        pu->in_node = pu->sibling == 0 ? cores[pu->node]++ : topology->pus[i - 1].in_node;
    }
    free(cores);
    return 0;
}

static int by_os(const void *a, const void *b, void *pus)
{
    const struct pu *x = (const struct pu *)pus + *(const unsigned *)a,
                    *y = (const struct pu *)pus + *(const unsigned *)b;
    return x->os - y->os;
}

static int flatten(struct prony_topology *topology, struct prony_error *error)
{
    int count = hwloc_get_nbobjs_by_type(topology->tree, HWLOC_OBJ_PU), code;
    unsigned *group = NULL;
    if (count < 1)
        return prony_fail(error, -EINVAL, "the topology has no PU that may be used");
    topology->facts.pus = (unsigned)count;
    topology->pus = calloc((size_t)count, sizeof *topology->pus);
    topology->by_os = calloc((size_t)count, sizeof *topology->by_os);
    group = calloc((size_t)count, LEVELS * sizeof *group);
    if (topology->pus == NULL || topology->by_os == NULL || group == NULL) {
        code = prony_fail(error, -ENOMEM, "no memory for a topology");
        goto out;
    }
    for (unsigned i = 0; i < (unsigned)count; i++) {
        describe(topology, &topology->pus[i], hwloc_get_obj_by_type(topology->tree, HWLOC_OBJ_PU, i),
                 &group[i * LEVELS]);
        topology->by_os[i] = i;
    }
    qsort_r(topology->by_os, (size_t)count, sizeof *topology->by_os, by_os, topology->pus);
    number(topology, group);
    code = count_in_nodes(topology, error);
out:
    free(group);
    return code;
}

/* What cannot be counted from the records: what else the machine has, its name, and the quota. */
static void describe_machine(struct prony_topology *topology)
{
    struct prony_topology_facts *facts = &topology->facts;
    hwloc_obj_t package = hwloc_get_obj_by_type(topology->tree, HWLOC_OBJ_PACKAGE, 0);
    const char *model = package == NULL ? NULL : hwloc_obj_get_info_by_name(package, "CPUModel");
    int present = hwloc_bitmap_weight(hwloc_topology_get_complete_cpuset(topology->tree));
    int kinds = hwloc_cpukinds_get_nr(topology->tree, 0);
    facts->nodes = (unsigned)hwloc_get_nbobjs_by_type(topology->tree, HWLOC_OBJ_NUMANODE);
    facts->packages = (unsigned)hwloc_get_nbobjs_by_type(topology->tree, HWLOC_OBJ_PACKAGE);
    facts->kinds = kinds < 1 ? 1 : (unsigned)kinds;
    if (topology->here) { /* restricted to the binding, the tree has forgotten the others */
        long configured = sysconf(_SC_NPROCESSORS_CONF);
        present = configured > present ? (int)configured : present;
        facts->quota = prony_quota_read("");
    }
    if (model == NULL)
        model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology->tree), "CPUModel");
    (void)snprintf(facts->model, sizeof facts->model, "%s", model == NULL ? "" : model);
    facts->pus_present = present < (int)facts->pus ? facts->pus : (unsigned)present;
    facts->default_workers = prony_quota_workers(facts->quota, facts->pus);
}

int prony_topology_load(const char *source, struct prony_topology **topology, struct prony_error *error)
{
    struct prony_topology *made = calloc(1, sizeof *made);
    int code;
    *topology = NULL;
    if (made == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a topology");
    code = load_tree(made, source, error);
    if (code == 0)
        code = flatten(made, error);
    if (code != 0) {
        prony_topology_free(made);
        return code;
    }
    describe_machine(made);
    *topology = made;
    return 0;
}

void prony_topology_free(struct prony_topology *topology)
{
    if (topology == NULL)
        return;
    if (topology->tree != NULL)
        hwloc_topology_destroy(topology->tree);
    free(topology->pus);
    free(topology->by_os);
    free(topology);
}

bool prony_topology_is_here(const struct prony_topology *topology)
{
    return topology->here;
}

void prony_topology_facts(const struct prony_topology *topology, struct prony_topology_facts *facts)
{
    *facts = topology->facts;
}

unsigned prony_topology_pus(const struct prony_topology *topology, int *pus, unsigned room)
{
    for (unsigned i = 0; i < topology->facts.pus && i < room; i++)
        pus[i] = topology->pus[topology->by_os[i]].os;
    return topology->facts.pus;
}

const struct pu *prony_topology_pu(const struct prony_topology *topology, int os)
{
    unsigned low = 0, high = topology->facts.pus;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const struct pu *pu = &topology->pus[topology->by_os[middle]];
        if (pu->os == os)
            return pu;
        if (pu->os < os)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *prony_topology_shared(const struct prony_topology *topology, int pu_a, int pu_b)
{
    const struct pu *a = prony_topology_pu(topology, pu_a), *b = prony_topology_pu(topology, pu_b);
    hwloc_obj_t common;
    if (pu_a == pu_b)
        return "same PU";
    if (a == NULL || b == NULL)
        return "machine";
    common = hwloc_get_common_ancestor_obj(topology->tree, a->object, b->object);
    for (; common != NULL && common->parent != NULL; common = common->parent) {
        if (common->type == HWLOC_OBJ_CORE)
            return "core";
        if (common->type == HWLOC_OBJ_L1CACHE)
            return "L1";
        if (common->type == HWLOC_OBJ_L2CACHE)
            return "L2";
        if (common->type == HWLOC_OBJ_L3CACHE)
            return "L3";
        if (common->type == HWLOC_OBJ_PACKAGE)
            return "package";
        if (common->memory_arity > 0)
            return "node"; /* a group of packages, or a part of one, with memory of its own */
    }
    return "machine";
}

int prony_topology_xml(const struct prony_topology *topology, char **xml, struct prony_error *error)
{
    char *buffer;
    int length;
    *xml = NULL;
    if (hwloc_topology_export_xmlbuffer(topology->tree, &buffer, &length, 0) != 0)
        return prony_fail(error, -EIO, "hwloc cannot write the topology as XML: %s", strerror(errno));
    *xml = strndup(buffer, (size_t)length);
    hwloc_free_xmlbuffer(topology->tree, buffer);
    return *xml == NULL ? prony_fail(error, -ENOMEM, "no memory for the topology as XML") : 0;
}

const char *prony_topology_library(void)
{
    static _Thread_local char text[64];
    const char *runs = NULL;
    hwloc_topology_t tree;
    if (text[0] != '\0' || hwloc_topology_init(&tree) != 0)
        return text;
    /* The library signs each tree that it makes; what it can be asked for directly is the version of its interface. */
    if (hwloc_topology_set_synthetic(tree, "pu:1") == 0 && hwloc_topology_load(tree) == 0)
        runs = hwloc_obj_get_info_by_name(hwloc_get_root_obj(tree), "hwlocVersion");
    (void)snprintf(text, sizeof text, "%s (%.30s)", HWLOC_VERSION, runs == NULL ? "unknown" : runs);
    hwloc_topology_destroy(tree);
    return text;
}
