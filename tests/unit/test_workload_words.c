/* Wordcount: what a word is, words across the borders of blocks, files and folders, and two ways to the answer. */
#include "tests/conformance/rig.h"
#include "workloads/corpus.h"

#include <fcntl.h>
#include <sys/stat.h>

static char folder[] = "/tmp/prony-words-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void path_of(const char *name, char *path, size_t bytes)
{
    (void)snprintf(path, bytes, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *text, size_t bytes)
{
    char path[128];
    int fd;
    path_of(name, path, sizeof path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, bytes), (ssize_t)bytes);
    (void)close(fd);
}

static void remove_file(const char *name)
{
    char path[128];
    path_of(name, path, sizeof path);
    assert_int_equal(unlink(path), 0);
}

static struct word_answer answer_of(const char *text)
{
    struct word_answer answer;
    assert_int_equal(prony_corpus_count((const unsigned char *)text, strlen(text), &answer, NULL), 0);
    return answer;
}

static void words(void **state)
{
    static const char text[] = "The cat, the CAT; the 2 c\xc3\xa4ts-cats.";
    struct word_answer answer = answer_of(text);
    (void)state;
    assert_int_equal(answer.words, 8);
    assert_int_equal(answer.distinct, 5); /* the cat 2 cäts cats */
    assert_int_equal(answer.top_count, 3);
    assert_int_equal(answer.top_len, 3);
    assert_int_equal(word_byte((unsigned char)text[answer.top_off]), 't');
    answer = answer_of("b a b a");
    assert_int_equal(answer.top_off, 2); /* of equals, the first in the alphabet */
    answer = answer_of(" .,\n");
    assert_int_equal(answer.words, 0);
    assert_int_equal(answer.distinct, 0);
}

/* The same number of words, and one letter or one count another. */
static void every_count_matters(void **state)
{
    struct prony_error error;
    struct word_answer right = answer_of("a a a b b c d"), other = answer_of("a a a b c c d");
    const unsigned char *text = (const unsigned char *)"a a a b b c d";
    (void)state;
    assert_int_equal(prony_words_check(&right, &right, text, &error), 0);
    assert_int_equal(prony_words_check(&right, &other, text, &error), -EBADMSG);
    other = answer_of("a a a b b c e");
    assert_int_equal(prony_words_check(&right, &other, text, &error), -EBADMSG);
    other = answer_of("a a a b b c");
    assert_int_equal(prony_words_check(&right, &other, text, &error), -EBADMSG);
}

/* The generator's books against sorting what it wrote. */
static void zipf(void **state)
{
    enum { BYTES = 200000 };
    unsigned char *text = malloc(BYTES);
    struct word_answer books, sorted;
    struct prony_error error;
    (void)state;
    assert_non_null(text);
    for (uint64_t seed = 0; seed < 4; seed++) {
        uint64_t bytes = seed == 3 ? 64 : BYTES - seed;
        assert_int_equal(prony_corpus_zipf(text, bytes, seed, &books, &error), 0);
        assert_int_equal(prony_corpus_count(text, bytes, &sorted, &error), 0);
        if (prony_words_check(&books, &sorted, text, &error) != 0)
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.text);
        if (seed < 3) { /* about 1 / H(20000) = 9.5% of all words are the first */
            assert_true(books.top_count * 100 > books.words * 8 && books.top_count * 100 < books.words * 11);
            assert_true(books.distinct > 1000);
        }
    }
    free(text);
}

static void count_path(const char *path, uint64_t words_right, uint64_t distinct_right)
{
    const char *const params[] = {"path", path, "block", "4Ki", NULL};
    struct word_answer found = {0};
    struct rig rig;
    rig_open(&rig, prony_find_workload("wordcount", NULL), &rig_engine, 3, params, NULL);
    if (rig_sample(&rig) != 0)
        fail_msg("%s: %s", path, rig.error.text);
    for (unsigned i = 0; i < 64; i++) {
        struct word_answer part;
        memcpy(&part, data_at(&rig.bench, rig.need.bytes - (64 - i) * (uint64_t)LINE_BYTES), sizeof part);
        found.words += part.words;
        found.distinct += part.distinct;
    }
    assert_int_equal(found.words, words_right);
    assert_int_equal(found.distinct, distinct_right);
    rig_close(&rig);
}

