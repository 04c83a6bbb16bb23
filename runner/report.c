/* prony report: shows, exports and checks a report that is there. */
#include "base/log.h"
#include "results/judge/history.h"
#include "runner/command.h"
#include "runner/folder.h"
#include "runner/history.h"
#include "runner/judge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct request {
    struct prony_list outs;
    const char *folder;
    double margin_percent;
    bool check;
};

#define AT(member) offsetof(struct request, member)

static const struct runner_option options[] = {
    {0, "out", "FMT[:PATH]", TAKE_EACH, AT(outs), 0, 0,
     "html, md, json, csv, junit, gab, gab-bigger, bmf, gbench, openmetrics; of a profile trace, folded, flamegraph, "
     "speedscope; into PATH, or on stdout",
     NULL},
    {'o', "output", "DIR", TAKE_TEXT, AT(folder), 0, 0,
     "writes the whole report, page and plots anew into a new folder", NULL},
    {0, "margin", "PCT", TAKE_PERCENT, AT(margin_percent), 0, 1000,
     "of a history: a change's whole interval lies beyond PCT (default 5)", NULL},
    {0, "check", NULL, TAKE_FLAG, AT(check), 0, 0,
     "checks it against the schema and the method: one finding a line, and exit code 3 when there are any", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {"prony report prony-runs/latest",
                                       "the table of the latest run",
                                       "prony report prony-runs/latest --out md",
                                       "the same for a merge request",
                                       "prony report report.json --out csv:cells.csv --check",
                                       "an export, and a look at whether it holds together",
                                       "prony report prony-runs",
                                       "a folder of many reports: history.html, with every cell over time",
                                       "prony report hyperfine.json --out html:page.html",
                                       "a file of hyperfine, Google Benchmark or fio, as a report",
                                       NULL};

static int check(const struct prony_report *report, bool *sound, struct prony_error *error)
{
    struct prony_list findings = {NULL, 0, 0};
    int code = prony_report_check(report, &findings, error);
    for (size_t i = 0; code == 0 && i < findings.count; i++)
        (void)printf("%s\n", findings.item[i]);
    *sound = findings.count == 0;
    if (code == 0 && *sound)
        prony_info("the report holds");
    prony_list_free(&findings);
    return code;
}

static int show(const struct prony_report *report)
{
    struct winsize size;
    unsigned width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 100;
    return prony_report_table(report, stdout, width, isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL);
}

static int serve_history(const struct request *request, const char *path)
{
    if (!request->check && request->folder == NULL)
        return runner_history(path, &request->outs, request->margin_percent);
    prony_error_say("%s holds many reports: --check and -o take one", path);
    return EXIT_USAGE;
}

static int serve(const struct request *request, const char *path)
{
    struct prony_error error = {0, ""};
    struct prony_report *report = NULL;
    struct runner_folder folder;
    bool sound = true;
    int code = 0;
    for (size_t i = 0; code == 0 && i < request->outs.count; i++)
        code = runner_out_check(request->outs.item[i], prony_report_format_check, &error);
    if (code == 0)
        code = prony_report_read(path, &report, &error);
    for (size_t i = 0; code == 0 && i < request->outs.count; i++)
        code = runner_out_write(report, request->outs.item[i], NULL, &error);
    if (code == 0 && request->folder != NULL &&
        (code = runner_folder_make(request->folder, "", &folder, &error)) == 0 &&
        (code = prony_report_write(report, folder.path, &error)) == 0)
        prony_info("report: %s/report.html", folder.path);
    if (code == 0 && request->check)
        code = check(report, &sound, &error);
    else if (code == 0 && request->outs.count == 0 && request->folder == NULL)
        code = show(report);
    prony_report_free(report);
    if (code != 0)
        return runner_say(&error);
    return sound ? EXIT_DONE : EXIT_CANNOT;
}

static int report_main(int argc, char **argv)
{
    struct request request = {.margin_percent = RUNNER_MARGIN_DEFAULT};
    struct prony_list operands = {NULL, 0, 0};
    int code;
    if (runner_parse(&runner_report, argc, argv, &request, &operands, &code)) {
        if (operands.count == 0) {
            prony_error_say("which report? prony %s", runner_report.usage);
            code = EXIT_USAGE;
        } else {
            code = prony_history_is(operands.item[0]) ? serve_history(&request, operands.item[0])
                                                      : serve(&request, operands.item[0]);
        }
    }
    prony_list_free(&request.outs);
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_report = {
    .name = "report",
    .usage = "report FILE|DIR [OPTIONS]",
    .summary = "shows, exports and checks a report",
    .text = "Reads report.json, or the one in a folder, and shows its table; --out exports it in other formats. Also "
            "reads the JSON files of Google Benchmark, hyperfine and fio. A folder that holds many reports gives the "
            "history page: medians and intervals of every cell over time, and the changes that intervals can tell. "
            "Nothing is measured.",
    .examples = examples,
    .options = options,
    .operands = 1,
    .run = report_main,
};
