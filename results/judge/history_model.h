/* Between history.c (what is read) and history_say.c (how it is shown). */
#ifndef PRONY_RESULTS_HISTORY_MODEL_H
#define PRONY_RESULTS_HISTORY_MODEL_H

#include "results/model.h"
#include "results/visits.h"

struct prony_history {
    json_t *root;   /* schema, folder, margin_percent, reports, left_out, cells [{id, points, changes}] */
    json_t *levels; /* while reading, by id: the cell, report and context at which the present level began */
    double margin_percent;
};

#endif
