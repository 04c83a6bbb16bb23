/* The journal: one line for everything that was measured, as soon as it was, so that nothing is lost when a run ends in
 * the middle, and the run can go on (measure/resume.h reads it back). Plain text, fields separated by tabs, numbers
 * decimal, times in ns; texts that may hold any words stand last:
 *
 *   prony-journal 2
 *   run       SUITE SEED CELLS STARTED_S
 *   word      TEXT                  the command line, word by word; \n is a line's end and \\ a backslash
 *   same      NAME TEXT             what must be so again when the run goes on
 *   cell      NUMBER ID PUS
 *   resume    STARTED_S T_NS BUDGET_NS
 *   open      NUMBER LAUNCH HOST_PID ABOUT
 *   warm      NUMBER REPEATS CALIBRATE_NS WARM_SAMPLES COURSE STEADY_FROM SAMPLE...
 *   visit     NUMBER BLOCK LAUNCH T_NS LINE_BEFORE LINE_AFTER COMPUTE_BEFORE COMPUTE_AFTER STEAL INVOLUNTARY MIGRATIONS
 *             MARKED CPU_NS PHASE*7 WHY SAMPLE...
 *   rerun     NUMBER SAMPLES REASON
 *   calls     NUMBER SPENT_NS MESSAGES (DONE FUTEX VAIN)*(1 + WORKERS) REASON
 *   fail      NUMBER REASON
 *   skip      NUMBER REASON
 *   end       done|interrupted WALL_NS
 *   report                          it was written
 *
 * Before a visit or a rerun, and written with it at once, stands what it leaves beside its samples: sums up to and with
 * this visit, and the operations' times of this visit alone. They mean nothing without the line that follows them.
 *
 *   state     NUMBER VERIFIED SHORTFALL REORDERED SPENT_NS COUNTED_SAMPLES COUNTED_REPEATS READ_NS
 *   who       NUMBER WORKER PID TID PU GENERATION ITEMS GANGS CPU_NS VOLUNTARY INVOLUNTARY NODE ASKED
 *   event     NUMBER WORKER EVENT VALUE STATUS SAMPLES ENABLED_NS RUNNING_NS SOURCE REASON
 *   histogram NUMBER latency|wait|run MIN_NS MAX_NS CLIPPED (BUCKET COUNT)...
 */
#ifndef PRONY_MEASURE_JOURNAL_H
#define PRONY_MEASURE_JOURNAL_H

#include <prony/error.h>
#include <stdbool.h>
#include <stddef.h>

#define PRONY_JOURNAL_VERSION "2"

struct prony_journal {
    int fd;                   /* -1: no journal is kept */
    struct prony_error error; /* of the first write that failed; code 0: none has */
};

/* Begins a journal that nobody else may write: a lock is held until it is closed. path NULL: none is kept. */
int prony_journal_open(struct prony_journal *journal, const char *path, struct prony_error *error);
/* Locks an open journal, as long as this process lives. -EBUSY: somebody writes it. */
int prony_journal_lock(int fd, const char *path, struct prony_error *error);
/* Writes one line with a single write(2). Failures are remembered in journal->error. */
void prony_journal_say(struct prony_journal *journal, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for lines that are made already, each with its end. NULL: there was no memory for them. */
void prony_journal_write(struct prony_journal *journal, const char *lines, size_t bytes);
void prony_journal_close(struct prony_journal *journal);

#endif
