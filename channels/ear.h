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

#endif
