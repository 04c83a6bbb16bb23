/* The manual page and the completion of a shell, from the same tables as the help: `prony __reference man|bash`, which the
 * installation calls. */
#include "base/log.h"
#include "base/registry.h"
#include "runner/command.h"
#include "runner/suites.h"

#include <stdio.h>
#include <string.h>

/* A text for troff: no character of it commands. */
static void roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        (void)fputs("\\&", stdout);
    for (; *text != '\0'; text++)
        if (*text == '\\')
            (void)fputs("\\e", stdout);
        else if (*text == '-')
            (void)fputs("\\-", stdout);
        else
            (void)putchar(*text);
}

static void roff_line(const char *macro, const char *text)
{
    (void)printf("%s\n", macro);
    roff(text);
    (void)putchar('\n');
}

static void manual_options(const struct runner_option *options)
{
    for (const struct runner_option *option = options; option->name != NULL; option++) {
        if (option->group != NULL)
            roff_line(".PP", option->group);
        (void)printf(".TP\n\\fB");
        if (option->letter != 0)
            (void)printf("\\-%c\\fR, \\fB", option->letter);
        (void)printf("\\-\\-");
        roff(option->name);
        (void)printf("\\fR");
        if (option->argument != NULL) {
            (void)printf(" \\fI");
            roff(option->argument);
            (void)printf("\\fR");
        }
        (void)putchar('\n');
        roff(option->help);
        (void)putchar('\n');
    }
}

static void manual(const struct runner_command *const *commands, unsigned n)
{
    (void)printf(".\\\" Made from the option tables of prony.\n.TH PRONY 1 \"\" \"prony %s\" \"User commands\"\n"
                 ".SH NAME\nprony \\- a dynamometer for parallel engines\n.SH SYNOPSIS\n",
                 PRONY_VERSION);
    for (unsigned i = 0; i < n; i++) {
        (void)printf("%s.B prony\n", i > 0 ? ".br\n" : "");
        roff(commands[i]->usage);
        (void)putchar('\n');
    }
    roff_line(
        ".SH DESCRIPTION",
        "Puts thread pools, fork pools, futures executors and other runtimes under standard workloads, every worker "
        "pinned and counted and every answer checked, and leaves a JSON report and a page with plots. Which engines, "
        "workloads, channels, counters and suites there are, with the options of each: prony list.");
    (void)printf(".SH COMMANDS\n");
    for (unsigned i = 0; i < n; i++) {
        (void)printf(".SS prony %s\n", commands[i]->name);
        roff(commands[i]->text);
        (void)putchar('\n');
        manual_options(commands[i]->options);
        for (const char *const *line = commands[i]->examples; line[0] != NULL; line += 2) {
            roff_line(line == commands[i]->examples ? ".PP\nExamples:\n.PP\n.EX" : ".PP\n.EX", line[0]);
            roff_line(".EE\n.RS", line[1]);
            (void)printf(".RE\n");
        }
    }
    (void)printf(".SH EXIT STATUS\n");
    for (unsigned i = 0; i < 6; i++) {
        static const struct {
            int code;
            const char *means;
        } codes[] = {
            {EXIT_DONE, "done"},
            {EXIT_REGRESSED, "a regression, and nothing else"},
            {EXIT_USAGE, "a mistake in the command line, a suite or a file"},
            {EXIT_CANNOT, "something could not be measured; the reason is on stderr and in the report"},
            {EXIT_INCONCLUSIVE, "inconclusive, with --require-power only"},
            {EXIT_INTERRUPTED, "interrupted; what was measured is saved"},
        };
        (void)printf(".TP\n%d\n", codes[i].code);
        roff(codes[i].means);
        (void)putchar('\n');
    }
    roff_line(".SH FILES",
              "prony-runs/TIME-SUITE/ has report.json, report.html and plots of a run; prony-runs/latest is "
              "the last one.");
}

/* Names that an option or an operand takes. */
static void kind_words(enum prony_kind kind)
{
    const struct prony_head *head;
    for (unsigned i = 0; (head = prony_registry_at(kind, i)) != NULL; i++)
        (void)printf(" %s", head->name);
}

static void completion_values(const struct runner_command *command)
{
    static const struct {
        const char *option;
        enum prony_kind kind;
    } kinds[] = {{"engines", PRONY_ENGINE},
                 {"workloads", PRONY_WORKLOAD},
                 {"channels", PRONY_CHANNEL},
                 {"counters", PRONY_PROVIDER}};
    for (const struct runner_option *option = command->options; option->name != NULL; option++)
        for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            if (strcmp(option->name, kinds[k].option) != 0)
                continue;
            (void)printf("    %s:--%s", command->name, option->name);
            if (option->letter != 0)
                (void)printf(" | %s:-%c", command->name, option->letter);
            (void)printf(") words=\"%s", kinds[k].kind == PRONY_PROVIDER ? "auto" : "all");
            kind_words(kinds[k].kind);
            (void)printf("\" ;;\n");
        }
}

static void completion(const struct runner_command *const *commands, unsigned n)
{
    (void)printf("# Completion of prony for bash, made from its option tables.\n_prony()\n{\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words= last=\n"
                 "    [ \"$word\" != = ] || word=\n"
                 "    [ \"$before\" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}\n"
                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W \"");
    for (unsigned i = 0; i < n; i++)
        (void)printf("%s ", commands[i]->name);
    (void)printf("--help --version\" -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]}:$before in\n");
    for (unsigned i = 0; i < n; i++)
        completion_values(commands[i]);
    (void)printf(
        "    esac\n    last=${word##*,}\n"
        "    if [ -n \"$words\" ]; then\n        compopt -o nospace\n"
        "        COMPREPLY=($(compgen -W \"$words\" -P \"${word%%\"$last\"}\" -- \"$last\"))\n        return\n    fi\n"
        "    case ${COMP_WORDS[1]}:$word in\n");
    for (unsigned i = 0; i < n; i++) {
        (void)printf("    %s:-*) words=\"", commands[i]->name);
        for (const struct runner_option *option = commands[i]->options; option->name != NULL; option++)
            (void)printf("--%s ", option->name);
        (void)printf("--help\" ;;\n");
    }
    (void)printf("    run:*) words=\"");
    for (const struct runner_suite *suite = runner_suites; suite->name != NULL; suite++)
        (void)printf("%s%s", suite == runner_suites ? "" : " ", suite->name);
    (void)printf("\" ;;\n    list:*) words=\"engines workloads channels counters suites\" ;;\n    esac\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -o default -F _prony prony\n");
}

int runner_reference(const char *form, const struct runner_command *const *commands, unsigned n)
{
    if (form != NULL && strcmp(form, "man") == 0) {
        manual(commands, n);
    } else if (form != NULL && strcmp(form, "bash") == 0) {
        completion(commands, n);
    } else {
        prony_error_say("the reference is made as man or bash");
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}
