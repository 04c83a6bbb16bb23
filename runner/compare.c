/* prony compare: two stored reports, or the engines of one. */
#include "base/log.h"
#include "runner/command.h"
#include "runner/folder.h"
#include "runner/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct request {
    struct runner_judging judging;
    struct prony_list outs;
    bool json;
};

#define AT(member) offsetof(struct request, member)

static const struct runner_option options[] = {
    {0, "margin", "PCT", TAKE_PERCENT, AT(judging.margin_percent), 0, 1000,
     "a regression is a slowdown whose whole interval lies beyond PCT (default 5)", "Two reports"},
    {0, "require-power", NULL, TAKE_FLAG, AT(judging.require_power), 0, 0, "exit code 4 when a cell is inconclusive",
     NULL},
    {0, "different-machines", NULL, TAKE_FLAG, AT(judging.different_machines), 0, 0,
     "compares reports of different machines, and says so", NULL},
    {0, "out", "FMT[:PATH]", TAKE_EACH, AT(outs), 0, 0,
     "json, md, html, or junit (two reports); into PATH, or on stdout", "What comes out"},
    {0, "json", NULL, TAKE_FLAG, AT(json), 0, 0, "JSON on stdout instead of a table", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {
    "prony compare main.json prony-runs/latest",
    "what became slower since main, cell by cell",
    "prony compare before after --margin 2% --out junit:verdicts.xml",
    "for continuous integration: exit code 1 means a regression, and nothing else",
    "prony compare prony-runs/latest",
    "one report: engines and channels ranked, in groups that cannot be told apart",
    NULL,
};

static int comparison_write(const struct prony_comparison *comparison, const char *what, struct prony_error *error)
{
    struct runner_out to;
    int code = runner_out_open(&to, what, NULL, error);
    return code != 0 ? code
                     : runner_out_close(&to, prony_comparison_export(comparison, to.format, to.file, error), error);
}

static int show(const struct request *request, const struct prony_comparison *comparison, struct prony_error *error)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < request->outs.count; i++)
        code = comparison_write(comparison, request->outs.item[i], error);
    if (code == 0 && request->json)
        code = prony_comparison_export(comparison, "json", stdout, error);
    else if (code == 0 && request->outs.count == 0)
        (void)prony_comparison_table(comparison, stdout, isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL);
    return code;
}

static int serve(const struct request *request, const struct prony_list *paths)
{
    const struct prony_compare_how how = {request->judging.margin_percent, request->judging.different_machines};
    struct prony_comparison *comparison = NULL;
    struct prony_report *reports[2] = {NULL, NULL};
    struct prony_error error = {0, ""};
    bool two = paths->count == 2;
    int code = 0;
    for (size_t i = 0; i < request->outs.count; i++)
        if (runner_out_check(request->outs.item[i], prony_comparison_format_check, &error) != 0)
            return runner_say(&error);
    for (size_t i = 0; code == 0 && i < paths->count; i++)
        code = prony_report_read(paths->item[i], &reports[i], &error);
    if (code == 0 && two)
        code = prony_compare(reports[0], paths->item[0], reports[1], paths->item[1], &how, &comparison, &error);
    else if (code == 0)
        code = prony_rank(reports[0], paths->item[0], &comparison, &error);
    if (code == 0)
        code = show(request, comparison, &error);
    code = code != 0 ? runner_judge_say(&error) : two ? runner_judge_exit(comparison, &request->judging) : EXIT_DONE;
    prony_comparison_free(comparison);
    prony_report_free(reports[0]);
    prony_report_free(reports[1]);
    return code;
}

static int compare_main(int argc, char **argv)
{
    struct request request = {.judging = {.margin_percent = RUNNER_MARGIN_DEFAULT}};
    struct prony_list operands = {NULL, 0, 0};
    int code;
    if (runner_parse(&runner_compare, argc, argv, &request, &operands, &code)) {
        if (operands.count == 0) {
            prony_error_say("which reports? prony %s", runner_compare.usage);
            code = EXIT_USAGE;
        } else {
            code = serve(&request, &operands);
        }
    }
    prony_list_free(&request.outs);
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_compare = {
    .name = "compare",
    .usage = "compare A [B] [OPTIONS]",
    .summary = "compares two stored reports, or ranks the engines of one",
    .text =
        "Takes report files or folders. With two, cells of the same id are compared: the ratio of their medians, B / "
        "A, with a 95% interval that assumes nothing about the times. They were taken at different times, so this is "
        "weaker than cells of one run. Exit codes: 1 a regression, and nothing else; 3 something could not be "
        "compared, with the reason; 4 inconclusive, with --require-power.",
    .examples = examples,
    .options = options,
    .operands = 2,
    .run = compare_main,
};
