/* Splitting a command line into words: known answers, what is refused, and what random texts can do to it. */
#include "base/words.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The words, each ended by a '\n'; the reason after a '!' when it is refused. */
static const char *split(const char *text)
{
    static char said[4096];
    struct prony_list words = {NULL, 0, 0};
    struct prony_error error = {0, ""};
    char *to = said;
    int code = prony_words_split(text, &words, &error);
    *to = '\0';
    if (code != 0) {
        assert_int_equal(code, -EINVAL);
        (void)snprintf(said, sizeof said, "!%s", error.text);
    }
    for (size_t i = 0; code == 0 && i < words.count; i++)
        to = stpcpy(stpcpy(to, words.item[i]), "\n");
    prony_list_free(&words);
    return said;
}

static void test_words(void **state)
{
    static const struct {
        const char *text, *words;
    } known[] = {
        {"a", "a\n"},
        {"  a \t b  ", "a\nb\n"},
        {"a'b c'd", "ab cd\n"},
        {"'' \"\"", "\n\n"},
        {"a\\ b", "a b\n"},
        {"\"a b\"'c'd", "a bcd\n"},
        {"'a\\b'", "a\\b\n"},
        {"\"a\\b\\\\c\\\"d\\$e\\`f\"", "a\\b\\c\"d$e`f\n"},
        {"\"a\\\nb\" c\\\nd \\\n e", "ab\ncd\ne\n"},
        {"'$x | y; z'", "$x | y; z\n"},
        {"\\$x \\| \\'", "$x\n|\n'\n"},
        {"\"|&;<>()\"", "|&;<>()\n"},
        {"./b --benchmark_filter=BM_.*/8? ~ #a", "./b\n--benchmark_filter=BM_.*/8?\n~\n#a\n"},
        {"sh -c 'exit 3'", "sh\n-c\nexit 3\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_string_equal(split(known[i].text), known[i].words);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *reason;
    } wrong[] = {
        {"", "empty"},
        {" \t ", "empty"},
        {"'a", "' is not closed"},
        {"\"a", "\" is not closed"},
        {"a\\", "at the end"},
        {"a | b", "'|' needs a shell"},
        {"a && b", "'&'"},
        {"a; b", "';'"},
        {"a > f", "'>'"},
        {"a < f", "'<'"},
        {"a (b)", "'('"},
        {"$HOME/a", "'$'"},
        {"\"$a\"", "'$'"},
        {"`a`", "'`'"},
        {"\"`a`\"", "'`'"},
        {"a\nb", "one line"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *said = split(wrong[i].text);
        assert_int_equal(said[0], '!');
        assert_non_null(strstr(said, wrong[i].reason));
    }
}

/* Any text comes back: quoted words split into themselves. And no text whatever breaks the splitter (the sanitizers
 * watch). */
static void test_random(void **state)
{
    static const char letters[] = "ab '\"\\$`|&;<>()\n\t*?~#=";
    (void)state;
    srandom(7);
    for (unsigned round = 0; round < 20000; round++) {
        struct prony_list words = {NULL, 0, 0};
        struct prony_error error = {0, ""};
        char text[24], *quoted;
        size_t length = (size_t)random() % sizeof text;
        for (size_t i = 0; i < length; i++)
            text[i] = letters[(size_t)random() % (sizeof letters - 1)];
        text[length == sizeof text ? length - 1 : length] = '\0';
        if (prony_words_split(text, &words, &error) != 0)
            assert_true(error.text[0] != '\0');
        prony_list_free(&words);
        quoted = prony_words_quote(text);
        assert_non_null(quoted);
        assert_int_equal(prony_words_split(quoted, &words, &error), 0);
        assert_int_equal(words.count, 1);
        assert_string_equal(words.item[0], text);
        prony_list_free(&words);
        free(quoted);
    }
}

/* What is accepted means the same to sh: printf prints the words as we split them. */
static void test_as_sh(void **state)
{
    static const char letters[] = "ab '\"\\=.";
    (void)state;
    srandom(11);
    for (unsigned round = 0, tried = 0; round < 2000 && tried < 60; round++) {
        char text[14], command[64], said[4096];
        struct prony_error error = {0, ""};
        struct prony_list words = {NULL, 0, 0};
        size_t length = 1 + (size_t)random() % (sizeof text - 1), got;
        FILE *pipe;
        for (size_t i = 0; i < length; i++)
            text[i] = letters[(size_t)random() % (sizeof letters - 1)];
        text[length < sizeof text ? length : length - 1] = '\0';
        bool taken = prony_words_split(text, &words, &error) == 0;
        prony_list_free(&words);
        if (taken) {
            tried++;
            (void)snprintf(command, sizeof command, "printf '%%s\\n' %s", text);
            pipe = popen(command, "re");
            assert_non_null(pipe);
            got = fread(said, 1, sizeof said - 1, pipe);
            said[got] = '\0';
            assert_int_equal(pclose(pipe), 0);
            assert_string_equal(split(text), said);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_as_sh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
