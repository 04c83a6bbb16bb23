#include "measure/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int run_words(const struct prony_command_how *how, const struct prony_list *words, bool beside,
                     struct prony_launched *launched, struct prony_error *error)
{
    char **argv = calloc(words->count + 1, sizeof *argv);
    struct prony_launch launch = {
        .argv = argv,
        .pus = how->pus,
        .npus = how->npus,
        .timeout_ns = how->timeout_ns,
        .capture = how->capture && !beside,
        .interrupt = how->interrupt,
        .attend = beside ? NULL : how->attend,
        .ended = beside ? NULL : how->ended,
        .context = how->context,
    };
    int code;
    memset(launched, 0, sizeof *launched);
    if (argv == NULL)
        return prony_fail(error, -ENOMEM, "no memory to launch a command");
    memcpy(argv, words->item, words->count * sizeof *argv); /* they stay the list's */
    code = prony_launch(&launch, launched, error);
    free(argv);
    return code;
}

static int run_beside(const struct prony_command_how *how, const struct prony_list *words, const char *what,
                      struct prony_error *error)
{
    struct prony_launched launched;
    int code;
    if (words == NULL || words->count == 0)
        return 0;
    code = run_words(how, words, true, &launched, error);
    prony_launched_free(&launched);
    return code == 0 || code == -EINTR ? code : prony_fail_within(error, code, "%s", what);
}

int prony_command_launch(const struct prony_command_how *how, const struct prony_list *words,
                         struct prony_launched *launched, struct prony_error *error)
{
    int code, after;
    memset(launched, 0, sizeof *launched);
    code = run_beside(how, how->prepare, "--prepare", error);
    if (code != 0)
        return code;
    code = run_words(how, words, false, launched, error);
    if (code != -EINTR) {
        struct prony_error later = {0, ""};
        after = run_beside(how, how->cleanup, "--cleanup", &later);
        if (code == 0 && after != 0) {
            code = after;
            if (error != NULL)
                *error = later;
        }
    }
    return code;
}
