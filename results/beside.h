/* Python's engines beside those of ours that mirror them: the same work in the same run, by factors. */
#ifndef PRONY_RESULTS_BESIDE_H
#define PRONY_RESULTS_BESIDE_H

#include "results/view.h"

struct prony_beside {
    const struct prony_view_cell *python, *ours;
};

/* Pairs in the order of the report; at most `room`. How many. */
unsigned prony_beside_pairs(const struct prony_view *view, struct prony_beside *pairs, unsigned room);
/* "square: python-pool code=c n=2": which pair it is, ours left out. */
const char *prony_beside_name(const struct prony_view *view, const struct prony_beside *pair, char *text, size_t bytes);
/* How many times as fast, in three digits. */
const char *prony_beside_factor(double factor, char *text, size_t bytes);
/* All pairs in a sentence; "" without any. */
const char *prony_beside_say(const struct prony_view *view, char *text, size_t bytes);
/* A section of the Markdown; nothing without pairs. */
void prony_markdown_beside(FILE *out, const struct prony_view *view);

#endif
