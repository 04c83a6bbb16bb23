/* What the files of this room share about profiles: folded stacks in memory, and the drawings made of them. */
#ifndef PRONY_RESULTS_PROFILE_H
#define PRONY_RESULTS_PROFILE_H

#include "measure/profile.h"
#include "results/model.h"

/* Bounds of what one cell leaves on the disk and on the page; what lies beyond is counted and said. */
enum {
    PRONY_TRACE_BYTES = 32 << 20,
    PRONY_FOLDED_BYTES = 16 << 20,
    PRONY_TIMELINE_LANES = 24,
    PRONY_TIMELINE_STRETCHES = 600,
    PRONY_DRAWING_BYTES = 400000, /* a larger one is linked, not shown */
    PRONY_PROFILES_SHOWN = 12     /* cells drawn on the page; the others are linked */
};

/* Stacks with their counts, each "frame;frame;frame", sorted, in one text. */
struct prony_folded {
    char *text;
    struct prony_folded_line {
        const char *stack;
        uint64_t count;
    } * line;
    uint32_t count;
    uint64_t samples;
};

/* Reads "STACK COUNT" lines; each stack gets `root` and ';' before it when root is not NULL. Appends to `folded`. */
int prony_folded_read(struct prony_folded *folded, const char *path, const char *root, struct prony_error *error);
void prony_folded_free(struct prony_folded *folded);

/* Files of their own, or (on a page, by prony_page_profile) parts of one. */
int prony_flamegraph_write(const struct prony_folded *folded, const char *title, FILE *out);
int prony_speedscope_write(const struct prony_folded *folded, const char *title, FILE *out);
int prony_trace_write(const struct prony_profile *profile, const struct prony_cell *cell, unsigned number, FILE *out);
int prony_timeline_draw(const struct prony_profile *profile, FILE *out);

/* A cell's digest as JSON. */
json_t *prony_digest_json(const struct prony_digest *digest, unsigned workers);

/* "trace", "folded", "flamegraph" or "speedscope" of all profiled cells of a report that lies in a folder. */
bool prony_profile_is_format(const char *format);
int prony_profile_export(const struct prony_report *report, const char *format, FILE *out, struct prony_error *error);

#endif
