/* The default loops: one sample of a workload of each shape. */
#ifndef PRONY_MEASURE_DRIVE_H
#define PRONY_MEASURE_DRIVE_H

#include <prony/plugin/workload.h>

/* The loop for a workload: its own drive, or the default of its shape. NULL for a life workload without one. */
typedef int prony_drive_fn(struct prony_bench *bench);
prony_drive_fn *prony_drive_of(const struct prony_workload *workload);

/* Tells the default loops which workload they drive (in the host, once; the host has one). */
void prony_drive_use(const struct prony_workload *workload);

/* After a sample of shape tasks: 0, or the first failed future's status with the reason. */
int prony_drive_check_futures(const struct prony_bench *bench, struct prony_error *error);

#endif
