#include "runner/shared.h"
#include "base/log.h"
#include "base/words.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { PUS_MOST = 4096 };
volatile int runner_interrupted;

static void on_signal(int number)
{
    runner_interrupted = number;
}

void runner_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

static bool is_allowed(const int *allowed, unsigned n, long pu)
{
    for (unsigned i = 0; i < n; i++)
        if (allowed[i] == pu)
            return true;
    return false;
}

/* "0-2+4" or "0,2" into `pus`. */
static int read_list(const char *text, const int *allowed, unsigned n, int *pus, unsigned *npus,
                     struct prony_error *error)
{
    const char *at = text;
    for (;;) {
        char *end;
        long first = strtol(at, &end, 10), last = first;
        bool good = end != at && first >= 0;
        if (good && *end == '-') {
            at = end + 1;
            last = strtol(at, &end, 10);
            good = end != at && last >= first;
        }
        if (!good || (*end != '\0' && *end != ',' && *end != '+'))
            return prony_fail(error, -EINVAL, "--pin %s: it takes none or PUs as in 0-2+4", text);
        for (long pu = first; pu <= last; pu++) {
            if (!is_allowed(allowed, n, pu))
                return prony_fail(error, -ERANGE, "--pin %s: PU %ld is not there, or not allowed to this process", text,
                                  pu);
            if (!is_allowed(pus, *npus, pu))
                pus[(*npus)++] = (int)pu;
        }
        if (*end == '\0')
            return 0;
        at = end + 1;
    }
}

int runner_pin(const char *text, const struct prony_topology *topology, int **pus, unsigned *npus,
               struct prony_error *error)
{
    int allowed[PUS_MOST];
    unsigned n = prony_topology_pus(topology, allowed, PUS_MOST);
    int code = 0;
    *pus = NULL;
    *npus = 0;
    n = n > PUS_MOST ? PUS_MOST : n;
    if (n == 0 || (text != NULL && strcmp(text, "none") == 0))
        return 0;
    *pus = calloc(n, sizeof **pus);
    if (*pus == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the list of PUs");
    if (text == NULL)
        (*pus)[(*npus)++] = allowed[n - 1];
    else
        code = read_list(text, allowed, n, *pus, npus, error);
    if (code != 0) {
        free(*pus);
        *pus = NULL;
        *npus = 0;
    }
    return code;
}

int runner_words(const char *text, const char *option, struct prony_list *words, struct prony_error *error)
{
    int code = text == NULL ? 0 : prony_words_split(text, words, error);
    return code == 0 ? 0 : prony_fail_within(error, code, "%s", option);
}

void runner_progress(double done, int64_t left_ns, const char *what)
{
    char left[32] = "";
    if (left_ns >= 0)
        (void)snprintf(left, sizeof left, "%lld:%02lld left", (long long)(left_ns / 60000000000),
                       (long long)(left_ns / 1000000000 % 60));
    prony_progress("%3.0f%%  %-11s  %.48s", 100 * done, left, what);
}
