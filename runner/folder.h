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
/* The folder of a run that goes on: it is there, and can be written. -ENOENT: it is not. */
int runner_folder_again(const char *path, struct runner_folder *folder, struct prony_error *error);
/* Points prony-runs/latest at it. */
void runner_folder_latest(const struct runner_folder *folder);
/* Takes an empty folder away again. */
void runner_folder_undo(const struct runner_folder *folder);

/* Does it need a profile? */
bool runner_out_profiles(const char *out);
/* Checks "FMT[:PATH]" before the work: the format by `known`, and that PATH's folder can be written. */
int runner_out_check(const char *out, int (*known)(const char *format, struct prony_error *error),
                     struct prony_error *error);
/* An --out under way: into PATH ("-" is stdout), by default FOLDER/report.FMT, or stdout where folder is NULL. */
struct runner_out {
    char format[32], path[1100];
    FILE *file;
};
int runner_out_open(struct runner_out *out, const char *what, const char *folder, struct prony_error *error);
/* Ends it; `code` is what writing came to, and is returned unless closing fails. */
int runner_out_close(struct runner_out *out, int code, struct prony_error *error);
int runner_out_write(const struct prony_report *report, const char *out, const char *folder, struct prony_error *error);

#endif
