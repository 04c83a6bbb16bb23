/* Channels at their limits: no descriptors, queues, semaphores, segments or room in /dev/shm, a port in use, signals in
 * every blocking call. Each ends with a reason in time, or goes on as if nothing had happened. */
#include "base/clock.h"
#include "base/params.h"
#include "base/registry.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS 1000000000
enum { TRIPS = 60 };

static char mqueue[] = "/tmp/prony-mqueue-XXXXXX"; /* where the namespace's queues are seen */

struct line {
    const struct prony_channel *channel;
    struct prony_params params;
    void *handle;
    struct prony_blob blob[2];
    struct prony_error error;
};

static int open_line(struct line *line, const struct prony_channel *channel, const char *const *option)
{
    int code;
    memset(line, 0, sizeof *line);
    line->channel = channel;
    assert_int_equal(prony_params_init(&line->params, channel->head.options, &line->error), 0);
    if (strcmp(channel->head.name, "posix-mq") == 0) /* small: other programs of this user may have queues, too */
        assert_int_equal(prony_params_set(&line->params, "message", "128", &line->error), 0);
    for (; option != NULL && *option != NULL; option += 2)
        assert_int_equal(prony_params_set(&line->params, option[0], option[1], &line->error), 0);
    code = channel->create(&line->params, 2, &line->handle, &line->error);
    for (unsigned i = 0; i < 2 && code == 0; i++)
        code = channel->address(line->handle, i, &line->blob[i]);
    return code;
}

static void *attach(struct line *line, unsigned end)
{
    struct prony_worker worker = {.index = end};
    void *attached = NULL;
    return line->channel->attach(&line->blob[end], &worker, &attached, &line->error) == 0 ? attached : NULL;
}

static void each(void (*check)(const struct prony_channel *channel))
{
    const struct prony_head *head;
    struct prony_error error;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_CHANNEL, i)) != NULL; i++)
        if ((head->caps & PRONY_CHANNEL_PYTHON) == 0 && (head->probe == NULL || head->probe(&error) == 0))
            check((const struct prony_channel *)(const void *)head);
}

/* Nothing is left of a channel: no descriptor, and in a namespace of the test's own no object. */

static int next_descriptor(void)
{
    int fd = dup(0);
    (void)close(fd);
    return fd;
}

static bool alone; /* in namespaces of its own */

static void nothing_left(const char *name)
{
    static const char *const kinds[] = {"/proc/sysvipc/msg", "/proc/sysvipc/sem", "/proc/sysvipc/shm"};
    static const char *const folders[] = {"/dev/shm", mqueue};
    char line[256];
    for (unsigned i = 0; i < 3 && alone; i++) {
        FILE *file = fopen(kinds[i], "re");
        assert_non_null(file);
        assert_non_null(fgets(line, sizeof line, file)); /* the names of columns */
        if (fgets(line, sizeof line, file) != NULL)
            fail_msg("%s leaves in %s: %s", name, kinds[i], line);
        (void)fclose(file);
    }
    for (unsigned i = 0; i < 2 && alone; i++) {
        DIR *folder = opendir(folders[i]);
        const struct dirent *entry;
        assert_non_null(folder);
        while ((entry = readdir(folder)) != NULL)
            if (entry->d_name[0] != '.')
                fail_msg("%s leaves %s in %s", name, entry->d_name, folders[i]);
        (void)closedir(folder);
    }
}

/* Refused with a reason in time, when it is made or when an end is attached, and nothing of it stays. */
static void refused(const char *name, const char *const *option, const char *says)
{
    struct line line;
    struct prony_error error;
    const struct prony_channel *channel = prony_find_channel(name, &error);
    uint64_t begun = prony_now_ns();
    int before = next_descriptor();
    assert_non_null(channel);
    if (open_line(&line, channel, option) == 0) {
        assert_null(attach(&line, 0));
        channel->destroy(line.handle);
    }
    assert_true(prony_now_ns() - begun < 60ull * SECOND_NS);
    if (strstr(line.error.text, says) == NULL)
        fail_msg("%s: '%s' does not say '%s'", name, line.error.text, says);
    assert_int_equal(before, next_descriptor());
    nothing_left(name);
    prony_params_free(&line.params);
}

static void no_queues(void **state)
{
    struct rlimit before, none = {0, 0};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_MSGQUEUE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_MSGQUEUE, &none), 0);
    refused("posix-mq", NULL, "ulimit -q");
    assert_int_equal(setrlimit(RLIMIT_MSGQUEUE, &before), 0);
}

