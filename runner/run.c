/* prony run: plan, measure, report. */
#include "base/log.h"
#include "measure/measure.h"
#include "measure/profile.h"
#include "results/doctor/doctor.h"
#include "runner/command.h"
#include "runner/folder.h"
#include "runner/plan.h"
#include "runner/shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define AT(member) offsetof(struct runner_request, member)

static const struct runner_option options[] = {
    {'e', "engines", "LIST", TAKE_LIST, AT(engines), 0, 0,
     "engines by name, `all`, @core, @peers, or a plug-in ./mine.so (default @core)",
     "What runs (every list is an axis)"},
    {'w', "workloads", "LIST", TAKE_LIST, AT(workloads), 0, 0, "workloads by name, `all`, or a plug-in ./mine.so",
     NULL},
    {'c', "channels", "LIST", TAKE_LIST, AT(channels), 0, 0,
     "channels, for workloads that send messages (default pipe), and for the tasks of the engine fork; none: its own "
     "way, too",
     NULL},
    {'n', "workers", "LIST", TAKE_LIST, AT(workers), 0, 0,
     "numbers of workers: 4, 1..8, 1..max*2 (doubling), cores, pus, max (default 1,max)", NULL},
    {0, "place", "LIST", TAKE_LIST, AT(places), 0, 0,
     "placement: compact, spread, core, smt, numa, list:0-2+4, pair:l3, pairs, none (default compact)", NULL},
    {'p', "param", "[PLUGIN.]KEY=V,V", TAKE_EACH, AT(params), 0, 0,
     "parameters, of every plug-in that has KEY or of one; ranges 1..1024*2 for numbers; see prony list workloads",
     NULL},
    {0, "only", "GLOB", TAKE_EACH, AT(only), 0, 0, "only cells whose id matches, as shown by --dry-run", NULL},
    {0, "skip", "GLOB", TAKE_EACH, AT(skip), 0, 0, "no cells whose id matches", NULL},
    {0, "plugin", "FILE", TAKE_EACH, AT(plugins), 0, 0, "loads a plug-in from a shared object", NULL},
    {0, "oversubscribe", NULL, TAKE_FLAG, AT(oversubscribe), 0, 0, "allows more workers than PUs, and marks them",
     NULL},
    {0, "scaling", "strong|weak", TAKE_TEXT, AT(scaling), 0, 0,
     "strong: the same items for any number of workers; weak: items times workers (default strong)", NULL},
    {0, "topology", "SOURCE", TAKE_TEXT, AT(topology), 0, 0,
     "plans for another machine: an hwloc XML file or synthetic:STRING (with --dry-run)", NULL},
    {0, "dry-run", NULL, TAKE_FLAG, AT(dry_run), 0, 0, "shows the plan and measures nothing", NULL},
    {0, "visits", "N", TAKE_COUNT, AT(visits), 1, 100000,
     "visits to every cell; 6 or more for a 95% interval (default 9)", "How it is measured"},
    {0, "samples", "N", TAKE_COUNT, AT(samples), 1, 100000, "samples a visit (default 5)", NULL},
    {0, "launches", "N", TAKE_COUNT, AT(launches), 1, 10000,
     "fresh processes a cell, spread over its visits (default 1)", NULL},
    {0, "precision", "PCT", TAKE_PERCENT, AT(precision), 0, 1000,
     "stops a cell when half its 98% interval is below PCT of the median (default 0: off)", NULL},
    {0, "budget", "TIME", TAKE_DURATION, AT(budget_ns), 0, 0, "ends the run after this time: 30s, 5m (default 0: none)",
     NULL},
    {0, "timeout", "TIME", TAKE_DURATION, AT(timeout_ns), 0, 0,
     "fails a cell when one step of it takes longer (default 30s)", NULL},
    {0, "seed", "N", TAKE_NUMBER, AT(seed), 0, 9e18, "of the order of visits and of the data (default 1)", NULL},
    {0, "counters", "PROVIDER[:EVENTS]", TAKE_TEXT, AT(counters), 0, 0,
     "papi, software, none, with events or groups joined by +; auto takes the best that counts (default auto)", NULL},
    {0, "profile", NULL, TAKE_FLAG, AT(profile), 0, 0,
     "one more visit of each cell, after the measured ones: a timeline of every task, and sampled stacks", NULL},
    {'o', "output", "DIR", TAKE_TEXT, AT(folder), 0, 0,
     "a new or empty folder for the report (default prony-runs/TIME-SUITE)", "What comes out"},
    {0, "out", "FMT[:PATH]", TAKE_EACH, AT(outs), 0, 0,
     "also html, md, json, csv, junit, gab, gab-bigger, bmf, gbench, openmetrics; with --profile trace, folded, "
     "flamegraph, speedscope; PATH - is stdout",
     NULL},
    {0, "baseline", "REPORT", TAKE_TEXT, AT(baseline), 0, 0,
     "compares with a stored report afterwards: exit code 1 for a regression", NULL},
    {0, "margin", "PCT", TAKE_PERCENT, AT(judging.margin_percent), 0, 1000,
     "with --baseline: a regression's whole interval lies beyond PCT (default 5)", NULL},
    {0, "require-power", NULL, TAKE_FLAG, AT(judging.require_power), 0, 0,
     "with --baseline: exit code 4 when a cell is inconclusive", NULL},
    {0, "different-machines", NULL, TAKE_FLAG, AT(judging.different_machines), 0, 0,
     "with --baseline: also one of another machine", NULL},
    {0, "name", "NAME", TAKE_TEXT, AT(name), 0, 0, "a name for the run, kept in the report", NULL},
    {0, "redact", NULL, TAKE_FLAG, AT(redact), 0, 0, "leaves host names out of the report", NULL},
    {0, "json", NULL, TAKE_FLAG, AT(json), 0, 0, "report.json (or the plan) on stdout instead of a table", NULL},
    {'q', "quiet", NULL, TAKE_FLAG, AT(quiet), 0, 0, "errors only", NULL},
    {'v', "verbose", NULL, TAKE_FLAG, AT(verbose), 0, 0, "says more on stderr", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {"prony run quick",
                                       "the tour: core engines, small workloads, about a minute",
                                       "prony run -w primes,fib -e @core,openmp -n 1..max*2",
                                       "two workloads on six engines, workers doubling up to all",
                                       "prony run -w ./mine.so -p items=1k,10k --precision 2%",
                                       "a function of your own, until the figures are steady",
                                       "prony run engines --baseline main/report.json --margin 3%",
                                       "as a gate: exit code 1 when a cell became slower than in that report",
                                       "prony run -w fib -e thread,fork --profile --out flamegraph",
                                       "where the time went and when: profile/ in the report's folder",
                                       NULL};

static void show_progress(void *context, double done, int64_t left_ns, const struct prony_cell *cell)
{
    (void)context;
    runner_progress(done, left_ns, cell == NULL ? "" : cell->id);
}

/* The profile of a cell goes to the disk at once, so that only one is ever in memory. */
static void keep_profile(void *context, const struct prony_cell *cell, unsigned number, struct prony_profile *profile)
{
    const struct runner_folder *folder = context;
    if (prony_profile_write(cell, number, profile, folder->path, &profile->digest.files_reason) != 0)
        prony_warn("%s: no profile is kept: %s", cell->id, profile->digest.files_reason.text);
    else if (profile->digest.sampled_reason.code != 0)
        prony_warn("%s: %s", cell->id, profile->digest.sampled_reason.text);
}

static void announce(const struct prony_run *run)
{
    unsigned pending = 0;
    int64_t least = prony_plan_least_ns(run);
    char needs[32], budget[32];
    for (unsigned i = 0; i < run->count; i++)
        pending += run->cells[i].outcome == PRONY_PENDING;
    prony_info("%s: %u cells, %u skipped", run->suite, pending, run->count - pending);
    if (run->method.budget_ns > 0 && least > run->method.budget_ns)
        prony_warn("the plan takes at least %s and its budget is %s: some visits will be missing",
                   prony_text_of_ns((double)least, needs, sizeof needs),
                   prony_text_of_ns((double)run->method.budget_ns, budget, sizeof budget));
    for (size_t i = 0; i < run->notes.count; i++)
        prony_debug("%s", run->notes.item[i]);
}

static unsigned terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 100;
}

/* Everything that the report leaves, and the results on stdout. */
static int publish(const struct runner_request *request, const struct prony_report *report,
                   const struct runner_folder *folder, struct prony_error *error)
{
    bool colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL;
    int code = prony_report_write(report, folder->path, error);
    if (code == 0)
        runner_folder_latest(folder);
    for (size_t i = 0; i < request->outs.count; i++) {
        struct prony_error reason = {0, ""};
        if (runner_out_write(report, request->outs.item[i], folder->path, &reason) != 0 && code == 0) {
            *error = reason;
            code = reason.code;
        }
    }
    /* main looks after a stdout that cannot be written */
    if (request->json)
        (void)prony_report_export(report, "json", stdout, NULL);
    else
        (void)prony_report_table(report, stdout, terminal_width(), colour);
    return code;
}

static void say_failures(const struct prony_run *run)
{
    unsigned shown = 0, failed = 0;
    for (unsigned i = 0; i < run->count; i++) {
        if (run->cells[i].outcome != PRONY_FAILED)
            continue;
        failed++;
        if (++shown <= 10)
            prony_error_say("failed: %s: %s", run->cells[i].id, run->cells[i].reason.text);
    }
    if (failed > 10)
        prony_error_say("and %u more failed cells", failed - 10);
}

/* What the outcome of the run is worth: DESIGN's exit codes. */
static int exit_code_of(const struct prony_run *run)
{
    unsigned ok = 0, failed = 0;
    for (unsigned i = 0; i < run->count; i++) {
        ok += run->cells[i].outcome == PRONY_OK;
        failed += run->cells[i].outcome == PRONY_FAILED;
    }
    if (run->interrupted)
        return EXIT_INTERRUPTED;
    if (failed > 0)
        return EXIT_CANNOT;
    if (ok > 0)
        return EXIT_DONE;
    prony_error_say("nothing was measured: all cells were skipped%s%s", run->count > 0 ? ", the first because: " : "",
                    run->count > 0 ? run->cells[0].reason.text : "");
    return EXIT_CANNOT;
}

/* A run that breaks off, with its journal's disk full, say, still shows what it has. */
static bool any_visit(const struct prony_run *run)
{
    for (unsigned i = 0; i < run->count; i++)
        if (run->cells[i].visits_count > 0)
            return true;
    return false;
}

/* Looks at the machine before the run's own load is on it, then measures. */
static int examine_and_measure(struct prony_run *run, const struct prony_watch *watch, struct prony_finding *findings,
                               unsigned *n, struct prony_error *error)
{
    int code;
    *n = prony_doctor_look("", findings);
    for (unsigned i = 0; i < *n; i++)
        if (findings[i].severity == PRONY_WARN)
            prony_debug("%s: %s; %s", findings[i].name, findings[i].state, findings[i].effect);
    code = prony_measure(run, watch, error);
    prony_progress(NULL);
    return code;
}

static int measure(const struct runner_request *request, struct prony_run *run, int argc, char **argv,
                   const struct prony_report *baseline)
{
    struct prony_error error = {0, ""};
    struct runner_folder folder;
    char journal[1100];
    struct prony_watch watch = {.journal = journal,
                                .interrupt = &runner_interrupted,
                                .progress = show_progress,
                                .profiled = keep_profile,
                                .context = &folder};
    struct prony_report *report = NULL;
    struct prony_finding findings[PRONY_FINDINGS_MAX];
    int code = EXIT_CANNOT;
    unsigned found = 0;
    bool broken;
    for (size_t i = 0; i < request->outs.count; i++)
        if (runner_out_check(request->outs.item[i], prony_report_format_check, &error) != 0)
            return runner_say(&error);
    for (size_t i = 0; i < request->outs.count && !request->profile; i++)
        if (runner_out_profiles(request->outs.item[i])) {
            prony_error_say("--out %s is made from a profile: add --profile", request->outs.item[i]);
            return EXIT_USAGE;
        }
    if (prony_counters_choose(request->counters, &run->method, &error) != 0)
        return runner_say(&error);
    if (runner_folder_make(request->folder, run->suite, &folder, &error) != 0)
        return runner_say(&error);
    (void)snprintf(journal, sizeof journal, "%s/journal", folder.path);
    runner_catch_signals();
    broken = examine_and_measure(run, &watch, findings, &found, &error) != 0;
    if (broken) {
        code = runner_say(&error);
        if (!any_visit(run)) {
            runner_folder_undo(&folder);
            return code;
        }
    }
    say_failures(run);
    if (prony_report_from_run(run, argc, argv, request->redact, &report, &error) != 0 ||
        prony_report_doctor(report, findings, found) != 0 || prony_report_lies_in(report, folder.path, &error) != 0 ||
        publish(request, report, &folder, &error) != 0) {
        prony_error_say("the report could not be written: %s (the measurements are in %s)", error.text, journal);
    } else {
        int judged = baseline == NULL ? EXIT_DONE
                                      : runner_baseline_judge(baseline, request->baseline, report, folder.path,
                                                              !request->json, &request->judging);
        code = broken ? EXIT_CANNOT : exit_code_of(run);
        code = code == EXIT_DONE ? judged : code;
        prony_info("%sreport: %s/report.html", run->interrupted ? "interrupted; what was measured is in the " : "",
                   folder.path);
    }
    prony_report_free(report);
    return code;
}

static int judge_and_measure(const struct runner_request *request, struct prony_run *run, int argc, char **argv)
{
    struct prony_report *baseline = NULL;
    struct prony_error error = {0, ""};
    int code;
    if (request->baseline != NULL &&
        runner_baseline_read(request->baseline, run, &request->judging, &baseline, &error) != 0)
        return runner_judge_say(&error);
    code = measure(request, run, argc, argv, baseline);
    prony_report_free(baseline);
    return code;
}

static int run_request(struct runner_request *request, const char *suite, int argc, char **argv)
{
    struct prony_error error = {0, ""};
    struct prony_topology *topology = NULL;
    struct prony_run run;
    int code;
    memset(&run, 0, sizeof run);
    if (request->topology != NULL && !request->dry_run) {
        prony_error_say("--topology plans for another machine and cannot measure: add --dry-run");
        return EXIT_USAGE;
    }
    if (prony_topology_load(request->topology, &topology, &error) != 0)
        return runner_say(&error);
    run.topology = topology;
    if (runner_plan(request, suite, &run, &error) != 0) {
        code = runner_say(&error);
    } else {
        announce(&run);
        if (!request->dry_run)
            code = judge_and_measure(request, &run, argc, argv);
        else
            code = runner_plan_show(&run, request->json, &error) == 0 ? EXIT_DONE : runner_say(&error);
    }
    prony_run_free(&run);
    prony_topology_free(topology);
    return code;
}

static void free_request(struct runner_request *request)
{
    struct prony_list *lists[] = {&request->engines, &request->workloads, &request->channels, &request->workers,
                                  &request->places,  &request->params,    &request->only,     &request->skip,
                                  &request->plugins, &request->outs};
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++)
        prony_list_free(lists[i]);
}

static int run_main(int argc, char **argv)
{
    struct runner_request request = {.counters = "auto",
                                     .budget_ns = -1,
                                     .seed = -1,
                                     .precision = -1,
                                     .judging = {.margin_percent = RUNNER_MARGIN_DEFAULT}};
    struct prony_list operands = {NULL, 0, 0};
    int code;
    if (runner_parse(&runner_run, argc, argv, &request, &operands, &code)) {
        prony_log_level(request.quiet ? PRONY_QUIET : request.verbose ? PRONY_VERBOSE : PRONY_NORMAL);
        code = run_request(&request, operands.count > 0 ? operands.item[0] : NULL, argc, argv);
    }
    free_request(&request);
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_run = {
    .name = "run",
    .usage = "run [SUITE] [OPTIONS]",
    .summary = "measures a plan of cells and leaves a report",
    .text = "Puts engines under workloads, pins every worker, counts what the hardware did, checks every answer, and "
            "leaves a "
            "report: a page that opens offline, JSON and plots. SUITE is a name (prony list suites) or a file; lists "
            "on the "
            "command line replace those of the suite. Without SUITE and -w it is quick.",
    .examples = examples,
    .options = options,
    .operands = 1,
    .run = run_main,
};
