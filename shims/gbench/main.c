/* prony-gbench: the kernels, engines and channels of prony as Google Benchmarks, with all of that library's flags. */
#include "shims/gbench/entries.h"
#include "shims/gbench/gbench.h"

#include "measure/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_USAGE = 2, EXIT_CANNOT = 3 };

struct options {
    const char *counters;
    int64_t workers; /* 0: the machine's default */
    struct prony_list params;
};

static void print_help(void)
{
    (void)puts("prony-gbench " PRONY_VERSION ": prony's kernels, engines and channels under Google Benchmark\n"
               "\n"
               "  kernel/WORKLOAD/ENGINE      the main kernel over its whole range, by the caller alone or, where it\n"
               "                              takes several roles, by threads\n"
               "  submit/ENGINE/workers:N     1000 empty tasks submitted and waited for\n"
               "  map/ENGINE/workers:N        the squares of 1M numbers\n"
               "  channel/NAME/size:BYTES     one round trip between two workers\n"
               "\n"
               "Workers sit on PUs of their own; answers are checked after every run, and a wrong one is an error.\n"
               "Times are the library's: wall time, and the CPU time of this process (not of forked workers).\n"
               "\n"
               "          [--prony_counters=PROVIDER[:EVENT+...]]   user counters a repetition (default auto)\n"
               "          [--prony_workers=N]                       the larger number of workers\n"
               "          [--prony_param=PLUGIN.KEY=VALUE]          as prony run -p; may be repeated\n"
               "\n"
               "Examples:\n"
               "  prony-gbench --benchmark_filter=submit/ --benchmark_repetitions=9\n"
               "  prony-gbench --benchmark_filter=kernel/spin --prony_param=spin.grain=100us\n"
               "  prony-gbench --benchmark_out=FILE --benchmark_out_format=json && prony report FILE\n"
               "\n"
               "Exit codes: 0 done; 2 usage; 3 a benchmark failed, or none could be measured.\n");
}

/* The value of --NAME=VALUE. */
static const char *value_of(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

/* Takes prony's own flags out of argv. */
static int take_options(struct options *options, int *argc, char **argv, struct prony_error *error)
{
    int kept = 1, code = 0;
    for (int i = 1; i < *argc && code == 0; i++) {
        const char *value;
        if ((value = value_of(argv[i], "--prony_counters")) != NULL) {
            options->counters = value;
        } else if ((value = value_of(argv[i], "--prony_workers")) != NULL) {
            code = prony_text_integer(value, &options->workers, error);
            if (code == 0 && (options->workers < 1 || options->workers > 4096))
                code = prony_fail(error, -1, "--prony_workers=%s: 1 to 4096 workers", value);
        } else if ((value = value_of(argv[i], "--prony_param")) != NULL) {
            code = gbench_param_check(value, error);
            if (code == 0)
                code = prony_list_add(&options->params, value, strlen(value));
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return code;
}

/* Runtimes read their settings when they are loaded: sets those that the engines ask for, and starts over if they were
 * others. Returns when nothing had to change, or starting over failed. */
static void settle_environment(char **argv)
{
    const struct prony_head *head;
    bool changed = false;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_ENGINE, i)) != NULL; i++) {
        const struct prony_engine *engine = prony_find_engine(head->name, NULL);
        for (const char *const *env = engine->env; env != NULL && *env != NULL; env++) {
            char name[64];
            size_t length = strcspn(*env, "=");
            const char *now;
            (void)snprintf(name, sizeof name, "%.*s", (int)length, *env);
            now = getenv(name);
            if (now != NULL && strcmp(now, *env + length + 1) == 0)
                continue;
            changed |= setenv(name, *env + length + 1, 1) == 0;
        }
    }
    if (changed)
        (void)execv("/proc/self/exe", argv);
}

/* What a reader of the report must know, beside what the library says itself. */
static void describe(const struct prony_topology_facts *facts, const struct prony_method *method)
{
    char text[512];
    size_t used = 0;
    (void)prony_gbench_context("prony_version", PRONY_VERSION);
    (void)prony_gbench_context("prony_build_type", PRONY_BUILD_TYPE);
    (void)snprintf(text, sizeof text, "%u PUs, %u cores, %u packages, %u NUMA nodes; SMT %s; %s", facts->pus,
                   facts->cores, facts->packages, facts->nodes, facts->smt ? "on" : "off", facts->model);
    (void)prony_gbench_context("prony_topology", text);
    (void)prony_gbench_context("prony_placement", "compact, workers bound to PUs");
    text[0] = '\0';
    for (size_t i = 0; i < method->events.count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : "+", method->events.item[i]);
    (void)prony_gbench_context("prony_counters", method->events.count == 0 ? "none" : text);
    (void)prony_gbench_context("prony_provider", method->provider == NULL ? "none" : method->provider->head.name);
    if (method->provider_why[0] != '\0')
        (void)prony_gbench_context("prony_provider_why", method->provider_why);
}

static bool lists_only(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--benchmark_list_tests") == 0 || strcmp(argv[i], "--benchmark_list_tests=true") == 0)
            return true;
    return false;
}

static int run(const struct options *options, bool listing, struct prony_topology *topology, struct prony_error *error)
{
    struct prony_method method = {.provider = NULL, .topology = topology};
    const struct gbench_ground ground = {topology, &method, &options->params};
    struct prony_topology_facts facts;
    struct gbench_tally tally = {0, 0, 0};
    size_t matched = 0;
    int code = 0, result = EXIT_DONE;
    prony_topology_facts(topology, &facts);
    if (!listing && prony_counters_choose(options->counters, &method, error) != 0)
        result = EXIT_USAGE;
    if (result == EXIT_DONE) {
        if (!listing)
            describe(&facts, &method);
        code = gbench_entries_register(
            &ground, options->workers > 0 ? (unsigned)options->workers : facts.default_workers, error);
        if (code == 0)
            code = prony_gbench_run(NULL, &matched, error);
        tally = gbench_entries_end();
        if (code != 0 || tally.failed > 0 || (!listing && matched > 0 && tally.measured == 0))
            result = EXIT_CANNOT;
        else if (matched == 0)
            result = EXIT_USAGE;
    }
    prony_list_free(&method.events);
    return result;
}

int main(int argc, char **argv)
{
    struct options options = {"auto", 0, {NULL, 0, 0}};
    struct prony_topology *topology = NULL;
    struct prony_error error = {0, ""};
    const bool listing = lists_only(argc, argv);
    int result = EXIT_DONE;
    settle_environment(argv);
    prony_gbench_initialize(&argc, argv, print_help);
    if (take_options(&options, &argc, argv, &error) != 0 || prony_gbench_unrecognized(argc, argv))
        result = EXIT_USAGE;
    else if (prony_topology_load(NULL, &topology, &error) != 0)
        result = EXIT_CANNOT;
    else
        result = run(&options, listing, topology, &error);
    if (error.code != 0)
        (void)fprintf(stderr, "prony-gbench: %s\n", error.text);
    prony_gbench_shutdown();
    prony_topology_free(topology);
    prony_list_free(&options.params);
    return result;
}
