/* What differs between the contexts of two reports, and whether they are of one machine. */
#include "results/judge/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Members that no two runs share, or that follow from others. */
static const char *const passing[] = {"started", "started_s", "command",  "repeat",      "load",   "mhz_at_start",
                                      "notes",   "wall_ns",   "clock_ns", "blocks",      "cells",  "bookkeeping_ns",
                                      "name",    "doctor",    "imported", "interrupted", "memory", "resumed"};

static bool passes(const char *key)
{
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (strcmp(passing[i], key) == 0)
            return true;
    return false;
}

static int differ(json_t *into, const char *path, json_t *a, json_t *b);

static int members_differ(json_t *into, const char *path, json_t *a, json_t *b)
{
    const char *key;
    json_t *value;
    char name[256];
    int bad = 0;
    json_object_foreach(a, key, value)
    {
        (void)snprintf(name, sizeof name, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
        bad |= passes(key) ? 0 : differ(into, name, value, json_object_get(b, key));
    }
    json_object_foreach(b, key, value)
    {
        (void)snprintf(name, sizeof name, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
        bad |= passes(key) || json_object_get(a, key) != NULL ? 0 : differ(into, name, NULL, value);
    }
    return bad;
}

static int differ(json_t *into, const char *path, json_t *a, json_t *b)
{
    if (json_is_object(a) && json_is_object(b))
        return members_differ(into, path, a, b);
    if ((a == NULL || json_is_null(a)) && (b == NULL || json_is_null(b)))
        return 0;
    if (a != NULL && b != NULL && json_equal(a, b))
        return 0;
    return json_array_append_new(into, json_pack("{s:s, s:O?, s:O?}", "what", path, "a", a, "b", b));
}

json_t *prony_differences(const json_t *a, const json_t *b)
{
    static const char *const parts[] = {"context", "tool", "plan"};
    json_t *found = json_array();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (differ(found, strcmp(parts[i], "context") == 0 ? "" : parts[i], json_object_get(a, parts[i]),
                   json_object_get(b, parts[i])) != 0) {
            json_decref(found);
            return NULL;
        }
    return found;
}

static json_t *at(const struct prony_report *report, const char *part, const char *key)
{
    json_t *context = json_object_get(report->root, "context");
    return json_object_get(part[0] != '\0' ? json_object_get(context, part) : context, key);
}

static void value_say(const json_t *value, char *text, size_t bytes)
{
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)snprintf(text, bytes, "%s", dumped != NULL ? dumped : "?");
    free(dumped);
}

/* In a container the host's name is drawn anew at every start. */
static bool named_host(const struct prony_report *report)
{
    return !json_is_string(at(report, "virtualisation", "container"));
}

const char *prony_compare_machines(const struct prony_report *a, const struct prony_report *b, char *text, size_t bytes)
{
    static const char *const marks[][3] = {
        {"", "host", "host"},
        {"cpu", "model", "CPU"},
        {"cpu", "family", "CPU family"},
        {"cpu", "stepping", "CPU stepping"},
        {"kernel", "machine", "architecture"},
        {"virtualisation", "machine", "virtualisation"},
        {"topology", "pus_present", "PUs"},
        {"topology", "cores", "cores"},
        {"topology", "packages", "packages"},
    };
    char ours[96], theirs[96];
    text[0] = '\0';
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        const json_t *x = at(a, marks[i][0], marks[i][1]), *y = at(b, marks[i][0], marks[i][1]);
        bool told = x != NULL && y != NULL && !json_is_null(x) && !json_is_null(y);
        if (!told || json_equal(x, y) || (i == 0 && !(named_host(a) && named_host(b))))
            continue;
        value_say(x, ours, sizeof ours);
        value_say(y, theirs, sizeof theirs);
        (void)snprintf(text, bytes, "%s %s and %s", marks[i][2], ours, theirs);
        break;
    }
    return text;
}
