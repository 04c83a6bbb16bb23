/* One cell in this process. The set-up is the cell host's own (measure/host.c); here is what the runner does before it:
 * parameters, placement, the board in its arena. */
#include "shims/gbench/stand.h"

#include "measure/client.h"
#include "topology/bind.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t timeout_ns = 600000000000;

/* Threads of this process; 0 when /proc does not tell. */
static unsigned threads_alive(void)
{
    DIR *folder = opendir("/proc/self/task");
    unsigned n = 0;
    if (folder == NULL)
        return 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        n += entry->d_name[0] != '.';
    (void)closedir(folder);
    return n;
}

/* PLUGIN.KEY=VALUE: its parts. */
static int split(const char *text, char plugin[64], char key[64], const char **value, struct prony_error *error)
{
    const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
    if (dot == NULL || equals == NULL || dot > equals || dot == text || dot - text >= 64 || equals - dot > 64)
        return prony_fail(error, -EINVAL, "'%s' is not PLUGIN.KEY=VALUE, as in spin.items=100", text);
    (void)snprintf(plugin, 64, "%.*s", (int)(dot - text), text);
    (void)snprintf(key, 64, "%.*s", (int)(equals - dot - 1), dot + 1);
    *value = equals + 1;
    return 0;
}

int gbench_param_check(const char *text, struct prony_error *error)
{
    char plugin[64], key[64];
    const char *value;
    const struct prony_head *head = NULL;
    const struct prony_option *option;
    int code = split(text, plugin, key, &value, error);
    if (code != 0)
        return code;
    for (int kind = PRONY_ENGINE; kind <= PRONY_CHANNEL && head == NULL; kind++)
        head = prony_registry_find((enum prony_kind)kind, plugin, NULL);
    if (head == NULL)
        return prony_fail(error, -ENOENT, "there is no engine, workload or channel '%s' (prony list)", plugin);
    option = prony_option_find(head->options, key);
    if (option == NULL)
        return prony_fail(error, -ENOENT, "%s has no parameter '%s' (prony list --json)", plugin, key);
    return prony_option_check(option, value, error);
}

/* The defaults, and what was typed for this plug-in. */
static int fill(struct prony_params *params, const struct prony_head *head, const struct prony_list *typed,
                struct prony_error *error)
{
    char plugin[64], key[64];
    const char *value;
    int code = prony_params_init(params, head->options, error);
    for (size_t i = 0; i < typed->count && code == 0; i++) {
        code = split(typed->item[i], plugin, key, &value, error);
        if (code == 0 && strcmp(plugin, head->name) == 0)
            code = prony_params_set(params, key, value, error);
    }
    return code;
}

static int set_number(struct prony_params *params, const char *key, int64_t value, struct prony_error *error)
{
    char text[32];
    if (value == 0)
        return 0;
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return prony_params_set(params, key, text, error);
}

/* Can this machine, and this process in its present state, have it? */
static int possible(const struct gbench_wish *wish, struct prony_error *error)
{
    const struct prony_head *heads[] = {&wish->engine->head, &wish->workload->head,
                                        wish->channel == NULL ? NULL : &wish->channel->head};
    for (unsigned i = 0; i < 3; i++)
        if (heads[i] != NULL && heads[i]->probe != NULL) {
            int code = heads[i]->probe(error);
            if (code != 0)
                return code;
        }
    if (wish->channel != NULL && wish->channel->largest != 0 && (uint64_t)wish->size > wish->channel->largest)
        return prony_fail(error, -ENOTSUP, "the largest message of %s has %llu bytes", wish->channel->head.name,
                          (unsigned long long)wish->channel->largest);
    if ((wish->engine->head.caps & (PRONY_CAP_SHARED | PRONY_CAP_HELPS | PRONY_CAP_DRY)) == 0 && threads_alive() > 1)
        return prony_fail(
            error, -ENOTSUP,
            "threads of an earlier runtime live in this process, and must not be forked: choose it alone, "
            "with --benchmark_filter");
    return 0;
}

