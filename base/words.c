#include "base/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The word under way. It never becomes longer than the text. */
struct word {
    char *text;
    size_t length;
    bool begun; /* '' is a word too */
};

static int needs_shell(char what, struct prony_error *error)
{
    if (what == '\n')
        return prony_fail(error, -EINVAL, "a command is one line");
    return prony_fail(error, -EINVAL, "'%c' needs a shell and none is used: quote it, or say sh -c '...'", what);
}

/* Copies what stands between double quotes, from after the first one. Returns the place after the last; NULL: wrong. */
static const char *take_double(const char *at, struct word *word, struct prony_error *error)
{
    for (; *at != '"'; at++) {
        if (*at == '\0') {
            (void)prony_fail(error, -EINVAL, "a \" is not closed");
            return NULL;
        }
        if (*at == '$' || *at == '`') {
            (void)needs_shell(*at, error);
            return NULL;
        }
        if (*at == '\\' && at[1] == '\n') {
            at++;
            continue;
        }
        if (*at == '\\' && at[1] != '\0' && strchr("$`\"\\", at[1]) != NULL)
            at++;
        word->text[word->length++] = *at;
    }
    return at + 1;
}

static const char *take_single(const char *at, struct word *word, struct prony_error *error)
{
    const char *end = strchr(at, '\'');
    if (end == NULL) {
        (void)prony_fail(error, -EINVAL, "a ' is not closed");
        return NULL;
    }
    memcpy(word->text + word->length, at, (size_t)(end - at));
    word->length += (size_t)(end - at);
    return end + 1;
}

static const char *take_plain(const char *at, struct word *word, struct prony_error *error)
{
    if (strchr("|&;<>()$`\n", *at) != NULL) {
        (void)needs_shell(*at, error);
        return NULL;
    }
    if (*at == '\\' && *++at == '\0') {
        (void)prony_fail(error, -EINVAL, "a \\ at the end keeps nothing");
        return NULL;
    }
    if (*at != '\n') /* backslash-newline joins lines */
        word->text[word->length++] = *at;
    return at + 1;
}

int prony_words_split(const char *text, struct prony_list *words, struct prony_error *error)
{
    struct word word = {malloc(strlen(text) + 1), 0, false};
    size_t before = words->count;
    int code = word.text == NULL ? -ENOMEM : 0;
    for (const char *at = text; code == 0;) {
        if (*at == '\0' || *at == ' ' || *at == '\t') {
            if (word.begun)
                code = prony_list_add(words, word.text, word.length);
            if (*at++ == '\0')
                break;
            word.length = 0;
            word.begun = false;
            continue;
        }
        word.begun = word.begun || *at != '\\' || at[1] != '\n';
        at = *at == '"'    ? take_double(at + 1, &word, error)
             : *at == '\'' ? take_single(at + 1, &word, error)
                           : take_plain(at, &word, error);
        code = at == NULL ? -EINVAL : 0;
    }
    free(word.text);
    if (code == -ENOMEM)
        return prony_fail(error, code, "no memory for the words of a command");
    if (code == 0 && words->count == before)
        return prony_fail(error, -EINVAL, "the command is empty");
    return code;
}

char *prony_words_quote(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
    char *quoted, *to;
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0')
        return strdup(word);
    to = quoted = malloc(4 * strlen(word) + 3);
    if (quoted == NULL)
        return NULL;
    *to++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *word;
    }
    *to++ = '\'';
    *to = '\0';
    return quoted;
}
