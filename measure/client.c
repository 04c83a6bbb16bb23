#include "measure/client.h"
#include "base/clock.h"
#include "measure/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLOSE_MS = 5000, CLOSE_TOOL_MS = 60000, ARGUMENTS = 32 };

extern char **environ;

/* The environment with an engine's settings in it; the strings are not copied. */
static char **environment_for(const struct prony_engine *engine)
{
    size_t n = 0, extra = 0;
    char **made;
    while (environ[n] != NULL)
        n++;
    while (engine->env != NULL && engine->env[extra] != NULL)
        extra++;
    made = calloc(n + extra + 1, sizeof *made);
    if (made == NULL)
        return NULL;
    for (size_t i = 0; i < extra; i++)
        made[i] = (char *)(uintptr_t)engine->env[i]; /* posix_spawn takes char *const[] and does not write */
    for (size_t i = 0, at = extra; i < n; i++) {
        bool replaced = false;
        for (size_t j = 0; j < extra; j++) {
            size_t length = strcspn(engine->env[j], "=") + 1;
            replaced |= strncmp(environ[i], engine->env[j], length) == 0;
        }
        if (!replaced)
            made[at++] = environ[i];
    }
    return made;
}

/* The shared objects a cell needs, as descriptors. */
static unsigned plugin_fds(const struct prony_cell *cell, const struct prony_head *heads[PRONY_HOST_PLUGINS_MOST])
{
    const struct prony_head *used[] = {&cell->workload->head, &cell->engine->head,
                                       cell->channel == NULL ? NULL : &cell->channel->head};
    unsigned n = 0;
    for (unsigned i = 0; i < 3; i++)
        if (used[i] != NULL && prony_registry_fd(used[i]) >= 0)
            heads[n++] = used[i];
    return n;
}

/* The host's words, after the tool's. A tool wants the program's own path. */
static int words_for(const struct prony_tool *tool, char *last, char program[PATH_MAX], char *argv[ARGUMENTS])
{
    static char word[] = PRONY_HOST_ARGUMENT;
    unsigned n = 0;
    ssize_t length;
    while (tool != NULL && tool->words[n] != NULL) {
        argv[n] = (char *)(uintptr_t)tool->words[n]; /* posix_spawn takes char *const[] and does not write */
        n++;
    }
    (void)snprintf(program, PATH_MAX, "prony");
    if (tool != NULL) {
        length = readlink("/proc/self/exe", program, PATH_MAX - 1);
        if (length < 0)
            return -errno;
        program[length] = '\0';
    }
    argv[n++] = program;
    argv[n++] = word;
    argv[n++] = last;
    argv[n] = NULL;
    return 0;
}

static int spawn(struct prony_client *client, const struct prony_cell *cell, const struct prony_tool *tool, int control,
                 struct prony_error *error)
{
    const struct prony_head *heads[PRONY_HOST_PLUGINS_MOST];
    unsigned plugins = plugin_fds(cell, heads);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char program[PATH_MAX], last[16], *argv[ARGUMENTS], **env = environment_for(cell->engine);
    int code = words_for(tool, last, program, argv);
    if (env == NULL || code != 0) {
        free(env);
        return prony_fail(error, code != 0 ? code : -ENOMEM, "no memory or no program to start a cell host");
    }
    (void)snprintf(last, sizeof last, "%u", PRONY_HOST_PLUGINS + plugins);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    code |= posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO); /* stdout is for results */
    code |= posix_spawn_file_actions_adddup2(&actions, control, PRONY_HOST_CONTROL);
    code |= posix_spawn_file_actions_adddup2(&actions, client->arena.fd, PRONY_HOST_ARENA);
    for (unsigned i = 0; i < plugins; i++)
        code |= posix_spawn_file_actions_adddup2(&actions, prony_registry_fd(heads[i]), (int)(PRONY_HOST_PLUGINS + i));
    if (code == 0)
        code = posix_spawnp(&client->pid, tool == NULL ? "/proc/self/exe" : argv[0], &actions, &attributes, argv, env);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    free(env);
    if (code != 0) {
        client->pid = 0;
        return prony_fail(error, -code, "a cell host cannot be started: %s", strerrordesc_np(code));
    }
    return 0;
}

/* Refuses an arena that memory cannot hold, before the kernel kills somebody for it. */
static int check_memory(uint64_t bytes, struct prony_error *error)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128], wants[32], has[32];
    unsigned long long available_kib = 0;
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "MemAvailable: %llu", &available_kib) != 1)
        ;
    (void)fclose(file);
    if (available_kib == 0 || bytes / 1024 < available_kib / 10 * 9)
        return 0;
    return prony_fail(error, -ENOTSUP, "it needs %s of memory and %s are available",
                      prony_text_of_bytes((double)bytes, wants, sizeof wants),
                      prony_text_of_bytes((double)available_kib * 1024, has, sizeof has));
}

