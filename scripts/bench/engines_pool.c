/* The pool of libprony under each metric of scripts/bench/engines.c. */
#include "engines.h"

#include <prony/pool.h>
#include <prony/sync.h>
#include <time.h>

struct place {
    int64_t steps;
    int pu[2];
};

static int k_empty(struct prony_worker *worker, const struct prony_task *task)
{
    ((struct prony_future *)prony_at(worker, task->future))->value = (uint64_t)task->lo;
    return 0;
}
static int k_square(struct prony_worker *worker, const struct prony_task *task)
{
    square(prony_at(worker, task->out.off), prony_at(worker, task->in.off), task->lo, task->hi);
    return 0;
}
static int k_spin(struct prony_worker *worker, const struct prony_task *task)
{
    struct place place;
    (void)worker;
    memcpy(&place, task->arg, sizeof place);
    for (int64_t i = task->lo; i < task->hi; i++)
        (void)spin(place.steps);
    return 0;
}
static int k_copy(struct prony_worker *worker, const struct prony_task *task)
{
    memcpy(prony_at(worker, task->out.off), prony_at(worker, task->in.off), task->in.len);
    return 0;
}
/* Holds the worker until the gate, the first word of the data, is open. */
static int k_gate(struct prony_worker *worker, const struct prony_task *task)
{
    const uint32_t *gate = prony_at(worker, task->out.off);
    while (__atomic_load_n(gate, __ATOMIC_ACQUIRE) == 0)
        prony_pause();
    return 0;
}
static int k_bind(struct prony_worker *worker, const struct prony_task *task)
{
    struct place place;
    memcpy(&place, task->arg, sizeof place);
    bind_to(place.pu[worker->index]);
    return 0;
}
enum { EMPTY, SQUARE, SPIN, COPYING, BIND, GATE };
static const struct prony_kernel kernels[] = {{"empty", k_empty}, {"square", k_square}, {"spin", k_spin},
                                              {"copy", k_copy},   {"bind", k_bind},     {"gate", k_gate},
                                              {NULL, NULL}};

struct bench {
    struct prony_ground ground;
    struct prony_pool *pool;
    struct prony_policy policy;
    int pus[2];
};

static void ground_make(struct bench *bench, enum prony_staff staff, unsigned workers, uint64_t data)
{
    struct prony_error error = {0};
    struct prony_wish wish = {workers, prony_pool_area(workers), data, TASKS};
    check(prony_ground_make(&bench->ground, kernels, &wish, &error), error.text);
    bench->policy = (struct prony_policy){.staff = staff, .idle = PRONY_IDLE_ADAPTIVE};
    bench->pus[0] = workers == 1 ? second_pu : first_pu;
    bench->pus[1] = second_pu;
    bench->ground.setup.pus = bench->pus;
    bench->ground.setup.caller_pu = first_pu;
}

static void pool_open(struct bench *bench)
{
    struct prony_error error = {0};
    struct prony_task task = {.ref = {1, BIND}};
    struct place place = {0, {bench->pus[0], bench->pus[1]}};
    int status[2];
    check(prony_pool_open(&bench->ground.setup, &bench->policy, &bench->pool, &error), error.text);
    memcpy(task.arg, &place, sizeof place);
    check(prony_pool_gang(bench->pool, &task, bench->ground.setup.workers, status, -1), "cannot bind");
}

static void pool_close(struct bench *bench)
{
    check(prony_pool_close(bench->pool, 1, 5000000000), "the pool did not close");
}

static uint64_t future_at(const struct bench *bench, int i)
{
    return bench->ground.futures.off + (uint64_t)i * sizeof(struct prony_future);
}

static double pool_submit(struct bench *bench)
{
    double best[5];
    uint64_t *futures = malloc(TASKS * sizeof *futures);
    struct prony_task task[BATCH] = {0};
    for (int i = 0; i < TASKS; i++)
        futures[i] = future_at(bench, i);
    for (int round = -1; round < 5; round++) {
        uint64_t begun = prony_now_ns();
        for (int i = 0; i < TASKS; i += BATCH) {
            int n = TASKS - i < BATCH ? TASKS - i : BATCH;
            for (int k = 0; k < n; k++) {
                task[k].ref.workload = 1;
                task[k].lo = i + k + round;
                task[k].future = futures[i + k];
            }
            check(prony_pool_submit(bench->pool, task, (unsigned)n), "cannot submit");
        }
        check(prony_pool_wait(bench->pool, futures, TASKS, TASKS, -1), "cannot wait");
        if (round >= 0)
            best[round] = TASKS / ((double)(prony_now_ns() - begun) / 1e9);
        for (int i = 0; i < TASKS; i++)
            if (((struct prony_future *)(void *)(bench->ground.arena.base + futures[i]))->value !=
                (uint64_t)(int64_t)(i + round))
                fail("a wrong result");
    }
    free(futures);
    return median(best, 5);
}

