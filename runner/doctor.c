/* prony doctor: what about this machine disturbs measurements. */
#include "results/doctor/doctor.h"
#include "base/log.h"
#include "runner/command.h"

#include <stdlib.h>
#include <unistd.h>

struct request {
    const char *root;
    bool json;
};

#define AT(member) offsetof(struct request, member)

static const struct runner_option options[] = {
    {0, "json", NULL, TAKE_FLAG, AT(json), 0, 0, "an array of findings on stdout", NULL},
    {0, "root", "DIR", TAKE_TEXT, AT(root), 0, 0,
     "reads DIR/proc and DIR/sys, those of a container or a copy, instead of this system's", NULL},
    {0, NULL, NULL, TAKE_FLAG, 0, 0, 0, NULL, NULL},
};

static const char *const examples[] = {
    "prony doctor",
    "what to change before measuring",
    "prony doctor --json",
    "the same for a script: each with name, severity, state, effect and remedy",
    NULL,
};

static int doctor_main(int argc, char **argv)
{
    struct request request = {.root = ""};
    struct prony_list operands = {NULL, 0, 0};
    struct prony_finding findings[PRONY_FINDINGS_MAX];
    int code;
    if (runner_parse(&runner_doctor, argc, argv, &request, &operands, &code)) {
        code = EXIT_DONE;
        if (request.root[0] != '\0' && access(request.root, R_OK | X_OK) != 0) {
            prony_error_say("--root %s cannot be read", request.root);
            code = EXIT_USAGE;
        } else {
            unsigned n = prony_doctor_look(request.root, findings);
            if (request.json)
                (void)prony_doctor_json(findings, n, stdout);
            else
                (void)prony_doctor_table(findings, n, stdout, isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL);
        }
    }
    prony_list_free(&operands);
    return code;
}

const struct runner_command runner_doctor = {
    .name = "doctor",
    .usage = "doctor [OPTIONS]",
    .summary = "says what about this machine disturbs measurements",
    .text = "Looks at the clock's governor, turbo, SMT, isolation, interrupts, memory, limits, load and more: whether "
            "it is so here, what it does to a measurement, and the command that changes it. Changes nothing itself. A "
            "report of prony run carries the findings of its machine.",
    .examples = examples,
    .options = options,
    .operands = 0,
    .run = doctor_main,
};
