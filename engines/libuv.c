/* libuv: the thread pool behind uv_queue_work, a peer whose results come back through an event loop.
 *
 * A task, and a chunk of a map, is one uv_queue_work; it is done when its callback has run in the caller's loop, which
 * runs while the caller waits. Idle threads block.
 *
 * libuv has one pool a process, of a size that is read once (UV_THREADPOOL_SIZE), and no call that ends it. So the
 * library is loaded when the engine opens and unloaded when it closes: its own destructor ends the threads. The time of
 * loading is part of what an opening costs here. */
#include "engines/peer.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { THREADS_MOST = 1024 }; /* of libuv's pool */

struct job {
    uv_work_t work;
    struct prony_peer_job job;
    struct job *next; /* among those that are free */
};

/* The functions in use, by their own names without the prefix. */
#define FUNCTIONS(X)                                                                                                   \
    X(loop_init)                                                                                                       \
    X(loop_close) X(run) X(queue_work) X(timer_init) X(timer_start) X(timer_stop) X(close) X(version_string)

struct libuv {
    struct prony_peer peer;
    void *library;
#define POINTER(name) __typeof__(uv_##name) *name;
    FUNCTIONS(POINTER)
#undef POINTER
    uv_loop_t loop;
    uv_timer_t timer;
    struct job *spare;
    char about[80];
};

static void work(uv_work_t *request)
{
    prony_peer_job_run(&((struct job *)request->data)->job);
}

static void after_work(uv_work_t *request, int status)
{
    struct job *job = request->data;
    struct libuv *libuv = (struct libuv *)(void *)job->job.peer;
    (void)status; /* nothing is cancelled by libuv's means */
    prony_peer_job_done(&job->job);
    job->next = libuv->spare;
    libuv->spare = job;
}

static int libuv_post(struct prony_peer *peer, const struct prony_peer_job *given)
{
    struct libuv *libuv = (struct libuv *)(void *)peer;
    struct job *job = libuv->spare;
    int code;
    if (job != NULL)
        libuv->spare = job->next;
    else if ((job = malloc(sizeof *job)) == NULL)
        return -ENOMEM;
    job->job = *given;
    job->work.data = job;
    code = libuv->queue_work(&libuv->loop, &job->work, work, after_work);
    if (code != 0) {
        job->next = libuv->spare;
        libuv->spare = job;
    }
    return code;
}

static void time_up(uv_timer_t *timer)
{
    (void)timer;
}

/* One turn of the loop, in which callbacks may change the word. */
static void libuv_pause(struct prony_peer *peer, uint32_t *word, uint32_t value, int64_t timeout_ns)
{
    struct libuv *libuv = (struct libuv *)(void *)peer;
    (void)word, (void)value;
    if (timeout_ns > 0)
        (void)libuv->timer_start(&libuv->timer, time_up, ((uint64_t)timeout_ns + 999999u) / 1000000u, 0);
    (void)libuv->run(&libuv->loop, timeout_ns == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    if (timeout_ns > 0)
        (void)libuv->timer_stop(&libuv->timer);
}

static const struct prony_worker_ops worker_ops = {NULL, NULL, prony_peer_barrier, prony_peer_stopped};
static const struct prony_peer_ops ops = {.post = libuv_post, .pause = libuv_pause, .worker = &worker_ops};

static int load(struct libuv *libuv, struct prony_error *error)
{
    libuv->library = dlopen("libuv.so.1", RTLD_NOW | RTLD_LOCAL);
    if (libuv->library == NULL)
        return prony_fail(error, -ENOTSUP, "%s: install libuv1", dlerror());
#define LOOK_UP(name)                                                                                                  \
    if ((*(void **)(void *)&libuv->name = dlsym(libuv->library, "uv_" #name)) == NULL)                                 \
        return prony_fail(error, -ENOTSUP, "%s: a newer libuv is needed", dlerror());
    FUNCTIONS(LOOK_UP)
#undef LOOK_UP
    return 0;
}

static void unload(struct libuv *libuv)
{
    if (libuv->library != NULL)
        (void)dlclose(libuv->library);
    prony_peer_free(&libuv->peer);
}

static int libuv_probe(struct prony_error *error)
{
    void *library = dlopen("libuv.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        return prony_fail(error, -ENOTSUP, "%s: install libuv1", dlerror());
    (void)dlclose(library);
    return 0;
}

static int libuv_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    char size[16];
    struct libuv *libuv = NULL;
    int code = 0;
    if (setup->workers > THREADS_MOST)
        return prony_fail(error, -ENOTSUP, "engine libuv: %u workers, but its pool has at most %d threads",
                          setup->workers, THREADS_MOST);
    libuv = prony_peer_make(sizeof *libuv, setup, &ops, error);
    if (libuv == NULL)
        return prony_fail_within(error, -ENOMEM, "engine libuv");
    code = load(libuv, error);
    if (code == 0) {
        (void)snprintf(size, sizeof size, "%u", setup->workers);
        (void)setenv("UV_THREADPOOL_SIZE", size, 1); /* read at the first uv_queue_work */
        code = libuv->loop_init(&libuv->loop);
        if (code != 0)
            (void)prony_fail(error, code, "no event loop: %s", strerrordesc_np(-code));
    }
    if (code != 0) {
        unload(libuv);
        return prony_fail_within(error, code, "engine libuv");
    }
    (void)libuv->timer_init(&libuv->loop, &libuv->timer);
    (void)snprintf(libuv->about, sizeof libuv->about, "libuv %s, uv_queue_work, UV_THREADPOOL_SIZE=%u",
                   libuv->version_string(), setup->workers);
    *handle = libuv;
    return 0;
}

static const char *libuv_about(void *handle)
{
    return ((struct libuv *)handle)->about;
}

static int libuv_close(void *handle, int drain, int64_t timeout_ns)
{
    struct libuv *libuv = handle;
    if (prony_peer_drain(&libuv->peer, drain, timeout_ns) != 0)
        return -ETIMEDOUT; /* a thread is stuck in a kernel, and needs what it uses */
    libuv->close((uv_handle_t *)&libuv->timer, NULL);
    (void)libuv->run(&libuv->loop, UV_RUN_DEFAULT); /* what was cancelled before its turn still comes back */
    (void)libuv->loop_close(&libuv->loop);
    for (struct job *job = libuv->spare; job != NULL; job = libuv->spare) {
        libuv->spare = job->next;
        free(job);
    }
    unload(libuv);
    (void)unsetenv("UV_THREADPOOL_SIZE");
    return 0;
}

PRONY_EXPORT(engine, libuv) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "libuv", .summary = "the thread pool behind libuv's uv_queue_work",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_CANCEL | PRONY_CAP_SHARED,
                       .probe = libuv_probe),
    .open = libuv_open,
    .gang = prony_peer_gang,
    .map = prony_peer_map,
    .submit = prony_peer_submit,
    .wait = prony_peer_wait,
    .cancel = prony_peer_cancel,
    .close = libuv_close,
    .about = libuv_about,
};