static double pool_map(struct bench *bench)
{
    int64_t *from = (int64_t *)(void *)(bench->ground.arena.base + bench->ground.data.off), *to = from + ITEMS;
    struct prony_task task = {.ref = {1, SQUARE},
                              .hi = ITEMS,
                              .in = {bench->ground.data.off, ITEMS * 8},
                              .out = {bench->ground.data.off + ITEMS * 8, ITEMS * 8}},
                      warm = {.ref = {1, SQUARE}}; /* makes workers hot that the serial loop let fall asleep */
    double ratio[21];
    int status[2];
    struct prony_tally tally;
    for (int i = 0; i < ITEMS; i++)
        from[i] = i;
    for (int round = -2; round < 21; round++) {
        uint64_t a = prony_now_ns(), serial, b;
        square(to, from, 0, ITEMS);
        serial = prony_now_ns() - a;
        check(prony_pool_gang(bench->pool, &warm, 2, status, -1), "cannot warm up");
        b = prony_now_ns();
        check(prony_pool_map(bench->pool, &task, 0, &tally, -1), "cannot map");
        if (round >= 0)
            ratio[round] = (double)serial / (double)(prony_now_ns() - b) / 2;
    }
    return median(ratio, 21);
}

static void pool_once(void *context, int number)
{
    struct bench *bench = context;
    uint64_t future = future_at(bench, 0);
    struct prony_task task = {.ref = {1, EMPTY}, .lo = number, .future = future};
    check(prony_pool_submit(bench->pool, &task, 1), "cannot submit");
    check(prony_pool_wait(bench->pool, &future, 1, 1, -1), "cannot wait");
}

static double pool_helped(struct bench *bench)
{
    double ns[51];
    uint32_t *gate = (uint32_t *)(void *)(bench->ground.arena.base + bench->ground.data.off);
    const struct prony_future *held = (const void *)(bench->ground.arena.base + future_at(bench, HELPED));
    struct prony_task task[HELPED + 1] = {0};
    for (int i = 0; i <= HELPED; i++)
        task[i] = (struct prony_task){
            .ref = {1, i < HELPED ? EMPTY : GATE}, .out = bench->ground.data, .future = future_at(bench, i)};
    for (int round = -5; round < 51; round++) {
        uint64_t begun, value, wrong = 0;
        __atomic_store_n(gate, 0, __ATOMIC_RELEASE);
        check(prony_pool_submit(bench->pool, &task[HELPED], 1), "cannot submit");
        while (prony_future_phase(held) != PRONY_RUNNING)
            prony_pause();
        for (int i = 0; i < HELPED; i++)
            task[i].lo = i + round;
        check(prony_pool_submit(bench->pool, task, HELPED), "cannot submit");
        begun = prony_now_ns();
        for (int i = 0; i < HELPED; i++) {
            check(prony_pool_help(bench->pool, &task[i], &value, -1), "cannot help");
            wrong |= value ^ (uint64_t)task[i].lo;
        }
        if (round >= 0)
            ns[round] = (double)(prony_now_ns() - begun) / HELPED;
        __atomic_store_n(gate, 1, __ATOMIC_RELEASE);
        check(prony_pool_help(bench->pool, &task[HELPED], NULL, -1), "cannot wait");
        if (wrong != 0)
            fail("a wrong result");
    }
    return median(ns, 51);
}

/* The wait policy that the metric wait-POLICY names. */
static enum prony_idle idle_of(const char *metric)
{
    if (strncmp(metric, "wait-", 5) != 0 || strncmp(metric + 5, "adaptive", 8) == 0)
        return PRONY_IDLE_ADAPTIVE;
    return strncmp(metric + 5, "spin", 4) == 0 ? PRONY_IDLE_SPIN : PRONY_IDLE_PARK;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), last = strlen(end);
    return length >= last && strcmp(text + length - last, end) == 0;
}

static double pool_life(struct bench *bench)
{
    double ns[LIVES];
    uint64_t future = future_at(bench, 0);
    struct prony_task task = {.ref = {1, EMPTY}, .future = future};
    for (int i = -5; i < LIVES; i++) {
        struct prony_error error = {0};
        uint64_t begun = prony_now_ns();
        check(prony_pool_open(&bench->ground.setup, &bench->policy, &bench->pool, &error), error.text);
        check(prony_pool_submit(bench->pool, &task, 1), "cannot submit");
        check(prony_pool_wait(bench->pool, &future, 1, 1, -1), "cannot wait");
        pool_close(bench);
        if (i >= 0)
            ns[i] = (double)(prony_now_ns() - begun);
    }
    return median(ns, LIVES);
}

static double pool_copy(struct bench *bench)
{
    double rate[9];
    struct prony_task task[COPIES] = {0};
    uint64_t futures[COPIES];
    for (int i = 0; i < COPIES; i++) {
        futures[i] = future_at(bench, i);
        task[i] = (struct prony_task){.ref = {1, COPYING},
                                      .future = futures[i],
                                      .in = {bench->ground.data.off + (uint64_t)i * COPY, COPY},
                                      .out = {bench->ground.data.off + (uint64_t)(COPIES + i) * COPY, COPY}};
    }
    for (int round = -1; round < 9; round++) {
        uint64_t begun = prony_now_ns();
        for (int i = 0; i < 100; i++) {
            check(prony_pool_submit(bench->pool, task, COPIES), "cannot submit");
            check(prony_pool_wait(bench->pool, futures, COPIES, COPIES, -1), "cannot wait");
        }
        if (round >= 0)
            rate[round] = 100.0 * COPIES / ((double)(prony_now_ns() - begun) / 1e9);
    }
    return median(rate, 9);
}

