/* bandwidth: how many bytes a second a worker can read, write, copy or combine: a slanted roof of a roofline.
 *
 * Every worker walks through arrays of its own, that together fill half of its share of a cache level, or four times the
 * last cache for memory. It fills them itself, so that they lie near it. Each array is read or written once a repetition:
 * the bytes counted are those the program asks for; a cache that reads a line before it is overwritten moves more.
 * Stores are plain ones. Loops use the widest registers there are. The values are known, and all of them are compared. */
#include "base/caches.h"
#include "workloads/kit.h"

enum { READ, WRITE, COPY, TRIAD };
enum { L1, L2, L3, MEMORY };
enum { UNIT = 512, SCALAR = 3 }; /* UNIT: bytes of one turn of a loop with the widest registers */
#define L1_ASSUMED 32768u        /* where the system does not tell */
#define MEMORY_LEAST 67108864u

static const char *const ops[] = {"read", "write", "copy", "triad", NULL};
static const char *const levels[] = {"l1", "l2", "l3", "memory", NULL};
static const unsigned arrays[] = {1, 1, 2, 3};

static const struct prony_option options[] = {
    {"op", PRONY_CHOICE, "read", 0, 0, ops, "read: a sum; write: a constant; copy: b = a; triad: a = b + s c"},
    {"level", PRONY_CHOICE, "l1", 0, 0, levels,
     "where the data lie; an l1 that the system does not tell of has 32 KiB"},
    {"size", PRONY_BYTES, "0", 0, 68719476736.0, NULL, "bytes of a worker's arrays together; 0: as the level needs"},
    {.name = NULL},
};

#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define ZERO(k) word sum##k = {0};
#define LOAD(k) sum##k += in[i + k];
#define STORE(k) out[i + k] = value;
#define MOVE(k) out[i + k] = in[i + k];
#define COMBINE(k) a[i + k] = b[i + k] + s * c[i + k];
#define AS_IS __asm__ volatile("" ::: "memory") /* a loop, not a call of memcpy or memset */

