/* prony: chooses the subcommand. */
#include "base/log.h"
#include "measure/measure.h"
#include "runner/command.h"

#include <prony/process.h>
#include <stdio.h>
#include <string.h>

static const struct runner_command *const commands[] = {
    &runner_run, &runner_exec, &runner_ab, &runner_compare, &runner_report, &runner_list, &runner_topo, &runner_doctor,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out)
{
    (void)fprintf(out, "prony %s, a dynamometer for parallel engines\n\nUsage: prony COMMAND [ARGUMENTS]\n\n",
                  PRONY_VERSION);
    for (unsigned i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(out, "\nStart with `prony run quick`. Every command explains itself: prony COMMAND --help.\n");
}

static int unknown(const char *typed)
{
    const char *names[COMMANDS + 1] = {NULL};
    char hint[120];
    for (unsigned i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    prony_error_say("there is no command '%s'%s (prony --help)", typed,
                    prony_text_nearest(typed, names, hint, sizeof hint));
    return EXIT_USAGE;
}

/* What was printed has arrived, or the command failed. */
static int flushed(int code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return code;
    prony_error_say("stdout cannot be written");
    return code == EXIT_DONE ? EXIT_CANNOT : code;
}

int main(int argc, char **argv)
{
    int code;
    if (prony_process_enter(argc, argv, NULL, &code))
        return code;
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], PRONY_HOST_ARGUMENT) == 0)
        return prony_host_main(argc - 1, argv + 1);
    if (strcmp(argv[1], "__reference") == 0)
        return flushed(runner_reference(argc > 2 ? argv[2] : NULL, commands, COMMANDS));
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("prony %s\n", PRONY_VERSION);
        return EXIT_DONE;
    }
    for (unsigned i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return flushed(commands[i]->run(argc, argv));
    return unknown(argv[1]);
}
