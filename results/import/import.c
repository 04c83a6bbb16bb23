/* Reports made from the files of other tools. What they do not tell is null, and the context says where they are from. */
#include "results/import/import.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct tool {
    const char *format, *mark; /* a member that only its files have */
    struct prony_engine engine;
    int (*read)(struct prony_import *import);
} tools[] = {
    {"gbench",
     "benchmarks",
     {.head = {.abi = PRONY_ABI, .name = "gbench", .summary = "Google Benchmark"}},
     prony_import_gbench},
    {"hyperfine",
     "results",
     {.head = {.abi = PRONY_ABI, .name = "hyperfine", .summary = "hyperfine"}},
     prony_import_hyperfine},
    {"fio", "fio version", {.head = {.abi = PRONY_ABI, .name = "fio", .summary = "fio"}}, prony_import_fio},
};

int prony_import_wrong(struct prony_import *import, const struct prony_step *steps, unsigned n, const char *what)
{
    struct prony_where where = prony_where_is(import->text, steps, n);
    return prony_fail(import->error, -EINVAL, "%s:%u:%u: %s", import->path, where.line, where.column, what);
}

/* "NAME/TOOL/n1", and #2 behind a second one of that name. */
static char *id_of(struct prony_import *import, const char *name, unsigned workers)
{
    char *plain, *id = NULL;
    json_int_t before;
    if (asprintf(&plain, "%s/%s/n%u", name, import->engine->head.name, workers) < 0)
        return NULL;
    before = json_integer_value(json_object_get(import->names, plain));
    (void)json_object_set_new_nocheck(import->names, plain, json_integer(before + 1));
    if (before == 0)
        return plain;
    if (asprintf(&id, "%s#%lld", plain, (long long)before + 1) < 0)
        id = NULL;
    free(plain);
    return id;
}

static struct prony_workload *workload_make(const char *name, const char *unit)
{
    struct prony_workload *workload = calloc(1, sizeof *workload);
    char *own = strdup(name);
    if (workload == NULL || own == NULL) {
        free(workload);
        free(own);
        return NULL;
    }
    workload->head.abi = PRONY_ABI;
    workload->head.name = workload->head.summary = own;
    workload->unit = unit;
    workload->shape = PRONY_GANG; /* no speed-up is claimed from it */
    return workload;
}

struct prony_cell *prony_import_cell(struct prony_import *import, const char *name, unsigned workers, const char *unit,
                                     int64_t repeats, int64_t items)
{
    struct prony_run *run = &import->run;
    struct prony_cell *grown = realloc(run->cells, (run->count + 1u) * sizeof *grown), *cell;
    if (grown == NULL)
        return NULL;
    run->cells = grown;
    cell = &grown[run->count];
    memset(cell, 0, sizeof *cell);
    cell->workload = workload_make(name, unit);
    if (cell->workload == NULL)
        return NULL;
    run->count++;
    cell->engine = import->engine;
    cell->workers = workers > 0 ? workers : 1;
    cell->id = id_of(import, name, cell->workers);
    (void)snprintf(cell->placement.policy, sizeof cell->placement.policy, "none");
    cell->placement.workers = cell->workers;
    cell->placement.pus = malloc(cell->workers * sizeof *cell->placement.pus);
    if (cell->id == NULL || cell->placement.pus == NULL ||
        json_array_append_new(import->extra, json_pack("{s:{}}", "derived")) != 0)
        return NULL;
    for (unsigned i = 0; i < cell->workers; i++)
        cell->placement.pus[i] = -1;
    cell->need.items = items;
    cell->repeats = repeats > 0 ? repeats : 1;
    cell->outcome = PRONY_OK;
    cell->caller_pu = -1;
    cell->caller_share = cell->counter_read_ns = NAN;
    return cell;
}

int prony_import_visit(struct prony_import *import, struct prony_cell *cell, unsigned launch, double sample_ns,
                       const struct prony_step *steps, unsigned n)
{
    struct prony_visit *visit;
    if (!(sample_ns >= 0.5 && sample_ns < 9e18))
        return prony_import_wrong(import, steps, n, "a time is not a positive number");
    if (cell->visits_count == cell->visits_room) {
        unsigned room = 2 * cell->visits_room + 16;
        struct prony_visit *grown = realloc(cell->visits, room * sizeof *grown);
        if (grown == NULL)
            return prony_fail(import->error, -ENOMEM, "no memory for the times of %s", import->path);
        cell->visits = grown;
        cell->visits_room = room;
    }
    visit = &cell->visits[cell->visits_count];
    memset(visit, 0, sizeof *visit);
    visit->samples_ns = malloc(sizeof *visit->samples_ns);
    if (visit->samples_ns == NULL)
        return prony_fail(import->error, -ENOMEM, "no memory for the times of %s", import->path);
    visit->samples = 1;
    visit->samples_ns[0] = (uint64_t)llround(sample_ns);
    visit->block = cell->visits_count++;
    visit->launch = launch;
    cell->launches = launch + 1;
    visit->disturbed.before = visit->disturbed.after = (struct prony_pulse){NAN, NAN};
    return 0;
}

