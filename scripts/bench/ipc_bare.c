/* Bare loops: the system calls of a mechanism and nothing else, as a program of its own would make them. They use the very
 * descriptors and queues of the channel beside them, so that both loops meet the same objects of the kernel; words and
 * slots in shared memory are their own. Where a sleep must have a limit, or the end of a peer that left in silence would
 * never be seen, both loops give it one: that is another argument of the same call. */
#include "scripts/bench/ipc_bare.h"
#include "channels/box.h"

#include <fcntl.h>
#include <mqueue.h>
#include <prony/sync.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Descriptors */

static inline void fd_put(struct ipc_bare *bare, void *data)
{
    want(write(bare->out, data, BYTES) == BYTES, "write");
}

static inline void fd_get(struct ipc_bare *bare, void *data)
{
    ssize_t n;
    while ((n = read(bare->in, data, BYTES)) < 0 && (errno == EAGAIN || errno == EINTR))
        ;
    want(n == BYTES, "read");
}

static inline void socket_put(struct ipc_bare *bare, void *data)
{
    want(send(bare->out, data, BYTES, MSG_NOSIGNAL) == BYTES, "send");
}

static inline void packet_get(struct ipc_bare *bare, void *data)
{
    ssize_t n;
    while ((n = recv(bare->in, data, BYTES, MSG_TRUNC)) < 0 && (errno == EAGAIN || errno == EINTR))
        ;
    want(n == BYTES, "recv");
}

TRIPS(fd, fd_put, fd_get)
TRIPS(stream, socket_put, fd_get)
TRIPS(packet, socket_put, packet_get)

void ipc_bare_two(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    const struct prony_line *line = talk->end;
    (void)pair;
    bare->in = line->fd[IN];
    bare->out = line->fd[OUT];
}

/* The page of a message stays as it is until that has been read; as many pages as the channel takes turns with. */
enum { PAGE = 4096, PAGES = 48 };

static inline void splice_put(struct ipc_bare *bare, void *data)
{
    struct iovec part = {bare->pages + bare->sent++ % PAGES * PAGE, BYTES};
    memcpy(part.iov_base, data, BYTES);
    want(vmsplice(bare->out, &part, 1, bare->blocks ? 0 : SPLICE_F_NONBLOCK) == BYTES, "vmsplice");
}

TRIPS(splice, splice_put, fd_get)

static void open_splice(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    ipc_bare_two(bare, pair, talk);
    bare->pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    want(bare->pages != MAP_FAILED, "mmap");
}

void ipc_bare_one(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    (void)pair;
    bare->in = bare->out = ((const struct prony_line *)talk->end)->fd[0];
}

/* Queues */

static inline void mq_put(struct ipc_bare *bare, void *data)
{
    want(mq_send(bare->out, data, BYTES, 0) == 0, "mq_send");
}

static inline void mq_get(struct ipc_bare *bare, void *data)
{
    ssize_t n;
    while ((n = mq_receive(bare->in, data, 8192, NULL)) < 0 && (errno == EAGAIN || errno == EINTR))
        ;
    want(n == BYTES, "mq_receive");
}

struct sysv_message {
    long type;
    unsigned char data[BYTES];
};

static inline void msg_put(struct ipc_bare *bare, void *data)
{
    struct sysv_message message = {.type = 1};
    memcpy(message.data, data, BYTES);
    want(msgsnd(bare->out, &message, BYTES, bare->blocks ? 0 : IPC_NOWAIT) == 0, "msgsnd");
}

static inline void msg_get(struct ipc_bare *bare, void *data)
{
    struct sysv_message message;
    ssize_t n;
    while ((n = msgrcv(bare->in, &message, BYTES, 0, bare->blocks ? 0 : IPC_NOWAIT)) < 0 &&
           (errno == ENOMSG || errno == EINTR))
        ;
    want(n == BYTES, "msgrcv");
    memcpy(data, message.data, BYTES);
}

TRIPS(mq, mq_put, mq_get)
TRIPS(msg, msg_put, msg_get)

