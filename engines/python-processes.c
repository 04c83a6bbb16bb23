/* python-processes: CPython's concurrent.futures.ProcessPoolExecutor, driven over a socket (engines/python/processes.py),
 * running our kernels through ctypes (libprony_image.so) in the same arena, on the same PUs.
 *
 * What is measured: Python's executor with its pickling, queues and locks. What is not: Python as a language, since the
 * kernels are C. The adapter adds the socket and the packing of tasks to what the executor costs by itself; a task is
 * seen to be done when the executor's thread has said so here. An empty task cost 1.5 times what the executor takes for an
 * empty function with 128 bytes of argument (median of 7 rounds in turn, from 0.9 to 2.6, 4000 tasks, CPython 3.11, two
 * bound workers against two unbound ones, a busy virtual machine of 2 CPUs).
 *
 * Fragile, as the executor is: a dead worker breaks the pool, every pending task fails with its signal, and the engine
 * must be opened again; until then each call returns that code. A map or gang that runs out of time breaks it too. */
#include <prony/plugin/engine.h>

#include "base/clock.h"
#include "engines/foreign.h"
#include "engines/python/child.h"
#include "engines/python/interpreter.h"
#include "processes.py.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BATCH = 64, /* tasks in a packet */
    PACKET_BYTES = 16 + BATCH * (int)sizeof(struct prony_task),
    PIECES = 4,     /* chunks a worker, when nobody says more */
    START_S = 60,   /* for an interpreter on a busy machine to come up */
    GRACE_MS = 1000 /* for a stopped gang to come back, for a dead process to be reaped */
};

struct python {
    const struct prony_setup *setup;
    struct prony_foreign *foreign;
    struct prony_child child;
    int broken; /* the code that every call returns from now on; 0: alive */
    int64_t chunksize;
    uint64_t *pending; /* futures under way; future->outer is the place in here */
    size_t count, room;
    char about[256];
};

static const char *const starts[] = {"fork", "spawn", "forkserver", NULL};

static const struct prony_option options[] = {
    {"python", PRONY_TEXT, "", 0, 0, NULL, "the interpreter, a path or a name; else python3, python3.13 .. python3.9"},
    {"start", PRONY_CHOICE, "fork", 0, 0, starts, "multiprocessing's start method"},
    {"chunksize", PRONY_INT, "0", 0, 1e9, NULL,
     "items a call if no chunk is given: 1 as Python's map, 0: items/(4 workers)"},
    {"image", PRONY_TEXT, "", 0, 0, NULL,
     "the library of kernels; else libprony_image.so beside the program or in ../lib"},
    {NULL, PRONY_INT, NULL, 0, 0, NULL, NULL},
};

static const char *option_text(const struct prony_setup *setup, const char *name)
{
    return setup->params == NULL ? "" : prony_param_text(setup->params, name);
}

static int64_t option_int(const struct prony_setup *setup, const char *name)
{
    return setup->params == NULL ? 0 : prony_param_int(setup->params, name);
}

/* The file `name` in the folder of `file`, when it can be read. */
static int beside(const char *file, const char *name, char *path, size_t bytes)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        return 0;
    (void)snprintf(path, bytes, "%.*s/%s", (int)(slash - file), file, name);
    return access(path, R_OK) == 0;
}

/* The library of kernels for foreign processes: near the program, or near the object this code was linked into. */
static int image_find(const char *asked, char *path, size_t bytes, struct prony_error *error)
{
    static const char in_lib[] = "../lib/libprony_image.so", here[] = "libprony_image.so";
    char program[PATH_MAX] = "";
    Dl_info object;
    if (asked[0] != '\0') {
        (void)snprintf(path, bytes, "%s", asked);
        return access(path, R_OK) == 0
                   ? 0
                   : prony_fail(error, -ENOTSUP, "%s cannot be read: %s", path, strerrordesc_np(errno));
    }
    if (readlink("/proc/self/exe", program, sizeof program - 1) > 0 &&
        (beside(program, in_lib, path, bytes) || beside(program, here, path, bytes)))
        return 0;
    if (dladdr(starts, &object) != 0 && object.dli_fname != NULL &&
        (beside(object.dli_fname, in_lib, path, bytes) || beside(object.dli_fname, here, path, bytes)))
        return 0;
    return prony_fail(error, -ENOTSUP,
                      "libprony_image.so is neither beside the program nor in ../lib: "
                      "set python-processes.image");
}

