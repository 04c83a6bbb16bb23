#include "counters/known_loop.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

enum { LOOPS = 20000, WALK_BYTES = 512 * 1024 };

/* A loop that no CPU runs without instructions, cycles, wrongly guessed branches and misses of its first cache: it
 * walks at random through more memory than that cache holds, and turns at random. False: no memory for it. */
__attribute__((noinline)) bool prony_known_loop_run(void)
{
    void *memory = mmap(NULL, WALK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile unsigned char *bytes = memory;
    volatile uint32_t turns = 0;
    uint32_t x = 2463534242u;
    if (memory == MAP_FAILED)
        return false;
    for (unsigned i = 0; i < LOOPS; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[(x >> 8) % WALK_BYTES]++;
        if (x & 1)
            turns++;
    }
    (void)munmap(memory, WALK_BYTES);
    return true;
}

int64_t prony_known_loop_least(const char *event)
{
    static const struct {
        const char *part; /* of the event's name */
        int64_t least;
    } known_counts[] = {
        {"PAPI_TOT_INS", LOOPS}, {"::INSTRUCTIONS", LOOPS}, {"INST_RETIRED", LOOPS}, {"RETIRED_INSTRUCTIONS", LOOPS},
        {"PAPI_BR_INS", LOOPS},  {"PAPI_TOT_CYC", 1},       {"PAPI_REF_CYC", 1},     {"CPU_CYCLES", 1},
        {"::CYCLES", 1},         {"PAPI_BR_MSP", 1},        {"PAPI_L1_DCM", 1},      {"TASK-CLOCK", 1},
    };
    if (strcmp(event, "instructions") == 0 || strcmp(event, "branches") == 0)
        return LOOPS;
    if (strcmp(event, "cycles") == 0 || strcmp(event, "branch-misses") == 0 || strcmp(event, "task-clock") == 0)
        return 1;
    for (size_t i = 0; i < sizeof known_counts / sizeof known_counts[0]; i++)
        if (strstr(event, known_counts[i].part) != NULL)
            return known_counts[i].least;
    return 0;
}
