/* collatz: how many steps of 3n + 1 lead from i + 1 to 1? A workload of one's own, from one function. */
#include <prony/plugin/simple.h>

static int64_t collatz(int64_t i)
{
    int64_t steps = 0;
    for (i++; i != 1; steps++)
        i = i % 2 == 0 ? i / 2 : 3 * i + 1;
    return steps;
}

PRONY_MAP_WORKLOAD(collatz, collatz)
