/* fifo: two named pipes a pair of ends, one for each direction.
 *
 * A stream, as the pipe, whose kernel code it shares: what differs is how it is opened. The names live for the moment of
 * opening in a new folder of their own below `path`; a fifo's inode is then held by its descriptors alone. Not measured:
 * opening by name. */
#include "channels/keeper.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"capacity", PRONY_BYTES, "0", 0, 1073741824.0, NULL, "bytes that a fifo holds; 0: the kernel's default, 64 KiB"},
    {"path", PRONY_TEXT, "/tmp", 0, 0, NULL, "the folder in which the fifo is made, and removed at once"},
    {.name = NULL},
};

/* Opens both ends of a fifo that has no name afterwards. */
static void open_both(const void *what, struct prony_made *made)
{
    const char *folder = what;
    char inner[PATH_MAX], name[PATH_MAX + 8];
    struct prony_error *error = &made->error;
    if (snprintf(inner, sizeof inner, "%s/prony-fifo-XXXXXX", folder) >= (int)sizeof inner) {
        (void)prony_fail(error, -ENAMETOOLONG, "the path '%s' is too long", folder);
        return;
    }
    if (mkdtemp(inner) == NULL) {
        (void)prony_fail(error, -errno, "no folder for a fifo below '%s': %s", folder, strerrordesc_np(errno));
        return;
    }
    (void)snprintf(name, sizeof name, "%s/fifo", inner);
    if (mkfifo(name, 0600) != 0) {
        (void)prony_fail(error, -errno, "no fifo below '%s': %s", folder, strerrordesc_np(errno));
    } else {
        made->fd[0] = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        made->fd[1] = made->fd[0] < 0 ? -1 : open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        made->fds = 2;
        if (made->fd[1] < 0) {
            made->fds = 0;
            (void)prony_fail(error, -errno, "a fifo does not open: %s", strerrordesc_np(errno));
        }
        (void)unlink(name);
    }
    (void)rmdir(inner);
}

static int join(const struct prony_params *params, struct prony_blob *from, struct prony_blob *to,
                struct prony_error *error)
{
    enum prony_wait wait = (enum prony_wait)prony_call_of(to)->wait;
    int64_t capacity = prony_param_int(params, "capacity");
    struct prony_maker maker;
    struct prony_made made;
    int code = prony_maker_start(&maker, open_both, prony_param_text(params, "path"), &made, error);
    if (code != 0)
        return code;
    prony_maker_end(&maker);
    to->fd[PRONY_IN] = made.fd[0];
    from->fd[PRONY_OUT] = made.fd[1];
    to->fds = from->fds = 2;
    code = prony_fd_policy(made.fd[0], wait, error);
    if (code == 0)
        code = prony_fd_policy(made.fd[1], wait, error);
    if (code == 0 && capacity > 0 && fcntl(made.fd[1], F_SETPIPE_SZ, (int)capacity) < 0)
        return prony_fail(error, -errno, "a fifo cannot hold %lld bytes: %s (/proc/sys/fs/pipe-max-size)",
                          (long long)capacity, strerrordesc_np(errno));
    return code;
}

static int fifo_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                        struct prony_error *error)
{
    int code = join(params, a, b, error);
    return code != 0 ? code : join(params, b, a, error);
}

static int fifo_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, fifo_connect, channel, error);
}

static int64_t fifo_send(void *end, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_send(line, line->fd[PRONY_OUT], PRONY_FD_PIPE, data, bytes, prony_line_deadline(timeout_ns));
}

static int64_t fifo_recv(void *end, void *data, size_t bytes, int64_t timeout_ns)
{
    struct prony_line *line = end;
    return prony_stream_recv(line, line->fd[PRONY_IN], data, bytes, prony_line_deadline(timeout_ns));
}

PRONY_EXPORT(channel, fifo) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "fifo", .summary = "named pipes, one for each direction",
                       .caps = PRONY_CHANNEL_STREAM | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .copies = 2,
    .create = fifo_create,
    .address = prony_lines_address,
    .attach = prony_line_new,
    .send = fifo_send,
    .recv = fifo_recv,
    .pollfd = prony_line_pollfd,
    .detach = prony_line_free,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
