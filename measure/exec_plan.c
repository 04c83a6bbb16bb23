/* From commands and values to cells. */
#include "base/words.h"
#include "measure/axes.h"
#include "measure/exec.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MOST = 10000 };

static int out_of_memory(struct prony_error *error)
{
    return prony_fail(error, -ENOMEM, "no memory for the commands");
}

static int copy_words(struct prony_list *to, const struct prony_list *from)
{
    int code = 0;
    for (size_t i = 0; i < from->count && code == 0; i++)
        code = prony_list_add(to, from->item[i], strlen(from->item[i]));
    return code;
}

/* "sort", then "sort (2)", ... */
static char *unique_name(const struct prony_exec *exec, const char *wanted)
{
    char *name = strdup(wanted);
    for (unsigned i = 0, number = 1; name != NULL && i < exec->commands_count; i++) {
        if (strcmp(exec->commands[i].name, name) != 0)
            continue;
        free(name);
        if (asprintf(&name, "%s (%u)", wanted, ++number) < 0)
            return NULL;
        i = UINT32_MAX; /* from the first one again */
    }
    return name;
}

int prony_exec_add(struct prony_exec *exec, const char *name, const struct prony_list *words, struct prony_error *error)
{
    struct prony_exec_command *grown = realloc(exec->commands, (exec->commands_count + 1u) * sizeof *grown);
    struct prony_exec_command *command;
    if (grown == NULL)
        return out_of_memory(error);
    exec->commands = grown;
    command = &grown[exec->commands_count];
    *command = (struct prony_exec_command){.name = unique_name(exec, name)};
    exec->commands_count++;
    return command->name != NULL && copy_words(&command->words, words) == 0 ? 0 : out_of_memory(error);
}

/* "1..8" stands for numbers; "a..b" and "../x" for themselves. */
static int take_values(struct prony_exec_axis *axis, const char *text, struct prony_error *error)
{
    struct prony_list typed = {NULL, 0, 0};
    int code = prony_list_split(&typed, text, ',', error);
    for (size_t i = 0; i < typed.count && code == 0; i++) {
        struct prony_list some = {NULL, 0, 0};
        code = prony_list_add(&some, typed.item[i], strlen(typed.item[i]));
        if (code == 0 && prony_text_matches("[0-9]*..[0-9]*", typed.item[i]))
            code = prony_values_expand(axis->name, &some, error);
        if (code == 0)
            code = copy_words(&axis->values, &some);
        prony_list_free(&some);
    }
    prony_list_free(&typed);
    for (size_t i = 0; i < axis->values.count && code == 0; i++)
        for (size_t j = 0; j < i && code == 0; j++)
            if (strcmp(axis->values.item[i], axis->values.item[j]) == 0)
                code = prony_fail(error, -EEXIST, "%s has the value %s twice", axis->name, axis->values.item[i]);
    return code == -ENOMEM ? out_of_memory(error) : code;
}

int prony_exec_add_axis(struct prony_exec *exec, const char *text, struct prony_error *error)
{
    const char *equals = strchr(text, '=');
    struct prony_exec_axis *grown, *axis;
    if (equals == NULL || equals == text || equals[1] == '\0')
        return prony_fail(error, -EINVAL, "-p %s: it takes NAME=VALUE,VALUE or NAME=1..8", text);
    for (const char *at = text; at < equals; at++)
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-')
            return prony_fail(error, -EINVAL, "-p %s: a name has letters, digits, _ and -", text);
    grown = realloc(exec->axes, (exec->axes_count + 1u) * sizeof *grown);
    if (grown == NULL)
        return out_of_memory(error);
    exec->axes = grown;
    axis = &grown[exec->axes_count];
    *axis = (struct prony_exec_axis){.name = strndup(text, (size_t)(equals - text))};
    exec->axes_count++;
    if (axis->name == NULL)
        return out_of_memory(error);
    for (unsigned i = 0; i + 1 < exec->axes_count; i++)
        if (strcmp(exec->axes[i].name, axis->name) == 0)
            return prony_fail(error, -EEXIST, "-p %s: %s is given twice", text, axis->name);
    return take_values(axis, equals + 1, error);
}

/* Does {name} stand in one of the words? */
static bool uses(const struct prony_list *words, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < words->count; i++)
        for (const char *at = words->item[i]; (at = strchr(at, '{')) != NULL; at++)
            if (strncmp(at + 1, name, length) == 0 && at[1 + length] == '}')
                return true;
    return false;
}

