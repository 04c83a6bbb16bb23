/* The ring of shm-ring: one writer, one reader, a power of two of bytes, in two layouts.
 *
 * slots: each message begins at a line of its own with a word that says its length, written last: reader and writer meet in
 * the payload's own line and nowhere else. The word after a message is cleared before the message is published, so that
 * old bytes are never taken for a word. The reader tells how far it has come every quarter of the ring.
 * bytes: messages lie close together behind their lengths, and the writer tells how far it has come after each: two lines
 * move a message, but small ones share a line. The reader takes all that it has been told of before it looks again.
 * In both a message lies in one piece, or in several of at most a quarter of the ring. */
#ifndef PRONY_CHANNELS_RING_H
#define PRONY_CHANNELS_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum prony_layout { PRONY_RING_SLOTS, PRONY_RING_BYTES };
enum { PRONY_RING_LINE = 64 };

/* In shared memory, zeroed; the bytes of the ring follow. */
struct prony_ring {
    _Alignas(128) uint64_t head; /* bytes: how far the writer has come */
    uint32_t reader_sleeps;      /* futex */
    _Alignas(128) uint64_t tail; /* how far the reader has come */
    uint32_t writer_sleeps;      /* futex */
    _Alignas(128) unsigned char data[];
};

/* One side's own view. */
struct prony_ring_side {
    struct prony_ring *ring;
    uint64_t at;    /* own position, in bytes; never wraps */
    uint64_t seen;  /* the other's, as last read */
    uint64_t told;  /* reader: as last written */
    uint64_t mask;  /* bytes - 1 */
    uint64_t unit;  /* what a message is rounded up to: a line, or 8 bytes */
    uint64_t piece; /* most bytes of one piece */
    enum prony_layout layout;
};

/* The word before a piece: its length + 1, and flags. 0: nothing yet. */
#define PRONY_RING_MORE (UINT64_C(1) << 62) /* the message goes on in the next piece */
#define PRONY_RING_SKIP (UINT64_C(1) << 63) /* nothing here: go on at the start of the ring */
#define PRONY_RING_LENGTH(word) (((word) & ~(PRONY_RING_MORE | PRONY_RING_SKIP)) - 1)

static inline struct prony_ring_side prony_ring_side_of(struct prony_ring *ring, uint64_t bytes,
                                                        enum prony_layout layout)
{
    return (struct prony_ring_side){.ring = ring,
                                    .mask = bytes - 1,
                                    .unit = layout == PRONY_RING_SLOTS ? PRONY_RING_LINE : sizeof(uint64_t),
                                    .piece = bytes / 4 - PRONY_RING_LINE,
                                    .layout = layout};
}

static inline uint64_t *prony_ring_word(const struct prony_ring_side *side, uint64_t at)
{
    return (uint64_t *)(void *)(side->ring->data + (at & side->mask));
}

/* Where the payload of a piece begins: in the word's own line if it fits there, else at the next line, aligned. */
static inline uint64_t prony_ring_gap(const struct prony_ring_side *side, uint64_t bytes)
{
    return side->layout == PRONY_RING_BYTES || bytes <= PRONY_RING_LINE * 2 - sizeof(uint64_t) ? sizeof(uint64_t)
                                                                                               : PRONY_RING_LINE;
}

static inline uint64_t prony_ring_span(const struct prony_ring_side *side, uint64_t bytes)
{
    return (prony_ring_gap(side, bytes) + bytes + side->unit - 1) & ~(side->unit - 1);
}

/* Writer: room for `bytes` from here, and for the word after it? */
static inline bool prony_ring_has_room(struct prony_ring_side *side, uint64_t bytes)
{
    uint64_t end = side->at + bytes + side->unit;
    if (end - side->seen <= side->mask + 1)
        return true;
    side->seen = __atomic_load_n(&side->ring->tail, __ATOMIC_ACQUIRE);
    return end - side->seen <= side->mask + 1;
}

