/* Reading a report: from a file, or report.json in a folder. */
#include "results/import/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int wrong(const char *path, const char *text, const struct prony_step *steps, unsigned n, const char *what,
                 struct prony_error *error)
{
    struct prony_where where = prony_where_is(text, steps, n);
    return prony_fail(error, -EINVAL, "%s:%u:%u: %s", path, where.line, where.column, what);
}

/* What every reader of a report relies on; the rest is in the schema and in prony_report_check. */
static int shape_check(const char *path, const char *text, const json_t *root, struct prony_error *error)
{
    const char *schema = prony_json_string(root, "schema");
    const json_t *cell;
    size_t i;
    if (!json_is_object(root) || schema[0] == '\0')
        return wrong(path, text, NULL, 0, "not a prony report: it has no \"schema\"", error);
    if (strcmp(schema, PRONY_REPORT_SCHEMA) != 0)
        return prony_fail(error, -EPROTO, "%s: schema %s is not the one this prony reads (%s)", path, schema,
                          PRONY_REPORT_SCHEMA);
    if (!json_is_object(json_object_get(root, "context")) || !json_is_object(json_object_get(root, "plan")))
        return wrong(path, text, NULL, 0, "the report has no \"context\" or no \"plan\"", error);
    if (!json_is_array(json_object_get(root, "cells")))
        return wrong(path, text, (const struct prony_step[]){{"cells", 0}}, 1, "\"cells\" is not an array", error);
    json_array_foreach(json_object_get(root, "cells"), i, cell) if (!json_is_object(cell)) return wrong(
        path, text, (const struct prony_step[]){{"cells", 0}, {NULL, i}}, 2, "a cell is an object", error);
    return 0;
}

/* The topology lies beside the report; a report moved alone goes without. */
static int xml_read(const char *path, char **xml)
{
    const char *slash = strrchr(path, '/');
    char *beside;
    size_t bytes;
    int code;
    if (asprintf(&beside, "%.*stopology.xml", slash == NULL ? 0 : (int)(slash - path) + 1, path) < 0)
        return -ENOMEM;
    code = prony_json_slurp(beside, xml, &bytes, NULL);
    free(beside);
    return code == -ENOMEM ? code : 0;
}

static int lies_in(struct prony_report *report, const char *file, struct prony_error *error)
{
    const char *slash = strrchr(file, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(file, slash == file ? 1 : (size_t)(slash - file));
    int code = folder == NULL ? -ENOMEM : prony_report_lies_in(report, folder, error);
    free(folder);
    return code;
}

int prony_report_read(const char *path, struct prony_report **report, struct prony_error *error)
{
    struct prony_report *made = calloc(1, sizeof *made);
    struct stat info;
    char *file = NULL, *text = NULL;
    int code = -ENOMEM;
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    if (made == NULL || asprintf(&file, "%s%s", path, folder ? "/report.json" : "") < 0) {
        file = NULL;
        goto out;
    }
    code = prony_json_load(file, &made->root, &text, error);
    if (code == 0 && json_object_get(made->root, "schema") == NULL)
        code = prony_import(file, text, &made->root, error);
    if (code >= 0)
        code = shape_check(file, text, made->root, error);
    if (code == 0)
        code = xml_read(file, &made->xml);
    if (code == 0)
        code = lies_in(made, file, error);
out:
    if (code == -ENOMEM)
        (void)prony_fail(error, code, "no memory to read %s", path);
    free(file);
    free(text);
    if (code == 0)
        *report = made;
    else
        prony_report_free(made);
    return code;
}
