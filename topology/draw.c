/* The tree as a drawing: boxes in boxes, the workers' numbers in the PUs they sit on.
 *
 * Machine, package, group, shared cache, core and PU become boxes; what a single core has to itself is left out.
 * NUMA nodes are a line at the top of the box whose memory they are. Colours follow the reader's light or dark
 * scheme; all classes begin with "pt-", so that the drawing can be part of a page. */
#include "topology/model.h"

#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CELL_W 48.0 /* of a PU */
#define CELL_H 34.0
#define GAP 6.0
#define PAD 8.0
#define ROW 16.0         /* a line of words */
#define GLYPH 6.6        /* width of a letter, generously */
#define SHAPE 1.7        /* width to height that a group of boxes aims at */
#define MOST_COLUMNS 128 /* that are tried */
#define NODES 4          /* lines for NUMA nodes; more are counted */

struct box {
    hwloc_obj_t object;
    char title[96], node[NODES][48];
    unsigned nodes;    /* that may be more than NODES lines */
    double x, y, w, h; /* x and y within the parent */
    struct box *kid;
    unsigned kids, room;
};

static bool is_drawn(hwloc_obj_t object)
{
    switch (object->type) {
    case HWLOC_OBJ_MACHINE:
    case HWLOC_OBJ_PACKAGE:
    case HWLOC_OBJ_CORE:
    case HWLOC_OBJ_PU:
    case HWLOC_OBJ_L3CACHE:
        return true;
    default:
        return object->arity > 1;
    }
}

static const char *look(hwloc_obj_t object)
{
    switch (object->type) {
    case HWLOC_OBJ_MACHINE:
        return "machine";
    case HWLOC_OBJ_PACKAGE:
        return "package";
    case HWLOC_OBJ_CORE:
        return "core";
    default:
        return "group";
    }
}

static void free_kids(struct box *box)
{
    for (unsigned i = 0; i < box->kids; i++)
        free_kids(&box->kid[i]);
    free(box->kid);
}

