/* oneTBB through prony's peer engine, for scripts/bench/engines.sh, which links it where oneTBB and a C++ compiler are.
 *
 *   engines_tbb tbb copy     tasks a second that copy 64 KiB, over two workers; the caller shares the first one's PU */
#include "engines.h"

#include <prony/plugin/engine.h>
#include <prony/pool.h>

extern const struct prony_engine prony_engine_tbb;

int first_pu, second_pu, worker_pid;

static int k_copy(struct prony_worker *worker, const struct prony_task *task)
{
    memcpy(prony_at(worker, task->out.off), prony_at(worker, task->in.off), task->in.len);
    return 0;
}
static int k_bind(struct prony_worker *worker, const struct prony_task *task)
{
    (void)task;
    bind_to(worker->index == 0 ? first_pu : second_pu);
    return 0;
}
enum { COPYING, BIND };
static const struct prony_kernel kernels[] = {{"copy", k_copy}, {"bind", k_bind}, {NULL, NULL}};

static double copies(const struct prony_engine *engine, void *handle, const struct prony_ground *ground)
{
    double rate[9];
    struct prony_task task[COPIES] = {0};
    uint64_t futures[COPIES];
    unsigned char *data = ground->arena.base + ground->data.off;
    for (int i = 0; i < COPIES; i++) {
        futures[i] = ground->futures.off + (uint64_t)i * sizeof(struct prony_future);
        task[i] = (struct prony_task){.ref = {1, COPYING},
                                      .future = futures[i],
                                      .in = {ground->data.off + (uint64_t)i * COPY, COPY},
                                      .out = {ground->data.off + (uint64_t)(COPIES + i) * COPY, COPY}};
    }
    memset(data, 1, (size_t)COPIES * COPY);
    for (int round = -1; round < 9; round++) {
        uint64_t begun = prony_now_ns();
        for (int i = 0; i < 100; i++) {
            check(engine->submit(handle, task, COPIES), "cannot submit");
            check(engine->wait(handle, futures, COPIES, COPIES, -1), "cannot wait");
        }
        if (round >= 0)
            rate[round] = 100.0 * COPIES / ((double)(prony_now_ns() - begun) / 1e9);
    }
    if (memcmp(data, data + (size_t)COPIES * COPY, (size_t)COPIES * COPY) != 0)
        fail("a wrong copy");
    return median(rate, 9);
}

int main(int argc, char **argv)
{
    const struct prony_engine *engine = &prony_engine_tbb;
    const struct prony_wish wish = {2, 0, (uint64_t)2 * COPIES * COPY, COPIES};
    const struct prony_task bind = {.ref = {1, BIND}};
    struct prony_error error = {0};
    struct prony_ground ground;
    void *handle;
    int status[2];
    if (argc != 3 || strcmp(argv[1], "tbb") != 0 || strcmp(argv[2], "copy") != 0)
        fail("usage: engines_tbb tbb copy");
    find_pus();
    bind_to(first_pu);
    check(prony_ground_make(&ground, kernels, &wish, &error), error.text);
    ground.setup.caller_pu = first_pu;
    check(engine->open(&ground.setup, &handle, &error), error.text);
    check(engine->gang(handle, &bind, 2, status, -1), "cannot bind");
    (void)printf("%.6g\n", copies(engine, handle, &ground));
    check(engine->close(handle, 1, 5000000000), "it did not close");
    prony_ground_free(&ground);
    return 0;
}
