/* Reading the group texts; see measure/groups.h for what they look like. */
#include "measure/groups.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS_MOST = 64 };

const char *const prony_group_given[PRONY_GROUP_GIVEN] = {"items", "elapsed-ns"};

static struct prony_group groups[GROUPS_MOST];
static char *copies[GROUPS_MOST]; /* what the groups point into */
static unsigned groups_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int read_events(struct prony_group *group, char *words)
{
    unsigned n = 0;
    char *rest;
    for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (n == PRONY_GROUP_EVENTS)
            return -E2BIG;
        group->events[n++] = word;
    }
    return n == 0 ? -EINVAL : 0;
}

/* NAME: TEXT = FORMULA */
static int read_metric(struct prony_group *group, char *line)
{
    char *text = strstr(line, ": "), *formula = text == NULL ? NULL : strstr(text, " = ");
    if (formula == NULL || group->metrics_count == PRONY_GROUP_METRICS)
        return -EINVAL;
    *text = '\0';
    *formula = '\0';
    group->metrics[group->metrics_count++] = (struct prony_metric){line, text + 2, formula + 3};
    return 0;
}

static int read_line(struct prony_group *group, char *line)
{
    char *value = strchr(line, ' ');
    if (line[0] == '#' || line[0] == '\0')
        return 0;
    if (value == NULL)
        return -EINVAL;
    *value++ = '\0';
    if (strcmp(line, "group") == 0)
        group->name = value;
    else if (strcmp(line, "provider") == 0)
        group->provider = value;
    else if (strcmp(line, "summary") == 0)
        group->summary = value;
    else if (strcmp(line, "events") == 0)
        return read_events(group, value);
    else if (strcmp(line, "metric") == 0)
        return read_metric(group, value);
    else
        return -EINVAL;
    return 0;
}

int prony_group_read(struct prony_group *group, char *text, const char *file, struct prony_error *error)
{
    const char *names[PRONY_GROUP_EVENTS + PRONY_GROUP_GIVEN];
    unsigned line = 1, events = 0;
    memset(group, 0, sizeof *group);
    for (char *next; text != NULL; text = next, line++) {
        next = strchr(text, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (read_line(group, text) != 0)
            return prony_fail(error, -EINVAL,
                              "%s:%u: a line is 'group NAME', 'provider NAME', 'summary TEXT', "
                              "'events NAME NAME' or 'metric NAME: TEXT = FORMULA'",
                              file, line);
    }
    if (group->name == NULL || group->provider == NULL || group->summary == NULL || group->events[0] == NULL)
        return prony_fail(error, -EINVAL, "%s: a group has a group, a provider, a summary and an events line", file);
    for (; group->events[events] != NULL; events++)
        names[events] = group->events[events];
    memcpy(names + events, prony_group_given, sizeof prony_group_given);
    for (unsigned i = 0; i < group->metrics_count; i++) {
        int code = prony_formula_check(group->metrics[i].formula, names, events + PRONY_GROUP_GIVEN, error);
        if (code != 0)
            return prony_fail_within(error, -EINVAL, "%s: metric %s", file, group->metrics[i].name);
    }
    return 0;
}

/* The texts are part of the program and checked by a test: one that cannot be read is left out. */
static void read_all(void)
{
    for (const struct prony_group_text *source = prony_group_texts; source->file != NULL; source++) {
        char *copy = groups_count == GROUPS_MOST ? NULL : strdup(source->text);
        if (copy == NULL)
            return;
        if (prony_group_read(&groups[groups_count], copy, source->file, NULL) != 0) {
            free(copy);
            continue;
        }
        copies[groups_count++] = copy;
    }
}

const struct prony_group *prony_group_at(unsigned i)
{
    (void)pthread_once(&once, read_all);
    return i < groups_count ? &groups[i] : NULL;
}

const struct prony_group *prony_group_find(const char *provider, const char *name)
{
    const struct prony_group *group;
    for (unsigned i = 0; (group = prony_group_at(i)) != NULL; i++)
        if (strcmp(group->provider, provider) == 0 && strcmp(group->name, name) == 0)
            return group;
    return NULL;
}
