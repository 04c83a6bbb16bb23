/* Between compare.c and rank.c (what is found), differences.c (what else differs) and compare_say.c (how it is said). */
#ifndef PRONY_RESULTS_JUDGE_H
#define PRONY_RESULTS_JUDGE_H

#include "results/judge/compare.h"
#include "results/model.h"

#define PRONY_COMPARE_SCHEMA "prony.compare/1"
#define PRONY_RANK_SCHEMA "prony.rank/1"

struct prony_comparison {
    json_t *root;
};

/* [{what, a, b}] for every fact of tool, context and method that is not the same; those that no two runs share (start,
 * load, clock frequency of the moment) are left out. */
json_t *prony_differences(const json_t *a, const json_t *b);

/* Verdict on one cell measured twice: a JSON object with id, verdict, ratio, ratio_ci95, coverage, over, a, b, reason. */
json_t *prony_compare_cell(const json_t *a, const json_t *b, double margin_percent, struct prony_error *error);

#endif
