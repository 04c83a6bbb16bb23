/* prony topo: the machine, and who would sit where. */
#include "base/log.h"
#include "results/report.h"
#include "runner/command.h"

#include <errno.h>
#include <string.h>

struct request {
    const char *place, *topology, *drawing;
    unsigned workers;
    bool oversubscribe, json;
};

#define AT(member) offsetof(struct request, member)

static const struct runner_option options[] = {
    {0, "place", "POLICY", TAKE_TEXT, AT(place), 0, 0,
     "shows where workers would sit: compact, spread, core, smt, numa, list:0-2+4, pair:l3, none (default compact)",
     NULL},
    {'n', "workers", "N", TAKE_COUNT, AT(workers), 1, 4096, "how many of them (default: as many as prony run takes)",
     NULL},
    {0, "oversubscribe", NULL, TAKE_FLAG, AT(oversubscribe), 0, 0, "allows more workers than PUs", NULL},
    {0, "topology", "SOURCE", TAKE_TEXT, AT(topology), 0, 0,
     "another machine: an hwloc XML file or synthetic:STRING (see hwloc(7))", NULL},
    {0, "json", NULL, TAKE_FLAG, AT(json), 0, 0, "everything as JSON", NULL},
    {'o', "output", "FILE.svg", TAKE_TEXT, AT(drawing), 0, 0, "draws the tree as SVG", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {"prony topo",
                                       "this machine's tree, and the PUs that prony may use",
                                       "prony topo --place spread -n 4",
                                       "who would sit where",
                                       "prony topo --topology \"synthetic:pack:2 [numa] core:8 pu:2\" --place smt -n 8",
                                       "a machine that you do not have",
                                       NULL};

static void print_facts(const struct prony_topology *topology)
{
    struct prony_topology_facts facts;
    prony_topology_facts(topology, &facts);
    (void)printf("\n%u of %u PUs may be used", facts.pus, facts.pus_present);
    if (facts.quota > 0)
        (void)printf(", CPU quota %.4g", facts.quota);
    if (facts.kinds > 1)
        (void)printf(", %u kinds of core", facts.kinds);
    (void)printf("; %u worker%s by default%s\n", facts.default_workers, facts.default_workers == 1 ? "" : "s",
                 prony_topology_is_here(topology) ? "" : "; not this machine: plans only");
}

static int draw(const struct prony_topology *topology, const struct prony_placement *placement, const char *path,
                struct prony_error *error)
{
    FILE *file = fopen(path, "we");
    int code;
    if (file == NULL)
        return prony_fail(error, -EACCES, "%s cannot be written: %s", path, strerrordesc_np(errno));
    code = prony_topology_svg(topology, placement, file, error);
    if (fclose(file) != 0 && code == 0)
        code = prony_fail(error, -EIO, "%s cannot be written: %s", path, strerrordesc_np(errno));
    return code;
}

static int show(const struct request *request, struct prony_error *error)
{
    struct prony_topology *topology = NULL;
    struct prony_topology_facts facts;
    struct prony_placement placement = {.workers = 0};
    bool placed = request->place != NULL || request->workers > 0;
    int code = prony_topology_load(request->topology, &topology, error);
    if (code != 0)
        return code;
    prony_topology_facts(topology, &facts);
    if (placed)
        code = prony_topology_place(topology, request->place != NULL ? request->place : "compact",
                                    request->workers > 0 ? request->workers : facts.default_workers,
                                    request->oversubscribe, &placement, error);
    if (code == 0 && request->drawing != NULL)
        code = draw(topology, placed ? &placement : NULL, request->drawing, error);
    if (code == 0 && request->json)
        code = prony_topo_json(topology, placed ? &placement : NULL, stdout, error);
    if (code == 0 && !request->json && request->drawing == NULL) {
        code = prony_topology_print(topology, placed ? &placement : NULL, stdout, error);
        print_facts(topology);
    }
    prony_placement_free(&placement);
    prony_topology_free(topology);
    return code;
}

static int topo_main(int argc, char **argv)
{
    struct request request = {.place = NULL};
    struct prony_list operands = {NULL, 0, 0};
    struct prony_error error = {0, ""};
    int code;
    if (runner_parse(&runner_topo, argc, argv, &request, &operands, &code))
        code = show(&request, &error) == 0 ? EXIT_DONE : runner_say(&error);
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_topo = {
    .name = "topo",
    .usage = "topo [--place POLICY] [-n N] [OPTIONS]",
    .summary = "the machine's tree, and which worker would sit where",
    .text = "Shows packages, caches, cores and PUs as prony sees them, restricted to what this process may use. With "
            "--place or -n it also shows which worker would be bound to which PU; nothing is started.",
    .examples = examples,
    .options = options,
    .operands = 0,
    .run = topo_main,
};
