/* Errors: what was asked, what went wrong, what to do.
 *
 * Every function that can fail returns 0 or a negative errno. The reason travels in a struct prony_error that the caller
 * owns; it holds no pointer, so it crosses a socket or shared memory by value.
 * Codes beyond errno: a task whose worker died has the code -(1000 + signal), see prony_code_text().
 * -ENOTSUP means "this machine or build cannot", and always carries a reason a person can act on. */
#ifndef PRONY_ERROR_H
#define PRONY_ERROR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct prony_error {
    int code;       /* 0, a negative errno, or -(1000 + signal) */
    char text[252]; /* one line, no newline at the end, always terminated */
};

#define PRONY_DIED 1000 /* -(PRONY_DIED + signal): the worker that held the task died of this signal */

/* Records a reason and returns `code`, so that `return prony_fail(error, -EINVAL, "...")` is one statement.
 * `error` may be NULL. A reason that is already recorded is replaced. Any thread; async-signal-unsafe. */
int prony_fail(struct prony_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts words before a reason that is already there ("engine fork: ..."); records `code`'s own text if there is none. */
int prony_fail_within(struct prony_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The words for a code: "Invalid argument", "killed by SIGKILL". Writes into `text` and returns it. */
const char *prony_code_text(int code, char *text, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
