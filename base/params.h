/* Option tables and the values given for them. */
#ifndef PRONY_BASE_PARAMS_H
#define PRONY_BASE_PARAMS_H

#include <prony/plugin/head.h>
#include <stdbool.h>

struct prony_param {
    const struct prony_option *option;
    char *text;      /* as typed, or the fallback; owned */
    int64_t integer; /* INT, BYTES, DURATION (ns), BOOL, CHOICE (index) */
    double real;
    bool given; /* not the fallback */
};

struct prony_params {
    unsigned count;
    struct prony_param *values; /* in the order of the table */
};

/* All options at their fallbacks. `options` may be NULL. -ENOMEM, or -EINVAL when a fallback is not in its own range. */
int prony_params_init(struct prony_params *params, const struct prony_option *options, struct prony_error *error);
/* Sets one value. -ENOENT: no such option (the nearest names are offered); -ERANGE or -EINVAL: the range is said. */
int prony_params_set(struct prony_params *params, const char *name, const char *text, struct prony_error *error);
/* A copy; `to` is uninitialised before. */
int prony_params_copy(struct prony_params *to, const struct prony_params *from, struct prony_error *error);
void prony_params_free(struct prony_params *params);
/* Checks a text against one option without keeping it. */
int prony_option_check(const struct prony_option *option, const char *text, struct prony_error *error);
/* The option of this name in a table, NULL when there is none. */
const struct prony_option *prony_option_find(const struct prony_option *options, const char *name);
/* "1 to 1000000", "yes or no", "block, spin": what may be typed. */
const char *prony_option_range(const struct prony_option *option, char *text, size_t bytes);

#endif
