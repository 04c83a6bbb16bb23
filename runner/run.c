/* prony run: plan, measure, report. */
#include "base/log.h"
#include "base/words.h"
#include "measure/journal.h"
#include "measure/measure.h"
#include "measure/profile.h"
#include "results/doctor/doctor.h"
#include "runner/command.h"
#include "runner/folder.h"
#include "runner/plan.h"
#include "runner/resume.h"
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
    {0, "resume", "DIR", TAKE_TEXT, AT(resume), 0, 0,
     "goes on with the run in DIR, which was interrupted: its plan, the visits that are missing, one report", NULL},
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
                                       "prony run --resume prony-runs/latest",
                                       "goes on with a run that was interrupted",
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

/* What is being done: a run that begins, or one that goes on. */
struct session {
    struct runner_request *request;
    const char *suite;
    int argc;
    char **argv;                    /* the command line of the run; of one that goes on, that of its beginning */
    struct runner_resumed *resumed; /* NULL: it begins */
};

static int say(const struct session *session, const struct prony_error *error)
{
    return session->resumed == NULL ? runner_say(error) : runner_resume_say(session->resumed, error);
}

static int check_outs(const struct runner_request *request, struct prony_error *error)
{
    for (size_t i = 0; i < request->outs.count; i++)
        if (runner_out_check(request->outs.item[i], prony_report_format_check, error) != 0)
            return error->code;
    for (size_t i = 0; i < request->outs.count && !request->profile; i++)
        if (runner_out_profiles(request->outs.item[i]))
            return prony_fail(error, -EINVAL, "--out %s is made from a profile: add --profile", request->outs.item[i]);
    return 0;
}

/* An interrupted run tells how to go on, as a shell takes it. */
static void say_where(const struct prony_run *run, const char *folder)
{
    char *quoted = run->interrupted ? prony_words_quote(folder) : NULL;
    prony_info("%sreport: %s/report.html", run->interrupted ? "interrupted; what was measured is in the " : "", folder);
    if (quoted != NULL)
        prony_info("to go on: prony run --resume %s", quoted);
    free(quoted);
}

static int measure_into(const struct session *session, struct prony_run *run, const struct runner_folder *folder,
                        const struct prony_report *baseline)
{
    const struct runner_request *request = session->request;
    struct prony_error error = {0, ""};
    char path[1100];
    struct prony_journal journal = {.fd = -1};
    struct prony_watch watch = {.journal = path,
                                .resume = session->resumed == NULL ? NULL : &session->resumed->journal,
                                .kept = &journal,
                                .argc = session->argc,
                                .argv = session->argv,
                                .interrupt = &runner_interrupted,
                                .progress = show_progress,
                                .profiled = keep_profile,
                                .context = (void *)(uintptr_t)folder};
    struct prony_report *report = NULL;
    struct prony_finding findings[PRONY_FINDINGS_MAX];
    int code = EXIT_CANNOT;
    unsigned found = 0;
    bool broken;
    (void)snprintf(path, sizeof path, "%s/journal", folder->path);
    runner_catch_signals();
    broken = examine_and_measure(run, &watch, findings, &found, &error) != 0;
    if (broken) {
        code = runner_say(&error);
        if (!any_visit(run)) {
            runner_folder_undo(folder);
            goto out;
        }
    }
    say_failures(run);
    if (prony_report_from_run(run, session->argc, session->argv, request->redact, &report, &error) != 0 ||
        prony_report_doctor(report, findings, found) != 0 || prony_report_lies_in(report, folder->path, &error) != 0 ||
        publish(request, report, folder, &error) != 0) {
        prony_error_say("the report could not be written: %s (the measurements are in %s)", error.text, path);
    } else {
        int judged = baseline == NULL ? EXIT_DONE
                                      : runner_baseline_judge(baseline, request->baseline, report, folder->path,
                                                              !request->json, &request->judging);
        code = broken ? EXIT_CANNOT : exit_code_of(run);
        code = code == EXIT_DONE ? judged : code;
        prony_journal_say(&journal, "report");
        say_where(run, folder->path);
    }
out:
    prony_journal_close(&journal);
    prony_report_free(report);
    return code;
}

static int measure(const struct session *session, struct prony_run *run, const struct prony_report *baseline)
{
    const struct runner_request *request = session->request;
    struct prony_error error = {0, ""};
    struct runner_folder folder;
    int code;
    if (check_outs(request, &error) != 0)
        return runner_say(&error);
    if (prony_counters_choose(request->counters != NULL ? request->counters : "auto", &run->method, &error) != 0)
        return say(session, &error);
    if (session->resumed == NULL) {
        if (runner_folder_make(request->folder, run->suite, &folder, &error) != 0)
            return runner_say(&error);
        return measure_into(session, run, &folder, baseline);
    }
    code = runner_resume_fill(session->resumed, run);
    if (code != EXIT_DONE || session->resumed->nothing_to_do)
        return code;
    return measure_into(session, run, &session->resumed->folder, baseline);
}

static int judge_and_measure(const struct session *session, struct prony_run *run)
{
    struct runner_request *request = session->request;
    struct prony_report *baseline = NULL;
    struct prony_error error = {0, ""};
    int code;
    if (request->baseline != NULL &&
        runner_baseline_read(request->baseline, run, &request->judging, &baseline, &error) != 0)
        return runner_judge_say(&error);
    code = measure(session, run, baseline);
    prony_report_free(baseline);
    return code;
}

static int run_session(const struct session *session)
{
    struct runner_request *request = session->request;
    struct prony_error error = {0, ""};
    struct prony_topology *topology = NULL;
    struct prony_run run;
    int code = EXIT_DONE;
    memset(&run, 0, sizeof run);
    if (request->topology != NULL && !request->dry_run) {
        prony_error_say("--topology plans for another machine and cannot measure: add --dry-run");
        return EXIT_USAGE;
    }
    if (prony_topology_load(request->topology, &topology, &error) != 0)
        return runner_say(&error);
    run.topology = topology;
    if (session->resumed != NULL)
        code = runner_resume_check(session->resumed, topology);
    if (code == EXIT_DONE && runner_plan(request, session->suite, &run, &error) != 0) {
        code = say(session, &error);
    } else if (code == EXIT_DONE) {
        announce(&run);
        if (!request->dry_run)
            code = judge_and_measure(session, &run);
        else
            code = runner_plan_show(&run, request->json, &error) == 0 ? EXIT_DONE : runner_say(&error);
    }
    prony_run_free(&run);
    prony_topology_free(topology);
    return code;
}

static int resume(struct runner_request *typed, const char *suite)
{
    struct runner_resumed resumed;
    int code = runner_resume_open(&runner_run, typed, suite, &resumed);
    if (code == EXIT_DONE && !resumed.nothing_to_do)
        code = run_session(&(struct session){&resumed.request,
                                             resumed.operands.count > 0 ? resumed.operands.item[0] : NULL, resumed.argc,
                                             resumed.argv, &resumed});
    runner_resume_free(&resumed);
    return code;
}

static int run_main(int argc, char **argv)
{
    struct runner_request request = runner_request_none;
    struct prony_list operands = {NULL, 0, 0};
    int code;
    if (runner_parse(&runner_run, argc, argv, &request, &operands, &code)) {
        const char *suite = operands.count > 0 ? operands.item[0] : NULL;
        prony_log_level(request.quiet ? PRONY_QUIET : request.verbose ? PRONY_VERBOSE : PRONY_NORMAL);
        code = request.resume != NULL ? resume(&request, suite)
                                      : run_session(&(struct session){&request, suite, argc, argv, NULL});
    }
    runner_request_free(&request);
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
