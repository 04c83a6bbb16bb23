/* The engine's end of the socket to Python: packets, and the futures that their answers resolve. */
#include "engines/python/talk.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct prony_future *prony_python_future(const struct prony_python *python, uint64_t offset)
{
    return (struct prony_future *)(void *)(python->setup->base + offset);
}

void prony_python_done(struct prony_future *future, int status)
{
    future->status = status;
    future->done_ns = prony_now_ns();
    __atomic_store_n(&future->state, (future->state & ~3u) | PRONY_DONE, __ATOMIC_RELEASE);
}

void prony_python_forget(struct prony_python *python, uint64_t offset)
{
    uint64_t last = python->pending[--python->count], place = prony_python_future(python, offset)->outer;
    python->pending[place] = last;
    prony_python_future(python, last)->outer = place;
}

void prony_python_fail(struct prony_python *python, int code)
{
    while (python->count != 0)
        prony_python_done(prony_python_future(python, python->pending[--python->count]), code);
}

/* The process is gone or does not speak any more. */
static int lost(struct prony_python *python)
{
    char why[160];
    size_t length = strlen(python->about);
    int status = prony_child_reap(&python->child, prony_now_ns() + PRONY_PYTHON_END_MS * 1000000ull);
    if (status == -ETIMEDOUT)
        prony_child_kill(&python->child);
    prony_child_last_line(&python->child, why, sizeof why);
    (void)snprintf(python->about + length, sizeof python->about - length, "; ended: %s", why);
    if (python->broken == 0)
        python->broken = status > 0 && WIFSIGNALED(status) ? -(PRONY_DIED + WTERMSIG(status)) : -EPIPE;
    prony_python_fail(python, python->broken);
    return python->broken;
}

/* An answer to a task. One that was cancelled is done already, and its future may be in use again. */
static void resolve(struct prony_python *python, const unsigned char *packet)
{
    uint64_t offset;
    uint32_t ticket, state;
    int32_t status;
    memcpy(&offset, packet + 1, sizeof offset);
    memcpy(&ticket, packet + 9, sizeof ticket);
    memcpy(&status, packet + 13, sizeof status);
    state = __atomic_load_n(&prony_python_future(python, offset)->state, __ATOMIC_ACQUIRE);
    if (state >> 2 == ticket && (state & 3u) != PRONY_DONE) {
        prony_python_forget(python, offset);
        prony_python_done(prony_python_future(python, offset), status);
    }
    if (status <= -PRONY_DIED)
        python->broken = status;
}

int prony_python_take(struct prony_python *python, unsigned char *packet, size_t bytes, int *length)
{
    ssize_t got;
    do
        got = recv(python->child.socket, packet, bytes, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got <= 0)
        return lost(python);
    if (packet[0] == 'S' && got == 17)
        resolve(python, packet);
    if (packet[0] == 'D' && got == 5) { /* a worker died, and with it the pool */
        memcpy(&python->broken, packet + 1, sizeof python->broken);
        prony_python_fail(python, python->broken);
    }
    *length = (int)got;
    return packet[0];
}

int prony_python_await(struct prony_python *python, const char *letters, unsigned char *packet, size_t bytes,
                       uint64_t end_ns)
{
    struct pollfd poller = {.fd = python->child.socket, .events = POLLIN};
    int length = 0;
    for (;;) {
        int got = prony_python_take(python, packet, bytes, &length);
        if (got < 0)
            return got;
        if (got > 0 && strchr(letters, got) != NULL)
            return length;
        if (got == 0 && poll(&poller, 1, prony_child_left_ms(end_ns)) <= 0 && prony_child_left_ms(end_ns) == 0)
            return -ETIMEDOUT;
    }
}

int prony_python_post(struct prony_python *python, const void *packet, size_t bytes, uint64_t end_ns)
{
    for (;;) {
        unsigned char answer[PRONY_PYTHON_BYTES];
        struct pollfd poller = {.fd = python->child.socket, .events = POLLIN | POLLOUT};
        int length, got = 1;
        if (send(python->child.socket, packet, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return lost(python);
        while (got > 0)
            got = prony_python_take(python, answer, sizeof answer, &length);
        if (got < 0)
            return got;
        if (poll(&poller, 1, prony_child_left_ms(end_ns)) <= 0 && prony_child_left_ms(end_ns) == 0)
            return -ETIMEDOUT;
    }
}
