/* Typed values and arrays in an arena, each with a lock: what several processes read and write together.
 *
 * Found by offset. The memory is the arena's: it has no name in any file system and is gone with its last holder, however
 * that ends. A value is an array of one. Access is plain memory access; whoever changes what others change too holds the
 * lock, as `+=` in any language is a read and a write. */
#ifndef PRONY_ARRAY_H
#define PRONY_ARRAY_H

#include <prony/arena.h>
#include <prony/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_array {
    struct prony_rlock lock;
    uint64_t items;
    uint32_t type;       /* the type's letter, as in Python's module array */
    uint32_t item_bytes; /* the items follow on lines of their own */
};

/* Bytes of an item of type c b B h H i I l L q Q f d; 0: no such type. */
uint32_t prony_type_bytes(char type);
/* Takes a zeroed array from the arena; `off` is where it is. Creator of the arena only. 0, -EINVAL, -ENOMEM. */
int prony_array_make(struct prony_arena *arena, char type, uint64_t items, uint64_t *off, struct prony_error *error);
/* The array at an offset, in this process. NULL: none of this type fits there. */
struct prony_array *prony_array_at(const struct prony_arena *arena, uint64_t off, char type);
/* The first item; 64-byte aligned. */
static inline void *prony_array_items(struct prony_array *array)
{
    return (unsigned char *)array + ((sizeof *array + 63u) & ~(size_t)63);
}

#ifdef __cplusplus
}
#endif
#endif
