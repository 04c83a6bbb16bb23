/* The system calls that a message makes are those of a bare loop over the same mechanism, no more and no fewer, and those
 * over shared memory make none while nobody sleeps. This program runs itself under strace; the messages of each mechanism
 * lie between two calls that name it. Skipped where strace cannot trace. */
#include "base/params.h"
#include "base/registry.h"

#include <fcntl.h>
#include <mqueue.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { MESSAGES = 40, BYTES = 64, NAMES = 16 };

struct bare {
    int in, out;
    mqd_t queue;
    struct {
        long type;
        char text[BYTES];
    } message;
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
} mechanisms[] = {
    {"pipe", pipe_open, file_pass, NULL},
    {"fifo", pipe_open, file_pass, NULL},
    {"unix-stream", stream_open, stream_pass, NULL},
    {"tcp", stream_open, stream_pass, NULL},
    {"unix-seqpacket", packet_open, packet_pass, NULL},
    {"unix-dgram", packet_open, packet_pass, NULL},
    {"udp", packet_open, packet_pass, NULL},
    {"eventfd", event_open, event_pass, NULL},
    {"posix-mq", posix_open, posix_pass, NULL},
    {"sysv-mq", sysv_open, sysv_pass, sysv_close},
    {"sysv-shm-sem", sem_open_bare, sem_pass, sem_close_bare},
    {"signal", signal_open, signal_pass, NULL},
    {"signalfd", signal_open, signal_pass, NULL},
    {"shm-ring", none_open, none_pass, NULL},
    {"futex", none_open, none_pass, NULL},
    {"posix-sem-shm", none_open, none_pass, NULL},
    {"mutex-cond", none_open, none_pass, NULL},
};
#define MECHANISMS (sizeof mechanisms / sizeof mechanisms[0])
static const char *const waits[] = {"block", "spin"};

/* Under strace */

static void mark(const char *channel, const char *how)
{
    char name[96];
    (void)snprintf(name, sizeof name, "/prony-mark/%s/%s", channel, how);
    (void)access(name, F_OK);
}

static int run_bare(const struct mechanism *mechanism)
{
    struct bare bare = {0};
    char data[BYTES] = "x";
    bool good = mechanism->open(&bare) >= 0;
    mark(mechanism->channel, "bare");
    for (int i = 0; i < MESSAGES && good; i++)
        good = mechanism->pass(&bare, data);
    mark(mechanism->channel, "end");
    if (mechanism->close != NULL)
        mechanism->close(&bare);
    return good ? 0 : 1;
}

/* One thread sends and receives: what it waits for is always there. */
static int run_channel(const struct mechanism *mechanism, const char *wait)
{
    struct prony_error error = {0, ""};
    const struct prony_channel *channel = prony_find_channel(mechanism->channel, &error);
    struct prony_params params;
    struct prony_blob blob;
    void *handle, *end[2];
    char data[BYTES] = "x";
    bool good = channel != NULL && prony_params_init(&params, channel->head.options, &error) == 0 &&
                prony_params_set(&params, "wait", wait, &error) == 0 &&
                channel->create(&params, 2, &handle, &error) == 0;
    for (unsigned i = 0; i < 2 && good; i++) {
        struct prony_worker worker = {.index = i};
        good = channel->address(handle, i, &blob) == 0 && channel->attach(&blob, &worker, &end[i], &error) == 0;
    }
    if (!good) {
        (void)fprintf(stderr, "%s: %s\n", mechanism->channel, error.text);
        return 1;
    }
    mark(mechanism->channel, wait);
    for (int i = 0; i < MESSAGES && good; i++)
        good = channel->send(end[0], data, BYTES, -1) == BYTES && channel->recv(end[1], data, BYTES, -1) == BYTES;
    mark(mechanism->channel, "end");
    for (unsigned i = 0; i < 2; i++)
        channel->detach(end[i]);
    channel->destroy(handle);
    prony_params_free(&params);
    return good ? 0 : 1;
}

