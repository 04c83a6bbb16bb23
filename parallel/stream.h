/* Messages over a stream: their length, and their bytes. For connections over TCP. */
#ifndef PRONY_PARALLEL_STREAM_H
#define PRONY_PARALLEL_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* As prony_pipe_send and prony_pipe_receive. */
int prony_streamed_send(int fd, const void *message, size_t bytes, int64_t timeout_ns);
int prony_streamed_receive(int fd, void *message, size_t room, size_t *got, int64_t timeout_ns);

#endif
