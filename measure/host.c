/* A cell host: `prony` re-executed with one engine and one workload. It opens them, then takes orders until it is told to
 * close or the runner is gone. The main thread is the engines' caller. */
#include "measure/host.h"
#include "base/clock.h"
#include "measure/measure.h"
#include "measure/rerun.h"
#include "topology/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const int64_t gang_timeout_ns = 20000000000;
static int runner_of_host; /* for workers: set once before any starts */

int prony_host_gang(struct prony_host *host, enum prony_own kernel, unsigned char argument, const char *doing,
                    struct prony_error *error)
{
    struct prony_task task = {.ref = {0, (uint16_t)kernel}};
    char text[96];
    int code;
    task.arg[0] = argument;
    memset(host->status, 0, host->setup.workers * sizeof *host->status);
    code = host->bench.engine->gang(host->bench.handle, &task, host->setup.workers, host->status, gang_timeout_ns);
    if (code != 0)
        return prony_fail(error, code, "%s: the workers did not meet: %s", doing,
                          prony_code_text(code, text, sizeof text));
    for (unsigned i = 0; i < host->setup.workers; i++) {
        const struct prony_error *reason = prony_board_reason(host->arena.base, i);
        const bool said = kernel == PRONY_OWN_ATTACH && reason->code == host->status[i];
        if (host->status[i] != 0)
            return prony_fail(error, host->status[i], "%s: worker %u: %s", doing, i,
                              said ? reason->text : prony_code_text(host->status[i], text, sizeof text));
    }
    return 0;
}

int prony_host_unpark(struct prony_host *host, struct prony_error *error)
{
    const struct prony_engine *engine = host->bench.engine;
    const struct prony_slot *slots = prony_board_slots(host->arena.base);
    int code;
    if (host->bench.handle == NULL)
        return 0;
    if (host->parked && engine->park != NULL && (code = engine->park(host->bench.handle, 0)) != 0)
        return prony_fail(error, code, "the engine did not wake: %s", strerrordesc_np(-code));
    host->parked = false;
    code = prony_host_gang(host, PRONY_OWN_BIND, 0, "binding", error);
    if (code != 0 || (engine->head.caps & PRONY_CAP_DRY) != 0)
        return code;
    for (unsigned i = 0; i < host->setup.workers; i++)
        if (host->setup.pus[i] >= 0 && slots[i].pu != host->setup.pus[i])
            return prony_fail(error, -EIO, "worker %u was to sit on PU %d and is found on %d", i, host->setup.pus[i],
                              slots[i].pu);
    return 0;
}

void prony_host_park(struct prony_host *host)
{
    if (host->bench.handle != NULL && host->bench.engine->park != NULL)
        (void)host->bench.engine->park(host->bench.handle, 1);
    host->parked = true;
}

/* First thing in every new worker. A thread needs none of it; a process must not outlive its host. */
static int worker_started(struct prony_worker *worker)
{
    (void)worker;
    if (getpid() == runner_of_host)
        return 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == runner_of_host ? 0 : -ESRCH;
}

/* Sets "engine.KEY", "workload.KEY", "channel.KEY" or "cell.KEY". */
static int set_param(struct prony_host *host, const char *name, const char *value, struct prony_error *error)
{
    static const char *const owners[] = {"engine.", "workload.", "channel.", "cell."};
    struct prony_params *tables[] = {&host->engine_params, &host->workload_params, &host->channel_params,
                                     &host->own_params};
    for (unsigned i = 0; i < 4; i++)
        if (strncmp(name, owners[i], strlen(owners[i])) == 0)
            return prony_params_set(tables[i], name + strlen(owners[i]), value, error);
    return prony_fail(error, -EINVAL, "unknown word '%s' in the order", name);
}

