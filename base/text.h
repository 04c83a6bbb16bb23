/* Reading what people type: numbers with units, lists, ranges, globs; and offering the nearest name when they mistype. */
#ifndef PRONY_BASE_TEXT_H
#define PRONY_BASE_TEXT_H

#include <prony/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "10", "10k" (decimal), "10Ki" (binary), also M and G. 0, or -EINVAL / -ERANGE with what was wrong. */
int prony_text_integer(const char *text, int64_t *value, struct prony_error *error);
/* "10us", "1.5ms", "2s", "3m", "10ns"; a bare 0 is allowed. */
int prony_text_duration(const char *text, int64_t *ns, struct prony_error *error);
/* A finite decimal number. */
int prony_text_real(const char *text, double *value, struct prony_error *error);
/* A percentage, with or without the sign: "2", "2%", "0.5%". */
int prony_text_percent(const char *text, double *percent, struct prony_error *error);

/* For people: "1.23 ms", "64 KiB", "12.3 M". Each writes into `text` and returns it. */
const char *prony_text_of_ns(double ns, char *text, size_t bytes);
const char *prony_text_of_bytes(double value, char *text, size_t bytes);
const char *prony_text_of_count(double value, char *text, size_t bytes);

/* A growing list of owned strings. Zero-initialise; prony_list_free leaves it empty again. */
struct prony_list {
    char **item;
    size_t count, room;
};
int prony_list_add(struct prony_list *list, const char *text, size_t length); /* -ENOMEM */
bool prony_list_has(const struct prony_list *list, const char *text);
/* Splits at `separator`; empty items are -EINVAL. "a,b,c" */
int prony_list_split(struct prony_list *list, const char *text, char separator, struct prony_error *error);
void prony_list_free(struct prony_list *list);

/* fnmatch(3) over the whole text. */
bool prony_text_matches(const char *glob, const char *text);

/* Writes "; did you mean a, b or c?" into `hint` from those of `names` (NULL-terminated) that are near to `typed` by edit
 * distance; the empty string when none is. Returns hint. */
const char *prony_text_nearest(const char *typed, const char *const *names, char *hint, size_t bytes);

#endif
