/* Axes as typed, resolved on this machine. */
#include "measure/axes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MOST = 4096, VALUES_MOST = 4096 };

static const struct {
    const char *name, *patterns[8];
} tags[] = {
    {"@core", {"serial", "thread", "fork", "futures-thread", "futures-process", NULL}},
    {"@peers", {"openmp", "tbb", "libuv", "glib", "mpi", "python-*", NULL}},
};
enum { TAGS = sizeof tags / sizeof tags[0] };

/* Plug-ins */

static bool picked(const struct prony_picks *picks, const struct prony_head *head)
{
    for (unsigned i = 0; i < picks->count; i++)
        if (picks->item[i].head == head)
            return true;
    return false;
}

static int pick(struct prony_picks *picks, enum prony_kind kind, const struct prony_head *head, bool named,
                struct prony_error *error)
{
    struct prony_pick *item;
    if (picked(picks, head))
        return 0;
    if (picks->count == picks->room) {
        unsigned room = picks->room == 0 ? 8 : 2 * picks->room;
        struct prony_pick *grown = realloc(picks->item, room * sizeof *grown);
        if (grown == NULL)
            return prony_fail(error, -ENOMEM, "no memory for a plan");
        picks->item = grown;
        picks->room = room;
    }
    item = &picks->item[picks->count];
    memset(item, 0, sizeof *item);
    item->head = head;
    if (head->probe != NULL && head->probe(&item->absent) != 0) {
        int code = item->absent.code;
        (void)prony_fail_within(&item->absent, code == 0 ? -ENOTSUP : code, "%s %s", prony_kind_name(kind), head->name);
        if (named) {
            if (error != NULL)
                *error = item->absent;
            return -ENOTSUP;
        }
    }
    picks->count++;
    return 0;
}

static int note_absent(struct prony_list *notes, enum prony_kind kind, const struct prony_absent *absent)
{
    char text[256];
    int length = snprintf(text, sizeof text, "%s %s: %s", prony_kind_name(kind), absent->name, absent->reason);
    if (prony_list_has(notes, text))
        return 0;
    return prony_list_add(notes, text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
}

/* Everything whose name matches, in the registry's order. */
static int pick_matching(struct prony_picks *picks, enum prony_kind kind, const char *pattern, struct prony_list *notes,
                         struct prony_error *error)
{
    const struct prony_head *head;
    for (unsigned i = 0; (head = prony_registry_at(kind, i)) != NULL; i++) {
        int code = prony_text_matches(pattern, head->name) ? pick(picks, kind, head, false, error) : 0;
        if (code != 0)
            return code;
    }
    for (const struct prony_absent *absent = prony_builtin_absent; absent->name != NULL; absent++)
        if (absent->kind == kind && prony_text_matches(pattern, absent->name) && note_absent(notes, kind, absent) != 0)
            return prony_fail(error, -ENOMEM, "no memory for a plan");
    return 0;
}

static int pick_tag(struct prony_picks *picks, enum prony_kind kind, const char *tag, struct prony_list *notes,
                    struct prony_error *error)
{
    const char *names[TAGS + 1] = {NULL};
    char hint[120];
    for (unsigned i = 0; i < TAGS; i++)
        names[i] = tags[i].name;
    if (kind != PRONY_ENGINE)
        return prony_fail(error, -EINVAL, "'%s': tags name engines, not %ss", tag, prony_kind_name(kind));
    for (unsigned i = 0; i < TAGS; i++) {
        if (strcmp(tags[i].name, tag) != 0)
            continue;
        for (const char *const *pattern = tags[i].patterns; *pattern != NULL; pattern++) {
            int code = pick_matching(picks, kind, *pattern, notes, error);
            if (code != 0)
                return code;
        }
        return 0;
    }
    return prony_fail(error, -ENOENT, "there is no tag '%s'%s (the tags are @core and @peers)", tag,
                      prony_text_nearest(tag, names, hint, sizeof hint));
}

static int pick_list(struct prony_picks *picks, enum prony_kind kind, const struct prony_list *list, bool named,
                     struct prony_list *notes, struct prony_error *error)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->item[i];
        struct prony_error reason = {0, ""};
        const struct prony_head *head;
        int code;
        if (kind == PRONY_CHANNEL && strcmp(name, PRONY_NO_CHANNEL) == 0)
            continue;
        if (strcmp(name, "all") == 0) {
            code = pick_matching(picks, kind, "*", notes, error);
        } else if (name[0] == '@') {
            code = pick_tag(picks, kind, name, notes, error);
        } else if ((head = prony_registry_find(kind, name, &reason)) != NULL) {
            code = pick(picks, kind, head, named, error);
        } else if (reason.code == -ENOTSUP && !named) {
            code = pick_matching(picks, kind, name, notes, error);
        } else {
            if (error != NULL)
                *error = reason;
            code = reason.code;
        }
        if (code != 0)
            return code;
    }
    return 0;
}