/* Words that choose plug-ins come first, then seed and timeout, then parameters. */
static int take_word(struct prony_host *host, const char *name, const char *value, struct prony_error *error)
{
    struct prony_bench *bench = &host->bench;
    if (strcmp(name, "plugin") == 0) {
        char path[64];
        char *shown;
        long fd = strtol(value, &shown, 10);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%ld", fd);
        return prony_registry_load(path, shown + 1, NULL, error);
    }
    if (strcmp(name, "engine") == 0) {
        bench->engine = prony_find_engine(value, error);
        return bench->engine == NULL ? error->code
                                     : prony_params_init(&host->engine_params, bench->engine->head.options, error);
    }
    if (strcmp(name, "workload") == 0) {
        host->workload = prony_find_workload(value, error);
        return host->workload == NULL ? error->code
                                      : prony_params_init(&host->workload_params, host->workload->head.options, error);
    }
    if (strcmp(name, "channel") == 0) {
        host->channel_ops = prony_find_channel(value, error);
        return host->channel_ops == NULL
                   ? error->code
                   : prony_params_init(&host->channel_params, host->channel_ops->head.options, error);
    }
    if (strcmp(name, "runner") == 0)
        host->runner_pid = (int)strtol(value, NULL, 10);
    else if (strcmp(name, "caller") == 0)
        host->caller_pu = (int)strtol(value, NULL, 10);
    else if (strcmp(name, "seed") == 0)
        bench->seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "timeout") == 0)
        bench->timeout_ns = strtoll(value, NULL, 10);
    else
        return set_param(host, name, value, error);
    return 0;
}

static int take_words(struct prony_host *host, char *text, size_t bytes, struct prony_error *error)
{
    char *end = text + bytes;
    int code = prony_params_init(&host->own_params, prony_cell_options, error);
    while (code == 0 && text < end) {
        char *next = text + strlen(text) + 1, *value = strchr(text, '=');
        if (value == NULL)
            return prony_fail(error, -EINVAL, "'%s' in the order has no value", text);
        *value++ = '\0';
        code = take_word(host, text, value, error);
        text = next;
    }
    if (code == 0 && (host->workload == NULL || host->bench.engine == NULL))
        code = prony_fail(error, -EINVAL, "the order names no engine or no workload");
    return code;
}

/* Sits down on each worker's PU in turn and touches that worker's memory, so that it lies on its node whoever fills it
 * later. */
static int first_touch(struct prony_host *host, struct prony_error *error)
{
    const struct prony_setup *setup = &host->setup;
    const struct prony_board *board = (const struct prony_board *)(const void *)host->arena.base;
    volatile unsigned char *base = host->arena.base;
    int code = 0;
    for (unsigned i = 0; i < setup->workers && code == 0; i++) {
        uint64_t lo = board->data.len / setup->workers * i, own = setup->own.off + i * setup->own_stride;
        uint64_t hi = i + 1 == setup->workers ? board->data.len : board->data.len / setup->workers * (i + 1);
        if (setup->pus[i] >= 0 && (i == 0 || setup->pus[i] != setup->pus[i - 1]))
            code = prony_bind_self_to(&setup->pus[i], 1, error);
        for (uint64_t off = lo; off < hi; off += 4096)
            base[board->data.off + off] = 0;
        for (uint64_t off = 0; off < setup->own_stride; off += 4096)
            base[own + off] = 0;
    }
    if (code == 0 && host->caller_pu >= 0 && host->workload->shape == PRONY_LIFE)
        code = prony_bind_self_to(setup->pus, setup->workers,
                                  error); /* no gang binds the workers of a life: they inherit this */
    else if (code == 0 && host->caller_pu >= 0)
        code = prony_bind_self_to(&host->caller_pu, 1, error);
    return code;
}

static int make_channel(struct prony_host *host, struct prony_error *error)
{
    struct prony_board *board = (struct prony_board *)(void *)host->arena.base;
    struct prony_blob *ends = (struct prony_blob *)(void *)(host->arena.base + board->ends.off);
    int code;
    if (host->channel_ops == NULL || board->nends == 0)
        return 0;
    code = host->channel_ops->create(&host->channel_params, board->nends, &host->channel, error);
    if (code != 0)
        return prony_fail_within(error, code, "channel %s", host->channel_ops->head.name);
    for (unsigned i = 0; i < board->nends; i++) {
        code = host->channel_ops->address(host->channel, i, &ends[i]);
        if (code != 0)
            return prony_fail(error, code, "channel %s: end %u has no address: %s", host->channel_ops->head.name, i,
                              strerrordesc_np(-code));
    }
    host->setup.channel = host->channel_ops;
    return 0;
}

