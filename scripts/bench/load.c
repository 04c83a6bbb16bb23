/* A program with known work and a known slowdown, for the trials of scripts/bench/truth.py:
 *     load SLOWER_PERCENT KERNEL:SAMPLES:ITERATIONS [KERNEL:...]
 * Prints "KERNEL ns-an-iteration", a line a sample. SLOWER_PERCENT lengthens the timed loops by so much.
 * alu: dependent arithmetic; chase: dependent loads over 4 MiB; branch: a sort of fresh numbers; copy: memory moved in
 * 256 KiB; alloc: malloc and free; noisy: alu, disturbed at random by up to as much again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHASE = 1 << 16, COPY = 256 << 10, SORT = 64 };

static volatile uint64_t sink;
static uint64_t state = 88172645463325252u;
static struct line {
    uint64_t next, pad[7];
} * lines;
static char *from, *to;
static unsigned noise;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void alu(uint64_t n)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n * 64; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    sink = x;
}

static void chase(uint64_t n)
{
    static uint64_t at;
    for (uint64_t i = 0; i < n; i++)
        at = lines[at].next;
    sink = at;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void branch(uint64_t n)
{
    uint64_t values[SORT];
    for (uint64_t i = 0; i < n; i++) {
        for (unsigned j = 0; j < SORT; j++)
            values[j] = draw();
        qsort(values, SORT, sizeof values[0], by_value);
        sink = values[0];
    }
}

static void copy(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        memcpy(to, from, COPY);
        from[i % COPY] = to[(i * 64) % COPY];
    }
    sink = (uint64_t)(unsigned char)to[0];
}

static void alloc(uint64_t n)
{
    void *kept[64] = {NULL};
    for (uint64_t i = 0; i < n; i++) {
        free(kept[i % 64]);
        kept[i % 64] = malloc(16 + draw() % 2000);
    }
    for (unsigned i = 0; i < 64; i++)
        free(kept[i]);
}

static void noisy(uint64_t n)
{
    alu(n + n * (noise % 1000) / 1000);
}

static const struct kernel {
    const char *name;
    void (*run)(uint64_t n);
} kernels[] = {{"alu", alu}, {"chase", chase}, {"branch", branch}, {"copy", copy}, {"alloc", alloc}, {"noisy", noisy}};

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* One cycle through all lines: Sattolo's shuffle. */
static int prepare(void)
{
    lines = calloc(CHASE, sizeof *lines);
    from = calloc(1, COPY);
    to = malloc(COPY);
    if (lines == NULL || from == NULL || to == NULL)
        return -1;
    memset(from, 1, COPY);
    memset(to, 2, COPY);
    for (uint64_t i = 0; i < CHASE; i++)
        lines[i].next = i;
    for (uint64_t i = CHASE - 1; i > 0; i--) {
        uint64_t j = draw() % i, swap = lines[i].next;
        lines[i].next = lines[j].next;
        lines[j].next = swap;
    }
    return 0;
}

static int run(const char *what, double slower_percent)
{
    const struct kernel *kernel = kernels, *end = kernels + sizeof kernels / sizeof kernels[0];
    unsigned long long samples, iterations, done;
    char name[16];
    if (sscanf(what, "%15[a-z]:%llu:%llu", name, &samples, &iterations) != 3)
        return -1;
    while (kernel < end && strcmp(kernel->name, name) != 0)
        kernel++;
    if (kernel == end)
        return -1;
    done = iterations + (unsigned long long)((double)iterations * slower_percent / 100 + 0.5);
    kernel->run(done / 4); /* warm up */
    for (unsigned long long i = 0; i < samples; i++) {
        uint64_t begin = now_ns();
        kernel->run(done);
        (void)printf("%s %.3f\n", name, (double)(now_ns() - begin) / (double)iterations);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int code = argc < 3 ? -1 : prepare();
    noise = (unsigned)(now_ns() / 10 * 2654435761u >> 8);
    for (int i = 2; i < argc && code == 0; i++)
        code = run(argv[i], strtod(argv[1], NULL));
    if (code != 0)
        (void)fprintf(stderr, "usage: load SLOWER_PERCENT KERNEL:SAMPLES:ITERATIONS...\n");
    return code == 0 ? 0 : 2;
}
