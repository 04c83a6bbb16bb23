/* A command line in one text, split into words by the quoting rules of POSIX sh (2.2 Quoting), without a shell. */
#ifndef PRONY_BASE_WORDS_H
#define PRONY_BASE_WORDS_H

#include "base/text.h"

/* Appends the words of `text` to `words`: blanks separate, '...' keeps all, "..." all but \$ \` \" \\ and backslash-
 * newline, a backslash keeps the next character. Nothing is expanded: *, ? and ~ stay as they are.
 * -EINVAL with the reason: no word at all, a quote that does not end, a backslash at the end, and what only a shell could
 * do ($ and ` outside of '...'; | & ; < > ( ) and newlines unquoted), so that it is never silently passed on. */
int prony_words_split(const char *text, struct prony_list *words, struct prony_error *error);
/* The inverse for one word: as a shell would have to be given it. malloc'ed; NULL without memory. */
char *prony_words_quote(const char *word);

#endif