int prony_import_derived(struct prony_import *import, const char *name, double value, const char *text)
{
    json_t *derived = json_object_get(json_array_get(import->extra, json_array_size(import->extra) - 1), "derived");
    if (!isfinite(value))
        return 0;
    return json_object_set_new(derived, name, json_pack("{s:f, s:s, s:n}", "value", value, "text", text, "formula"));
}

/* The context of a report about which prony knows only what the file tells. */
static json_t *context_json(const struct prony_import *import)
{
    const json_t *theirs = json_object_get(import->root, "context");
    const char *host = prony_json_string(theirs, "host_name"), *date = prony_json_string(theirs, "date");
    const char *name = strrchr(import->path, '/');
    json_t *build = json_object_get(theirs, "library_build_type"), *pus = json_object_get(theirs, "num_cpus");
    json_int_t when = json_integer_value(json_object_get(import->root, "timestamp"));
    json_t *context = json_pack("{s:s, s:I, s:[], s:s, s:o, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}}",
                                "started", date, "started_s", when > 0 ? when : 0, "command", "repeat", "", "host",
                                prony_json_text(host[0] != '\0' ? host : NULL), "kernel", "cpu", "clocks", "smt",
                                "mitigations", "limits", "virtualisation", "system", "topology");
    if (date[0] == '\0')
        (void)json_object_set_new(context, "started", prony_json_text(prony_json_string(import->root, "time")));
    if (json_is_integer(pus))
        (void)json_object_set(json_object_get(context, "topology"), "pus_present", pus);
    (void)json_object_set_new(context, "imported",
                              json_pack("{s:s, s:o, s:O?}", "format", import->engine->head.name, "file",
                                        prony_json_text(name != NULL ? name + 1 : import->path), "library_build_type",
                                        json_is_string(build) ? build : NULL));
    return context;
}

/* What every imported report must say of itself. */
static int notes_add(struct prony_import *import)
{
    const char *build = prony_json_string(json_object_get(import->root, "context"), "library_build_type");
    char note[512];
    (void)snprintf(note, sizeof note,
                   "imported from a file of %s: prony neither measured nor verified this; its repetitions "
                   "are taken as visits of one sample",
                   import->engine->head.summary);
    if (prony_list_add(&import->run.notes, note, strlen(note)) != 0)
        return -ENOMEM;
    if (strcmp(build, "debug") != 0)
        return 0;
    (void)snprintf(note, sizeof note,
                   "the Google Benchmark library calls itself a debug build (as Debian's does): "
                   "check its times against another clock");
    return prony_list_add(&import->run.notes, note, strlen(note));
}

/* Lays what the model has no place for over the cells. */
static int extras_lay(const struct prony_import *import, json_t *root)
{
    json_t *cell;
    size_t i;
    int bad = 0;
    json_array_foreach(json_object_get(root, "cells"), i, cell)
    {
        json_t *extra = json_array_get(import->extra, i), *latency = json_object_get(extra, "latency");
        bad |= json_object_set(json_object_get(cell, "counters"), "derived", json_object_get(extra, "derived"));
        if (latency != NULL)
            bad |= json_object_update(json_object_get(cell, "latency"), latency);
    }
    return bad | json_object_set_new(root, "context", context_json(import));
}

static void import_free(struct prony_import *import)
{
    for (unsigned i = 0; i < import->run.count; i++) {
        struct prony_workload *workload = (struct prony_workload *)(uintptr_t)import->run.cells[i].workload;
        free((char *)(uintptr_t)workload->head.name);
        free(workload);
    }
    prony_run_free(&import->run);
    json_decref(import->extra);
    json_decref(import->names);
}

int prony_import(const char *path, const char *text, json_t **root, struct prony_error *error)
{
    struct prony_import import = {.path = path, .text = text, .root = *root, .error = error};
    struct prony_report *report = NULL;
    const struct tool *tool = NULL;
    int code;
    for (size_t i = 0; tool == NULL && i < sizeof tools / sizeof tools[0]; i++)
        tool = json_object_get(*root, tools[i].mark) != NULL ? &tools[i] : NULL;
    if (tool == NULL)
        return 1;
    import.engine = &tool->engine;
    import.extra = json_array();
    import.names = json_object();
    import.run.suite = strdup(tool->format);
    code = import.extra == NULL || import.names == NULL || import.run.suite == NULL ? -ENOMEM : tool->read(&import);
    if (code == 0 && import.run.count == 0)
        code = prony_fail(error, -ENODATA, "%s: a file of %s without any measurement", path, tool->engine.head.summary);
    if (code == 0)
        code = notes_add(&import);
    if (code == 0)
        code = prony_report_from_run(&import.run, 0, NULL, false, &report, error);
    if (code == 0)
        code = extras_lay(&import, report->root) != 0 ? -ENOMEM : 0;
    if (code == -ENOMEM)
        (void)prony_fail(error, code, "no memory to import %s", path);
    if (code == 0) {
        json_decref(*root);
        *root = json_incref(report->root);
    }
    prony_report_free(report);
    import_free(&import);
    return code;
}
