/* The JSON of `prony list` and `prony topo`. */
#include "results/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *choices_json(const char *const *choices)
{
    json_t *array;
    if (choices == NULL)
        return json_null();
    array = json_array();
    for (; *choices != NULL; choices++)
        (void)json_array_append_new(array, prony_json_text(*choices));
    return array;
}

static json_t *option_json(const struct prony_option *option)
{
    static const char *const types[] = {"integer", "bytes", "duration", "real", "boolean", "choice", "text"};
    bool ranged = option->type == PRONY_INT || option->type == PRONY_BYTES || option->type == PRONY_DURATION ||
                  option->type == PRONY_REAL;
    char range[512];
    return json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", prony_json_text(option->name), "type", types[option->type],
        "default", prony_json_text(option->fallback), "least", ranged ? prony_json_real(option->least) : json_null(),
        "most", ranged ? prony_json_real(option->most) : json_null(), "choices", choices_json(option->choices), "range",
        prony_json_text(prony_option_range(option, range, sizeof range)), "help", prony_json_text(option->help));
}

static json_t *entry_json(const struct prony_list_entry *entry)
{
    json_t *options = json_array();
    for (const struct prony_option *option = entry->options; option != NULL && option->name != NULL; option++)
        (void)json_array_append_new(options, option_json(option));
    return json_pack(
        "{s:o, s:o, s:o, s:b, s:o, s:o}", "kind", prony_json_text(entry->kind), "name", prony_json_text(entry->name),
        "summary", prony_json_text(entry->summary), "available", entry->available, "reason",
        prony_json_text(entry->reason != NULL && entry->reason[0] != '\0' ? entry->reason : NULL), "options", options);
}

int prony_list_json(const struct prony_list_entry *entries, unsigned n, FILE *out)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < n; i++)
        if (json_array_append_new(array, entry_json(&entries[i])) != 0) {
            json_decref(array);
            return -ENOMEM;
        }
    return prony_json_print_free(array, out);
}

static json_t *facts_json(const struct prony_topology *topology)
{
    struct prony_topology_facts facts;
    int *pus;
    json_t *list = json_array();
    unsigned n;
    prony_topology_facts(topology, &facts);
    pus = calloc(facts.pus + 1u, sizeof *pus);
    n = pus == NULL ? 0 : prony_topology_pus(topology, pus, facts.pus);
    for (unsigned i = 0; i < n && i < facts.pus; i++)
        (void)json_array_append_new(list, json_integer(pus[i]));
    free(pus);
    return json_pack("{s:b, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:o, s:i, s:o}", "this_system",
                     prony_topology_is_here(topology), "model", prony_json_text(facts.model), "pus", (int)facts.pus,
                     "pus_present", (int)facts.pus_present, "cores", (int)facts.cores, "packages", (int)facts.packages,
                     "nodes", (int)facts.nodes, "kinds", (int)facts.kinds, "smt", facts.smt, "quota",
                     facts.quota > 0 ? json_real(facts.quota) : json_null(), "default_workers",
                     (int)facts.default_workers, "allowed", list);
}

/* Who sits where, and what each shares with the worker before. */
static json_t *placement_json(const struct prony_topology *topology, const struct prony_placement *placement)
{
    json_t *workers = json_array();
    for (unsigned i = 0; i < placement->workers; i++) {
        int pu = placement->pus[i], before = i > 0 ? placement->pus[i - 1] : -1;
        const char *shared = pu >= 0 && before >= 0 ? prony_topology_shared(topology, before, pu) : NULL;
        (void)json_array_append_new(workers, json_pack("{s:i, s:o, s:o}", "worker", (int)i, "pu",
                                                       pu < 0 ? json_null() : json_integer(pu), "shares_with_previous",
                                                       prony_json_text(shared)));
    }
    return json_pack("{s:o, s:b, s:b, s:o}", "policy", prony_json_text(placement->policy), "oversubscribed",
                     placement->oversubscribed, "binding", placement->binding, "workers", workers);
}

int prony_topo_json(const struct prony_topology *topology, const struct prony_placement *placement, FILE *out,
                    struct prony_error *error)
{
    json_t *root = json_pack("{s:o, s:o}", "topology", facts_json(topology), "placement",
                             placement != NULL ? placement_json(topology, placement) : json_null());
    int code = prony_json_print_free(root, out);
    return code == 0 ? 0 : prony_fail(error, code, "cannot write the topology: %s", strerrordesc_np(-code));
}
