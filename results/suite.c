/* Suites: plans as JSON files.
 *
 *     {"suite": "quick", "summary": "one line", "budget": "60s", "visits": 6, "rows": [
 *         {"engines": ["@core"], "workloads": ["primes"], "workers": [1, "cores"], "params": ["primes.items=20k"]}]}
 *
 * Beside "rows", which there must be: budget, timeout (durations), visits, samples, launches (whole numbers), precision (a
 * percentage), seed, oversubscribe (true: more workers than PUs are wanted). A row's lists are those of struct prony_row;
 * what it leaves out takes the defaults. The published schema is schema/suite.schema.json. */
#include "results/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A file being read: what an error message needs. */
struct reading {
    const char *path, *text;
    struct prony_error *error;
};

static int wrong(const struct reading *reading, const struct prony_step *steps, unsigned n, const char *what)
{
    struct prony_where where = prony_where_is(reading->text, steps, n);
    return prony_fail(reading->error, -EINVAL, "%s:%u:%u: %s", reading->path, where.line, where.column, what);
}

/* Keys that are not known, with the nearest that are. */
static int keys_check(const struct reading *reading, const json_t *object, const char *const *known,
                      struct prony_step *steps, unsigned n)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char what[200], hint[120];
        const char *const *name = known;
        while (*name != NULL && strcmp(*name, key) != 0)
            name++;
        if (*name != NULL)
            continue;
        (void)snprintf(what, sizeof what, "unknown key \"%.40s\"%s", key,
                       prony_text_nearest(key, known, hint, sizeof hint));
        steps[n].key = key;
        return wrong(reading, steps, n + 1, what);
    }
    return 0;
}

/* A string or a whole number as text; NULL for others. */
static const char *as_text(const json_t *value, char *number, size_t bytes)
{
    if (json_is_integer(value))
        (void)snprintf(number, bytes, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(number, bytes, "%g", json_real_value(value));
    else
        return json_string_value(value);
    return number;
}

enum method_type { COUNT, DURATION, PERCENT, SEED };
static const struct field {
    const char *key;
    enum method_type type;
    size_t offset;
    int64_t least, most;
    const char *what;
} fields[] = {
    {"visits", COUNT, offsetof(struct prony_method, visits), 1, 100000,
     "\"visits\" is a whole number from 1 to 100000"},
    {"samples", COUNT, offsetof(struct prony_method, samples), 1, 100000,
     "\"samples\" is a whole number from 1 to 100000"},
    {"launches", COUNT, offsetof(struct prony_method, launches), 1, 1000,
     "\"launches\" is a whole number from 1 to 1000"},
    {"budget", DURATION, offsetof(struct prony_method, budget_ns), 0, INT64_MAX,
     "\"budget\" is a duration, as in \"60s\""},
    {"timeout", DURATION, offsetof(struct prony_method, timeout_ns), 1, INT64_MAX,
     "\"timeout\" is a duration, as in \"30s\""},
    {"precision", PERCENT, offsetof(struct prony_method, precision), 0, 100,
     "\"precision\" is a percentage, as in \"2%\""},
    {"seed", SEED, offsetof(struct prony_method, seed), 0, INT64_MAX, "\"seed\" is a whole number from 0"},
};

static int field_read(const struct reading *reading, const struct field *field, const json_t *value,
                      struct prony_method *method)
{
    unsigned char *into = (unsigned char *)method + field->offset;
    struct prony_step step = {field->key, 0};
    char number[40];
    const char *text = as_text(value, number, sizeof number);
    int64_t integer = 0;
    double percent = 0;
    int code = -EINVAL;
    if (text != NULL && field->type == PERCENT)
        code = prony_text_percent(text, &percent, NULL);
    else if (text != NULL && field->type == DURATION)
        code = prony_text_duration(text, &integer, NULL);
    else if (json_is_integer(value))
        code = prony_text_integer(text, &integer, NULL);
    if (field->type == PERCENT ? percent < 0 || percent > 100 : integer < field->least || integer > field->most)
        code = -ERANGE;
    if (code != 0)
        return wrong(reading, &step, 1, field->what);
    switch (field->type) {
    case COUNT:
        *(unsigned *)(void *)into = (unsigned)integer;
        break;
    case DURATION:
        *(int64_t *)(void *)into = integer;
        break;
    case PERCENT:
        *(double *)(void *)into = percent;
        break;
    case SEED:
        *(uint64_t *)(void *)into = (uint64_t)integer;
        break;
    }
    return 0;
}

static int list_read(const struct reading *reading, const json_t *value, struct prony_list *list,
                     struct prony_step *steps)
{
    const json_t *item;
    size_t i;
    if (!json_is_array(value))
        return wrong(reading, steps, 3, "a row's keys hold lists, as in [\"thread\", \"fork\"]");
    json_array_foreach(value, i, item)
    {
        char number[40];
        const char *text = as_text(item, number, sizeof number);
        steps[3] = (struct prony_step){NULL, i};
        if (text == NULL || text[0] == '\0')
            return wrong(reading, steps, 4, "lists hold names and numbers");
        if (prony_list_add(list, text, strlen(text)) != 0)
            return prony_fail(reading->error, -ENOMEM, "no memory for the suite %s", reading->path);
    }
    return 0;
}

static int row_read(const struct reading *reading, const json_t *value, size_t index, struct prony_row *row)
{
    static const char *const known[] = {"engines", "workloads", "channels", "workers", "place", "params", NULL};
    struct prony_list *const lists[] = {&row->engines, &row->workloads, &row->channels,
                                        &row->workers, &row->places,    &row->params};
    struct prony_step steps[4] = {{"rows", 0}, {NULL, index}};
    int code;
    if (!json_is_object(value))
        return wrong(reading, steps, 2, "a row is an object");
    code = keys_check(reading, value, known, steps, 2);
    for (size_t i = 0; known[i] != NULL && code == 0; i++) {
        const json_t *list = json_object_get(value, known[i]);
        steps[2] = (struct prony_step){known[i], 0};
        if (list != NULL)
            code = list_read(reading, list, lists[i], steps);
    }
    if (code == 0 && row->workloads.count == 0)
        code = wrong(reading, steps, 2, "a row needs \"workloads\"");
    return code;
}

static int rows_read(const struct reading *reading, const json_t *root, struct prony_row **rows, unsigned *n)
{
    const json_t *list = json_object_get(root, "rows");
    struct prony_step step = {"rows", 0};
    size_t count = json_array_size(list), i;
    struct prony_row *made;
    int code = 0;
    if (list == NULL)
        return wrong(reading, NULL, 0, "a suite needs \"rows\"");
    if (count == 0)
        return wrong(reading, &step, 1, "\"rows\" is a list of at least one row");
    made = calloc(count, sizeof *made);
    if (made == NULL)
        return prony_fail(reading->error, -ENOMEM, "no memory for the suite %s", reading->path);
    for (i = 0; i < count && code == 0; i++)
        code = row_read(reading, json_array_get(list, i), i, &made[i]);
    if (code == 0) {
        *rows = made;
        *n = (unsigned)count;
        return 0;
    }
    for (i = 0; i < count; i++)
        prony_row_free(&made[i]);
    free(made);
    return code;
}

static int method_read(const struct reading *reading, const json_t *root, struct prony_method *method)
{
    int code = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && code == 0; i++) {
        const json_t *value = json_object_get(root, fields[i].key);
        if (value != NULL)
            code = field_read(reading, &fields[i], value, method);
    }
    return code;
}