/* What the runner knows of a cell before its host starts. */
static int plan(struct prony_cell *cell, const struct gbench_wish *wish, const struct gbench_ground *ground,
                struct prony_error *error)
{
    int code = fill(&cell->engine_params, &wish->engine->head, ground->params, error);
    cell->engine = wish->engine;
    cell->workload = wish->workload;
    cell->channel = wish->channel;
    cell->workers = wish->workers;
    if (code == 0)
        code = fill(&cell->workload_params, &wish->workload->head, ground->params, error);
    if (code == 0)
        code = set_number(&cell->workload_params, "size", wish->size, error);
    if (code == 0)
        code = set_number(&cell->workload_params, "items", wish->items, error);
    if (code == 0 && wish->channel != NULL)
        code = fill(&cell->channel_params, &wish->channel->head, ground->params, error);
    if (code == 0)
        code = prony_params_init(&cell->own_params, prony_cell_options, error);
    if (code == 0)
        code = wish->workload->need(&cell->workload_params, wish->workers, &cell->need, error);
    if (code == 0)
        code = prony_topology_place(ground->topology, "compact", wish->workers, false, &cell->placement, error);
    if (code == 0)
        cell->caller_pu = prony_caller_pu(cell, ground->topology);
    return code;
}

/* From the plan to the host: its own copies of the parameters, the board in a new arena. */
static int furnish(struct gbench_stand *stand, const struct gbench_ground *ground, struct prony_error *error)
{
    const struct prony_cell *cell = &stand->cell;
    struct prony_host *host = &stand->host;
    struct prony_board board;
    int code = prony_params_copy(&host->engine_params, &cell->engine_params, error);
    if (code == 0)
        code = prony_params_copy(&host->workload_params, &cell->workload_params, error);
    if (code == 0)
        code = prony_params_copy(&host->channel_params, &cell->channel_params, error);
    if (code == 0)
        code = prony_params_copy(&host->own_params, &cell->own_params, error);
    if (code != 0)
        return code;
    prony_board_lay(&board, cell, ground->method);
    board.plugin_fd = prony_registry_fd(&cell->workload->head);
    code = prony_arena_create(&host->arena, board.bytes, error);
    if (code != 0)
        return code;
    prony_board_write(host->arena.base, &board, cell, ground->method);
    host->workload = cell->workload;
    host->channel_ops = cell->channel;
    host->caller_pu = cell->caller_pu;
    host->bench.engine = cell->engine;
    host->bench.seed = 1;
    host->bench.timeout_ns = timeout_ns;
    return 0;
}

int gbench_stand_open(struct gbench_stand *stand, const struct gbench_wish *wish, const struct gbench_ground *ground,
                      struct prony_error *error)
{
    int code;
    memset(stand, 0, sizeof *stand);
    stand->host.control_fd = stand->host.arena.fd = -1;
    stand->host.parked = true;
    stand->open = true;
    code = possible(wish, error);
    if (code == 0)
        code = plan(&stand->cell, wish, ground, error);
    if (code == 0)
        code = furnish(stand, ground, error);
    if (code == 0)
        code = prony_host_open(&stand->host, error);
    if (code != 0)
        (void)gbench_stand_close(stand, ground->topology, NULL);
    return code;
}

int gbench_stand_close(struct gbench_stand *stand, const struct prony_topology *topology, struct prony_error *error)
{
    unsigned n = prony_topology_pus(topology, NULL, 0);
    int *pus, code;
    if (!stand->open)
        return 0;
    code = prony_host_close(&stand->host, error);
    prony_cell_free(&stand->cell);
    stand->open = false;
    pus = calloc(n, sizeof *pus);
    if (pus != NULL && n > 0) {
        (void)prony_topology_pus(topology, pus, n);
        (void)prony_bind_self_to(pus, n, NULL);
    }
    free(pus);
    return code;
}
