/* Flame graphs and speedscope files from folded stacks. */
#include "results/page/page.h"
#include "results/profile/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 1200, ROW = 18, TOP = 34, EDGE = 8, DEPTH_MOST = 160 };
#define LEAST_WIDE 0.8  /* px; narrower frames are left out and counted */
#define LETTER_WIDE 6.7 /* px, of the monospaced 11 px letters */

/* A frame with all below it: nodes lie in one array, 0 is the root. */
struct node {
    const char *name; /* into the folded text; `bytes` long */
    size_t bytes;
    uint64_t count;
    uint32_t child, last, next; /* 0: none */
};

struct tree {
    struct node *node;
    uint32_t count, room, depth, left_out;
};

int prony_folded_read(struct prony_folded *folded, const char *path, const char *root, struct prony_error *error)
{
    char *text = NULL, *all;
    size_t bytes, lines = 0, rooted = root == NULL ? 0 : strlen(root) + 1, used = 0;
    struct prony_folded_line *line;
    uint32_t before = folded->count;
    int code = prony_json_slurp(path, &text, &bytes, error);
    if (code != 0)
        return code;
    for (size_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    for (uint32_t i = 0; i < before; i++)
        used += strlen(folded->line[i].stack) + 1;
    all = malloc(used + bytes + lines * rooted + 1);
    line = calloc(before + lines + 1, sizeof *line);
    if (all == NULL || line == NULL) {
        free(text);
        free(all);
        free(line);
        return prony_fail(error, -ENOMEM, "no memory for folded stacks");
    }
    used = 0;
    for (uint32_t i = 0; i < before; i++) {
        line[i] = (struct prony_folded_line){strcpy(all + used, folded->line[i].stack), folded->line[i].count};
        used += strlen(all + used) + 1;
    }
    folded->count = before;
    for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        char *space;
        *end = '\0';
        space = strrchr(at, ' ');
        if (space == NULL)
            continue;
        *space = '\0';
        line[folded->count].stack = all + used;
        line[folded->count].count = strtoull(space + 1, NULL, 10);
        folded->samples += line[folded->count++].count;
        used += (size_t)sprintf(all + used, "%s%s%s", root == NULL ? "" : root, root == NULL ? "" : ";", at) + 1;
    }
    free(text);
    free(folded->text);
    free(folded->line);
    folded->text = all;
    folded->line = line;
    return 0;
}

void prony_folded_free(struct prony_folded *folded)
{
    free(folded->text);
    free(folded->line);
    memset(folded, 0, sizeof *folded);
}

/* The child of that name, made when it is not there; 0 without memory. */
static uint32_t child_of(struct tree *tree, uint32_t parent, const char *name, size_t bytes)
{
    uint32_t at = tree->node[parent].child;
    for (; at != 0; at = tree->node[at].next)
        if (tree->node[at].bytes == bytes && memcmp(tree->node[at].name, name, bytes) == 0)
            return at;
    if (tree->count == tree->room) {
        struct node *grown = realloc(tree->node, 2 * (size_t)tree->room * sizeof *grown);
        if (grown == NULL)
            return 0;
        tree->node = grown;
        tree->room *= 2;
    }
    at = tree->count++;
    tree->node[at] = (struct node){name, bytes, 0, 0, 0, 0};
    if (tree->node[parent].child == 0)
        tree->node[parent].child = at;
    else
        tree->node[tree->node[parent].last].next = at;
    tree->node[parent].last = at;
    return at;
}

