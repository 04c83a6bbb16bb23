/* prony list: what there is, what is missing and why. */
#include "base/log.h"
#include "measure/measure.h"
#include "runner/command.h"
#include "runner/suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct request {
    bool probe, json;
};

static const struct runner_option options[] = {
    {0, "probe", NULL, TAKE_FLAG, offsetof(struct request, probe), 0, 0,
     "tries everything for real: starts the engines and counts a known loop; takes seconds", NULL},
    {0, "json", NULL, TAKE_FLAG, offsetof(struct request, json), 0, 0,
     "an array of {kind, name, summary, available, reason, options}", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {"prony list",
                                       "everything, a line each",
                                       "prony list workloads",
                                       "workloads with their parameters, ranges and defaults",
                                       "prony list counters --probe",
                                       "which events really count on this machine",
                                       NULL};

static const char *const kinds[] = {"engines", "workloads", "channels", "counters", "suites", NULL};
enum { SUITES = PRONY_KINDS };

/* An entry and the words it owns. */
struct listing {
    struct prony_list_entry *entry;
    struct prony_list words; /* reasons and summaries that were made here */
    unsigned count, room;
};

static int keep(struct listing *list, const char *text, const char **kept, struct prony_error *error)
{
    if (prony_list_add(&list->words, text, strlen(text)) != 0)
        return prony_fail(error, -ENOMEM, "no memory for a list");
    *kept = list->words.item[list->words.count - 1];
    return 0;
}

static struct prony_list_entry *add(struct listing *list, const char *kind, const char *name, const char *summary)
{
    if (list->count == list->room) {
        unsigned room = list->room == 0 ? 64 : 2 * list->room;
        struct prony_list_entry *grown = realloc(list->entry, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        list->entry = grown;
        list->room = room;
    }
    list->entry[list->count] =
        (struct prony_list_entry){.kind = kind, .name = name, .summary = summary, .available = true};
    return &list->entry[list->count++];
}

/* One small cell of this engine, measured once. */
static int try_engine(const struct prony_head *head, struct prony_error *error)
{
    char name[64];
    char *engine[] = {name}, *workload[] = {(char *)"empty"}, *workers[] = {(char *)"1"}, *place[] = {(char *)"none"};
    struct prony_row row = {
        .engines = {engine, 1, 0}, .workloads = {workload, 1, 0}, .workers = {workers, 1, 0}, .places = {place, 1, 0}};
    struct prony_run run;
    struct prony_watch watch = {.journal = NULL};
    struct prony_topology *topology = NULL;
    int code;
    memset(&run, 0, sizeof run);
    (void)snprintf(name, sizeof name, "%s", head->name);
    run.method = (struct prony_method){.visits = 1, .samples = 1, .launches = 1, .timeout_ns = 10000000000, .seed = 1};
    code = prony_topology_load(NULL, &topology, error);
    run.topology = topology;
    if (code == 0)
        code = prony_plan_expand(&run, &row, 1, NULL, NULL, true, error);
    if (code == 0)
        code = prony_measure(&run, &watch, error);
    if (code == 0 && run.cells[0].outcome != PRONY_OK) {
        *error = run.cells[0].reason;
        code = error->code != 0 ? error->code : -EIO;
    }
    prony_run_free(&run);
    prony_topology_free(topology);
    return code;
}

static int probe(enum prony_kind kind, const struct prony_head *head, bool deep, struct prony_error *reason)
{
    int code = head->probe == NULL ? 0 : head->probe(reason);
    if (code != 0 || !deep)
        return code;
    if (kind == PRONY_ENGINE)
        return try_engine(head, reason);
    if (kind == PRONY_PROVIDER && ((const struct prony_provider *)(const void *)head)->trial != NULL)
        return prony_provider_trial((const struct prony_provider *)(const void *)head, reason);
    return 0;
}

static int gather_kind(struct listing *list, enum prony_kind kind, bool deep, struct prony_error *error)
{
    const struct prony_head *head;
    struct prony_list_entry *entry;
    for (unsigned i = 0; (head = prony_registry_at(kind, i)) != NULL; i++) {
        struct prony_error reason = {0, ""};
        entry = add(list, prony_kind_name(kind), head->name, head->summary);
        if (entry == NULL)
            return prony_fail(error, -ENOMEM, "no memory for a list");
        entry->options = head->options;
        entry->available = probe(kind, head, deep, &reason) == 0;
        if (!entry->available && keep(list, reason.text, &entry->reason, error) != 0)
            return -ENOMEM;
    }
    for (const struct prony_absent *absent = prony_builtin_absent; absent->name != NULL; absent++) {
        if (absent->kind != kind)
            continue;
        entry = add(list, prony_kind_name(kind), absent->name, "");
        if (entry == NULL)
            return prony_fail(error, -ENOMEM, "no memory for a list");
        entry->available = false;
        entry->reason = absent->reason;
    }
    return 0;
}

static int gather_suites(struct listing *list, struct prony_error *error)
{
    for (const struct runner_suite *suite = runner_suites; suite->name != NULL; suite++) {
        struct prony_method method = {.visits = 0};
        struct prony_error reason = {0, ""};
        struct prony_row *rows = NULL;
        struct prony_list_entry *entry = add(list, "suite", suite->name, "");
        char *summary = NULL, *name = NULL;
        unsigned n = 0;
        int code = 0;
        if (entry == NULL)
            return prony_fail(error, -ENOMEM, "no memory for a list");
        entry->available = runner_suite_read(suite->name, &rows, &n, &method, &summary, &name, &reason) == 0;
        if (!entry->available)
            code = keep(list, reason.text, &entry->reason, error);
        else if (summary != NULL)
            code = keep(list, summary, &entry->summary, error);
        for (unsigned i = 0; rows != NULL && i < n; i++)
            prony_row_free(&rows[i]);
        free(rows);
        free(summary);
        free(name);
        if (code != 0)
            return code;
    }
    return 0;
}

static void print_options(const struct prony_option *option)
{
    char range[160];
    for (; option != NULL && option->name != NULL; option++) {
        (void)printf("      %s=%s", option->name, option->fallback);
        if (option->type != PRONY_TEXT)
            (void)printf("  (%s)", prony_option_range(option, range, sizeof range));
        (void)printf("\n          %s\n", option->help);
    }
}

static void print_listing(const struct listing *list, bool with_options)
{
    const char *kind = "";
    for (unsigned i = 0; i < list->count; i++) {
        const struct prony_list_entry *entry = &list->entry[i];
        if (strcmp(kind, entry->kind) != 0)
            (void)printf("%s%ss\n", i == 0 ? "" : "\n", entry->kind);
        kind = entry->kind;
        (void)printf("  %-17s %s\n", entry->name, entry->summary);
        if (!entry->available)
            (void)printf("  %-17s absent: %s\n", "", entry->reason);
        if (with_options)
            print_options(entry->options);
    }
    if (with_options && list->count > 0 && strcmp(list->entry[0].kind, "workload") == 0) {
        (void)printf("\nevery map workload\n");
        print_options(prony_cell_options);
    }
}

/* The number of a kind by name, singular or plural; -1 when there is none. */
static int kind_of(const char *typed)
{
    for (int i = 0; kinds[i] != NULL; i++)
        if (strcmp(kinds[i], typed) == 0 ||
            (strlen(typed) + 1 == strlen(kinds[i]) && strncmp(kinds[i], typed, strlen(typed)) == 0))
            return i;
    return -1;
}

static int list_main(int argc, char **argv)
{
    struct request request = {false, false};
    struct prony_list operands = {NULL, 0, 0};
    struct listing list = {NULL, {NULL, 0, 0}, 0, 0};
    struct prony_error error = {0, ""};
    char hint[120];
    int code, only = -1, failed = 0;
    if (!runner_parse(&runner_list, argc, argv, &request, &operands, &code))
        goto done;
    if (operands.count > 0 && (only = kind_of(operands.item[0])) < 0) {
        prony_error_say("there is no kind '%s'%s (engines, workloads, channels, counters, suites)", operands.item[0],
                        prony_text_nearest(operands.item[0], kinds, hint, sizeof hint));
        code = EXIT_USAGE;
        goto done;
    }
    for (int kind = 0; failed == 0 && kind < PRONY_KINDS; kind++)
        if (only < 0 || only == kind)
            failed = gather_kind(&list, (enum prony_kind)kind, request.probe, &error);
    if (failed == 0 && (only < 0 || only == SUITES))
        failed = gather_suites(&list, &error);
    code = failed != 0 ? runner_say(&error) : EXIT_DONE;
    if (failed == 0 && request.json && prony_list_json(list.entry, list.count, stdout) != 0)
        code = EXIT_CANNOT;
    else if (failed == 0 && !request.json)
        print_listing(&list, only >= 0);
done:
    free(list.entry);
    prony_list_free(&list.words);
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_list = {
    .name = "list",
    .usage = "list [KIND] [--probe] [--json]",
    .summary = "engines, workloads, channels, counters and suites, present or absent",
    .text = "Shows what this prony can run on this machine and, for what is absent, the reason and what to do about "
            "it. KIND is engines, workloads, channels, counters or suites; with it, parameters are shown too, as -p "
            "takes them.",
    .examples = examples,
    .options = options,
    .operands = 1,
    .run = list_main,
};
