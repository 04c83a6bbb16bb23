/* The part of the arena that an engine with foreign workers (processes of another image, CPython say) shares with them:
 * the engine lays it at the start of its area, measure/image.c works on it in the workers. Zeroed before each open. */
#ifndef PRONY_ENGINES_FOREIGN_H
#define PRONY_ENGINES_FOREIGN_H

#include <prony/sync.h>

/* Where a known number of workers meet, again and again. */
struct prony_foreign_meeting {
    uint32_t arrived, phase; /* phase is a futex word */
    uint32_t pad[14];
};

struct prony_foreign {
    uint32_t claimed; /* worker indices given out */
    uint32_t stopped; /* the present gang was cancelled; the engine clears it before the next */
    uint32_t pad[14];
    /* A gang: all workers of the engine enter, so that each takes exactly one part; the roles among them run the kernel;
     * all leave together, so that those without a role stay alive and idle meanwhile. */
    struct prony_foreign_meeting enter, role, leave;
};

/* Ends a gang that hangs: everyone who waits or comes is sent away. */
static inline void prony_foreign_stop(struct prony_foreign *foreign)
{
    struct prony_foreign_meeting *meetings[] = {&foreign->enter, &foreign->role, &foreign->leave};
    __atomic_store_n(&foreign->stopped, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 3; i++) {
        __atomic_add_fetch(&meetings[i]->phase, 1, __ATOMIC_RELEASE);
        prony_futex_wake(&meetings[i]->phase, INT32_MAX);
    }
}

#endif
