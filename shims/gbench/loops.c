/* What the shim's loop costs beside the library's own: loop/c and loop/cpp run an empty iteration, pause/c and pause/cpp
 * stop and start the clock in it. Not measured: anything else. */
#include "shims/gbench/loops.h"
#include "shims/gbench/gbench.h"

static void loop(struct prony_gbench_state *state, void *context)
{
    (void)context;
    PRONY_GBENCH_EACH(state)
    PRONY_GBENCH_CLOBBER();
}

static void pausing(struct prony_gbench_state *state, void *context)
{
    (void)context;
    PRONY_GBENCH_EACH(state)
    {
        prony_gbench_pause(state);
        prony_gbench_resume(state);
    }
}

static void all(void)
{
    (void)prony_gbench_register("loop/c", loop, NULL);
    (void)prony_gbench_register("pause/c", pausing, NULL);
    prony_gbench_register_peers();
}

PRONY_GBENCH_MAIN(all)
