/* The part of the arena that an engine with foreign workers (processes of another image, CPython say) shares with them:
 * the engine lays it at the start of its area, measure/image.c works on it in the workers. Zeroed before each open. */
#ifndef PRONY_ENGINES_FOREIGN_H
#define PRONY_ENGINES_FOREIGN_H

#include "engines/meeting.h"

struct prony_foreign {
    uint32_t claimed; /* worker indices given out */
    uint32_t pad[15];
    /* A gang: all workers of the engine enter, so that each takes exactly one part; the roles among them run the kernel;
     * all leave together, so that those without a role stay alive and idle meanwhile. Each on a line of its own. */
    uint32_t enter __attribute__((aligned(64))), role __attribute__((aligned(64))), leave __attribute__((aligned(64)));
};

/* Ends a gang that hangs or failed: everyone who waits or comes is sent away. */
static inline void prony_foreign_stop(struct prony_foreign *foreign)
{
    prony_meeting_end(&foreign->enter);
    prony_meeting_end(&foreign->role);
    prony_meeting_end(&foreign->leave);
}

/* Makes ready for the next gang. Nobody is in one. */
static inline void prony_foreign_reset(struct prony_foreign *foreign)
{
    prony_meeting_reset(&foreign->enter);
    prony_meeting_reset(&foreign->role);
    prony_meeting_reset(&foreign->leave);
}

#endif
