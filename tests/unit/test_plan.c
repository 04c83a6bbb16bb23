/* Expansion of rows into cells, in a small world of its own: these plug-ins take the place of the built-in ones. */
#include "measure/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A world with known plug-ins */

static int missing(struct prony_error *error)
{
    return prony_fail(error, -ENOTSUP, "no runtime here: install libgomp");
}

static const char *const waits[] = {"block", "spin", NULL};
static const struct prony_option engine_options[] = {
    {"wait", PRONY_CHOICE, "block", 0, 0, waits, "how idle workers wait"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};
static const struct prony_option map_options[] = {{"items", PRONY_INT, "1000", 1, 1e6, NULL, "how many"},
                                                  {"size", PRONY_BYTES, "64", 1, 4096, NULL, "of an item"},
                                                  {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL}};
static const struct prony_option pair_options[] = {{"size", PRONY_BYTES, "64", 1, 1e6, NULL, "of a message"},
                                                   {"path", PRONY_TEXT, "", 0, 0, NULL, "a file"},
                                                   {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL}};

enum { USUAL = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST };
#define ENGINE(id, text, flags, ...)                                                                                   \
    static const struct prony_engine id = {                                                                            \
        .head = PRONY_HEAD(struct prony_engine, .name = text, .summary = "an engine", .caps = (flags), __VA_ARGS__)}
ENGINE(null_engine, "null", USUAL | PRONY_CAP_DRY, .options = NULL);
ENGINE(serial_engine, "serial", PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_NEST | PRONY_CAP_SHARED, .options = NULL);
ENGINE(thread_engine, "thread", USUAL | PRONY_CAP_SHARED, .options = engine_options);
ENGINE(fork_engine, "fork", PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG, .options = NULL);
ENGINE(openmp_engine, "openmp", USUAL | PRONY_CAP_SHARED, .probe = missing);

static int map_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                    struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    return 0;
}

static int fib_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                    struct prony_error *error)
{
    (void)params, (void)workers, (void)error;
    need->engine_caps = PRONY_CAP_NEST;
    return 0;
}

static int pair_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    (void)workers;
    if (prony_param_text(params, "path")[0] != '\0')
        return prony_fail(error, -EINVAL, "no file %s", prony_param_text(params, "path"));
    need->roles = 2;
    need->ends = 2;
    return 0;
}

#define WORKLOAD(id, text, its_shape, its_need, its_options)                                                           \
    static const struct prony_workload id = {                                                                          \
        .head = PRONY_HEAD(struct prony_workload, .name = text, .summary = "a workload", .options = its_options),      \
        .unit = "item",                                                                                                \
        .shape = its_shape,                                                                                            \
        .need = its_need}
WORKLOAD(empty_workload, "empty", PRONY_TASKS, NULL, NULL);
WORKLOAD(primes_workload, "primes", PRONY_MAP, map_need, map_options);
WORKLOAD(fib_workload, "fib", PRONY_TASKS, fib_need, NULL);
WORKLOAD(pair_workload, "pingpong", PRONY_GANG, pair_need, pair_options);
WORKLOAD(start_workload, "start", PRONY_LIFE, NULL, NULL);

static const struct prony_channel pipe_channel = {
    .head = PRONY_HEAD(struct prony_channel, .name = "pipe", .summary = "a channel",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES)};
static const struct prony_channel here_channel = {
    .head = PRONY_HEAD(struct prony_channel, .name = "here", .summary = "a channel", .caps = PRONY_CHANNEL_THREADS),
};

static const struct prony_head *const engines[] = {&null_engine.head, &serial_engine.head, &thread_engine.head,
                                                   &fork_engine.head, &openmp_engine.head, NULL};
static const struct prony_head *const workloads[] = {&empty_workload.head, &primes_workload.head, &fib_workload.head,
                                                     &pair_workload.head,  &start_workload.head,  NULL};
static const struct prony_head *const channels[] = {&pipe_channel.head, &here_channel.head, NULL};
static const struct prony_head *const providers[] = {NULL};
const struct prony_head *const *const prony_builtin[PRONY_KINDS] = {engines, workloads, channels, providers};
const struct prony_absent prony_builtin_absent[] = {{PRONY_ENGINE, "tbb", "left out of this build: install libtbb-dev"},
                                                    {PRONY_KINDS, NULL, NULL}};

/* Eight PUs in four cores. */
static struct prony_topology *topology;