static bool takes_channel(const struct prony_workload *workload)
{
    struct prony_params params;
    struct prony_need need;
    bool takes = false;
    if (workload->need == NULL || prony_params_init(&params, workload->head.options, NULL) != 0)
        return false;
    memset(&need, 0, sizeof need);
    if (workload->need(&params, 2, &need, NULL) == 0)
        takes = need.ends > 0;
    prony_params_free(&params);
    return takes;
}

/* Numbers of workers */

static int count_of(const char *text, const struct prony_topology_facts *facts, int64_t *value,
                    struct prony_error *error)
{
    if (strcmp(text, "max") == 0)
        *value = facts->default_workers;
    else if (strcmp(text, "cores") == 0)
        *value = facts->cores;
    else if (strcmp(text, "pus") == 0)
        *value = facts->pus;
    else if (prony_text_integer(text, value, NULL) != 0)
        return prony_fail(error, -EINVAL, "'%s' is not a number of workers: write 4, 1..8, 1..max*2, cores, pus or max",
                          text);
    if (*value < 1 || *value > WORKERS_MOST)
        return prony_fail(error, -ERANGE, "%s workers are out of range: 1 to %d", text, WORKERS_MOST);
    return 0;
}

/* "A..B" or "A..B*K" cut in three, the last empty without a star; false when it is no range. */
static bool split_range(const char *text, char parts[3][64])
{
    const char *dots = strstr(text, ".."), *star;
    if (dots == NULL || dots == text || dots[2] == '\0')
        return false;
    star = strchr(dots, '*');
    (void)snprintf(parts[0], 64, "%.*s", (int)(dots - text), text);
    (void)snprintf(parts[1], 64, "%.*s", star == NULL ? 63 : (int)(star - dots - 2), dots + 2);
    (void)snprintf(parts[2], 64, "%s", star == NULL ? "" : star);
    return true;
}

/* The next value of a range: one more, or `factor` times as much; the end itself always comes last. */
static int64_t range_next(int64_t value, int64_t factor, int64_t last)
{
    int64_t next = factor == 0 ? value + 1 : value > last / factor ? last : value * factor;
    return value < last && next > last ? last : next;
}

static int range_factor(const char *text, int64_t *factor, struct prony_error *error)
{
    *factor = 0;
    if (*text != '\0' && (prony_text_integer(text + 1, factor, NULL) != 0 || *factor < 2))
        return prony_fail(error, -EINVAL, "'%s' is not a step of a range: write A..B or A..B*2", text);
    return 0;
}

static int add_workers(struct prony_axes *axes, unsigned workers, struct prony_error *error)
{
    for (unsigned i = 0; i < axes->workers_count; i++)
        if (axes->workers[i] == workers)
            return 0;
    if (axes->workers_count == axes->workers_room) {
        unsigned room = axes->workers_room == 0 ? 16 : 2 * axes->workers_room;
        unsigned *grown = realloc(axes->workers, room * sizeof *grown);
        if (grown == NULL)
            return prony_fail(error, -ENOMEM, "no memory for a plan");
        axes->workers = grown;
        axes->workers_room = room;
    }
    axes->workers[axes->workers_count++] = workers;
    return 0;
}

