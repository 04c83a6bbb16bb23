/* mp-queue: the algorithm of Python's multiprocessing.Queue (Lib/multiprocessing/queues.py), without Python.
 *
 * A bounded semaphore counts the room; put appends to a buffer in the sender's memory and rings a condition variable; a
 * feeder thread, started by the first put, takes what lies there and writes it under the writers' lock into a pipe, behind
 * a length of four bytes (in the same write up to 16 KiB, else in one of its own); get takes the readers' lock, reads
 * length and payload, and gives the room back. The difference to Python: nothing is pickled, and put copies the payload
 * where Python keeps a reference; the write never sleeps, so that a feeder whose reader has stopped can be let go.
 *
 * Messages with boundaries. A limit of time holds until a message begins to arrive; its rest is waited for. `wait` is that
 * of the caller: the feeder always sleeps. It runs on the sender's PU, and its CPU time is seen only where the process is
 * measured. */
#include "channels/line.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LINGER_NS 1000000000u /* how long detach waits for a reader who does not read */
#define TOGETHER 16384u       /* bytes of a payload that goes in one write with its length */
#define SLICE_MS 50

enum { MEMORY = 2 }; /* its descriptor comes after those of the pipes */

static const struct prony_option options[] = {
    PRONY_LINE_OPTIONS(prony_waits_all),
    {"depth", PRONY_INT, "64", 1, 1000000, NULL, "messages under way in one direction at most (maxsize of Python)"},
    {.name = NULL},
};

/* One direction, in shared memory. */
struct queue_way {
    _Alignas(64) sem_t room;
    _Alignas(64) sem_t readers;
    _Alignas(64) sem_t writers;
};

struct item {
    struct item *next;
    uint32_t bytes;
    uint32_t length; /* as it goes into the pipe, right before the payload */
    unsigned char data[];
};

struct queue_end {
    struct prony_line line;  /* as reader: the end of the pipe tells that the peer is gone */
    struct prony_line giver; /* the same as writer: the pipe's own hang-up does */
    struct queue_way *ways, *way[2];
    int32_t depth;
    int broken;       /* set by the feeder: nobody reads any more */
    uint64_t closing; /* 0, or the time at which the feeder gives up */
    bool fed;
    pthread_t feeder;
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct item *first, **last;
};

/* Host side */

static int join(struct prony_blob *from, struct prony_blob *to, struct prony_error *error)
{
    int fd[2], code;
    if (pipe2(fd, O_CLOEXEC) != 0)
        return prony_fail(error, -errno, "no pipe: %s", strerrordesc_np(errno));
    to->fd[PRONY_IN] = fd[0];
    from->fd[PRONY_OUT] = fd[1];
    to->fds = from->fds = 2;
    code = prony_fd_policy(fd[0], (enum prony_wait)prony_call_of(to)->wait, error);
    return code != 0 ? code : prony_fd_policy(fd[1], PRONY_WAIT_POLL, error);
}