static int grow(struct tree *tree, const struct prony_folded *folded)
{
    tree->room = 1024;
    tree->node = calloc(tree->room, sizeof *tree->node);
    if (tree->node == NULL)
        return -ENOMEM;
    tree->node[0] = (struct node){"all", 3, 0, 0, 0, 0};
    tree->count = 1;
    for (uint32_t i = 0; i < folded->count; i++) {
        const char *at = folded->line[i].stack;
        uint32_t node = 0, depth = 0;
        tree->node[0].count += folded->line[i].count;
        while (*at != '\0' && depth < DEPTH_MOST) {
            size_t bytes = strcspn(at, ";");
            node = child_of(tree, node, at, bytes);
            if (node == 0)
                return -ENOMEM;
            tree->node[node].count += folded->line[i].count;
            at += bytes + (at[bytes] == ';');
            depth++;
        }
        tree->depth = depth > tree->depth ? depth : tree->depth;
    }
    return 0;
}

static void escaped(FILE *out, const char *text, size_t bytes)
{
    char part[200];
    (void)snprintf(part, sizeof part, "%.*s", (int)(bytes < sizeof part ? bytes : sizeof part - 1), text);
    prony_html(out, part);
}

/* Warm for functions, grey for code without names, blue for workers and cells: told by the name alone, so that a
 * function has its colour everywhere. */
static void colour(FILE *out, const struct node *node, uint32_t depth)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < node->bytes; i++)
        hash = (hash ^ (unsigned char)node->name[i]) * 16777619u;
    if (depth == 0 || memchr(node->name, ' ', node->bytes) != NULL || memchr(node->name, '/', node->bytes) != NULL)
        (void)fputs("#9db8d9", out);
    else if (node->name[0] == '[')
        (void)fputs("#bdbdbd", out);
    else
        (void)fprintf(out, "hsl(%u,%u%%,%u%%)", 18 + hash % 34, 70 + hash / 64 % 15, 62 + hash / 4096 % 10);
}

static void draw(FILE *out, struct tree *tree, uint32_t at, double x, uint32_t depth)
{
    const struct node *node = &tree->node[at];
    double scale = (double)(WIDTH - 2 * EDGE) / (double)tree->node[0].count, wide = (double)node->count * scale;
    double y = TOP + (double)(tree->depth - depth) * ROW;
    int letters = (int)((wide - 4) / LETTER_WIDE);
    if (wide < LEAST_WIDE) {
        tree->left_out++;
        return;
    }
    (void)fputs("<g><title>", out);
    escaped(out, node->name, node->bytes);
    (void)fprintf(out, ": %llu samples, %.1f%%</title><rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" fill=\"",
                  (unsigned long long)node->count, 100 * (double)node->count / (double)tree->node[0].count, x, y,
                  wide > 1 ? wide - 0.5 : wide, ROW - 1);
    colour(out, node, depth);
    (void)fputs("\" rx=\"1.5\"/>", out);
    if (letters >= 3) {
        (void)fprintf(out, "<text x=\"%.1f\" y=\"%.0f\">", x + 3, y + 13);
        escaped(out, node->name, (size_t)letters < node->bytes ? (size_t)letters - 1 : node->bytes);
        (void)fputs((size_t)letters < node->bytes ? "…</text>" : "</text>", out);
    }
    (void)fputs("</g>\n", out);
    for (uint32_t kid = node->child; kid != 0; kid = tree->node[kid].next) {
        draw(out, tree, kid, x, depth + 1);
        x += (double)tree->node[kid].count * scale;
    }
}

int prony_flamegraph_write(const struct prony_folded *folded, const char *title, FILE *out)
{
    struct tree tree = {NULL, 0, 0, 0, 0};
    int code = grow(&tree, folded);
    if (code == 0) {
        unsigned height = TOP + (tree.depth + 1) * ROW + 26;
        (void)fprintf(out,
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"prony-flame\" viewBox=\"0 0 %d %u\" "
                      "width=\"%d\" height=\"%u\" role=\"img\">\n<style>svg{background:#fff;color:#1f2328}</style>\n"
                      "<g font-family=\"ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace\" font-size=\"11\" "
                      "fill=\"#14171b\">\n<text x=\"%d\" y=\"20\" font-size=\"13\" fill=\"currentColor\">",
                      WIDTH, height, WIDTH, height, EDGE);
        prony_html(out, title);
        (void)fprintf(out, ": %llu samples</text>\n", (unsigned long long)folded->samples);
        if (folded->samples > 0)
            draw(out, &tree, 0, EDGE, 0);
        (void)fprintf(out, "<text x=\"%d\" y=\"%u\" fill=\"currentColor\">", EDGE, height - 8);
        if (tree.left_out > 0)
            (void)fprintf(out, "%u frames too narrow to see are left out (with what they called); ", tree.left_out);
        (void)fputs("width is time on a processor, callers are below</text>\n</g>\n</svg>\n", out);
    }
    free(tree.node);
    return code != 0 ? code : ferror(out) ? -EIO : 0;
}

