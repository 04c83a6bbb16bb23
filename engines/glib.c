/* glib: GLib's GThreadPool with exclusive threads, a peer with one locked queue.
 *
 * A task, and a chunk of a map, is one g_thread_pool_push. The futures and the caller's sleep are ours: GLib has none.
 * Idle threads block. The caller runs nothing. */
#include "engines/peer.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

struct glib {
    struct prony_peer peer;
    GThreadPool *pool;
    char about[80];
};

static void job_run(gpointer data, gpointer user)
{
    struct prony_peer_job job = *(struct prony_peer_job *)data;
    (void)user;
    free(data);
    prony_peer_job_run(&job);
    prony_peer_job_done(&job);
}

static int glib_post(struct prony_peer *peer, const struct prony_peer_job *job)
{
    struct glib *glib = (struct glib *)(void *)peer;
    struct prony_peer_job *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return -ENOMEM;
    *copy = *job;
    (void)g_thread_pool_push(glib->pool, copy, NULL); /* an exclusive pool has its threads already */
    return 0;
}

static const struct prony_worker_ops worker_ops = {NULL, NULL, prony_peer_barrier, prony_peer_stopped};
static const struct prony_peer_ops ops = {.post = glib_post, .worker = &worker_ops};

static int glib_open(const struct prony_setup *setup, void **handle, struct prony_error *error)
{
    GError *why = NULL;
    struct glib *glib = prony_peer_make(sizeof *glib, setup, &ops, error);
    int code = glib == NULL ? -ENOMEM : 0;
    if (code == 0) {
        glib->pool = g_thread_pool_new(job_run, NULL, (gint)setup->workers, TRUE, &why);
        if (why != NULL) { /* the pool exists, with too few threads */
            code = prony_fail(error, -EAGAIN, "%s", why->message);
            g_error_free(why);
            g_thread_pool_free(glib->pool, TRUE, TRUE);
            prony_peer_free(&glib->peer);
        }
    }
    if (code != 0)
        return prony_fail_within(error, error == NULL ? code : error->code, "engine glib");
    (void)snprintf(glib->about, sizeof glib->about, "GLib %u.%u.%u, GThreadPool, exclusive", glib_major_version,
                   glib_minor_version, glib_micro_version);
    *handle = glib;
    return 0;
}

static const char *glib_about(void *handle)
{
    return ((struct glib *)handle)->about;
}

static int glib_close(void *handle, int drain, int64_t timeout_ns)
{
    struct glib *glib = handle;
    int code = prony_peer_drain(&glib->peer, drain, timeout_ns);
    if (code != 0)
        return -ETIMEDOUT; /* a thread is stuck in a kernel, and needs what it uses */
    g_thread_pool_free(glib->pool, FALSE, TRUE);
    prony_peer_free(&glib->peer);
    return 0;
}

PRONY_EXPORT(engine, glib) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "glib", .summary = "GLib's GThreadPool, with exclusive threads",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_CANCEL | PRONY_CAP_SHARED),
    .open = glib_open,
    .gang = prony_peer_gang,
    .map = prony_peer_map,
    .submit = prony_peer_submit,
    .wait = prony_peer_wait,
    .cancel = prony_peer_cancel,
    .close = glib_close,
    .about = glib_about,
};