/* Writes the word at the writer's position last, after the one that follows it was cleared; goes on by `span`. */
static inline void prony_ring_put_word(struct prony_ring_side *side, uint64_t word, uint64_t span)
{
    uint64_t *here = prony_ring_word(side, side->at);
    side->at += span;
    if (side->layout == PRONY_RING_BYTES) {
        *here = word;
        __atomic_store_n(&side->ring->head, side->at, __ATOMIC_RELEASE);
        return;
    }
    __atomic_store_n(prony_ring_word(side, side->at), 0, __ATOMIC_RELAXED);
    __atomic_store_n(here, word, __ATOMIC_RELEASE);
}

/* Writer: the place of a piece of `bytes`, skipping what is left of the ring when it does not fit there. NULL: no room. */
static inline unsigned char *prony_ring_claim(struct prony_ring_side *side, uint64_t bytes)
{
    uint64_t span = prony_ring_span(side, bytes), left = side->mask + 1 - (side->at & side->mask);
    if (span > left) {
        if (!prony_ring_has_room(side, left))
            return NULL;
        prony_ring_put_word(side, PRONY_RING_SKIP, left);
    }
    if (!prony_ring_has_room(side, span))
        return NULL;
    return side->ring->data + (side->at & side->mask) + prony_ring_gap(side, bytes);
}

static inline void prony_ring_publish(struct prony_ring_side *side, uint64_t bytes, bool more)
{
    prony_ring_put_word(side, (bytes + 1) | (more ? PRONY_RING_MORE : 0), prony_ring_span(side, bytes));
}

static inline void prony_ring_tell(struct prony_ring_side *side)
{
    side->told = side->at;
    __atomic_store_n(&side->ring->tail, side->at, __ATOMIC_RELEASE);
}

/* Reader: the word of the next piece, 0: none is there. */
static inline uint64_t prony_ring_look(struct prony_ring_side *side)
{
    for (;;) {
        uint64_t word;
        if (side->layout == PRONY_RING_SLOTS) {
            word = __atomic_load_n(prony_ring_word(side, side->at), __ATOMIC_ACQUIRE);
        } else {
            if (side->at == side->seen)
                side->seen = __atomic_load_n(&side->ring->head, __ATOMIC_ACQUIRE);
            word = side->at == side->seen ? 0 : *prony_ring_word(side, side->at);
        }
        if ((word & PRONY_RING_SKIP) == 0)
            return word;
        side->at += side->mask + 1 - (side->at & side->mask);
        prony_ring_tell(side);
    }
}

static inline const unsigned char *prony_ring_piece(const struct prony_ring_side *side, uint64_t bytes)
{
    return side->ring->data + (side->at & side->mask) + prony_ring_gap(side, bytes);
}

/* Reader: done with a piece. True when the writer was told. */
static inline bool prony_ring_release(struct prony_ring_side *side, uint64_t bytes)
{
    side->at += prony_ring_span(side, bytes);
    if (side->at - side->told <= side->mask / 4)
        return false;
    prony_ring_tell(side);
    return true;
}

/* Copies past the cache, for large pieces between cores that share none: `to` is aligned to a line. */
static inline void prony_ring_copy_past(unsigned char *to, const unsigned char *from, uint64_t bytes)
{
#if defined(__x86_64__)
    uint64_t whole = bytes & ~(uint64_t)(PRONY_RING_LINE - 1);
    for (uint64_t at = 0; at < whole; at += PRONY_RING_LINE)
        for (int i = 0; i < PRONY_RING_LINE; i += 16)
            _mm_stream_si128((__m128i *)(void *)(to + at + (unsigned)i),
                             _mm_loadu_si128((const __m128i *)(const void *)(from + at + (unsigned)i)));
    memcpy(to + whole, from + whole, bytes - whole);
    _mm_sfence();
#else
    memcpy(to, from, bytes);
#endif
}

#endif
