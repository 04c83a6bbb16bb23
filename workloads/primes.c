/* primes: which of 0 .. items-1 are prime, by trial division: pure computing on uneven items.
 *
 * An item's cost grows with its least factor, so equal chunks are not equal work. Every verdict is compared with a
 * sieve. Not measured: memory (a byte an item). */
#include "workloads/kit.h"

static const struct prony_option options[] = {
    {"items", PRONY_INT, "100k", 1, 1e8, NULL, "numbers tested, from 0"},
    {.name = NULL},
};

enum { COMPOSITE, PRIME, UNKNOWN = 0xee };

static unsigned char test(uint32_t n)
{
    if (n < 4)
        return n < 2 ? COMPOSITE : PRIME;
    if (n % 2 == 0)
        return COMPOSITE;
    for (uint32_t d = 3; d <= n / d; d += 2)
        if (n % d == 0)
            return COMPOSITE;
    return PRIME;
}

static int primes_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    unsigned char *out = prony_at(worker, task->out.off);
    for (int64_t i = task->lo; i < task->hi; i++)
        out[i] = test((uint32_t)i);
    return 0;
}

static int primes_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                       struct prony_error *error)
{
    (void)workers, (void)error;
    need->items = prony_param_int(params, "items");
    need->bytes = (uint64_t)need->items;
    return 0;
}

/* The sieve of Eratosthenes. */
static int primes_prepare(struct prony_bench *bench, struct prony_error *error)
{
    size_t n = (size_t)bench->need->items;
    unsigned char *sieve = malloc(n);
    if (sieve == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a sieve of %zu bytes", n);
    memset(sieve, PRIME, n);
    memset(sieve, COMPOSITE, n < 2 ? n : 2);
    for (size_t i = 2; i * i < n; i++)
        for (size_t j = i * i; sieve[i] == PRIME && j < n; j += i)
            sieve[j] = COMPOSITE;
    bench->local = sieve;
    return 0;
}

static void primes_poison(struct prony_bench *bench)
{
    memset(data_at(bench, 0), UNKNOWN, bench->need->bytes);
}

static int primes_verify(struct prony_bench *bench, struct prony_error *error)
{
    const unsigned char *out = data_at(bench, 0), *sieve = bench->local;
    int64_t i = 0;
    if (memcmp(out, sieve, bench->need->bytes) == 0)
        return 0;
    while (out[i] == sieve[i])
        i++;
    return prony_fail(error, -EBADMSG, "%lld is %s, but its verdict is %u", (long long)i,
                      sieve[i] == PRIME ? "prime" : "not prime", out[i]);
}

static void primes_release(struct prony_bench *bench)
{
    free(bench->local);
}

static const struct prony_kernel kernels[] = {{"primes", primes_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, primes) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "primes", .summary = "prime numbers by trial division: computing",
                       .options = options),
    .unit = "number",
    .kernels = kernels,
    .shape = PRONY_MAP,
    .need = primes_need,
    .prepare = primes_prepare,
    .poison = primes_poison,
    .verify = primes_verify,
    .release = primes_release,
};
