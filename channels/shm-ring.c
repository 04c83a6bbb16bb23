/* shm-ring: a ring in shared memory for each direction; no kernel, unless somebody sleeps.
 *
 * Messages with boundaries, of any size: large ones go in pieces of a quarter of the ring, so that copying in and copying
 * out overlap. The same ring lies in a memfd, a POSIX or System V segment, or a mapped file (memory=), and has two layouts
 * (ring.h). reserve and publish write in place: one copy less. A sleeper is woken by a futex; whoever publishes looks for
 * one unless both sides spin. Not measured: the kernel's part in any of this. */
#include "channels/keeper.h"
#include "channels/ring.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMFD, POSIX, SYSV, MAPPED_FILE };
static const char *const memories[] = {"memfd", "posix", "sysv", "file", NULL};
static const char *const layouts[] = {"slots", "bytes", NULL};

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_own),
    {"capacity", PRONY_BYTES, "256Ki", 4096, 1073741824.0, NULL, "bytes of a ring; a power of two"},
    {"layout", PRONY_CHOICE, "slots", 0, 0, layouts, "a line and a word to each message, or bytes close together"},
    {"memory", PRONY_CHOICE, "memfd", 0, 0, memories, "where the rings lie"},
    {"path", PRONY_TEXT, "/tmp", 0, 0, NULL, "memory=file: the folder of the file, which has no name"},
    {"nontemporal", PRONY_BYTES, "0", 0, 1073741824.0, NULL,
     "pieces of at least this many bytes are written past the cache; 0: none"},
    {.name = NULL},
};

struct plan {
    uint64_t bytes; /* of a ring */
    uint64_t nontemporal;
    int32_t layout, sysv; /* sysv: the segment's id; -1: descriptor 0 */
};

struct ring_end {
    struct prony_line line;
    struct prony_ring_side side[2];
    unsigned char *base;
    uint64_t nontemporal;
    uint64_t reserved; /* bytes that reserve has promised */
    bool sysv, quiet;  /* quiet: nobody sleeps, nobody needs waking */
    uint64_t mapped;
};

static uint64_t stride_of(uint64_t bytes)
{
    return (sizeof(struct prony_ring) + bytes + 4095u) & ~(uint64_t)4095u;
}

/* POSIX shared memory whose name is gone again. */
static void open_named(const void *what, struct prony_made *made)
{
    char name[64];
    (void)what;
    (void)snprintf(name, sizeof name, "/prony-%d-%llx", (int)getpid(), (unsigned long long)prony_now_ns());
    made->fd[0] = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (made->fd[0] < 0) {
        (void)prony_fail(&made->error, -errno, "no file for a ring in /dev/shm: %s (mount -o remount,size=,nr_inodes=)",
                         strerrordesc_np(errno));
        return;
    }
    (void)shm_unlink(name);
    made->fds = 1;
}

static int open_memory(const struct prony_params *params, struct prony_error *error)
{
    const char *path = prony_param_text(params, "path");
    struct prony_maker maker;
    struct prony_made made;
    int fd = -1, code;
    switch (prony_param_int(params, "memory")) {
    case POSIX:
        code = prony_maker_start(&maker, open_named, NULL, &made, error);
        if (code != 0)
            return code;
        prony_maker_end(&maker);
        return made.fd[0];
    case MAPPED_FILE:
        fd = open(path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        break;
    default:
        fd = memfd_create("prony-ring", MFD_CLOEXEC);
        path = "memory";
    }
    return fd >= 0 ? fd : prony_fail(error, -errno, "no file for a ring in %s: %s", path, strerrordesc_np(errno));
}

/* A segment lives on when it is marked for removal, as long as somebody has it attached: its maker at first. */
static void make_segment(const void *what, struct prony_made *made)
{
    const uint64_t *bytes = what;
    const void *base;
    int id = shmget(IPC_PRIVATE, *bytes, IPC_CREAT | 0600);
    if (id < 0) {
        (void)prony_fail(&made->error, -errno,
                         "no segment of %llu bytes: %s (raise /proc/sys/kernel/shmmax, shmall or shmmni)",
                         (unsigned long long)*bytes, strerrordesc_np(errno));
        return;
    }
    base = shmat(id, NULL, 0);
    if (base == (void *)-1)
        (void)prony_fail(&made->error, -errno, "a segment cannot be attached: %s", strerrordesc_np(errno));
    (void)shmctl(id, IPC_RMID, NULL);
    made->number = id;
}

/* The creator has it attached until it settles. */
static int open_segment(uint64_t bytes, void **held, struct prony_error *error)
{
    struct prony_maker maker;
    struct prony_made made;
    int code = prony_maker_start(&maker, make_segment, &bytes, &made, error);
    if (code != 0)
        return code;
    *held = shmat(made.number, NULL, 0);
    code = *held != (void *)-1 ? made.number
                               : prony_fail(error, -errno, "a segment cannot be attached: %s", strerrordesc_np(errno));
    prony_maker_end(&maker);
    return code;
}

/* The creator's hold on a segment is kept where its address is: in the even end's plan, the host's copy alone. */
struct host_plan {
    struct plan plan;
    void *held;
};

static int ring_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                        struct prony_error *error)
{
    struct host_plan host = {{.bytes = (uint64_t)prony_param_int(params, "capacity"),
                              .nontemporal = (uint64_t)prony_param_int(params, "nontemporal"),
                              .layout = (int32_t)prony_param_int(params, "layout"),
                              .sysv = -1},
                             NULL};
    uint64_t bytes = 2 * stride_of(host.plan.bytes);
    int fd, code = 0;
    if ((host.plan.bytes & (host.plan.bytes - 1)) != 0)
        return prony_fail(error, -EINVAL, "capacity: %llu is no power of two", (unsigned long long)host.plan.bytes);
    if (prony_param_int(params, "memory") == SYSV) {
        host.plan.sysv = code = open_segment(bytes, &host.held, error);
    } else {
        fd = code = open_memory(params, error);
        if (fd >= 0) {
            (void)prony_blob_add(a, fd);
            code = ftruncate(fd, (off_t)bytes) == 0 ? prony_blob_add_copy(b, fd, error)
                                                    : prony_fail(error, -errno, "no room for %llu bytes: %s",
                                                                 (unsigned long long)bytes, strerrordesc_np(errno));
        }
    }
    memcpy(prony_call_of(a)->own, &host, sizeof host);
    memcpy(prony_call_of(b)->own, &host.plan, sizeof host.plan);
    code = code < 0 ? code : prony_lifeline(a, b, error);
    if (code != 0 && host.held != NULL && host.held != (void *)-1)
        (void)shmdt(host.held);
    return code;
}

