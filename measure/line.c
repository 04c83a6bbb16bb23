#include "measure/line.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *prony_line_field(struct prony_line *line, size_t *length)
{
    const char *field = line->at, *tab = memchr(field, '\t', (size_t)(line->end - field));
    line->bad = line->bad || line->over;
    line->over = line->over || tab == NULL;
    *length = (size_t)((tab == NULL ? line->end : tab) - field);
    line->at = tab == NULL ? line->end : tab + 1;
    return field;
}

uint64_t prony_line_count(struct prony_line *line)
{
    size_t length;
    const char *field = prony_line_field(line, &length);
    char *end = NULL;
    uint64_t value;
    errno = 0;
    value = strtoull(field, &end, 10);
    line->bad = line->bad || length == 0 || *field < '0' || *field > '9' || end != field + length || errno != 0;
    return line->bad ? 0 : value;
}

int64_t prony_line_integer(struct prony_line *line)
{
    size_t length;
    const char *field = prony_line_field(line, &length);
    char *end = NULL;
    int64_t value;
    errno = 0;
    value = strtoll(field, &end, 10);
    line->bad = line->bad || length == 0 || *field == ' ' || end != field + length || errno != 0;
    return line->bad ? 0 : value;
}

uint64_t prony_line_ns(struct prony_line *line)
{
    uint64_t ns = prony_line_count(line);
    line->bad = line->bad || ns > 100000000000000000u;
    return line->bad ? 0 : ns;
}

unsigned prony_line_small(struct prony_line *line, unsigned most)
{
    uint64_t value = prony_line_count(line);
    line->bad = line->bad || value > most;
    return line->bad ? 0 : (unsigned)value;
}

int prony_line_int(struct prony_line *line)
{
    int64_t value = prony_line_integer(line);
    line->bad = line->bad || value > INT32_MAX || value < INT32_MIN;
    return line->bad ? 0 : (int)value;
}

double prony_line_real(struct prony_line *line)
{
    size_t length;
    const char *field = prony_line_field(line, &length);
    char *end = NULL;
    double value = strtod(field, &end);
    line->bad = line->bad || length == 0 || *field == ' ' || end != field + length;
    return line->bad ? NAN : value;
}

void prony_line_text(struct prony_line *line, char *text, size_t bytes)
{
    size_t length;
    const char *field = prony_line_field(line, &length);
    (void)snprintf(text, bytes, "%.*s", (int)(length < bytes ? length : bytes), field);
}

void prony_line_rest(struct prony_line *line, char *text, size_t bytes)
{
    size_t length = (size_t)(line->end - line->at);
    line->bad = line->bad || line->over;
    line->over = true;
    (void)snprintf(text, bytes, "%.*s", (int)(length < bytes ? length : bytes), line->at);
    line->at = line->end;
}

bool prony_line_is(const char *field, size_t length, const char *kind)
{
    return strlen(kind) == length && strncmp(field, kind, length) == 0;
}