static int queue_connect(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                         struct prony_error *error)
{
    const int32_t depth = (int32_t)prony_param_int(params, "depth");
    struct queue_way *way;
    int code = join(a, b, error), fd;
    if (code == 0)
        code = join(b, a, error);
    if (code != 0)
        return code;
    if ((fd = memfd_create("prony-mp-queue", MFD_CLOEXEC)) < 0)
        return prony_fail(error, -errno, "no shared memory: %s", strerrordesc_np(errno));
    (void)prony_blob_add(a, fd);
    if ((code = prony_blob_add_copy(b, fd, error)) != 0)
        return code;
    if (ftruncate(fd, 2 * sizeof *way) != 0 ||
        (way = mmap(NULL, 2 * sizeof *way, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
        return prony_fail(error, -errno, "shared memory cannot be mapped: %s", strerrordesc_np(errno));
    for (int i = 0; i < 2; i++) {
        (void)sem_init(&way[i].room, 1, (unsigned)depth);
        (void)sem_init(&way[i].readers, 1, 1);
        (void)sem_init(&way[i].writers, 1, 1);
    }
    (void)munmap(way, 2 * sizeof *way);
    memcpy(prony_call_of(a)->own, &depth, sizeof depth);
    memcpy(prony_call_of(b)->own, &depth, sizeof depth);
    return 0;
}

static int queue_create(const struct prony_params *params, unsigned ends, void **channel, struct prony_error *error)
{
    return prony_lines_make(params, ends, queue_connect, channel, error);
}

/* The feeder */

static bool gives_up(struct queue_end *end)
{
    uint64_t closing = __atomic_load_n(&end->closing, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&end->broken, __ATOMIC_ACQUIRE) != 0 || (closing != 0 && prony_now_ns() >= closing);
}

static void write_all(struct queue_end *end, const void *data, size_t bytes)
{
    struct pollfd one = {end->line.fd[PRONY_OUT], POLLOUT, 0};
    for (size_t done = 0; done < bytes && !gives_up(end);) {
        ssize_t n = write(one.fd, (const char *)data + done, bytes - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno == EAGAIN)
            (void)poll(&one, 1, SLICE_MS);
        else if (errno != EINTR)
            __atomic_store_n(&end->broken, 1, __ATOMIC_RELEASE);
    }
}

static void write_item(struct queue_end *end, struct item *item)
{
    sem_t *writers = &end->way[PRONY_OUT]->writers;
    while (sem_wait(writers) != 0 && errno == EINTR)
        ;
    if (item->bytes <= TOGETHER) {
        write_all(end, &item->length, sizeof item->length + item->bytes);
    } else {
        write_all(end, &item->length, sizeof item->length);
        write_all(end, item->data, item->bytes);
    }
    (void)sem_post(writers);
}

/* Until it is told to close and has nothing left. */
static void *feed(void *context)
{
    struct queue_end *end = context;
    for (;;) {
        struct item *item;
        (void)pthread_mutex_lock(&end->mutex);
        while (end->first == NULL && __atomic_load_n(&end->closing, __ATOMIC_RELAXED) == 0)
            (void)pthread_cond_wait(&end->filled, &end->mutex);
        item = end->first;
        end->first = NULL;
        end->last = &end->first;
        (void)pthread_mutex_unlock(&end->mutex);
        if (item == NULL)
            return NULL;
        while (item != NULL) {
            struct item *next = item->next;
            write_item(end, item);
            free(item);
            item = next;
        }
    }
}

static int start_feeder(struct queue_end *end)
{
    sigset_t all, before;
    int code;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&end->feeder, NULL, feed, end);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    end->fed = code == 0;
    return -code;
}

/* Worker side */

static int queue_attach(const struct prony_blob *blob, struct prony_worker *worker, void **result,
                        struct prony_error *error)
{
    const struct prony_call *call = (const struct prony_call *)(const void *)blob->data;
    struct queue_end *end = calloc(1, sizeof *end);
    int code;
    (void)worker;
    if (end == NULL)
        return prony_fail(error, -ENOMEM, "no memory for an end");
    if ((code = prony_line_attach(blob, &end->line, error)) != 0) {
        free(end);
        return code;
    }
    end->ways = mmap(NULL, 2 * sizeof *end->ways, PROT_READ | PROT_WRITE, MAP_SHARED, end->line.fd[MEMORY], 0);
    if (end->ways == MAP_FAILED) {
        code = prony_fail(error, -errno, "shared memory cannot be mapped: %s", strerrordesc_np(errno));
        prony_line_detach(&end->line);
        free(end);
        return code;
    }
    end->way[PRONY_OUT] = &end->ways[call->number & 1u]; /* end 0 sends the first way, end 1 the second */
    end->way[PRONY_IN] = &end->ways[(call->number & 1u) ^ 1u];
    memcpy(&end->depth, call->own, sizeof end->depth);
    end->giver = end->line;
    end->giver.life = end->line.fd[PRONY_OUT];
    (void)pthread_mutex_init(&end->mutex, NULL);
    (void)pthread_cond_init(&end->filled, NULL);
    end->last = &end->first;
    *result = end;
    return 0;
}

static void queue_detach(void *handle)
{
    struct queue_end *end = handle;
    if (end->fed) {
        (void)pthread_mutex_lock(&end->mutex);
        __atomic_store_n(&end->closing, prony_now_ns() + LINGER_NS, __ATOMIC_RELEASE);
        (void)pthread_cond_signal(&end->filled);
        (void)pthread_mutex_unlock(&end->mutex);
        (void)pthread_join(end->feeder, NULL);
    }
    (void)pthread_cond_destroy(&end->filled);
    (void)pthread_mutex_destroy(&end->mutex);
    (void)munmap(end->ways, 2 * sizeof *end->ways);
    prony_line_detach(&end->line);
    free(end);
}

static int take(sem_t *sem, struct prony_line *line, int way, uint64_t deadline)
{
    struct prony_waiting waiting = prony_wait_at(line, way, deadline);
    while (sem_trywait(sem) != 0) {
        int code = errno == EAGAIN || errno == EINTR ? prony_wait_next(&waiting) : -errno;
        if (code < 0)
            return code;
        if (code == 1) {
            uint64_t until = prony_now_ns() + waiting.slice_ns;
            struct timespec limit = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
            if (sem_clockwait(sem, CLOCK_MONOTONIC, &limit) == 0)
                break;
        }
    }
    prony_wait_end(&waiting);
    return 0;
}

static int64_t queue_send(void *handle, const void *data, size_t bytes, int64_t timeout_ns)
{
    struct queue_end *end = handle;
    struct item *item;
    int code;
    if (bytes > INT32_MAX)
        return -EMSGSIZE;
    if (__atomic_load_n(&end->broken, __ATOMIC_ACQUIRE) != 0)
        return -EPIPE;
    code = take(&end->way[PRONY_OUT]->room, &end->giver, PRONY_OUT, prony_line_deadline(timeout_ns));
    if (code != 0)
        return code;
    if (!end->fed && (code = start_feeder(end)) != 0)
        goto give_back;
    code = -ENOMEM;
    if ((item = malloc(sizeof *item + bytes)) == NULL)
        goto give_back;
    *item = (struct item){.bytes = (uint32_t)bytes, .length = htonl((uint32_t)bytes)};
    if (bytes > 0)
        memcpy(item->data, data, bytes);
    (void)pthread_mutex_lock(&end->mutex);
    *end->last = item;
    end->last = &item->next;
    (void)pthread_cond_signal(&end->filled);
    (void)pthread_mutex_unlock(&end->mutex);
    return (int64_t)bytes;
give_back:
    (void)sem_post(&end->way[PRONY_OUT]->room);
    return code;
}

/* The rest of a message that has begun: what fits goes to the caller, and what does not is dropped. */
static int read_rest(struct queue_end *end, void *data, size_t fits, size_t left)
{
    const int fd = end->line.fd[PRONY_IN];
    int64_t code = prony_stream_recv(&end->line, fd, data, fits, UINT64_MAX);
    while (code >= 0 && left > 0) {
        unsigned char dropped[4096];
        size_t piece = left < sizeof dropped ? left : sizeof dropped;
        code = prony_stream_recv(&end->line, fd, dropped, piece, UINT64_MAX);
        left -= piece;
    }
    return code < 0 ? (int)code : 0;
}

static int64_t queue_recv(void *handle, void *data, size_t bytes, int64_t timeout_ns)
{
    struct queue_end *end = handle;
    struct queue_way *way = end->way[PRONY_IN];
    const uint64_t deadline = prony_line_deadline(timeout_ns);
    uint32_t length = 0;
    size_t size, fits;
    int64_t code = take(&way->readers, &end->line, PRONY_IN, deadline);
    int room = 0;
    if (code != 0)
        return code;
    code = prony_stream_recv(&end->line, end->line.fd[PRONY_IN], &length, sizeof length, deadline);
    size = ntohl(length);
    fits = size < bytes ? size : bytes;
    if (code >= 0)
        code = read_rest(end, data, fits, size - fits);
    (void)sem_post(&way->readers);
    if (code < 0)
        return code;
    if (sem_getvalue(&way->room, &room) != 0 || room >= end->depth) /* bounded: more came back than was taken */
        return -EOVERFLOW;
    (void)sem_post(&way->room);
    return size > bytes ? -EMSGSIZE : (int64_t)size;
}

PRONY_EXPORT(channel, mp_queue) = {
    .head = PRONY_HEAD(struct prony_channel, .name = "mp-queue",
                       .summary = "the algorithm of Python's multiprocessing.Queue: buffer, feeder thread, pipe",
                       .caps = PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_WAITS_ALL,
                       .options = options),
    .largest = INT32_MAX,
    .copies = 3,
    .create = queue_create,
    .address = prony_lines_address,
    .attach = queue_attach,
    .send = queue_send,
    .recv = queue_recv,
    .pollfd = prony_line_pollfd,
    .detach = queue_detach,
    .destroy = prony_lines_destroy,
    .forget = prony_blob_forget,
    .settle = prony_lines_settle,
};
