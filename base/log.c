#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static enum prony_level present = PRONY_NORMAL;
static bool line_shown;

void prony_log_level(enum prony_level level)
{
    present = level;
}

enum prony_level prony_log_level_now(void)
{
    return present;
}

static void clear_line(void)
{
    if (line_shown)
        (void)fputs("\r\033[K", stderr);
    line_shown = false;
}

static void say(const char *prefix, const char *format, va_list arguments)
{
    clear_line();
    (void)fputs(prefix, stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    (void)fflush(stderr);
}

void prony_error_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("prony: ", format, arguments);
    va_end(arguments);
}

void prony_warn(const char *format, ...)
{
    va_list arguments;
    if (present < PRONY_NORMAL)
        return;
    va_start(arguments, format);
    say("prony: warning: ", format, arguments);
    va_end(arguments);
}

void prony_info(const char *format, ...)
{
    va_list arguments;
    if (present < PRONY_NORMAL)
        return;
    va_start(arguments, format);
    say("prony: ", format, arguments);
    va_end(arguments);
}

void prony_debug(const char *format, ...)
{
    va_list arguments;
    if (present < PRONY_VERBOSE)
        return;
    va_start(arguments, format);
    say("prony: ", format, arguments);
    va_end(arguments);
}

void prony_progress(const char *format, ...)
{
    va_list arguments;
    if (format == NULL) {
        clear_line();
        (void)fflush(stderr);
        return;
    }
    if (present < PRONY_NORMAL || isatty(STDERR_FILENO) == 0)
        return;
    (void)fputs("\r\033[K", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fflush(stderr);
    line_shown = true;
}
