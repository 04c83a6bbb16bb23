/* The timeline of the present thread, for code that waits and knows no worker: locks, channels. NULL: none is kept. */
#ifndef PRONY_BASE_TIMELINE_H
#define PRONY_BASE_TIMELINE_H

#include <prony/timeline.h>

extern _Thread_local struct prony_timeline *prony_timeline_self;

/* True when the processor's counter runs at one rate on all PUs, by the kernel's word. */
int prony_timeline_counter_holds(void);

#endif