static int load_topology(void **state)
{
    (void)state;
    return prony_topology_load("synthetic:pack:2 core:2 pu:2", &topology, NULL);
}

static int free_topology(void **state)
{
    (void)state;
    prony_topology_free(topology);
    return 0;
}

/* A plan from texts; lists by comma, parameters by blank. NULL: an empty axis. */
struct ask {
    const char *engines, *workloads, *channels, *workers, *places, *params, *only, *skip;
    unsigned named;
    bool oversubscribe;
};

static void split(struct prony_list *list, const char *text, char separator)
{
    if (text != NULL)
        assert_int_equal(prony_list_split(list, text, separator, NULL), 0);
}

static int plan(const struct ask *ask, struct prony_run *run, struct prony_error *error)
{
    struct prony_row row;
    struct prony_list only = {NULL, 0, 0}, skip = {NULL, 0, 0};
    int code;
    memset(run, 0, sizeof *run);
    memset(&row, 0, sizeof row);
    memset(error, 0, sizeof *error);
    run->topology = topology;
    split(&row.engines, ask->engines, ',');
    split(&row.workloads, ask->workloads, ',');
    split(&row.channels, ask->channels, ',');
    split(&row.workers, ask->workers, ',');
    split(&row.places, ask->places, ',');
    split(&row.params, ask->params, ' ');
    split(&only, ask->only, ',');
    split(&skip, ask->skip, ',');
    row.named = ask->named;
    code = prony_plan_expand(run, &row, 1, &only, &skip, ask->oversubscribe, error);
    prony_list_free(&only);
    prony_list_free(&skip);
    prony_row_free(&row);
    return code;
}

static const struct prony_cell *cell(const struct prony_run *run, const char *id)
{
    for (unsigned i = 0; i < run->count; i++)
        if (strcmp(run->cells[i].id, id) == 0)
            return &run->cells[i];
    for (unsigned i = 0; i < run->count; i++)
        print_message("have %s\n", run->cells[i].id);
    fail_msg("no cell %s", id);
    return NULL;
}

