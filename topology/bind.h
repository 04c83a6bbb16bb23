/* Binding of the calling thread, read back from the kernel. No hwloc object is needed for it, so that a worker process
 * of any image (CPython too) can do it. */
#ifndef PRONY_TOPOLOGY_BIND_H
#define PRONY_TOPOLOGY_BIND_H

#include <prony/error.h>

/* Binds the calling thread to one PU and reads the affinity back: 0 and *bound = pu, or -errno with the reason. */
int prony_bind_self(int pu, int *bound, struct prony_error *error);
/* The same for a set of PUs: the thread may run on any of them. n 0 is -EINVAL. */
int prony_bind_self_to(const int *pus, unsigned n, struct prony_error *error);
/* The single PU the thread is bound to, -1 when it may run on several. */
int prony_bind_read(void);

#endif