static int ring_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, ring_connect, channel, error);
}

static void ring_settle(void *channel)
{
    struct prony_lines *lines = channel;
    for (unsigned i = 0; i < lines->ends; i += 2) {
        struct host_plan host;
        memcpy(&host, prony_call_of(&lines->blob[i])->own, sizeof host);
        if (host.held != NULL && host.held != (void *)-1)
            (void)shmdt(host.held);
        memset(prony_call_of(&lines->blob[i])->own, 0, sizeof host);
    }
    prony_lines_settle(lines);
}

static void ring_destroy(void *channel)
{
    ring_settle(channel);
    prony_lines_destroy(channel);
}

/* What is free on the disk is known when a page is written, by SIGBUS: so it is asked for first. */
static int map_ring(struct ring_end *end, const struct plan *plan, struct prony_error *error)
{
    end->sysv = plan->sysv >= 0;
    end->mapped = 2 * stride_of(plan->bytes);
    if (end->sysv) {
        end->base = shmat(plan->sysv, NULL, 0);
        if (end->base == (void *)-1)
            return prony_fail(error, -errno, "the segment cannot be attached: %s", strerrordesc_np(errno));
        return 0;
    }
    int full = posix_fallocate(end->line.fd[0], 0, (off_t)end->mapped);
    if (full != 0)
        return prony_fail(error, -full,
                          "no room for a ring of %llu bytes: %s: take a smaller capacity, or make the file "
                          "system larger (/dev/shm: mount -o remount,size=)",
                          (unsigned long long)end->mapped, strerrordesc_np(full));
    end->base = mmap(NULL, end->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, end->line.fd[0], 0);
    return end->base != MAP_FAILED
               ? 0
               : prony_fail(error, -errno, "shared memory cannot be mapped: %s", strerrordesc_np(errno));
}

static int ring_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                       struct prony_error *error)
{
    const struct prony_call *call = (const struct prony_call *)(const void *)blob->data;
    struct ring_end *end = aligned_alloc(128, (sizeof *end + 127u) & ~(size_t)127u);
    struct plan plan;
    int code;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    memset(end, 0, sizeof *end);
    memcpy(&plan, call->own, sizeof plan);
    code = prony_line_attach(blob, &end->line, error);
    if (code == 0 && (code = map_ring(end, &plan, error)) != 0)
        prony_line_detach(&end->line);
    if (code != 0) {
        free(end);
        return code;
    }
    end->line.stride = PRONY_STRIDE_MEMORY;
    end->quiet = end->line.wait == PRONY_WAIT_SPIN;
    end->nontemporal = plan.nontemporal == 0 ? UINT64_MAX : plan.nontemporal;
    for (unsigned i = 0; i < 2; i++) { /* end 0 writes the first ring, end 1 the second */
        unsigned which = i == PRONY_OUT ? call->number & 1u : (call->number & 1u) ^ 1u;
        end->side[i] = prony_ring_side_of((struct prony_ring *)(void *)(end->base + which * stride_of(plan.bytes)),
                                          plan.bytes, (enum prony_layout)plan.layout);
    }
    *result = end;
    return 0;
}

static void ring_detach(void *handle)
{
    struct ring_end *end = handle;
    if (end->sysv)
        (void)shmdt(end->base);
    else
        (void)munmap(end->base, end->mapped);
    prony_line_detach(&end->line);
    free(end);
}

