/* Bare loops: one message over each mechanism by its own system calls and nothing else. Where one thread can be both sides
 * it is; where a send ends only when somebody receives, a second one receives. */
#ifndef PRONY_TESTS_BARE_CALLS_H
#define PRONY_TESTS_BARE_CALLS_H

#include <arpa/inet.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef PRONY_WITH_URING
#include <liburing.h>
#endif
#ifdef PRONY_WITH_ZMQ
#include <zmq.h>
#endif

enum { BYTES = 64 };

struct item {
    struct item *next;
    char length_and_data[4 + BYTES];
};

struct bare {
    int in, out;
    mqd_t queue;
    struct {
        long type;
        char text[BYTES];
    } message;
    struct {
        pthread_t thread;
        pthread_mutex_t mutex;
        pthread_cond_t filled;
        sem_t room, readers, writers;
        struct item *first;
        bool closing;
    } feeder;
#ifdef PRONY_WITH_URING
    struct io_uring ring[2];
#endif
    void *context[2], *socket[2];
};

/* Bare loops, one message each: `data` goes and comes back. */

static int pipe_open(struct bare *bare)
{
    int fd[2], code = pipe(fd);
    bare->in = fd[0];
    bare->out = fd[1];
    return code;
}

static bool file_pass(struct bare *bare, char *data)
{
    return write(bare->out, data, BYTES) == BYTES && read(bare->in, data, BYTES) == BYTES;
}

static int pair_of(struct bare *bare, int type)
{
    int fd[2], code = socketpair(AF_UNIX, type, 0, fd);
    bare->in = fd[0];
    bare->out = fd[1];
    return code;
}

static int stream_open(struct bare *bare)
{
    return pair_of(bare, SOCK_STREAM);
}

static int packet_open(struct bare *bare)
{
    return pair_of(bare, SOCK_SEQPACKET);
}

static bool stream_pass(struct bare *bare, char *data)
{
    return send(bare->out, data, BYTES, MSG_NOSIGNAL) == BYTES && read(bare->in, data, BYTES) == BYTES;
}

static bool packet_pass(struct bare *bare, char *data)
{
    return send(bare->out, data, BYTES, MSG_NOSIGNAL) == BYTES && recv(bare->in, data, BYTES, 0) == BYTES;
}

static int event_open(struct bare *bare)
{
    bare->in = bare->out = eventfd(0, EFD_SEMAPHORE);
    return bare->in < 0 ? -1 : 0;
}

static bool event_pass(struct bare *bare, char *data)
{
    return write(bare->out, "\1\0\0\0\0\0\0", 8) == 8 && read(bare->in, data, 8) == 8;
}

static int posix_open(struct bare *bare)
{
    struct mq_attr about = {.mq_maxmsg = 4, .mq_msgsize = BYTES};
    char name[64];
    (void)snprintf(name, sizeof name, "/prony-bare-%d", (int)getpid());
    bare->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &about);
    (void)mq_unlink(name);
    return bare->queue == (mqd_t)-1 ? -1 : 0;
}

static void posix_close(struct bare *bare)
{
    (void)mq_close(bare->queue);
}

static bool posix_pass(struct bare *bare, char *data)
{
    return mq_send(bare->queue, data, BYTES, 0) == 0 && mq_receive(bare->queue, data, BYTES, NULL) == BYTES;
}

static int sysv_open(struct bare *bare)
{
    bare->in = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    bare->message.type = 1;
    return bare->in;
}

static void sysv_close(struct bare *bare)
{
    (void)msgctl(bare->in, IPC_RMID, NULL);
}

static bool sysv_pass(struct bare *bare, char *data)
{
    (void)data;
    return msgsnd(bare->in, &bare->message, BYTES, 0) == 0 && msgrcv(bare->in, &bare->message, BYTES, 0, 0) == BYTES;
}

static int sem_open_bare(struct bare *bare)
{
    bare->in = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    return bare->in;
}

static void sem_close_bare(struct bare *bare)
{
    (void)semctl(bare->in, 0, IPC_RMID);
}

static bool sem_pass(struct bare *bare, char *data)
{
    const struct timespec limit = {1, 0};
    struct sembuf post = {0, 1, 0}, take = {0, -1, 0};
    (void)data;
    return semop(bare->in, &post, 1) == 0 && semtimedop(bare->in, &take, 1, &limit) == 0;
}

static int signal_open(struct bare *bare)
{
    sigset_t set;
    (void)bare;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    return sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool signal_pass(struct bare *bare, char *data)
{
    (void)bare, (void)data;
    return syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2) == 0;
}

static bool splice_pass(struct bare *bare, char *data)
{
    struct iovec part = {data, BYTES};
    char back[BYTES];
    return vmsplice(bare->out, &part, 1, 0) == BYTES && read(bare->in, back, BYTES) == BYTES;
}

/* A memfd a message: made, filled, passed and closed; taken, read and closed. */

union control {
    struct cmsghdr head;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
};

