/* Reading back the journal of a run that was interrupted, into the structures that measuring fills, so that the run goes
 * on where it was. The form of the journal is told in measure/journal.h. */
#ifndef PRONY_MEASURE_RESUME_H
#define PRONY_MEASURE_RESUME_H

#include "measure/cell.h"

struct prony_resume {
    int fd;                  /* of the journal, locked against others; -1 once measuring has taken it */
    char *text;              /* all of it, with a NUL behind */
    size_t bytes, whole;     /* whole: up to the end of the last record that is not cut off */
    size_t body;             /* where its head ends */
    struct prony_list words; /* the command line of the run */
    struct prony_list same;  /* measure/same.h */
    unsigned cells;
    int64_t started_s;   /* Unix time */
    uint64_t elapsed_ns; /* how long the run has lasted; set by prony_resume_restore */
    bool done;           /* it ended, and not by an interruption, and its report was written */
};

/* Locks and reads a journal and its head. -ENOENT: there is none; -EBUSY: its run still lives; -ENODATA: it is empty, or
 * ends in its head; -EILSEQ: it is no journal, or garbled; -EPROTO: of another version. To be freed after success. */
int prony_resume_read(const char *path, struct prony_resume *resume, struct prony_error *error);
/* Fills the planned cells of a run with all that the journal says of them, and says what became of them; cells that are
 * to go on stay PENDING. -EILSEQ and the line when it cannot be so; then the run is of no use. */
int prony_resume_restore(struct prony_resume *resume, struct prony_run *run, struct prony_error *error);
/* Hands the journal over to who goes on writing it: cuts off what is not whole, and notes in it and in the run that it was
 * resumed now. */
struct prony_journal;
int prony_resume_take(struct prony_resume *resume, struct prony_run *run, struct prony_journal *journal,
                      struct prony_error *error);
void prony_resume_free(struct prony_resume *resume);

#endif
