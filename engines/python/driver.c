/* CPython's pools as engines, driven over a socket: what all of them do alike. */
#include "engines/python/driver.h"

#include "base/clock.h"
#include "engines/foreign.h"
#include "engines/python/interpreter.h"
#include "engines/python/talk.h"
#include "pools_py.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECES = 4,  /* chunks a worker, when nobody says more */
    START_S = 60 /* for an interpreter on a busy machine to come up */
};

const char *const prony_python_starts[] = {"fork", "spawn", "forkserver", NULL};
const char *const prony_python_codes[] = {"c", "python", NULL};

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
    if (dladdr(prony_python_starts, &object) != 0 && object.dli_fname != NULL &&
        (beside(object.dli_fname, in_lib, path, bytes) || beside(object.dli_fname, here, path, bytes)))
        return 0;
    return prony_fail(error, -ENOTSUP,
                      "libprony_image.so is neither beside the program nor in ../lib: "
                      "set it with -p engine.image=PATH");
}

int prony_python_probe(struct prony_error *error)
{
    char path[PATH_MAX];
#ifdef PRONY_SANITIZED
    return prony_fail(
        error, -ENOTSUP,
        "a build with sanitizers cannot load its kernels into Python, which starts without their runtime");
#endif
    if (prony_python_look(NULL, error) != 0)
        return -ENOTSUP;
    return image_find("", path, sizeof path, error);
}

static uint64_t end_of(int64_t timeout_ns)
{
    return timeout_ns < 0 ? UINT64_MAX : prony_now_ns() + (uint64_t)timeout_ns;
}

uint64_t prony_python_area(const struct prony_params *params, unsigned workers)
{
    (void)params, (void)workers;
    return sizeof(struct prony_foreign);
}