/* The numbers of both queues begin what the channel says of an end. */
static void open_sysv(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    int32_t queue[2];
    memcpy(queue, ((const struct prony_call *)(const void *)talk->blob[pair->role].data)->own, sizeof queue);
    bare->in = queue[IN];
    bare->out = queue[OUT];
}

/* A slot in shared memory, and something that tells of it */

static inline void fill(struct ipc_bare *bare, const void *data)
{
    memcpy(bare->way[OUT]->slot, data, BYTES);
    __atomic_store_n(&bare->way[OUT]->number, ++bare->sent, __ATOMIC_RELEASE);
}

static inline void empty(struct ipc_bare *bare, void *data)
{
    bare->got++;
    want(__atomic_load_n(&bare->way[IN]->number, __ATOMIC_ACQUIRE) == bare->got, "a slot has the wrong message");
    memcpy(data, bare->way[IN]->slot, BYTES);
}

static inline void event_put(struct ipc_bare *bare, void *data)
{
    const uint64_t one = 1;
    fill(bare, data);
    want(write(bare->out, &one, sizeof one) == (ssize_t)sizeof one, "write");
}

static inline void event_get(struct ipc_bare *bare, void *data)
{
    uint64_t count;
    while (read(bare->in, &count, sizeof count) < 0)
        want(errno == EAGAIN || errno == EINTR, "read");
    empty(bare, data);
}

static void open_event(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    const struct prony_line *line = talk->end;
    bare->out = line->fd[1 + pair->role];
    bare->in = line->fd[2 - pair->role];
}

static inline void semop_put(struct ipc_bare *bare, void *data)
{
    struct sembuf post = {(unsigned short)bare->out, 1, 0};
    fill(bare, data);
    want(semop(bare->peer, &post, 1) == 0, "semop");
}

static inline void semop_get(struct ipc_bare *bare, void *data)
{
    struct sembuf take = {(unsigned short)bare->in, -1, bare->blocks ? 0 : IPC_NOWAIT};
    while (semop(bare->peer, &take, 1) != 0)
        want(errno == EAGAIN || errno == EINTR, "semop");
    empty(bare, data);
}

static void open_semop(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    struct prony_blob blob = talk->blob[pair->role];
    bare->peer = prony_box_plan_of(&blob)->bell[1];
    bare->out = (int)pair->role;
    bare->in = 1 - (int)pair->role;
}

static inline void sem_put(struct ipc_bare *bare, void *data)
{
    fill(bare, data);
    want(sem_post(&bare->way[OUT]->sem) == 0, "sem_post");
}

