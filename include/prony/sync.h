/* Synchronisation between threads and processes: all of it lies in shared memory and needs no set-up beyond zeroed bytes. */
#ifndef PRONY_SYNC_H
#define PRONY_SYNC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A mutual exclusion lock on a futex: 0 free, 1 held, 2 held and waited for (Drepper, "Futexes Are Tricky", 2011, mutex 2).
 * Not recursive; a holder that dies keeps it. */
struct prony_lock {
    uint32_t word;
};
void prony_lock_acquire(struct prony_lock *lock);
/* 0 or -ETIMEDOUT. timeout_ns < 0: no limit; 0: a try. */
int prony_lock_acquire_for(struct prony_lock *lock, int64_t timeout_ns);
void prony_lock_release(struct prony_lock *lock);

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
