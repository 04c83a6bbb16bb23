/* From rows of axes to the list of cells: the product, what fits, what is skipped and why, baselines, ids. */
#include "measure/plan.h"
#include "measure/axes.h"
#include "parallel/carry.h"

#include <errno.h>
#include <math.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MOST = 100000, AXES_MOST = 64 };

/* A placement that was asked before; the same few come up in every cell. */
struct placed {
    const char *policy; /* of the axes */
    unsigned workers;
    bool oversubscribe;
    struct prony_placement placement;
    struct prony_error error;
};

struct seen {
    const char *id;
    unsigned cell;
};

struct expansion {
    struct prony_run *run;
    unsigned room;
    const struct prony_list *only, *skip;
    bool oversubscribe, folded;
    struct prony_pick serial; /* head NULL: none in this build */
    void *ids;                /* of struct seen, by tsearch */
    struct placed *placed;
    unsigned placed_count, placed_room;
};

/* One point of a row's product. choice[i] is the value taken of axes->params[i]. */
struct point {
    const struct prony_axes *axes;
    const struct prony_pick *engine, *workload, *channel;
    unsigned workers;
    const char *place;
    unsigned choice[AXES_MOST];
    bool baseline;
    unsigned factor; /* weak scaling: by which `items` are multiplied; 1 else */
};

/* The option tables that a point sets, in the order of the id. */
struct tables {
    struct {
        const char *owner;
        const struct prony_option *options;
    } table[4];
    unsigned count;
};

static const struct prony_engine *engine_of(const struct prony_pick *pick)
{
    return (const struct prony_engine *)(const void *)pick->head;
}

static const struct prony_workload *workload_of(const struct prony_pick *pick)
{
    return (const struct prony_workload *)(const void *)pick->head;
}

/* A baseline takes the workload's parameters alone: speed-up is against the serial engine left to itself. */
static struct tables tables_of(const struct point *point)
{
    struct tables tables = {.count = 0};
    tables.table[tables.count].owner = point->workload->head->name;
    tables.table[tables.count++].options = point->workload->head->options;
    if (point->baseline)
        return tables;
    tables.table[tables.count].owner = point->engine->head->name;
    tables.table[tables.count++].options = point->engine->head->options;
    if (point->channel != NULL) {
        tables.table[tables.count].owner = point->channel->head->name;
        tables.table[tables.count++].options = point->channel->head->options;
    }
    tables.table[tables.count].owner = "";
    tables.table[tables.count++].options = prony_cell_options_of(workload_of(point->workload));
    return tables;
}

/* Ids */

/* "primes/thread/n2/compact/items=1000,chunk=8": what was given, never what is default. Where weak scaling multiplies
 * the items, "/x2" follows. NULL: no memory. */
static char *id_of(const struct point *point)
{
    const struct prony_axes *axes = point->axes;
    struct tables tables = tables_of(point);
    bool written[AXES_MOST] = {false};
    char *id = NULL, separator = '/';
    size_t bytes;
    FILE *out = open_memstream(&id, &bytes);
    if (out == NULL)
        return NULL;
    (void)fprintf(out, "%s/%s", point->workload->head->name, point->engine->head->name);
    if (point->channel != NULL)
        (void)fprintf(out, "/%s", point->channel->head->name);
    (void)fprintf(out, "/n%u/%s", point->workers, point->place);
    for (unsigned t = 0; t < tables.count; t++) {
        const struct prony_option *option = tables.table[t].options;
        for (; option != NULL && option->name != NULL; option++) {
            int winner = prony_axes_winner(axes, tables.table[t].owner, option->name);
            bool clash = false;
            if (winner < 0 || written[winner])
                continue;
            for (unsigned i = 0; i < axes->params_count; i++)
                clash = clash || (written[i] && strcmp(axes->params[i].key, option->name) == 0);
            (void)fprintf(out, "%c%s%s%s=%s", separator, clash ? tables.table[t].owner : "", clash ? "." : "",
                          option->name, axes->params[winner].values.item[point->choice[winner]]);
            written[winner] = true;
            separator = ',';
        }
    }
    if (point->factor > 1)
        (void)fprintf(out, "/x%u", point->factor);
    if (fclose(out) != 0) {
        free(id);
        return NULL;
    }
    return id;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->id, ((const struct seen *)b)->id);
}

