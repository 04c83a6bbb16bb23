/* The journal: one line for everything that was measured, as soon as it was, so that nothing is lost when a run ends in
 * the middle. Plain text, fields separated by tabs, numbers decimal, times in ns:
 *
 *   prony-journal 1
 *   run      SUITE SEED CELLS
 *   cell     NUMBER ID
 *   open     NUMBER LAUNCH HOST_PID
 *   warm     NUMBER REPEATS CALIBRATE_NS WARM_SAMPLES COURSE STEADY_FROM SAMPLE...
 *   visit    NUMBER BLOCK LAUNCH T_NS LINE_BEFORE LINE_AFTER COMPUTE_BEFORE COMPUTE_AFTER STEAL INVOLUNTARY MIGRATIONS SAMPLE...
 *   fail     NUMBER REASON
 *   skip     NUMBER REASON
 *   end      done|interrupted
 */
#ifndef PRONY_MEASURE_JOURNAL_H
#define PRONY_MEASURE_JOURNAL_H

#include <prony/error.h>
#include <stdbool.h>

struct prony_journal {
    int fd;                   /* -1: no journal is kept */
    struct prony_error error; /* of the first write that failed; code 0: none has */
};

int prony_journal_open(struct prony_journal *journal, const char *path, struct prony_error *error);
/* Writes one line with a single write(2). Failures are remembered in journal->error. */
void prony_journal_say(struct prony_journal *journal, const char *format, ...) __attribute__((format(printf, 2, 3)));
void prony_journal_close(struct prony_journal *journal);

#endif
