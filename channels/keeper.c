#include "channels/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t told;

static void on_term(int number)
{
    (void)number;
    told = 1;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Holds nothing but these: somebody else may wait for the end of all others. */
static void close_but(int *keep, unsigned n)
{
    unsigned from = 0;
    qsort(keep, n, sizeof *keep, by_number);
    for (unsigned i = 0; i < n; i++) {
        if ((unsigned)keep[i] > from)
            (void)close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    (void)close_range(from, ~0u, 0);
}

/* Until both ends are gone, or it is told to stop. */
static void watch(const struct prony_keep *keep, void *shared, int life[2])
{
    struct pollfd ends[2] = {{life[0], 0, 0}, {life[1], 0, 0}};
    sigset_t none;
    (void)sigemptyset(&none);
    while (!told && (ends[0].fd >= 0 || ends[1].fd >= 0)) {
        if (ppoll(ends, 2, NULL, &none) < 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (ends[i].fd >= 0 && ends[i].revents != 0) {
                ends[i].fd = -1;
                keep->gone(shared, i);
            }
    }
    if (told)
        keep->gone(shared, -1);
    keep->clean(shared);
}

static _Noreturn void be_keeper(const struct prony_keep *keep, void *shared, int life[2], int report, const int *fd,
                                unsigned fds)
{
    struct sigaction action = {.sa_handler = on_term};
    struct prony_error error = {0, ""};
    int kept[8] = {life[0], life[1], report};
    (void)setsid();
    (void)sigaction(SIGTERM, &action, NULL);
    for (unsigned i = 0; i < fds; i++)
        kept[3 + i] = fd[i];
    close_but(kept, 3 + fds);
    error.code = keep->make == NULL ? 0 : keep->make(shared, &error);
    if (write(report, &error, sizeof error) != (ssize_t)sizeof error || error.code != 0) {
        keep->clean(shared);
        _exit(1);
    }
    (void)close(report);
    watch(keep, shared, life);
    _exit(0);
}

static int heed(int report, struct prony_error *error)
{
    struct prony_error said;
    ssize_t n;
    do
        n = read(report, &said, sizeof said);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof said)
        return prony_fail(error, -ECHILD, "the keeper of a channel did not start");
    return said.code == 0 ? 0 : prony_fail(error, said.code, "%s", said.text);
}

int prony_keeper_start(struct prony_blob *a, struct prony_blob *b, const struct prony_keep *keep, void *shared,
                       const int *fd, unsigned fds, struct prony_error *error)
{
    int first[2] = {-1, -1}, second[2] = {-1, -1}, report[2] = {-1, -1}, code = 0;
    sigset_t all, before;
    pid_t pid = -1;
    if (pipe2(first, O_CLOEXEC) != 0 || pipe2(second, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0) {
        code = prony_fail(error, -errno, "no pipe to a keeper: %s", strerrordesc_np(errno));
    } else {
        (void)sigfillset(&all); /* the child unblocks when its handler stands */
        (void)sigprocmask(SIG_SETMASK, &all, &before);
        pid = fork();
        if (pid == 0)
            be_keeper(keep, shared, (int[2]){first[0], second[0]}, report[1], fd, fds);
        if (pid < 0)
            code = prony_fail(error, -errno, "no process for a keeper: %s", strerrordesc_np(errno));
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
    }
    (void)close(report[1]);
    if (pid > 0 && (code = heed(report[0], error)) != 0)
        prony_keeper_stop(pid);
    (void)close(report[0]);
    (void)close(first[0]);
    (void)close(second[0]);
    if (code != 0) {
        (void)close(first[1]);
        (void)close(second[1]);
        return code;
    }
    prony_call_of(a)->keeper = pid;
    prony_call_of(a)->life = (int16_t)a->fds;
    prony_call_of(b)->life = (int16_t)b->fds;
    (void)prony_blob_add(a, first[1]);
    (void)prony_blob_add(b, second[1]);
    return 0;
}

void prony_keeper_stop(int keeper)
{
    if (keeper <= 0)
        return;
    (void)kill(keeper, SIGTERM);
    while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR)
        ;
}

union control {
    struct cmsghdr head;
    unsigned char bytes[CMSG_SPACE(4 * sizeof(int))];
};

static ssize_t hand_over(int line, struct prony_made *made)
{
    struct iovec about = {made, sizeof *made};
    const size_t bytes = made->fds * sizeof(int);
    union control control = {.head = {CMSG_LEN(bytes), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &about, .msg_iovlen = 1};
    if (made->fds > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(bytes);
        memcpy(CMSG_DATA(&control.head), made->fd, bytes);
    }
    return sendmsg(line, &message, MSG_NOSIGNAL);
}

static int take_over(int line, struct prony_made *made, struct prony_error *error)
{
    struct iovec about = {made, sizeof *made};
    union control control;
    struct msghdr message = {
        .msg_iov = &about, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    const struct cmsghdr *head;
    ssize_t n;
    do
        n = recvmsg(line, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    made->fds = 0;
    if (n != (ssize_t)sizeof *made)
        return prony_fail(error, -ECHILD, "the maker of a channel did not start");
    if (made->error.code != 0)
        return prony_fail(error, made->error.code, "%s", made->error.text);
    head = CMSG_FIRSTHDR(&message);
    if (head != NULL) {
        made->fds = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(made->fd, CMSG_DATA(head), made->fds * sizeof(int));
    }
    if ((message.msg_flags & MSG_CTRUNC) == 0)
        return 0;
    while (made->fds > 0)
        (void)close(made->fd[--made->fds]);
    return prony_fail(error, -EMFILE, "no descriptors left for a channel (ulimit -n)");
}

static _Noreturn void be_maker(int line, void (*make)(const void *what, struct prony_made *made), const void *what)
{
    struct prony_made made = {.number = -1};
    char end;
    (void)setsid();
    close_but(&line, 1);
    make(what, &made);
    if (hand_over(line, &made) >= 0)
        while (read(line, &end, 1) < 0 && errno == EINTR)
            ;
    _exit(0);
}

int prony_maker_start(struct prony_maker *maker, void (*make)(const void *what, struct prony_made *made),
                      const void *what, struct prony_made *made, struct prony_error *error)
{
    sigset_t all, before;
    int line[2], code;
    memset(made, 0, sizeof *made);
    *maker = (struct prony_maker){-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0)
        return prony_fail(error, -errno, "no socket pair to a maker: %s (ulimit -n)", strerrordesc_np(errno));
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    maker->pid = fork();
    code = maker->pid < 0 ? -errno : 0;
    if (maker->pid == 0)
        be_maker(line[1], make, what);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    maker->line = line[0];
    (void)close(line[1]);
    code = code != 0 ? prony_fail(error, code, "no process for a maker: %s", strerrordesc_np(-code))
                     : take_over(line[0], made, error);
    if (code != 0)
        prony_maker_end(maker);
    return code;
}

void prony_maker_end(struct prony_maker *maker)
{
    if (maker->line >= 0)
        (void)close(maker->line);
    while (maker->pid > 0 && waitpid(maker->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *maker = (struct prony_maker){-1, -1};
}
