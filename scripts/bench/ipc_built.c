/* Bare loops of what is built over other mechanisms: io_uring and ZeroMQ by their libraries' own calls, and the algorithm of
 * Python's multiprocessing.Queue written out by hand, feeder thread included. */
#include "channels/line.h"
#include "scripts/bench/ipc_bare.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef IPC_URING
#include <liburing.h>
#endif
#ifdef IPC_ZMQ
#include <zmq.h>
#endif

#ifdef IPC_URING
static inline void uring_finish(struct ipc_bare *bare)
{
    struct io_uring_cqe *cqe;
    want(io_uring_submit_and_wait(bare->own, bare->blocks ? 1 : 0) >= 0, "io_uring_submit_and_wait");
    while (io_uring_peek_cqe(bare->own, &cqe) != 0)
        if (bare->blocks)
            (void)io_uring_wait_cqe(bare->own, &cqe);
    want(cqe->res == BYTES, "io_uring");
    io_uring_cqe_seen(bare->own, cqe);
}

static inline void uring_put(struct ipc_bare *bare, void *data)
{
    io_uring_prep_send(io_uring_get_sqe(bare->own), bare->out, data, BYTES, MSG_NOSIGNAL | MSG_WAITALL);
    uring_finish(bare);
}

static inline void uring_get(struct ipc_bare *bare, void *data)
{
    io_uring_prep_recv(io_uring_get_sqe(bare->own), bare->in, data, BYTES, MSG_WAITALL);
    uring_finish(bare);
}

TRIPS(uring, uring_put, uring_get)

static void open_uring(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    ipc_bare_one(bare, pair, talk);
    bare->own = malloc(sizeof(struct io_uring));
    want(bare->own != NULL && io_uring_queue_init(4, bare->own, 0) == 0, "io_uring_queue_init");
}
#endif

#ifdef IPC_ZMQ
static inline void zmq_put(struct ipc_bare *bare, void *data)
{
    while (zmq_send(bare->own, data, BYTES, bare->blocks ? 0 : ZMQ_DONTWAIT) != BYTES)
        want(errno == EAGAIN || errno == EINTR, "zmq_send");
}

static inline void zmq_get(struct ipc_bare *bare, void *data)
{
    while (zmq_recv(bare->own, data, BYTES, bare->blocks ? 0 : ZMQ_DONTWAIT) != BYTES)
        want(errno == EAGAIN || errno == EINTR, "zmq_recv");
}

TRIPS(zmq, zmq_put, zmq_get)

/* Sockets of their own, with the channel's settings: a context belongs to one process. */
static void open_zmq(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    const int slice_ms = PRONY_LOOK_NS / 1000000, depth = (int)prony_param_int(&talk->params, "depth"), soon_ms = 1;
    char address[64];
    (void)snprintf(address, sizeof address, "ipc://@prony-bare-%d", pair->role == 0 ? (int)getpid() : pair->peer);
    bare->own = zmq_socket(zmq_ctx_new(), ZMQ_PAIR);
    want(bare->own != NULL && zmq_setsockopt(bare->own, ZMQ_RCVTIMEO, &slice_ms, sizeof slice_ms) == 0 &&
             zmq_setsockopt(bare->own, ZMQ_SNDTIMEO, &slice_ms, sizeof slice_ms) == 0 &&
             zmq_setsockopt(bare->own, ZMQ_SNDHWM, &depth, sizeof depth) == 0 &&
             zmq_setsockopt(bare->own, ZMQ_RCVHWM, &depth, sizeof depth) == 0 &&
             zmq_setsockopt(bare->own, ZMQ_RECONNECT_IVL, &soon_ms, sizeof soon_ms) == 0 &&
             (pair->role == 0 ? zmq_bind(bare->own, address) : zmq_connect(bare->own, address)) == 0,
         "zmq_socket");
}
#endif

/* multiprocessing.Queue: `sem` counts the room. One message is under way in each direction, so the feeder's buffer holds
 * one. */
struct queue {
    struct ipc_bare *bare;
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    bool full;
    struct {
        uint32_t length;
        unsigned char data[BYTES];
    } item;
};

static void *feed(void *with)
{
    struct queue *queue = with;
    sem_t *writers = &queue->bare->way[OUT]->writers;
    for (;;) {
        (void)pthread_mutex_lock(&queue->mutex);
        while (!queue->full)
            (void)pthread_cond_wait(&queue->filled, &queue->mutex);
        queue->full = false;
        (void)pthread_mutex_unlock(&queue->mutex);
        while (sem_wait(writers) != 0)
            want(errno == EINTR, "sem_wait");
        want(write(queue->bare->out, &queue->item, sizeof queue->item) == (ssize_t)sizeof queue->item, "write");
        (void)sem_post(writers);
    }
    return NULL;
}

/* There is always one: each side waits for the other's message before it takes again. */
static inline void take(sem_t *sem)
{
    while (sem_trywait(sem) != 0)
        want(errno == EAGAIN || errno == EINTR, "sem_trywait");
}

static inline void queue_put(struct ipc_bare *bare, void *data)
{
    struct queue *queue = bare->own;
    take(&bare->way[OUT]->sem);
    (void)pthread_mutex_lock(&queue->mutex);
    queue->item.length = htonl(BYTES);
    memcpy(queue->item.data, data, BYTES);
    queue->full = true;
    (void)pthread_cond_signal(&queue->filled);
    (void)pthread_mutex_unlock(&queue->mutex);
}

static inline void read_all(struct ipc_bare *bare, void *data, size_t bytes)
{
    ssize_t n;
    while ((n = read(bare->in, data, bytes)) < 0 && (errno == EAGAIN || errno == EINTR))
        ;
    want(n == (ssize_t)bytes, "read");
}

static inline void queue_get(struct ipc_bare *bare, void *data)
{
    struct ipc_way *way = bare->way[IN];
    uint32_t length;
    take(&way->readers);
    read_all(bare, &length, sizeof length);
    want(ntohl(length) == BYTES, "a message has the wrong length");
    read_all(bare, data, BYTES);
    (void)sem_post(&way->readers);
    (void)sem_post(&way->sem);
}

TRIPS(queue, queue_put, queue_get)

static void open_queue(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    struct queue *queue = calloc(1, sizeof *queue);
    pthread_t feeder;
    ipc_bare_two(bare, pair, talk);
    bare->own = queue;
    want(queue != NULL && sem_init(&bare->way[IN]->sem, 1, (unsigned)prony_param_int(&talk->params, "depth")) == 0 &&
             sem_init(&bare->way[IN]->readers, 1, 1) == 0 && sem_init(&bare->way[IN]->writers, 1, 1) == 0,
         "sem_init");
    queue->bare = bare;
    (void)pthread_mutex_init(&queue->mutex, NULL);
    (void)pthread_cond_init(&queue->filled, NULL);
    errno = pthread_create(&feeder, NULL, feed, queue);
    want(errno == 0, "pthread_create");
}

static const struct ipc_mechanism mechanisms[] = {
#ifdef IPC_URING
    {"io-uring", uring_trips, open_uring},
#endif
#ifdef IPC_ZMQ
    {"zeromq", zmq_trips, open_zmq},
#endif
    {"mp-queue", queue_trips, open_queue},
};

const struct ipc_mechanism *ipc_built(const char *name)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (strcmp(mechanisms[i].name, name) == 0)
            return &mechanisms[i];
    return NULL;
}
