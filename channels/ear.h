/* What signal and signalfd share: a box whose bell is SIGUSR2, sent to the thread that receives. */
#ifndef PRONY_CHANNELS_EAR_H
#define PRONY_CHANNELS_EAR_H

#include "channels/box.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Who receives of a way, in its own part. */
struct ear {
    int32_t pid, tid;
};

static inline struct ear *ear_of(struct prony_box_way *way)
{
    return (struct ear *)(void *)way->own;
}

static inline void poke(struct prony_box_way *way)
{
    int32_t tid = __atomic_load_n(&ear_of(way)->tid, __ATOMIC_SEQ_CST);
    if (tid != 0)
        (void)syscall(SYS_tgkill, ear_of(way)->pid, tid, SIGUSR2);
}

/* A receiver that has not come yet looks at the slots when it comes. */
static inline int signal_ring(struct prony_box *box)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    poke(box->way[PRONY_OUT]);
    return 0;
}

static inline void pass_over(int number)
{
    (void)number;
}

/* A signal may come after detach, from a peer or a keeper that had already looked: it must not kill. Not SIG_IGN, which
 * throws away what waits in other threads. */
static inline void bear_late_ones(void)
{
    const struct sigaction harmless = {.sa_handler = pass_over, .sa_flags = SA_RESTART};
    struct sigaction before;
    if (sigaction(SIGUSR2, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        (void)sigaction(SIGUSR2, &harmless, NULL);
}

static inline sigset_t signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    return set;
}

/* The calling thread receives from now on: its signal is blocked, and its peer may poke it. True: it was not blocked. */
static inline bool ear_open(struct prony_box *box)
{
    struct ear *ear = ear_of(box->way[PRONY_IN]);
    sigset_t set = signals(), before;
    bool masked;
    bear_late_ones();
    masked = pthread_sigmask(SIG_BLOCK, &set, &before) == 0 && sigismember(&before, SIGUSR2) == 0;
    ear->pid = getpid();
    __atomic_store_n(&ear->tid, (int32_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    return masked;
}

/* Takes what still came; `masked` is what ear_open said. */
static inline void ear_close(struct prony_box *box, bool masked)
{
    const struct timespec at_once = {0, 0};
    sigset_t set = signals();
    __atomic_store_n(&ear_of(box->way[PRONY_IN])->tid, 0, __ATOMIC_SEQ_CST);
    while (sigtimedwait(&set, NULL, &at_once) > 0)
        ;
    if (masked)
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

#endif
