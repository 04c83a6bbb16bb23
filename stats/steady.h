/* Where a series of times becomes steady, by changepoints.
 *
 * The logs of the times, with lone hiccups taken out by a running median of three, are cut into stretches of constant
 * level: PELT (R. Killick, P. Fearnhead, I. A. Eckley, Optimal Detection of Changepoints With a Linear Computational
 * Cost, JASA 107, 2012) with the squared deviation in units of the noise as cost. Stretches are then classified as in
 * E. Barrett and others, Virtual Machine Warmup Blows Hot and Cold, OOPSLA 2017. */
#ifndef PRONY_STATS_STEADY_H
#define PRONY_STATS_STEADY_H

#include <stdbool.h>
#include <stddef.h>

enum prony_course {
    PRONY_COURSE_UNKNOWN, /* too few values to tell */
    PRONY_COURSE_FLAT,    /* one level from the first value to the last */
    PRONY_COURSE_WARMED,  /* slower at first, then flat at its fastest level */
    PRONY_COURSE_SLOWING, /* flat at the end, but it was faster before */
    PRONY_COURSE_NEVER    /* no level that lasts to the end */
};
/* "too few", "flat", "warm-up then flat", "slowing", "never steady". */
const char *prony_course_name(enum prony_course course);

enum {
    PRONY_STEADY_MOST = 512, /* only the last so many values are looked at */
    PRONY_STEADY_LEAST = 8   /* values that a level must have lasted */
};

struct prony_steady {
    enum prony_course course;
    size_t from;   /* the first value of the last level; n when there is none */
    size_t levels; /* stretches found */
};

/* The course of n positive times. Levels that differ by at most `tolerance` (a fraction) are the same. A level lasts
 * when it has PRONY_STEADY_LEAST values and a quarter of the series; stretches of fewer than three are hiccups. */
struct prony_steady prony_steady_find(const double *times, size_t n, double tolerance);
/* Flat, warmed or slowing: the figures of what follows mean something. */
bool prony_course_is_steady(enum prony_course course);

#endif