static int python_probe(struct prony_error *error)
{
    char path[PATH_MAX];
#ifdef PRONY_SANITIZED
    return prony_fail(error, -ENOTSUP, "a build with sanitizers cannot load its kernels into Python");
#endif
    if (prony_python_look(NULL, error) != 0)
        return -ENOTSUP;
    return image_find("", path, sizeof path, error);
}

static struct prony_future *future_at(const struct python *python, uint64_t offset)
{
    return (struct prony_future *)(void *)(python->setup->base + offset);
}

static void future_done(struct prony_future *future, int status)
{
    future->status = status;
    future->done_ns = prony_now_ns();
    __atomic_store_n(&future->state, (future->state & ~3u) | PRONY_DONE, __ATOMIC_RELEASE);
}

/* Takes a future off the list. */
static void forget(struct python *python, uint64_t offset)
{
    uint64_t last = python->pending[--python->count], place = future_at(python, offset)->outer;
    python->pending[place] = last;
    future_at(python, last)->outer = place;
}

static void fail_pending(struct python *python, int code)
{
    while (python->count != 0)
        future_done(future_at(python, python->pending[--python->count]), code);
}

/* The process is gone or does not speak any more. */
static int lost(struct python *python)
{
    char why[160];
    size_t length = strlen(python->about);
    int status = prony_child_reap(&python->child, prony_now_ns() + GRACE_MS * 1000000ull);
    if (status == -ETIMEDOUT)
        prony_child_kill(&python->child);
    prony_child_last_line(&python->child, why, sizeof why);
    (void)snprintf(python->about + length, sizeof python->about - length, "; ended: %s", why);
    if (python->broken == 0)
        python->broken = status > 0 && WIFSIGNALED(status) ? -(PRONY_DIED + WTERMSIG(status)) : -EPIPE;
    fail_pending(python, python->broken);
    return python->broken;
}

/* An answer to a task. One that was cancelled is done already, and its future may be in use again. */
static void resolve(struct python *python, const unsigned char *packet)
{
    uint64_t offset;
    uint32_t ticket, state;
    int32_t status;
    memcpy(&offset, packet + 1, sizeof offset);
    memcpy(&ticket, packet + 9, sizeof ticket);
    memcpy(&status, packet + 13, sizeof status);
    state = __atomic_load_n(&future_at(python, offset)->state, __ATOMIC_ACQUIRE);
    if (state >> 2 == ticket && (state & 3u) != PRONY_DONE) {
        forget(python, offset);
        future_done(future_at(python, offset), status);
    }
    if (status <= -PRONY_DIED)
        python->broken = status;
}

/* Reads one packet without waiting, and resolves a future if it is that. Its first letter, 0: none there, or what broke
 * the engine. */
static int take(struct python *python, unsigned char *packet, size_t bytes, int *length)
{
    ssize_t got;
    do
        got = recv(python->child.socket, packet, bytes, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got <= 0)
        return lost(python);
    if (packet[0] == 'S' && got == 17)
        resolve(python, packet);
    *length = (int)got;
    return packet[0];
}

/* Waits for a packet that begins with one of these letters. Its length, -ETIMEDOUT, or what broke the engine. */
static int await(struct python *python, const char *letters, unsigned char *packet, size_t bytes, uint64_t end_ns)
{
    struct pollfd poller = {.fd = python->child.socket, .events = POLLIN};
    int length = 0;
    for (;;) {
        int got = take(python, packet, bytes, &length);
        if (got < 0)
            return got;
        if (got > 0 && strchr(letters, got) != NULL)
            return length;
        if (got == 0 && poll(&poller, 1, prony_child_left_ms(end_ns)) <= 0 && prony_child_left_ms(end_ns) == 0)
            return -ETIMEDOUT;
    }
}

