/* The bounded queue: slots in a ring under a robust mutex. Only the last store of a put or get counts, so what a dead
 * holder of the mutex leaves behind is whole. */
#include <prony/queue.h>

#include "parallel/until.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define HEAD ((sizeof(struct prony_queue) + 63u) & ~(uint64_t)63)

/* A slot is a size and the bytes. */
static uint64_t stride(uint32_t message_bytes)
{
    return ((uint64_t)message_bytes + sizeof(uint32_t) + 7) & ~UINT64_C(7);
}

static unsigned char *slot(struct prony_queue *queue, uint64_t number)
{
    return (unsigned char *)queue + HEAD + number % queue->capacity * stride(queue->bytes);
}

uint64_t prony_queue_room(uint32_t capacity, uint32_t message_bytes)
{
    uint64_t slots;
    if (capacity == 0 || capacity > INT_MAX || message_bytes > INT_MAX ||
        __builtin_mul_overflow(stride(message_bytes), (uint64_t)capacity, &slots) || slots > INT64_MAX - HEAD)
        return 0;
    return HEAD + slots;
}

int prony_queue_init(void *memory, uint32_t capacity, uint32_t message_bytes, struct prony_error *error)
{
    struct prony_queue *queue = memory;
    int code;
    if (prony_queue_room(capacity, message_bytes) == 0)
        return prony_fail(error, -EINVAL, "a queue of %u messages of %u bytes cannot be", capacity, message_bytes);
    memset(queue, 0, sizeof *queue);
    queue->capacity = capacity;
    queue->bytes = message_bytes;
    code = prony_mutex_init(&queue->mutex);
    return code == 0 ? 0 : prony_fail(error, code, "cannot make the queue's mutex: %s", strerrordesc_np(-code));
}

static void enter(struct prony_queue *queue)
{
    (void)prony_mutex_acquire(&queue->mutex, -1);
}

static void leave(struct prony_queue *queue)
{
    (void)prony_mutex_release(&queue->mutex);
}

/* Says on `word` that something happened, with the mutex held; whether somebody may have to be woken, without it. */
static int happened(uint32_t *word, const uint32_t *waiters)
{
    __atomic_store_n(word, *word + 1, __ATOMIC_RELEASE);
    return *waiters != 0;
}

/* Sleeps until something happens on `word`, the mutex given up meanwhile. 0, or -ETIMEDOUT when the time is up. A nap,
 * because whoever was woken for this message or slot may die before it takes it. */
static int await(struct prony_queue *queue, uint32_t *word, uint32_t *waiters, uint64_t end)
{
    const uint32_t seen = *word;
    if (left_ns(end) == 0)
        return -ETIMEDOUT;
    ++*waiters;
    leave(queue);
    (void)prony_futex_wait(word, seen, nap_ns(end));
    enter(queue);
    if (*waiters > 0)
        --*waiters;
    return 0;
}

int prony_queue_put(struct prony_queue *queue, const void *message, size_t bytes, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    const uint32_t size = (uint32_t)bytes;
    int code = 0, wake = 0;
    if (bytes > queue->bytes)
        return -EMSGSIZE;
    enter(queue);
    while (code == 0 && !queue->closed && queue->tail - queue->head == queue->capacity)
        code = await(queue, &queue->gets, &queue->putters, end);
    if (code == 0 && queue->closed)
        code = -EPIPE;
    if (code == 0) {
        unsigned char *at = slot(queue, queue->tail);
        memcpy(at, &size, sizeof size);
        if (bytes > 0)
            memcpy(at + sizeof size, message, bytes);
        __atomic_store_n(&queue->tail, queue->tail + 1, __ATOMIC_RELEASE);
        wake = happened(&queue->puts, &queue->getters);
    }
    leave(queue);
    if (wake)
        prony_futex_wake(&queue->puts, 1);
    return code;
}

int prony_queue_get(struct prony_queue *queue, void *message, size_t room, size_t *got, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    uint32_t size = 0;
    int code = 0, wake = 0;
    enter(queue);
    while (code == 0 && queue->tail == queue->head)
        code = queue->closed ? -EPIPE : await(queue, &queue->puts, &queue->getters, end);
    if (code == 0) {
        const unsigned char *at = slot(queue, queue->head);
        memcpy(&size, at, sizeof size);
        if (size > room)
            code = -EMSGSIZE;
        else if (size > 0)
            memcpy(message, at + sizeof size, size);
    }
    if (code == 0) {
        __atomic_store_n(&queue->head, queue->head + 1, __ATOMIC_RELEASE);
        wake = happened(&queue->gets, &queue->putters);
    }
    leave(queue);
    if (wake)
        prony_futex_wake(&queue->gets, 1);
    if (got != NULL && (code == 0 || code == -EMSGSIZE))
        *got = size;
    return code;
}

int prony_queue_task_done(struct prony_queue *queue)
{
    int code = -EINVAL, last = 0;
    enter(queue);
    if (queue->done != (uint32_t)queue->tail) {
        __atomic_store_n(&queue->done, queue->done + 1, __ATOMIC_RELEASE);
        last = queue->done == (uint32_t)queue->tail;
        code = 0;
    }
    leave(queue);
    if (last)
        prony_futex_wake(&queue->done, INT_MAX);
    return code;
}

int prony_queue_join(struct prony_queue *queue, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    uint32_t done;
    while ((done = __atomic_load_n(&queue->done, __ATOMIC_ACQUIRE)) !=
           (uint32_t)__atomic_load_n(&queue->tail, __ATOMIC_ACQUIRE)) {
        if (left_ns(end) == 0)
            return -ETIMEDOUT;
        (void)prony_futex_wait(&queue->done, done, nap_ns(end));
    }
    return 0;
}

void prony_queue_close(struct prony_queue *queue)
{
    enter(queue);
    queue->closed = 1;
    (void)happened(&queue->puts, &queue->getters);
    (void)happened(&queue->gets, &queue->putters);
    leave(queue);
    prony_futex_wake(&queue->puts, INT_MAX);
    prony_futex_wake(&queue->gets, INT_MAX);
}

uint32_t prony_queue_size(struct prony_queue *queue)
{
    uint32_t size;
    enter(queue);
    size = (uint32_t)(queue->tail - queue->head);
    leave(queue);
    return size;
}
