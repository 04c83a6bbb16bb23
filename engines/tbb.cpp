/* tbb: oneTBB, a peer that owns its threads: an arena with one slot a worker and none for the caller, who runs nothing.
 *
 * map is parallel_for, its partitioner automatic, or simple over chunks when a chunk is given; a submitted task is
 * task_arena::enqueue; kernels spawn and join through a task_group. Futures and the caller's sleep are ours. Threads come
 * and go: which worker one is, is settled at its first job in the arena, and one that replaces another sits where its maker
 * sat until the next gang binds it. Idle ones leave the arena after a short search for work. */
#include "engines/peer.h"

#include <prony/sync.h>

#include <cerrno>
#include <cstdio>
#include <new>
#include <optional>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/task_scheduler_observer.h>
#include <tbb/version.h>

namespace
{

struct runtime;

/* prony_peer_make gives the memory; what is C++ is behind a pointer. */
struct engine {
    struct prony_peer peer;
    runtime *own;
    char about[100];
};

class observer : public tbb::task_scheduler_observer
{
  public:
    observer(tbb::task_arena &arena, prony_peer *its) : tbb::task_scheduler_observer(arena), peer(its)
    {
        observe(true);
    }
    void on_scheduler_entry(bool) override
    {
        __atomic_add_fetch(&inside, 1, __ATOMIC_ACQ_REL);
    }
    void on_scheduler_exit(bool) override
    {
        prony_peer_leave(peer);
        if (__atomic_sub_fetch(&inside, 1, __ATOMIC_ACQ_REL) == 0)
            prony_futex_wake(&inside, 1);
    }
    prony_peer *peer;
    uint32_t inside = 0; /* threads that are in the arena */
};

struct runtime {
    runtime(unsigned workers, prony_peer *peer)
        : threads(tbb::global_control::max_allowed_parallelism, workers + 1), handle(tbb::attach{}),
          arena(static_cast<int>(workers), 0), watch((arena.initialize(), arena), peer)
    {
    }
    tbb::global_control threads;
    tbb::task_scheduler_handle handle;
    tbb::task_arena arena;
    observer watch;
};

using group = std::optional<tbb::task_group>;

engine *engine_of(prony_peer *peer)
{
    return reinterpret_cast<engine *>(peer);
}

/* Runs `body` with a group for what its kernel spawns. */
template <typename Body> void with_group(prony_peer *peer, Body body)
{
    prony_peer_member *member = prony_peer_self(peer);
    void *outer = member->own;
    group kids;
    member->own = &kids;
    body();
    if (kids) /* a kernel that failed may not have joined */
        kids->wait();
    member->own = outer;
}

int nest_spawn(prony_worker *worker, prony_task *kid)
{
    auto *peer = static_cast<prony_peer *>(worker->engine);
    auto *kids = static_cast<group *>(prony_peer_self(peer)->own);
    prony_peer_queue(peer, kid);
    if (!*kids)
        kids->emplace();
    (*kids)->run([peer, task = *kid] {
        with_group(peer, [&] {
            if (prony_peer_task_run(peer, &task))
                prony_peer_finish(peer, &task);
        });
    });
    return 0;
}

int nest_join(prony_worker *worker, const prony_task *, unsigned)
{
    auto *kids = static_cast<group *>(prony_peer_self(static_cast<prony_peer *>(worker->engine))->own);
    if (*kids)
        (*kids)->wait();
    return 0;
}

/* No exception may pass through C. */
template <typename Body> int guard(Body body)
{
    try {
        body();
        return 0;
    } catch (const std::bad_alloc &) {
        return -ENOMEM;
    } catch (...) {
        return -EAGAIN;
    }
}

int tbb_post(prony_peer *peer, const prony_peer_job *given)
{
    return guard([&] {
        engine_of(peer)->own->arena.enqueue([given = *given] {
            prony_peer_job job = given;
            with_group(job.peer, [&] { prony_peer_job_run(&job); });
            prony_peer_job_done(&job);
        });
    });
}

int tbb_loop(prony_peer *peer, const prony_task *given, int64_t chunk)
{
    return guard([&] {
        engine_of(peer)->own->arena.enqueue([peer, task = *given, chunk] {
            int64_t items = task.hi - task.lo;
            if (chunk == 0)
                tbb::parallel_for(tbb::blocked_range<int64_t>(task.lo, task.hi), [&](const auto &range) {
                    prony_peer_chunk(peer, &task, range.begin(), range.end());
                });
            else
                tbb::parallel_for(
                    tbb::blocked_range<int64_t>(0, items / chunk + (items % chunk != 0)),
                    [&](const auto &range) {
                        for (int64_t i = range.begin(); i < range.end(); i++) {
                            int64_t lo = task.lo + i * chunk;
                            prony_peer_chunk(peer, &task, lo, task.hi - lo < chunk ? task.hi : lo + chunk);
                        }
                    },
                    tbb::simple_partitioner());
            prony_peer_left(peer);
        });
    });
}

const prony_worker_ops worker_ops = {nest_spawn, nest_join, prony_peer_barrier, prony_peer_stopped};
const prony_peer_ops ops = {tbb_post, tbb_loop, nullptr, &worker_ops};

int tbb_open(const prony_setup *setup, void **handle, prony_error *error)
{
    auto *its = static_cast<engine *>(prony_peer_make(sizeof(engine), setup, &ops, error));
    if (its == nullptr)
        return prony_fail_within(error, -ENOMEM, "engine tbb");
    int code = guard([&] { its->own = new runtime(setup->workers, &its->peer); });
    if (code != 0) {
        prony_peer_free(&its->peer);
        return prony_fail(error, code, "engine tbb: no arena of %u workers", setup->workers);
    }
    (void)std::snprintf(its->about, sizeof its->about, "oneTBB %s, an arena without a slot for the caller",
                        TBB_runtime_version());
    *handle = its;
    return 0;
}

const char *tbb_about(void *handle)
{
    return static_cast<engine *>(handle)->about;
}

/* Idle threads look for work for a while before they sleep: waits until the last has left. */
int tbb_park(void *handle, int parked)
{
    uint32_t *inside = &static_cast<engine *>(handle)->own->watch.inside, seen;
    while (parked && (seen = __atomic_load_n(inside, __ATOMIC_ACQUIRE)) != 0)
        (void)prony_futex_wait(inside, seen, 1000000);
    return 0;
}

int tbb_workers(void *handle, prony_who *who, unsigned n)
{
    const auto *its = static_cast<engine *>(handle);
    const auto *slots = reinterpret_cast<const prony_slot *>(its->peer.setup->base + its->peer.setup->slots.off);
    for (unsigned i = 0; i < n && i < its->peer.setup->workers; i++)
        who[i] = prony_who{slots[i].pid, slots[i].tid, slots[i].pu, slots[i].generation, 0};
    return 0;
}

int tbb_close(void *handle, int drain, int64_t timeout_ns)
{
    auto *its = static_cast<engine *>(handle);
    if (prony_peer_drain(&its->peer, drain, timeout_ns) != 0)
        return -ETIMEDOUT; /* a thread is stuck in a kernel, and needs what it uses */
    tbb_park(its, 1);
    its->own->watch.observe(false);
    its->own->arena.terminate();
    (void)tbb::finalize(its->own->handle, std::nothrow); /* waits until the threads are gone */
    delete its->own;
    prony_peer_free(&its->peer);
    return 0;
}

} // namespace

PRONY_EXPORT(engine, tbb) = {
    .head = PRONY_HEAD(struct prony_engine, .name = "tbb",
                       .summary = "oneTBB: parallel_for, an arena's queue, task groups",
                       .caps = PRONY_CAP_MAP | PRONY_CAP_SUBMIT | PRONY_CAP_GANG | PRONY_CAP_NEST | PRONY_CAP_CANCEL |
                               PRONY_CAP_OWNS_THREADS | PRONY_CAP_SHARED,
                       .options = nullptr, .probe = nullptr),
    .area = nullptr,
    .open = tbb_open,
    .workers = tbb_workers,
    .park = tbb_park,
    .gang = prony_peer_gang,
    .map = prony_peer_map,
    .submit = prony_peer_submit,
    .wait = prony_peer_wait,
    .cancel = prony_peer_cancel,
    .close = tbb_close,
    .env = nullptr,
    .about = tbb_about,
};
