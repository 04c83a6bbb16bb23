/* The texts of wordcount: reading them, writing them, and their answers. */
#include "workloads/corpus.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

static void offer_top(struct word_answer *answer, const unsigned char *text, uint64_t count, uint32_t off, uint32_t len)
{
    if (count < answer->top_count || count == 0)
        return;
    if (count == answer->top_count && word_compare(text + off, len, text + answer->top_off, answer->top_len) > 0)
        return;
    answer->top_count = count;
    answer->top_off = off;
    answer->top_len = len;
}

void prony_words_add(struct word_answer *answer, const unsigned char *text, uint32_t off, uint32_t len, uint64_t count,
                     uint32_t hash)
{
    answer->words += count;
    answer->distinct++;
    answer->sum += mix64((uint64_t)hash << 32 | len) * count;
    offer_top(answer, text, count, off, len);
}

void prony_words_merge(struct word_answer *answer, const unsigned char *text, const struct word_answer *other)
{
    answer->words += other->words;
    answer->distinct += other->distinct;
    answer->sum += other->sum;
    offer_top(answer, text, other->top_count, other->top_off, other->top_len);
}

int prony_words_check(const struct word_answer *right, const struct word_answer *found, const unsigned char *text,
                      struct prony_error *error)
{
    if (found->words != right->words || found->distinct != right->distinct)
        return prony_fail(error, -EBADMSG, "%llu words, %llu of them distinct, and not %llu and %llu",
                          (unsigned long long)right->words, (unsigned long long)right->distinct,
                          (unsigned long long)found->words, (unsigned long long)found->distinct);
    if (found->top_count != right->top_count ||
        word_compare(text + found->top_off, found->top_len, text + right->top_off, right->top_len) != 0)
        return prony_fail(error, -EBADMSG, "the first word is %.*s, %llu times, and not %.*s, %llu times",
                          (int)(right->top_len % 64), (const char *)text + right->top_off,
                          (unsigned long long)right->top_count, (int)(found->top_len % 64),
                          (const char *)text + found->top_off, (unsigned long long)found->top_count);
    if (found->sum != right->sum)
        return prony_fail(error, -EBADMSG, "all words are there, but some of their counts are wrong");
    return 0;
}

int prony_corpus_has_licences(void)
{
    struct stat folder;
    return stat(CORPUS_LICENCES, &folder) == 0 && S_ISDIR(folder.st_mode);
}

/* Reads the file to text + at, or only looks that it can be read. Its size, or -errno with the reason. */
static int64_t read_file(const char *path, unsigned char *text, uint64_t at, uint64_t room, struct prony_error *error)
{
    struct stat file;
    int64_t got = 0, code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) != 0) {
        code = prony_fail(error, -EINVAL, "%s cannot be read: %s", path, strerrordesc_np(errno));
        goto out;
    }
    code = file.st_size;
    if (text == NULL)
        goto out;
    if (at + (uint64_t)code + 1 > room) {
        code = prony_fail(error, -ESTALE, "%s has grown since the plan was made", path);
        goto out;
    }
    while (got < code) {
        ssize_t n = read(fd, text + at + got, (size_t)(code - got));
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        got += n > 0 ? n : 0;
    }
    text[at + (uint64_t)code] = '\n';
    if (got != code)
        code = prony_fail(error, -ESTALE, "%s could not be read to its end", path);
out:
    if (fd >= 0)
        (void)close(fd);
    return code;
}

static int by_name(const FTSENT **one, const FTSENT **other)
{
    return strcmp((*one)->fts_name, (*other)->fts_name);
}

int64_t prony_corpus_read(const char *path, unsigned char *text, uint64_t room, struct prony_error *error)
{
    char copy[4096];
    char *const roots[] = {copy, NULL};
    int64_t total = 0;
    FTSENT *entry;
    FTS *walk;
    if (strlen(path) >= sizeof copy)
        return prony_fail(error, -EINVAL, "path: too long");
    memcpy(copy, path, strlen(path) + 1);
    walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (walk == NULL)
        return prony_fail(error, -EINVAL, "%s cannot be read: %s", path, strerrordesc_np(errno));
    while (total >= 0 && (entry = fts_read(walk)) != NULL) {
        int64_t bytes;
        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR) {
            total =
                prony_fail(error, -EINVAL, "%s cannot be read: %s", entry->fts_path, strerrordesc_np(entry->fts_errno));
        } else if (entry->fts_info == FTS_F) {
            bytes = read_file(entry->fts_accpath, text, (uint64_t)total, room, error);
            total = bytes < 0 ? bytes : total + bytes + 1;
            if (total > (int64_t)CORPUS_MOST)
                total = prony_fail(error, -EINVAL, "%s holds more than %.0f bytes of text", path, CORPUS_MOST);
        }
    }
    (void)fts_close(walk);
    if (total == 0)
        return prony_fail(error, -EINVAL, "%s has no file in it", path);
    if (total > 0 && text != NULL && (uint64_t)total != room)
        return prony_fail(error, -ESTALE, "%s has changed since the plan was made", path);
    return total;
}

