/* Messages for people, on stderr, each one line with "prony: " before it. stdout is for results alone.
 * The level is set once by main, before other threads start. */
#ifndef PRONY_BASE_LOG_H
#define PRONY_BASE_LOG_H

enum prony_level { PRONY_QUIET, PRONY_NORMAL, PRONY_VERBOSE };

void prony_log_level(enum prony_level level);
enum prony_level prony_log_level_now(void);
/* Always printed, also when quiet. */
void prony_error_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void prony_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void prony_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* With -v alone. */
void prony_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The progress line: rewritten in place on a terminal, silent elsewhere; other messages clear it first. NULL ends it. */
void prony_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