/* Expects a refusal whose reason holds the words. */
static void refused(const struct ask *ask, int code, const char *words)
{
    struct prony_run run;
    struct prony_error error;
    assert_int_equal(plan(ask, &run, &error), code);
    assert_int_equal(error.code, code);
    if (strstr(error.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", error.text, words);
    prony_run_free(&run);
}

/* The numbers of workers that tokens give to engine fork, as text. */
static void workers_are(const char *tokens, const char *expected)
{
    struct ask ask = {.engines = "fork", .workloads = "start", .workers = tokens, .oversubscribe = true};
    struct prony_run run;
    struct prony_error error;
    char got[256] = "";
    assert_int_equal(plan(&ask, &run, &error), 0);
    for (unsigned i = 0; i < run.count; i++)
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%u", i == 0 ? "" : " ", run.cells[i].workers);
    assert_string_equal(got, expected);
    prony_run_free(&run);
}

static void tokens_become_numbers(void **state)
{
    (void)state;
    workers_are("1", "1");
    workers_are("1..4", "1 2 3 4");
    workers_are("1..max*2", "1 2 4 8");
    workers_are("1..6*2", "1 2 4 6");
    workers_are("1..7*3", "1 3 7");
    workers_are("cores,pus,max", "4 8");
    workers_are("8,1,1,max", "8 1");
    workers_are("1..cores", "1 2 3 4");
    workers_are("5..5", "5");
}

static void wrong_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"many", "..4", "4..", "1..4*1", "1..4*", "1.5"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(&(struct ask){.workloads = "empty", .workers = bad[i]}, -EINVAL, "write");
    refused(&(struct ask){.workloads = "empty", .workers = "0"}, -ERANGE, "1 to 4096");
    refused(&(struct ask){.workloads = "empty", .workers = "5000"}, -ERANGE, "1 to 4096");
    refused(&(struct ask){.workloads = "empty", .workers = "4..2"}, -ERANGE, "empty");
}

static void the_product_is_whole_and_ids_are_its_names(void **state)
{
    (void)state;
    struct ask ask = {.engines = "thread,fork",
                      .workloads = "primes,start",
                      .workers = "1,2",
                      .places = "compact,spread",
                      .params = "items=10,20"};
    struct prony_run run;
    struct prony_error error;
    const struct prony_cell *one;
    assert_int_equal(plan(&ask, &run, &error), 0);
    /* primes: 2 engines x 2 workers x 2 places x 2 items and serial 2 x 2; start: 2 x 2 x 2 */
    assert_int_equal(run.count, 16 + 4 + 8);
    one = cell(&run, "primes/thread/n2/spread/items=20");
    assert_int_equal(one->outcome, PRONY_PENDING);
    assert_int_equal(one->need.items, 20);
    assert_int_equal(prony_param_int(&one->workload_params, "items"), 20);
    assert_int_equal(one->placement.workers, 2);
    assert_int_equal(one->placement.pus[0], 0);
    assert_int_equal(one->placement.pus[1], 4);
    assert_false(one->baseline);
    assert_true(cell(&run, "primes/serial/n1/compact/items=10")->baseline);
    (void)cell(&run, "start/fork/n1/compact");
    prony_run_free(&run);
}

static void an_asked_for_serial_cell_is_no_baseline(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    assert_int_equal(
        plan(&(struct ask){.engines = "thread,serial", .workloads = "primes", .workers = "1"}, &run, &error), 0);
    assert_int_equal(run.count, 2);
    assert_false(cell(&run, "primes/serial/n1/compact")->baseline);
    prony_run_free(&run);
    assert_int_equal(plan(&(struct ask){.engines = "thread", .workloads = "primes", .workers = "1"}, &run, &error), 0);
    assert_int_equal(run.count, 2);
    assert_true(cell(&run, "primes/serial/n1/compact")->baseline);
    prony_run_free(&run);
}

static void chunk_belongs_to_maps_alone(void **state)
{
    (void)state;
    struct ask ask = {.engines = "thread", .workloads = "primes,fib", .workers = "2", .params = "chunk=1,8"};
    struct prony_run run;
    struct prony_error error;
    assert_int_equal(plan(&ask, &run, &error), 0);
    assert_int_equal(prony_param_int(&cell(&run, "primes/thread/n2/compact/chunk=8")->own_params, "chunk"), 8);
    (void)cell(&run, "fib/thread/n2/compact");
    (void)cell(&run, "primes/serial/n1/compact");
    assert_int_equal(run.count, 5); /* and fib's baseline */
    prony_run_free(&run);
}

static void parameters_reach_whom_they_name(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    struct ask ask = {.engines = "thread",
                      .workloads = "primes,pingpong",
                      .workers = "2",
                      .params = "size=128 pingpong.size=512,1Ki wait=spin"};
    assert_int_equal(plan(&ask, &run, &error), 0);
    assert_int_equal(
        prony_param_int(&cell(&run, "primes/thread/n2/compact/size=128,wait=spin")->workload_params, "size"), 128);
    (void)cell(&run, "pingpong/thread/pipe/n2/compact/size=512,wait=spin");
    assert_int_equal(
        prony_param_int(&cell(&run, "pingpong/thread/pipe/n2/compact/size=1Ki,wait=spin")->workload_params, "size"),
        1024);
    assert_int_equal(run.count, 4);
    prony_run_free(&run);
    assert_int_equal(
        plan(&(struct ask){.engines = "serial", .workloads = "primes", .params = "items=1..100*10"}, &run, &error), 0);
    assert_int_equal(run.count, 3);
    (void)cell(&run, "primes/serial/n1/compact/items=100");
    prony_run_free(&run);
    assert_int_equal(
        plan(&(struct ask){.engines = "serial", .workloads = "primes", .params = "items=1 items=7"}, &run, &error), 0);
    assert_int_equal(run.count, 1);
    (void)cell(&run, "primes/serial/n1/compact/items=7");
    prony_run_free(&run);
}

static void wrong_parameters_are_refused(void **state)
{
    (void)state;
    refused(&(struct ask){.workloads = "primes", .params = "itmes=3"}, -ENOENT, "did you mean items?");
    refused(&(struct ask){.workloads = "primes", .params = "prime.items=3"}, -ENOENT, "did you mean primes");
    refused(&(struct ask){.workloads = "primes", .params = "primes.itms=3"}, -ENOENT, "did you mean items?");
    refused(&(struct ask){.workloads = "primes", .params = "pingpong.size=3"}, -ENOENT, "of this plan");
    refused(&(struct ask){.workloads = "primes", .params = "items=0"}, -ERANGE, "1 to 1000000");
    refused(&(struct ask){.workloads = "primes", .params = "items=many"}, -EINVAL, "not a number");
    refused(&(struct ask){.workloads = "primes", .engines = "thread", .params = "wait=blok"}, -EINVAL,
            "did you mean block?");
    refused(&(struct ask){.workloads = "primes", .params = "items"}, -EINVAL, "KEY=VALUE");
    refused(&(struct ask){.workloads = "primes", .params = "items=9..3"}, -ERANGE, "A <= B");
}

static void a_value_only_others_take_is_a_skip(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    struct ask ask = {.engines = "thread", .workloads = "primes,pingpong", .workers = "2", .params = "size=64,100k"};
    const struct prony_cell *large;
    assert_int_equal(plan(&ask, &run, &error), 0);
    large = cell(&run, "primes/thread/n2/compact/size=100k");
    assert_int_equal(large->outcome, PRONY_SKIPPED);
    assert_non_null(strstr(large->reason.text, "4.00 KiB"));
    assert_int_equal(cell(&run, "pingpong/thread/pipe/n2/compact/size=100k")->outcome, PRONY_PENDING);
    assert_int_equal(cell(&run, "primes/thread/n2/compact/size=64")->outcome, PRONY_PENDING);
    prony_run_free(&run);
}

static void skipped(const struct prony_run *run, const char *id, const char *words)
{
    const struct prony_cell *one = cell(run, id);
    assert_int_equal(one->outcome, PRONY_SKIPPED);
    if (strstr(one->reason.text, words) == NULL)
        fail_msg("%s: '%s' lacks '%s'", id, one->reason.text, words);
}

static void what_does_not_fit_is_skipped_with_its_reason(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    struct ask ask = {
        .engines = "null,serial,thread,fork", .workloads = "empty,fib,pingpong", .channels = "all", .workers = "1,2"};
    assert_int_equal(plan(&ask, &run, &error), 0);
    skipped(&run, "pingpong/thread/pipe/n1/compact", "needs 2 workers");
    skipped(&run, "pingpong/fork/here/n2/compact", "between processes");
    assert_int_equal(cell(&run, "pingpong/thread/here/n2/compact")->outcome, PRONY_PENDING);
    assert_int_equal(cell(&run, "pingpong/thread/pipe/n2/compact")->outcome, PRONY_PENDING);
    skipped(&run, "pingpong/serial/pipe/n1/compact", "all workers at once");
    skipped(&run, "fib/fork/n2/compact", "spawn tasks");
    skipped(&run, "fib/null/n1/compact", "only the workload empty");
    assert_int_equal(cell(&run, "empty/null/n1/compact")->outcome, PRONY_PENDING);
    assert_int_equal(cell(&run, "empty/serial/n1/compact")->outcome, PRONY_PENDING);
    for (unsigned i = 0; i < run.count; i++)
        if (run.cells[i].engine == &null_engine || run.cells[i].engine == &serial_engine)
            assert_int_equal(run.cells[i].workers, 1);
    prony_run_free(&run);
}

static void unavailable_is_an_error_when_named_and_else_a_skip(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    refused(&(struct ask){.engines = "openmp", .workloads = "primes", .named = PRONY_NAMED_ENGINES}, -ENOTSUP,
            "install libgomp");
    refused(&(struct ask){.engines = "tbb", .workloads = "primes", .named = PRONY_NAMED_ENGINES}, -ENOTSUP,
            "install libtbb-dev");
    assert_int_equal(plan(&(struct ask){.engines = "openmp,tbb", .workloads = "primes", .workers = "1"}, &run, &error),
                     0);
    assert_int_equal(run.count, 1);
    skipped(&run, "primes/openmp/n1/compact", "install libgomp");
    assert_int_equal(run.notes.count, 1);
    assert_non_null(strstr(run.notes.item[0], "engine tbb: left out"));
    prony_run_free(&run);
    assert_int_equal(
        plan(&(struct ask){.engines = "all", .workloads = "primes", .workers = "1", .named = PRONY_NAMED_ENGINES}, &run,
             &error),
        0);
    skipped(&run, "primes/openmp/n1/compact", "install libgomp");
    prony_run_free(&run);
}

static void tags_pick_what_exists(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    assert_int_equal(plan(&(struct ask){.engines = "@core,@peers", .workloads = "start", .workers = "1"}, &run, &error),
                     0);
    assert_int_equal(run.count, 4); /* serial thread fork openmp, and a note for tbb */
    assert_int_equal(run.notes.count, 1);
    prony_run_free(&run);
    refused(&(struct ask){.engines = "@pers", .workloads = "start"}, -ENOENT, "@peers");
    refused(&(struct ask){.engines = "thread", .workloads = "@core"}, -EINVAL, "tags name engines");
}

static void wrong_names_offer_the_nearest(void **state)
{
    (void)state;
    refused(&(struct ask){.engines = "tread", .workloads = "primes"}, -ENOENT, "did you mean thread?");
    refused(&(struct ask){.workloads = "prime"}, -ENOENT, "did you mean primes?");
    refused(&(struct ask){.workloads = "pingpong", .channels = "pip"}, -ENOENT, "did you mean pipe?");
    refused(&(struct ask){.workloads = "primes", .places = "compat"}, -EINVAL, "compact");
    refused(&(struct ask){.engines = "thread"}, -EINVAL, "workload");
}

static void placements_are_kept_or_refused(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    struct ask ask = {.engines = "fork", .workloads = "start", .workers = "9"};
    assert_int_equal(plan(&ask, &run, &error), 0);
    assert_int_equal(run.cells[0].outcome, PRONY_SKIPPED);
    prony_run_free(&run);
    ask.named = PRONY_NAMED_WORKERS;
    refused(&ask, -ERANGE, "8");
    ask.oversubscribe = true;
    assert_int_equal(plan(&ask, &run, &error), 0);
    assert_int_equal(run.cells[0].outcome, PRONY_PENDING);
    assert_true(run.cells[0].placement.oversubscribed);
    prony_run_free(&run);
}

static void a_missing_file_is_an_error_when_it_was_typed(void **state)
{
    (void)state;
    refused(&(struct ask){.engines = "thread", .workloads = "pingpong", .workers = "2", .params = "path=/none"},
            -EINVAL, "no file /none");
}

static void globs_choose_and_baselines_stay(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    struct ask ask = {
        .engines = "thread,fork", .workloads = "primes,start", .workers = "1,2", .only = "primes/thread/*"};
    assert_int_equal(plan(&ask, &run, &error), 0);
    assert_int_equal(run.count, 3);
    assert_true(cell(&run, "primes/serial/n1/compact")->baseline);
    prony_run_free(&run);
    ask.skip = "*/serial/*,*/n1/*";
    assert_int_equal(plan(&ask, &run, &error), 0);
    assert_int_equal(run.count, 1);
    prony_run_free(&run);
    ask.only = "nothing*";
    refused(&ask, -EINVAL, "--only");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Ten thousand cells, each once. */
static void a_large_plan_has_unique_ids(void **state)
{
    (void)state;
    struct prony_run run;
    struct prony_error error;
    struct ask ask = {.engines = "thread,fork",
                      .workloads = "primes",
                      .workers = "1..8",
                      .places = "compact,spread",
                      .params = "items=1..313 chunk=1,1"};
    char **ids;
    assert_int_equal(plan(&ask, &run, &error), 0);
    assert_int_equal(run.count, 2 * 8 * 2 * 313 + 2 * 313);
    ids = calloc(run.count, sizeof *ids);
    assert_non_null(ids);
    for (unsigned i = 0; i < run.count; i++)
        ids[i] = run.cells[i].id;
    qsort(ids, run.count, sizeof *ids, by_text);
    for (unsigned i = 1; i < run.count; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
    free(ids);
    prony_run_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_become_numbers),
        cmocka_unit_test(wrong_numbers_are_refused),
        cmocka_unit_test(the_product_is_whole_and_ids_are_its_names),
        cmocka_unit_test(an_asked_for_serial_cell_is_no_baseline),
        cmocka_unit_test(chunk_belongs_to_maps_alone),
        cmocka_unit_test(parameters_reach_whom_they_name),
        cmocka_unit_test(wrong_parameters_are_refused),
        cmocka_unit_test(a_value_only_others_take_is_a_skip),
        cmocka_unit_test(what_does_not_fit_is_skipped_with_its_reason),
        cmocka_unit_test(unavailable_is_an_error_when_named_and_else_a_skip),
        cmocka_unit_test(tags_pick_what_exists),
        cmocka_unit_test(wrong_names_offer_the_nearest),
        cmocka_unit_test(placements_are_kept_or_refused),
        cmocka_unit_test(a_missing_file_is_an_error_when_it_was_typed),
        cmocka_unit_test(globs_choose_and_baselines_stay),
        cmocka_unit_test(a_large_plan_has_unique_ids),
    };
    return cmocka_run_group_tests(tests, load_topology, free_topology);
}
