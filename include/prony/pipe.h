/* A pipe of messages between threads and processes, and the wait for many of them.
 *
 * A message is sent and received whole. Several may send and several receive at one end: each message reaches one of
 * them (so a one-way pipe is also a simple queue, and no process that dies can jam it). An end is a descriptor: it can be
 * inherited, passed on and polled, beside sockets and the sentinels of processes. */
#ifndef PRONY_PIPE_H
#define PRONY_PIPE_H

#include <prony/error.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_pipe {
    int fd[2]; /* the ends, close-on-exec; one way: [0] receives, [1] sends. The caller closes them */
};

/* 0, -EMFILE, -ENFILE, -ENOMEM. */
int prony_pipe_make(struct prony_pipe *ends, int duplex, struct prony_error *error);
/* Sends `bytes` (up to 2 GiB; long ones travel in memory of their own, not through the pipe). timeout_ns < 0: no limit.
 * 0; -ETIMEDOUT: full until then; -EPIPE: nobody can receive it any more, or the end does not send; -EMSGSIZE. */
int prony_pipe_send(int fd, const void *message, size_t bytes, int64_t timeout_ns);
/* Receives one message; `got` (may be NULL) is its size. 0; -ETIMEDOUT; -ENODATA: the end, all who could send have
 * closed; -EMSGSIZE: it was larger than `room`, and is lost. */
int prony_pipe_receive(int fd, void *message, size_t room, size_t *got, int64_t timeout_ns);
/* 0: a receive would not block (there is a message, or the end); -ETIMEDOUT. */
int prony_pipe_poll(int fd, int64_t timeout_ns);

/* Waits until at least one of the descriptors is ready to be read, or at its end: pipes, sockets, sentinels. ready[i] is
 * 1 or 0. Returns how many are ready, 0 when the time is up, or -errno. */
int prony_wait_many(const int *fds, unsigned n, unsigned char *ready, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
