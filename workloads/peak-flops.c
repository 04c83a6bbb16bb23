/* peak-flops: how many floating-point operations a second a worker can do in registers: the flat roof of a roofline.
 *
 * Twelve independent chains, so that no operation waits for the one before, in a loop of assembly: what runs is known to
 * the instruction, whatever the compiler's options. A step is one fused multiply-add of each chain (two operations a
 * lane), or, without FMA, six multiplications and six additions. The factors and terms are 1, so that a chain counts its
 * steps and every sum is exact. Not measured: memory, and units that only add, which some CPUs have beside those for FMA. */
#include "workloads/kit.h"

enum { CHAINS = 12, FIRST_SUM = CHAINS * (CHAINS - 1) / 2 };
enum { DOUBLE, FLOAT };
enum { WIDEST, SCALAR, SSE, AVX2, AVX512, NEON };

static const char *const widths[] = {"widest", "scalar", "sse", "avx2", "avx512", "neon", NULL};
static const char *const precisions[] = {"double", "float", NULL};
static const char *const fusions[] = {"auto", "no", NULL};

static const struct prony_option options[] = {
    {"width", PRONY_CHOICE, "widest", 0, 0, widths, "registers used: one number, or 128, 256, 512 bits of them"},
    {"precision", PRONY_CHOICE, "double", 0, 0, precisions, "64 or 32 bits a number"},
    {"fma", PRONY_CHOICE, "auto", 0, 0, fusions, "auto: multiply and add in one where the CPU can; no: apart"},
    {"steps", PRONY_INT, "20k", 1, 4e6, NULL, "steps of a repetition, each of twelve instructions"},
    {.name = NULL},
};

#define EACH(op, last)                                                                                                 \
    op("0", last) op("1", last) op("2", last) op("3", last) op("4", last) op("5", last) op("6", last) op("7", last)    \
        op("8", last) op("9", last) op("10", last) op("11", last)
#define HALVES(op, other, last)                                                                                        \
    op("0", last) other("6", last) op("1", last) other("7", last) op("2", last) other("8", last) op("3", last)         \
        other("9", last) op("4", last) other("10", last) op("5", last) other("11", last)

/* One kernel: `steps` turns of the loop `text` over registers of type `vector`; the sum of all lanes of all chains. */
#define PEAK(name, isa, vector, number, cls, text)                                                                     \
    isa static double name(uint64_t steps)                                                                             \
    {                                                                                                                  \
        vector x[CHAINS], m = (vector){0} + 1, c = (vector){0} + 1;                                                    \
        number lane[sizeof(vector) / sizeof(number)];                                                                  \
        double sum = 0;                                                                                                \
        for (int i = 0; i < CHAINS; i++)                                                                               \
            x[i] = (vector){0} + (number)i;                                                                            \
        __asm__ volatile(                                                                                              \
            text                                                                                                       \
            : [x0] "+" cls(x[0]), [x1] "+" cls(x[1]), [x2] "+" cls(x[2]), [x3] "+" cls(x[3]), [x4] "+" cls(x[4]),      \
              [x5] "+" cls(x[5]), [x6] "+" cls(x[6]), [x7] "+" cls(x[7]), [x8] "+" cls(x[8]), [x9] "+" cls(x[9]),      \
              [x10] "+" cls(x[10]), [x11] "+" cls(x[11]), [n] "+r"(steps)                                              \
            : [m] cls(m), [c] cls(c)                                                                                   \
            : "cc");                                                                                                   \
        for (int i = 0; i < CHAINS; i++) {                                                                             \
            memcpy(lane, &x[i], sizeof lane);                                                                          \
            for (size_t k = 0; k < sizeof lane / sizeof lane[0]; k++)                                                  \
                sum += (double)lane[k];                                                                                \
        }                                                                                                              \
        return sum;                                                                                                    \
    }

/* A way to compute: its registers, and its kernels by precision. */
struct way {
    int width, fused;
    unsigned lanes[2];
    double (*run[2])(uint64_t steps);
    int (*here)(void); /* can this CPU? */
};

typedef double double2 __attribute__((vector_size(16)));
typedef float float4 __attribute__((vector_size(16)));

#if defined __x86_64__
typedef double double4 __attribute__((vector_size(32)));
typedef float float8 __attribute__((vector_size(32)));
typedef double double8 __attribute__((vector_size(64)));
typedef float float16 __attribute__((vector_size(64)));

#define LOOP(body) "1:\n\t" body "dec %[n]\n\tjnz 1b"
#define FMA(x, kind) "vfmadd213" kind " %[c], %[m], %[x" x "]\n\t"
#define MUL(x, kind) "mul" kind " %[m], %[x" x "]\n\t"
#define ADD(x, kind) "add" kind " %[c], %[x" x "]\n\t"
#define VMUL(x, kind) "vmul" kind " %[m], %[x" x "], %[x" x "]\n\t"
#define VADD(x, kind) "vadd" kind " %[c], %[x" x "], %[x" x "]\n\t"
#define WITH(isa) __attribute__((target(isa)))

