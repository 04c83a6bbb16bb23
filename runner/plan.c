/* Command line over suite over default, then expansion. */
#include "runner/plan.h"
#include "runner/suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct prony_method defaults = {
    .visits = 9,
    .samples = 5,
    .launches = 1,
    .timeout_ns = 30000000000,
    .seed = 1,
};

const struct runner_request runner_request_none = {
    .budget_ns = -1,
    .seed = -1,
    .precision = -1,
    .judging = {.margin_percent = RUNNER_MARGIN_DEFAULT},
};

void runner_request_free(struct runner_request *request)
{
    struct prony_list *lists[] = {&request->engines, &request->workloads, &request->channels, &request->workers,
                                  &request->places,  &request->params,    &request->only,     &request->skip,
                                  &request->plugins, &request->outs};
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++)
        prony_list_free(lists[i]);
}

/* Loads a plug-in from a file. With an axis of names, its name takes the place of the path there. */
static int load(char **item, int kind, struct prony_error *error)
{
    const struct prony_head *head, *same;
    bool right = false;
    char *name;
    int code = prony_registry_load(*item, NULL, &head, error);
    if (code != 0 || kind < 0)
        return code;
    for (unsigned i = 0; !right && (same = prony_registry_at((enum prony_kind)kind, i)) != NULL; i++)
        right = same == head;
    if (!right)
        return prony_fail(error, -EINVAL, "%s holds '%s', which is no %s", *item, head->name,
                          prony_kind_name((enum prony_kind)kind));
    name = strdup(head->name);
    if (name == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a name");
    free(*item);
    *item = name;
    return 0;
}

static int load_plugins(struct runner_request *request, struct prony_error *error)
{
    struct prony_list *axes[] = {&request->engines, &request->workloads, &request->channels};
    static const int kinds[] = {PRONY_ENGINE, PRONY_WORKLOAD, PRONY_CHANNEL};
    int code = 0;
    for (size_t i = 0; code == 0 && i < request->plugins.count; i++)
        code = load(&request->plugins.item[i], -1, error);
    for (unsigned a = 0; a < 3; a++)
        for (size_t i = 0; code == 0 && i < axes[a]->count; i++)
            if (strchr(axes[a]->item[i], '/') != NULL)
                code = load(&axes[a]->item[i], kinds[a], error);
    return code;
}

static int append(struct prony_list *to, const struct prony_list *from, struct prony_error *error)
{
    for (size_t i = 0; i < from->count; i++)
        if (prony_list_add(to, from->item[i], strlen(from->item[i])) != 0)
            return prony_fail(error, -ENOMEM, "no memory for a plan");
    return 0;
}

/* A list of the command line replaces the row's. */
static int replace(struct prony_row *row, struct prony_list *list, const struct prony_list *typed, unsigned name,
                   struct prony_error *error)
{
    if (typed->count == 0)
        return 0;
    prony_list_free(list);
    row->named |= name;
    return append(list, typed, error);
}

/* The key of "[PLUGIN.]KEY=V", and its length. */
static const char *key_of(const char *param, size_t *length)
{
    size_t whole = strcspn(param, "=");
    const char *dot = memchr(param, '.', whole);
    *length = dot == NULL ? whole : whole - (size_t)(dot + 1 - param);
    return dot == NULL ? param : dot + 1;
}

/* A typed KEY=V overrides what the row says of KEY, also for single plug-ins. */
static void forget_param(struct prony_list *params, const char *typed)
{
    size_t length, its, kept = 0;
    const char *key = key_of(typed, &length);
    if (key != typed)
        return; /* for one plug-in: it beats general ones anyway */
    for (size_t i = 0; i < params->count; i++) {
        const char *other = key_of(params->item[i], &its);
        if (its == length && strncmp(other, key, length) == 0)
            free(params->item[i]);
        else
            params->item[kept++] = params->item[i];
    }
    params->count = kept;
}

static int lay_over(const struct runner_request *request, struct prony_row *row, struct prony_error *error)
{
    int code = replace(row, &row->engines, &request->engines, PRONY_NAMED_ENGINES, error);
    if (code == 0)
        code = replace(row, &row->workloads, &request->workloads, PRONY_NAMED_WORKLOADS, error);
    if (code == 0)
        code = replace(row, &row->channels, &request->channels, PRONY_NAMED_CHANNELS, error);
    if (code == 0)
        code = replace(row, &row->workers, &request->workers, PRONY_NAMED_WORKERS, error);
    if (code == 0)
        code = replace(row, &row->places, &request->places, PRONY_NAMED_PLACES, error);
    for (size_t i = 0; i < request->params.count; i++)
        forget_param(&row->params, request->params.item[i]);
    return code == 0 ? append(&row->params, &request->params, error) : code;
}

static void set_method(const struct runner_request *request, struct prony_method *method)
{
    if (request->visits > 0)
        method->visits = request->visits;
    if (request->samples > 0)
        method->samples = request->samples;
    if (request->launches > 0)
        method->launches = request->launches;
    if (request->precision >= 0)
        method->precision = request->precision;
    if (request->budget_ns >= 0)
        method->budget_ns = request->budget_ns;
    if (request->timeout_ns > 0)
        method->timeout_ns = request->timeout_ns;
    method->profile = request->profile;
    if (request->seed >= 0)
        method->seed = (uint64_t)request->seed;
}

static int set_scaling(const struct runner_request *request, struct prony_method *method, struct prony_error *error)
{
    if (request->scaling == NULL)
        return 0;
    method->weak = strcmp(request->scaling, "weak") == 0;
    return method->weak || strcmp(request->scaling, "strong") == 0
               ? 0
               : prony_fail(error, -EINVAL, "--scaling is strong or weak, not '%s'", request->scaling);
}

int runner_plan(struct runner_request *request, const char *suite, struct prony_run *run, struct prony_error *error)
{
    struct prony_row *rows = NULL;
    char *summary = NULL;
    unsigned n = 0;
    int code = load_plugins(request, error);
    run->method = defaults;
    if (code == 0 && suite == NULL && request->workloads.count == 0)
        suite = "quick";
    if (code == 0 && suite != NULL) {
        code = runner_suite_read(suite, &rows, &n, &run->method, &summary, &run->suite, error);
    } else if (code == 0) {
        rows = calloc(n = 1, sizeof *rows);
        run->suite = strdup("custom");
        if (rows == NULL || run->suite == NULL)
            code = prony_fail(error, -ENOMEM, "no memory for a plan");
    }
    for (unsigned i = 0; code == 0 && i < n; i++)
        code = lay_over(request, &rows[i], error);
    set_method(request, &run->method);
    if (code == 0)
        code = set_scaling(request, &run->method, error);
    if (code == 0 && request->name != NULL && (run->name = strdup(request->name)) == NULL)
        code = prony_fail(error, -ENOMEM, "no memory for a plan");
    if (code == 0)
        code = prony_plan_expand(run, rows, n, &request->only, &request->skip, request->oversubscribe, error);
    for (unsigned i = 0; rows != NULL && i < n; i++)
        prony_row_free(&rows[i]);
    free(rows);
    free(summary);
    return code;
}

int runner_plan_show(const struct prony_run *run, bool json, struct prony_error *error)
{
    int width = 0;
    if (json)
        return prony_plan_json(run, stdout) == 0 ? 0 : prony_fail(error, -EIO, "the plan cannot be written to stdout");
    for (unsigned i = 0; i < run->count; i++)
        width = (int)strlen(run->cells[i].id) > width ? (int)strlen(run->cells[i].id) : width;
    for (unsigned i = 0; i < run->count; i++) {
        const struct prony_cell *cell = &run->cells[i];
        (void)printf("%-*s  ", width > 72 ? 72 : width, cell->id);
        if (cell->outcome == PRONY_SKIPPED)
            (void)printf("skipped: %s", cell->reason.text);
        for (unsigned w = 0; cell->outcome != PRONY_SKIPPED && w < cell->placement.workers; w++) {
            if (cell->placement.pus[w] < 0)
                (void)printf("%s", w == 0 ? "not bound" : "");
            else
                (void)printf("%s%d", w == 0 ? "PU " : ",", cell->placement.pus[w]);
        }
        (void)printf("%s%s\n", cell->placement.oversubscribed ? " oversubscribed" : "",
                     cell->baseline ? " (baseline)" : "");
    }
    return 0;
}
