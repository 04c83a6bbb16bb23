/* prony ab: a paired comparison of two commands. */
#include "results/judge/ab.h"
#include "base/log.h"
#include "measure/simulate.h"
#include "runner/command.h"
#include "runner/folder.h"
#include "runner/shared.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct request {
    const char *base, *head, *read, *metric, *reduce, *pin, *prepare, *cleanup;
    struct prony_list outs, margins_for;
    double margin, precision, alpha;
    unsigned pairs, warmup;
    int64_t budget_ns, timeout_ns, seed;
    bool higher, null_control, confirm, require_power, redact, json, quiet, verbose;
};

#define AT(member) offsetof(struct request, member)

static const struct runner_option options[] = {
    {0, "base", "CMD", TAKE_TEXT, AT(base), 0, 0, "the command to compare with, in one argument",
     "What is compared (without a shell)"},
    {0, "head", "CMD", TAKE_TEXT, AT(head), 0, 0, "the command that may have become slower", NULL},
    {0, "read", "WHAT", TAKE_TEXT, AT(read), 0, 0,
     "what a launch says: wall (time, cpu, rss of the process), numbers (one a line, or NAME NUMBER), gbench (Google "
     "Benchmark's JSON), prony (a report), field:PATH (of JSON), callgrind (simulated counts) (default: callgrind for "
     "the metrics that it counts, else wall)",
     NULL},
    {0, "metric", "NAME", TAKE_TEXT, AT(metric), 0, 0,
     "what is judged; all others inform (default time). Counted by valgrind, without a PMU: instructions, loads, "
     "stores, branches, branch-misses, l1i-misses, l1d-misses, ll-misses",
     NULL},
    {0, "higher-is-better", NULL, TAKE_FLAG, AT(higher), 0, 0, "the metric is a rate, say", NULL},
    {0, "reduce", "HOW", TAKE_TEXT, AT(reduce), 0, 0,
     "several numbers of one launch become one: best or median (default best)", NULL},
    {0, "margin", "PCT", TAKE_PERCENT, AT(margin), 0, 1000,
     "changes within it do not matter (default 1%; 0.05% of simulated counts)", "How it is judged"},
    {0, "margin-for", "GLOB=PCT", TAKE_EACH, AT(margins_for), 0, 0, "another margin for some benchmarks", NULL},
    {0, "alpha", "PCT", TAKE_PERCENT, AT(alpha), 1e-6, 50,
     "chance of any wrong verdict, over all benchmarks together (default 5%)", NULL},
    {0, "null-control", NULL, TAKE_FLAG, AT(null_control), 0, 0,
     "also compares base with itself in the same blocks; exit code 3 when that differs", NULL},
    {0, "confirm", NULL, TAKE_FLAG, AT(confirm), 0, 0,
     "repeats on fresh pairs what has regressed; it stands only if both agree", NULL},
    {0, "require-power", NULL, TAKE_FLAG, AT(require_power), 0, 0, "exit code 4 when a verdict is inconclusive", NULL},
    {0, "pairs", "N", TAKE_COUNT, AT(pairs), 1, PRONY_PAIRS_MOST,
     "pairs of launches, an even number (default 20; 6 of simulated counts); the least when --precision is given",
     "How it is measured"},
    {0, "precision", "PCT", TAKE_PERCENT, AT(precision), 0, 1000,
     "more pairs until half of each interval is below PCT or the budget is spent (default 0: off)", NULL},
    {0, "budget", "TIME", TAKE_DURATION, AT(budget_ns), 0, 0,
     "ends after this time (default 0: none; 60s with --precision)", NULL},
    {0, "timeout", "TIME", TAKE_DURATION, AT(timeout_ns), 0, 0, "kills a launch that takes longer (default 60s)", NULL},
    {0, "warmup", "N", TAKE_COUNT, AT(warmup), 0, 1000,
     "launches of each side beforehand (default 1; 0 of simulated counts)", NULL},
    {0, "prepare", "CMD", TAKE_TEXT, AT(prepare), 0, 0, "runs before every launch, off the clock", NULL},
    {0, "cleanup", "CMD", TAKE_TEXT, AT(cleanup), 0, 0, "runs after every launch, also after one that failed", NULL},
    {0, "pin", "PUS", TAKE_TEXT, AT(pin), 0, 0, "PUs the commands may use: 1, 0-2+4 or none (default one PU)", NULL},
    {0, "seed", "N", TAKE_NUMBER, AT(seed), 0, 9e18, "of the order of launches (default 1)", NULL},
    {0, "out", "FMT[:PATH]", TAKE_EACH, AT(outs), 0, 0, "json, md, html, junit, gab or bmf; into PATH, or on stdout",
     "What comes out"},
    {0, "redact", NULL, TAKE_FLAG, AT(redact), 0, 0, "leaves host names out of JSON", NULL},
    {0, "json", NULL, TAKE_FLAG, AT(json), 0, 0, "JSON on stdout instead of a table", NULL},
    {'q', "quiet", NULL, TAKE_FLAG, AT(quiet), 0, 0, "errors only", NULL},
    {'v', "verbose", NULL, TAKE_FLAG, AT(verbose), 0, 0, "says more on stderr", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {
    "prony ab --base ./old --head ./new",
    "did the program become slower? Twenty pairs of launches, in random order",
    "prony ab --read gbench --base './old --benchmark_format=json' --head './new --benchmark_format=json' --confirm",
    "every row of Google Benchmark, judged together; what is red is asked again",
    "prony ab --read field:ops --metric ops --higher-is-better --base 'sh -c ./bench.sh' --head 'env N=2 sh -c "
    "./bench.sh'",
    "a number out of a JSON text; a shell where you ask for one",
    "prony ab --metric instructions --base ./old --head ./new",
    "0.1% more instructions, simulated by valgrind: a verdict also on a noisy machine without a PMU",
    NULL};

/* What a request becomes; freed by setting_free. */
struct setting {
    struct prony_ab_plan plan;
    struct prony_read_field field;
    struct prony_ab_margin *margins;
    int *pus;
    char program[64];
    struct prony_simulation simulation;
};

static int set_read(const struct request *request, struct setting *setting, struct prony_error *error)
{
    static const char *const names[] = {"wall", "numbers", "gbench", "prony", "field:PATH", "callgrind", NULL};
    struct prony_ab_plan *plan = &setting->plan;
    const char *first = plan->command[PRONY_BASE].item[0], *slash = strrchr(first, '/');
    char hint[120];
    plan->capture = true;
    (void)snprintf(setting->program, sizeof setting->program, "%s", slash != NULL ? slash + 1 : first);
    if (strcmp(request->read, "callgrind") == 0)
        return prony_simulate_open(&setting->simulation, setting->program, plan, error);
    if (strcmp(request->read, "wall") == 0) {
        plan->read = prony_read_wall;
        plan->read_context = setting->program;
        plan->capture = false;
    } else if (strcmp(request->read, "numbers") == 0) {
        plan->read = prony_read_numbers;
        plan->read_context = (void *)(uintptr_t)request->metric;
    } else if (strcmp(request->read, "gbench") == 0) {
        plan->read = prony_read_gbench;
    } else if (strcmp(request->read, "prony") == 0) {
        plan->read = prony_read_report;
    } else if (strncmp(request->read, "field:", 6) == 0 && request->read[6] != '\0') {
        setting->field = (struct prony_read_field){request->read + 6, request->metric};
        plan->read = prony_read_field;
        plan->read_context = &setting->field;
    } else {
        return prony_fail(error, -EINVAL, "--read %s: it takes wall, numbers, gbench, prony, field:PATH or callgrind%s",
                          request->read, prony_text_nearest(request->read, names, hint, sizeof hint));
    }
    return 0;
}

static int set_margins(struct request *request, struct setting *setting, struct prony_error *error)
{
    size_t n = request->margins_for.count;
    setting->margins = calloc(n + 1, sizeof *setting->margins);
    if (setting->margins == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the margins");
    for (size_t i = 0; i < n; i++) {
        char *equals = strrchr(request->margins_for.item[i], '=');
        double percent;
        if (equals == NULL || equals == request->margins_for.item[i])
            return prony_fail(error, -EINVAL, "--margin-for %s: it takes GLOB=PCT", request->margins_for.item[i]);
        if (prony_text_percent(equals + 1, &percent, error) != 0)
            return prony_fail_within(error, -EINVAL, "--margin-for %s", request->margins_for.item[i]);
        if (percent < 0 || percent > 1000)
            return prony_fail(error, -ERANGE, "--margin-for %s: it takes 0 to 1000", request->margins_for.item[i]);
        *equals = '\0';
        setting->margins[i] = (struct prony_ab_margin){request->margins_for.item[i], percent / 100};
    }
    setting->plan.margins = setting->margins;
    setting->plan.margins_count = (unsigned)n;
    return 0;
}

static void tell(void *context, double done, int64_t left_ns)
{
    runner_progress(done, left_ns, context);
}

static int set(struct request *request, const struct prony_topology *topology, struct setting *setting,
               struct prony_error *error)
{
    struct prony_ab_plan *plan = &setting->plan;
    int code = 0;
    *plan = (struct prony_ab_plan){
        .metric = request->metric,
        .higher = request->higher,
        .alpha = request->alpha / 100,
        .margin = request->margin / 100,
        .pairs = request->pairs,
        .precision = request->precision / 100,
        .budget_ns = request->budget_ns >= 0  ? request->budget_ns
                     : request->precision > 0 ? 60000000000
                                              : 0,
        .timeout_ns = request->timeout_ns,
        .warmup = request->warmup,
        .null_control = request->null_control,
        .confirm = request->confirm,
        .seed = (uint64_t)request->seed,
        .interrupt = &runner_interrupted,
        .progress = tell,
        .progress_context = (void *)(uintptr_t) "pairs",
    };
    if (request->base == NULL || request->head == NULL)
        return prony_fail(error, -EINVAL, "which commands? --base CMD --head CMD");
    if (strcmp(request->reduce, "best") != 0 && strcmp(request->reduce, "median") != 0)
        return prony_fail(error, -EINVAL, "--reduce %s: it takes best or median", request->reduce);
    plan->reduce = strcmp(request->reduce, "best") == 0 ? PRONY_BEST : PRONY_MEDIAN;
    code = runner_words(request->base, "--base", &plan->command[PRONY_BASE], error);
    if (code == 0)
        code = runner_words(request->head, "--head", &plan->command[PRONY_HEAD], error);
    if (code == 0)
        code = runner_words(request->prepare, "--prepare", &plan->prepare, error);
    if (code == 0)
        code = runner_words(request->cleanup, "--cleanup", &plan->cleanup, error);
    if (code == 0)
        code = set_read(request, setting, error);
    if (code == 0)
        code = set_margins(request, setting, error);
    if (code == 0)
        code = runner_pin(request->pin, topology, &setting->pus, &plan->npus, error);
    plan->pus = setting->pus;
    return code;
}

static void setting_free(struct setting *setting)
{
    prony_list_free(&setting->plan.command[PRONY_BASE]);
    prony_list_free(&setting->plan.command[PRONY_HEAD]);
    prony_list_free(&setting->plan.prepare);
    prony_list_free(&setting->plan.cleanup);
    free(setting->margins);
    free(setting->pus);
    prony_simulate_close(&setting->simulation);
}

static int write_out(const struct prony_ab_telling *telling, const char *out, struct prony_error *error)
{
    struct runner_out to;
    int code = runner_out_open(&to, out, NULL, error);
    return code != 0 ? code : runner_out_close(&to, prony_ab_export(telling, to.format, to.file, error), error);
}

/* Everything that is to be written; the table or JSON on stdout unless something else goes there. */
static int publish(const struct request *request, const struct prony_ab_telling *telling)
{
    struct prony_error error = {0, ""};
    bool taken = false;
    int code = 0;
    for (size_t i = 0; i < request->outs.count; i++) {
        const char *path = strchr(request->outs.item[i], ':');
        taken |= path == NULL || path[1] == '\0' || strcmp(path, ":-") == 0;
        if (write_out(telling, request->outs.item[i], &error) != 0) {
            prony_error_say("%s", error.text);
            code = EXIT_CANNOT;
        }
    }
    if (request->json || !taken)
        (void)prony_ab_export(telling, request->json ? "json" : "table", stdout, NULL);
    return code;
}

static int exit_code_of(const struct request *request, const struct prony_ab *ab)
{
    if (ab->status == PRONY_AB_INTERRUPTED)
        return EXIT_INTERRUPTED;
    if (ab->status == PRONY_AB_FAILED)
        return EXIT_CANNOT;
    if (prony_ab_count(ab, PRONY_REGRESSED) > 0)
        return EXIT_REGRESSED;
    if (request->require_power && prony_ab_count(ab, PRONY_INCONCLUSIVE) > 0)
        return EXIT_INCONCLUSIVE;
    return EXIT_DONE;
}

static int compare(const struct request *request, const struct setting *setting, struct prony_ab_telling *telling)
{
    struct prony_error error = {0, ""};
    struct prony_ab ab;
    int code, told = 0;
    if (strcmp(request->base, request->head) == 0)
        prony_info("base and head are the same command");
    runner_catch_signals();
    code = prony_ab_run(&setting->plan, &ab, &error);
    prony_progress(NULL);
    if (code != 0)
        prony_error_say("%s%s", error.text, code == -EINTR ? "; what was measured is kept, and not judged" : "");
    telling->ab = &ab;
    if (ab.main.pairs > 0 || request->json || request->outs.count > 0)
        told = publish(request, telling);
    code = exit_code_of(request, &ab);
    prony_ab_free(&ab);
    return told != 0 && code != EXIT_INTERRUPTED ? told : code;
}

static int serve(struct request *request, int argc, char **argv)
{
    struct prony_error error = {0, ""};
    struct prony_topology *topology = NULL;
    struct setting setting = {.pus = NULL};
    struct prony_ab_telling telling = {
        .plan = &setting.plan,
        .base = request->base,
        .head = request->head,
        .read = request->read,
        .argc = argc,
        .argv = argv,
        .redact = request->redact,
        .started_s = (int64_t)time(NULL),
        .colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL,
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < request->outs.count; i++)
        code = runner_out_check(request->outs.item[i], prony_ab_format_check, &error);
    if (code == 0)
        code = prony_topology_load(NULL, &topology, &error);
    if (code == 0)
        code = set(request, topology, &setting, &error);
    telling.topology = topology;
    code = code == 0 ? compare(request, &setting, &telling) : runner_say(&error);
    setting_free(&setting);
    prony_topology_free(topology);
    return code;
}

/* What was not asked. Simulated counts hardly vary: few pairs tell small changes. */
static void settle(struct request *request)
{
    bool simulated;
    if (request->read == NULL)
        request->read = prony_simulate_knows(request->metric) ? "callgrind" : "wall";
    simulated = strcmp(request->read, "callgrind") == 0;
    if (simulated && strcmp(request->metric, "time") == 0)
        request->metric = "instructions";
    if (request->margin < 0)
        request->margin = simulated ? 0.05 : 1;
    if (request->pairs == 0)
        request->pairs = simulated ? 6 : 20;
    if (request->warmup == UINT_MAX)
        request->warmup = simulated ? 0 : 1;
}

static int ab_main(int argc, char **argv)
{
    struct request request = {.metric = "time",
                              .reduce = "best",
                              .margin = -1,
                              .alpha = 5,
                              .warmup = UINT_MAX,
                              .budget_ns = -1,
                              .timeout_ns = 60000000000,
                              .seed = 1};
    struct prony_list operands = {NULL, 0, 0};
    int code;
    if (runner_parse(&runner_ab, argc, argv, &request, &operands, &code)) {
        prony_log_level(request.quiet ? PRONY_QUIET : request.verbose ? PRONY_VERBOSE : PRONY_NORMAL);
        settle(&request);
        code = serve(&request, argc, argv);
    }
    prony_list_free(&request.outs);
    prony_list_free(&request.margins_for);
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_ab = {
    .name = "ab",
    .usage = "ab --base CMD --head CMD [OPTIONS]",
    .summary = "compares two commands, in pairs, and says whether one has regressed",
    .text =
        "Launches both commands over and over, side by side in random ABBA and BAAB blocks and bound to one PU, and "
        "judges the ratios of neighbours: regressed, improved, equivalent or inconclusive, at a chance of 5% of any "
        "wrong verdict. Exit code 1 is a regression and nothing else; 3 when it could not be measured.",
    .examples = examples,
    .options = options,
    .operands = 0,
    .run = ab_main,
};