/* Numbers in reports when all values are written as reports would write them. */
static bool all_numbers(const struct prony_list *values)
{
    for (size_t i = 0; i < values->count; i++) {
        char again[32];
        (void)snprintf(again, sizeof again, "%lld", strtoll(values->item[i], NULL, 10));
        if (strcmp(again, values->item[i]) != 0)
            return false;
    }
    return true;
}

/* The command's axes, and what stands for it in cells. */
static int command_ready(const struct prony_exec *exec, struct prony_exec_command *command, struct prony_error *error)
{
    command->engine = calloc(1, sizeof *command->engine);
    command->options = calloc(exec->axes_count + 1u, sizeof *command->options);
    command->axis = calloc(exec->axes_count + 1u, sizeof *command->axis);
    if (command->engine == NULL || command->options == NULL || command->axis == NULL)
        return out_of_memory(error);
    command->engine->head =
        (struct prony_head)PRONY_HEAD(struct prony_engine, .name = command->name, .summary = command->name);
    for (unsigned i = 0; i < exec->axes_count; i++) {
        const struct prony_exec_axis *axis = &exec->axes[i];
        bool numbers = all_numbers(&axis->values);
        if (!uses(&command->words, axis->name) && !uses(&exec->prepare, axis->name) &&
            !uses(&exec->cleanup, axis->name))
            continue;
        command->axis[command->axes] = axis;
        command->options[command->axes++] = (struct prony_option){
            .name = axis->name,
            .type = numbers ? PRONY_INT : PRONY_TEXT,
            .fallback = axis->values.item[0],
            .least = -9.3e18,
            .most = 9.3e18,
            .help = "put into the words of the command",
        };
    }
    return 0;
}

/* The words with the cell's values for {NAME}; other braces stay. */
static int substitute(struct prony_list *to, const struct prony_list *from, const struct prony_params *values)
{
    for (size_t i = 0; i < from->count; i++) {
        char *text = NULL;
        size_t bytes;
        FILE *out = open_memstream(&text, &bytes);
        int code;
        if (out == NULL)
            return -ENOMEM;
        for (const char *at = from->item[i]; *at != '\0';) {
            const struct prony_param *found = NULL;
            size_t length = 0;
            for (unsigned v = 0; *at == '{' && found == NULL && v < values->count; v++) {
                length = strlen(values->values[v].option->name);
                if (strncmp(at + 1, values->values[v].option->name, length) == 0 && at[1 + length] == '}')
                    found = &values->values[v];
            }
            if (found != NULL)
                (void)fputs(found->text, out);
            else
                (void)fputc(*at, out);
            at += found != NULL ? length + 2 : 1;
        }
        code = fclose(out) == 0 ? prony_list_add(to, text, bytes) : -ENOMEM;
        free(text);
        if (code != 0)
            return code;
    }
    return 0;
}

static const struct prony_workload launching = {
    .head = PRONY_HEAD(struct prony_workload, .name = "exec", .summary = "a program, from its start to its end"),
    .unit = "run",
    .shape = PRONY_LIFE,
};

/* What is launched, as a shell would have to be given it. */
static void about_set(struct prony_cell *cell, const struct prony_list *words)
{
    size_t used = 0;
    for (size_t i = 0; i < words->count && used + 1 < sizeof cell->about; i++) {
        char *quoted = prony_words_quote(words->item[i]);
        (void)snprintf(cell->about + used, sizeof cell->about - used, "%s%s", i > 0 ? " " : "",
                       quoted != NULL ? quoted : "");
        used = strlen(cell->about);
        free(quoted);
    }
}

/* "exec/sort {file}/file=a" */
static char *id_of(const struct prony_cell *cell)
{
    char *id = NULL;
    size_t bytes;
    FILE *out = open_memstream(&id, &bytes);
    if (out == NULL)
        return NULL;
    (void)fprintf(out, "%s/%s", cell->workload->head.name, cell->engine->head.name);
    for (unsigned i = 0; i < cell->own_params.count; i++)
        (void)fprintf(out, "%c%s=%s", i == 0 ? '/' : ',', cell->own_params.values[i].option->name,
                      cell->own_params.values[i].text);
    return fclose(out) == 0 ? id : NULL;
}

static int place(const struct prony_exec *exec, struct prony_placement *placement)
{
    size_t used = 0, room = sizeof placement->policy;
    placement->workers = 1;
    placement->binding = exec->npus == 1; /* on several PUs the program moves as it likes */
    placement->pus = malloc(sizeof *placement->pus);
    if (placement->pus == NULL)
        return -ENOMEM;
    placement->pus[0] = exec->npus == 1 ? exec->pus[0] : -1;
    (void)snprintf(placement->policy, room, "%s", exec->npus == 0 ? "none" : "list:");
    for (unsigned i = 0; i < exec->npus && used + 16 < room; i++) {
        used = strlen(placement->policy);
        (void)snprintf(placement->policy + used, room - used, "%s%d", i == 0 ? "" : "+", exec->pus[i]);
    }
    return 0;
}