static void too_large_for_the_kernel(void **state)
{
    static const char *const pipe_bytes[] = {"capacity", "1Gi", NULL};
    static const char *const socket_bytes[] = {"buffer", "1Gi", NULL};
    struct rlimit before, little = {1 << 20, 0};
    (void)state;
    if (geteuid() != 0) /* root may have larger ones */
        refused("pipe", pipe_bytes, "pipe-max-size");
    refused("unix-dgram", socket_bytes, "wmem_max");
    refused("udp", socket_bytes, "wmem_max");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    refused("shm-ring", (const char *const[]){"capacity", "64Mi", NULL}, "no room");
    refused("futex", (const char *const[]){"slot", "16Mi", NULL}, "no shared memory");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void port_in_use(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char port[16];
    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    (void)snprintf(port, sizeof port, "%u", ntohs(at.sin_port));
    refused("tcp", (const char *const[]){"port", port, NULL}, "in use");
    (void)close(fd);
}

/* With every number of free descriptors, from none to enough: an error with a reason, nothing left, then it works. */
static void check_descriptors(const struct prony_channel *channel)
{
    struct rlimit before, few;
    struct line line;
    int code = -1, first = dup(0), again;
    (void)close(first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    for (int i = 0; i < 32 && code != 0; i++) {
        few.rlim_cur = (rlim_t)(first + i);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        code = open_line(&line, channel, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (code == 0)
            channel->destroy(line.handle);
        else if (strlen(line.error.text) < 10)
            fail_msg("%s with %d descriptors: no reason", channel->head.name, i);
        prony_params_free(&line.params);
        again = dup(0);
        (void)close(again);
        if (again != first)
            fail_msg("%s with %d descriptors: some are left", channel->head.name, i);
    }
    if (code != 0)
        fail_msg("%s: %s", channel->head.name, line.error.text);
}

static void descriptors(void **state)
{
    (void)state;
    each(check_descriptors);
}

/* Limits of the whole system: lowered in namespaces of the test's own, where nobody else meets them. */

static bool write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fputs(text, file) >= 0;
    return file != NULL && fclose(file) == 0 && good;
}

/* A limit is lowered, the channel refused, and taken when the limit is as before. */
static void limited(const char *path, const char *low, const char *name, const char *const *option, const char *says)
{
    char before[128] = "";
    struct prony_error error;
    struct line line;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(before, sizeof before, file));
    (void)fclose(file);
    assert_true(write_file(path, low));
    refused(name, option, says);
    assert_true(write_file(path, before));
    if (open_line(&line, prony_find_channel(name, &error), option) != 0)
        fail_msg("%s with %s as before: %s", name, path, line.error.text);
    line.channel->destroy(line.handle);
    prony_params_free(&line.params);
    nothing_left(name);
}

static void sysv_limits(void **state)
{
    static const char *const segment[] = {"memory", "sysv", NULL};
    (void)state;
    limited("/proc/sys/kernel/msgmni", "1", "sysv-mq", NULL, "raise /proc/sys/kernel/msgmni");
    limited("/proc/sys/kernel/sem", "32000 1 500 32000", "sysv-shm-sem", NULL, "number of /proc/sys/kernel/sem");
    limited("/proc/sys/kernel/sem", "32000 1024000000 500 0", "sysv-shm-sem", NULL, "number of /proc/sys/kernel/sem");
    limited("/proc/sys/kernel/shmmax", "4096", "sysv-shm-sem", NULL, "raise /proc/sys/kernel/shmmax");
    limited("/proc/sys/kernel/shmmni", "0", "sysv-shm-sem", NULL, "shmmni");
    limited("/proc/sys/kernel/shmmax", "4096", "shm-ring", segment, "raise /proc/sys/kernel/shmmax");
    limited("/proc/sys/kernel/shmall", "1", "shm-ring", segment, "shmall");
    limited("/proc/sys/kernel/shmmni", "0", "shm-ring", segment, "shmmni");
}

static void message_queues(void **state)
{
    (void)state;
    limited("/proc/sys/fs/mqueue/queues_max", "1", "posix-mq", NULL, "/proc/sys/fs/mqueue/queues_max");
    limited("/proc/sys/fs/mqueue/msg_max", "2", "posix-mq", NULL, "raise /proc/sys/fs/mqueue/msg_max");
}

/* /dev/shm has 256 KiB, and then no name. */
static void shared_memory(void **state)
{
    static const char *const named[] = {"memory", "posix", "capacity", "1Mi", NULL};
    static const char *const file[] = {"memory", "file", "path", "/dev/shm", "capacity", "1Mi", NULL};
    (void)state;
    refused("shm-ring", named, "remount,size=");
    refused("shm-ring", file, "take a smaller capacity");
    assert_int_equal(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "size=256k,nr_inodes=1"), 0);
    refused("shm-ring", named, "nr_inodes=");
    assert_int_equal(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "size=256k,nr_inodes=64"), 0);
}

