/* prony report of a folder with many reports. */
#ifndef PRONY_RUNNER_HISTORY_H
#define PRONY_RUNNER_HISTORY_H

#include "base/text.h"

/* Shows the changes and writes history.html into the folder; with `outs`, writes those instead. Returns the exit code. */
int runner_history(const char *folder, const struct prony_list *outs, double margin_percent);

#endif
