/* From a folder of reports to series by cell. */
#include "results/judge/history.h"
#include "results/judge/history_model.h"
#include "results/judge/judge.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_kind(const char *path, mode_t kind)
{
    struct stat info;
    return lstat(path, &info) == 0 && (info.st_mode & S_IFMT) == kind;
}

static bool ends(const char *name, const char *end)
{
    size_t length = strlen(name), its = strlen(end);
    return length > its && strcmp(name + length - its, end) == 0;
}

bool prony_history_is(const char *path)
{
    char inside[4096];
    struct stat info;
    (void)snprintf(inside, sizeof inside, "%s/report.json", path);
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode) && stat(inside, &info) != 0;
}

/* A report that was found: the file, and when its run began. */
struct found {
    char *path;
    json_int_t started_s;
};

struct findings {
    struct found *item;
    size_t count, room;
};

static int found_add(struct findings *findings, const char *path)
{
    if (findings->count == findings->room) {
        size_t room = 2 * findings->room + 32;
        struct found *grown = realloc(findings->item, room * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        findings->item = grown;
        findings->room = room;
    }
    findings->item[findings->count] = (struct found){strdup(path), 0};
    return findings->item[findings->count++].path != NULL ? 0 : -ENOMEM;
}

static int folder_scan(const char *folder, struct findings *findings, struct prony_error *error)
{
    DIR *entries = opendir(folder);
    int code = 0;
    if (entries == NULL)
        return prony_fail(error, -errno, "cannot read %s: %s", folder, strerrordesc_np(errno));
    for (struct dirent *entry; code == 0 && (entry = readdir(entries)) != NULL;) {
        char path[4096], inside[4096 + 16];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)snprintf(inside, sizeof inside, "%s/report.json", path);
        if (is_kind(path, S_IFREG) && ends(entry->d_name, ".json") && strcmp(entry->d_name, "history.json") != 0)
            code = found_add(findings, path);
        else if (is_kind(path, S_IFDIR) && is_kind(inside, S_IFREG))
            code = found_add(findings, inside);
    }
    (void)closedir(entries);
    return code == 0 ? 0 : prony_fail(error, code, "no memory to read %s", folder);
}

static int by_start(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->started_s != y->started_s ? (x->started_s > y->started_s ? 1 : -1) : strcmp(x->path, y->path);
}

static int leave_out(json_t *root, const char *path, const char *reason)
{
    return json_array_append_new(
               json_object_get(root, "left_out"),
               json_pack("{s:o, s:o}", "file", prony_json_text(path), "reason", prony_json_text(reason))) != 0
               ? -ENOMEM
               : 0;
}

/* Looks into all of them once for their start, leaves out what is no report, and sorts the others. */
static int starts_read(struct findings *findings, json_t *root)
{
    size_t kept = 0;
    int code = 0;
    for (size_t i = 0; i < findings->count; i++) {
        struct prony_error error = {0, ""};
        struct prony_report *report = NULL;
        int read = prony_report_read(findings->item[i].path, &report, &error);
        if (read == 0) {
            findings->item[i].started_s =
                json_integer_value(json_object_get(json_object_get(report->root, "context"), "started_s"));
            findings->item[kept++] = findings->item[i];
        } else {
            code = code != 0 ? code : leave_out(root, findings->item[i].path, error.text);
            free(findings->item[i].path);
        }
        prony_report_free(report);
    }
    findings->count = kept;
    if (kept > 0)
        qsort(findings->item, kept, sizeof *findings->item, by_start);
    return code;
}

static json_t *series_of(json_t *cells, json_t *index, const json_t *cell)
{
    const char *id = prony_json_string(cell, "id");
    json_t *known = json_object_get(index, id);
    if (known != NULL)
        return known;
    known = json_pack("{s:s, s:O?, s:O?, s:[], s:[]}", "id", id, "workload", json_object_get(cell, "workload"), "unit",
                      json_object_get(cell, "unit"), "points", "changes");
    if (json_object_set(index, id, known) != 0 || json_array_append_new(cells, known) != 0)
        return NULL;
    return known;
}

/* Judges a cell against the report at which its present level began; a change begins another level. */
static int change_take(struct prony_history *history, json_t *series, const json_t *cell, const json_t *root, size_t at,
                       struct prony_error *error)
{
    const char *id = prony_json_string(cell, "id");
    json_t *level = json_object_get(history->levels, id), *verdict;
    struct prony_report before = {.root = json_object_get(level, "light")}, now = {.root = (json_t *)(uintptr_t)root};
    const char *word;
    char machines[256];
    bool moved = level != NULL && prony_compare_machines(&before, &now, machines, sizeof machines)[0] != '\0';
    bool begins = level == NULL || moved;
    if (!begins) {
        verdict = prony_compare_cell(json_object_get(level, "cell"), cell, history->margin_percent, error);
        if (verdict == NULL)
            return error->code != 0 ? error->code : -ENOMEM;
        word = prony_json_string(verdict, "verdict");
        begins = strcmp(word, "regressed") == 0 || strcmp(word, "improved") == 0;
        (void)json_object_set(verdict, "from", json_object_get(level, "report"));
        (void)json_object_set_new(verdict, "report", json_integer((json_int_t)at));
        if (begins)
            (void)json_array_append(json_object_get(series, "changes"), verdict);
        json_decref(verdict);
    } else if (moved) {
        (void)json_array_append_new(json_object_get(series, "changes"),
                                    json_pack("{s:s, s:O, s:I, s:s}", "verdict", "other machine", "from",
                                              json_object_get(level, "report"), "report", (json_int_t)at, "reason",
                                              machines));
    }
    if (begins)
        return json_object_set_new(history->levels, id,
                                   json_pack("{s:O, s:I, s:{s:O}}", "cell", cell, "report", (json_int_t)at, "light",
                                             "context", json_object_get(root, "context"))) != 0
                   ? -ENOMEM
                   : 0;
    return 0;
}

