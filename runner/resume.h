/* `prony run --resume DIR`: the command line of the run comes out of its journal, what was typed now is laid over it, and
 * what the journal holds goes into the plan that follows from it. */
#ifndef PRONY_RUNNER_RESUME_H
#define PRONY_RUNNER_RESUME_H

#include "measure/resume.h"
#include "runner/command.h"
#include "runner/folder.h"
#include "runner/plan.h"

struct runner_resumed {
    struct prony_resume journal;
    struct runner_folder folder;
    struct runner_request request; /* the run's own, with what was typed now */
    struct prony_list operands;
    int argc;
    char **argv;        /* the run's command line */
    int64_t budget_ns;  /* typed now; -1: none */
    bool typed;         /* something that belongs to the plan was: if the plan is another now, that is why */
    bool nothing_to_do; /* the run is finished, and nothing else was asked */
};

/* Reads the journal in the folder that `typed` names, and the command line in it. `typed` is emptied. 0, or the exit code
 * after the reason was said; to be freed in any case. */
int runner_resume_open(const struct runner_command *run, struct runner_request *typed, const char *suite,
                       struct runner_resumed *resumed);
/* Is this the machine, and the prony, of the run? As above. */
int runner_resume_check(const struct runner_resumed *resumed, const struct prony_topology *topology);
/* After the run was planned: is it the run's plan? Then fills it. As above. */
int runner_resume_fill(struct runner_resumed *resumed, struct prony_run *run);
/* Says an error on the way, for which the command line is to blame only when something was typed on it. */
int runner_resume_say(const struct runner_resumed *resumed, const struct prony_error *error);
void runner_resume_free(struct runner_resumed *resumed);

#endif