/* Wakes the other side if it has said that it sleeps. */
static inline void wake(const struct ring_end *end, uint32_t *sleeps)
{
    if (end->quiet)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(sleeps, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(sleeps, 0, __ATOMIC_RELAXED);
        prony_futex_wake(sleeps, 1);
    }
}

/* The next word; a writer that waits for the rest of the ring to be skipped is woken. */
static inline uint64_t look(struct ring_end *end)
{
    struct prony_ring_side *side = &end->side[PRONY_IN];
    uint64_t told = side->told, word = prony_ring_look(side);
    if (told != side->told)
        wake(end, &side->ring->writer_sleeps);
    return word;
}

static bool is_ready(struct ring_end *end, int way, uint64_t bytes)
{
    return way == PRONY_IN ? look(end) != 0 : prony_ring_claim(&end->side[way], bytes) != NULL;
}

/* Says that this side sleeps, looks once more, sleeps. */
static int await(struct ring_end *end, int way, uint64_t bytes, uint64_t deadline)
{
    struct prony_waiting waiting = prony_wait_at(&end->line, way, deadline);
    struct prony_ring *ring = end->side[way].ring;
    uint32_t *sleeps = way == PRONY_IN ? &ring->reader_sleeps : &ring->writer_sleeps;
    while (!is_ready(end, way, bytes)) {
        int code = prony_wait_next(&waiting);
        if (code < 0)
            return code == -EPIPE && is_ready(end, way, bytes) ? 0 : code;
        if (code == 0)
            continue;
        __atomic_store_n(sleeps, 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!is_ready(end, way, bytes))
            (void)prony_futex_wait(sleeps, 1, (int64_t)waiting.slice_ns);
        __atomic_store_n(sleeps, 0, __ATOMIC_RELAXED);
    }
    prony_wait_end(&waiting);
    return 0;
}

static inline unsigned char *claim(struct ring_end *end, uint64_t bytes, uint64_t deadline, int *code)
{
    unsigned char *place = prony_ring_claim(&end->side[PRONY_OUT], bytes);
    if (place == NULL && (*code = await(end, PRONY_OUT, bytes, deadline)) == 0)
        place = prony_ring_claim(&end->side[PRONY_OUT], bytes);
    return place;
}

static int64_t ring_send(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct ring_end *end = handle;
    struct prony_ring_side *side = &end->side[PRONY_OUT];
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    const unsigned char *from = data;
    size_t left = bytes;
    do {
        uint64_t piece = left < side->piece ? left : side->piece;
        int code = 0;
        unsigned char *place = claim(end, piece, deadline, &code);
        if (place == NULL)
            return code;
        if (piece >= end->nontemporal && side->layout == PRONY_RING_SLOTS && piece > 128)
            prony_ring_copy_past(place, from, piece);
        else if (piece > 0)
            memcpy(place, from, piece);
        prony_ring_publish(side, piece, piece < left);
        wake(end, &side->ring->reader_sleeps);
        from += piece;
        left -= piece;
    } while (left > 0);
    return (int64_t)bytes;
}

static int64_t ring_recv(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    struct ring_end *end = handle;
    struct prony_ring_side *side = &end->side[PRONY_IN];
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    size_t done = 0;
    uint64_t word, piece;
    do {
        size_t room;
        word = look(end);
        if (word == 0) {
            int code = await(end, PRONY_IN, 0, deadline);
            if (code != 0)
                return code;
            word = look(end);
        }
        piece = PRONY_RING_LENGTH(word);
        room = done < bytes ? bytes - done : 0;
        if (piece > 0 && room > 0)
            memcpy((unsigned char *)data + done, prony_ring_piece(side, piece), piece < room ? piece : room);
        done += piece;
        if (prony_ring_release(side, piece))
            wake(end, &side->ring->writer_sleeps);
    } while ((word & PRONY_RING_MORE) != 0);
    return done > bytes ? -EMSGSIZE : (int64_t)done;
}

static int ring_reserve(void *handle, size_t bytes, void **data)
{
    struct ring_end *end = handle;
    int code = 0;
    if (bytes > end->side[PRONY_OUT].piece)
        return -EMSGSIZE;
    *data = claim(end, bytes, UINT64_MAX, &code);
    end->reserved = bytes;
    return code;
}

/* The place of a piece depends on its length: what is published is what was reserved. */
static int ring_publish(void *handle, size_t bytes)
{
    struct ring_end *end = handle;
    struct prony_ring_side *side = &end->side[PRONY_OUT];
    if (bytes != end->reserved)
        return -EINVAL;
    prony_ring_publish(side, bytes, false);
    wake(end, &side->ring->reader_sleeps);
    return 0;
}

PRONY_EXPORT(channel, shm_ring) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "shm-ring", .summary = "a ring in shared memory",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_OWN |
                               PRONY_CHANNEL_IN_PLACE,
                       .options = options),
    .copies = 2,
    .create = ring_create,
    .address = prony_lines_address,
    .attach = ring_attach,
    .send = ring_send,
    .recv = ring_recv,
    .reserve = ring_reserve,
    .publish = ring_publish,
    .detach = ring_detach,
    .destroy = ring_destroy,
    .forget = prony_blob_forget,
    .settle = ring_settle,
};
