/* The folder that a run leaves its report in. */
#ifndef PRONY_RUNNER_FOLDER_H
#define PRONY_RUNNER_FOLDER_H

#include "results/report.h"

struct runner_folder {
    char path[1024];
    bool made, ours; /* created by this run; a child of prony-runs, where `latest` points at it */
};

/* Makes the folder before anything is measured: `wanted`, which must be new or empty, or prony-runs/TIME-SUITE. Finds
 * out whether it can be written and has room. -EEXIST: holds something already. */
int runner_folder_make(const char *wanted, const char *suite, struct runner_folder *folder, struct prony_error *error);
/* Points prony-runs/latest at it. */
void runner_folder_latest(const struct runner_folder *folder);
/* Takes an empty folder away again. */
void runner_folder_undo(const struct runner_folder *folder);

/* Does it need a profile? */
bool runner_out_profiles(const char *out);
/* Checks "FMT[:PATH]" before the run: the format, and that PATH's folder can be written. */
int runner_out_check(const char *out, struct prony_error *error);
/* Writes it: into PATH ("-" is stdout), by default FOLDER/report.FMT, or stdout where folder is NULL. */
int runner_out_write(const struct prony_report *report, const char *out, const char *folder, struct prony_error *error);

#endif