/* From and to memory of the caller's own: it copies into a slot of the arena and out of it, the worker in between. */
static double pool_carry(struct bench *bench)
{
    enum { SLOTS = 16, TURNS = 100 * COPIES };
    double rate[9];
    unsigned char *own = aligned_alloc(4096, (size_t)2 * COPIES * COPY), *slots = bench->ground.arena.base;
    memset(own, 1, (size_t)2 * COPIES * COPY);
    for (int round = -1; round < 9; round++) {
        uint64_t begun = prony_now_ns();
        for (int i = 0; i < TURNS + SLOTS; i++) {
            uint64_t future = future_at(bench, i % SLOTS), in = bench->ground.data.off + i % SLOTS * 2 * COPY;
            struct prony_task task = {
                .ref = {1, COPYING}, .future = future, .in = {in, COPY}, .out = {in + COPY, COPY}};
            if (i >= SLOTS) {
                check(prony_pool_wait(bench->pool, &future, 1, 1, -1), "cannot wait");
                memcpy(own + (size_t)(COPIES + (i - SLOTS) % COPIES) * COPY, slots + in + COPY, COPY);
            }
            if (i < TURNS) {
                memcpy(slots + in, own + (size_t)(i % COPIES) * COPY, COPY);
                check(prony_pool_submit(bench->pool, &task, 1), "cannot submit");
            }
        }
        if (round >= 0)
            rate[round] = TURNS / ((double)(prony_now_ns() - begun) / 1e9);
    }
    if (memcmp(own, own + (size_t)COPIES * COPY, (size_t)COPIES * COPY) != 0)
        fail("a wrong copy");
    free(own);
    return median(rate, 9);
}

static double pool_grain(struct bench *bench, double grain_ns, int64_t chunk)
{
    double ns = step_ns(), share[15];
    int64_t steps = (int64_t)(grain_ns / ns), items = (int64_t)(20e6 / grain_ns);
    struct prony_task task = {.ref = {1, SPIN}, .hi = items};
    struct place place = {.steps = steps};
    struct prony_tally tally;
    memcpy(task.arg, &place, sizeof place);
    for (int round = -1; round < 15; round++) {
        uint64_t a = prony_now_ns(), b, c;
        for (int64_t i = 0; i < items / 2; i++)
            (void)spin(steps);
        b = prony_now_ns();
        check(prony_pool_map(bench->pool, &task, chunk, &tally, -1), "cannot map");
        c = prony_now_ns();
        if (round >= 0)
            share[round] = (double)(b - a) / (double)(c - b);
    }
    return median(share, 15);
}

double measure_pool(int processes, const char *metric)
{
    const enum prony_staff staff = processes ? PRONY_PROCESSES : PRONY_THREADS;
    struct bench bench;
    double value, cores;
    const bool life = strcmp(metric, "life") == 0;
    const bool idle = strncmp(metric, "idle", 4) == 0 || strncmp(metric, "wait-", 5) == 0;
    const bool one = idle || strcmp(metric, "submit") == 0 || strcmp(metric, "carry") == 0 ||
                     strcmp(metric, "hot") == 0 || strcmp(metric, "helped") == 0;
    if (!life)
        bind_to(first_pu);
    ground_make(&bench, staff, one ? 1 : 2, 16 * ITEMS);
    bench.policy.idle = idle_of(metric);
    if (life) {
        bench.ground.setup.pus = NULL;
        bench.ground.setup.caller_pu = -1;
        return pool_life(&bench);
    }
    pool_open(&bench);
    if (processes && one)
        worker_pid = ((struct prony_slot *)(void *)(bench.ground.arena.base + bench.ground.setup.slots.off))->pid;
    if (strcmp(metric, "submit") == 0)
        value = pool_submit(&bench);
    else if (strcmp(metric, "map") == 0)
        value = pool_map(&bench);
    else if (strcmp(metric, "hot") == 0)
        value = trip_ns(pool_once, &bench, TRIPS, 0, &cores);
    else if (strcmp(metric, "copy") == 0)
        value = pool_copy(&bench);
    else if (strcmp(metric, "helped") == 0)
        value = pool_helped(&bench);
    else if (strcmp(metric, "carry") == 0)
        value = pool_carry(&bench);
    else if (idle) {
        value = trip_ns(pool_once, &bench, GAPS, 1000000, &cores);
        if (ends_with(metric, "-cpu"))
            value = cores;
    } else if (strncmp(metric, "grain-", 6) == 0)
        value = pool_grain(&bench, atof(metric + 6), 0);
    else if (strncmp(metric, "unit-", 5) == 0)
        value = pool_grain(&bench, atof(metric + 5), 1);
    else
        fail("no such metric");
    pool_close(&bench);
    prony_ground_free(&bench.ground);
    return value;
}
