/* One launch of a command, in words, between the commands that prepare it and clean up after it. */
#ifndef PRONY_MEASURE_COMMAND_H
#define PRONY_MEASURE_COMMAND_H

#include "base/text.h"
#include "measure/launch.h"

struct prony_command_how {
    const struct prony_list *prepare, *cleanup; /* run off the clock, and bound alike; none when empty */
    const int *pus;                             /* NULL: not bound */
    unsigned npus;
    int64_t timeout_ns; /* of each of the three; 0: none */
    bool capture;
    const volatile int *interrupt;
    void (*attend)(void *context, int pid); /* as in prony_launch, of the command itself */
    void (*ended)(void *context);
    void *context;
};

/* As prony_launch. cleanup also follows a command that failed, not one that was interrupted. What --prepare or --cleanup
 * came to is an error that begins with their name. prony_launched_free in any case. */
int prony_command_launch(const struct prony_command_how *how, const struct prony_list *words,
                         struct prony_launched *launched, struct prony_error *error);

#endif
