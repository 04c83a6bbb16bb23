/* Options from a table: getopt_long, typed values, and the help text. */
#include "base/log.h"
#include "runner/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS_MOST = 48, HELP_VALUE = 1000, WIDTH = 80, COLUMN = 27 };

/* Help */

/* Words from the present column on, broken before column 80; lines after the first begin at `indent`. */
static void print_wrapped(const char *text, int column, int indent)
{
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > WIDTH) {
            (void)printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            (void)putchar(' ');
            column++;
        }
        (void)printf("%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    (void)putchar('\n');
}

static void print_option(const struct runner_option *option)
{
    int used =
        option->letter != 0 ? printf("  -%c, --%s", option->letter, option->name) : printf("      --%s", option->name);
    if (option->argument != NULL)
        used += printf(" %s", option->argument);
    if (used > COLUMN - 2)
        used = printf("\n") - 1;
    (void)printf("%*s", COLUMN - used, "");
    print_wrapped(option->help, COLUMN, COLUMN);
}

void runner_help(const struct runner_command *command)
{
    static const struct runner_option help = {'h', "help", NULL, TAKE_FLAG, 0, 0, 0, "show this text", NULL};
    (void)printf("Usage: prony %s\n\n", command->usage);
    print_wrapped(command->text, 0, 0);
    (void)printf("\nExamples:\n");
    for (const char *const *line = command->examples; line[0] != NULL; line += 2) {
        (void)printf("  %s\n      ", line[0]);
        print_wrapped(line[1], 6, 6);
    }
    if (command->options[0].group == NULL)
        (void)printf("\nOptions:\n");
    for (const struct runner_option *option = command->options; option->name != NULL; option++) {
        if (option->group != NULL)
            (void)printf("\n%s:\n", option->group);
        print_option(option);
    }
    print_option(&help);
}

/* Parsing */

static int out_of_range(const struct runner_option *option, const char *text, struct prony_error *error)
{
    return prony_fail(error, -ERANGE, "--%s %s is out of range: it takes %.15g to %.15g", option->name, text,
                      option->least, option->most);
}

static int store(const struct runner_option *option, const char *text, void *values, struct prony_error *error)
{
    void *at = (char *)values + option->at;
    int64_t integer = 0;
    double real = 0;
    int code = 0;
    switch (option->take) {
    case TAKE_FLAG:
        *(bool *)at = true;
        return 0;
    case TAKE_TEXT:
        *(const char **)at = text;
        return 0;
    case TAKE_LIST:
        code = prony_list_split(at, text, ',', error);
        break;
    case TAKE_EACH:
        return prony_list_add(at, text, strlen(text)) == 0 ? 0
                                                           : prony_fail(error, -ENOMEM, "no memory for the options");
    case TAKE_COUNT:
    case TAKE_NUMBER:
        code = prony_text_integer(text, &integer, error);
        real = (double)integer;
        break;
    case TAKE_DURATION:
        code = prony_text_duration(text, at, error);
        break;
    case TAKE_PERCENT:
        code = prony_text_percent(text, &real, error);
        break;
    }
    if (code != 0)
        return prony_fail_within(error, code, "--%s", option->name);
    if (option->most > option->least && (real < option->least || real > option->most))
        return out_of_range(option, text, error);
    if (option->take == TAKE_COUNT)
        *(unsigned *)at = (unsigned)integer;
    else if (option->take == TAKE_NUMBER)
        *(int64_t *)at = integer;
    else if (option->take == TAKE_PERCENT)
        *(double *)at = real;
    return 0;
}

/* getopt's tables from ours; value i is option i. Returns how many there are. */
static unsigned translate(const struct runner_command *command, struct option *longs, char *shorts)
{
    unsigned n = 0;
    *shorts++ = ':';
    *shorts++ = 'h';
    for (const struct runner_option *option = command->options; option->name != NULL && n < OPTIONS_MOST;
         option++, n++) {
        longs[n] = (struct option){option->name, option->argument != NULL ? required_argument : no_argument, NULL,
                                   HELP_VALUE + 1 + (int)n};
        if (option->letter != 0) {
            *shorts++ = option->letter;
            if (option->argument != NULL)
                *shorts++ = ':';
        }
    }
    longs[n] = (struct option){"help", no_argument, NULL, HELP_VALUE};
    longs[n + 1] = (struct option){NULL, 0, NULL, 0};
    *shorts = '\0';
    return n;
}

static void say_unknown(const struct runner_command *command, const char *typed)
{
    const char *names[OPTIONS_MOST + 2];
    char hint[120], name[64], *equals;
    unsigned n = 0;
    for (; command->options[n].name != NULL && n < OPTIONS_MOST; n++)
        names[n] = command->options[n].name;
    names[n] = "help";
    names[n + 1] = NULL;
    (void)snprintf(name, sizeof name, "%s", typed + strspn(typed, "-"));
    equals = strchr(name, '=');
    if (equals != NULL)
        *equals = '\0';
    prony_error_say("there is no option %s%s (prony %s --help)", typed,
                    prony_text_nearest(name, names, hint, sizeof hint), command->name);
}

static const struct runner_option *option_of(const struct runner_command *command, int value)
{
    const struct runner_option *option = command->options;
    if (value == 0)
        return NULL; /* getopt's word for an unknown long option */
    if (value > HELP_VALUE)
        return option + (value - HELP_VALUE - 1);
    while (option->name != NULL && option->letter != value)
        option++;
    return option->name == NULL ? NULL : option;
}

bool runner_parse(const struct runner_command *command, int argc, char **argv, void *values,
                  struct prony_list *operands, int *exit_code)
{
    struct option longs[OPTIONS_MOST + 2];
    char shorts[2 * OPTIONS_MOST + 8], letter[3] = "-?";
    struct prony_error error = {0, ""};
    int value;
    (void)translate(command, longs, shorts);
    *exit_code = EXIT_USAGE;
    opterr = 0;
    optind = 1;
    while ((value = getopt_long(argc - 1, argv + 1, shorts, longs, NULL)) != -1) {
        const struct runner_option *option;
        if (value == 'h' || value == HELP_VALUE) {
            runner_help(command);
            *exit_code = EXIT_DONE;
            return false;
        }
        if (value == '?' || value == ':') {
            letter[1] = (char)optopt;
            option = option_of(command, optopt);
            if (value == ':' && option != NULL)
                prony_error_say("--%s needs %s (prony %s --help)", option->name, option->argument, command->name);
            else if (option != NULL)
                prony_error_say("--%s takes no value", option->name);
            else
                say_unknown(command, optopt != 0 ? letter : argv[optind]);
            return false;
        }
        option = option_of(command, value);
        if (store(option, optarg, values, &error) != 0) {
            prony_error_say("%s", error.text);
            return false;
        }
    }
    for (int i = optind + 1; i < argc; i++) {
        if (operands->count == command->operands) {
            prony_error_say("'%s' is one argument too many: prony %s", argv[i], command->usage);
            return false;
        }
        if (prony_list_add(operands, argv[i], strlen(argv[i])) != 0)
            return false;
    }
    return true;
}

int runner_say(const struct prony_error *error)
{
    char text[64];
    prony_error_say("%s", error->text[0] != '\0' ? error->text : prony_code_text(error->code, text, sizeof text));
    return error->code == -EINVAL || error->code == -ENOENT || error->code == -ERANGE || error->code == -EEXIST
               ? EXIT_USAGE
               : EXIT_CANNOT;
}
