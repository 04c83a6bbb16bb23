#include "prony/error.h"
#include "prony/task.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int prony_fail(struct prony_error *error, int code, const char *format, ...)
{
    va_list arguments;
    if (error == NULL)
        return code;
    error->code = code;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return code;
}

int prony_fail_within(struct prony_error *error, int code, const char *format, ...)
{
    va_list arguments;
    char inner[sizeof error->text];
    int used;
    if (error == NULL)
        return code;
    if (error->text[0] != '\0')
        memcpy(inner, error->text, sizeof inner);
    else
        (void)prony_code_text(code, inner, sizeof inner);
    error->code = code;
    va_start(arguments, format);
    used = vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof error->text)
        (void)snprintf(error->text + used, sizeof error->text - (size_t)used, ": %s", inner);
    return code;
}

const char *prony_code_text(int code, char *text, size_t bytes)
{
    if (code <= -PRONY_DIED) {
        int number = -code - PRONY_DIED;
        const char *name = sigabbrev_np(number);
        if (name != NULL)
            (void)snprintf(text, bytes, "the worker was killed by SIG%s", name);
        else if (number == 0)
            (void)snprintf(text, bytes, "the worker exited");
        else
            (void)snprintf(text, bytes, "the worker was killed by signal %d", number);
    } else if (code < 0) {
        (void)snprintf(text, bytes, "%s", strerrordesc_np(-code) != NULL ? strerrordesc_np(-code) : "unknown error");
    } else {
        (void)snprintf(text, bytes, "%s", code == 0 ? "success" : "unknown error");
    }
    return text;
}
