#include "measure/rerun.h"
#include "measure/record.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <unistd.h>

enum { KERNELS_MOST = 32, SLOWER = 10 };

static const struct prony_kernel *wrapped;
static void (*region)(int inside);
static _Thread_local unsigned depth; /* a kernel that joins its kids runs others inside itself */

static int run_wrapped(struct prony_worker *worker, const struct prony_task *task)
{
    int code;
    if (depth++ == 0)
        region(1);
    code = wrapped[task->ref.kernel].fn(worker, task);
    if (--depth == 0)
        region(0);
    return code;
}

const struct prony_kernel *prony_rerun_wrap(const struct prony_kernel *kernels, const struct prony_provider *provider)
{
    static struct prony_kernel table[KERNELS_MOST + 1];
    unsigned n = 0;
    while (n < KERNELS_MOST && kernels[n].name != NULL) {
        table[n] = (struct prony_kernel){kernels[n].name, run_wrapped};
        n++;
    }
    wrapped = kernels;
    region = provider->region;
    return table;
}

/* Every event of the cell gets this reason. */
static void none_counted(const struct prony_cell *cell, size_t events, const char *reason)
{
    for (unsigned i = 0; i < cell->workers && cell->who != NULL; i++)
        for (size_t j = 0; j < events && cell->who[i].values != NULL; j++) {
            struct prony_value *value = &cell->who[i].values[j];
            memset(value, 0, sizeof *value);
            value->status = PRONY_NOT_SUPPORTED;
            (void)snprintf(value->reason, sizeof value->reason, "%s", reason);
        }
}

void prony_rerun_remove(const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries != NULL)
        (void)closedir(entries);
    (void)rmdir(folder);
}

/* The cell once under the tool; the samples that were counted, or -errno. */
static int64_t run_once(struct prony_bout *bout, const struct prony_cell *cell, const struct prony_tool *tool,
                        struct prony_error *error)
{
    struct prony_method method = bout->run->method;
    struct prony_order order = {.kind = PRONY_ORDER_VISIT, .samples = 1, .repeats = 1};
    struct prony_client client;
    static struct prony_answer answer;
    int64_t limit = method.timeout_ns > INT64_MAX / SLOWER ? INT64_MAX : method.timeout_ns * SLOWER;
    int code;
    method.rerun = true;
    code = prony_client_start(&client, cell, &method, tool, error);
    if (code != 0)
        return code;
    code = prony_client_open(&client, cell, &method, &answer, limit, bout->watch->interrupt, error);
    if (code == 0 && answer.error.code == 0)
        code = prony_client_ask(&client, &order, NULL, &answer, limit, bout->watch->interrupt, error);
    if (code == 0 && answer.error.code != 0)
        code = prony_fail(error, answer.error.code, "%s", answer.error.text);
    prony_client_close(&client); /* in good order: the workers' counts are written as they leave */
    prony_client_free(&client);
    return code != 0 ? code : answer.verified;
}

static void take_over(struct prony_cell *cell, const struct prony_method *method, const char *folder, int64_t samples)
{
    struct prony_error error = {0, ""};
    size_t n = method->events.count;
    for (unsigned i = 0; i < cell->workers && cell->who != NULL && cell->who[i].values != NULL; i++) {
        if (method->provider->gather(folder, i, (const char *const *)method->events.item, (unsigned)n,
                                     cell->who[i].values, &error) != 0)
            none_counted(cell, n, error.text);
        for (size_t j = 0; j < n; j++)
            cell->who[i].values[j].samples = (uint32_t)samples;
    }
    cell->counted_samples = (uint64_t)samples;
    cell->counted_repeats = 1;
}

void prony_rerun(struct prony_bout *bout, struct prony_live *live)
{
    const struct prony_method *method = &bout->run->method;
    const struct prony_provider *provider = method->provider;
    struct prony_cell *cell = live->cell;
    const char *under = getenv("TMPDIR");
    char folder[512];
    struct prony_error error = {0, ""};
    struct prony_tool tool;
    int64_t samples;
    if (provider == NULL || (provider->head.caps & PRONY_COUNTER_RERUN) == 0 || cell->outcome != PRONY_OK ||
        cell->counted_repeats != 0) /* counted before the run was interrupted */
        return;
    if (cell->workload->shape == PRONY_LIFE || (cell->engine->head.caps & PRONY_CAP_DRY) != 0)
        return none_counted(cell, method->events.count, "no worker runs a kernel that could be counted");
    (void)snprintf(folder, sizeof folder, "%s/prony-rerun-XXXXXX", under != NULL && under[0] == '/' ? under : "/tmp");
    if (mkdtemp(folder) == NULL)
        return none_counted(cell, method->events.count, "no folder for the tool's files");
    samples = provider->command(folder, &tool, &error);
    if (samples == 0)
        samples = run_once(bout, cell, &tool, &error);
    if (samples < 0)
        none_counted(cell, method->events.count, error.text);
    else
        take_over(cell, method, folder, samples);
    prony_record_rerun(&bout->journal, live, method->events.count, samples, error.text);
    prony_rerun_remove(folder);
}