/* Sends a packet, taking answers meanwhile: else both sides could wait for ever. */
static int post(struct python *python, const void *packet, size_t bytes, uint64_t end_ns)
{
    for (;;) {
        unsigned char answer[PACKET_BYTES];
        struct pollfd poller = {.fd = python->child.socket, .events = POLLIN | POLLOUT};
        int length, got = 1;
        if (send(python->child.socket, packet, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return lost(python);
        while (got > 0)
            got = take(python, answer, sizeof answer, &length);
        if (got < 0)
            return got;
        if (poll(&poller, 1, prony_child_left_ms(end_ns)) <= 0 && prony_child_left_ms(end_ns) == 0)
            return -ETIMEDOUT;
    }
}

static uint64_t end_of(int64_t timeout_ns)
{
    return timeout_ns < 0 ? UINT64_MAX : prony_now_ns() + (uint64_t)timeout_ns;
}

static uint64_t python_area(const struct prony_params *params, unsigned workers)
{
    (void)params, (void)workers;
    return sizeof(struct prony_foreign);
}

/* Starts Python and waits until its pool is ready; its workers start with the first call. */
static int start(struct python *python, struct prony_error *error)
{
    const struct prony_setup *setup = python->setup;
    const char *method = starts[option_int(setup, "start")];
    char interpreter[PATH_MAX], image[PATH_MAX];
    const char *const more[] = {method, image, NULL};
    unsigned char packet[PACKET_BYTES];
    int got, code = prony_python_resolve(option_text(setup, "python"), interpreter, sizeof interpreter, error);
    if (code == 0)
        code = image_find(option_text(setup, "image"), image, sizeof image, error);
    if (code == 0)
        code = prony_child_start(&python->child, interpreter, setup, more, error);
    if (code != 0)
        return code;
    got = await(python, "RE", packet, sizeof packet - 1, end_of(START_S * 1000000000ll));
    if (got == -ETIMEDOUT)
        return prony_fail(error, got, "%s did not come up within %d s", interpreter, START_S);
    if (got < 0)
        return prony_fail(error, got, "%s%s", interpreter, python->about);
    packet[got] = '\0';
    if (packet[0] == 'E') {
        memcpy(&code, packet + 1, sizeof code);
        return prony_fail(error, code, "%s", (const char *)packet + 1 + sizeof code);
    }
    (void)snprintf(python->about, sizeof python->about, "%.100s, %.100s", (const char *)packet + 1, interpreter);
    return 0;
}

static int python_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    struct python *python;
    int code;
    if (setup->arena_fd < 0)
        return prony_fail(error, -ENOTSUP, "engine python-processes: the arena has no descriptor to be mapped by");
    if (setup->area.len < sizeof(struct prony_foreign))
        return prony_fail(error, -EINVAL, "engine python-processes: no area in the arena");
    for (unsigned i = 0; i < setup->nends && option_int(setup, "start") != 0; i++)
        if (setup->ends[i].fds != 0)
            return prony_fail(error, -ENOTSUP,
                              "engine python-processes: workers inherit the channel's descriptors only "
                              "with start=fork, not %s",
                              starts[option_int(setup, "start")]);
    python = calloc(1, sizeof *python);
    if (python == NULL)
        return prony_fail(error, -ENOMEM, "engine python-processes: no memory");
    python->setup = setup;
    python->foreign = (void *)(setup->base + setup->area.off);
    python->chunksize = option_int(setup, "chunksize");
    code = prony_child_prepare(&python->child, processes_py, sizeof processes_py, error);
    python->child.tracked = option_int(setup, "start") != 0;
    if (code == 0) {
        code = start(python, error);
        if (code == 0) {
            *handle = python;
            return 0;
        }
        prony_child_release(&python->child);
    }
    free(python->pending);
    free(python);
    return prony_fail_within(error, code, "engine python-processes");
}

static const char *python_about(void *handle)
{
    return ((struct python *)handle)->about;
}

/* The statuses by worker from pairs of process and status. */
static void gang_read(const struct python *python, const unsigned char *pairs, int bytes, unsigned roles, int *status)
{
    const struct prony_setup *setup = python->setup;
    const struct prony_slot *slots = (const void *)(setup->base + setup->slots.off);
    for (; bytes >= 8; bytes -= 8, pairs += 8) {
        int32_t pair[2];
        memcpy(pair, pairs, sizeof pair);
        for (unsigned i = 0; i < roles; i++)
            if (slots[i].pid == pair[0])
                status[i] = pair[1];
    }
}

static int python_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct python *python = handle;
    unsigned char packet[5 + sizeof *task], *answer;
    uint64_t end_ns = end_of(timeout_ns);
    size_t room = 5 + 16 * (size_t)python->setup->workers;
    int code, death, late = 0;
    if (python->broken != 0 || roles == 0 || roles > python->setup->workers)
        return python->broken != 0 ? python->broken : -EINVAL;
    answer = malloc(room);
    if (answer == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < roles; i++)
        status[i] = -ECANCELED;
    prony_foreign_reset(python->foreign);
    packet[0] = 'G';
    memcpy(packet + 1, &roles, 4);
    memcpy(packet + 5, task, sizeof *task);
    code = post(python, packet, sizeof packet, end_ns);
    if (code == 0)
        code = await(python, "G", answer, room, end_ns);
    if (code == -ETIMEDOUT) {
        late = code;
        prony_foreign_stop(python->foreign);
        code = await(python, "G", answer, room, prony_now_ns() + GRACE_MS * 1000000ull);
    }
    if (code >= 5) {
        memcpy(&death, answer + 1, sizeof death);
        gang_read(python, answer + 5, code - 5, roles, status);
        code = death != 0 ? death : late;
    }
    free(answer);
    if (code == -ETIMEDOUT && code != late)
        python->broken = code;
    else if (code <= -PRONY_DIED)
        python->broken = code;
    return code <= -PRONY_DIED ? 0 : code;
}

