#include "runner/resume.h"
#include "base/log.h"
#include "measure/same.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Options that are not the plan's: they say what is shown, written and compared. */
static bool is_free(const char *name)
{
    static const char *const names[] = {"resume",
                                        "budget",
                                        "out",
                                        "json",
                                        "quiet",
                                        "verbose",
                                        "redact",
                                        "baseline",
                                        "margin",
                                        "require-power",
                                        "different-machines"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static size_t bytes_of(enum runner_take take)
{
    static const size_t bytes[] = {
        [TAKE_FLAG] = sizeof(bool),
        [TAKE_TEXT] = sizeof(const char *),
        [TAKE_LIST] = sizeof(struct prony_list),
        [TAKE_EACH] = sizeof(struct prony_list),
        [TAKE_COUNT] = sizeof(unsigned),
        [TAKE_NUMBER] = sizeof(int64_t),
        [TAKE_DURATION] = sizeof(int64_t),
        [TAKE_PERCENT] = sizeof(double),
    };
    return bytes[take];
}

/* One option over the run's own: a list takes the place of its list, what may be given again is added. */
static int lay_option(const struct runner_option *option, struct runner_request *typed, struct runner_request *own)
{
    char *from = (char *)typed + option->at, *to = (char *)own + option->at;
    struct prony_list *list = (void *)from, *into = (void *)to;
    int code = 0;
    if (option->take == TAKE_EACH) {
        for (size_t i = 0; code == 0 && i < list->count; i++)
            if (!prony_list_has(into, list->item[i]))
                code = prony_list_add(into, list->item[i], strlen(list->item[i]));
        return code;
    }
    if (option->take == TAKE_LIST)
        prony_list_free(into);
    memcpy(to, from, bytes_of(option->take));
    if (option->take == TAKE_LIST)
        memset(from, 0, sizeof *list); /* it is own's now */
    return 0;
}

static int lay_over(const struct runner_command *run, struct runner_request *typed, struct runner_resumed *resumed)
{
    int code = 0;
    resumed->budget_ns = typed->budget_ns;
    typed->budget_ns = runner_request_none.budget_ns;
    for (const struct runner_option *option = run->options; code == 0 && option->name != NULL; option++) {
        const char *none = (const char *)&runner_request_none + option->at;
        if (option->take == TAKE_EACH || option->take == TAKE_LIST
                ? ((const struct prony_list *)(const void *)((char *)typed + option->at))->count == 0
                : memcmp((char *)typed + option->at, none, bytes_of(option->take)) == 0)
            continue;
        resumed->typed = resumed->typed || !is_free(option->name);
        code = lay_option(option, typed, &resumed->request);
    }
    return code;
}

/* The words of the journal as a command line, and what they ask. */
static int parse(const struct runner_command *run, struct runner_resumed *resumed)
{
    const struct prony_list *words = &resumed->journal.words;
    int code;
    resumed->argv = calloc(words->count + 1, sizeof *resumed->argv);
    if (resumed->argv == NULL)
        return EXIT_CANNOT;
    for (size_t i = 0; i < words->count; i++)
        resumed->argv[i] = words->item[i];
    resumed->argc = (int)words->count;
    if (words->count < 2 || strcmp(words->item[1], "run") != 0) {
        prony_error_say("the journal in %s does not tell the command line of its run", resumed->folder.path);
        return EXIT_CANNOT;
    }
    return runner_parse(run, resumed->argc, resumed->argv, &resumed->request, &resumed->operands, &code) ? EXIT_DONE
                                                                                                         : EXIT_CANNOT;
}

static int cannot_with(const char *option, const char *why)
{
    prony_error_say("--resume goes on with a run: %s %s", option, why);
    return EXIT_USAGE;
}

int runner_resume_open(const struct runner_command *run, struct runner_request *typed, const char *suite,
                       struct runner_resumed *resumed)
{
    struct prony_error error = {0, ""};
    char path[1100];
    int code;
    *resumed = (struct runner_resumed){.journal = {.fd = -1}, .request = runner_request_none};
    if (typed->folder != NULL)
        return cannot_with("-o", "cannot give its report another folder (prony report DIR -o NEW copies one)");
    if (typed->dry_run)
        return cannot_with("--dry-run", "is for a run that has not begun");
    if (runner_folder_again(typed->resume, &resumed->folder, &error) != 0)
        return runner_say(&error);
    (void)snprintf(path, sizeof path, "%s/journal", resumed->folder.path);
    if (prony_resume_read(path, &resumed->journal, &error) != 0) {
        if (error.code == -ENOENT)
            (void)prony_fail(&error, -ENOENT, "%s is not the folder of a run: there is no journal in it",
                             typed->resume);
        return runner_say(&error);
    }
    code = parse(run, resumed);
    if (code != EXIT_DONE)
        return code;
    if (lay_over(run, typed, resumed) != 0 || (suite != NULL && resumed->operands.count == 0 &&
                                               prony_list_add(&resumed->operands, suite, strlen(suite)) != 0)) {
        prony_error_say("no memory for the options");
        return EXIT_CANNOT;
    }
    resumed->typed = resumed->typed || suite != NULL;
    if (suite != NULL && strcmp(resumed->operands.item[0], suite) != 0) {
        prony_error_say("the run in %s is of the suite %s, not %s", typed->resume, resumed->operands.item[0], suite);
        return EXIT_USAGE;
    }
    if (resumed->journal.whole < resumed->journal.bytes)
        prony_warn("the end of %s was cut off in the middle of a line: %zu bytes of it are left out", path,
                   resumed->journal.bytes - resumed->journal.whole);
    resumed->nothing_to_do = resumed->journal.done && !resumed->typed && resumed->budget_ns < 0;
    if (resumed->nothing_to_do)
        prony_info("the run in %s is finished: there is nothing to do", typed->resume);
    return EXIT_DONE;
}

int runner_resume_say(const struct runner_resumed *resumed, const struct prony_error *error)
{
    struct prony_error reason = *error;
    (void)prony_fail_within(&reason, error->code, "the run in %s cannot go on%s", resumed->folder.path,
                            resumed->typed ? " with these options" : "");
    (void)runner_say(&reason);
    return resumed->typed ? EXIT_USAGE : EXIT_CANNOT;
}

int runner_resume_check(const struct runner_resumed *resumed, const struct prony_topology *topology)
{
    struct prony_list now = {NULL, 0, 0};
    struct prony_error error = {0, ""};
    int code = prony_same_machine(topology, &now, &error);
    if (code == 0)
        code = prony_same_check(&resumed->journal.same, &now, false, &error);
    prony_list_free(&now);
    if (code == 0)
        return EXIT_DONE;
    (void)prony_fail_within(&error, code, "the run in %s cannot go on", resumed->folder.path);
    (void)runner_say(&error);
    return EXIT_CANNOT;
}

static int check_plan(const struct runner_resumed *resumed, const struct prony_run *run, struct prony_error *error)
{
    struct prony_list now = {NULL, 0, 0};
    int code = prony_same_machine(run->topology, &now, error);
    if (code == 0)
        code = prony_same_plan(run, &now, error);
    if (code == 0)
        code = prony_same_check(&resumed->journal.same, &now, true, error);
    prony_list_free(&now);
    return code;
}

/* A budget may grow: what it had measured by then it would have measured, too. */
static int take_budget(const struct runner_resumed *resumed, struct prony_run *run)
{
    const int64_t before = run->method.budget_ns;
    char then[32], now[32];
    if (resumed->budget_ns < 0 || resumed->budget_ns == before)
        return EXIT_DONE;
    if (before == 0 || (resumed->budget_ns != 0 && resumed->budget_ns < before)) {
        prony_error_say("the run in %s has a budget of %s: it can grow, not shrink to %s", resumed->folder.path,
                        before == 0 ? "any length" : prony_text_of_ns((double)before, then, sizeof then),
                        prony_text_of_ns((double)resumed->budget_ns, now, sizeof now));
        return EXIT_USAGE;
    }
    run->method.budget_ns = resumed->budget_ns;
    return EXIT_DONE;
}

int runner_resume_fill(struct runner_resumed *resumed, struct prony_run *run)
{
    struct prony_error error = {0, ""};
    unsigned visits = 0;
    int64_t before;
    int code;
    if (check_plan(resumed, run, &error) != 0)
        return runner_resume_say(resumed, &error);
    if (prony_resume_restore(&resumed->journal, run, &error) != 0) {
        (void)prony_fail_within(&error, error.code, "the run in %s cannot go on", resumed->folder.path);
        (void)runner_say(&error);
        return EXIT_CANNOT;
    }
    before = run->method.budget_ns;
    code = take_budget(resumed, run);
    if (code != EXIT_DONE)
        return code;
    for (unsigned i = 0; i < run->count; i++)
        visits += run->cells[i].visits_count;
    resumed->nothing_to_do = resumed->journal.done && run->method.budget_ns == before;
    if (resumed->nothing_to_do)
        prony_info("the run in %s is finished: there is nothing to do", resumed->folder.path);
    else
        prony_info("going on: %u visits of it were made before", visits);
    return EXIT_DONE;
}

void runner_resume_free(struct runner_resumed *resumed)
{
    prony_resume_free(&resumed->journal);
    runner_request_free(&resumed->request);
    prony_list_free(&resumed->operands);
    free(resumed->argv);
}