static int names_check(const struct reading *reading, const json_t *root)
{
    static const char *const names[] = {"suite", "summary"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(root, names[i]);
        if (value != NULL && !json_is_string(value))
            return wrong(reading, &(struct prony_step){names[i], 0}, 1, "\"suite\" and \"summary\" are texts");
    }
    return 0;
}

static int oversubscribe_read(const struct reading *reading, const json_t *root, bool *oversubscribe)
{
    const json_t *value = json_object_get(root, "oversubscribe");
    if (value != NULL && !json_is_boolean(value))
        return wrong(reading, &(struct prony_step){"oversubscribe", 0}, 1, "\"oversubscribe\" is true or false");
    *oversubscribe = json_is_true(value);
    return 0;
}

int prony_suite_read(const char *path, struct prony_row **rows, unsigned *n, struct prony_method *method,
                     char **summary, struct prony_error *error)
{
    static const char *const known[] = {"suite",    "summary",   "budget", "timeout", "visits",        "samples",
                                        "launches", "precision", "seed",   "rows",    "oversubscribe", NULL};
    struct reading reading = {path, NULL, error};
    struct prony_step step = {NULL, 0};
    struct prony_method changed = *method;
    json_t *root = NULL;
    char *text = NULL, *words = NULL;
    bool oversubscribe = false;
    int code = prony_json_load(path, &root, &text, error);
    if (code != 0)
        return code;
    reading.text = text;
    if (!json_is_object(root))
        code = wrong(&reading, NULL, 0, "a suite is an object");
    if (code == 0)
        code = keys_check(&reading, root, known, &step, 0);
    if (code == 0)
        code = names_check(&reading, root);
    if (code == 0 && summary != NULL && (words = strdup(prony_json_string(root, "summary"))) == NULL)
        code = prony_fail(error, -ENOMEM, "no memory for the suite %s", path);
    if (code == 0)
        code = method_read(&reading, root, &changed);
    if (code == 0)
        code = oversubscribe_read(&reading, root, &oversubscribe);
    if (code == 0)
        code = rows_read(&reading, root, rows, n);
    for (unsigned i = 0; code == 0 && i < *n; i++)
        (*rows)[i].oversubscribe = oversubscribe;
    if (code == 0)
        *method = changed; /* only when all of it is right */
    if (code == 0 && summary != NULL)
        *summary = words;
    else
        free(words);
    json_decref(root);
    free(text);
    return code;
}