/* A word that begins in one block and ends three blocks later; one that ends on a border; one that begins on it. */
static void words_across_borders(void **state)
{
    static char text[40960];
    char path[128];
    (void)state;
    memset(text, ' ', sizeof text);
    memset(text + 4000, 'x', 10000); /* 4000 .. 13999: blocks 0 to 3 */
    memset(text + 16380, 'y', 4);    /* up to the border at 16384 */
    memset(text + 20480, 'z', 3);    /* from the border at 20480 */
    memset(text + 24575, 'w', 2);    /* across the border at 24576 */
    memset(text + 28671, 'w', 1);    /* the last byte of a block ... */
    memset(text + 28673, 'w', 1);    /* ... and another word in the next */
    memset(text + 36863, 'v', 4097); /* all of the last block, and the byte before */
    write_file("borders", text, sizeof text);
    path_of("borders", path, sizeof path);
    count_path(path, 7, 6);
    remove_file("borders");
}

/* The most words that a block can hold: all distinct, and as short as they can be. */
static void a_block_full_of_words(void **state)
{
    static unsigned char text[4096];
    char path[128];
    size_t n = 0;
    uint64_t count = 0;
    (void)state;
    for (unsigned a = 0; a < 256 && n + 2 <= sizeof text; a++)
        if (word_byte((unsigned char)a) == a && a != 0) {
            text[n++] = (unsigned char)a;
            text[n++] = ' ';
            count++;
        }
    for (unsigned a = 128; a < 256; a++)
        for (unsigned b = 128; b < 256 && n + 3 <= sizeof text; b++, count++) {
            text[n++] = (unsigned char)a;
            text[n++] = (unsigned char)b;
            text[n++] = ' ';
        }
    memset(text + n, ' ', sizeof text - n);
    write_file("full", text, sizeof text);
    path_of("full", path, sizeof path);
    assert_true(count > 1400);
    count_path(path, count, count);
    remove_file("full");
}

/* All files of a folder, once each: links are not followed, and files do not run together. */
static void folders(void **state)
{
    char link_path[128], target[128];
    (void)state;
    write_file("one", "alpha beta", 10);
    write_file("two", "gamma alpha", 11);
    write_file("void", "", 0);
    path_of("link", link_path, sizeof link_path);
    path_of("one", target, sizeof target);
    assert_int_equal(symlink(target, link_path), 0);
    count_path(folder, 4, 3);
    count_path(link_path, 2, 2); /* named itself, a link is followed */
    remove_file("link");
    remove_file("one");
    remove_file("two");
    remove_file("void");
}

static int need_of(const char *source, const char *path, struct prony_need *need, struct prony_error *error)
{
    const struct prony_workload *wordcount = prony_find_workload("wordcount", NULL);
    struct prony_params params;
    int code;
    assert_int_equal(prony_params_init(&params, wordcount->head.options, error), 0);
    assert_int_equal(prony_params_set(&params, "source", source, error), 0);
    assert_int_equal(prony_params_set(&params, "path", path, error), 0);
    code = wordcount->need(&params, 2, need, error);
    prony_params_free(&params);
    return code;
}

static void missing_texts_are_refused(void **state)
{
    struct prony_need need = {0};
    struct prony_error error = {0, ""};
    (void)state;
    assert_int_equal(need_of("auto", "/no/such/file", &need, &error), -EINVAL);
    assert_non_null(strstr(error.text, "/no/such/file"));
    assert_int_equal(need_of("files", folder, &need, &error), -EINVAL); /* nothing in it */
    assert_int_equal(need_of("zipf", "", &need, &error), 0);
    assert_int_equal(need.items, 4194304);
}

/* The file grows between plan and launch. */
static void a_text_that_changed_is_refused(void **state)
{
    unsigned char text[64];
    char path[128];
    int64_t bytes;
    struct prony_error error = {0, ""};
    (void)state;
    write_file("text", "one two", 7);
    path_of("text", path, sizeof path);
    bytes = prony_corpus_read(path, NULL, 0, &error);
    assert_int_equal(bytes, 8);
    write_file("text", "one two three", 13);
    assert_int_equal(prony_corpus_read(path, text, (uint64_t)bytes, &error), -ESTALE);
    write_file("text", "one", 3);
    assert_int_equal(prony_corpus_read(path, text, (uint64_t)bytes, &error), -ESTALE);
    remove_file("text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(every_count_matters),
        cmocka_unit_test(zipf),
        cmocka_unit_test(words_across_borders),
        cmocka_unit_test(a_block_full_of_words),
        cmocka_unit_test(folders),
        cmocka_unit_test(missing_texts_are_refused),
        cmocka_unit_test(a_text_that_changed_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
