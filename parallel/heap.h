/* A heap whose entries know their place, so that any of them can be taken out: the smallest (key, order) is first. */
#ifndef PRONY_PARALLEL_HEAP_H
#define PRONY_PARALLEL_HEAP_H

#include <stdint.h>

struct prony_heap_entry {
    uint64_t key, order;
    void *owner;
    unsigned *place; /* the owner's: where it is, counted from 1; 0: not in the heap */
};

struct prony_heap {
    struct prony_heap_entry *entries;
    unsigned n, room;
};

int prony_heap_put(struct prony_heap *heap, const struct prony_heap_entry *entry); /* 0 or -ENOMEM */
void prony_heap_take(struct prony_heap *heap, unsigned place);
void prony_heap_free(struct prony_heap *heap);

#endif
