/* Formulas over event counts: a recursive descent over + - * / and parentheses. */
#include "measure/groups.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MOST = 32 };

struct scan {
    const char *start, *at;
    const char *const *names;
    const double *values; /* NULL: the formula is only checked */
    unsigned n, depth;
    int status; /* the first thing wrong */
    struct prony_error *error;
};

static double sum(struct scan *scan);

static double wrong(struct scan *scan, int status, const char *what)
{
    if (scan->status == 0)
        scan->status = prony_fail(scan->error, status, "formula '%s', character %zu: %s", scan->start,
                                  (size_t)(scan->at - scan->start) + 1, what);
    return NAN;
}

static char peek(struct scan *scan)
{
    while (*scan->at == ' ' || *scan->at == '\t')
        scan->at++;
    return *scan->at;
}

static double name(struct scan *scan)
{
    const char *first = scan->at;
    size_t length;
    while (isalnum((unsigned char)*scan->at) || (*scan->at != '\0' && strchr("_:.-=", *scan->at) != NULL))
        scan->at++;
    length = (size_t)(scan->at - first);
    for (unsigned i = 0; i < scan->n; i++)
        if (strlen(scan->names[i]) == length && strncmp(scan->names[i], first, length) == 0)
            return scan->values == NULL ? 1 : scan->values[i];
    scan->at = first;
    return wrong(scan, -ENOENT, "no such event is counted");
}

static double atom(struct scan *scan)
{
    char first = peek(scan);
    double value;
    char *end;
    if (scan->depth >= DEPTH_MOST)
        return wrong(scan, -EINVAL, "too many parentheses");
    if (first == '(' || first == '-') {
        scan->at++;
        scan->depth++;
        value = first == '-' ? -atom(scan) : sum(scan);
        scan->depth--;
        if (first == '-')
            return value;
        if (peek(scan) != ')')
            return wrong(scan, -EINVAL, "a ) is missing");
        scan->at++;
        return value;
    }
    if (isdigit((unsigned char)first)) {
        value = strtod(scan->at, &end);
        scan->at = end;
        return value;
    }
    return isalpha((unsigned char)first) ? name(scan) : wrong(scan, -EINVAL, "a name, a number or a ( is expected");
}

static double product(struct scan *scan)
{
    double value = atom(scan);
    for (;;) {
        char op = peek(scan);
        if (scan->status != 0 || (op != '*' && op != '/'))
            return value;
        scan->at++;
        value = op == '*' ? value * atom(scan) : value / atom(scan);
    }
}

static double sum(struct scan *scan)
{
    double value = product(scan);
    for (;;) {
        char op = peek(scan);
        if (scan->status != 0 || (op != '+' && op != '-'))
            return value;
        scan->at++;
        value = op == '+' ? value + product(scan) : value - product(scan);
    }
}

static double whole(struct scan *scan)
{
    double value = sum(scan);
    if (scan->status == 0 && peek(scan) != '\0')
        return wrong(scan, -EINVAL, "an operator is expected");
    return value;
}

double prony_formula_value(const char *formula, const char *const *names, const double *values, unsigned n)
{
    struct scan scan = {.start = formula, .at = formula, .names = names, .values = values, .n = n};
    double value = whole(&scan);
    return scan.status == 0 && isfinite(value) ? value : NAN;
}

int prony_formula_check(const char *formula, const char *const *names, unsigned n, struct prony_error *error)
{
    struct scan scan = {.start = formula, .at = formula, .names = names, .n = n, .error = error};
    (void)whole(&scan);
    return scan.status;
}