/* Starts Python and waits until its pool is ready; its workers start with the first call. */
static int start(struct prony_python *python, const char *engine, const char *method, struct prony_error *error)
{
    const struct prony_setup *setup = python->setup;
    char interpreter[PATH_MAX], image[PATH_MAX];
    const char *const more[] = {engine, method, prony_python_codes[option_int(setup, "code")], image};
    unsigned char packet[PRONY_PYTHON_BYTES];
    int got, code = prony_python_resolve(option_text(setup, "python"), interpreter, sizeof interpreter, error);
    if (code == 0)
        code = image_find(option_text(setup, "image"), image, sizeof image, error);
    if (code == 0)
        code = prony_child_start(&python->child, interpreter, setup, more, error);
    if (code != 0)
        return code;
    got = prony_python_await(python, "RE", packet, sizeof packet - 1, end_of(START_S * 1000000000ll));
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

static int check(const struct prony_setup *setup, int method, struct prony_error *error)
{
    if (setup->arena_fd < 0)
        return prony_fail(error, -ENOTSUP, "the arena has no descriptor to be mapped by");
    if (setup->area.len < sizeof(struct prony_foreign))
        return prony_fail(error, -EINVAL, "no area in the arena");
    for (unsigned i = 0; i < setup->nends && method != 0; i++)
        if (setup->ends[i].fds != 0)
            return prony_fail(error, -ENOTSUP, "workers inherit the channel's descriptors only with start=fork, not %s",
                              prony_python_starts[method]);
    return 0;
}

int prony_python_open(const char *engine, int starts, const struct prony_setup *setup, void **handle,
                      struct prony_error *error)
{
    int method = starts ? (int)option_int(setup, "start") : 0, code = check(setup, method, error);
    struct prony_python *python = code == 0 ? calloc(1, sizeof *python) : NULL;
    if (python == NULL)
        return prony_fail_within(error, code == 0 ? prony_fail(error, -ENOMEM, "no memory") : code, "engine %s",
                                 engine);
    python->setup = setup;
    python->foreign = (void *)(setup->base + setup->area.off);
    python->chunksize = option_int(setup, "chunksize");
    code = prony_child_prepare(&python->child, pools_py, sizeof pools_py, error);
    python->child.tracked = method != 0;
    if (code == 0) {
        code = start(python, engine, prony_python_starts[method], error);
        if (code == 0) {
            *handle = python;
            return 0;
        }
        prony_child_release(&python->child);
    }
    free(python->pending);
    free(python);
    return prony_fail_within(error, code, "engine %s", engine);
}

const char *prony_python_about(void *handle)
{
    return ((struct prony_python *)handle)->about;
}

/* The statuses by worker from pairs of thread id and status. */
static void gang_read(const struct prony_python *python, const unsigned char *pairs, int bytes, unsigned roles,
                      int *status)
{
    const struct prony_setup *setup = python->setup;
    const struct prony_slot *slots = (const void *)(setup->base + setup->slots.off);
    for (; bytes >= 8; bytes -= 8, pairs += 8) {
        int32_t pair[2];
        memcpy(pair, pairs, sizeof pair);
        for (unsigned i = 0; i < roles; i++)
            if (slots[i].tid == pair[0])
                status[i] = pair[1];
    }
}

int prony_python_gang(void *handle, const struct prony_task *task, unsigned roles, int *status, int64_t timeout_ns)
{
    struct prony_python *python = handle;
    unsigned char packet[5 + sizeof *task], *answer;
    uint64_t end_ns = end_of(timeout_ns);
    size_t room = 5 + 16 * (size_t)python->setup->workers;
    int code, death, late = 0;
    bool back;
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
    code = prony_python_post(python, packet, sizeof packet, end_ns);
    if (code == 0)
        code = prony_python_await(python, "G", answer, room, end_ns);
    if (code == -ETIMEDOUT) {
        late = code;
        prony_foreign_stop(python->foreign);
        code = prony_python_await(python, "G", answer, room, prony_now_ns() + PRONY_PYTHON_GRACE_MS * 1000000ull);
    }
    for (unsigned i = 0; code <= -PRONY_DIED && i < roles; i++) /* the interpreter went, and all with it */
        status[i] = code;
    back = code >= 5;
    if (back) {
        memcpy(&death, answer + 1, sizeof death);
        gang_read(python, answer + 5, code - 5, roles, status);
        code = death != 0 ? death : late;
    }
    free(answer);
    if (code <= -PRONY_DIED || (code == -ETIMEDOUT && !back)) /* its answer would be taken for the next gang's */
        python->broken = code;
    return code <= -PRONY_DIED ? 0 : code;
}

int prony_python_map(void *handle, const struct prony_task *task, int64_t chunk, struct prony_tally *tally,
                     int64_t timeout_ns)
{
    struct prony_python *python = handle;
    uint64_t end_ns = end_of(timeout_ns);
    int64_t items = task->hi - task->lo;
    unsigned char packet[9 + sizeof *task], answer[PRONY_PYTHON_BYTES];
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
    code = prony_python_post(python, packet, sizeof packet, end_ns);
    if (code == 0)
        code = prony_python_await(python, "M", answer, sizeof answer, end_ns);
    if (code < 0) { /* nobody can say any more which chunks were done */
        *tally = (struct prony_tally){code, (unsigned)((items + chunk - 1) / chunk), task->lo, task->hi};
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
static int enlist(struct prony_python *python, struct prony_task *task)
{
    struct prony_future *future = prony_python_future(python, task->future);
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

int prony_python_submit(void *handle, const struct prony_task *tasks, unsigned n)
{
    struct prony_python *python = handle;
    int code = python->broken;
    unsigned sent = 0;
    while (code == 0 && sent < n) {
        unsigned char packet[1 + PRONY_PYTHON_BATCH * sizeof *tasks];
        unsigned batch = 0;
        packet[0] = 'S';
        for (; code == 0 && batch < PRONY_PYTHON_BATCH && sent + batch < n; batch += code == 0) {
            struct prony_task task = tasks[sent + batch];
            code = enlist(python, &task);
            memcpy(packet + 1 + batch * sizeof task, &task, sizeof task);
        }
        if (batch != 0) {
            int posted = prony_python_post(python, packet, 1 + batch * sizeof *tasks, UINT64_MAX);
            code = posted != 0 ? posted : code;
            sent += batch; /* when the post failed, these are done with what broke the engine */
        }
    }
    for (; code != 0 && sent < n; sent++)
        prony_python_done(prony_python_future(python, tasks[sent].future), code);
    return code;
}

int prony_python_wait(void *handle, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns)
{
    struct prony_python *python = handle;
    struct pollfd poller = {.fd = python->child.socket, .events = POLLIN};
    unsigned char packet[PRONY_PYTHON_BYTES];
    uint64_t end_ns = end_of(timeout_ns);
    unsigned done, first = 0; /* all before `first` are done */
    if (need > n)
        return -EINVAL;
    for (;;) {
        int length, got = 1;
        while (got > 0 && python->child.pid != 0)
            got = prony_python_take(python, packet, sizeof packet, &length);
        while (first < n && prony_future_phase(prony_python_future(python, futures[first])) == PRONY_DONE)
            first++;
        done = first;
        for (unsigned i = first; i < n && done < need && need < n; i++)
            done += prony_future_phase(prony_python_future(python, futures[i])) == PRONY_DONE;
        if (done >= need)
            return 0;
        if (python->child.pid == 0)
            return python->broken;
        if (poll(&poller, 1, prony_child_left_ms(end_ns)) <= 0 && prony_child_left_ms(end_ns) == 0)
            return -ETIMEDOUT;
    }
}

/* A task that no worker has claimed is done here; Python carries its remains to a worker, who refuses them. */
int prony_python_cancel(void *handle, uint64_t offset, int kill)
{
    struct prony_python *python = handle;
    struct prony_future *future = prony_python_future(python, offset);
    uint32_t state = __atomic_load_n(&future->state, __ATOMIC_ACQUIRE);
    (void)kill;
    if ((state & 3u) != PRONY_QUEUED ||
        !__atomic_compare_exchange_n(&future->state, &state, (state & ~3u) | PRONY_RUNNING, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return -EALREADY;
    prony_python_forget(python, offset);
    prony_python_done(future, -ECANCELED);
    return 0;
}

int prony_python_close(void *handle, int drain, int64_t timeout_ns)
{
    struct prony_python *python = handle;
    unsigned char packet[PRONY_PYTHON_BYTES] = {'C', drain != 0};
    uint64_t end_ns = end_of(timeout_ns);
    int code = python->child.pid == 0 ? 0 : python->broken;
    for (size_t i = drain ? 0 : python->count; i-- > 0;) /* backwards: the last one takes a free place */
        (void)prony_python_cancel(python, python->pending[i], 0);
    if (python->child.pid != 0 && code != -ETIMEDOUT) {
        code = prony_python_post(python, packet, 5, end_ns);
        if (code == 0)
            code = prony_python_await(python, "C", packet, sizeof packet, end_ns);
        if (code >= 0)
            code = prony_child_reap(&python->child, end_ns);
    }
    prony_child_release(&python->child);
    prony_python_fail(python, -ECANCELED);
    free(python->pending);
    free(python);
    return code == -ETIMEDOUT ? code : 0;
}
