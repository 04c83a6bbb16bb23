/* Sender, receiver or cell host is killed at a moment drawn from a seed, under every mechanism: the survivor is told in
 * time, and nothing is left: no process, no queue, no segment, no semaphore, no name. In namespaces of its own, where
 * that is allowed, so that what others make is not seen. */
#include "base/clock.h"
#include "base/params.h"
#include "base/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_NS 60000000000u
#define MESSAGE_BYTES 100000u

enum { SENDER, RECEIVER, HOST, VICTIMS };
enum { ROUNDS = 9, TOGETHER = 6, MOST = 64 };

/* One pair of ends, in memory that all see. */
struct scene {
    const struct prony_channel *channel;
    const char *memory; /* of a shm-ring; NULL: its default */
    const char *wait;
    int victim, echoes; /* echoes: both send in turn; else one streams to the other */
    pid_t host, worker[2];
    int attached[2], code[2];
    struct prony_error error;
};

static char folder[] = "/tmp/prony-kill-XXXXXX", queues[64];
static struct scene *scenes;
static uint64_t random_state = 20261;
static unsigned objects_before;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13; /* xorshift: Marsaglia, 2003 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void nap(uint64_t ns)
{
    const struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    (void)nanosleep(&time, NULL);
}

static void say(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        print_message("%s: %s\n", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
}

/* IPC objects and mounts of our own, if the machine lets us. */
static void go_apart(void)
{
    char uids[64], gids[64];
    (void)snprintf(uids, sizeof uids, "0 %u 1", (unsigned)getuid());
    (void)snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWIPC | CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS) != 0)
            return;
        say("/proc/self/setgroups", "deny");
        say("/proc/self/uid_map", uids);
        say("/proc/self/gid_map", gids);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("shm", "/dev/shm", "tmpfs", 0, NULL) != 0 ||
        mount("mqueue", queues, "mqueue", 0, NULL) != 0)
        print_message("no mounts of our own: %s\n", strerror(errno));
}

static unsigned lines_of(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned lines = 0;
    int c;
    while (file != NULL && (c = fgetc(file)) != EOF)
        lines += c == '\n';
    if (file != NULL)
        (void)fclose(file);
    return lines;
}

static unsigned names_in(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    unsigned names = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        names += entry->d_name[0] != '.';
    if (dir != NULL)
        (void)closedir(dir);
    return names;
}

static unsigned objects(void)
{
    return lines_of("/proc/sysvipc/msg") + lines_of("/proc/sysvipc/sem") + lines_of("/proc/sysvipc/shm") +
           names_in("/dev/shm") + names_in(queues) + names_in(folder);
}

static size_t message_bytes(const struct prony_channel *channel, const struct prony_params *params)
{
    struct prony_error how;
    int64_t most = channel->limit != NULL ? channel->limit(params, &how) : (int64_t)channel->largest;
    return most > 0 && most < MESSAGE_BYTES ? (size_t)most : MESSAGE_BYTES;
}

/* Sends or receives until that fails; what may be lost is not waited for. */
static _Noreturn void work(struct scene *scene, const struct prony_blob *blob, unsigned end, size_t bytes)
{
    const struct prony_channel *channel = scene->channel;
    const int64_t limit = (channel->head.caps & PRONY_CHANNEL_LOSSY) != 0 ? 100000000 : -1;
    struct prony_worker worker = {.index = end};
    unsigned char *data = calloc(1, bytes);
    void *attached = NULL;
    int64_t got = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != scene->host || data == NULL || channel->attach(&blob[end], &worker, &attached, &scene->error) != 0)
        _exit(1);
    for (int i = 0; i < 2; i++)
        channel->forget(&blob[i]);
    __atomic_store_n(&scene->attached[end], 1, __ATOMIC_SEQ_CST);
    for (uint64_t i = end; got >= 0 || got == -ETIMEDOUT; i += scene->echoes)
        got = i % 2 == 0 ? channel->send(attached, data, bytes, limit) : channel->recv(attached, data, bytes, limit);
    __atomic_store_n(&scene->code[end], (int)got, __ATOMIC_SEQ_CST);
    _exit(0);
}

static bool is_set(const int *flag)
{
    return __atomic_load_n(flag, __ATOMIC_SEQ_CST) != 0;
}

static bool is_at_work(const struct scene *scene)
{
    for (int i = 0; i < 2; i++)
        if (!is_set(&scene->attached[i]) || !is_set(&scene->worker[i]))
            return false;
    return true;
}

static _Noreturn void be_host(struct scene *scene)
{
    struct prony_params params;
    struct prony_blob blob[2];
    void *channel;
    int code = prony_params_init(&params, scene->channel->head.options, &scene->error);
    size_t bytes;
    scene->host = getpid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0);
    if (code == 0 && scene->memory != NULL)
        code = prony_params_set(&params, "memory", scene->memory, &scene->error);
    if (code == 0 && (scene->memory != NULL || strcmp(scene->channel->head.name, "fifo") == 0))
        code = prony_params_set(&params, "path", folder, &scene->error);
    if (code == 0)
        code = prony_params_set(&params, "wait", scene->wait, &scene->error);
    bytes = message_bytes(scene->channel, &params);
    if (code != 0 || scene->channel->create(&params, 2, &channel, &scene->error) != 0)
        _exit(1);
    for (unsigned i = 0; i < 2; i++)
        if (scene->channel->address(channel, i, &blob[i]) != 0)
            _exit(2);
    for (unsigned i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0)
            work(scene, blob, i, bytes);
        __atomic_store_n(&scene->worker[i], pid, __ATOMIC_SEQ_CST);
    }
    for (int i = 0; i < 60000 && !is_at_work(scene); i++)
        nap(1000000);
    if (scene->channel->settle != NULL)
        scene->channel->settle(channel);
    for (unsigned i = 0; i < 2; i++)
        while (waitpid(scene->worker[i], NULL, 0) < 0 && errno == EINTR)
            ;
    scene->channel->destroy(channel);
    _exit(0);
}