/* The number of a frame's name, in the order of first use. */
static json_t *frame_number(json_t *frames, json_t *numbers, const char *name, size_t bytes)
{
    char key[256];
    json_t *number;
    (void)snprintf(key, sizeof key, "%.*s", (int)bytes, name);
    number = json_object_get(numbers, key);
    if (number != NULL)
        return json_incref(number);
    number = json_integer((json_int_t)json_array_size(frames));
    (void)json_array_append_new(frames, json_pack("{s:o}", "name", prony_json_text(key)));
    (void)json_object_set(numbers, key, number);
    return number;
}

/* A stack's first frames say whose it is: the worker, after the cell's id where there are several cells. */
static size_t owner_bytes(const char *stack)
{
    size_t bytes = 0;
    while (strncmp(stack + bytes, "worker ", 7) != 0) {
        size_t more = strcspn(stack + bytes, ";");
        if (stack[bytes + more] == '\0')
            return 0;
        bytes += more + 1;
    }
    return bytes + strcspn(stack + bytes, ";");
}

static void add_stack(json_t *profile, json_t *frames, json_t *numbers, const struct prony_folded_line *line,
                      size_t owner)
{
    json_t *stack = json_array();
    double end = prony_json_number(profile, "endValue") + (double)line->count;
    for (const char *at = line->stack + owner; *at != '\0';) {
        size_t bytes;
        at += *at == ';';
        bytes = strcspn(at, ";");
        (void)json_array_append_new(stack, frame_number(frames, numbers, at, bytes));
        at += bytes;
    }
    (void)json_array_append_new(json_object_get(profile, "samples"), stack);
    (void)json_array_append_new(json_object_get(profile, "weights"), prony_json_count(line->count));
    (void)json_object_set_new(profile, "endValue", json_integer((json_int_t)end));
}

int prony_speedscope_write(const struct prony_folded *folded, const char *title, FILE *out)
{
    json_t *frames = json_array(), *numbers = json_object(), *profiles = json_array(), *profile = NULL, *root;
    int code = 0;
    for (uint32_t i = 0; i < folded->count; i++) {
        size_t owner = owner_bytes(folded->line[i].stack);
        char name[256];
        (void)snprintf(name, sizeof name, "%.*s", (int)owner, folded->line[i].stack);
        if (profile == NULL || strcmp(prony_json_string(profile, "name"), name) != 0) {
            profile =
                json_pack("{s:s, s:o, s:s, s:i, s:i, s:[], s:[]}", "type", "sampled", "name", prony_json_text(name),
                          "unit", "none", "startValue", 0, "endValue", 0, "samples", "weights");
            (void)json_array_append_new(profiles, profile);
        }
        add_stack(profile, frames, numbers, &folded->line[i], owner);
    }
    root = json_pack("{s:s, s:o, s:s, s:{s:o}, s:o}", "$schema", "https://www.speedscope.app/file-format-schema.json",
                     "name", prony_json_text(title), "exporter", "prony", "shared", "frames", frames, "profiles",
                     profiles);
    json_decref(numbers);
    if (root == NULL)
        return -ENOMEM;
    code = json_dumpf(root, out, JSON_COMPACT) != 0 || ferror(out) ? -EIO : 0;
    (void)fputc('\n', out);
    json_decref(root);
    return code;
}
