/* The ground: an arena and a setup for programs that use libprony alone. */
#include <prony/pool.h>

#include <prony/histogram.h>

#include <string.h>
#include <unistd.h>

#define SCRATCH 65536u

int prony_ground_make(struct prony_ground *ground, const struct prony_kernel *kernels, const struct prony_wish *wish,
                      struct prony_error *error)
{
    const uint64_t own = (sizeof(struct prony_histogram) + sizeof(struct prony_usage) + SCRATCH + 63u) & ~UINT64_C(63);
    const uint64_t futures = wish->futures * sizeof(struct prony_future),
                   slots = wish->workers * sizeof(struct prony_slot);
    struct prony_setup *setup = &ground->setup;
    int code;
    memset(ground, 0, sizeof *ground);
    code = prony_arena_create(&ground->arena, 4096 + wish->area + slots + wish->workers * own + wish->data + futures,
                              error);
    if (code != 0)
        return code;
    if ((code = prony_arena_take(&ground->arena, wish->area, 64, &setup->area, error)) != 0 ||
        (code = prony_arena_take(&ground->arena, slots, 64, &setup->slots, error)) != 0 ||
        (code = prony_arena_take(&ground->arena, wish->workers * own, 64, &setup->own, error)) != 0 ||
        (code = prony_arena_take(&ground->arena, futures, 64, &ground->futures, error)) != 0 ||
        (code = prony_arena_take(&ground->arena, wish->data, 64, &ground->data, error)) != 0) {
        prony_arena_close(&ground->arena);
        return code;
    }
    ground->kernels[1] = kernels;
    setup->size = sizeof *setup;
    setup->workers = wish->workers;
    setup->caller_pu = -1;
    setup->base = ground->arena.base;
    setup->arena_bytes = ground->arena.bytes;
    setup->arena_fd = ground->arena.fd;
    setup->own_stride = own;
    setup->kernels = ground->kernels;
    setup->workloads = 2;
    setup->host_pid = getpid();
    setup->control_fd = -1;
    return 0;
}

void prony_ground_free(struct prony_ground *ground)
{
    prony_arena_close(&ground->arena);
}