PEAK(scalar_double, , double, double, "x", LOOP(HALVES(MUL, ADD, "sd")))
PEAK(scalar_float, , float, float, "x", LOOP(HALVES(MUL, ADD, "ss")))
PEAK(sse_double, , double2, double, "x", LOOP(HALVES(MUL, ADD, "pd")))
PEAK(sse_float, , float4, float, "x", LOOP(HALVES(MUL, ADD, "ps")))
PEAK(avx2_double, WITH("avx2"), double4, double, "x", LOOP(HALVES(VMUL, VADD, "pd")))
PEAK(avx2_float, WITH("avx2"), float8, float, "x", LOOP(HALVES(VMUL, VADD, "ps")))
PEAK(avx512_double, WITH("avx512f"), double8, double, "x", LOOP(HALVES(VMUL, VADD, "pd")))
PEAK(avx512_float, WITH("avx512f"), float16, float, "x", LOOP(HALVES(VMUL, VADD, "ps")))
PEAK(scalar_double_fma, WITH("avx,fma"), double, double, "x", LOOP(EACH(FMA, "sd")))
PEAK(scalar_float_fma, WITH("avx,fma"), float, float, "x", LOOP(EACH(FMA, "ss")))
PEAK(sse_double_fma, WITH("avx,fma"), double2, double, "x", LOOP(EACH(FMA, "pd")))
PEAK(sse_float_fma, WITH("avx,fma"), float4, float, "x", LOOP(EACH(FMA, "ps")))
PEAK(avx2_double_fma, WITH("avx2,fma"), double4, double, "x", LOOP(EACH(FMA, "pd")))
PEAK(avx2_float_fma, WITH("avx2,fma"), float8, float, "x", LOOP(EACH(FMA, "ps")))
PEAK(avx512_double_fma, WITH("avx512f"), double8, double, "x", LOOP(EACH(FMA, "pd")))
PEAK(avx512_float_fma, WITH("avx512f"), float16, float, "x", LOOP(EACH(FMA, "ps")))

static int has_fma(void)
{
    return __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma");
}

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

static int has_avx2_fma(void)
{
    return has_avx2() && has_fma();
}

static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

static const struct way ways[] = {
    {AVX512, 1, {8, 16}, {avx512_double_fma, avx512_float_fma}, has_avx512},
    {AVX512, 0, {8, 16}, {avx512_double, avx512_float}, has_avx512},
    {AVX2, 1, {4, 8}, {avx2_double_fma, avx2_float_fma}, has_avx2_fma},
    {AVX2, 0, {4, 8}, {avx2_double, avx2_float}, has_avx2},
    {SSE, 1, {2, 4}, {sse_double_fma, sse_float_fma}, has_fma},
    {SSE, 0, {2, 4}, {sse_double, sse_float}, NULL},
    {SCALAR, 1, {1, 1}, {scalar_double_fma, scalar_float_fma}, has_fma},
    {SCALAR, 0, {1, 1}, {scalar_double, scalar_float}, NULL},
};
#elif defined __aarch64__
#define LOOP(body) "1:\n\t" body "subs %[n], %[n], #1\n\tb.ne 1b"
#define FMA(x, as) "fmla %[x" x "]." as ", %[m]." as ", %[c]." as "\n\t"
#define MUL(x, as) "fmul %[x" x "]." as ", %[x" x "]." as ", %[m]." as "\n\t"
#define ADD(x, as) "fadd %[x" x "]." as ", %[x" x "]." as ", %[c]." as "\n\t"
#define FMA1(x, as) "fmadd %" as "[x" x "], %" as "[m], %" as "[c], %" as "[x" x "]\n\t"
#define MUL1(x, as) "fmul %" as "[x" x "], %" as "[x" x "], %" as "[m]\n\t"
#define ADD1(x, as) "fadd %" as "[x" x "], %" as "[x" x "], %" as "[c]\n\t"

PEAK(scalar_double, , double, double, "w", LOOP(HALVES(MUL1, ADD1, "d")))
PEAK(scalar_float, , float, float, "w", LOOP(HALVES(MUL1, ADD1, "s")))
PEAK(neon_double, , double2, double, "w", LOOP(HALVES(MUL, ADD, "2d")))
PEAK(neon_float, , float4, float, "w", LOOP(HALVES(MUL, ADD, "4s")))
PEAK(scalar_double_fma, , double, double, "w", LOOP(EACH(FMA1, "d")))
PEAK(scalar_float_fma, , float, float, "w", LOOP(EACH(FMA1, "s")))
PEAK(neon_double_fma, , double2, double, "w", LOOP(EACH(FMA, "2d")))
PEAK(neon_float_fma, , float4, float, "w", LOOP(EACH(FMA, "4s")))

