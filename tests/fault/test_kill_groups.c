/* Workers that die while a group follows their tasks: at every step between the end of a task and its place in the list
 * of those that ended, and at moments drawn from a seed. Each task is told exactly once. */
#include "tests/conformance/groups.h"

#include "base/clock.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include "parallel/crew.h"

#define WORKERS 3u
#define TASKS 300u
#define ROUNDS 60u
#define KILLING_NS 60000000000 /* much longer than the rounds take where nobody is held up */

/* Kernels that end their own task as prony_future_run does, and die at one of its steps. */
enum { BEFORE_THE_END = 6, HELD_STILL, ENDED_BUT_NOT_LISTED, LISTED, LISTED_LONG_AGO };

/* The steps up to the end: what the task is, is written on the desk, and it is held no more. */
static struct prony_body *leave(struct prony_worker *worker, const struct prony_task *task, bool let_go)
{
    struct prony_body *me = prony_body_of(worker);
    __atomic_store_n(&me->desk->intent, task->future, __ATOMIC_RELEASE);
    if (let_go)
        __atomic_store_n(&worker->slot->held, ((struct prony_future *)prony_at(worker, task->future))->outer,
                         __ATOMIC_RELEASE);
    return me;
}

static int before_the_end(struct prony_worker *worker, const struct prony_task *task)
{
    (void)leave(worker, task, true);
    return raise(SIGKILL);
}
static int held_still(struct prony_worker *worker, const struct prony_task *task)
{
    (void)leave(worker, task, false);
    return raise(SIGKILL);
}
static int ended_but_not_listed(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_future *future = prony_at(worker, task->future);
    (void)leave(worker, task, true);
    future->status = 0;
    __atomic_store_n(&future->state, (__atomic_load_n(&future->state, __ATOMIC_SEQ_CST) & ~3u) | PRONY_DONE,
                     __ATOMIC_SEQ_CST);
    return raise(SIGKILL);
}
static int listed(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_body *me = leave(worker, task, true);
    (void)prony_future_end(me->crew, task->future, task->ticket & PRONY_TICKETS, PRONY_RUNNING, 0);
    return raise(SIGKILL);
}
/* Dies when the future is in use again already. */
static int listed_long_ago(struct prony_worker *worker, const struct prony_task *task)
{
    struct prony_body *me = leave(worker, task, true);
    struct board *its = prony_at(worker, task->out.off);
    (void)prony_future_end(me->crew, task->future, task->ticket & PRONY_TICKETS, PRONY_RUNNING, 0);
    while (__atomic_load_n(&its->gate, __ATOMIC_SEQ_CST) == 0)
        (void)usleep(50);
    return raise(SIGKILL);
}

static const struct prony_kernel deadly[] = {
    {"square", k_square},
    {"refuse", k_refuse},
    {"hold", k_hold},
    {"mark", k_mark},
    {"die", k_die},
    {"length", k_length},
    {"before_the_end", before_the_end},
    {"held_still", held_still},
    {"ended_but_not_listed", ended_but_not_listed},
    {"listed", listed},
    {"listed_long_ago", listed_long_ago},
    {NULL, NULL},
};

static void begin_deadly(struct cell *cell, const struct engine *engine, unsigned workers, unsigned futures)
{
    begin_with(cell, engine, deadly, workers, futures);
}

/* Each of these steps, with tasks of other workers before and behind in the list. */
static void at_each_step(void **state)
{
    static const struct {
        uint16_t kernel;
        int status;
    } steps[] = {
        {BEFORE_THE_END, -(PRONY_DIED + SIGKILL)},
        {HELD_STILL, -(PRONY_DIED + SIGKILL)},
        {ENDED_BUT_NOT_LISTED, 0},
        {LISTED, 0},
    };
    struct cell cell;
    begin_deadly(&cell, *state, WORKERS, FUTURES);
    for (unsigned round = 0; round < 5; round++)
        for (unsigned k = 0; k < sizeof steps / sizeof *steps; k++) {
            uint64_t handle, deadly_one = 0;
            unsigned told = 0;
            for (int i = 0; i < 20; i++) {
                handle = submit(&cell, i == 7 ? steps[k].kernel : MARK, i, NULL);
                deadly_one = i == 7 ? handle : deadly_one;
            }
            for (int i = 0; i < 20; i++) {
                assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), 0);
                assert_int_equal(status_of(&cell, handle), handle == deadly_one ? steps[k].status : 0);
                told += handle == deadly_one;
                assert_int_equal(prony_group_forget(cell.group, handle), 0);
            }
            assert_int_equal(told, 1);
            assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), -ENODATA);
        }
    end(&cell);
}

/* The dead worker's desk names a future that others have used since. */
static void after_the_future_was_used_again(void **state)
{
    struct cell cell;
    uint64_t handle;
    begin_deadly(&cell, *state, 2, 1);
    (void)submit(&cell, LISTED_LONG_AGO, 0, NULL);
    assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), 0);
    for (int i = 0; i < 50; i++) {
        (void)submit(&cell, SQUARE, i, NULL);
        if (i == 25)
            open_gate(&cell);
        assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), 0);
        assert_int_equal(status_of(&cell, handle), 0);
        if (i == 25) /* until the death is noticed, and the future is DONE by another one */
            assert_int_equal(usleep(5000), 0);
    }
    assert_int_equal(prony_group_next(cell.group, &handle, LONG_NS), -ENODATA);
    end(&cell);
}

