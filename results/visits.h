/* The visits of a cell in a report that was read: what comparing and histories calculate with. */
#ifndef PRONY_RESULTS_VISITS_H
#define PRONY_RESULTS_VISITS_H

#include "results/model.h"

/* One number a visit: the median of its samples, for one repetition. */
struct prony_visits {
    size_t count, marked; /* used; left out because the machine's state moved */
    unsigned launches;    /* different ones among those used */
    double *ns;
    unsigned *launch;
};

/* Takes them as the figures of a run do: marked visits are left out when at least 6 others remain. -EINVAL with the place
 * in words when a time is not a positive whole number of ns: such a report is not to be judged. */
int prony_visits_take(const json_t *cell, struct prony_visits *visits, struct prony_error *error);
/* Reduces them to one number a launch, the median of its visits. */
void prony_visits_by_launch(struct prony_visits *visits);
void prony_visits_free(struct prony_visits *visits);

#endif
