/* process-vm: the receiver copies straight out of the sender's memory by process_vm_readv; a Unix sequenced-packet socket
 * says where the message lies and when it has been read.
 *
 * Messages with boundaries, of any size, one copy. A send ends when its message has been read. Two that send to each other
 * at once do not lock up: who waits for its own message to be read takes the other's into a stash meanwhile, at the price
 * of another copy. Needs the right to read the peer's memory (ptrace). */
#include "channels/line.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {.name = NULL},
};

struct notice {
    uint64_t address, bytes;
    int32_t pid; /* 0: "your message has been read" */
    int32_t code;
};

struct vm_end {
    struct prony_line line;
    unsigned char *stash; /* a message that came while this end waited to be read */
    uint64_t stashed;
    bool full;
    unsigned owed; /* notices of reading that a send gave up waiting for */
};

static int vm_probe(struct prony_error *error)
{
    char from = 'x', to = 0;
    struct iovec local = {&to, 1}, remote = {&from, 1};
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    int scope = 0;
    if (file != NULL) {
        if (fscanf(file, "%d", &scope) != 1)
            scope = 0;
        (void)fclose(file);
    }
    if (scope > 1)
        return prony_fail(error, -ENOTSUP,
                          "reading a peer's memory is not allowed: set kernel.yama.ptrace_scope to 0 or 1");
    if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1)
        return prony_fail(error, -ENOTSUP, "process_vm_readv does not work here: %s", strerrordesc_np(errno));
    return 0;
}

static int vm_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                      struct prony_error *error)
{
    (void)params;
    return prony_socket_pair(SOCK_SEQPACKET, 0, a, b, error);
}

static int vm_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, vm_connect, channel, error);
}

static int vm_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                     struct prony_error *error)
{
    struct vm_end *end = calloc(1, sizeof *end);
    int code;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    code = prony_line_attach(blob, &end->line, error);
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* Yama lets siblings read only by leave */
    if (code == 0)
        *result = end;
    else
        free(end);
    return code;
}

static void vm_detach(void *handle)
{
    struct vm_end *end = handle;
    prony_line_detach(&end->line);
    free(end->stash);
    free(end);
}

static int tell(struct vm_end *end, const struct notice *notice, uint64_t deadline)
{
    int64_t n = prony_packet_send(&end->line, end->line.fd[0], notice, sizeof *notice, deadline);
    return n < 0 ? (int)n : 0;
}

static int hear(struct vm_end *end, struct notice *notice, uint64_t deadline)
{
    int64_t n = prony_packet_recv(&end->line, end->line.fd[0], notice, sizeof *notice, deadline);
    if (n == (int64_t)sizeof *notice)
        return 0;
    return n < 0 ? (int)n : n == 0 ? -EPIPE : -EPROTO; /* nobody sends an empty notice: that is the end */
}

/* Copies what a notice speaks of and says so. */
static int fetch(struct vm_end *end, const struct notice *notice, void *to, uint64_t bytes)
{
    struct notice done = {.bytes = notice->bytes};
    uint64_t got = 0;
    while (got < bytes && done.code == 0) {
        struct iovec local = {(char *)to + got, bytes - got};
        struct iovec remote = {(void *)(uintptr_t)(notice->address + got), bytes - got};
        ssize_t n = process_vm_readv(notice->pid, &local, 1, &remote, 1, 0);
        if (n > 0)
            got += (uint64_t)n;
        else if (n == 0 || errno != EINTR)
            done.code = n < 0 && errno != ESRCH ? -errno : -EPIPE;
    }
    int code = tell(end, &done, UINT64_MAX);
    return done.code != 0 ? done.code : code;
}

static int stash(struct vm_end *end, const struct notice *notice)
{
    unsigned char *room = realloc(end->stash, notice->bytes + 1);
    if (end->full || room == NULL)
        return end->full ? -EPROTO : -ENOMEM;
    end->stash = room;
    end->stashed = notice->bytes;
    end->full = true;
    return fetch(end, notice, room, notice->bytes);
}

static int64_t vm_send(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct vm_end *end = handle;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    struct notice notice = {(uint64_t)(uintptr_t)data, bytes, (int32_t)getpid(), 0};
    int code = tell(end, &notice, deadline);
    if (code != 0)
        return code;
    for (;;) {
        code = hear(end, &notice, deadline);
        if (code == -ETIMEDOUT)
            end->owed++;
        if (code != 0)
            return code;
        if (notice.pid != 0) {
            code = stash(end, &notice);
            if (code != 0)
                return code;
        } else if (end->owed > 0) {
            end->owed--;
        } else {
            return notice.code != 0 ? notice.code : (int64_t)bytes;
        }
    }
}

static int64_t vm_recv(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    struct vm_end *end = handle;
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    struct notice notice;
    int code;
    if (end->full) {
        end->full = false;
        if (end->stashed > 0)
            memcpy(data, end->stash, end->stashed < bytes ? end->stashed : bytes);
        return end->stashed > bytes ? -EMSGSIZE : (int64_t)end->stashed;
    }
    for (;;) {
        code = hear(end, &notice, deadline);
        if (code != 0)
            return code;
        if (notice.pid != 0)
            break;
        end->owed -= end->owed > 0 ? 1 : 0;
    }
    code = fetch(end, &notice, data, notice.bytes < bytes ? notice.bytes : bytes);
    if (code != 0)
        return code;
    return notice.bytes > bytes ? -EMSGSIZE : (int64_t)notice.bytes;
}

PRONY_EXPORT(channel, process_vm) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "process-vm",
                       .summary = "process_vm_readv out of the sender's memory, announced on a socket",
                       .caps = PRONY_CHANNEL_RENDEZVOUS | PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES |
                               PRONY_CHANNEL_WAITS_ALL,
                       .options = options, .probe = vm_probe),
    .copies = 1,
    .create = vm_create,
    .address = prony_lines_address,
    .attach = vm_attach,
    .send = vm_send,
    .recv = vm_recv,
    .pollfd = prony_line_pollfd,
    .detach = vm_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
