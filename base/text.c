/* Lists, globs and nearest names. */
#include "base/text.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int prony_list_add(struct prony_list *list, const char *text, size_t length)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 8 : 2 * list->room;
        char **grown = realloc(list->item, room * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        list->item = grown;
        list->room = room;
    }
    list->item[list->count] = strndup(text, length);
    if (list->item[list->count] == NULL)
        return -ENOMEM;
    list->count++;
    return 0;
}

bool prony_list_has(const struct prony_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->item[i], text) == 0)
            return true;
    return false;
}

int prony_list_split(struct prony_list *list, const char *text, char separator, struct prony_error *error)
{
    for (;;) {
        const char *end = strchrnul(text, separator);
        if (end == text)
            return prony_fail(error, -EINVAL, "a list has an empty item: write A%cB without spaces", separator);
        if (prony_list_add(list, text, (size_t)(end - text)) != 0)
            return prony_fail(error, -ENOMEM, "no memory for a list");
        if (*end == '\0')
            return 0;
        text = end + 1;
    }
}

void prony_list_free(struct prony_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i]);
    free(list->item);
    memset(list, 0, sizeof *list);
}

bool prony_text_matches(const char *glob, const char *text)
{
    return fnmatch(glob, text, 0) == 0;
}

/* Edit distance with transpositions of neighbours (optimal string alignment); names longer than 63 are cut. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][65];
    size_t n = strnlen(a, 63), m = strnlen(b, 63);
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = (unsigned)j;
    memcpy(before, above, sizeof rows[0]);
    for (size_t i = 1; i <= n; i++) {
        unsigned *spare = before;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[m];
}

/* Near enough to be offered: a prefix of it, or a third of its letters wrong at most. */
static unsigned farness(const char *typed, const char *name)
{
    unsigned far = distance(typed, name), limit = (unsigned)(strlen(typed) + 2) / 3;
    if (strlen(typed) >= 2 && strncmp(typed, name, strlen(typed)) == 0)
        return 1;
    if (strlen(typed) >= 3 && strstr(name, typed) != NULL)
        return 2;
    return far <= limit ? far : 99;
}

const char *prony_text_nearest(const char *typed, const char *const *names, char *hint, size_t bytes)
{
    const char *best[3] = {NULL, NULL, NULL};
    unsigned far[3] = {99, 99, 99};
    hint[0] = '\0';
    for (; *names != NULL; names++) {
        unsigned d = farness(typed, *names);
        for (unsigned i = 0; i < 3; i++) {
            if (d < far[i]) {
                for (unsigned j = 2; j > i; j--) {
                    far[j] = far[j - 1];
                    best[j] = best[j - 1];
                }
                far[i] = d;
                best[i] = *names;
                break;
            }
        }
    }
    if (best[0] != NULL && best[1] == NULL)
        (void)snprintf(hint, bytes, "; did you mean %s?", best[0]);
    else if (best[0] != NULL && best[2] == NULL)
        (void)snprintf(hint, bytes, "; did you mean %s or %s?", best[0], best[1]);
    else if (best[0] != NULL)
        (void)snprintf(hint, bytes, "; did you mean %s, %s or %s?", best[0], best[1], best[2]);
    return hint;
}
