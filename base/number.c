/* Numbers with units: reading them, and showing them. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit counts[] = {{"", 1},        {"k", 1e3},        {"K", 1e3},           {"M", 1e6}, {"G", 1e9},
                                     {"Ki", 1024.0}, {"Mi", 1048576.0}, {"Gi", 1073741824.0}, {NULL, 0}};
static const struct unit durations[] = {{"ns", 1},  {"us", 1e3}, {"\302\265s", 1e3}, {"ms", 1e6},
                                        {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12},      {NULL, 0}};

/* A decimal number at the start of text: no hexadecimal, infinity or NaN. 0 or -EINVAL. */
static int leading_number(const char *text, double *value, const char **rest)
{
    const char *digits = text + (*text == '-' || *text == '+' ? 1 : 0);
    char *end;
    if (!isdigit((unsigned char)digits[0]) && !(digits[0] == '.' && isdigit((unsigned char)digits[1])))
        return -EINVAL;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return -EINVAL;
    errno = 0;
    *value = strtod(text, &end);
    *rest = end;
    return errno == ERANGE || !isfinite(*value) ? -EINVAL : 0;
}

static double factor_of(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++)
        if (strcmp(units->name, name) == 0)
            return units->factor;
    return 0;
}

int prony_text_integer(const char *text, int64_t *value, struct prony_error *error)
{
    double number, factor;
    const char *rest;
    if (leading_number(text, &number, &rest) != 0 || (factor = factor_of(counts, rest)) == 0)
        return prony_fail(error, -EINVAL, "'%s' is not a number (write 10, 10k, 10M, 10Ki or 10Mi)", text);
    number *= factor;
    if (fabs(number) >= 9.2e18)
        return prony_fail(error, -ERANGE, "%s is too large", text);
    if (number != floor(number))
        return prony_fail(error, -EINVAL, "%s is not a whole number", text);
    *value = *rest == '\0' && strpbrk(text, ".eE") == NULL ? strtoll(text, NULL, 10) : (int64_t)number;
    return 0;
}

int prony_text_duration(const char *text, int64_t *ns, struct prony_error *error)
{
    double number, factor;
    const char *rest;
    if (leading_number(text, &number, &rest) != 0)
        return prony_fail(error, -EINVAL, "'%s' is not a duration (write 100ns, 10us, 5ms, 2s or 3m)", text);
    factor = number == 0 && *rest == '\0' ? 1 : factor_of(durations, rest);
    if (factor == 0)
        return prony_fail(error, -EINVAL, "'%s' needs a unit of time: ns, us, ms, s, m or h", text);
    if (number < 0 || number * factor >= 9.2e18)
        return prony_fail(error, -ERANGE, "the duration %s is out of range", text);
    *ns = llround(number * factor);
    return 0;
}

int prony_text_real(const char *text, double *value, struct prony_error *error)
{
    const char *rest;
    if (leading_number(text, value, &rest) != 0 || *rest != '\0')
        return prony_fail(error, -EINVAL, "'%s' is not a number", text);
    return 0;
}

int prony_text_percent(const char *text, double *percent, struct prony_error *error)
{
    const char *rest;
    if (leading_number(text, percent, &rest) != 0 || (*rest != '\0' && strcmp(rest, "%") != 0))
        return prony_fail(error, -EINVAL, "'%s' is not a percentage (write 2 or 0.5%%)", text);
    return 0;
}

/* Three significant digits and the greatest unit that keeps the number at 1 or more. */
static const char *with_unit(double value, const char *const *units, double step, char *text, size_t bytes)
{
    double size = fabs(value);
    if (!isfinite(value)) {
        (void)snprintf(text, bytes, "-");
        return text;
    }
    while (units[1] != NULL && size >= step * 0.9995) {
        size /= step;
        value /= step;
        units++;
    }
    (void)snprintf(text, bytes, "%.*f%s%s",
                   size >= 99.95   ? 0
                   : size >= 9.995 ? 1
                   : size == 0     ? 0
                                   : 2,
                   value, **units == '\0' ? "" : " ", *units);
    return text;
}

const char *prony_text_of_ns(double ns, char *text, size_t bytes)
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};
    return with_unit(ns, units, 1000, text, bytes);
}

const char *prony_text_of_bytes(double value, char *text, size_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    return with_unit(value, units, 1024, text, bytes);
}

const char *prony_text_of_count(double value, char *text, size_t bytes)
{
    static const char *const units[] = {"", "k", "M", "G", "T", NULL};
    return with_unit(value, units, 1000, text, bytes);
}