/* The four loops in registers of `wide` bytes. Every array holds a whole number of turns. */
#define LOOPS(name, isa, wide)                                                                                         \
    isa static uint64_t read_##name(const void *from, uint64_t bytes)                                                  \
    {                                                                                                                  \
        typedef uint64_t word __attribute__((vector_size(wide)));                                                      \
        const word *in = from;                                                                                         \
        uint64_t lane[(wide) / 8], all = 0;                                                                            \
        EACH(ZERO)                                                                                                     \
        for (uint64_t i = 0; i < bytes / (wide); i += 8) {                                                             \
            EACH(LOAD)                                                                                                 \
        }                                                                                                              \
        sum0 += sum1 + sum2 + sum3 + sum4 + sum5 + sum6 + sum7;                                                        \
        memcpy(lane, &sum0, sizeof lane);                                                                              \
        for (int i = 0; i < (wide) / 8; i++)                                                                           \
            all += lane[i];                                                                                            \
        return all;                                                                                                    \
    }                                                                                                                  \
    isa static void write_##name(void *to, uint64_t number, uint64_t bytes)                                            \
    {                                                                                                                  \
        typedef uint64_t word __attribute__((vector_size(wide)));                                                      \
        word *out = to, value = (word){0} + number;                                                                    \
        for (uint64_t i = 0; i < bytes / (wide); i += 8) {                                                             \
            EACH(STORE)                                                                                                \
            AS_IS;                                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    isa static void copy_##name(void *restrict to, const void *restrict from, uint64_t bytes)                          \
    {                                                                                                                  \
        typedef uint64_t word __attribute__((vector_size(wide)));                                                      \
        word *restrict out = to;                                                                                       \
        const word *restrict in = from;                                                                                \
        for (uint64_t i = 0; i < bytes / (wide); i += 8) {                                                             \
            EACH(MOVE)                                                                                                 \
            AS_IS;                                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    isa static void triad_##name(void *restrict to, const void *restrict from, uint64_t bytes)                         \
    {                                                                                                                  \
        typedef double word __attribute__((vector_size(wide)));                                                        \
        word *restrict a = to, s = (word){0} + SCALAR;                                                                 \
        const word *restrict b = from, *restrict c = b + bytes / (wide);                                               \
        for (uint64_t i = 0; i < bytes / (wide); i += 8) {                                                             \
            EACH(COMBINE)                                                                                              \
        }                                                                                                              \
    }

LOOPS(plain, , 16)
#if defined __x86_64__
LOOPS(avx2, __attribute__((target("avx2"))), 32)
LOOPS(avx512, __attribute__((target("avx512f"))), 64)
#endif

struct loops {
    uint64_t (*read)(const void *from, uint64_t bytes);
    void (*write)(void *to, uint64_t number, uint64_t bytes);
    void (*copy)(void *restrict to, const void *restrict from, uint64_t bytes);
    void (*triad)(void *restrict to, const void *restrict from, uint64_t bytes);
};

static const struct loops *loops_here(void)
{
    static const struct loops plain = {read_plain, write_plain, copy_plain, triad_plain};
#if defined __x86_64__
    static const struct loops avx2 = {read_avx2, write_avx2, copy_avx2, triad_avx2};
    static const struct loops avx512 = {read_avx512, write_avx512, copy_avx512, triad_avx512};
    if (__builtin_cpu_supports("avx512f"))
        return &avx512;
    if (__builtin_cpu_supports("avx2"))
        return &avx2;
#endif
    return &plain;
}

/* in: the workers' regions, of arrays each, the first one written (but by op=read); out: a line a worker. */
struct bandwidth_arg {
    uint64_t seed, array, op, workers; /* array: bytes of each */
};

struct line {
    uint64_t sum, filled;
    unsigned char pad[LINE_BYTES - 2 * sizeof(uint64_t)];
};

static uint64_t word_of(uint64_t seed, uint64_t i)
{
    return mix64(seed + i);
}

/* Element i of b, and of c with another seed: whole numbers below 1024. */
static double whole(uint64_t seed, uint64_t i)
{
    return (double)(mix64(seed + i) >> 54);
}

/* First touch, by the worker whose region it is. */
static void fill(const struct bandwidth_arg *arg, void *region)
{
    uint64_t n = arg->array / sizeof(uint64_t), *words = region;
    double *numbers = region;
    for (uint64_t i = 0; i < n && (arg->op == READ || arg->op == COPY); i++)
        words[(arg->op == COPY ? n : 0) + i] = word_of(arg->seed, i);
    for (uint64_t i = 0; i < n && arg->op == TRIAD; i++) {
        numbers[n + i] = whole(arg->seed, i);
        numbers[2 * n + i] = whole(~arg->seed, i);
    }
}

/* One repetition; the sum that it read, or 1. */
static uint64_t run(const struct loops *loops, const struct bandwidth_arg *arg, unsigned char *region, uint64_t turn)
{
    switch (arg->op) {
    case READ:
        return loops->read(region, arg->array);
    case WRITE:
        loops->write(region, arg->seed + turn, arg->array);
        return 1;
    case COPY:
        loops->copy(region, region + arg->array, arg->array);
        return 1;
    default:
        loops->triad(region, region + arg->array, arg->array);
        return 1;
    }
}

static int bandwidth_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    const struct loops *loops = loops_here();
    struct bandwidth_arg arg;
    unsigned char *region;
    struct line *line;
    uint64_t repeats, footprint, sum = 0;
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    footprint = arg.array * arrays[arg.op];
    region = (unsigned char *)prony_at(worker, task->in.off) + worker->index * footprint;
    line = (struct line *)prony_at(worker, task->out.off) + worker->index;
    repeats = (uint64_t)(task->hi - task->lo) / (footprint * arg.workers);
    if (!line->filled)
        fill(&arg, region);
    line->filled = 1;
    if (arg.op != READ)
        memset(region, 0xff, arg.array); /* no answer looks like this */
    code = prony_worker_begin(worker);
    if (code != 0)
        return code;
    for (uint64_t i = 0; i < repeats; i++) {
        sum += run(loops, &arg, region, i + 1);
        AS_IS;
    }
    prony_worker_end(worker);
    line->sum = sum;
    return 0;
}

/* Bytes of a worker's arrays that lie in the level when all workers have theirs there. */
static int64_t footprint_of(int64_t level, unsigned workers, struct prony_error *error)
{
    struct prony_cache cache = level == MEMORY ? prony_cache_last() : prony_cache_of((unsigned)level + 1), inner;
    uint64_t share;
    if (level == L1 && cache.bytes == 0)
        cache.bytes = L1_ASSUMED;
    if (level == MEMORY) {
        uint64_t all = 4 * cache.bytes > MEMORY_LEAST ? 4 * cache.bytes : MEMORY_LEAST;
        return (int64_t)(all / (workers < cache.sharers ? workers : cache.sharers));
    }
    if (cache.bytes == 0)
        return prony_fail(error, -ENOTSUP, "the system tells of no %s cache; size=BYTES sets the arrays outright",
                          levels[level]);
    share = cache.bytes / (workers < cache.sharers ? workers : cache.sharers);
    inner = prony_cache_of((unsigned)level);
    if (level > L1 && share / 2 <= inner.bytes)
        return prony_fail(error, -ENOTSUP, "half of a worker's share of the %s cache fits into its %s", levels[level],
                          levels[level - 1]);
    return (int64_t)(share / 2);
}

static int bandwidth_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                          struct prony_error *error)
{
    int64_t op = prony_param_int(params, "op"), bytes = prony_param_int(params, "size"), unit = UNIT * arrays[op];
    if (bytes == 0)
        bytes = footprint_of(prony_param_int(params, "level"), workers, error);
    if (bytes < 0)
        return (int)bytes;
    bytes = (bytes < unit ? unit : bytes / unit * unit) * workers;
    need->items = need->operations = need->moved = bytes;
    need->bytes = (uint64_t)bytes + workers * sizeof(struct line);
    need->flops = op == TRIAD ? bytes / 3 / (int64_t)sizeof(double) * 2 : 0;
    return 0;
}

static struct bandwidth_arg arg_of(const struct prony_bench *bench)
{
    uint64_t op = (uint64_t)prony_param_int(bench->params, "op"), workers = bench->setup->workers;
    return (struct bandwidth_arg){bench->seed, (uint64_t)bench->need->items / workers / arrays[op], op, workers};
}

static struct line *lines_of(const struct prony_bench *bench)
{
    return data_at(bench, (uint64_t)bench->need->items);
}

static void bandwidth_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct bandwidth_arg arg = arg_of(bench);
    uint64_t regions = (uint64_t)bench->need->items;
    task_fill(bench, task, 0, &arg, sizeof arg);
    task->in = data_span(bench, 0, regions);
    task->out = data_span(bench, regions, arg.workers * sizeof(struct line));
}

static int bandwidth_prepare(struct prony_bench *bench, struct prony_error *error)
{
    struct bandwidth_arg arg = arg_of(bench);
    uint64_t *sum = calloc(1, sizeof *sum);
    if (sum == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a sum");
    *sum = arg.op != READ;
    for (uint64_t i = 0; i < arg.array / sizeof(uint64_t) && arg.op == READ; i++)
        *sum += word_of(arg.seed, i);
    bench->local = sum;
    return 0;
}

/* What is written the workers make wrong themselves, before they begin: pages lie where they are touched first. */
static void bandwidth_poison(struct prony_bench *bench)
{
    for (unsigned i = 0; i < bench->setup->workers; i++)
        lines_of(bench)[i].sum = *(const uint64_t *)bench->local * (uint64_t)bench->repeats + 1;
}

/* Is element i of a written array right? */
static int is_right(const struct bandwidth_arg *arg, const void *region, uint64_t i, uint64_t repeats)
{
    const uint64_t *words = region;
    const double *numbers = region;
    if (arg->op == TRIAD)
        return numbers[i] == whole(arg->seed, i) + SCALAR * whole(~arg->seed, i);
    return words[i] == (arg->op == WRITE ? arg->seed + repeats : word_of(arg->seed, i));
}

static int bandwidth_verify(struct prony_bench *bench, struct prony_error *error)
{
    struct bandwidth_arg arg = arg_of(bench);
    uint64_t repeats = (uint64_t)bench->repeats, sum = *(const uint64_t *)bench->local * repeats;
    for (unsigned w = 0; w < arg.workers; w++) {
        const unsigned char *region = data_at(bench, w * arg.array * arrays[arg.op]);
        if (lines_of(bench)[w].sum != sum)
            return prony_fail(error, -EBADMSG, "worker %u ended with %llu, not with %llu", w,
                              (unsigned long long)lines_of(bench)[w].sum, (unsigned long long)sum);
        for (uint64_t i = 0; i < arg.array / sizeof(uint64_t) && arg.op != READ; i++)
            if (!is_right(&arg, region, i, repeats))
                return prony_fail(error, -EBADMSG, "element %llu of worker %u is wrong after op=%s",
                                  (unsigned long long)i, w, ops[arg.op]);
    }
    return 0;
}

static void bandwidth_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"bandwidth", bandwidth_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, bandwidth) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "bandwidth",
                       .summary = "reading and writing at each cache level: the peak rates", .options = options),
    .unit = "byte",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = bandwidth_need,
    .prepare = bandwidth_prepare,
    .task = bandwidth_task,
    .poison = bandwidth_poison,
    .verify = bandwidth_verify,
    .release = bandwidth_release,
};
