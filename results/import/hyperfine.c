/* hyperfine's JSON (--export-json): each run of a command is a launch. */
#include "results/import/import.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static void exits_see(const json_t *result, struct prony_cell *cell)
{
    const json_t *exits = json_object_get(result, "exit_codes"), *exit;
    unsigned bad = 0;
    size_t i;
    json_array_foreach(exits, i, exit) bad += json_integer_value(exit) != 0 || !json_is_integer(exit);
    if (bad == 0)
        return;
    cell->outcome = PRONY_FAILED;
    (void)prony_fail(&cell->reason, -EIO, "%u of %zu runs ended with an exit code other than 0", bad,
                     json_array_size(exits));
}

static int result_take(struct prony_import *import, const json_t *result, size_t at)
{
    const struct prony_step steps[] = {{"results", 0}, {NULL, at}, {"times", 0}};
    const char *command = prony_json_string(result, "command");
    const json_t *times = json_object_get(result, "times"), *time;
    struct prony_cell *cell;
    size_t i;
    int code = 0;
    if (command[0] == '\0')
        return prony_import_wrong(import, steps, 2, "a result without a \"command\"");
    cell = prony_import_cell(import, command, 1, "run", 1, 1);
    if (cell == NULL)
        return -ENOMEM;
    if (times != NULL && !json_is_array(times))
        return prony_import_wrong(import, steps, 3, "\"times\" is not a list");
    json_array_foreach(times, i, time)
    {
        const struct prony_step place[] = {steps[0], steps[1], steps[2], {NULL, i}};
        double seconds = json_is_number(time) ? json_number_value(time) : NAN;
        if ((code = prony_import_visit(import, cell, (unsigned)i, seconds * 1e9, place, 4)) != 0)
            return code;
    }
    if (i == 0) {
        cell->outcome = PRONY_SKIPPED;
        (void)prony_fail(&cell->reason, -ENODATA, "the file holds no single runs of it");
    }
    exits_see(result, cell);
    if (prony_import_derived(import, "user_ns", prony_json_number(result, "user") * 1e9,
                             "user CPU time, in ns: the mean") != 0 ||
        prony_import_derived(import, "system_ns", prony_json_number(result, "system") * 1e9,
                             "system CPU time, in ns: the mean") != 0)
        return -ENOMEM;
    return 0;
}

int prony_import_hyperfine(struct prony_import *import)
{
    const json_t *results = json_object_get(import->root, "results"), *result;
    size_t i;
    int code = 0;
    if (!json_is_array(results))
        return prony_import_wrong(import, (const struct prony_step[]){{"results", 0}}, 1, "\"results\" is not a list");
    json_array_foreach(results, i, result) if ((code = result_take(import, result, i)) != 0) break;
    return code;
}