static int python_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                      int64_t timeout_ns)
{
    struct python *python = handle;
    uint64_t end_ns = end_of(timeout_ns);
    int64_t items = task->hi - task->lo;
    unsigned char packet[9 + sizeof *task], answer[PACKET_BYTES];
    int code;
    memset(tally, 0, sizeof *tally);
    if (python->broken != 0 || items < 0 || chunk < 0)
        return python->broken != 0 ? python->broken : -EINVAL;
    if (chunk == 0)
        chunk = python->chunksize != 0 ? python->chunksize : items / (PIECES * (int64_t)python->setup->workers);
    chunk = chunk < 1 ? 1 : chunk;
    packet[0] = 'M';
    memcpy(packet + 1, &chunk, sizeof chunk);
    memcpy(packet + 9, task, sizeof *task);
    code = post(python, packet, sizeof packet, end_ns);
    if (code == 0)
        code = await(python, "M", answer, sizeof answer, end_ns);
    if (code < 0) {
        python->broken = code;
        return code;
    }
    memcpy(&tally->status, answer + 1, 4);
    memcpy(&tally->failed, answer + 5, 4);
    memcpy(&tally->first_lo, answer + 9, 8);
    memcpy(&tally->first_hi, answer + 17, 8);
    memcpy(&code, answer + 25, 4);
    if (code != 0)
        python->broken = code;
    return code;
}

/* Makes futures QUEUED and puts them on the list. */
static int enlist(struct python *python, struct prony_task *task)
{
    struct prony_future *future = future_at(python, task->future);
    if (python->count == python->room) {
        size_t room = python->room == 0 ? 256 : 2 * python->room;
        uint64_t *pending = realloc(python->pending, room * sizeof *pending);
        if (pending == NULL)
            return -ENOMEM;
        python->pending = pending;
        python->room = room;
    }
    task->ticket = ((future->state >> 2) + 1) & (UINT32_MAX >> 2);
    future->status = 0;
    future->begun_ns = future->ended_ns = future->done_ns = 0;
    future->queued_ns = prony_now_ns();
    future->outer = python->count;
    __atomic_store_n(&future->state, task->ticket << 2 | PRONY_QUEUED, __ATOMIC_RELEASE);
    python->pending[python->count++] = task->future;
    return 0;
}