/* Who may exceed limits would not meet them: without the capability. */
static bool renounce(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0)
        return false;
    data[0].effective &= ~(1u << CAP_SYS_RESOURCE);
    return syscall(SYS_capset, &head, data) == 0;
}

static bool be_root_apart(void)
{
    char user[64], group[64];
    (void)snprintf(user, sizeof user, "0 %u 1", (unsigned)geteuid());
    (void)snprintf(group, sizeof group, "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", user) && write_file("/proc/self/gid_map", group);
}

/* NULL, or what could not be done. */
static const char *be_alone(void)
{
    if (unshare(CLONE_NEWIPC | CLONE_NEWNS) != 0 && !be_root_apart())
        return "no namespace of its own";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mkdtemp(mqueue) == NULL)
        return "no mounts of its own";
    if (mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=256k,nr_inodes=64") != 0 ||
        mount("mqueue", mqueue, "mqueue", 0, NULL) != 0)
        return "no file systems of its own";
    if (!write_file("/proc/sys/kernel/msgmni", "100") || !renounce())
        return "its limits cannot be set";
    alone = true;
    return NULL;
}

/* Signals */

static int over;

static void on_signal(int number)
{
    (void)number;
}

static void *shower(void *context)
{
    const pthread_t *threads = context;
    const struct timespec nap = {0, 200000};
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        (void)pthread_kill(threads[0], SIGUSR1);
        (void)pthread_kill(threads[1], SIGUSR1);
        (void)nanosleep(&nap, NULL);
    }
    return NULL;
}

static void *answer(void *context)
{
    struct line *line = context;
    const struct timespec nap = {0, 300000};
    unsigned char data[64];
    void *end = attach(line, 1);
    int64_t code = end == NULL ? -1 : 0;
    for (int i = 0; i < TRIPS && code >= 0; i++) {
        code = line->channel->recv(end, data, sizeof data, i % 2 == 0 ? -1 : 60ll * SECOND_NS);
        (void)nanosleep(&nap, NULL); /* so that the other side sleeps, too */
        if (code >= 0)
            code = line->channel->send(end, data, sizeof data, i % 2 == 0 ? 60ll * SECOND_NS : -1);
    }
    if (end != NULL)
        line->channel->detach(end);
    return code < 0 ? line : NULL;
}

static void check_signals(const struct prony_channel *channel)
{
    unsigned char data[64] = {0};
    pthread_t thread[3] = {pthread_self()};
    struct line line;
    void *end, *wrong;
    if ((channel->head.caps & PRONY_CHANNEL_THREADS) == 0)
        return;
    assert_int_equal(open_line(&line, channel, NULL), 0);
    end = attach(&line, 0);
    assert_non_null(end);
    __atomic_store_n(&over, 0, __ATOMIC_RELAXED);
    assert_int_equal(pthread_create(&thread[1], NULL, answer, &line), 0);
    assert_int_equal(pthread_create(&thread[2], NULL, shower, thread), 0);
    for (unsigned char i = 0; i < TRIPS; i++) {
        int64_t sent, got;
        data[0] = i;
        sent = channel->send(end, data, sizeof data, i % 2 == 0 ? -1 : 60ll * SECOND_NS);
        got = channel->recv(end, data, sizeof data, i % 2 == 0 ? 60ll * SECOND_NS : -1);
        if (sent != (int64_t)sizeof data || got != (int64_t)sizeof data || data[0] != i)
            fail_msg("%s: trip %d under signals: sent %lld, got %lld", channel->head.name, i, (long long)sent,
                     (long long)got);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    (void)pthread_join(thread[2], NULL);
    (void)pthread_join(thread[1], &wrong);
    assert_null(wrong);
    channel->detach(end);
    channel->destroy(line.handle);
    prony_params_free(&line.params);
}

static void signals(void **state)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: calls come back with EINTR */
    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    each(check_signals);
}

int main(void)
{
    const struct CMUnitTest here[] = {
        cmocka_unit_test(no_queues),   cmocka_unit_test(too_large_for_the_kernel),
        cmocka_unit_test(port_in_use), cmocka_unit_test(descriptors),
        cmocka_unit_test(signals),
    };
    const struct CMUnitTest apart[] = {
        cmocka_unit_test(sysv_limits),
        cmocka_unit_test(message_queues),
        cmocka_unit_test(shared_memory),
    };
    int failed = cmocka_run_group_tests(here, NULL, NULL);
    const char *missing = be_alone();
    if (missing == NULL)
        failed += cmocka_run_group_tests(apart, NULL, NULL);
    else
        print_message("not tried: limits of the whole system: %s: %s\n", missing, strerror(errno));
    if (alone)
        (void)umount(mqueue);
    (void)rmdir(mqueue);
    return failed;
}
