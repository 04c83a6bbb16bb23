/* A test bed for engines that want a whole cell: the board in an arena, a registered workload, prony's own kernels, the
 * default loops; one sample at a time, without host and runner. */
#ifndef PRONY_TESTS_BED_H
#define PRONY_TESTS_BED_H

#include "measure/board.h"
#include "measure/drive.h"
#include "measure/kernels.h"

#include <prony/arena.h>

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BED_S 1000000000ll
#define BED_TIMEOUT_NS (60 * BED_S)

struct bed {
    struct prony_cell cell;
    struct prony_method method;
    struct prony_board board;
    struct prony_arena arena;
    struct prony_setup setup;
    struct prony_bench bench;
    const struct prony_kernel *kernels[2];
    void *channel;
    uint64_t *offsets;
    int pus[64];
    struct prony_error error;
};

static inline void bed_set(struct prony_params *params, const struct prony_option *options, const char *const *pairs)
{
    struct prony_error error = {0, ""};
    assert_int_equal(prony_params_init(params, options, &error), 0);
    for (; pairs != NULL && *pairs != NULL; pairs += 2)
        if (prony_params_set(params, pairs[0], pairs[1], &error) != 0)
            fail_msg("%s", error.text);
}

/* The PUs of this process, in turn. */
static inline void bed_pus(struct bed *bed)
{
    cpu_set_t allowed;
    int n = 0;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (int round = 0; n < 64 && round < 64; round++)
        for (int pu = 0; pu < CPU_SETSIZE && n < 64; pu++)
            if (CPU_ISSET(pu, &allowed))
                bed->pus[n++] = pu;
    bed->cell.placement.pus = bed->pus;
    bed->cell.placement.binding = true;
}

static inline void bed_channel(struct bed *bed)
{
    struct prony_blob *ends = (void *)(bed->arena.base + bed->board.ends.off);
    const struct prony_channel *channel = bed->cell.channel;
    if (channel == NULL)
        return;
    bed_set(&bed->cell.channel_params, channel->head.options, NULL);
    assert_int_equal(channel->create(&bed->cell.channel_params, bed->board.nends, &bed->channel, &bed->error), 0);
    for (unsigned i = 0; i < bed->board.nends; i++)
        assert_int_equal(channel->address(bed->channel, i, &ends[i]), 0);
    bed->setup.channel = channel;
}

/* Everything but the engine. engine_params and params are pairs of name and value, ended by NULL. */
static inline void bed_make(struct bed *bed, const char *engine, const char *workload, unsigned workers,
                            const char *const *engine_params, const char *const *params)
{
    struct prony_cell *cell = &bed->cell;
    struct prony_future *futures;
    memset(bed, 0, sizeof *bed);
    cell->engine = prony_find_engine(engine, &bed->error);
    cell->workload = prony_find_workload(workload, &bed->error);
    if (cell->engine == NULL || cell->workload == NULL)
        fail_msg("%s", bed->error.text);
    cell->workers = workers;
    bed_set(&cell->engine_params, cell->engine->head.options, engine_params);
    bed_set(&cell->workload_params, cell->workload->head.options, params);
    assert_int_equal(cell->workload->need(&cell->workload_params, workers, &cell->need, &bed->error), 0);
    cell->channel = cell->need.ends == 0 ? NULL : prony_find_channel("pipe", &bed->error);
    bed_pus(bed);
    prony_board_lay(&bed->board, cell, &bed->method);
    bed->board.plugin_fd = prony_registry_fd(&cell->workload->head);
    if (prony_arena_create(&bed->arena, bed->board.bytes, &bed->error) != 0)
        fail_msg("%s", bed->error.text);
    prony_board_write(bed->arena.base, &bed->board, cell, &bed->method);
    assert_int_equal(prony_board_setup(bed->arena.base, bed->arena.bytes, &bed->setup, &bed->error), 0);
    bed->kernels[0] = prony_own_kernels;
    bed->kernels[1] = cell->workload->kernels;
    bed->setup.kernels = bed->kernels;
    bed->setup.workloads = 2;
    bed->setup.params = &cell->engine_params;
    bed->setup.arena_fd = bed->arena.fd;
    bed->setup.host_pid = getpid();
    bed_channel(bed);
    bed->offsets = calloc(cell->need.futures + 1, sizeof *bed->offsets);
    futures = (void *)(bed->arena.base + bed->board.futures.off);
    for (uint64_t i = 0; i < cell->need.futures; i++)
        bed->offsets[i] = (uint64_t)((unsigned char *)&futures[i] - bed->arena.base);
    bed->bench = (struct prony_bench){.engine = cell->engine,
                                      .setup = &bed->setup,
                                      .params = &cell->workload_params,
                                      .need = &cell->need,
                                      .data = bed->board.data,
                                      .futures = bed->board.futures,
                                      .future_offsets = bed->offsets,
                                      .seed = 1,
                                      .repeats = 1,
                                      .timeout_ns = BED_TIMEOUT_NS,
                                      .error = &bed->error};
    prony_drive_use(cell->workload);
    if (cell->workload->prepare != NULL)
        assert_int_equal(cell->workload->prepare(&bed->bench, &bed->error), 0);
}

