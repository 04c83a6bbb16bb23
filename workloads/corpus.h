/* The texts of wordcount: what a word is, texts from files or by Zipf's law, and the right answer to each. */
#ifndef PRONY_WORKLOADS_CORPUS_H
#define PRONY_WORKLOADS_CORPUS_H

#include "workloads/kit.h"

#define CORPUS_LICENCES "/usr/share/common-licenses" /* every Debian has them */
#define CORPUS_MOST 268435456.0                      /* bytes of a text: offsets and entries are 32 bits wide */

/* What all counts of all words come to. `sum` depends on every word's hash, length and count, and on nothing else. */
struct word_answer {
    uint64_t words, distinct, sum, top_count;
    uint32_t top_off, top_len; /* one of the places of the most frequent word; the first in the alphabet of equals */
};

/* The byte as it counts in a word: folded to lower case; 0: no word has it. */
static inline unsigned char word_byte(unsigned char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (unsigned char)(byte + ('a' - 'A'));
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 128 ? byte : 0;
}

/* Hash of the word that begins at *at, whose end *at becomes: FNV-1a, and a last mix for its high bits. */
static inline uint32_t word_hash(const unsigned char *text, uint64_t bytes, uint64_t *at)
{
    uint32_t hash = 2166136261u;
    for (unsigned char byte; *at < bytes && (byte = word_byte(text[*at])) != 0; ++*at)
        hash = (hash ^ byte) * 16777619u;
    hash = (hash ^ (hash >> 15)) * 0x2c1b3c6du;
    return hash ^ (hash >> 13);
}

/* Order of two words, folded: as memcmp, then the shorter first. */
static inline int word_compare(const unsigned char *one, uint32_t one_len, const unsigned char *other,
                               uint32_t other_len)
{
    uint32_t least = one_len < other_len ? one_len : other_len;
    for (uint32_t i = 0; i < least; i++) {
        int differ = (int)word_byte(one[i]) - (int)word_byte(other[i]);
        if (differ != 0)
            return differ;
    }
    return one_len < other_len ? -1 : one_len > other_len;
}

/* Adds a word that occurs `count` times, and was not added before. */
void prony_words_add(struct word_answer *answer, const unsigned char *text, uint32_t off, uint32_t len, uint64_t count,
                     uint32_t hash);
/* Adds the answer over other words of the same text. */
void prony_words_merge(struct word_answer *answer, const unsigned char *text, const struct word_answer *other);
/* 0, or -EBADMSG with what differs. */
int prony_words_check(const struct word_answer *right, const struct word_answer *found, const unsigned char *text,
                      struct prony_error *error);

int prony_corpus_has_licences(void);
/* A file, or all files under a folder in the order of their names, links not followed; a newline after each. With
 * `text` NULL, only how many bytes it would be. The bytes, or -EINVAL with the reason; when there are not just `room`
 * bytes, -ESTALE. */
int64_t prony_corpus_read(const char *path, unsigned char *text, uint64_t room, struct prony_error *error);
/* The answer by sorting all words. */
int prony_corpus_count(const unsigned char *text, uint64_t bytes, struct word_answer *answer,
                       struct prony_error *error);
/* Writes `bytes` of words whose frequencies follow Zipf's law, and the answer from the count of what was written. */
int prony_corpus_zipf(unsigned char *text, uint64_t bytes, uint64_t seed, struct word_answer *answer,
                      struct prony_error *error);

#endif