/* A word's place, for sorting. */
struct place {
    const unsigned char *text;
    uint32_t off, len;
};

static int by_word(const void *one, const void *other)
{
    const struct place *a = one, *b = other;
    return word_compare(a->text + a->off, a->len, b->text + b->off, b->len);
}

/* Fills `places` unless it is NULL; how many words there are. */
static size_t find_words(const unsigned char *text, uint64_t bytes, struct place *places)
{
    size_t n = 0;
    for (uint64_t at = 0; at < bytes;) {
        uint64_t begun = at;
        while (at < bytes && word_byte(text[at]) != 0)
            at++;
        if (at == begun) {
            at++;
            continue;
        }
        if (places != NULL)
            places[n] = (struct place){text, (uint32_t)begun, (uint32_t)(at - begun)};
        n++;
    }
    return n;
}

int prony_corpus_count(const unsigned char *text, uint64_t bytes, struct word_answer *answer, struct prony_error *error)
{
    size_t n = find_words(text, bytes, NULL), run;
    struct place *places = malloc((n + 1) * sizeof *places);
    if (places == NULL)
        return prony_fail(error, -ENOMEM, "no memory to sort %zu words", n);
    (void)find_words(text, bytes, places);
    qsort(places, n, sizeof *places, by_word);
    memset(answer, 0, sizeof *answer);
    for (size_t i = 0; i < n; i += run) {
        uint64_t at = places[i].off;
        for (run = 1; i + run < n && by_word(&places[i], &places[i + run]) == 0;)
            run++;
        prony_words_add(answer, text, places[i].off, places[i].len, run, word_hash(text, bytes, &at));
    }
    free(places);
    return 0;
}

enum { RANKS = 20000, NAME_BYTES = 8 };

/* The word of a rank: its number in letters, short for the frequent ones. Returns its length. */
static uint32_t name_of(uint32_t rank, unsigned char *name)
{
    uint32_t len = 0;
    for (rank += 26; rank > 0; rank /= 26) /* from two letters on */
        name[len++] = (unsigned char)('a' + rank % 26);
    return len;
}

static uint32_t draw(const double *cumulative, uint64_t random)
{
    double at = (double)(random >> 11) * 0x1p-53 * cumulative[RANKS - 1];
    uint32_t low = 0, high = RANKS - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (cumulative[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int prony_corpus_zipf(unsigned char *text, uint64_t bytes, uint64_t seed, struct word_answer *answer,
                      struct prony_error *error)
{
    struct {
        double cumulative[RANKS];
        uint32_t off[RANKS], count[RANKS];
    } *books = calloc(1, sizeof *books);
    unsigned char name[NAME_BYTES];
    uint64_t at = 0;
    if (books == NULL)
        return prony_fail(error, -ENOMEM, "no memory for the words");
    for (uint32_t rank = 0; rank < RANKS; rank++)
        books->cumulative[rank] = (rank > 0 ? books->cumulative[rank - 1] : 0) + 1.0 / (rank + 1);
    for (uint64_t word = 0;; word++) {
        uint32_t rank = draw(books->cumulative, mix64(seed + word)), len = name_of(rank, name);
        if (at + len + 1 > bytes)
            break;
        books->off[rank] = (uint32_t)at;
        books->count[rank]++;
        memcpy(text + at, name, len);
        if (word % 12 == 0)
            text[at] = (unsigned char)(text[at] + ('A' - 'a'));
        at += len;
        text[at++] = word % 12 == 11 ? '\n' : ' ';
    }
    memset(text + at, '\n', bytes - at);
    memset(answer, 0, sizeof *answer);
    for (uint32_t rank = 0; rank < RANKS; rank++)
        if (books->count[rank] > 0) {
            uint64_t off = books->off[rank], end = off;
            uint32_t hash = word_hash(text, bytes, &end);
            prony_words_add(answer, text, (uint32_t)off, (uint32_t)(end - off), books->count[rank], hash);
        }
    free(books);
    return 0;
}
