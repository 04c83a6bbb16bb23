/* A binary heap with places; heap.h says what it is. */
#include "parallel/heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool is_before(const struct prony_heap_entry *a, const struct prony_heap_entry *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void set(struct prony_heap *heap, unsigned at, const struct prony_heap_entry *entry)
{
    heap->entries[at] = *entry;
    *entry->place = at + 1;
}

static void rise(struct prony_heap *heap, unsigned at)
{
    const struct prony_heap_entry entry = heap->entries[at];
    for (; at > 0 && is_before(&entry, &heap->entries[(at - 1) / 2]); at = (at - 1) / 2)
        set(heap, at, &heap->entries[(at - 1) / 2]);
    set(heap, at, &entry);
}

static void sink(struct prony_heap *heap, unsigned at)
{
    const struct prony_heap_entry entry = heap->entries[at];
    for (unsigned kid; (kid = 2 * at + 1) < heap->n; at = kid) {
        if (kid + 1 < heap->n && is_before(&heap->entries[kid + 1], &heap->entries[kid]))
            kid++;
        if (!is_before(&heap->entries[kid], &entry))
            break;
        set(heap, at, &heap->entries[kid]);
    }
    set(heap, at, &entry);
}

int prony_heap_put(struct prony_heap *heap, const struct prony_heap_entry *entry)
{
    if (heap->n == heap->room) {
        unsigned room = heap->room == 0 ? 64 : heap->room * 2;
        struct prony_heap_entry *more = realloc(heap->entries, room * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        heap->entries = more;
        heap->room = room;
    }
    heap->entries[heap->n++] = *entry;
    rise(heap, heap->n - 1);
    return 0;
}

void prony_heap_take(struct prony_heap *heap, unsigned place)
{
    const unsigned at = place - 1;
    *heap->entries[at].place = 0;
    heap->n--;
    if (at == heap->n)
        return;
    set(heap, at, &heap->entries[heap->n]);
    rise(heap, at);
    sink(heap, at);
}

void prony_heap_free(struct prony_heap *heap)
{
    free(heap->entries);
    *heap = (struct prony_heap){0};
}
