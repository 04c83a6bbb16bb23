/* prony exec: external programs as workloads. */
#include "measure/exec.h"
#include "base/log.h"
#include "base/words.h"
#include "results/doctor/doctor.h"
#include "results/exec.h"
#include "runner/command.h"
#include "runner/folder.h"
#include "runner/shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request {
    struct prony_list commands, params, outs;
    const char *prepare, *cleanup, *pin, *folder, *name, *counters;
    double precision;
    unsigned visits, samples, warmup;
    int64_t budget_ns, timeout_ns, seed;
    bool shell, redact, json, quiet, verbose;
};

#define AT(member) offsetof(struct request, member)

static const struct runner_option options[] = {
    {0, "command", "CMD", TAKE_EACH, AT(commands), 0, 0, "a command in one argument; again for more of them",
     "What is launched (without a shell)"},
    {'p', "param", "NAME=V,V", TAKE_EACH, AT(params), 0, 0,
     "values, or a range 1..8 or 1..1024*2, each put for {NAME} into the commands that have it", NULL},
    {0, "prepare", "CMD", TAKE_TEXT, AT(prepare), 0, 0, "runs before every launch, off the clock", NULL},
    {0, "cleanup", "CMD", TAKE_TEXT, AT(cleanup), 0, 0, "runs after every launch, also after one that failed", NULL},
    {0, "shell", NULL, TAKE_FLAG, AT(shell), 0, 0,
     "runs every CMD by /bin/sh -c; the shell is then part of what is measured", NULL},
    {0, "pin", "PUS", TAKE_TEXT, AT(pin), 0, 0, "PUs the commands may use: 1, 0-2+4 or none (default one PU)",
     "How it is measured"},
    {0, "visits", "N", TAKE_COUNT, AT(visits), 1, 100000,
     "visits to every command; 6 or more for a 95% interval (default 10); the least when --precision is given", NULL},
    {0, "samples", "N", TAKE_COUNT, AT(samples), 1, 100000, "launches a visit (default 3)", NULL},
    {0, "precision", "PCT", TAKE_PERCENT, AT(precision), 0, 1000,
     "more visits until half the 98% interval is below PCT of the median or the budget is spent (default 0: off)",
     NULL},
    {0, "budget", "TIME", TAKE_DURATION, AT(budget_ns), 0, 0,
     "ends after this time (default 0: none; 60s with --precision)", NULL},
    {0, "timeout", "TIME", TAKE_DURATION, AT(timeout_ns), 0, 0, "kills a launch that takes longer (default 60s)", NULL},
    {0, "warmup", "N", TAKE_COUNT, AT(warmup), 0, 1000, "launches of each command beforehand (default 1)", NULL},
    {0, "seed", "N", TAKE_NUMBER, AT(seed), 0, 9e18, "of the order of visits (default 1)", NULL},
    {0, "counters", "PROVIDER:EVENTS", TAKE_TEXT, AT(counters), 0, 0,
     "also counts the program and all that it starts, from outside: perf, perf:instructions+cycles (default none)",
     NULL},
    {'o', "output", "DIR", TAKE_TEXT, AT(folder), 0, 0, "a new or empty folder for a whole report", "What comes out"},
    {0, "out", "FMT[:PATH]", TAKE_EACH, AT(outs), 0, 0,
     "html, md, json, csv, junit, gab, gab-bigger, bmf, gbench or openmetrics; into PATH, or on stdout", NULL},
    {0, "name", "NAME", TAKE_TEXT, AT(name), 0, 0, "a name for the run, kept in the report", NULL},
    {0, "redact", NULL, TAKE_FLAG, AT(redact), 0, 0, "leaves host names out of the report", NULL},
    {0, "json", NULL, TAKE_FLAG, AT(json), 0, 0, "the report as JSON on stdout instead of a table", NULL},
    {'q', "quiet", NULL, TAKE_FLAG, AT(quiet), 0, 0, "errors only", NULL},
    {'v', "verbose", NULL, TAKE_FLAG, AT(verbose), 0, 0, "says more on stderr", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {
    "prony exec -- gzip -kf data",
    "how long it takes, how sure that is, and what it uses",
    "prony exec --command 'gzip -{level} -kf data' --command 'xz -{level} -kf data' -p level=1..9",
    "two programs at nine levels each: which are fastest, and which cannot be told apart",
    "prony exec --prepare 'rm -rf build' --out md -- make -j4",
    "something before every launch, off the clock; Markdown for a review",
    "prony exec --shell --command 'sort data | uniq -c >/dev/null' -o before",
    "a pipeline, where you ask for a shell; a report that prony compare takes",
    "prony exec --counters perf:instructions+page-faults -- make -j4",
    "what the hardware and the kernel counted in it and in all its children",
    NULL};

/* The operands as one command, as it was typed. */
static int join(const struct prony_list *words, char **text)
{
    size_t bytes;
    FILE *out = open_memstream(text, &bytes);
    if (out == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < words->count; i++) {
        char *quoted = prony_words_quote(words->item[i]);
        (void)fprintf(out, "%s%s", i > 0 ? " " : "", quoted != NULL ? quoted : "");
        free(quoted);
    }
    return fclose(out) == 0 ? 0 : -ENOMEM;
}

/* A command's text as words: for a shell, or cut by its rules without one. NULL leaves none. */
static int set_words(const struct request *request, const char *text, const char *option, struct prony_list *words,
                     struct prony_error *error)
{
    const char *const shell[] = {"/bin/sh", "-c", text};
    if (!request->shell || text == NULL)
        return runner_words(text, option, words, error);
    for (unsigned i = 0; i < 3; i++)
        if (prony_list_add(words, shell[i], strlen(shell[i])) != 0)
            return prony_fail(error, -ENOMEM, "no memory for %s", option);
    return 0;
}

static int add_operands(const struct prony_list *operands, struct prony_exec *exec, struct prony_error *error)
{
    char *name = NULL;
    int code;
    if (operands->count == 0)
        return 0;
    if (join(operands, &name) != 0)
        return prony_fail(error, -ENOMEM, "no memory for the command");
    code = prony_exec_add(exec, name, operands, error);
    free(name);
    return code;
}

static int set(struct request *request, const struct prony_list *operands, struct prony_exec *exec,
               struct prony_run *run, struct prony_error *error)
{
    int code = 0;
    if (operands->count == 0 && request->commands.count == 0)
        return prony_fail(error, -EINVAL, "which command? prony exec -- CMD ARG.. or --command CMD");
    if (operands->count > 0 && request->shell)
        return prony_fail(error, -EINVAL, "--shell takes commands in one argument: --command '%s'", operands->item[0]);
    code = add_operands(operands, exec, error);
    for (size_t i = 0; i < request->commands.count && code == 0; i++) {
        struct prony_list words = {NULL, 0, 0};
        code = set_words(request, request->commands.item[i], "--command", &words, error);
        if (code == 0)
            code = prony_exec_add(exec, request->commands.item[i], &words, error);
        prony_list_free(&words);
    }
    for (size_t i = 0; i < request->params.count && code == 0; i++)
        code = prony_exec_add_axis(exec, request->params.item[i], error);
    if (code == 0)
        code = set_words(request, request->prepare, "--prepare", &exec->prepare, error);
    if (code == 0)
        code = set_words(request, request->cleanup, "--cleanup", &exec->cleanup, error);
    exec->warmup = request->warmup;
    run->suite = strdup("exec");
    run->name = request->name != NULL ? strdup(request->name) : NULL;
    run->method = (struct prony_method){
        .visits = request->visits,
        .samples = request->samples,
        .launches = 1,
        .precision = request->precision,
        .budget_ns = request->budget_ns >= 0  ? request->budget_ns
                     : request->precision > 0 ? 60000000000
                                              : 0,
        .timeout_ns = request->timeout_ns,
        .seed = (uint64_t)request->seed,
    };
    if (code == 0 && (run->suite == NULL || (request->name != NULL && run->name == NULL)))
        code = prony_fail(error, -ENOMEM, "no memory for the run");
    if (code == 0 && request->counters != NULL)
        code = prony_counters_choose(request->counters, &run->method, error);
    return code == 0 ? prony_exec_expand(exec, run, error) : code;
}

static void tell(void *context, double done, int64_t left_ns, const struct prony_cell *cell)
{
    (void)context;
    runner_progress(done, left_ns, cell->id + strlen(cell->workload->head.name) + 1);
}

/* Everything that is to be written; the table or JSON on stdout unless something else goes there. */
static int publish(const struct request *request, const struct prony_report *report, const struct runner_folder *folder)
{
    bool colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL, taken = false;
    struct prony_error error = {0, ""};
    int code = EXIT_DONE;
    if (folder->path[0] != '\0' && prony_report_write(report, folder->path, &error) != 0)
        code = runner_say(&error);
    for (size_t i = 0; i < request->outs.count; i++) {
        const char *path = strchr(request->outs.item[i], ':');
        taken |= path == NULL || path[1] == '\0' || strcmp(path, ":-") == 0;
        if (runner_out_write(report, request->outs.item[i], NULL, &error) != 0) {
            prony_error_say("%s", error.text);
            code = EXIT_CANNOT;
        }
    }
    if (request->json)
        (void)prony_report_export(report, "json", stdout, NULL);
    else if (!taken)
        (void)prony_exec_table(report, stdout, colour);
    return code;
}

static int exit_code_of(const struct prony_run *run)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < run->count; i++) {
        const struct prony_cell *cell = &run->cells[i];
        bad += cell->outcome != PRONY_OK;
        if (cell->outcome == PRONY_FAILED)
            prony_error_say("failed: %s: %s", cell->id, cell->reason.text);
        else if (cell->outcome != PRONY_OK && !run->interrupted)
            prony_error_say("not measured: %s: %s", cell->id, cell->reason.text);
    }
    if (run->interrupted)
        prony_error_say("interrupted; what was measured is kept");
    return run->interrupted ? EXIT_INTERRUPTED : bad > 0 ? EXIT_CANNOT : EXIT_DONE;
}

