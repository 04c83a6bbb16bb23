/* The tree in words, at 80 columns. Caches that one core has to itself stand on the line of the core. */
#include "topology/model.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define COLUMNS 80

const char *prony_topology_label(hwloc_obj_t object, char *text, size_t bytes)
{
    char type[32], size[32];
    uint64_t amount = 0;
    unsigned index = object->logical_index;
    (void)hwloc_obj_type_snprintf(type, sizeof type, object, 0);
    if (object->type == HWLOC_OBJ_NUMANODE) {
        (void)snprintf(type, sizeof type, "Node");
        amount = object->attr->numanode.local_memory;
    } else if (hwloc_obj_type_is_cache(object->type)) {
        amount = object->attr->cache.size;
    }
    if (object->type == HWLOC_OBJ_PU || object->type == HWLOC_OBJ_NUMANODE)
        index = object->os_index; /* their names outside this room */
    if (amount > 0)
        (void)snprintf(text, bytes, "%s %u (%s)", type, index, prony_text_of_bytes((double)amount, size, sizeof size));
    else
        (void)snprintf(text, bytes, "%s %u", type, index);
    return text;
}

unsigned prony_topology_sitters(const struct prony_placement *placement, int os, char *text, size_t bytes)
{
    size_t used = 0;
    unsigned count = 0, told = 0;
    text[0] = '\0';
    if (placement == NULL)
        return 0;
    for (unsigned i = 0; i < placement->workers; i++)
        count += placement->pus[i] == os;
    for (unsigned i = 0; i < placement->workers && told < count; i++) {
        if (placement->pus[i] != os)
            continue;
        if (used + 24 >= bytes) { /* room for a number and for the words below */
            (void)snprintf(text + used, bytes - used, " and %u more", count - told);
            break;
        }
        used += (size_t)snprintf(text + used, bytes - used, "%s%u", told == 0 ? "" : ", ", i);
        told++;
    }
    return count;
}

/* A line under construction; what does not fit into the columns ends with "...". */
struct line {
    char text[256];
    size_t used;
};

static void add(struct line *line, const char *format, const char *words)
{
    int more = snprintf(line->text + line->used, sizeof line->text - line->used, format, words);
    line->used += more < 0 ? 0 : (size_t)more;
    if (line->used >= sizeof line->text)
        line->used = sizeof line->text - 1;
}

static void put(struct line *line, unsigned depth, FILE *out)
{
    size_t room = COLUMNS - 2 * (size_t)(depth < 20 ? depth : 20);
    if (line->used > room)
        (void)strcpy(line->text + room - 3, "...");
    (void)fprintf(out, "%*s%s\n", (int)(COLUMNS - room), "", line->text);
}

static void add_pu(struct line *line, const struct prony_topology *topology, const struct prony_placement *placement,
                   hwloc_obj_t object)
{
    const struct pu *pu = prony_topology_pu(topology, (int)object->os_index);
    char text[64];
    unsigned sitters;
    if (pu != NULL && topology->facts.kinds > 1 && pu->sibling == 0) {
        (void)snprintf(text, sizeof text, ", kind %u of %u%s", pu->kind + 1, topology->facts.kinds,
                       pu->kind == 0 ? " (preferred)" : "");
        add(line, "%s", text);
    }
    sitters = prony_topology_sitters(placement, (int)object->os_index, text, sizeof text - 24);
    if (sitters > 0)
        add(line, sitters == 1 ? "  <- worker %s" : "  <- workers %s", text);
}

static void print_object(const struct prony_topology *topology, const struct prony_placement *placement,
                         hwloc_obj_t object, unsigned depth, FILE *out)
{
    struct line line = {"", 0};
    char label[64];
    add(&line, "%s", prony_topology_label(object, label, sizeof label));
    while (object->arity == 1 && object->memory_arity == 0 &&
           (hwloc_obj_type_is_cache(object->type) || object->type == HWLOC_OBJ_CORE)) {
        object = object->first_child;
        add(&line, ", %s", prony_topology_label(object, label, sizeof label));
    }
    if (object->type == HWLOC_OBJ_PU)
        add_pu(&line, topology, placement, object);
    put(&line, depth, out);
    for (hwloc_obj_t kid = object->memory_first_child; kid != NULL; kid = kid->next_sibling)
        print_object(topology, placement, kid, depth + 1, out);
    for (hwloc_obj_t kid = object->first_child; kid != NULL; kid = kid->next_sibling)
        print_object(topology, placement, kid, depth + 1, out);
}

static void print_machine(const struct prony_topology *topology, FILE *out)
{
    const struct prony_topology_facts *facts = &topology->facts;
    struct line line = {"", 0};
    char text[160];
    (void)snprintf(text, sizeof text, "%u PU%s in %u core%s", facts->pus, facts->pus == 1 ? "" : "s", facts->cores,
                   facts->cores == 1 ? "" : "s");
    add(&line, "Machine: %s", text);
    if (facts->pus_present > facts->pus) {
        (void)snprintf(text, sizeof text, " (of %u PUs present)", facts->pus_present);
        add(&line, "%s", text);
    }
    if (facts->model[0] != '\0')
        add(&line, ", %s", facts->model);
    put(&line, 0, out);
    if (!topology->here)
        (void)fprintf(out, "  not this system: workers can be planned, not bound\n");
    if (facts->quota > 0)
        (void)fprintf(out, "  CPU quota of the control group: %.2f CPUs, so %u worker%s by default\n", facts->quota,
                      facts->default_workers, facts->default_workers == 1 ? "" : "s");
}

int prony_topology_print(const struct prony_topology *topology, const struct prony_placement *placement, FILE *out,
                         struct prony_error *error)
{
    hwloc_obj_t root = hwloc_get_root_obj(topology->tree);
    print_machine(topology, out);
    if (placement != NULL && strcmp(placement->policy, "none") == 0)
        (void)fprintf(out, "  placement none: the %u workers may run on any PU\n", placement->workers);
    else if (placement != NULL)
        (void)fprintf(out, "  placement %.50s: %u worker%s%s\n", placement->policy, placement->workers,
                      placement->workers == 1 ? "" : "s", placement->oversubscribed ? ", oversubscribed" : "");
    for (hwloc_obj_t kid = root->memory_first_child; kid != NULL; kid = kid->next_sibling)
        print_object(topology, placement, kid, 1, out);
    for (hwloc_obj_t kid = root->first_child; kid != NULL; kid = kid->next_sibling)
        print_object(topology, placement, kid, 1, out);
    return fflush(out) != 0 || ferror(out)
               ? prony_fail(error, -EIO, "the topology cannot be written: %s", strerror(errno))
               : 0;
}
