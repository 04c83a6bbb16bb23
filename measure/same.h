/* What must be the same when a run goes on, as lines of its journal: `same NAME TEXT` and `cell NUMBER ID PUS`. Figures
 * from before and after would else not be figures of one thing. */
#ifndef PRONY_MEASURE_SAME_H
#define PRONY_MEASURE_SAME_H

#include "measure/cell.h"

/* Adds the lines of the program and the machine: version, build, who the machine is, kernel, CPU, PUs, topology. -ENOMEM. */
int prony_same_machine(const struct prony_topology *topology, struct prony_list *lines, struct prony_error *error);
/* Adds those of the plan: the method, plug-ins from files, cells and where their workers sit. Before anything of the run
 * was measured. -ENOMEM. */
int prony_same_plan(const struct prony_run *run, struct prony_list *lines, struct prony_error *error);

/* Are the lines `now` those that the journal begins with, and with `whole` all of them? -ESTALE, and what differs. */
int prony_same_check(const struct prony_list *then, const struct prony_list *now, bool whole,
                     struct prony_error *error);

#endif