static int measure(const struct request *request, const struct prony_exec *exec, struct prony_run *run, int argc,
                   char **argv)
{
    struct prony_watch watch = {.interrupt = &runner_interrupted, .progress = tell};
    struct prony_finding findings[PRONY_FINDINGS_MAX];
    struct runner_folder folder = {.path = ""};
    struct prony_report *report = NULL;
    struct prony_error error = {0, ""};
    unsigned found;
    int code, told;
    if (request->folder != NULL && runner_folder_make(request->folder, run->suite, &folder, &error) != 0)
        return runner_say(&error);
    runner_catch_signals();
    found = prony_doctor_look("", findings);
    code = prony_exec_measure(exec, run, &watch, &error);
    prony_progress(NULL);
    if (code == 0)
        code = prony_report_from_run(run, argc, argv, request->redact, &report, &error);
    if (code == 0 && prony_report_doctor(report, findings, found) != 0)
        code = prony_fail(&error, -ENOMEM, "no memory for the report");
    if (code != 0) {
        runner_folder_undo(&folder);
        prony_report_free(report);
        (void)runner_say(&error);
        return EXIT_CANNOT;
    }
    code = exit_code_of(run);
    told = publish(request, report, &folder);
    prony_report_free(report);
    return code == EXIT_DONE && told != EXIT_DONE ? EXIT_CANNOT : code;
}