static _Noreturn void give_up(unsigned n, const char *why)
{
    char text[4096] = "";
    for (unsigned i = 0; i < n; i++) {
        struct scene *scene = &scenes[i];
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s wait=%s victim %d codes %d %d %s\n",
                       scene->channel->head.name, scene->memory != NULL ? scene->memory : "", scene->wait,
                       scene->victim, scene->code[0], scene->code[1], scene->error.text);
        for (int k = 0; k < 2; k++)
            if (scene->worker[k] > 0)
                (void)kill(scene->worker[k], SIGKILL);
        if (scene->host > 0)
            (void)kill(scene->host, SIGKILL);
    }
    fail_msg("%s, among:\n%s", why, text);
    abort();
}

/* A host is killed at any moment, also while it sets up; a worker when both are at work. */
static void kill_victim(unsigned n, const struct scene *scene, pid_t host, uint64_t deadline)
{
    while (scene->victim != HOST && !is_at_work(scene)) {
        if (prony_now_ns() > deadline)
            give_up(n, "workers did not start");
        nap(200000);
    }
    nap(draw(4000000));
    (void)kill(scene->victim == HOST ? host : scene->worker[scene->victim], SIGKILL);
}

static void check_scene(unsigned n, const struct scene *scene)
{
    int survivor = scene->victim == SENDER ? 1 : 0;
    if (scene->victim != HOST && scene->code[survivor] != -EPIPE)
        give_up(n, "a survivor was not told");
    if (scene->victim != HOST && scene->code[1 - survivor] != 0)
        give_up(n, "a victim ended by itself");
}

/* Starts n scenes, kills a victim in each, and waits until nothing is left of any. */
static void play(unsigned n)
{
    uint64_t deadline = prony_now_ns() + LIMIT_NS;
    pid_t hosts[MOST], pid;
    for (unsigned i = 0; i < n; i++) {
        hosts[i] = fork();
        assert_true(hosts[i] >= 0);
        if (hosts[i] == 0)
            be_host(&scenes[i]);
    }
    for (unsigned i = 0; i < n; i++)
        kill_victim(n, &scenes[i], hosts[i], deadline);
    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) { /* orphans, keepers among them, are ours to reap */
        if (prony_now_ns() > deadline)
            give_up(n, "processes were left behind");
        if (pid == 0)
            nap(500000);
    }
    for (unsigned i = 0; i < n; i++)
        check_scene(n, &scenes[i]);
    while (objects() > objects_before) {
        if (prony_now_ns() > deadline)
            give_up(n, "queues, segments, semaphores or names were left behind");
        nap(1000000);
    }
}

static const char *wait_of(const struct prony_channel *channel, unsigned round)
{
    const struct prony_option *wait = prony_option_find(channel->head.options, "wait");
    unsigned n = 0;
    while (wait->choices[n] != NULL)
        n++;
    return wait->choices[round % n];
}

static void kill_all(void **state)
{
    static const char *const memories[] = {"posix", "sysv", "file"};
    unsigned played = 0, waiting = 0;
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const struct prony_head *head;
        unsigned extra = 0;
        for (unsigned i = 0; (head = prony_registry_at(PRONY_CHANNEL, i)) != NULL || extra < 3; i++) {
            const struct prony_channel *channel = (const struct prony_channel *)(const void *)head;
            const char *memory = NULL;
            struct prony_error error;
            if (head == NULL) {
                channel = prony_find_channel("shm-ring", &error);
                memory = memories[extra++];
            }
            if ((channel->head.caps & PRONY_CHANNEL_PROCESSES) == 0 || channel->forget == NULL ||
                (channel->head.probe != NULL && channel->head.probe(&error) != 0))
                continue;
            scenes[waiting++] = (struct scene){.channel = channel,
                                               .memory = memory,
                                               .wait = wait_of(channel, round + i),
                                               .victim = (int)((round + i) % VICTIMS),
                                               .echoes = (int)(round / 2 % 2)};
            if (waiting == TOGETHER) {
                play(waiting);
                played += waiting;
                waiting = 0;
            }
        }
    }
    if (waiting > 0)
        play(waiting);
    print_message("%u kills\n", played + waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kill_all)};
    int failed;
    scenes = mmap(NULL, MOST * sizeof *scenes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (scenes == MAP_FAILED || mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(queues, sizeof queues, "%s-mq", folder);
    (void)mkdir(queues, 0700);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    go_apart();
    objects_before = objects();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)umount(queues);
    (void)rmdir(queues);
    (void)rmdir(folder);
    return failed;
}
