/* A subcommand of `prony`: its options as a table, from which parsing and help follow. */
#ifndef PRONY_RUNNER_COMMAND_H
#define PRONY_RUNNER_COMMAND_H

#include "base/text.h"

enum {
    EXIT_DONE = 0,
    EXIT_REGRESSED = 1,
    EXIT_USAGE = 2,
    EXIT_CANNOT = 3,
    EXIT_INCONCLUSIVE = 4,
    EXIT_INTERRUPTED = 130,
};

/* What an option leaves in the command's values, at its offset. */
enum runner_take {
    TAKE_FLAG,     /* bool */
    TAKE_TEXT,     /* const char *, of argv */
    TAKE_LIST,     /* struct prony_list, split at commas, appended to */
    TAKE_EACH,     /* struct prony_list, as typed, appended to */
    TAKE_COUNT,    /* unsigned, within least and most */
    TAKE_NUMBER,   /* int64_t, within least and most */
    TAKE_DURATION, /* int64_t, ns */
    TAKE_PERCENT   /* double, within least and most */
};

struct runner_option {
    char letter; /* 0: none */
    const char *name, *argument;
    enum runner_take take;
    size_t at;
    double least, most;
    const char *help;
    const char *group; /* a heading before this option; NULL: the same group */
};

struct runner_command {
    const char *name, *usage, *summary;
    const char *text;                    /* what it does; a paragraph, wrapped when shown */
    const char *const *examples;         /* command, words, command, words, ..., NULL */
    const struct runner_option *options; /* ends with a NULL name */
    unsigned operands;                   /* taken at most */
    int (*run)(int argc, char **argv);   /* argv[0] is prony's, argv[1] the subcommand; returns the exit code */
};

extern const struct runner_command runner_run, runner_list, runner_topo, runner_report, runner_ab, runner_exec,
    runner_compare, runner_doctor;

/* Reads argv[2..] into `values`; what is no option goes into `operands`. False when the command ends here (help was
 * shown, or a mistake was said), with its exit code. */
bool runner_parse(const struct runner_command *command, int argc, char **argv, void *values,
                  struct prony_list *operands, int *exit_code);
void runner_help(const struct runner_command *command);

/* Prints the manual page ("man") or bash's completion ("bash") of all commands; returns the exit code. */
int runner_reference(const char *form, const struct runner_command *const *commands, unsigned n);

/* Says the error, and returns the exit code that its errno stands for: a wrong name or value is 2, the rest 3. */
int runner_say(const struct prony_error *error);

#endif