/* Combination number `index` of a command's values; the last axis changes fastest. */
static int make_cell(struct prony_exec *exec, struct prony_run *run, const struct prony_exec_command *command,
                     size_t index, struct prony_error *error)
{
    struct prony_cell *cell = &run->cells[run->count];
    struct prony_exec_point *point = &exec->points[run->count];
    int code;
    *cell = (struct prony_cell){
        .engine = command->engine,
        .workload = &launching,
        .workers = 1,
        .need = {.items = 1},
        .repeats = 1,
        .caller_pu = -1,
        .caller_share = NAN,
        .counter_read_ns = NAN,
    };
    run->count++;
    exec->points_count++;
    code = prony_params_init(&cell->own_params, command->options, error);
    for (unsigned i = command->axes; i > 0 && code == 0; i--) {
        const struct prony_list *values = &command->axis[i - 1]->values;
        code =
            prony_params_set(&cell->own_params, command->axis[i - 1]->name, values->item[index % values->count], error);
        index /= values->count;
    }
    if (code != 0)
        return code;
    cell->id = id_of(cell);
    if (cell->id == NULL || place(exec, &cell->placement) != 0 ||
        substitute(&point->words, &command->words, &cell->own_params) != 0 ||
        substitute(&point->prepare, &exec->prepare, &cell->own_params) != 0 ||
        substitute(&point->cleanup, &exec->cleanup, &cell->own_params) != 0)
        return out_of_memory(error);
    about_set(cell, &point->words);
    return 0;
}

static size_t combinations(const struct prony_exec_command *command)
{
    size_t n = 1;
    for (unsigned i = 0; i < command->axes && n <= CELLS_MOST; i++)
        n *= command->axis[i]->values.count;
    return n;
}

int prony_exec_expand(struct prony_exec *exec, struct prony_run *run, struct prony_error *error)
{
    size_t cells = 0;
    int code = 0;
    for (unsigned i = 0; i < exec->axes_count; i++) {
        bool used = uses(&exec->prepare, exec->axes[i].name) || uses(&exec->cleanup, exec->axes[i].name);
        for (unsigned j = 0; j < exec->commands_count; j++)
            used = used || uses(&exec->commands[j].words, exec->axes[i].name);
        if (!used)
            return prony_fail(error, -EINVAL, "-p %s: no command has {%s}", exec->axes[i].name, exec->axes[i].name);
    }
    for (unsigned i = 0; i < exec->commands_count && code == 0; i++) {
        code = command_ready(exec, &exec->commands[i], error);
        cells += code == 0 ? combinations(&exec->commands[i]) : 0;
        if (cells > CELLS_MOST)
            return prony_fail(error, -ERANGE, "these values make more than %d cells", CELLS_MOST);
    }
    if (code != 0)
        return code;
    run->cells = calloc(cells + 1, sizeof *run->cells);
    exec->points = calloc(cells + 1, sizeof *exec->points);
    if (run->cells == NULL || exec->points == NULL)
        return out_of_memory(error);
    for (unsigned i = 0; i < exec->commands_count; i++)
        for (size_t j = 0, n = combinations(&exec->commands[i]); j < n && code == 0; j++)
            code = make_cell(exec, run, &exec->commands[i], j, error);
    return code;
}

void prony_exec_free(struct prony_exec *exec)
{
    for (unsigned i = 0; i < exec->commands_count; i++) {
        struct prony_exec_command *command = &exec->commands[i];
        free(command->name);
        free(command->engine);
        free(command->options);
        free(command->axis);
        prony_list_free(&command->words);
    }
    for (unsigned i = 0; i < exec->axes_count; i++) {
        free(exec->axes[i].name);
        prony_list_free(&exec->axes[i].values);
    }
    for (unsigned i = 0; i < exec->points_count; i++) {
        prony_list_free(&exec->points[i].words);
        prony_list_free(&exec->points[i].prepare);
        prony_list_free(&exec->points[i].cleanup);
    }
    free(exec->commands);
    free(exec->axes);
    free(exec->points);
    prony_list_free(&exec->prepare);
    prony_list_free(&exec->cleanup);
    memset(exec, 0, sizeof *exec);
}