static struct box *add_kid(struct box *box)
{
    if (box->kids == box->room) {
        unsigned room = box->room == 0 ? 4 : 2 * box->room;
        struct box *grown = realloc(box->kid, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        box->kid = grown;
        box->room = room;
    }
    memset(&box->kid[box->kids], 0, sizeof *box->kid);
    return &box->kid[box->kids++];
}

static void name(const struct prony_topology *topology, struct box *box)
{
    size_t used;
    const struct pu *pu;
    (void)prony_topology_label(box->object, box->title, sizeof box->title);
    if (box->object->type == HWLOC_OBJ_MACHINE)
        (void)snprintf(box->title, sizeof box->title, "Machine%s%s", topology->facts.model[0] == '\0' ? "" : ": ",
                       topology->facts.model);
    if (box->object->type != HWLOC_OBJ_CORE || topology->facts.kinds < 2)
        return;
    pu = prony_topology_pu(topology, hwloc_bitmap_first(box->object->cpuset));
    used = strlen(box->title);
    if (pu != NULL)
        (void)snprintf(box->title + used, sizeof box->title - used, ", kind %u", pu->kind + 1);
}

/* Puts the boxes below `object` into `box`. -ENOMEM. */
static int gather(const struct prony_topology *topology, struct box *box, hwloc_obj_t object)
{
    for (hwloc_obj_t memory = object->memory_first_child; memory != NULL; memory = memory->next_sibling) {
        hwloc_obj_t node = memory;
        while (node->type != HWLOC_OBJ_NUMANODE && node->memory_first_child != NULL) /* a memory-side cache */
            node = node->memory_first_child;
        if (box->nodes < NODES)
            (void)prony_topology_label(node, box->node[box->nodes], sizeof box->node[0]);
        box->nodes++;
    }
    for (hwloc_obj_t below = object->first_child; below != NULL; below = below->next_sibling) {
        struct box *kid = box;
        if (is_drawn(below)) {
            kid = add_kid(box);
            if (kid == NULL)
                return -ENOMEM;
            kid->object = below;
            name(topology, kid);
        }
        if (gather(topology, kid, below) != 0)
            return -ENOMEM;
    }
    return 0;
}

static unsigned node_lines(const struct box *box)
{
    return box->nodes < NODES ? box->nodes : NODES;
}

/* Sets the kids out in rows, as many in the first row as `columns` says and others where they fit below; returns
 * how ill that looks: far from the shape, or with much empty space. */
static double shelve(struct box *box, unsigned columns, double top)
{
    double limit = -GAP, x = 0, y = 0, row = 0, wide = 0, filled = 0;
    for (unsigned i = 0; i < columns; i++)
        limit += box->kid[i].w + GAP;
    for (unsigned i = 0; i < box->kids; i++) {
        struct box *kid = &box->kid[i];
        if (x > 0 && x + kid->w > limit + 0.1) {
            y += row + GAP;
            x = row = 0;
        }
        kid->x = PAD + x;
        kid->y = top + y;
        x += kid->w + GAP;
        row = fmax(row, kid->h);
        wide = fmax(wide, x);
        filled += (kid->w + GAP) * (kid->h + GAP);
    }
    box->w = 2 * PAD + wide - GAP;
    box->h = top + y + row + PAD;
    return fabs(log(wide / (y + row + GAP) / SHAPE)) + 7 * (1 - filled / (wide * (y + row + GAP)));
}

/* Sizes from the leaves up, and places within the parent. */
static void arrange(struct box *box)
{
    double top = PAD + ROW * (1 + node_lines(box)), words = (double)strlen(box->title), least = INFINITY;
    unsigned best = 1;
    if (box->object->type == HWLOC_OBJ_PU) {
        box->w = CELL_W;
        box->h = CELL_H;
        return;
    }
    for (unsigned i = 0; i < box->kids; i++)
        arrange(&box->kid[i]);
    for (unsigned columns = 1; columns <= box->kids && columns <= MOST_COLUMNS; columns++) {
        double ill = shelve(box, columns, top);
        if (ill < least) {
            least = ill;
            best = columns;
        }
    }
    if (box->object->type == HWLOC_OBJ_CORE)
        best = box->kids;
    (void)shelve(box, best, top);
    for (unsigned i = 0; i < node_lines(box); i++)
        words = fmax(words, (double)strlen(box->node[i]));
    box->w = fmax(box->w, 2 * PAD + GLYPH * words);
}

static void write_words(FILE *out, double x, double y, const char *class, const char *words)
{
    (void)fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    for (; *words != '\0'; words++) {
        if (*words == '<')
            (void)fputs("&lt;", out);
        else if (*words == '&')
            (void)fputs("&amp;", out);
        else if ((unsigned char)*words >= ' ') /* control characters have no place in XML */
            (void)fputc(*words, out);
    }
    (void)fputs("</text>\n", out);
}

static void draw_pu(const struct prony_placement *placement, const struct box *box, double x, double y, FILE *out)
{
    char sitters[64], label[32];
    int os = (int)box->object->os_index;
    unsigned count = prony_topology_sitters(placement, os, sitters, sizeof sitters);
    const char *used = count == 0 ? "" : count == 1 ? " pt-used" : " pt-used pt-twice";
    (void)fprintf(out,
                  "<g><title>PU %d%s%s</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" rx=\"3\" "
                  "class=\"pt-pu%s\"/>\n",
                  os,
                  count == 0   ? ": no worker"
                  : count == 1 ? ": worker "
                               : ": workers ",
                  sitters, x, y, CELL_W, CELL_H, used);
    (void)snprintf(label, sizeof label, "PU %d", os);
    if (count == 0) {
        write_words(out, x + CELL_W / 2, y + CELL_H / 2 + 4, "pt-small pt-middle", label);
    } else {
        write_words(out, x + CELL_W / 2, y + 11, "pt-tiny pt-middle pt-on", label);
        if (strlen(sitters) > 5)
            (void)snprintf(sitters + strcspn(sitters, ", "), sizeof sitters - 16, " +%u", count - 1);
        write_words(out, x + CELL_W / 2, y + 27, "pt-worker pt-middle pt-on", sitters);
    }
    (void)fputs("</g>\n", out);
}

static void draw(const struct prony_placement *placement, const struct box *box, double x, double y, FILE *out)
{
    x += box->x;
    y += box->y;
    if (box->object->type == HWLOC_OBJ_PU) {
        draw_pu(placement, box, x, y, out);
        return;
    }
    (void)fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"5\" class=\"pt-%s\"/>\n", x, y,
                  box->w, box->h, look(box->object));
    write_words(out, x + PAD, y + ROW, box->object->type == HWLOC_OBJ_CORE ? "pt-small" : "pt-name", box->title);
    for (unsigned i = 0; i < node_lines(box); i++) {
        char more[48];
        (void)snprintf(more, sizeof more, "and %u more nodes", box->nodes - i);
        write_words(out, x + PAD, y + ROW * (2 + i), "pt-node",
                    i + 1 == NODES && box->nodes > NODES ? more : box->node[i]);
    }
    for (unsigned i = 0; i < box->kids; i++)
        draw(placement, &box->kid[i], x, y, out);
}