static inline struct timespec soon(void)
{
    uint64_t until = prony_now_ns() + PRONY_LOOK_NS;
    return (struct timespec){(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
}

static inline int sem_sleep(sem_t *sem)
{
    const struct timespec until = soon();
    return sem_clockwait(sem, CLOCK_MONOTONIC, &until);
}

static inline void sem_get(struct ipc_bare *bare, void *data)
{
    while ((bare->blocks ? sem_sleep(&bare->way[IN]->sem) : sem_trywait(&bare->way[IN]->sem)) != 0)
        want(errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT, "sem_clockwait");
    empty(bare, data);
}

static inline void cond_put(struct ipc_bare *bare, void *data)
{
    struct ipc_way *way = bare->way[OUT];
    fill(bare, data);
    (void)pthread_mutex_lock(&way->mutex);
    way->count++;
    (void)pthread_mutex_unlock(&way->mutex);
    (void)pthread_cond_signal(&way->cond);
}

static inline void cond_get(struct ipc_bare *bare, void *data)
{
    struct ipc_way *way = bare->way[IN];
    const struct timespec until = soon();
    (void)pthread_mutex_lock(&way->mutex);
    while (way->count == 0) {
        if (bare->blocks) {
            (void)pthread_cond_clockwait(&way->cond, &way->mutex, CLOCK_MONOTONIC, &until);
        } else {
            (void)pthread_mutex_unlock(&way->mutex);
            (void)pthread_mutex_lock(&way->mutex);
        }
    }
    way->count--;
    (void)pthread_mutex_unlock(&way->mutex);
    empty(bare, data);
}

static inline void futex_put(struct ipc_bare *bare, void *data)
{
    struct ipc_way *way = bare->way[OUT];
    fill(bare, data);
    __atomic_fetch_add(&way->word, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&way->asleep, __ATOMIC_SEQ_CST) != 0)
        prony_futex_wake(&way->word, 1);
}

static inline void futex_get(struct ipc_bare *bare, void *data)
{
    struct ipc_way *way = bare->way[IN];
    while (__atomic_load_n(&way->word, __ATOMIC_ACQUIRE) == 0) {
        if (!bare->blocks)
            continue;
        __atomic_store_n(&way->asleep, 1, __ATOMIC_SEQ_CST);
        (void)prony_futex_wait(&way->word, 0, PRONY_LOOK_NS);
        __atomic_store_n(&way->asleep, 0, __ATOMIC_RELAXED);
    }
    __atomic_fetch_sub(&way->word, 1, __ATOMIC_ACQ_REL);
    empty(bare, data);
}

/* Signals coalesce, and the channel may leave one behind: the slot tells whether a message is there. */
static inline void signal_put(struct ipc_bare *bare, void *data)
{
    fill(bare, data);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    want(syscall(SYS_tgkill, bare->peer, bare->way[OUT]->tid, SIGUSR2) == 0, "tgkill");
}

static inline bool is_there(const struct ipc_bare *bare)
{
    return __atomic_load_n(&bare->way[IN]->number, __ATOMIC_ACQUIRE) != bare->got;
}

static inline void signal_get(struct ipc_bare *bare, void *data)
{
    const struct timespec limit = {bare->blocks ? 1 : 0, 0};
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    while (!is_there(bare))
        (void)sigtimedwait(&set, NULL, &limit);
    empty(bare, data);
}

static inline void signalfd_get(struct ipc_bare *bare, void *data)
{
    struct signalfd_siginfo about;
    while (!is_there(bare))
        (void)(read(bare->in, &about, sizeof about) < 0);
    empty(bare, data);
}

TRIPS(event, event_put, event_get)
TRIPS(semop, semop_put, semop_get)
TRIPS(sem, sem_put, sem_get)
TRIPS(cond, cond_put, cond_get)
TRIPS(futex, futex_put, futex_get)
TRIPS(signal, signal_put, signal_get)
TRIPS(signalfd, signal_put, signalfd_get)

static void open_signal(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    sigset_t set;
    (void)talk;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    bare->in = signalfd(-1, &set, SFD_CLOEXEC | (bare->blocks ? 0 : SFD_NONBLOCK));
    want(bare->in >= 0, "signalfd");
    bare->peer = pair->peer;
    bare->way[IN]->tid = getpid();
}

static void open_words(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    (void)pair, (void)talk;
    (void)sem_init(&bare->way[IN]->sem, 1, 0);
    (void)pthread_mutexattr_init(&mutex);
    (void)pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&bare->way[IN]->mutex, &mutex);
    (void)pthread_condattr_init(&cond);
    (void)pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    (void)pthread_cond_init(&bare->way[IN]->cond, &cond);
}

/* Reading out of the peer, and passing a memfd */

struct notice {
    void *address;
    uint64_t bytes;
    int32_t pid, code;
};

static inline void notice_get(struct ipc_bare *bare, struct notice *notice)
{
    ssize_t n;
    while ((n = recv(bare->in, notice, sizeof *notice, MSG_TRUNC)) < 0 && (errno == EAGAIN || errno == EINTR))
        ;
    want(n == (ssize_t)sizeof *notice, "recv");
}

static inline void vm_put(struct ipc_bare *bare, void *data)
{
    struct notice notice = {data, BYTES, (int32_t)getpid(), 0};
    want(send(bare->out, &notice, sizeof notice, MSG_NOSIGNAL) == (ssize_t)sizeof notice, "send");
    notice_get(bare, &notice);
}

