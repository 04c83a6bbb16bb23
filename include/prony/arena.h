/* The arena: one memory of a cell, mapped by all its workers, named by offset.
 *
 * It is a memfd sealed against shrinking and growing (a holder of an unsealed one dies of SIGBUS when another shrinks it).
 * Offset 0 is never handed out, so 0 means "none" everywhere. */
#ifndef PRONY_ARENA_H
#define PRONY_ARENA_H

#include <prony/error.h>
#include <prony/task.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_arena {
    unsigned char *base; /* page aligned; differs in each process */
    uint64_t bytes;
    uint64_t used; /* what prony_arena_take has handed out; creator only */
    int fd;        /* close-on-exec; -1 after prony_arena_close */
};

/* Makes and maps a zeroed, sealed arena. Pages are not touched. 0, -ENOMEM, -EMFILE. */
int prony_arena_create(struct prony_arena *arena, uint64_t bytes, struct prony_error *error);
/* Maps an arena made elsewhere; takes ownership of `fd` on success. */
int prony_arena_attach(struct prony_arena *arena, int fd, struct prony_error *error);
/* Takes `bytes` aligned to `align` (a power of two). Creator only, not thread-safe. -ENOMEM when it is full. */
int prony_arena_take(struct prony_arena *arena, uint64_t bytes, uint64_t align, struct prony_span *span,
                     struct prony_error *error);
void prony_arena_close(struct prony_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
