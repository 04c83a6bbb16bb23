/* What valgrind's callgrind counts, and the files in which it leaves its counts. */
#ifndef PRONY_COUNTERS_VALGRIND_H
#define PRONY_COUNTERS_VALGRIND_H

#include <prony/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PRONY_VALGRIND_EVENTS = 8 };

/* The name of event number i; NULL past the last. */
const char *prony_valgrind_event(int i);
/* The number of an event; -1: there is none of this name. */
int prony_valgrind_find(const char *event);
/* 0, or -ENOENT with the nearest names; `who` is what has no such event. */
int prony_valgrind_known(const char *who, const char *event, struct prony_error *error);
/* 0 when valgrind is in PATH, or -ENOTSUP and how to get it. */
int prony_valgrind_present(struct prony_error *error);
/* Adds a file's totals to sums[PRONY_VALGRIND_EVENTS], for an event that the file lacks nothing; with `trigger`, only of
 * a file that was written for this reason. True when it had totals. */
bool prony_valgrind_add(FILE *file, const char *trigger, int64_t *sums);

#endif