static bool any_matches(const struct prony_list *globs, const char *id)
{
    for (size_t i = 0; globs != NULL && i < globs->count; i++)
        if (prony_text_matches(globs->item[i], id))
            return true;
    return false;
}

/* Is the id wanted, and new? A baseline stays when only the cells it serves were asked for. */
static bool wanted(struct expansion *x, const struct point *point, const char *id)
{
    struct seen key = {id, 0}, **known;
    if (any_matches(x->skip, id))
        return false;
    if (!point->baseline && x->only != NULL && x->only->count > 0 && !any_matches(x->only, id))
        return false;
    known = tfind(&key, &x->ids, by_id);
    if (known != NULL && !point->baseline)
        x->run->cells[(*known)->cell].baseline = false;
    return known == NULL;
}

/* Does it fit? */

static int skip_cell(struct prony_cell *cell)
{
    cell->outcome = PRONY_SKIPPED;
    return 0;
}

static bool is_single(const struct prony_head *engine)
{
    return (engine->caps & PRONY_CAP_DRY) != 0 || strcmp(engine->name, "serial") == 0;
}

/* A message of the workload's `size` that the channel cannot carry under these parameters. */
static int too_large(const struct prony_cell *cell, struct prony_error *reason)
{
    const struct prony_channel *channel = cell->channel;
    const struct prony_option *size = prony_option_find(cell->workload->head.options, "size");
    struct prony_error how = {0, ""};
    int64_t most = channel->limit != NULL ? channel->limit(&cell->channel_params, &how) : (int64_t)channel->largest;
    int64_t asked = size == NULL ? 0 : prony_param_int(&cell->workload_params, "size");
    if (most <= 0 || asked <= most)
        return 0;
    return prony_fail(reason, -EMSGSIZE, "channel %s carries messages of at most %lld bytes, not %lld%s%s",
                      channel->head.name, (long long)most, (long long)asked, how.code != 0 ? ": " : "", how.text);
}

/* Engine, workload, channel and number of workers: 0, or the reason why they do not go together. */
static int fits(const struct prony_cell *cell, struct prony_error *reason)
{
    static const uint64_t by_shape[] = {
        [PRONY_MAP] = PRONY_CAP_MAP, [PRONY_TASKS] = PRONY_CAP_SUBMIT, [PRONY_GANG] = PRONY_CAP_GANG, [PRONY_LIFE] = 0};
    const char *engine = cell->engine->head.name;
    uint64_t missing = (by_shape[cell->workload->shape] | cell->need.engine_caps) & ~cell->engine->head.caps;
    if ((cell->engine->head.caps & PRONY_CAP_DRY) != 0 && strcmp(cell->workload->head.name, "empty") != 0)
        return prony_fail(reason, -ENOTSUP, "engine %s runs no kernels: it takes only the workload empty", engine);
    if (missing != 0)
        return prony_fail(reason, -ENOTSUP, "engine %s cannot %s", engine, prony_axes_lacking(missing));
    if (cell->need.roles > cell->workers)
        return prony_fail(reason, -ENOTSUP, "needs %u workers", cell->need.roles);
    if (cell->need.ends == 0 && cell->channel != NULL && (cell->need.engine_caps & PRONY_CAP_NEST) != 0)
        return prony_fail(reason, -ENOTSUP, "engine %s keeps recursive tasks in shared memory: leave out -c", engine);
    if (cell->need.ends == 0)
        return cell->channel == NULL ? 0 : prony_carry_fits(cell->channel, &cell->channel_params, reason);
    if (cell->channel == NULL)
        return prony_fail(reason, -ENOTSUP, "needs a channel");
    if (prony_axes_reach(&cell->engine->head, &cell->channel->head, reason) != 0)
        return reason->code;
    return too_large(cell, reason);
}

