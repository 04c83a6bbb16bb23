/* Running gnuplot: one process for all plots of a report, bounded in time; then its SVGs are made fit for pages. */
#include "base/clock.h"
#include "results/plot/plots.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_NS 60000000000u
#define LOG_NAME "gnuplot.log"

extern char **environ;

static int spawn(const char *folder, char **words, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int code;
    (void)sigemptyset(&none);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    (void)posix_spawn_file_actions_init(&actions);
    code = posix_spawn_file_actions_addchdir_np(&actions, folder);
    code = code != 0 ? code : posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    code =
        code != 0 ? code : posix_spawn_file_actions_addopen(&actions, 1, LOG_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    code = code != 0 ? code : posix_spawn_file_actions_adddup2(&actions, 1, 2);
    code = code != 0 ? code : posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return -code;
}

/* Waits for the process, at most LIMIT_NS; then kills it. Its status, or -ETIMEDOUT. */
static int reap(pid_t pid)
{
    const struct timespec pause = {0, 2000000};
    uint64_t until = prony_now_ns() + LIMIT_NS;
    int status;
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return status;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (prony_now_ns() > until) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return -ETIMEDOUT;
        }
        (void)nanosleep(&pause, NULL);
    }
}

/* The first words that gnuplot said, in one line. */
static void said(const char *folder, char *text, size_t bytes)
{
    char *path, *all = NULL;
    size_t length;
    text[0] = '\0';
    if (asprintf(&path, "%s/" LOG_NAME, folder) < 0)
        return;
    if (prony_json_slurp(path, &all, &length, NULL) == 0) {
        char *start = all + strspn(all, " \n\t^");
        (void)snprintf(text, bytes, "%s", start);
        for (char *at = text; *at != '\0'; at++)
            *at = *at == '\n' ? ' ' : *at;
        free(all);
    }
    (void)unlink(path);
    free(path);
}

static int draw(const char *folder, const struct prony_plot *plots, unsigned n, struct prony_error *error)
{
    char **words = calloc(n + 3u, sizeof *words), text[160];
    int code = words == NULL ? -ENOMEM : 0, status;
    pid_t pid;
    for (unsigned i = 0; i < n && code == 0; i++)
        if (asprintf(&words[i + 2], "%s.gp", plots[i].name) < 0) {
            words[i + 2] = NULL;
            code = -ENOMEM;
        }
    if (code == 0) {
        words[0] = (char *)(uintptr_t) "gnuplot";
        words[1] = (char *)(uintptr_t) "--default-settings";
        code = spawn(folder, words, &pid);
    }
    for (unsigned i = 0; words != NULL && i < n; i++)
        free(words[i + 2]);
    free(words);
    if (code != 0) {
        said(folder, text, sizeof text);
        return code == -ENOENT || code == -ENOTDIR || code == -EACCES
                   ? prony_fail(error, -ENOTSUP, "gnuplot is not installed (Debian: apt install gnuplot-nox)")
                   : prony_fail(error, code, "gnuplot cannot start: %s", strerrordesc_np(-code));
    }
    status = reap(pid);
    said(folder, text, sizeof text);
    if (status == -ETIMEDOUT)
        return prony_fail(error, -ETIMEDOUT, "gnuplot took longer than a minute and was ended");
    if (status != 0)
        return prony_fail(error, -EIO, "gnuplot failed%s%s", text[0] != '\0' ? ": " : "", text);
    return 0;
}

/* What is exchanged in gnuplot's SVG. %s: a prefix that makes ids unique in a page with many plots. */
static const struct exchange {
    const char *from, *to;
} exchanges[] = {
    {"rgb(118,118,118)", "currentColor"},
    {"rgb(118, 118, 118)", "currentColor"},
    {" color=\"black\"", ""},
    {" color=\"white\"", ""},
    {"gpPt", "%s-mark"},
    {"gpDot", "%s-dot"},
    {"id=\"gnuplot_canvas\"", "id=\"%s-canvas\""},
    {"id=\"gnuplot_plot_", "id=\"%s-plot-"},
    {"id='textbox'", "id='%s-textbox'"},
    {"id='greybox'", "id='%s-greybox'"},
};

static void escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '&')
            (void)fputs(*text == '<' ? "&lt;" : "&amp;", out);
        else
            (void)fputc(*text, out);
    }
}

/* Writes what stands for the text at `at`; returns how many bytes of it were taken, 0: nothing special is there. */
static size_t exchange_at(const char *at, const struct prony_plot *plot, FILE *out)
{
    static const char inner[] = "<title>gnuplot_plot_", whole[] = "<title>Gnuplot</title>";
    if (strncmp(at, inner, sizeof inner - 1) == 0 && strstr(at, "</title>") != NULL)
        return (size_t)(strstr(at, "</title>") - at) + 8;
    if (strncmp(at, whole, sizeof whole - 1) == 0) {
        (void)fputs("<title>", out);
        escaped(out, plot->title);
        (void)fputs("</title>\n<style>svg.prony-plot { color: #24292f } @media (prefers-color-scheme: dark) "
                    "{ svg.prony-plot { color: #c9d1d9 } }</style>",
                    out);
        return sizeof whole - 1;
    }
    if (strncmp(at, "<svg ", 5) == 0) {
        (void)fputs("<svg class=\"prony-plot\" role=\"img\" ", out);
        return 5;
    }
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        size_t length = strlen(exchanges[i].from);
        const char *hole = strstr(exchanges[i].to, "%s");
        if (strncmp(at, exchanges[i].from, length) != 0)
            continue;
        if (hole == NULL)
            (void)fputs(exchanges[i].to, out);
        else
            (void)fprintf(out, "%.*s%s%s", (int)(hole - exchanges[i].to), exchanges[i].to, plot->name, hole + 2);
        return length;
    }
    return 0;
}

static int dress(const char *folder, const struct prony_plot *plot, struct prony_error *error)
{
    char *path = NULL, *svg = NULL;
    size_t bytes;
    FILE *out = NULL;
    int code =
        asprintf(&path, "%s/%s.svg", folder, plot->name) < 0 ? -ENOMEM : prony_json_slurp(path, &svg, &bytes, error);
    if (code == 0 && strstr(svg, "</svg>") == NULL)
        code = prony_fail(error, -EIO, "gnuplot left %s.svg unfinished", plot->name);
    if (code == 0 && (out = fopen(path, "we")) == NULL)
        code = prony_fail(error, -errno, "cannot write %s.svg: %s", plot->name, strerrordesc_np(errno));
    for (const char *at = svg; code == 0 && *at != '\0';) {
        size_t taken = strchr("<rgi ", *at) != NULL ? exchange_at(at, plot, out) : 0;
        if (taken == 0)
            (void)fputc(*at++, out);
        else
            at += taken;
    }
    if (out != NULL && fclose(out) != 0 && code == 0)
        code = prony_fail(error, -errno, "cannot write %s.svg: %s", plot->name, strerrordesc_np(errno));
    free(svg);
    free(path);
    return code;
}

int prony_gnuplot_run(const char *folder, const struct prony_plot *plots, unsigned n, struct prony_error *error)
{
    int code = draw(folder, plots, n, error);
    for (unsigned i = 0; i < n && code == 0; i++)
        code = dress(folder, &plots[i], error);
    return code;
}
