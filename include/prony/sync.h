/* Synchronisation between threads and processes: all of it lies in the memory they share, at whatever address.
 *
 * Semantics are those that Python 3.11 documents for multiprocessing and threading, beside what is said here. Every limit is
 * in nanoseconds: below 0 there is none, 0 is a try. What has no init function begins as zeroed bytes.
 * Who waits looks for some microseconds before it sleeps: of two that take turns on PUs of their own neither calls the
 * kernel, which is most of what waiting costs.
 * A process may die at any moment. Semaphore and event have no holder and stay whole; mutex and rlock know theirs, and the
 * next to acquire one is told; barrier and queue lie on a mutex and are whole after every store. What a dead process had
 * taken from a semaphore stays taken, and so does a prony_lock: both may be released by anybody, so nobody is their holder. */
#ifndef PRONY_SYNC_H
#define PRONY_SYNC_H

#include <pthread.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A mutual exclusion lock on a futex: 0 free, 1 held, 2 held and waited for (Drepper, "Futexes Are Tricky", 2011, mutex 2).
 * Not recursive; anyone may release it; a holder that dies keeps it (prony_mutex does not). */
struct prony_lock {
    uint32_t word;
};
void prony_lock_acquire(struct prony_lock *lock);
/* 0 or -ETIMEDOUT. timeout_ns < 0: no limit; 0: a try. */
int prony_lock_acquire_for(struct prony_lock *lock, int64_t timeout_ns);
/* 0 or -EPERM: nobody held it. */
int prony_lock_release(struct prony_lock *lock);

/* A lock that knows its holder: a robust mutex of the C library, which the kernel opens when the holder's thread ends. */
struct prony_mutex {
    pthread_mutex_t mutex;
};
/* 0 or -errno. Once, by one, before it is shared. */
int prony_mutex_init(struct prony_mutex *mutex);
/* 0; -EOWNERDEAD: held, but the last holder died with it, told once; -ETIMEDOUT; -EDEADLK: the caller holds it. */
int prony_mutex_acquire(struct prony_mutex *mutex, int64_t timeout_ns);
/* 0 or -EPERM: the caller does not hold it. */
int prony_mutex_release(struct prony_mutex *mutex);

/* A mutex that its holder may acquire again; it is free after as many releases. */
struct prony_rlock {
    struct prony_mutex mutex;
    uint32_t owner; /* thread id */
    uint32_t depth;
};
int prony_rlock_init(struct prony_rlock *lock);
/* 0, -EOWNERDEAD (held, at depth 1) or -ETIMEDOUT. */
int prony_rlock_acquire(struct prony_rlock *lock, int64_t timeout_ns);
int prony_rlock_release(struct prony_rlock *lock);

/* Counts what is free. bound 0: no bound but the word's. */
struct prony_semaphore {
    uint32_t value, waiters, bound;
};
/* 0 or -EINVAL: the value is over the bound. */
int prony_semaphore_init(struct prony_semaphore *semaphore, uint32_t value, uint32_t bound);
/* 0 or -ETIMEDOUT. */
int prony_semaphore_acquire(struct prony_semaphore *semaphore, int64_t timeout_ns);
/* 0; -EOVERFLOW: n more would go over the bound, and nothing was released; -EINVAL: n is 0. */
int prony_semaphore_release(struct prony_semaphore *semaphore, uint32_t n);
uint32_t prony_semaphore_value(const struct prony_semaphore *semaphore);

/* A flag to wait for. Who waits is let go by a set even when a clear follows at once. */
struct prony_event {
    uint32_t word; /* sets << 2 | waited for << 1 | set */
};
void prony_event_set(struct prony_event *event);
void prony_event_clear(struct prony_event *event);
int prony_event_is_set(const struct prony_event *event);
/* 0 or -ETIMEDOUT. */
int prony_event_wait(struct prony_event *event, int64_t timeout_ns);

/* Waiting for what others change under a lock. Several conditions may share a lock; the caller holds it at every call. */
struct prony_condition {
    uint32_t notices, waiters;
    uint32_t units; /* so many waiters are let go and have not gone yet */
};
/* Gives the lock up, however deep, waits for a notice, and takes it back as deep. 0, -ETIMEDOUT, -EPERM: not the holder;
 * -EOWNERDEAD: as 0, and a holder died meanwhile. Call it in a loop that looks at what is waited for: after the death of
 * a waiter a wake-up may be one too many, never one too few. */
int prony_condition_wait(struct prony_condition *condition, struct prony_rlock *lock, int64_t timeout_ns);
/* The same in that loop: returns when holds(context) is not 0, which is asked with the lock held, or at -ETIMEDOUT. */
int prony_condition_wait_for(struct prony_condition *condition, struct prony_rlock *lock, int (*holds)(void *context),
                             void *context, int64_t timeout_ns);
/* Lets n waiters go, or all with UINT32_MAX. 0 or -EPERM. */
int prony_condition_notify(struct prony_condition *condition, struct prony_rlock *lock, uint32_t n);

/* A meeting of `parties`, again and again. A limit that passes breaks it for all, and so does abort; reset makes it new. */
struct prony_barrier {
    struct prony_mutex mutex;
    uint32_t parties, waiting;
    uint32_t meetings; /* ended, one way or the other: what is waited on */
    uint32_t broken;
    uint64_t failed; /* which of the last 64 did not come about, by meetings mod 64 */
};
/* 0, -EINVAL (no parties) or -errno. */
int prony_barrier_init(struct prony_barrier *barrier, uint32_t parties);
/* The caller's number in this meeting, 0 .. parties - 1, in order of arrival; -ETIMEDOUT: it did not come about in time
 * and is broken; -ECANCELED: broken by another, or reset while it was waited for. */
int prony_barrier_wait(struct prony_barrier *barrier, int64_t timeout_ns);
/* The same; who comes last runs action(context) before anybody goes on. Below 0: it failed, the barrier is broken, and who
 * ran it gets that code. It must not use the barrier; if its process dies in it, the barrier is broken too. */
int prony_barrier_wait_action(struct prony_barrier *barrier, int (*action)(void *context), void *context,
                              int64_t timeout_ns);
void prony_barrier_abort(struct prony_barrier *barrier);
void prony_barrier_reset(struct prony_barrier *barrier);
int prony_barrier_is_broken(const struct prony_barrier *barrier);
uint32_t prony_barrier_waiting(const struct prony_barrier *barrier);

/* Blocks while *word == value: 0 (woken, or the value had changed, or a signal came), or -ETIMEDOUT.
 * timeout_ns < 0: no limit. Works across processes on shared mappings. */
int prony_futex_wait(uint32_t *word, uint32_t value, int64_t timeout_ns);
void prony_futex_wake(uint32_t *word, int waiters);

/* Tells the core that this is a waiting loop. */
static inline void prony_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

#ifdef __cplusplus
}
#endif
#endif
