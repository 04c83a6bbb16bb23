#include "measure/board.h"
#include "base/timeline.h"

#include <errno.h>
#include <string.h>

enum { PAGE = 4096, SCRATCH_BYTES = 64 * 1024 };
/* A profile's memory: notes a timeline, and all timelines together; bytes of stacks a worker, and all together. */
enum {
    NOTES_MOST = 16384,
    NOTES_LEAST = 512,
    TIMELINES_BYTES = 16 << 20,
    STACKS_BYTES = 256 << 10,
    STACKS_MOST = 16 << 20
};

/* Takes `bytes` at the next multiple of `align`. */
static struct prony_span take(uint64_t *top, uint64_t bytes, uint64_t align)
{
    struct prony_span span = {(*top + align - 1) & ~(align - 1), bytes};
    *top = span.off + bytes;
    return span;
}

static uint64_t pages(uint64_t bytes)
{
    return (bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* A RERUN provider counts in a host of its own. */
static bool counts_here(const struct prony_method *method)
{
    return method->provider != NULL && ((method->provider->head.caps & PRONY_COUNTER_IN_WORKER) != 0 || method->rerun);
}

/* Two workers have no choice, and who is not bound has no neighbours. */
static bool orders_victims(const struct prony_cell *cell, const struct prony_method *method)
{
    return method->topology != NULL && cell->placement.binding && cell->workers > 2;
}

/* The parts of a profiled launch: they grow with the workers up to a bound, then each worker gets less. */
static void lay_profile(struct prony_board *board, uint64_t *top)
{
    uint64_t n = board->workers, room = NOTES_MOST, stacks = n * STACKS_BYTES;
    while (room > NOTES_LEAST && (n + 1) * room * sizeof(struct prony_note) > TIMELINES_BYTES)
        room /= 2;
    board->timeline_stride = pages(sizeof(struct prony_timeline) + room * sizeof(struct prony_note));
    board->trail = take(top, sizeof(struct prony_trail), PAGE);
    board->timelines = take(top, (n + 1) * board->timeline_stride, PAGE);
    board->stacks = take(top, stacks < STACKS_MOST ? stacks : STACKS_MOST, PAGE);
    board->notes = room;
}

void prony_board_lay(struct prony_board *board, const struct prony_cell *cell, const struct prony_method *method)
{
    uint64_t top = sizeof *board, n = cell->workers, names = 0, scratch = cell->need.scratch;
    memset(board, 0, sizeof *board);
    board->magic = PRONY_BOARD_MAGIC;
    board->workers = cell->workers;
    board->nends = cell->need.ends;
    board->star = cell->need.star;
    board->events = counts_here(method) ? (uint32_t)method->events.count : 0;
    board->plugin_fd = -1;
    board->sets = method->event_sets == 0 ? 1 : method->event_sets;
    memcpy(board->set, method->event_set, sizeof board->set);
    for (unsigned i = 0; i < board->events && method->provider->nature != NULL; i++)
        board->nature[i] = (uint8_t)method->provider->nature(method->events.item[i]);
    for (unsigned i = 0; i < board->events; i++)
        names += strlen(method->events.item[i]) + 1;
    board->pus = take(&top, n * sizeof(int32_t), 64);
    if (orders_victims(cell, method))
        board->victims = take(&top, n * (n - 1) * sizeof(uint16_t), 64);
    board->ends = take(&top, cell->need.ends * sizeof(struct prony_blob), 64);
    board->names = take(&top, names, 64);
    board->slots = take(&top, n * sizeof(struct prony_slot), 64);
    board->values = take(&top, board->events == 0 ? 0 : n * sizeof(struct prony_counts), PAGE);
    board->own_stride = pages(sizeof(struct prony_histogram) + sizeof(struct prony_usage) +
                              (scratch == 0 ? SCRATCH_BYTES : sizeof(struct prony_error) + scratch));
    board->own = take(&top, n * board->own_stride, PAGE);
    board->area =
        take(&top, cell->engine->area == NULL ? 0 : cell->engine->area(&cell->engine_params, cell->workers), PAGE);
    board->futures = take(&top, cell->need.futures * sizeof(struct prony_future), PAGE);
    board->times = take(&top, prony_cell_times(cell) == 0 ? 0 : sizeof(struct prony_task_times), PAGE);
    board->data = take(&top, cell->need.bytes, PAGE);
    if (method->profiled)
        lay_profile(board, &top);
    board->bytes = pages(top);
    (void)strncpy(board->workload, cell->workload->head.name, sizeof board->workload - 1);
    if (cell->channel != NULL)
        (void)strncpy(board->channel, cell->channel->head.name, sizeof board->channel - 1);
    if (board->events != 0)
        (void)strncpy(board->provider, method->provider->head.name, sizeof board->provider - 1);
}

void prony_board_write(unsigned char *base, const struct prony_board *board, const struct prony_cell *cell,
                       const struct prony_method *method)
{
    int32_t *pus = (int32_t *)(void *)(base + board->pus.off);
    const uint32_t counter = board->timelines.len != 0 && prony_timeline_counter_holds() != 0;
    char *name = (char *)base + board->names.off;
    memcpy(base, board, sizeof *board);
    for (unsigned i = 0; i < board->workers; i++)
        pus[i] = cell->placement.binding ? cell->placement.pus[i] : -1;
    if (board->victims.len != 0 && prony_topology_victims(method->topology, pus, board->workers,
                                                          (uint16_t *)(void *)(base + board->victims.off)) != 0)
        ((struct prony_board *)(void *)base)->victims.len = 0;
    for (unsigned i = 0; i < board->events; i++) {
        size_t length = strlen(method->events.item[i]) + 1;
        memcpy(name, method->events.item[i], length);
        name += length;
    }
    for (unsigned i = 0; board->timelines.len != 0 && i <= board->workers; i++)
        *prony_board_timeline(base, i) = (struct prony_timeline){.room = board->notes, .counter = counter};
}

int prony_board_setup(unsigned char *base, uint64_t bytes, struct prony_setup *setup, struct prony_error *error)
{
    const struct prony_board *board = (const struct prony_board *)(const void *)base;
    memset(setup, 0, sizeof *setup);
    if (bytes < sizeof *board || board->magic != PRONY_BOARD_MAGIC || board->bytes > bytes)
        return prony_fail(error, -EINVAL, "the arena has no board: host and runner are not of the same build");
    setup->size = sizeof *setup;
    setup->workers = board->workers;
    setup->pus = (const int *)(const void *)(base + board->pus.off);
    if (board->victims.len != 0)
        setup->victims = (const uint16_t *)(const void *)(base + board->victims.off);
    setup->caller_pu = -1;
    setup->base = base;
    setup->arena_bytes = board->bytes;
    setup->arena_fd = -1;
    setup->area = board->area;
    setup->slots = board->slots;
    setup->own = board->own;
    setup->own_stride = board->own_stride;
    setup->workload = board->workload;
    setup->ends = board->nends == 0 ? NULL : (const struct prony_blob *)(const void *)(base + board->ends.off);
    setup->nends = board->nends;
    setup->control_fd = -1;
    return 0;
}