static inline void vm_get(struct ipc_bare *bare, void *data)
{
    struct notice notice;
    notice_get(bare, &notice);
    struct iovec local = {data, BYTES}, remote = {notice.address, BYTES};
    want(process_vm_readv(notice.pid, &local, 1, &remote, 1, 0) == BYTES, "process_vm_readv");
    notice = (struct notice){.bytes = BYTES};
    want(send(bare->out, &notice, sizeof notice, MSG_NOSIGNAL) == (ssize_t)sizeof notice, "send");
}

union control {
    struct cmsghdr head;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
};

static inline void memfd_put(struct ipc_bare *bare, void *data)
{
    uint64_t bytes = BYTES;
    struct iovec about = {&bytes, sizeof bytes};
    union control control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {
        .msg_iov = &about, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int fd = memfd_create("bare", MFD_CLOEXEC);
    want(write(fd, data, BYTES) == BYTES, "write");
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    want(sendmsg(bare->out, &message, MSG_NOSIGNAL) > 0, "sendmsg");
    (void)close(fd);
}

static inline void memfd_get(struct ipc_bare *bare, void *data)
{
    uint64_t bytes = 0;
    struct iovec about = {&bytes, sizeof bytes};
    union control control;
    struct msghdr message;
    ssize_t n;
    int fd;
    do {
        message = (struct msghdr){
            .msg_iov = &about, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        n = recvmsg(bare->in, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && (errno == EAGAIN || errno == EINTR));
    want(n > 0 && CMSG_FIRSTHDR(&message) != NULL, "recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    want(pread(fd, data, BYTES, 0) == BYTES, "pread");
    (void)close(fd);
}

TRIPS(vm, vm_put, vm_get)
TRIPS(memfd, memfd_put, memfd_get)

static const struct ipc_mechanism mechanisms[] = {
    {"pipe", fd_trips, ipc_bare_two},           {"fifo", fd_trips, ipc_bare_two},
    {"vmsplice", splice_trips, open_splice},    {"unix-stream", stream_trips, ipc_bare_one},
    {"unix-dgram", packet_trips, ipc_bare_one}, {"unix-seqpacket", packet_trips, ipc_bare_one},
    {"tcp", stream_trips, ipc_bare_one},        {"udp", packet_trips, ipc_bare_one},
    {"posix-mq", mq_trips, ipc_bare_two},       {"sysv-mq", msg_trips, open_sysv},
    {"eventfd", event_trips, open_event},       {"sysv-shm-sem", semop_trips, open_semop},
    {"posix-sem-shm", sem_trips, open_words},   {"mutex-cond", cond_trips, open_words},
    {"futex", futex_trips, open_words},         {"signal", signal_trips, open_signal},
    {"signalfd", signalfd_trips, open_signal},  {"process-vm", vm_trips, ipc_bare_one},
    {"memfd-pass", memfd_trips, ipc_bare_one},
};

static const struct ipc_mechanism *find(const char *name)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (strcmp(mechanisms[i].name, name) == 0)
            return &mechanisms[i];
    return ipc_built(name);
}

bool ipc_bare_has(const char *channel)
{
    return find(channel) != NULL;
}

void ipc_bare_open(struct ipc_bare *bare, const struct ipc_pair *pair, const struct ipc_talk *talk)
{
    struct ipc_way *ways = (struct ipc_way *)(void *)pair->shared->bare;
    static_assert(2 * sizeof(struct ipc_way) <= sizeof pair->shared->bare, "both ways lie there");
    *bare = (struct ipc_bare){.mechanism = find(talk->channel->head.name),
                              .way = {&ways[1 - pair->role], &ways[pair->role]},
                              .blocks = prony_param_int(&talk->params, "wait") == PRONY_WAIT_BLOCK};
    if (bare->mechanism == NULL)
        ipc_die("there is no bare loop for %s", talk->channel->head.name);
    bare->mechanism->open(bare, pair, talk);
}

void ipc_bare_trips(struct ipc_pair *pair, void *with, long count)
{
    struct ipc_bare *bare = with;
    bare->mechanism->trips(pair, bare, count);
}