static int serve(struct request *request, const struct prony_list *operands, int argc, char **argv)
{
    struct prony_exec exec = {.warmup = 0};
    struct prony_run run = {.count = 0};
    struct prony_topology *topology = NULL;
    struct prony_error error = {0, ""};
    int *pus = NULL, code = 0;
    for (size_t i = 0; code == 0 && i < request->outs.count; i++)
        code = runner_out_check(request->outs.item[i], prony_report_format_check, &error);
    if (code == 0)
        code = prony_topology_load(NULL, &topology, &error);
    if (code == 0)
        code = runner_pin(request->pin, topology, &pus, &exec.npus, &error);
    exec.pus = pus;
    run.topology = topology;
    if (code == 0)
        code = set(request, operands, &exec, &run, &error);
    code = code == 0 ? measure(request, &exec, &run, argc, argv) : runner_say(&error);
    prony_run_free(&run);
    prony_exec_free(&exec);
    free(pus);
    prony_topology_free(topology);
    return code;
}

static int exec_main(int argc, char **argv)
{
    struct request request = {
        .visits = 10,
        .samples = 3,
        .warmup = 1,
        .budget_ns = -1,
        .timeout_ns = 60000000000,
        .seed = 1,
    };
    struct prony_list operands = {NULL, 0, 0};
    int code;
    if (runner_parse(&runner_exec, argc, argv, &request, &operands, &code)) {
        prony_log_level(request.quiet ? PRONY_QUIET : request.verbose ? PRONY_VERBOSE : PRONY_NORMAL);
        code = serve(&request, &operands, argc, argv);
    }
    prony_list_free(&request.commands);
    prony_list_free(&request.params);
    prony_list_free(&request.outs);
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_exec = {
    .name = "exec",
    .usage = "exec [OPTIONS] -- CMD [ARG..]",
    .summary = "measures external programs: how long they take, and which is fastest",
    .text = "Launches programs over and over, bound to one PU, in visits to each in random order, and says their "
            "median time with a 95% interval over visits, and the CPU time and memory that they took. Several "
            "commands, or values of a parameter, are ranked in groups that cannot be told apart. A command that ends "
            "with another exit status than 0 has no figures.",
    .examples = examples,
    .options = options,
    .operands = 4096,
    .run = exec_main,
};