int prony_client_start(struct prony_client *client, const struct prony_cell *cell, const struct prony_method *method,
                       const struct prony_tool *tool, struct prony_error *error)
{
    struct prony_board board;
    int pair[2], code;
    memset(client, 0, sizeof *client);
    client->control_fd = client->arena.fd = -1;
    client->under_tool = tool != NULL;
    prony_board_lay(&board, cell, method);
    if (prony_registry_fd(&cell->workload->head) >= 0)
        board.plugin_fd = PRONY_HOST_PLUGINS; /* plugin_fds puts the workload first */
    code = check_memory(board.bytes, error);
    if (code == 0)
        code = prony_arena_create(&client->arena, board.bytes, error);
    if (code != 0)
        return code;
    prony_board_write(client->arena.base, &board, cell, method);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        code = prony_fail(error, -errno, "no socket for a cell host: %s", strerrordesc_np(errno));
        prony_client_free(client);
        return code;
    }
    client->control_fd = pair[0];
    /* The targets 3, 4, 5.. must not be sources still to be copied: lift the sources above them. */
    int control = fcntl(pair[1], F_DUPFD_CLOEXEC, 32), arena = fcntl(client->arena.fd, F_DUPFD_CLOEXEC, 32);
    (void)close(pair[1]);
    if (control < 0 || arena < 0) {
        code = prony_fail(error, -EMFILE, "no descriptors left for a cell host (ulimit -n)");
    } else {
        (void)close(client->arena.fd);
        client->arena.fd = arena;
        arena = -1;
        code = spawn(client, cell, tool, control, error);
    }
    if (control >= 0)
        (void)close(control);
    if (arena >= 0)
        (void)close(arena);
    if (code != 0)
        prony_client_free(client);
    return code;
}

/* How the host ended, once it has. */
static int obituary(struct prony_client *client, struct prony_error *error)
{
    siginfo_t info = {0};
    char text[96];
    (void)waitid(P_PID, (id_t)client->pid, &info,
                 WEXITED | WNOWAIT); /* the group is killed before its leader is reaped */
    if (info.si_code == CLD_EXITED)
        return prony_fail(error, -ECHILD, "the cell host exited with code %d in mid work", info.si_status);
    (void)snprintf(text, sizeof text, "SIG%s",
                   sigabbrev_np(info.si_status) == NULL ? "?" : sigabbrev_np(info.si_status));
    return prony_fail(error, -ECHILD, "the cell host was killed by %s", text);
}