static const struct placed *place(struct expansion *x, const char *policy, unsigned workers)
{
    struct placed *placed;
    for (unsigned i = 0; i < x->placed_count; i++)
        if (x->placed[i].workers == workers && x->placed[i].oversubscribe == x->oversubscribe &&
            strcmp(x->placed[i].policy, policy) == 0)
            return &x->placed[i];
    if (x->placed_count == x->placed_room) {
        unsigned room = x->placed_room == 0 ? 16 : 2 * x->placed_room;
        placed = realloc(x->placed, room * sizeof *placed);
        if (placed == NULL)
            return NULL;
        x->placed = placed;
        x->placed_room = room;
    }
    placed = &x->placed[x->placed_count++];
    memset(placed, 0, sizeof *placed);
    placed->policy = policy;
    placed->workers = workers;
    placed->oversubscribe = x->oversubscribe;
    if (prony_topology_place(x->run->topology, policy, workers, x->oversubscribe, &placed->placement, &placed->error) !=
            0 &&
        placed->error.code == 0)
        placed->error.code = -EINVAL;
    return placed;
}

/* Gives the cell its PUs. An error only when what cannot be honoured was typed; else the cell is skipped. */
static int place_cell(struct expansion *x, const struct point *point, struct prony_cell *cell,
                      struct prony_error *error)
{
    const struct placed *placed = place(x, point->place, point->workers);
    if (placed == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    (void)snprintf(cell->placement.policy, sizeof cell->placement.policy, "%s", point->place);
    if (placed->error.code != 0) {
        if ((point->axes->named & (PRONY_NAMED_WORKERS | PRONY_NAMED_PLACES)) != 0) {
            *error = placed->error;
            return error->code;
        }
        if (cell->outcome == PRONY_PENDING)
            cell->reason = placed->error;
        return skip_cell(cell);
    }
    cell->placement = placed->placement;
    cell->placement.pus = malloc(point->workers * sizeof *cell->placement.pus);
    if (cell->placement.pus == NULL) {
        cell->placement.workers = 0;
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    }
    memcpy(cell->placement.pus, placed->placement.pus, point->workers * sizeof *cell->placement.pus);
    if (cell->outcome == PRONY_PENDING && prony_axes_spin_apart(cell, x->run->topology, &cell->reason) != 0)
        return skip_cell(cell);
    return 0;
}

static int set_table(const struct point *point, const char *owner, const struct prony_option *options, bool with,
                     struct prony_params *params, struct prony_cell *cell, struct prony_error *error)
{
    int code = prony_params_init(params, options, error);
    for (unsigned i = 0; code == 0 && with && i < params->count; i++) {
        const char *key = params->values[i].option->name;
        int winner = prony_axes_winner(point->axes, owner, key);
        struct prony_error reason = {0, ""};
        if (winner < 0)
            continue;
        code = prony_params_set(params, key, point->axes->params[winner].values.item[point->choice[winner]], &reason);
        if (code == -ENOMEM) {
            *error = reason;
        } else if (code != 0) { /* another plug-in of the plan takes the value: not this one */
            (void)prony_fail_within(&reason, code, "%s", owner);
            cell->reason = reason;
            code = skip_cell(cell);
        }
    }
    return code;
}

static bool has_items(const struct point *point)
{
    enum prony_shape shape = workload_of(point->workload)->shape;
    return (shape == PRONY_MAP || shape == PRONY_TASKS) &&
           prony_option_find(point->workload->head->options, "items") != NULL;
}

/* Weak scaling: as much work for each worker as the plan says for one. */
static int grow_items(const struct point *point, struct prony_cell *cell, struct prony_error *error)
{
    struct prony_error reason = {0, ""};
    char text[32];
    int code;
    if (point->factor <= 1)
        return 0;
    (void)snprintf(text, sizeof text, "%lld",
                   (long long)prony_param_int(&cell->workload_params, "items") * (long long)point->factor);
    code = prony_params_set(&cell->workload_params, "items", text, &reason);
    if (code == 0 || code == -ENOMEM) {
        *error = reason;
        return code;
    }
    (void)prony_fail_within(&reason, code, "%u times the items", point->factor);
    cell->reason = reason;
    return skip_cell(cell);
}

static int set_params(const struct point *point, struct prony_cell *cell, struct prony_error *error)
{
    const struct prony_pick *channel = point->channel;
    bool own = !point->baseline;
    int code = set_table(point, point->workload->head->name, point->workload->head->options, true,
                         &cell->workload_params, cell, error);
    if (code == 0)
        code = grow_items(point, cell, error);
    if (code == 0)
        code = set_table(point, point->engine->head->name, point->engine->head->options, own, &cell->engine_params,
                         cell, error);
    if (code == 0 && channel != NULL)
        code = set_table(point, channel->head->name, channel->head->options, true, &cell->channel_params, cell, error);
    if (code == 0)
        code = set_table(point, "", prony_cell_options_of(cell->workload), own, &cell->own_params, cell, error);
    return code;
}

/* Asks the workload what the cell needs. A wrong parameter or a missing file is an error when somebody typed it. */
static int ask_need(const struct point *point, struct prony_cell *cell, struct prony_error *error)
{
    struct prony_error reason = {0, ""};
    bool typed = (point->axes->named & PRONY_NAMED_WORKLOADS) != 0;
    int code;
    cell->need.items = 1;
    if (cell->workload->need == NULL)
        return 0;
    code = cell->workload->need(&cell->workload_params, cell->workers, &cell->need, &reason);
    if (code == 0)
        return 0;
    for (unsigned i = 0; i < cell->workload_params.count; i++)
        typed = typed || cell->workload_params.values[i].given;
    (void)prony_fail_within(&reason, code, "workload %s", cell->workload->head.name);
    if (code == -ENOMEM || (code != -ENOTSUP && typed)) {
        *error = reason;
        return code;
    }
    cell->reason = reason;
    return skip_cell(cell);
}

/* Decides whether the cell can run, before anything is started. */
static int judge(struct expansion *x, const struct point *point, struct prony_cell *cell, struct prony_error *error)
{
    const struct prony_pick *picks[3] = {point->engine, point->workload, point->channel};
    int code = 0;
    for (unsigned i = 0; i < 3 && cell->outcome == PRONY_PENDING; i++)
        if (picks[i] != NULL && picks[i]->absent.code != 0) {
            cell->reason = picks[i]->absent;
            (void)skip_cell(cell);
        }
    if (cell->outcome == PRONY_PENDING)
        code = ask_need(point, cell, error);
    if (code == 0 && cell->outcome == PRONY_PENDING && fits(cell, &cell->reason) != 0)
        (void)skip_cell(cell);
    return code != 0 ? code : place_cell(x, point, cell, error);
}

/* Building */

static int append(struct expansion *x, const struct prony_cell *cell, struct prony_error *error)
{
    struct prony_run *run = x->run;
    struct seen *seen;
    if (run->count == CELLS_MOST)
        return prony_fail(error, -ERANGE, "the plan has more than %d cells: take fewer values", CELLS_MOST);
    if (run->count == x->room) {
        unsigned room = x->room == 0 ? 64 : 2 * x->room;
        struct prony_cell *grown = realloc(run->cells, room * sizeof *grown);
        if (grown == NULL)
            return prony_fail(error, -ENOMEM, "no memory for %u cells", room);
        run->cells = grown;
        x->room = room;
    }
    seen = malloc(sizeof *seen);
    if (seen == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    *seen = (struct seen){cell->id, run->count};
    if (tsearch(seen, &x->ids, by_id) == NULL) {
        free(seen);
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    }
    run->cells[run->count++] = *cell;
    return 0;
}

static int add_cell(struct expansion *x, const struct point *point, bool *runs, struct prony_error *error)
{
    struct prony_cell cell = {.engine = engine_of(point->engine),
                              .workload = workload_of(point->workload),
                              .channel = point->channel == NULL ? NULL : (const void *)point->channel->head,
                              .workers = point->workers,
                              .baseline = point->baseline,
                              .caller_pu = -1,
                              .caller_share = NAN,
                              .counter_read_ns = NAN,
                              .id = id_of(point)};
    int code;
    *runs = false;
    if (cell.id == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    if (!wanted(x, point, cell.id)) {
        free(cell.id);
        return 0;
    }
    code = set_params(point, &cell, error);
    if (code == 0)
        code = judge(x, point, &cell, error);
    if (code == 0 && cell.baseline && cell.outcome != PRONY_PENDING) {
        prony_cell_free(&cell); /* nobody asked for it */
        return 0;
    }
    if (code == 0)
        code = append(x, &cell, error);
    if (code != 0) {
        prony_cell_free(&cell);
        return code;
    }
    *runs = cell.outcome == PRONY_PENDING;
    return 0;
}

/* The cell, and the serial one that its speed-up is against. */
static int add_point(struct expansion *x, const struct point *point, struct prony_error *error)
{
    enum prony_shape shape = workload_of(point->workload)->shape;
    struct point twin = *point;
    bool runs;
    int code = add_cell(x, point, &runs, error);
    if (code != 0 || !runs || is_single(point->engine->head) || x->serial.head == NULL ||
        (shape != PRONY_MAP && shape != PRONY_TASKS))
        return code;
    twin.engine = &x->serial;
    twin.channel = NULL;
    twin.workers = 1;
    twin.baseline = true;
    return add_cell(x, &twin, &runs, error);
}

/* Does this parameter set anything of the point? */
static bool is_active(const struct point *point, const struct tables *tables, unsigned axis)
{
    for (unsigned t = 0; t < tables->count; t++)
        if (prony_option_find(tables->table[t].options, point->axes->params[axis].key) != NULL &&
            prony_axes_winner(point->axes, tables->table[t].owner, point->axes->params[axis].key) == (int)axis)
            return true;
    return false;
}

/* The product over the parameters that matter to this engine, workload and channel; an odometer. */
static int add_points(struct expansion *x, struct point *point, struct prony_error *error)
{
    const struct prony_axes *axes = point->axes;
    struct tables tables = tables_of(point);
    memset(point->choice, 0, sizeof point->choice);
    for (;;) {
        unsigned i = 0;
        int code = add_point(x, point, error);
        if (code != 0)
            return code;
        for (; i < axes->params_count; i++) {
            if (!is_active(point, &tables, i))
                continue;
            if (++point->choice[i] < axes->params[i].values.count)
                break;
            point->choice[i] = 0;
        }
        if (i == axes->params_count)
            return 0;
    }
}

/* Is the channel the engine's, to carry its tasks? Gangs and lives keep to shared memory. */
static bool is_carried(const struct point *point)
{
    const enum prony_shape shape = workload_of(point->workload)->shape;
    return point->axes->carries && (point->engine->head->caps & PRONY_CAP_CHANNEL) != 0 &&
           (shape == PRONY_MAP || shape == PRONY_TASKS);
}

static int expand_pair(struct expansion *x, struct point *point, struct prony_error *error)
{
    const struct prony_axes *axes = point->axes;
    const bool carried = is_carried(point);
    unsigned channels = point->workload->takes_channel || carried ? axes->channels.count : 0;
    unsigned own = channels == 0 || (carried && axes->own) ? 1 : 0; /* without a channel */
    int code = 0;
    for (unsigned c = 0; code == 0 && c < own + channels; c++) {
        point->channel = c < own ? NULL : &axes->channels.item[c - own];
        for (size_t p = 0; code == 0 && p < axes->places.count; p++) {
            point->place = axes->places.item[p];
            for (unsigned n = 0; code == 0 && n < axes->workers_count; n++) {
                point->workers = axes->workers[n];
                if (is_single(point->engine->head) && point->workers > 1) {
                    x->folded = x->folded || (axes->named & PRONY_NAMED_WORKERS) != 0;
                    point->workers = 1;
                }
                point->factor = x->run->method.weak && has_items(point) ? point->workers : 1;
                code = add_points(x, point, error);
            }
        }
    }
    return code;
}

static int expand_row(struct expansion *x, const struct prony_axes *axes, struct prony_error *error)
{
    struct point point = {.axes = axes};
    int code = 0;
    if (axes->params_count > AXES_MOST)
        return prony_fail(error, -ERANGE, "%u parameters in one row: at most %d", axes->params_count, AXES_MOST);
    for (unsigned w = 0; code == 0 && w < axes->workloads.count; w++) {
        point.workload = &axes->workloads.item[w];
        for (unsigned e = 0; code == 0 && e < axes->engines.count; e++) {
            point.engine = &axes->engines.item[e];
            code = expand_pair(x, &point, error);
        }
    }
    return code;
}

static int note(struct prony_run *run, const char *text, struct prony_error *error)
{
    return prony_list_add(&run->notes, text, strlen(text)) == 0 ? 0
                                                                : prony_fail(error, -ENOMEM, "no memory for a plan");
}

static int find_serial(struct expansion *x, struct prony_error *error)
{
    const struct prony_engine *serial = prony_find_engine("serial", NULL);
    if (serial == NULL || (serial->head.probe != NULL && serial->head.probe(&x->serial.absent) != 0))
        return note(x->run, "no serial engine: speed-up cannot be told", error);
    x->serial.head = &serial->head;
    return 0;
}

int prony_plan_expand(struct prony_run *run, const struct prony_row *rows, unsigned n, const struct prony_list *only,
                      const struct prony_list *skip, bool oversubscribe, struct prony_error *error)
{
    struct expansion x = {.run = run, .only = only, .skip = skip};
    struct prony_error unheard = {0, ""};
    struct prony_topology_facts facts;
    struct prony_axes *axes = calloc(n == 0 ? 1 : n, sizeof *axes);
    int code = 0;
    error = error == NULL ? &unheard : error;
    if (axes == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    prony_topology_facts(run->topology, &facts);
    run->method.topology = run->topology;
    for (unsigned i = 0; code == 0 && i < n; i++)
        code = prony_axes_read(&rows[i], &facts, &run->notes, &axes[i], error);
    for (unsigned i = 0; code == 0 && i < n; i++)
        code = prony_axes_pairs(&axes[i], run->topology, &run->notes, error);
    if (code == 0)
        code = prony_axes_check(axes, n, error);
    if (code == 0)
        code = find_serial(&x, error);
    for (unsigned i = 0; code == 0 && i < n; i++) {
        x.oversubscribe = oversubscribe || rows[i].oversubscribe;
        code = expand_row(&x, &axes[i], error);
    }
    if (code == 0 && x.folded)
        code = note(run, "engines null and serial have one worker, whatever was asked", error);
    if (code == 0 && run->count == 0)
        code = prony_fail(error, -EINVAL, "the plan is empty: --only and --skip leave nothing of it");
    tdestroy(x.ids, free);
    for (unsigned i = 0; i < x.placed_count; i++)
        prony_placement_free(&x.placed[i].placement);
    free(x.placed);
    for (unsigned i = 0; i < n; i++)
        prony_axes_free(&axes[i]);
    free(axes);
    return code;
}

int64_t prony_plan_least_ns(const struct prony_run *run)
{
    static const int64_t host_ns = 5000000, visit_ns = 1000000, sample_ns = 200000; /* about, and at the very least */
    const struct prony_method *method = &run->method;
    int64_t total = 0;
    for (unsigned i = 0; i < run->count; i++)
        if (run->cells[i].outcome == PRONY_PENDING)
            total += (int64_t)(method->launches == 0 ? 1 : method->launches) * host_ns +
                     (int64_t)method->visits * (visit_ns + method->samples * sample_ns);
    return total;
}