static const struct way ways[] = {
    {NEON, 1, {2, 4}, {neon_double_fma, neon_float_fma}, NULL},
    {NEON, 0, {2, 4}, {neon_double, neon_float}, NULL},
    {SCALAR, 1, {1, 1}, {scalar_double_fma, scalar_float_fma}, NULL},
    {SCALAR, 0, {1, 1}, {scalar_double, scalar_float}, NULL},
};
#else
static int never(void)
{
    return 0;
}

static const struct way ways[] = {{SCALAR, 0, {1, 1}, {NULL, NULL}, never}};
#endif

struct peak_arg {
    uint64_t steps, items; /* items: of a repetition, all workers together */
    uint32_t way, precision;
};

static uint64_t operations(const struct peak_arg *arg)
{
    const struct way *way = &ways[arg->way];
    return arg->steps * CHAINS * way->lanes[arg->precision] * (way->fused ? 2 : 1);
}

/* The widest way that the parameters allow and this CPU has. */
static int choose(const struct prony_params *params, unsigned workers, struct peak_arg *arg, struct prony_error *error)
{
    int64_t width = prony_param_int(params, "width"), apart = prony_param_int(params, "fma");
    *arg = (struct peak_arg){.steps = (uint64_t)prony_param_int(params, "steps"),
                             .precision = (uint32_t)prony_param_int(params, "precision")};
    for (; arg->way < sizeof ways / sizeof ways[0]; arg->way++) {
        const struct way *way = &ways[arg->way];
        if ((width == WIDEST || width == way->width) && !(apart && way->fused) && (way->here == NULL || way->here())) {
            arg->items = operations(arg) * workers;
            return 0;
        }
    }
    return prony_fail(error, -ENOTSUP, "this CPU, or the system it runs, has no %s registers", widths[width]);
}

/* out: a line a worker. */
static int peak_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    uint64_t *out = (uint64_t *)prony_at(worker, task->out.off) + worker->index * LINE_BYTES / sizeof(uint64_t);
    uint64_t sum = 0, repeats;
    struct peak_arg arg;
    double (*run)(uint64_t);
    int code;
    memcpy(&arg, task->arg, sizeof arg);
    run = ways[arg.way].run[arg.precision];
    repeats = (uint64_t)(task->hi - task->lo) / arg.items;
    code = prony_worker_begin(worker);
    if (code != 0)
        return code;
    for (uint64_t i = 0; i < repeats; i++)
        sum += (uint64_t)run(arg.steps);
    prony_worker_end(worker);
    *out = sum;
    return 0;
}

static int peak_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    struct peak_arg arg;
    int code = choose(params, workers, &arg, error);
    if (code != 0)
        return code;
    need->items = need->operations = need->flops = (int64_t)arg.items;
    need->bytes = (uint64_t)workers * LINE_BYTES;
    return 0;
}

static void peak_task(const struct prony_bench *bench, struct prony_task *task)
{
    struct peak_arg arg;
    (void)choose(bench->params, bench->setup->workers, &arg, NULL);
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static uint64_t *sum_of(const struct prony_bench *bench, unsigned worker)
{
    return data_at(bench, (uint64_t)worker * LINE_BYTES);
}

static void peak_poison(struct prony_bench *bench)
{
    for (unsigned i = 0; i < bench->setup->workers; i++)
        *sum_of(bench, i) = UINT64_MAX;
}

static int peak_verify(struct prony_bench *bench, struct prony_error *error)
{
    struct peak_arg arg;
    uint64_t right;
    int code = choose(bench->params, bench->setup->workers, &arg, error);
    if (code != 0)
        return code;
    right = FIRST_SUM + arg.steps * (ways[arg.way].fused ? CHAINS : CHAINS / 2);
    right *= ways[arg.way].lanes[arg.precision] * (uint64_t)bench->repeats;
    for (unsigned i = 0; i < bench->setup->workers; i++)
        if (*sum_of(bench, i) != right)
            return prony_fail(error, -EBADMSG, "the chains of worker %u add up to %llu, not %llu", i,
                              (unsigned long long)*sum_of(bench, i), (unsigned long long)right);
    return 0;
}

static const struct prony_kernel kernels[] = {{"peak-flops", peak_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, peak_flops) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "peak-flops",
                       .summary = "floating-point operations in registers: the peak rate", .options = options),
    .unit = "FLOP",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .need = peak_need,
    .task = peak_task,
    .poison = peak_poison,
    .verify = peak_verify,
};