int prony_client_send(struct prony_client *client, const struct prony_order *order, const char *text,
                      struct prony_error *error)
{
    struct iovec parts[] = {{(void *)(uintptr_t)order, sizeof *order}, {(void *)(uintptr_t)text, order->text_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = order->text_bytes == 0 ? 1 : 2};
    return sendmsg(client->control_fd, &message, MSG_NOSIGNAL) < 0 ? prony_fail(error, -ECHILD, "the cell host ended")
                                                                   : 0;
}

int prony_client_take(struct prony_client *client, struct prony_answer *answer, struct prony_error *error)
{
    ssize_t got = recv(client->control_fd, answer, sizeof *answer, 0);
    return got == (ssize_t)sizeof *answer ? 0 : prony_fail(error, -ECHILD, "the cell host ended");
}

int prony_client_ask(struct prony_client *client, const struct prony_order *order, const char *text,
                     struct prony_answer *answer, int64_t timeout_ns, const volatile int *interrupt,
                     struct prony_error *error)
{
    uint64_t until = prony_now_ns() + (uint64_t)timeout_ns;
    bool ready = false;
    int code = prony_client_send(client, order, text, error);
    while (code == 0 && !ready) {
        struct pollfd control = {.fd = client->control_fd, .events = POLLIN};
        uint64_t now = prony_now_ns();
        int64_t left_ms = now >= until ? 0 : (int64_t)((until - now) / 1000000u) + 1;
        ready = poll(&control, 1, (int)(left_ms > 100 ? 100 : left_ms)) > 0;
        if (interrupt != NULL && *interrupt != 0)
            return prony_fail(error, -EINTR, "interrupted");
        if (!ready && now >= until)
            return prony_fail(error, -ETIMEDOUT, "the cell host did not answer within %.3g s (--timeout)",
                              (double)timeout_ns / 1e9);
    }
    if (code == 0)
        code = prony_client_take(client, answer, error);
    return code == 0 ? 0 : obituary(client, error);
}

struct order_text {
    char *bytes;
    size_t used;
    bool full;
};

static void __attribute__((format(printf, 2, 3))) add_word(struct order_text *text, const char *format, ...)
{
    va_list arguments;
    int length;
    va_start(arguments, format);
    length = vsnprintf(text->bytes + text->used, PRONY_ORDER_TEXT - text->used, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= PRONY_ORDER_TEXT - text->used)
        text->full = true;
    else
        text->used += (size_t)length + 1;
}

static void params(struct order_text *text, const char *owner, const struct prony_params *from)
{
    for (unsigned i = 0; i < from->count; i++)
        add_word(text, "%s.%s=%s", owner, from->values[i].option->name, from->values[i].text);
}

static uint64_t cell_seed(const struct prony_cell *cell, uint64_t seed)
{
    uint64_t hash = 14695981039346656037u ^ seed; /* FNV-1a of the workload's part, so that engines get the same data */
    for (const char *c = cell->workload->head.name; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    return hash;
}

int prony_client_open(struct prony_client *client, const struct prony_cell *cell, const struct prony_method *method,
                      struct prony_answer *answer, int64_t timeout_ns, const volatile int *interrupt,
                      struct prony_error *error)
{
    const struct prony_head *heads[PRONY_HOST_PLUGINS_MOST];
    unsigned plugins = plugin_fds(cell, heads);
    struct prony_order order = {.kind = PRONY_ORDER_OPEN};
    struct order_text text = {malloc(PRONY_ORDER_TEXT), 0, false};
    int code;
    if (text.bytes == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an order");
    add_word(&text, "runner=%d", (int)getpid());
    for (unsigned i = 0; i < plugins; i++)
        add_word(&text, "plugin=%u:%s", PRONY_HOST_PLUGINS + i, prony_registry_path(heads[i]));
    add_word(&text, "engine=%s", cell->engine->head.name);
    add_word(&text, "workload=%s", cell->workload->head.name);
    if (cell->channel != NULL)
        add_word(&text, "channel=%s", cell->channel->head.name);
    add_word(&text, "caller=%d", cell->caller_pu);
    add_word(&text, "seed=%llu", (unsigned long long)cell_seed(cell, method->seed));
    add_word(&text, "timeout=%lld",
             (long long)(timeout_ns / 10 * 8)); /* so that an engine that can tell more does so first */
    params(&text, "engine", &cell->engine_params);
    params(&text, "workload", &cell->workload_params);
    params(&text, "channel", &cell->channel_params);
    params(&text, "cell", &cell->own_params);
    order.text_bytes = (uint32_t)text.used;
    code = text.full
               ? prony_fail(error, -E2BIG, "the parameters of this cell are longer than %d bytes", PRONY_ORDER_TEXT)
               : prony_client_ask(client, &order, text.bytes, answer, timeout_ns, interrupt, error);
    client->opened = code == 0 && answer->error.code == 0;
    free(text.bytes);
    return code;
}

static void reap(struct prony_client *client)
{
    if (client->pid == 0)
        return;
    (void)kill(-client->pid, SIGKILL); /* all of its group that is still there, before the leader's pid is free again */
    while (waitpid(client->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    client->pid = 0;
}

void prony_client_close(struct prony_client *client)
{
    struct prony_order order = {.kind = PRONY_ORDER_CLOSE};
    struct prony_answer answer;
    int limit_ms = client->under_tool ? CLOSE_TOOL_MS : CLOSE_MS;
    if (client->pid != 0 && client->opened) {
        struct pollfd control = {.fd = client->control_fd, .events = POLLIN};
        if (prony_client_ask(client, &order, NULL, &answer, (int64_t)limit_ms * 1000000, NULL, NULL) == 0)
            (void)poll(&control, 1, limit_ms); /* its end of the socket closes when it exits */
    }
    prony_client_kill(client);
}

void prony_client_kill(struct prony_client *client)
{
    reap(client);
    if (client->control_fd >= 0)
        (void)close(client->control_fd);
    client->control_fd = -1;
    client->opened = false;
}

void prony_client_free(struct prony_client *client)
{
    prony_client_kill(client);
    if (client->arena.base != NULL)
        prony_arena_close(&client->arena);
    memset(client, 0, sizeof *client);
    client->control_fd = client->arena.fd = -1;
}

int prony_caller_pu(const struct prony_cell *cell, const struct prony_topology *topology)
{
    const struct prony_placement *placement = &cell->placement;
    unsigned n = prony_topology_pus(topology, NULL, 0);
    int *pus, found = -1;
    if (!placement->binding || placement->workers == 0)
        return -1;
    if ((cell->engine->head.caps & PRONY_CAP_HELPS) != 0)
        return placement->pus[0];
    pus = calloc(n, sizeof *pus);
    if (pus == NULL)
        return placement->pus[placement->workers - 1];
    (void)prony_topology_pus(topology, pus, n);
    for (unsigned i = 0; i < n && found < 0; i++) {
        bool taken = false;
        for (unsigned j = 0; j < placement->workers && !taken; j++)
            taken = placement->pus[j] == pus[i];
        found = taken ? -1 : pus[i];
    }
    free(pus);
    return found >= 0 ? found : placement->pus[placement->workers - 1];
}