static inline int bed_open(struct bed *bed)
{
    memset(bed->arena.base + bed->board.area.off, 0, bed->board.area.len);
    return bed->cell.engine->open(&bed->setup, &bed->bench.handle, &bed->error);
}

/* One of prony's own kernels in every worker: 0, or the first failure. */
static inline int bed_gang(struct bed *bed, enum prony_own kernel, unsigned char argument)
{
    struct prony_task task = {.ref = {0, (uint16_t)kernel}, .arg = {argument}};
    int status[64], code;
    code = bed->cell.engine->gang(bed->bench.handle, &task, bed->cell.workers, status, BED_TIMEOUT_NS);
    for (unsigned i = 0; i < bed->cell.workers && code == 0; i++)
        code = status[i];
    return code;
}

/* Opens the engine and binds and connects its workers, as a host does. */
static inline void bed_start(struct bed *bed)
{
    int shared = (bed->cell.engine->head.caps & PRONY_CAP_SHARED) != 0;
    if (bed_open(bed) != 0)
        fail_msg("%s", bed->error.text);
    assert_int_equal(bed_gang(bed, PRONY_OWN_BIND, 0), 0);
    if (bed->channel != NULL)
        assert_int_equal(bed_gang(bed, PRONY_OWN_ATTACH, (unsigned char)!shared), 0);
}

/* Poison, drive, verify. */
static inline int bed_sample(struct bed *bed)
{
    const struct prony_workload *workload = bed->cell.workload;
    int code;
    memset(&bed->bench.tally, 0, sizeof bed->bench.tally);
    if (workload->poison != NULL)
        workload->poison(&bed->bench);
    code = prony_drive_of(workload)(&bed->bench);
    code = code != 0 ? code : bed->bench.tally.status;
    code = code != 0 ? code : workload->verify(&bed->bench, &bed->error);
    bed->bench.sample++;
    return code;
}

static inline struct prony_slot *bed_slots(struct bed *bed)
{
    return (void *)(bed->arena.base + bed->board.slots.off);
}

static inline struct prony_future *bed_future(struct bed *bed, uint64_t i)
{
    return (void *)(bed->arena.base + bed->offsets[i]);
}

static inline int bed_close(struct bed *bed, int drain, int64_t timeout_ns)
{
    int code = bed->bench.handle == NULL ? 0 : bed->cell.engine->close(bed->bench.handle, drain, timeout_ns);
    bed->bench.handle = NULL;
    return code;
}

static inline void bed_free(struct bed *bed)
{
    if (bed->channel != NULL)
        bed->cell.channel->destroy(bed->channel);
    if (bed->cell.workload->release != NULL)
        bed->cell.workload->release(&bed->bench);
    prony_params_free(&bed->cell.engine_params);
    prony_params_free(&bed->cell.workload_params);
    prony_params_free(&bed->cell.channel_params);
    free(bed->offsets);
    prony_arena_close(&bed->arena);
}

#endif