/* A report's times are looked at before any of it goes into the series, so that a bad one leaves nothing behind. */
static int cells_check(const json_t *root, struct prony_error *error)
{
    const json_t *cell;
    size_t i;
    int code = 0;
    json_array_foreach(json_object_get(root, "cells"), i, cell)
    {
        struct prony_visits visits;
        if (strcmp(prony_json_string(cell, "status"), "ok") != 0)
            continue;
        if (code == 0 && (code = prony_visits_take(cell, &visits, error)) == 0)
            prony_visits_free(&visits);
    }
    return code;
}

static int report_take(struct prony_history *history, json_t *index, const char *path, struct prony_error *error)
{
    json_t *root = history->root, *reports = json_object_get(root, "reports"), *cell, *series;
    size_t i, at = json_array_size(reports);
    struct prony_report *report = NULL;
    const json_t *context, *plan;
    int code = prony_report_read(path, &report, error);
    if (code == 0 && (code = cells_check(report->root, error)) != 0)
        goto out;
    if (code != 0)
        return code;
    context = json_object_get(report->root, "context");
    plan = json_object_get(report->root, "plan");
    (void)json_array_append_new(
        reports, json_pack("{s:o, s:O?, s:O?, s:O?, s:O?, s:O?}", "file", prony_json_text(path), "started",
                           json_object_get(context, "started"), "started_s", json_object_get(context, "started_s"),
                           "name", json_object_get(plan, "name"), "suite", json_object_get(plan, "suite"), "version",
                           json_object_get(json_object_get(report->root, "tool"), "version")));
    json_array_foreach(json_object_get(report->root, "cells"), i, cell)
    {
        json_t *stats = json_object_get(cell, "stats");
        if (strcmp(prony_json_string(cell, "status"), "ok") != 0 || prony_json_string(cell, "id")[0] == '\0')
            continue;
        series = series_of(json_object_get(root, "cells"), index, cell);
        if (series == NULL)
            code = -ENOMEM;
        if (code != 0 || (code = change_take(history, series, cell, report->root, at, error)) != 0)
            break;
        (void)json_array_append_new(json_object_get(series, "points"),
                                    json_pack("{s:I, s:O?, s:O?, s:O?}", "report", (json_int_t)at, "median",
                                              json_object_get(stats, "median"), "ci95", json_object_get(stats, "ci95"),
                                              "visits", json_object_get(stats, "visits")));
    }
out:
    prony_report_free(report);
    return code;
}

int prony_history_read(const char *folder, double margin_percent, struct prony_history **history,
                       struct prony_error *error)
{
    struct prony_history *made = calloc(1, sizeof *made);
    struct findings findings = {NULL, 0, 0};
    json_t *index = json_object();
    int code = -ENOMEM;
    if (made == NULL || index == NULL)
        goto out;
    made->margin_percent = margin_percent;
    made->levels = json_object();
    made->root = json_pack("{s:s, s:s, s:f, s:[], s:[], s:[]}", "schema", "prony.history/1", "folder", folder,
                           "margin_percent", margin_percent, "reports", "left_out", "cells");
    if (made->root == NULL || made->levels == NULL)
        goto out;
    code = folder_scan(folder, &findings, error);
    if (code == 0)
        code = starts_read(&findings, made->root);
    for (size_t i = 0; i < findings.count && code == 0; i++) {
        struct prony_error wrong = {0, ""};
        code = report_take(made, index, findings.item[i].path, &wrong);
        if (code == -EINVAL || code == -ENODATA)
            code = leave_out(made->root, findings.item[i].path, wrong.text);
    }
    if (code == 0 && json_array_size(json_object_get(made->root, "reports")) == 0)
        code = prony_fail(error, -ENODATA, "%s holds no report that can be read: neither itself nor in its folders%s%s",
                          folder, json_array_size(json_object_get(made->root, "left_out")) > 0 ? "; " : "",
                          prony_json_string(json_array_get(json_object_get(made->root, "left_out"), 0), "reason"));
out:
    if (code == -ENOMEM)
        (void)prony_fail(error, code, "no memory for the history of %s", folder);
    for (size_t i = 0; i < findings.count; i++)
        free(findings.item[i].path);
    free(findings.item);
    json_decref(index);
    if (code == 0)
        *history = made;
    else
        prony_history_free(made);
    return code;
}

void prony_history_free(struct prony_history *history)
{
    if (history == NULL)
        return;
    json_decref(history->root);
    json_decref(history->levels);
    free(history);
}