static uint64_t draw(uint64_t *random, uint64_t below)
{
    *random ^= *random << 13; /* xorshift: Marsaglia, 2003 */
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % below;
}

static struct prony_slot *slot(const struct cell *cell, unsigned i)
{
    return (struct prony_slot *)(void *)(cell->ground.arena.base + cell->ground.setup.slots.off) + i;
}

/* A process that kills workers until the gate opens. Every eighth time it waits for another one in that place: where none
 * comes to work for long, an engine gives up. */
static pid_t assassin(struct cell *cell, uint64_t random)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned kills = 0; __atomic_load_n(&board(cell)->gate, __ATOMIC_SEQ_CST) == 0; kills++) {
        const int32_t *place = &slot(cell, (unsigned)draw(&random, WORKERS))->pid;
        const int32_t victim = __atomic_load_n(place, __ATOMIC_ACQUIRE);
        (void)usleep((useconds_t)draw(&random, 2000));
        if (victim > 1 && __atomic_load_n(&board(cell)->gate, __ATOMIC_SEQ_CST) == 0)
            (void)kill(victim, draw(&random, 2) == 0 ? SIGKILL : SIGSEGV);
        while (kills % 8 == 7 && __atomic_load_n(place, __ATOMIC_ACQUIRE) == victim &&
               __atomic_load_n(&board(cell)->gate, __ATOMIC_SEQ_CST) == 0)
            (void)usleep(100);
    }
    _exit(0);
}

static int count_told(void *context, uint64_t handle, const struct prony_future *outcome)
{
    unsigned *told = context;
    (void)handle;
    (void)outcome;
    ++*told;
    return 0;
}

/* One round: tasks with and without limits, some cancelled, some killed; each is told once and given once. */
static void killed_round(struct cell *cell, uint64_t *random)
{
    uint64_t handles[TASKS], handle;
    unsigned told[TASKS] = {0}, given[TASKS] = {0};
    for (unsigned i = 0; i < TASKS; i++) {
        const struct prony_terms terms = {.done = count_told,
                                          .failed = count_told,
                                          .context = &told[i],
                                          .limit_ns = i % 50 == 9 ? (int64_t)draw(random, 300000) : 0};
        handles[i] = submit(cell, i % 3 == 0 ? REFUSE : MARK, i, &terms);
        if (i % 40 == 7)
            (void)prony_group_cancel(cell->group, handles[draw(random, i)], draw(random, 2) == 0);
    }
    for (unsigned n = 0; n < TASKS; n++) {
        unsigned i = 0;
        assert_int_equal(prony_group_next(cell->group, &handle, LONG_NS), 0);
        while (i < TASKS && handles[i] != handle)
            i++;
        assert_true(i < TASKS);
        given[i]++;
    }
    assert_int_equal(prony_group_next(cell->group, &handle, LONG_NS), -ENODATA);
    for (unsigned i = 0; i < TASKS; i++) {
        const int status = status_of(cell, handles[i]), own = i % 3 == 0 ? (i % 2 == 0 ? -EINVAL : -EDOM) : 0;
        assert_int_equal(told[i], 1);
        assert_int_equal(given[i], 1);
        assert_true(status == own || status == -(PRONY_DIED + SIGKILL) || status == -(PRONY_DIED + SIGSEGV) ||
                    status == -ECANCELED || (status == -ETIMEDOUT && i % 50 == 9));
        assert_int_equal(prony_group_forget(cell->group, handles[i]), 0);
    }
}

static void at_random_moments(void **state)
{
    const char *given = getenv("PRONY_TEST_SEED");
    uint64_t random = given != NULL ? strtoull(given, NULL, 10) : 20210607;
    const uint64_t end_ns = prony_now_ns() + KILLING_NS;
    unsigned deaths = 0, rounds = 0;
    struct cell cell;
    pid_t pid;
    int status;
    begin_deadly(&cell, *state, WORKERS, FUTURES);
    pid = assassin(&cell, draw(&random, UINT64_MAX - 1) + 1);
    for (; rounds < ROUNDS || (deaths < 150 && prony_now_ns() < end_ns); rounds++) {
        killed_round(&cell, &random);
        deaths = 0;
        for (unsigned i = 0; i < WORKERS; i++)
            deaths += slot(&cell, i)->generation;
    }
    open_gate(&cell);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    print_message("%s: %u rounds, %u workers died\n", cell.engine->name, rounds, deaths - WORKERS);
    assert_true(deaths >= 100);
    end(&cell);
    assert_true(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

int main(void)
{
    static const struct CMUnitTest shared[] = {
        cmocka_unit_test(at_each_step),
        cmocka_unit_test(after_the_future_was_used_again),
        cmocka_unit_test(at_random_moments),
    };
    return of_engines(shared, 3, 0, 2) + of_engines(shared + 2, 1, 2, 3); /* carried pools end tasks in the caller */
}
