/* What measuring a cell leaves in the journal: a warm-up, a visit with all that came with it, a second run. The form of
 * the lines is told in measure/journal.h. */
#ifndef PRONY_MEASURE_RECORD_H
#define PRONY_MEASURE_RECORD_H

#include "measure/live.h"

/* What a run that begins writes first: its command line, what must be the same when it goes on, its cells. */
int prony_record_head(struct prony_journal *journal, const struct prony_run *run, const struct prony_watch *watch,
                      struct prony_error *error);
void prony_record_warm_up(struct prony_journal *journal, unsigned number, const struct prony_answer *answer);
/* After the visit was taken into the cell; its host is still there. */
void prony_record_visit(struct prony_journal *journal, const struct prony_live *live, const struct prony_visit *visit);
/* After the counts of a second run were taken into the cell. samples: that were counted, or -errno and why. */
void prony_record_rerun(struct prony_journal *journal, const struct prony_live *live, size_t events, int64_t samples,
                        const char *why);
/* After the calls of a cell's messages were counted, or could not be. */
void prony_record_calls(struct prony_journal *journal, const struct prony_live *live);

#endif
