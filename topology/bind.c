/* Binding the calling thread, and reading back where the kernel lets it run. */
#include "topology/bind.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#define MOST_PUS 65536 /* the kernel wants a mask at least as large as its own; 8 KiB hold any */

/* A mask of MOST_PUS bits. */
struct mask {
    unsigned char bytes[MOST_PUS / 8] __attribute__((aligned(sizeof(cpu_set_t))));
};

static cpu_set_t *bits(struct mask *mask)
{
    return (cpu_set_t *)(void *)mask->bytes;
}

static int set(const int *pus, unsigned n, struct prony_error *error)
{
    struct mask mask, back;
    memset(&mask, 0, sizeof mask);
    memset(&back, 0, sizeof back);
    if (n == 0)
        return prony_fail(error, -EINVAL, "there is no PU to bind to");
    for (unsigned i = 0; i < n; i++) {
        if (pus[i] < 0 || pus[i] >= MOST_PUS)
            return prony_fail(error, -EINVAL, "there is no PU %d", pus[i]);
        CPU_SET_S((unsigned)pus[i], sizeof mask, bits(&mask));
    }
    if (sched_setaffinity(0, sizeof mask, bits(&mask)) != 0) {
        int code = -errno;
        if (code == -EINVAL)
            return prony_fail(error, code,
                              "PU %d%s cannot be used by this process (absent, offline or outside its cpuset)", pus[0],
                              n > 1 ? " and those with it" : "");
        return prony_fail(error, code, "binding to PU %d was refused: %s", pus[0], strerror(-code));
    }
    if (sched_getaffinity(0, sizeof back, bits(&back)) != 0)
        return prony_fail(error, -errno, "the binding cannot be read back: %s", strerror(errno));
    if (!CPU_EQUAL_S(sizeof mask, bits(&mask), bits(&back)))
        return prony_fail(error, -EINVAL,
                          "bound to PU %d%s, but the kernel reports another set (a cpuset cuts it down)", pus[0],
                          n > 1 ? " and others" : "");
    return 0;
}

int prony_bind_self(int pu, int *bound, struct prony_error *error)
{
    int code = set(&pu, 1, error);
    if (bound != NULL)
        *bound = code == 0 ? pu : prony_bind_read();
    return code;
}

int prony_bind_self_to(const int *pus, unsigned n, struct prony_error *error)
{
    return set(pus, n, error);
}

int prony_bind_read(void)
{
    struct mask mask;
    memset(&mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, bits(&mask)) != 0 || CPU_COUNT_S(sizeof mask, bits(&mask)) != 1)
        return -1;
    for (int pu = 0; pu < MOST_PUS; pu++)
        if (CPU_ISSET_S((unsigned)pu, sizeof mask, bits(&mask)))
            return pu;
    return -1;
}
