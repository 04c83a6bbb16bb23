/* The forkserver: a clean image that forks a child for each message of birth, and tells each child's end on the line that
 * came with its message. It ends with its parent, whose other children may still hold the other end of the line. */
#include "parallel/birth.h"

#include <errno.h>
#include <poll.h>
#include <prony/pipe.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    int pid, line;
};

struct nursery {
    struct child *children;
    unsigned n, room;
    int line, parent, signals; /* descriptors: the parent's messages, its pidfd, SIGCHLD */
};

/* What the server answers to a birth; with the pidfd when code is 0. */
struct answer {
    int32_t code, pid;
};

static int answer_birth(int line, struct answer answer, int pidfd)
{
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec part = {&answer, sizeof answer};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (pidfd >= 0) {
        struct cmsghdr *head = (struct cmsghdr *)(void *)control;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        *head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &pidfd, sizeof pidfd);
    }
    return sendmsg(line, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int hear_answer(int line, struct answer *answer, int *pidfd)
{
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {answer, sizeof *answer};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *head;
    ssize_t bytes;
    while ((bytes = recvmsg(line, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        continue;
    if (bytes != (ssize_t)sizeof *answer)
        return -EPIPE;
    *pidfd = -1;
    if ((head = CMSG_FIRSTHDR(&message)) != NULL && head->cmsg_type == SCM_RIGHTS)
        memcpy(pidfd, CMSG_DATA(head), sizeof *pidfd);
    return answer->code != 0 ? answer->code : *pidfd < 0 ? -EBADMSG : 0;
}

static void close_fds(const struct born *born)
{
    for (unsigned i = 0; i < born->nfds; i++)
        (void)close(born->fds[i]);
}

/* In the child: nothing of the server stays but the code. True when it is wanted. */
static int leave_nursery(struct nursery *nursery, const struct born *born)
{
    sigset_t none;
    char word;
    ssize_t came;
    for (unsigned i = 0; i < nursery->n; i++)
        (void)close(nursery->children[i].line);
    (void)close(nursery->line);
    (void)close(nursery->parent);
    (void)close(nursery->signals);
    free(nursery->children);
    (void)signal(SIGINT, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    while ((came = read(born->extra, &word, 1)) < 0 && errno == EINTR)
        continue;
    (void)close(born->extra);
    return came == 1;
}

static int make_room(struct nursery *nursery)
{
    unsigned room = nursery->room == 0 ? 16 : nursery->room * 2;
    struct child *children;
    if (nursery->n < nursery->room)
        return 0;
    children = realloc(nursery->children, room * sizeof *children);
    if (children == NULL)
        return -ENOMEM;
    nursery->children = children;
    nursery->room = room;
    return 0;
}

/* One birth. 1 in a child that is to run its entry, else 0; -ECANCELED in one that is not wanted. */
static int give_birth(struct nursery *nursery, struct born *born)
{
    struct answer answer = {make_room(nursery), 0};
    int pid = -1, pidfd = -1;
    born->server = getpid();
    if (answer.code == 0 && (pid = fork()) < 0)
        answer.code = -errno;
    if (pid == 0)
        return leave_nursery(nursery, born) ? 1 : -ECANCELED;
    close_fds(born);
    if (pid > 0 && (pidfd = pidfd_open(pid, 0)) < 0) {
        answer.code = -errno;
        (void)kill(pid, SIGKILL);
    }
    answer.pid = pid;
    if (pid > 0)
        nursery->children[nursery->n++] = (struct child){pid, born->extra};
    (void)answer_birth(born->extra, answer, pidfd);
    if (pidfd >= 0)
        (void)close(pidfd);
    if (pid < 0)
        (void)close(born->extra);
    return 0;
}

static void tell_ends(struct nursery *nursery)
{
    struct signalfd_siginfo info;
    int status, pid;
    (void)!read(nursery->signals, &info, sizeof info);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < nursery->n; i++)
            if (nursery->children[i].pid == pid) {
                const int32_t code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
                (void)prony_pipe_send(nursery->children[i].line, &code, sizeof code, 0);
                (void)close(nursery->children[i].line);
                nursery->children[i] = nursery->children[--nursery->n];
                break;
            }
}

int prony_nursery_serve(int line, int parent)
{
    struct nursery nursery = {.line = line, .parent = pidfd_open(getppid(), 0)};
    struct born born;
    sigset_t child;
    int code = 0;
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    (void)signal(SIGINT, SIG_IGN); /* from the terminal: the parent's to handle */
    nursery.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (nursery.parent < 0 || nursery.signals < 0 || getppid() != parent)
        return PRONY_EXIT_UNKNOWN;
    for (;;) {
        struct pollfd list[3] = {{line, POLLIN, 0}, {nursery.parent, POLLIN, 0}, {nursery.signals, POLLIN, 0}};
        if (poll(list, 3, -1) < 0)
            continue;
        if (list[2].revents != 0)
            tell_ends(&nursery);
        if (list[1].revents != 0)
            break;
        if (list[0].revents == 0)
            continue;
        code = prony_birth_receive(line, &born);
        if (code == -ENODATA)
            break;
        if (code == 0 && born.extra >= 0)
            code = give_birth(&nursery, &born);
        if (code == -ECANCELED)
            return PRONY_EXIT_UNKNOWN;
        if (code == 1) {
            const struct prony_birth birth = {born.arg, born.bytes, born.fds, born.nfds};
            return prony_birth_run(&born, &birth);
        }
    }
    free(nursery.children);
    return 0;
}

/* The server of this process; a forked child does not use its parent's. */
static struct {
    pthread_mutex_t mutex;
    int owner, line, pid;
} server = {PTHREAD_MUTEX_INITIALIZER, 0, -1, 0};

/* With the mutex held. */
static int open_server(struct prony_error *error)
{
    const struct prony_start first = {.entry = NURSERY_ENTRY};
    int code;
    if (server.line >= 0)
        (void)close(server.line);
    if (server.line >= 0 && server.owner == getpid())
        (void)waitpid(server.pid, NULL, 0); /* it had ended, or sees that its line has */
    server.line = -1;
    code = prony_birth_spawn(&server.line, &server.pid, error);
    if (code != 0)
        return code;
    server.owner = getpid();
    code = prony_birth_send(server.line, &first, -1);
    return code == 0 ? 0 : prony_fail(error, code, "the forkserver did not start: %s", strerrordesc_np(-code));
}

/* Sends the birth to a server other than the one that `failed`. `*asked` is which. */
static int order(const struct prony_start *start, int extra, int failed, int *asked, struct prony_error *error)
{
    int code = 0;
    (void)pthread_mutex_lock(&server.mutex);
    if (server.line < 0 || server.owner != getpid() || server.pid == failed)
        code = open_server(error);
    if (code == 0)
        code = prony_birth_send(server.line, start, extra);
    *asked = server.pid;
    (void)pthread_mutex_unlock(&server.mutex);
    return code;
}

/* One try. The child runs its entry only at a word from here, so that one whose server died before it could answer does
 * nothing: the birth can be ordered again. */
static int try_start(struct prony_process *process, const struct prony_start *start, int *server_pid,
                     struct prony_error *error)
{
    struct answer answer;
    int pair[2], code;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return prony_fail(error, -errno, "cannot start a process: no socket pair: %s", strerrordesc_np(errno));
    code = order(start, pair[1], *server_pid, server_pid, error);
    (void)close(pair[1]);
    if (code == 0)
        code = hear_answer(pair[0], &answer, &process->sentinel);
    if (code == 0) {
        process->pid = answer.pid;
        process->line = pair[0];
        (void)send(pair[0], &(char){1}, 1, MSG_NOSIGNAL);
        return 0;
    }
    (void)close(pair[0]);
    return prony_fail(error, code, "the forkserver did not start a process: %s", strerrordesc_np(-code));
}

int prony_nursery_start(struct prony_process *process, const struct prony_start *start, struct prony_error *error)
{
    int server_pid = 0, code = try_start(process, start, &server_pid, error);
    if (code == -EPIPE || code == -ECONNRESET)
        code = try_start(process, start, &server_pid, error);
    return code;
}