static int read_workers(struct prony_axes *axes, const char *text, const struct prony_topology_facts *facts,
                        struct prony_error *error)
{
    char parts[3][64];
    int64_t first, last, factor = 0;
    int code;
    if (!split_range(text, parts)) {
        code = count_of(text, facts, &first, error);
        return code != 0 ? code : add_workers(axes, (unsigned)first, error);
    }
    if ((code = count_of(parts[0], facts, &first, error)) != 0 ||
        (code = count_of(parts[1], facts, &last, error)) != 0 || (code = range_factor(parts[2], &factor, error)) != 0)
        return code;
    if (first > last)
        return prony_fail(error, -ERANGE, "the range %s is empty here: %lld is more than %lld", text, (long long)first,
                          (long long)last);
    for (; first <= last && code == 0; first = range_next(first, factor, last) + (first == last))
        code = add_workers(axes, (unsigned)first, error);
    return code;
}

/* Parameters */

static int read_param(struct prony_param_axis *axis, const char *text, struct prony_error *error)
{
    const char *equals = strchr(text, '='), *dot;
    if (equals == NULL || equals == text || equals[1] == '\0')
        return prony_fail(error, -EINVAL, "'%s' is not a parameter: write KEY=VALUE or PLUGIN.KEY=VALUE,VALUE", text);
    dot = memchr(text, '.', (size_t)(equals - text));
    if (dot != NULL && (axis->scope = strndup(text, (size_t)(dot - text))) == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    dot = dot == NULL ? text : dot + 1;
    axis->key = strndup(dot, (size_t)(equals - dot));
    if (axis->key == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    return prony_list_split(&axis->values, equals + 1, ',', error);
}

int prony_values_expand(const char *key, struct prony_list *values, struct prony_error *error)
{
    struct prony_list expanded = {NULL, 0, 0};
    int code = 0;
    for (size_t i = 0; code == 0 && i < values->count; i++) {
        const char *text = values->item[i];
        char parts[3][64], number[32];
        int64_t value, last, factor = 0;
        if (!split_range(text, parts)) {
            if (prony_list_add(&expanded, text, strlen(text)) != 0)
                code = prony_fail(error, -ENOMEM, "no memory for a plan");
            continue;
        }
        if ((code = prony_text_integer(parts[0], &value, error)) != 0 ||
            (code = prony_text_integer(parts[1], &last, error)) != 0 ||
            (code = range_factor(parts[2], &factor, error)) != 0)
            break;
        if (value > last || value < (factor == 0 ? INT64_MIN : 1) || (factor == 0 && last - value >= VALUES_MOST))
            code = prony_fail(error, -ERANGE, "%s=%s: write A..B with A <= B and at most %d values", key, text,
                              VALUES_MOST);
        for (; code == 0 && value <= last; value = range_next(value, factor, last) + (value == last)) {
            int length = snprintf(number, sizeof number, "%lld", (long long)value);
            if (prony_list_add(&expanded, number, (size_t)length) != 0)
                code = prony_fail(error, -ENOMEM, "no memory for a plan");
        }
    }
    if (code != 0) {
        prony_list_free(&expanded);
        return code;
    }
    prony_list_free(values);
    *values = expanded;
    return 0;
}

static const char needs_python[] = "needs the engine python-processes or python-pool";

/* A pattern means no channel that none of the engines can have: one note says so, instead of a skipped cell each. */
static int leave_python(struct prony_axes *axes, const struct prony_list *typed, struct prony_list *notes,
                        struct prony_error *error)
{
    struct prony_picks *channels = &axes->channels;
    unsigned kept = 0;
    int code = 0;
    for (unsigned i = 0; i < axes->engines.count; i++)
        if ((axes->engines.item[i].head->caps & PRONY_CAP_PYTHON) != 0)
            return 0;
    for (unsigned i = 0; i < channels->count; i++) {
        const struct prony_head *head = channels->item[i].head;
        const struct prony_absent absent = {PRONY_CHANNEL, head->name, needs_python};
        if ((head->caps & PRONY_CHANNEL_PYTHON) == 0 || prony_list_has(typed, head->name))
            channels->item[kept++] = channels->item[i];
        else if (note_absent(notes, PRONY_CHANNEL, &absent) != 0)
            code = prony_fail(error, -ENOMEM, "no memory for a plan");
    }
    channels->count = kept;
    return code;
}

int prony_axes_read(const struct prony_row *row, const struct prony_topology_facts *facts, struct prony_list *notes,
                    struct prony_axes *axes, struct prony_error *error)
{
    static char *core[] = {(char *)"@core"}, *pipe[] = {(char *)"pipe"}, *compact[] = {(char *)"compact"},
                *one_and_max[] = {(char *)"1", (char *)"max"};
    static const struct prony_list engines = {core, 1, 0}, channels = {pipe, 1, 0}, places = {compact, 1, 0},
                                   workers = {one_and_max, 2, 0};
    const struct prony_list *wanted = row->workers.count > 0 ? &row->workers : &workers;
    const struct prony_list *where = row->places.count > 0 ? &row->places : &places;
    int code;
    axes->named = row->named;
    axes->carries = row->channels.count > 0;
    axes->own = prony_list_has(&row->channels, PRONY_NO_CHANNEL);
    if (row->workloads.count == 0)
        return prony_fail(error, -EINVAL, "a plan needs at least one workload");
    code = pick_list(&axes->engines, PRONY_ENGINE, row->engines.count > 0 ? &row->engines : &engines,
                     (row->named & PRONY_NAMED_ENGINES) != 0, notes, error);
    if (code == 0)
        code = pick_list(&axes->workloads, PRONY_WORKLOAD, &row->workloads, (row->named & PRONY_NAMED_WORKLOADS) != 0,
                         notes, error);
    for (unsigned i = 0; code == 0 && i < axes->workloads.count; i++)
        axes->workloads.item[i].takes_channel =
            takes_channel((const struct prony_workload *)(const void *)axes->workloads.item[i].head);
    if (code == 0)
        code = pick_list(&axes->channels, PRONY_CHANNEL, row->channels.count > 0 ? &row->channels : &channels,
                         (row->named & PRONY_NAMED_CHANNELS) != 0, notes, error);
    if (code == 0)
        code = leave_python(axes, &row->channels, notes, error);
    for (size_t i = 0; code == 0 && i < wanted->count; i++)
        code = read_workers(axes, wanted->item[i], facts, error);
    for (size_t i = 0; code == 0 && i < where->count; i++) {
        code = strcmp(where->item[i], "pairs") == 0 ? 0 : prony_topology_policy_check(where->item[i], error);
        if (code == 0 && !prony_list_has(&axes->places, where->item[i]) &&
            prony_list_add(&axes->places, where->item[i], strlen(where->item[i])) != 0)
            code = prony_fail(error, -ENOMEM, "no memory for a plan");
    }
    if (code != 0 || row->params.count == 0)
        return code;
    axes->params = calloc(row->params.count, sizeof *axes->params);
    if (axes->params == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    for (size_t i = 0; code == 0 && i < row->params.count; i++)
        code = read_param(&axes->params[axes->params_count++], row->params.item[i], error);
    return code;
}

void prony_axes_free(struct prony_axes *axes)
{
    free(axes->engines.item);
    free(axes->workloads.item);
    free(axes->channels.item);
    free(axes->workers);
    prony_list_free(&axes->places);
    for (unsigned i = 0; i < axes->params_count; i++) {
        free(axes->params[i].scope);
        free(axes->params[i].key);
        prony_list_free(&axes->params[i].values);
    }
    free(axes->params);
    memset(axes, 0, sizeof *axes);
}

static const char *const kind_names[] = {"engine", "workload", "channel"}; /* scopes: all of a kind */

/* Does the scope name the kind of this plug-in? */
static bool is_kind(const struct prony_axes *axes, const char *scope, const char *owner)
{
    const struct prony_picks *kinds[3] = {&axes->engines, &axes->workloads, &axes->channels};
    for (unsigned k = 0; k < 3; k++)
        for (unsigned i = 0; strcmp(scope, kind_names[k]) == 0 && i < kinds[k]->count; i++)
            if (strcmp(kinds[k]->item[i].head->name, owner) == 0)
                return true;
    return false;
}

int prony_axes_winner(const struct prony_axes *axes, const char *owner, const char *key)
{
    int general = -1, kind = -1;
    for (int i = (int)axes->params_count - 1; i >= 0; i--) {
        const struct prony_param_axis *axis = &axes->params[i];
        if (strcmp(axis->key, key) != 0)
            continue;
        if (axis->scope != NULL && strcmp(axis->scope, owner) == 0)
            return i;
        if (axis->scope == NULL && general < 0)
            general = i;
        if (axis->scope != NULL && kind < 0 && is_kind(axes, axis->scope, owner))
            kind = i;
    }
    return kind >= 0 ? kind : general;
}

/* All plug-ins of all rows. */
struct everyone {
    const struct prony_head **head;
    const char **kind; /* as a scope */
    unsigned count;
};

static bool in_scope(const struct prony_param_axis *axis, const struct everyone *all, unsigned i)
{
    return axis->scope == NULL || strcmp(axis->scope, all->head[i]->name) == 0 ||
           strcmp(axis->scope, all->kind[i]) == 0;
}

static int gather(const struct prony_axes *axes, unsigned n, struct everyone *all, struct prony_error *error)
{
    unsigned room = 0;
    for (unsigned i = 0; i < n; i++)
        room += axes[i].engines.count + axes[i].workloads.count + axes[i].channels.count;
    all->head = calloc(room + 1, sizeof *all->head);
    all->kind = calloc(room + 1, sizeof *all->kind);
    if (all->head == NULL || all->kind == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a plan");
    for (unsigned i = 0; i < n; i++) {
        const struct prony_picks *kinds[3] = {&axes[i].engines, &axes[i].workloads, &axes[i].channels};
        for (unsigned k = 0; k < 3; k++)
            for (unsigned j = 0; j < kinds[k]->count; j++) {
                all->kind[all->count] = kind_names[k];
                all->head[all->count++] = kinds[k]->item[j].head;
            }
    }
    return 0;
}

enum { NAMES_MOST = 255 };

static void add_name(const char **names, unsigned *n, const char *name)
{
    for (unsigned i = 0; i < *n; i++)
        if (strcmp(names[i], name) == 0)
            return;
    if (*n < NAMES_MOST)
        names[(*n)++] = name;
    names[*n] = NULL;
}

static int unknown_key(const struct prony_param_axis *axis, const struct everyone *all, struct prony_error *error)
{
    const char *names[NAMES_MOST + 1] = {NULL};
    char hint[120];
    unsigned n = 0;
    bool scope_known = axis->scope == NULL;
    for (unsigned i = 0; i < all->count; i++) {
        scope_known = scope_known || in_scope(axis, all, i);
        add_name(names, &n, all->head[i]->name);
    }
    if (!scope_known)
        return prony_fail(error, -ENOENT, "-p %s.%s: '%s' is no engine, workload or channel of this plan%s",
                          axis->scope, axis->key, axis->scope,
                          prony_text_nearest(axis->scope, names, hint, sizeof hint));
    n = 0;
    for (unsigned i = 0; i < all->count; i++) {
        const struct prony_option *option = all->head[i]->options;
        if (in_scope(axis, all, i))
            for (; option != NULL && option->name != NULL; option++)
                add_name(names, &n, option->name);
    }
    for (const struct prony_option *own = prony_cell_options; axis->scope == NULL && own->name != NULL; own++)
        add_name(names, &n, own->name);
    return prony_fail(error, -ENOENT, "%s has %s parameter '%s'%s (prony list workloads shows them)",
                      axis->scope == NULL ? "nothing in this plan" : axis->scope, axis->scope == NULL ? "a" : "no",
                      axis->key, prony_text_nearest(axis->key, names, hint, sizeof hint));
}

/* The i-th option that the axis can set, NULL after the last. */
static const struct prony_option *settable(const struct prony_param_axis *axis, const struct everyone *all, unsigned i)
{
    for (unsigned j = 0; j < all->count; j++) {
        const struct prony_option *option = prony_option_find(all->head[j]->options, axis->key);
        if (option != NULL && in_scope(axis, all, j) && i-- == 0)
            return option;
    }
    if (axis->scope == NULL && i == 0)
        return prony_option_find(prony_cell_options, axis->key);
    return NULL;
}

static int check_param(struct prony_param_axis *axis, const struct everyone *all, struct prony_error *error)
{
    const struct prony_option *option = settable(axis, all, 0);
    int code = 0;
    if (option == NULL)
        return unknown_key(axis, all, error);
    if (option->type == PRONY_INT || option->type == PRONY_BYTES)
        code = prony_values_expand(axis->key, &axis->values, error);
    for (size_t i = 0; code == 0 && i < axis->values.count; i++) {
        for (unsigned j = 0; (option = settable(axis, all, j)) != NULL; j++)
            if ((code = prony_option_check(option, axis->values.item[i], error)) == 0)
                break;
    }
    return code;
}

int prony_axes_check(struct prony_axes *axes, unsigned n, struct prony_error *error)
{
    struct everyone all = {NULL, NULL, 0};
    int code = gather(axes, n, &all, error);
    for (unsigned i = 0; code == 0 && i < n; i++)
        for (unsigned j = 0; code == 0 && j < axes[i].params_count; j++)
            code = check_param(&axes[i].params[j], &all, error);
    free(all.head);
    free(all.kind);
    return code;
}

void prony_row_free(struct prony_row *row)
{
    prony_list_free(&row->engines);
    prony_list_free(&row->workloads);
    prony_list_free(&row->channels);
    prony_list_free(&row->workers);
    prony_list_free(&row->places);
    prony_list_free(&row->params);
    row->named = 0;
    row->oversubscribe = false;
}

const char *prony_axes_lacking(uint64_t caps)
{
    static const struct {
        uint64_t cap;
        const char *words;
    } names[] = {{PRONY_CAP_MAP, "map a range"},
                 {PRONY_CAP_SUBMIT, "take separate tasks"},
                 {PRONY_CAP_GANG, "run a kernel in all workers at once"},
                 {PRONY_CAP_NEST, "run tasks that spawn tasks"},
                 {PRONY_CAP_CANCEL, "cancel tasks"},
                 {PRONY_CAP_KILL, "kill a running task"}};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((caps & names[i].cap) != 0)
            return names[i].words;
    return "do what this workload needs";
}

int prony_axes_reach(const struct prony_head *engine, const struct prony_head *channel, struct prony_error *reason)
{
    const bool shared = (engine->caps & PRONY_CAP_SHARED) != 0;
    if ((channel->caps & PRONY_CHANNEL_PYTHON) != 0 && (engine->caps & PRONY_CAP_PYTHON) == 0)
        return prony_fail(reason, -ENOTSUP, "channel %s is CPython's: %s", channel->name, needs_python);
    if ((channel->caps & (shared ? PRONY_CHANNEL_THREADS : PRONY_CHANNEL_PROCESSES)) == 0)
        return prony_fail(reason, -ENOTSUP, "channel %s does not reach between %s", channel->name,
                          shared ? "threads" : "processes");
    return 0;
}