static int be_traced(void)
{
    int code = 0;
    for (unsigned i = 0; i < MECHANISMS && code == 0; i++) {
        code = run_bare(&mechanisms[i]);
        for (unsigned k = 0; k < 2 && code == 0; k++)
            code = run_channel(&mechanisms[i], waits[k]);
    }
    return code;
}

/* The tracer's side */

struct tally {
    char name[NAMES][32];
    unsigned count[NAMES], names;
};

static char trace[] = "/tmp/prony-calls-XXXXXX";

static void add(struct tally *tally, const char *name)
{
    unsigned i = 0;
    while (i < tally->names && strcmp(tally->name[i], name) != 0)
        i++;
    assert_true(i < NAMES);
    if (i == tally->names)
        (void)snprintf(tally->name[tally->names++], sizeof tally->name[0], "%s", name);
    tally->count[i]++;
}

/* The calls between the marks. A call that a signal cut in two counts once. */
static void read_tally(const char *channel, const char *how, struct tally *tally)
{
    FILE *file = fopen(trace, "re");
    char line[1024], begin[96], name[32];
    bool inside = false;
    memset(tally, 0, sizeof *tally);
    assert_non_null(file);
    (void)snprintf(begin, sizeof begin, "\"/prony-mark/%s/%s\"", channel, how);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strstr(line, begin) != NULL)
            inside = true;
        else if (strstr(line, "\"/prony-mark/") != NULL)
            inside = false;
        else if (inside && sscanf(line, "%31[a-z0-9_](", name) == 1)
            add(tally, name);
    }
    (void)fclose(file);
}

static unsigned count_of(const struct tally *tally, const char *name)
{
    for (unsigned i = 0; i < tally->names; i++)
        if (strcmp(tally->name[i], name) == 0)
            return tally->count[i];
    return 0;
}

static void compare(const char *channel, const char *wait, bool calls)
{
    struct tally bare, ours;
    read_tally(channel, "bare", &bare);
    read_tally(channel, wait, &ours);
    assert_true((bare.names > 0) == calls);
    for (unsigned i = 0; i < ours.names; i++)
        if (ours.count[i] != count_of(&bare, ours.name[i]) && strcmp(ours.name[i], "getpid") != 0)
            fail_msg("%s wait=%s: %u calls of %s, bare %u", channel, wait, ours.count[i], ours.name[i],
                     count_of(&bare, ours.name[i]));
    for (unsigned i = 0; i < bare.names; i++) {
        if (bare.count[i] != count_of(&ours, bare.name[i]) && strncmp(bare.name[i], "get", 3) != 0)
            fail_msg("%s wait=%s: %u calls of %s, bare %u", channel, wait, count_of(&ours, bare.name[i]), bare.name[i],
                     bare.count[i]);
        assert_true(bare.count[i] == MESSAGES || bare.count[i] == 2 * MESSAGES);
    }
}

static void calls_are_those_of_a_bare_loop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MECHANISMS; i++)
        for (unsigned k = 0; k < 2; k++)
            compare(mechanisms[i].channel, waits[k], mechanisms[i].pass != none_pass);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_are_those_of_a_bare_loop)};
    char command[512], self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int fd, failed;
    if (argc > 1 && strcmp(argv[1], "traced") == 0)
        return be_traced();
#ifdef PRONY_SANITIZED
    print_message("skipped: a sanitizer makes calls of its own\n");
    return 77;
#endif
    if (system("strace -o /dev/null true >/dev/null 2>&1") != 0) {
        print_message("skipped: strace is not installed or may not trace here\n");
        return 77;
    }
    if (n <= 0 || (fd = mkstemp(trace)) < 0)
        return 1;
    (void)close(fd);
    self[n] = '\0';
    (void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* the leak checker cannot stop what is traced */
    (void)snprintf(command, sizeof command, "strace -o %s '%s' traced", trace, self);
    if (system(command) != 0) {
        print_message("the traced run failed\n");
        failed = 1;
    } else {
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    (void)unlink(trace);
    return failed;
}