static int make_bench(struct prony_host *host, struct prony_error *error)
{
    struct prony_bench *bench = &host->bench;
    const struct prony_board *board = (const struct prony_board *)(const void *)host->arena.base;
    bench->setup = &host->setup;
    bench->params = &host->workload_params;
    bench->need = &host->need;
    bench->data = board->data;
    bench->futures = board->futures;
    bench->chunk = prony_param_int(&host->own_params, "chunk");
    bench->repeats = 1;
    host->offsets = calloc(host->need.futures + 1, sizeof *host->offsets);
    host->status = calloc(host->setup.workers, sizeof *host->status);
    bench->error = calloc(1, sizeof *bench->error);
    if (host->offsets == NULL || host->status == NULL || bench->error == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the host's own tables");
    for (uint64_t i = 0; i < host->need.futures; i++)
        host->offsets[i] = board->futures.off + i * sizeof(struct prony_future);
    bench->future_offsets = host->offsets;
    host->drive = prony_drive_of(host->workload);
    prony_drive_use(host->workload);
    return host->drive != NULL ? 0 : prony_fail(error, -EINVAL, "workload %s has no drive", host->workload->head.name);
}

static int make_setup(struct prony_host *host, struct prony_error *error)
{
    struct prony_setup *setup = &host->setup;
    const struct prony_board *board;
    int code = prony_board_setup(host->arena.base, host->arena.bytes, setup, error);
    if (code == 0)
        code = host->workload->need(&host->workload_params, setup->workers, &host->need, error);
    if (code != 0)
        return code;
    board = (const struct prony_board *)(const void *)host->arena.base;
    host->kernels[0] = prony_own_kernels;
    host->kernels[1] = host->workload->kernels;
    setup->kernels = host->kernels;
    setup->workloads = 2;
    setup->plugin_path = prony_registry_path(&host->workload->head);
    setup->params = &host->engine_params;
    if (host->need.ends == 0) { /* the channel is not the workload's, so it is the engine's */
        setup->carrier = host->channel_ops;
        setup->carrier_params = host->channel_ops == NULL ? NULL : &host->channel_params;
    }
    setup->arena_fd = host->arena.fd;
    setup->control_fd = host->control_fd;
    setup->host_pid = runner_of_host = getpid();
    setup->started = worker_started;
    setup->caller_pu = host->caller_pu;
    host->counting = board->events != 0;
    if (host->counting && (host->provider = prony_find_provider(board->provider, error)) == NULL)
        return error->code;
    if (host->counting && host->provider->region != NULL)
        host->kernels[1] = prony_rerun_wrap(host->workload->kernels, host->provider);
    return 0;
}

static int prepare_counters(struct prony_host *host, struct prony_error *error)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)host->arena.base;
    const char *names[PRONY_EVENTS_MAX], *name = (const char *)host->arena.base + board->names.off;
    for (unsigned i = 0; i < board->events; i++, name += strlen(name) + 1)
        names[i] = name;
    return host->provider->prepare == NULL ? 0 : host->provider->prepare(names, board->events, error);
}

static int open_engine(struct prony_host *host, struct prony_error *error)
{
    struct prony_bench *bench = &host->bench;
    struct prony_board *board = (struct prony_board *)(void *)host->arena.base;
    const char *name = bench->engine->head.name;
    struct prony_task task = {.lo = 0};
    int code;
    if (host->workload->task != NULL)
        host->workload->task(bench, &task);
    memcpy(board->argument, task.arg, sizeof board->argument);
    if (host->workload->shape == PRONY_LIFE) {
        host->counting = false; /* its workers come and go within a sample */
        return 0;
    }
    memset(host->arena.base + host->setup.area.off, 0, host->setup.area.len);
    code = bench->engine->open(&host->setup, &bench->handle, error);
    if (code != 0) {
        bench->handle = NULL;
        if (strncmp(error->text, "engine ", strlen("engine ")) == 0)
            return code; /* it has said which one it is */
        return prony_fail_within(error, code, "engine %s does not open", name);
    }
    code = prony_host_unpark(host, error);
    if (code == 0 && host->channel != NULL)
        code = prony_host_gang(host, PRONY_OWN_ATTACH, (bench->engine->head.caps & PRONY_CAP_SHARED) == 0,
                               "attaching the channel", error);
    if (code == 0 && host->channel != NULL && host->channel_ops->settle != NULL)
        host->channel_ops->settle(host->channel);
    if (code == 0 && host->counting)
        code = prony_host_gang(host, PRONY_OWN_COUNT_ENTER, host->set, "opening counters", error);
    prony_host_park(host);
    return code;
}

