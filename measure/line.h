/* A line of the journal, taken field by field. Fields are parted by tabs; the text goes on behind the line's end and has a
 * NUL somewhere. Once a field is not what was asked for, or is missing, the line is bad, and all that is taken is 0. */
#ifndef PRONY_MEASURE_LINE_H
#define PRONY_MEASURE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prony_line {
    const char *at, *end; /* at: behind the last field that was taken; end: where the newline is */
    bool bad, over;       /* over: the last field was taken */
};

/* The next field and its length. */
const char *prony_line_field(struct prony_line *line, size_t *length);
/* Is it this word? */
bool prony_line_is(const char *field, size_t length, const char *word);

uint64_t prony_line_count(struct prony_line *line);
unsigned prony_line_small(struct prony_line *line, unsigned most); /* a count up to and with `most` */
uint64_t prony_line_ns(struct prony_line *line); /* a time of a run: up to three years, so that sums do not overflow */
int64_t prony_line_integer(struct prony_line *line);
int prony_line_int(struct prony_line *line);
double prony_line_real(struct prony_line *line); /* also nan */

/* One field, or all that is left with its tabs; what has no room is cut off. */
void prony_line_text(struct prony_line *line, char *text, size_t bytes);
void prony_line_rest(struct prony_line *line, char *text, size_t bytes);

#endif
