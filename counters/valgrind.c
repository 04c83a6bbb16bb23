#include "counters/valgrind.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIGGER "desc: Trigger: "

enum { COLUMNS = 16, PARTS = 3 };

/* Events, as sums of what callgrind calls them. */
static const struct {
    const char *name;
    const char *parts[PARTS + 1];
} table[PRONY_VALGRIND_EVENTS] = {
    {"instructions", {"Ir"}},
    {"loads", {"Dr"}},
    {"stores", {"Dw"}},
    {"branches", {"Bc", "Bi"}},
    {"branch-misses", {"Bcm", "Bim"}},
    {"l1i-misses", {"I1mr"}},
    {"l1d-misses", {"D1mr", "D1mw"}},
    {"ll-misses", {"ILmr", "DLmr", "DLmw"}},
};

const char *prony_valgrind_event(int i)
{
    return i >= 0 && i < PRONY_VALGRIND_EVENTS ? table[i].name : NULL;
}

int prony_valgrind_find(const char *event)
{
    for (int i = 0; i < PRONY_VALGRIND_EVENTS; i++)
        if (strcmp(table[i].name, event) == 0)
            return i;
    return -1;
}

int prony_valgrind_known(const char *who, const char *event, struct prony_error *error)
{
    const char *names[PRONY_VALGRIND_EVENTS + 1] = {NULL};
    char hint[120];
    if (prony_valgrind_find(event) >= 0)
        return 0;
    for (int i = 0; i < PRONY_VALGRIND_EVENTS; i++)
        names[i] = table[i].name;
    return prony_fail(error, -ENOENT, "%s has no event '%s'%s", who, event,
                      prony_text_nearest(event, names, hint, sizeof hint));
}

int prony_valgrind_present(struct prony_error *error)
{
    const char *path = getenv("PATH");
    char file[4096];
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        (void)snprintf(file, sizeof file, "%.*s/valgrind", (int)length, path);
        if (access(file, X_OK) == 0)
            return 0;
        path += length + (path[length] == ':');
    }
    return prony_fail(error, -ENOTSUP, "there is no valgrind in PATH: install valgrind");
}

/* Splits a line of words after its colon; how many there are. */
static unsigned split_words(char *line, char *words[COLUMNS])
{
    unsigned n = 0;
    char *rest, *word = strtok_r(strchr(line, ':') + 1, " \n", &rest);
    for (; word != NULL && n < COLUMNS; word = strtok_r(NULL, " \n", &rest))
        words[n++] = word;
    return n;
}

static int64_t count_of(const char *part, char *const *columns, unsigned n, char *const *counts)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(columns[i], part) == 0)
            return strtoll(counts[i], NULL, 10);
    return 0;
}

bool prony_valgrind_add(FILE *file, const char *trigger, int64_t *sums)
{
    char line[512], header[512] = "", *columns[COLUMNS], *counts[COLUMNS];
    bool wanted = trigger == NULL;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned n, m;
        if (trigger != NULL && strncmp(line, TRIGGER, strlen(TRIGGER)) == 0) {
            line[strcspn(line, "\n")] = '\0';
            wanted = strcmp(line + strlen(TRIGGER), trigger) == 0;
        } else if (strncmp(line, "events:", 7) == 0) {
            memcpy(header, line, sizeof header);
        } else if (wanted && header[0] != '\0' && strncmp(line, "totals:", 7) == 0) {
            n = split_words(header, columns);
            m = split_words(line, counts);
            for (unsigned i = 0; i < PRONY_VALGRIND_EVENTS; i++)
                for (unsigned part = 0; table[i].parts[part] != NULL; part++)
                    sums[i] += count_of(table[i].parts[part], columns, n < m ? n : m, counts);
            return true;
        }
    }
    return false;
}
