#include "base/params.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *prony_option_range(const struct prony_option *option, char *text, size_t bytes)
{
    char low[32], high[32];
    size_t used = 0;
    switch (option->type) {
    case PRONY_DURATION:
        (void)snprintf(text, bytes, "%s to %s", prony_text_of_ns(option->least, low, sizeof low),
                       prony_text_of_ns(option->most, high, sizeof high));
        break;
    case PRONY_BYTES:
        (void)snprintf(text, bytes, "%s to %s", prony_text_of_bytes(option->least, low, sizeof low),
                       prony_text_of_bytes(option->most, high, sizeof high));
        break;
    case PRONY_INT:
        (void)snprintf(text, bytes, "%.0f to %.0f", option->least, option->most);
        break;
    case PRONY_REAL:
        (void)snprintf(text, bytes, "%g to %g", option->least, option->most);
        break;
    case PRONY_BOOL:
        (void)snprintf(text, bytes, "yes or no");
        break;
    case PRONY_CHOICE:
        text[0] = '\0';
        for (const char *const *choice = option->choices; *choice != NULL && used < bytes; choice++)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used == 0 ? "" : ", ", *choice);
        break;
    case PRONY_TEXT:
        (void)snprintf(text, bytes, "any text");
        break;
    }
    return text;
}

static int wrong(const struct prony_option *option, const char *text, int code, struct prony_error *error)
{
    char range[160], hint[120] = "";
    if (option->type == PRONY_CHOICE)
        (void)prony_text_nearest(text, option->choices, hint, sizeof hint);
    return prony_fail(error, code, "%s=%s is out of range: it takes %s%s", option->name, text,
                      prony_option_range(option, range, sizeof range), hint);
}

static int parse(const struct prony_option *option, const char *text, struct prony_param *value,
                 struct prony_error *error)
{
    struct prony_error reason = {0, ""};
    int code = 0;
    value->integer = 0;
    value->real = 0;
    switch (option->type) {
    case PRONY_INT:
    case PRONY_BYTES:
        code = prony_text_integer(text, &value->integer, &reason);
        value->real = (double)value->integer;
        break;
    case PRONY_DURATION:
        code = prony_text_duration(text, &value->integer, &reason);
        value->real = (double)value->integer;
        break;
    case PRONY_REAL:
        code = prony_text_real(text, &value->real, &reason);
        break;
    case PRONY_BOOL:
        if (strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)
            value->integer = 1;
        else if (strcasecmp(text, "no") != 0 && strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0)
            return wrong(option, text, -EINVAL, error);
        return 0;
    case PRONY_CHOICE:
        for (int i = 0; option->choices[i] != NULL; i++)
            if (strcmp(option->choices[i], text) == 0) {
                value->integer = i;
                return 0;
            }
        return wrong(option, text, -EINVAL, error);
    case PRONY_TEXT:
        return 0;
    }
    if (code != 0)
        return prony_fail(error, code, "%s: %s", option->name, reason.text);
    if (value->real < option->least || value->real > option->most)
        return wrong(option, text, -ERANGE, error);
    return 0;
}

int prony_option_check(const struct prony_option *option, const char *text, struct prony_error *error)
{
    struct prony_param scratch;
    return parse(option, text, &scratch, error);
}

const struct prony_option *prony_option_find(const struct prony_option *options, const char *name)
{
    for (; options != NULL && options->name != NULL; options++)
        if (strcmp(options->name, name) == 0)
            return options;
    return NULL;
}

int prony_params_init(struct prony_params *params, const struct prony_option *options, struct prony_error *error)
{
    unsigned n = 0;
    int code;
    params->count = 0;
    params->values = NULL;
    while (options != NULL && options[n].name != NULL)
        n++;
    if (n == 0)
        return 0;
    params->values = calloc(n, sizeof *params->values);
    if (params->values == NULL)
        return prony_fail(error, -ENOMEM, "no memory for %u parameters", n);
    params->count = n;
    for (unsigned i = 0; i < n; i++) {
        struct prony_param *value = &params->values[i];
        value->option = &options[i];
        code = parse(&options[i], options[i].fallback, value, error);
        if (code == 0 && (value->text = strdup(options[i].fallback)) == NULL)
            code = prony_fail(error, -ENOMEM, "no memory for a parameter");
        if (code != 0) {
            prony_params_free(params);
            return code;
        }
    }
    return 0;
}

static struct prony_param *find(const struct prony_params *params, const char *name)
{
    for (unsigned i = 0; i < params->count; i++)
        if (strcmp(params->values[i].option->name, name) == 0)
            return &params->values[i];
    return NULL;
}

int prony_params_set(struct prony_params *params, const char *name, const char *text, struct prony_error *error)
{
    struct prony_param *value = find(params, name), parsed;
    const char *names[65];
    char hint[120];
    unsigned n = 0;
    int code;
    if (value == NULL) {
        for (; n < params->count && n < 64; n++)
            names[n] = params->values[n].option->name;
        names[n] = NULL;
        return prony_fail(error, -ENOENT, "there is no parameter '%s'%s", name,
                          prony_text_nearest(name, names, hint, sizeof hint));
    }
    parsed = *value;
    code = parse(value->option, text, &parsed, error);
    if (code != 0)
        return code;
    parsed.text = strdup(text);
    if (parsed.text == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a parameter");
    parsed.given = true;
    free(value->text);
    *value = parsed;
    return 0;
}

int prony_params_copy(struct prony_params *to, const struct prony_params *from, struct prony_error *error)
{
    to->count = 0;
    to->values = from->count == 0 ? NULL : calloc(from->count, sizeof *to->values);
    if (from->count != 0 && to->values == NULL)
        return prony_fail(error, -ENOMEM, "no memory for %u parameters", from->count);
    for (; to->count < from->count; to->count++) {
        struct prony_param *value = &to->values[to->count];
        *value = from->values[to->count];
        value->text = strdup(value->text);
        if (value->text == NULL) {
            prony_params_free(to);
            return prony_fail(error, -ENOMEM, "no memory for a parameter");
        }
    }
    return 0;
}

void prony_params_free(struct prony_params *params)
{
    for (unsigned i = 0; i < params->count; i++)
        free(params->values[i].text);
    free(params->values);
    params->values = NULL;
    params->count = 0;
}

static const struct prony_param *must_find(const struct prony_params *params, const char *name)
{
    const struct prony_param *value = find(params, name);
    if (value == NULL) {
        (void)fprintf(stderr, "prony: bug: a plug-in asks for its parameter '%s', which its table lacks\n", name);
        abort();
    }
    return value;
}

int64_t prony_param_int(const struct prony_params *params, const char *name)
{
    return must_find(params, name)->integer;
}

double prony_param_real(const struct prony_params *params, const char *name)
{
    return must_find(params, name)->real;
}

const char *prony_param_text(const struct prony_params *params, const char *name)
{
    return must_find(params, name)->text;
}
