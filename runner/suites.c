/* Finds suites by name or path. */
#include "runner/suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The reader takes a path: a built-in suite becomes a file in memory. */
static int read_builtin(const struct runner_suite *suite, struct prony_row **rows, unsigned *n,
                        struct prony_method *method, char **summary, struct prony_error *error)
{
    char path[64];
    int fd = memfd_create(suite->name, MFD_CLOEXEC), code;
    if (fd < 0)
        return prony_fail(error, -errno, "suite %s: no file in memory: %s", suite->name, strerrordesc_np(errno));
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, suite->text, suite->bytes) != (ssize_t)suite->bytes)
        code = prony_fail(error, -ENOMEM, "no memory for suite %s", suite->name);
    else
        code = prony_suite_read(path, rows, n, method, summary, error);
    (void)close(fd);
    return code;
}

static char *short_name(const char *path)
{
    const char *base = strrchr(path, '/');
    size_t length;
    base = base == NULL ? path : base + 1;
    length = strlen(base);
    return strndup(base, length > 5 && strcmp(base + length - 5, ".json") == 0 ? length - 5 : length);
}

static int unknown(const char *typed, struct prony_error *error)
{
    const char *names[64];
    char hint[120];
    unsigned n = 0;
    for (; runner_suites[n].name != NULL && n < 63; n++)
        names[n] = runner_suites[n].name;
    names[n] = NULL;
    if (prony_find_workload(typed, NULL) != NULL)
        return prony_fail(error, -ENOENT, "%s is a workload, not a suite: prony run -w %s", typed, typed);
    if (prony_find_engine(typed, NULL) != NULL)
        return prony_fail(error, -ENOENT, "%s is an engine, not a suite: prony run quick -e %s", typed, typed);
    return prony_fail(error, -ENOENT, "there is no suite '%s'%s (prony list suites)", typed,
                      prony_text_nearest(typed, names, hint, sizeof hint));
}

int runner_suite_read(const char *suite, struct prony_row **rows, unsigned *n, struct prony_method *method,
                      char **summary, char **name, struct prony_error *error)
{
    const struct runner_suite *builtin = runner_suites;
    size_t length = strlen(suite);
    int code;
    if (strchr(suite, '/') != NULL || (length > 5 && strcmp(suite + length - 5, ".json") == 0)) {
        code = prony_suite_read(suite, rows, n, method, summary, error);
    } else {
        while (builtin->name != NULL && strcmp(builtin->name, suite) != 0)
            builtin++;
        if (builtin->name == NULL)
            return unknown(suite, error);
        code = read_builtin(builtin, rows, n, method, summary, error);
    }
    if (code != 0)
        return code;
    *name = short_name(suite);
    return *name == NULL ? prony_fail(error, -ENOMEM, "no memory for a suite") : 0;
}
