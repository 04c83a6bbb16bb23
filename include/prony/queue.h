/* A bounded queue of messages for many producers and consumers, threads or processes, in memory that they share.
 *
 * It holds no pointer: it is made at an offset of an arena and used at whatever address each process has the arena.
 * A message is put when its bytes are there and taken when they have been copied, all or nothing: a process that dies
 * between loses its own message at most, and the next one that comes goes on. */
#ifndef PRONY_QUEUE_H
#define PRONY_QUEUE_H

#include <prony/error.h>
#include <prony/sync.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_queue {
    struct prony_mutex mutex;
    uint32_t capacity, bytes; /* messages; of the largest one */
    uint64_t head, tail;      /* ever taken, ever put */
    uint32_t done;            /* ever said to be dealt with, mod 2^32: a futex */
    uint32_t closed;
    uint32_t puts, gets;       /* count what happened: futexes */
    uint32_t putters, getters; /* who may sleep on them */
};

/* Bytes of memory that a queue needs; 64-byte aligned. 0: too large to be. */
uint64_t prony_queue_room(uint32_t capacity, uint32_t message_bytes);
/* Makes one at `memory`, once, before it is shared. 0, -EINVAL or the mutex's -errno. */
int prony_queue_init(void *memory, uint32_t capacity, uint32_t message_bytes, struct prony_error *error);
/* timeout_ns < 0: no limit; 0: a try. 0; -ETIMEDOUT: full until then; -EMSGSIZE; -EPIPE: closed. */
int prony_queue_put(struct prony_queue *queue, const void *message, size_t bytes, int64_t timeout_ns);
/* Takes the oldest message. `got` (may be NULL) is its size. 0; -ETIMEDOUT: empty until then; -EMSGSIZE: it is larger than
 * `room`, and stays; -EPIPE: closed and empty. */
int prony_queue_get(struct prony_queue *queue, void *message, size_t room, size_t *got, int64_t timeout_ns);
/* A message that was taken is dealt with. 0 or -EINVAL: more often than messages were put. */
int prony_queue_task_done(struct prony_queue *queue);
/* Waits until every message put is dealt with. 0 or -ETIMEDOUT. */
int prony_queue_join(struct prony_queue *queue, int64_t timeout_ns);
/* Nothing more is put; what is there is still taken. Wakes everybody. */
void prony_queue_close(struct prony_queue *queue);
/* Messages in it; out of date at once. */
uint32_t prony_queue_size(struct prony_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