static bool memfd_put(struct bare *bare, const char *data)
{
    uint64_t length = BYTES;
    struct iovec about = {&length, sizeof length};
    union control control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {
        .msg_iov = &about, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int fd = memfd_create("bare", MFD_CLOEXEC);
    bool good = fd >= 0 && write(fd, data, BYTES) == BYTES;
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    good = good && sendmsg(bare->out, &message, MSG_NOSIGNAL) > 0;
    return close(fd) == 0 && good;
}

static bool memfd_pass(struct bare *bare, char *data)
{
    uint64_t length;
    struct iovec about = {&length, sizeof length};
    union control control;
    struct msghdr message = {
        .msg_iov = &about, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int fd;
    bool good;
    if (!memfd_put(bare, data) || recvmsg(bare->in, &message, MSG_CMSG_CLOEXEC) <= 0 || CMSG_FIRSTHDR(&message) == NULL)
        return false;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    good = pread(fd, data, BYTES, 0) == BYTES;
    return close(fd) == 0 && good;
}

/* The receiver reads out of the sender's memory. */

struct notice {
    void *address;
    uint64_t bytes;
    int32_t pid, code;
};

static bool vm_pass(struct bare *bare, char *data)
{
    struct notice notice = {data, BYTES, (int32_t)getpid(), 0};
    return send(bare->out, &notice, sizeof notice, MSG_NOSIGNAL) == (ssize_t)sizeof notice &&
           recv(bare->out, &notice, sizeof notice, 0) == (ssize_t)sizeof notice;
}

static bool vm_answer(struct bare *bare, char *data)
{
    struct notice notice;
    if (recv(bare->in, &notice, sizeof notice, 0) != (ssize_t)sizeof notice)
        return false;
    struct iovec local = {data, BYTES}, remote = {notice.address, BYTES};
    return process_vm_readv(notice.pid, &local, 1, &remote, 1, 0) == BYTES &&
           send(bare->in, &notice, sizeof notice, MSG_NOSIGNAL) == (ssize_t)sizeof notice;
}

/* Python's queue: a buffer, a feeder thread that writes, and a reader of lengths and payloads. */

static void *bare_feed(void *context)
{
    struct bare *bare = context;
    for (bool good = true; good;) {
        struct item *item;
        (void)pthread_mutex_lock(&bare->feeder.mutex);
        while (bare->feeder.first == NULL && !bare->feeder.closing)
            (void)pthread_cond_wait(&bare->feeder.filled, &bare->feeder.mutex);
        item = bare->feeder.first;
        if (item != NULL)
            bare->feeder.first = item->next;
        (void)pthread_mutex_unlock(&bare->feeder.mutex);
        if (item == NULL)
            break;
        (void)sem_wait(&bare->feeder.writers);
        good = write(bare->out, item->length_and_data, 4 + BYTES) == 4 + BYTES;
        (void)sem_post(&bare->feeder.writers);
        free(item);
    }
    return NULL;
}

static int feeder_open(struct bare *bare)
{
    (void)pthread_mutex_init(&bare->feeder.mutex, NULL);
    (void)pthread_cond_init(&bare->feeder.filled, NULL);
    (void)sem_init(&bare->feeder.room, 0, 4);
    (void)sem_init(&bare->feeder.readers, 0, 1);
    (void)sem_init(&bare->feeder.writers, 0, 1);
    return pipe_open(bare) != 0 ? -1 : -pthread_create(&bare->feeder.thread, NULL, bare_feed, bare);
}

static void feeder_close(struct bare *bare)
{
    (void)pthread_mutex_lock(&bare->feeder.mutex);
    bare->feeder.closing = true;
    (void)pthread_cond_signal(&bare->feeder.filled);
    (void)pthread_mutex_unlock(&bare->feeder.mutex);
    (void)pthread_join(bare->feeder.thread, NULL);
}

static bool feeder_pass(struct bare *bare, char *data)
{
    struct item *item = malloc(sizeof *item);
    uint32_t length = htonl(BYTES);
    bool good;
    if (item == NULL || sem_wait(&bare->feeder.room) != 0)
        return false;
    item->next = NULL;
    memcpy(item->length_and_data, &length, 4);
    memcpy(item->length_and_data + 4, data, BYTES);
    (void)pthread_mutex_lock(&bare->feeder.mutex);
    bare->feeder.first = item;
    (void)pthread_cond_signal(&bare->feeder.filled);
    (void)pthread_mutex_unlock(&bare->feeder.mutex);
    (void)sem_wait(&bare->feeder.readers);
    good = read(bare->in, &length, sizeof length) == (ssize_t)sizeof length && read(bare->in, data, BYTES) == BYTES;
    (void)sem_post(&bare->feeder.readers);
    (void)sem_post(&bare->feeder.room);
    return good;
}

#ifdef PRONY_WITH_URING
static int uring_open(struct bare *bare)
{
    int code = stream_open(bare);
    for (int i = 0; i < 2 && code == 0; i++)
        code = io_uring_queue_init(2, &bare->ring[i], 0);
    return code;
}

static void uring_close(struct bare *bare)
{
    for (int i = 0; i < 2; i++)
        io_uring_queue_exit(&bare->ring[i]);
}

static bool uring_end(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    bool good = io_uring_submit_and_wait(ring, 1) == 1 && io_uring_peek_cqe(ring, &cqe) == 0 && cqe->res == BYTES;
    if (good)
        io_uring_cqe_seen(ring, cqe);
    return good;
}

static bool uring_pass(struct bare *bare, char *data)
{
    io_uring_prep_send(io_uring_get_sqe(&bare->ring[1]), bare->out, data, BYTES, MSG_NOSIGNAL);
    if (!uring_end(&bare->ring[1]))
        return false;
    io_uring_prep_recv(io_uring_get_sqe(&bare->ring[0]), bare->in, data, BYTES, 0);
    return uring_end(&bare->ring[0]);
}
#endif

#ifdef PRONY_WITH_ZMQ
static int zmq_open(struct bare *bare)
{
    char address[64];
    (void)snprintf(address, sizeof address, "ipc://@prony-bare-%d", (int)getpid());
    for (int i = 0; i < 2; i++) {
        bare->context[i] = zmq_ctx_new();
        bare->socket[i] = bare->context[i] == NULL ? NULL : zmq_socket(bare->context[i], ZMQ_PAIR);
        if (bare->socket[i] == NULL ||
            (i == 0 ? zmq_bind(bare->socket[i], address) : zmq_connect(bare->socket[i], address)) != 0)
            return -1;
    }
    return 0;
}

static void zmq_end(struct bare *bare)
{
    for (int i = 0; i < 2; i++) {
        (void)zmq_close(bare->socket[i]);
        (void)zmq_ctx_term(bare->context[i]);
    }
}

static bool zmq_pass(struct bare *bare, char *data)
{
    return zmq_send(bare->socket[1], data, BYTES, 0) == BYTES && zmq_recv(bare->socket[0], data, BYTES, 0) == BYTES;
}
#endif

static int none_open(struct bare *bare)
{
    (void)bare;
    return 0;
}

static bool none_pass(struct bare *bare, char *data)
{
    (void)bare, (void)data;
    return true;
}

static const struct mechanism {
    const char *channel;
    int (*open)(struct bare *bare);
    bool (*pass)(struct bare *bare, char *data);
    void (*close)(struct bare *bare);
    bool (*answer)(struct bare *bare, char *data); /* in a second thread; NULL: pass does both sides */
    bool helped;         /* a thread of the mechanism's own takes part: how often threads sleep is by chance */
    const char *library; /* these calls are made by a library, as often as it sees fit */
} mechanisms[] = {
    {"pipe", pipe_open, file_pass, NULL, NULL, false, ""},
    {"fifo", pipe_open, file_pass, NULL, NULL, false, ""},
    {"vmsplice", pipe_open, splice_pass, NULL, NULL, false, ""},
    {"unix-stream", stream_open, stream_pass, NULL, NULL, false, ""},
    {"tcp", stream_open, stream_pass, NULL, NULL, false, ""},
    {"unix-seqpacket", packet_open, packet_pass, NULL, NULL, false, ""},
    {"unix-dgram", packet_open, packet_pass, NULL, NULL, false, ""},
    {"udp", packet_open, packet_pass, NULL, NULL, false, ""},
    {"memfd-pass", packet_open, memfd_pass, NULL, NULL, false, ""},
    {"process-vm", packet_open, vm_pass, NULL, vm_answer, false, ""},
    {"eventfd", event_open, event_pass, NULL, NULL, false, ""},
    {"posix-mq", posix_open, posix_pass, posix_close, NULL, false, ""},
    {"sysv-mq", sysv_open, sysv_pass, sysv_close, NULL, false, ""},
    {"sysv-shm-sem", sem_open_bare, sem_pass, sem_close_bare, NULL, false, ""},
    {"signal", signal_open, signal_pass, NULL, NULL, false, ""},
    {"signalfd", signal_open, signal_pass, NULL, NULL, false, ""},
    {"shm-ring", none_open, none_pass, NULL, NULL, false, ""},
    {"futex", none_open, none_pass, NULL, NULL, false, ""},
    {"posix-sem-shm", none_open, none_pass, NULL, NULL, false, ""},
    {"mutex-cond", none_open, none_pass, NULL, NULL, false, ""},
    {"mp-queue", feeder_open, feeder_pass, feeder_close, NULL, true, ""},
#ifdef PRONY_WITH_URING
    {"io-uring", uring_open, uring_pass, uring_close, NULL, false, ""},
#endif
#ifdef PRONY_WITH_ZMQ
    {"zeromq", zmq_open, zmq_pass, zmq_end, NULL, false, " getpid poll read write "},
#endif
};

#endif