static const char style[] =
    "<style>\n"
    ".pt-ground{fill:#fff}.pt-machine{fill:#f5f7f9}.pt-package{fill:#e9eef3}.pt-group{fill:#dde5ed}.pt-core{fill:#"
    "fbfcfd}\n"
    ".pt-machine,.pt-package,.pt-group,.pt-core{stroke:#b4c0cc;stroke-width:1}\n"
    ".pt-pu{fill:#e9edf1;stroke:#b4c0cc}.pt-pu.pt-used{fill:#1d5fbf;stroke:#174d9b}.pt-pu.pt-twice{fill:#b4450f;stroke:"
    "#8f370c}\n"
    ".pt-name,.pt-small,.pt-tiny,.pt-node,.pt-worker{font-family:system-ui,sans-serif;fill:#1c2733}\n"
    ".pt-name{font-size:12px;font-weight:600}.pt-node{font-size:11px;fill:#4a5866}.pt-small{font-size:11px;fill:#"
    "4a5866}\n"
    ".pt-tiny{font-size:9px}.pt-worker{font-size:13px;font-weight:700}.pt-middle{text-anchor:middle}.pt-on{fill:#fff}\n"
    "@media (prefers-color-scheme:dark){\n"
    ".pt-ground{fill:#10151b}.pt-machine{fill:#171e26}.pt-package{fill:#1d2731}.pt-group{fill:#25313d}.pt-core{fill:#"
    "141b22}\n"
    ".pt-machine,.pt-package,.pt-group,.pt-core{stroke:#435263}\n"
    ".pt-pu{fill:#2b3744;stroke:#435263}.pt-pu.pt-used{fill:#6aa8ff;stroke:#9cc5ff}.pt-pu.pt-twice{fill:#ff9f66;stroke:"
    "#ffc29e}\n"
    ".pt-name,.pt-worker,.pt-tiny{fill:#e6edf3}.pt-node,.pt-small{fill:#a3b1bf}.pt-on{fill:#0b1623}\n"
    "}\n</style>\n";

static void caption(const struct prony_placement *placement, char *text, size_t bytes)
{
    const char *bound = placement == NULL || placement->binding ? "" : " (a plan, not bound)";
    if (placement == NULL)
        (void)snprintf(text, bytes, "no workers placed");
    else if (strcmp(placement->policy, "none") == 0)
        (void)snprintf(text, bytes, "placement none: %u workers, on any PU", placement->workers);
    else
        (void)snprintf(text, bytes, "placement %.60s: %u worker%s, numbered in %s PUs%s", placement->policy,
                       placement->workers, placement->workers == 1 ? "" : "s",
                       placement->workers == 1 ? "its" : "their", bound);
}

int prony_topology_svg(const struct prony_topology *topology, const struct prony_placement *placement, FILE *out,
                       struct prony_error *error)
{
    struct box machine = {.object = hwloc_get_root_obj(topology->tree)};
    char words[160];
    double width, height;
    int code = 0;
    name(topology, &machine);
    caption(placement, words, sizeof words);
    if (gather(topology, &machine, machine.object) != 0) {
        code = prony_fail(error, -ENOMEM, "no memory for a drawing of the topology");
        goto out;
    }
    arrange(&machine);
    machine.x = PAD;
    machine.y = PAD + ROW;
    width = fmax(machine.w, GLYPH * (double)strlen(words)) + 2 * PAD;
    height = machine.h + ROW + 2 * PAD;
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
                  "role=\"img\" aria-label=\"The machine's processing units\" style=\"max-width:100%%;height:auto\">\n",
                  width, height, width, height);
    (void)fputs(style, out);
    (void)fprintf(out, "<rect width=\"%.0f\" height=\"%.0f\" class=\"pt-ground\"/>\n", width, height);
    write_words(out, PAD, ROW, "pt-node", words);
    draw(placement, &machine, 0, 0, out);
    (void)fputs("</svg>\n", out);
    if (fflush(out) != 0 || ferror(out))
        code = prony_fail(error, -EIO, "the drawing of the topology cannot be written: %s", strerror(errno));
out:
    free_kids(&machine);
    return code;
}
