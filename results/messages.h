/* What a message costs, in the cells whose workers send messages: CPU time, switches and system calls of its sides. */
#ifndef PRONY_RESULTS_MESSAGES_H
#define PRONY_RESULTS_MESSAGES_H

#include "results/view.h"

struct prony_messages { /* a message; NaN: not known */
    double size, rate, bytes_per_s, cpu_ns, switches, calls, futex, vain;
    double side_cpu_ns[2], side_calls[2]; /* of cells with two sides */
    const char *why;                      /* no calls: why; else "" */
};

/* False: the cell sends none, or was not measured. */
bool prony_messages_of(const struct prony_view_cell *cell, struct prony_messages *messages);
/* A number of calls or switches. */
const char *prony_messages_count(double value, char *text, size_t bytes);
/* A section of the page and of the Markdown; nothing without such cells. */
void prony_page_messages(FILE *out, const struct prony_view *view);
void prony_markdown_messages(FILE *out, const struct prony_view *view);

#endif
