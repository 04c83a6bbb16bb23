/* Line and column of a key or value in a JSON text, which jansson's values do not remember. The text was parsed before, so
 * it is known to be valid. */
#include "results/model.h"

#include <string.h>

static const char *skip_blank(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Past the string that starts at a quote. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '"' && *at != '\0'; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return *at == '"' ? at + 1 : at;
}

/* Past a value: a string, or brackets that match, or a bare word. */
static const char *skip_value(const char *at)
{
    size_t depth = 0;
    do {
        at = skip_blank(at);
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else {
            at += strcspn(at, " \t\r\n,:]}");
        }
    } while (depth > 0 && *at != '\0');
    return at;
}

/* Is the string token that starts here this key, escapes considered? */
static bool is_key(const char *token, const char *key)
{
    json_t *string = json_loadb(token, (size_t)(skip_string(token) - token), JSON_DECODE_ANY, NULL);
    bool same = json_is_string(string) && strcmp(json_string_value(string), key) == 0;
    json_decref(string);
    return same;
}

/* The key in an object, or the element in an array, that starts at `at`. NULL: not there. */
static const char *step_into(const char *at, const struct prony_step *step)
{
    at = skip_blank(at);
    if (*at != (step->key != NULL ? '{' : '['))
        return NULL;
    at = skip_blank(at + 1);
    for (size_t i = 0; *at != '}' && *at != ']' && *at != '\0'; i++) {
        if (step->key != NULL ? is_key(at, step->key) : i == step->index)
            return at;
        if (step->key != NULL)
            at = skip_blank(skip_string(at)) + 1;
        at = skip_blank(skip_value(at));
        at = skip_blank(*at == ',' ? at + 1 : at);
    }
    return NULL;
}

struct prony_where prony_where_is(const char *text, const struct prony_step *steps, unsigned n)
{
    struct prony_where where = {1, 1};
    const char *at = text;
    for (unsigned i = 0; i < n && at != NULL; i++) {
        at = step_into(at, &steps[i]);
        if (at != NULL && steps[i].key != NULL && i + 1 < n)
            at = skip_blank(skip_string(at)) + 1;
    }
    for (; at != NULL && text < at; text++) {
        if (*text == '\n') {
            where.line++;
            where.column = 1;
        } else if (((unsigned char)*text & 0xC0) != 0x80) {
            where.column++;
        }
    }
    return where;
}