int prony_host_open(struct prony_host *host, struct prony_error *error)
{
    int code = make_setup(host, error);
    if (code == 0)
        code = make_bench(host, error);
    if (code == 0)
        code = first_touch(host, error);
    if (code == 0 && host->workload->prepare != NULL)
        code = host->workload->prepare(&host->bench, error);
    if (code == 0)
        code = make_channel(host, error);
    if (code == 0 && host->counting)
        code = prepare_counters(host, error);
    if (code == 0)
        code = open_engine(host, error);
    return code;
}

static int open_cell(struct prony_host *host, char *text, size_t bytes, struct prony_answer *answer)
{
    struct prony_error *error = &answer->error;
    int code = take_words(host, text, bytes, error);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (code == 0 && host->runner_pid != 0 && getppid() != host->runner_pid)
        code = prony_fail(error, -ESRCH, "the runner is gone");
    if (code == 0)
        code = prony_arena_attach(&host->arena, PRONY_HOST_ARENA, error);
    if (code == 0)
        code = prony_host_open(host, error);
    if (code == 0 && host->bench.handle != NULL && host->bench.engine->about != NULL)
        (void)snprintf(answer->about, sizeof answer->about, "%s", host->bench.engine->about(host->bench.handle));
    return code;
}

int prony_host_close(struct prony_host *host, struct prony_error *error)
{
    struct prony_bench *bench = &host->bench;
    int code = 0;
    if (bench->handle != NULL) {
        struct prony_error ignored = {0, ""};
        (void)prony_host_unpark(host, &ignored);
        if (host->counting)
            (void)prony_host_gang(host, PRONY_OWN_COUNT_LEAVE, 0, "closing counters", &ignored);
        if (host->channel != NULL)
            (void)prony_host_gang(host, PRONY_OWN_DETACH, 0, "detaching the channel", &ignored);
        code = bench->engine->close(bench->handle, 1, gang_timeout_ns);
        bench->handle = NULL;
        if (code != 0)
            (void)prony_fail(error, code, "engine %s does not close: %s", bench->engine->head.name,
                             strerrordesc_np(-code));
    }
    if (host->channel != NULL)
        host->channel_ops->destroy(host->channel);
    if (host->workload != NULL && host->workload->release != NULL && bench->setup != NULL)
        host->workload->release(bench);
    prony_params_free(&host->engine_params);
    prony_params_free(&host->workload_params);
    prony_params_free(&host->channel_params);
    prony_params_free(&host->own_params);
    free(host->offsets);
    free(host->status);
    free(bench->error);
    if (host->arena.base != NULL)
        prony_arena_close(&host->arena);
    return code;
}

int prony_host_main(int argc, char **argv)
{
    static union {
        struct prony_order order;
        char bytes[sizeof(struct prony_order) + PRONY_ORDER_TEXT];
    } in;
    static struct prony_host host = {.control_fd = PRONY_HOST_CONTROL, .caller_pu = -1, .parked = true};
    static struct prony_answer answer;
    bool open = true;
    if (argc < 2 || fcntl(PRONY_HOST_CONTROL, F_GETFD) < 0) {
        (void)fprintf(stderr, "prony: %s is for prony itself\n", PRONY_HOST_ARGUMENT);
        return 2;
    }
    (void)close_range((unsigned)strtoul(argv[1], NULL, 10), ~0u, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* a dead peer is -EPIPE */
    while (open) {
        ssize_t got = recv(PRONY_HOST_CONTROL, in.bytes, sizeof in.bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < (ssize_t)sizeof in.order)
            break; /* the runner is gone */
        memset(&answer, 0, sizeof answer);
        if (in.order.kind == PRONY_ORDER_OPEN)
            (void)open_cell(&host, in.bytes + sizeof in.order, in.order.text_bytes, &answer);
        else if (in.order.kind == PRONY_ORDER_WARM)
            prony_host_warm(&host, &in.order, &answer);
        else if (in.order.kind == PRONY_ORDER_VISIT)
            prony_host_visit(&host, &in.order, &answer);
        else if (in.order.kind == PRONY_ORDER_COUNT)
            prony_host_count(&host, &in.order, &answer);
        else if (in.order.kind == PRONY_ORDER_PROFILE)
            prony_host_profile(&host, &in.order, &answer);
        else
            open = false;
        if (!open)
            (void)prony_host_close(&host, &answer.error);
        if (send(PRONY_HOST_CONTROL, &answer, sizeof answer, MSG_NOSIGNAL) < 0)
            break;
    }
    return 0;
}