static int python_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct python *python = handle;
    int code = python->broken;
    unsigned sent = 0;
    while (code == 0 && sent < n) {
        unsigned char packet[1 + BATCH * sizeof *tasks];
        unsigned batch = 0;
        packet[0] = 'S';
        for (; code == 0 && batch < BATCH && sent + batch < n; batch += code == 0) {
            struct prony_task task = tasks[sent + batch];
            code = enlist(python, &task);
            memcpy(packet + 1 + batch * sizeof task, &task, sizeof task);
        }
        if (batch != 0) {
            int posted = post(python, packet, 1 + batch * sizeof *tasks, UINT64_MAX);
            code = posted != 0 ? posted : code;
            sent += batch; /* when the post failed, these are done with what broke the engine */
        }
    }
    for (; code != 0 && sent < n; sent++)
        future_done(future_at(python, tasks[sent].future), code);
    return code;
}

static int python_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct python *python = handle;
    struct pollfd poller = {.fd = python->child.socket, .events = POLLIN};
    unsigned char packet[PACKET_BYTES];
    uint64_t end_ns = end_of(timeout_ns);
    unsigned done, first = 0; /* all before `first` are done */
    if (need > n)
        return -EINVAL;
    for (;;) {
        int length, got = 1;
        while (got > 0 && python->child.pid != 0)
            got = take(python, packet, sizeof packet, &length);
        while (first < n && prony_future_phase(future_at(python, futures[first])) == PRONY_DONE)
            first++;
        done = first;
        for (unsigned i = first; i < n && done < need && need < n; i++)
            done += prony_future_phase(future_at(python, futures[i])) == PRONY_DONE;
        if (done >= need)
            return 0;
        if (python->child.pid == 0)
            return python->broken;
        if (poll(&poller, 1, prony_child_left_ms(end_ns)) <= 0 && prony_child_left_ms(end_ns) == 0)
            return -ETIMEDOUT;
    }
}

/* A task that no worker has claimed is done here; Python carries its remains to a worker, who refuses them. */
static int python_cancel(void *handle, uint64_t offset, int kill)
{
    struct python *python = handle;
    struct prony_future *future = future_at(python, offset);
    uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    (void)kill;
    if ((state & 3u) != PRONY_QUEUED ||
        !__atomic_compare_exchange_n(&future->state, &state, (state & ~3u) | PRONY_RUNNING, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return -EALREADY;
    forget(python, offset);
    future_done(future, -ECANCELED);
    return 0;
}

static int python_close(void *handle, int drain, int64_t timeout_ns)
{
    struct python *python = handle;
    unsigned char packet[PACKET_BYTES] = {'C', drain != 0};
    uint64_t end_ns = end_of(timeout_ns);
    int code = python->child.pid == 0 ? 0 : python->broken;
    while (!drain && python->count != 0 && python_cancel(python, python->pending[python->count - 1], 0) == 0)
        continue;
    if (python->child.pid != 0 && code != -ETIMEDOUT) {
        code = post(python, packet, 5, end_ns);
        if (code == 0)
            code = await(python, "C", packet, sizeof packet, end_ns);
        if (code >= 0)
            code = prony_child_reap(&python->child, end_ns);
    }
    prony_child_release(&python->child);
    fail_pending(python, -ECANCELED);
    free(python->pending);
    free(python);
    return code == -ETIMEDOUT ? code : 0;
}

PRONY_EXPORT(engine, python_processes) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "python-processes",
                       .summary = "CPython's ProcessPoolExecutor, calling the kernels through ctypes",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_CANCEL | PRONY_CAP_FRAGILE,
                       .options = options, .probe = python_probe),
    .area = python_area,
    .open = python_open,
    .gang = python_gang,
    .map = python_map,
    .submit = python_submit,
    .wait = python_wait,
    .cancel = python_cancel,
    .close = python_close,
    .about = python_about,
};
