/* How much CPU time the control groups leave to this process. */
#ifndef PRONY_TOPOLOGY_QUOTA_H
#define PRONY_TOPOLOGY_QUOTA_H

/* The tightest CPU quota of the control groups this process is in, in CPUs; 0: none. `root` goes before every path read
 * ("" for this system). */
double prony_quota_read(const char *root);
/* Workers when nobody says how many: as many as PUs, not more than whole CPUs of the quota, at least one. */
unsigned prony_quota_workers(double quota, unsigned pus);

#endif
