/* The life of workers: start, work, death, replacement, leaving. Threads and processes differ in start() and gone(). */
#include "parallel/crew.h"

#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPINS 2000u          /* looks before an adaptive worker sleeps: about 50 us */
#define YIELD_LOOKS 20u      /* as many looks as a yield takes time */
#define SPINS_CROWDED 50u    /* the same where workers outnumber processors */
#define MANY 16u             /* from so many workers on, only half of them look on for longer than ... */
#define LOOKS_FREE 64u       /* ... this */
#define START_NS 60000000000 /* a worker that is not there after this long never comes */
#define EXIT_NS 100000000    /* a process that leaves is gone after this long */
#define EXIT_YIELDS 200u     /* looks for it that do not sleep */
#define EARLY_DEATHS 100u    /* in a row, before they were at work: give up */

uint64_t prony_crew_area(unsigned workers)
{
    return sizeof(struct prony_hall) + workers * sizeof(struct prony_desk);
}

void *prony_crew_owner(size_t bytes)
{
    void *memory;
    bytes = (bytes + 63u) & ~(size_t)63u;
    memory = aligned_alloc(64, bytes);
    return memory != NULL ? memset(memory, 0, bytes) : NULL;
}

struct prony_slot *prony_crew_slot(const struct prony_crew *crew, unsigned index)
{
    return (struct prony_slot *)(void *)(crew->setup->base + crew->setup->slots.off) + index;
}

/* Does a worker without work go on looking for some? */
static bool looks_on(struct prony_body *me)
{
    const struct prony_crew *crew = me->crew;
    if (me->looks++ >= crew->spins || __atomic_load_n(&crew->hall->parked, __ATOMIC_RELAXED) != 0)
        return false;
    return crew->lookers == 0 || me->looking || me->looks < LOOKS_FREE || prony_crew_look_on(me);
}

static void work(struct prony_body *me)
{
    const struct prony_trade *trade = me->crew->trade;
    const struct prony_hall *hall = me->crew->hall;
    for (;;) {
        if (trade->serve(me)) {
            prony_crew_worked(me);
            if (me->crew->policy.tasks_a_worker != 0 && ++me->served >= me->crew->policy.tasks_a_worker)
                return;
        } else if ((__atomic_load_n(&me->desk->call, __ATOMIC_ACQUIRE) & 3u) == PRONY_CALLED) {
            prony_crew_perform(me);
            prony_crew_worked(me);
        } else if (__atomic_load_n(&hall->closing, __ATOMIC_ACQUIRE) != 0) {
            return;
        } else if (looks_on(me)) {
            if (!me->yields)
                prony_pause();
            else if (sched_yield() == 0)
                me->looks += YIELD_LOOKS;
        } else {
            if (me->looking)
                prony_crew_look_away(me);
            prony_crew_rest(me);
            me->looks = 0;
            me->rested = true;
        }
    }
}

static void say(struct prony_body *me, int32_t ready)
{
    __atomic_store_n(&me->desk->ready, ready, __ATOMIC_SEQ_CST);
    prony_crew_tell(me->crew);
}

/* A worker's whole life, in its own thread. */
static void live(struct prony_body *me, unsigned index, unsigned generation)
{
    const struct prony_setup *setup = me->crew->setup;
    int code = 0;
    prony_worker_init(&me->worker, setup, index, generation);
    me->worker.engine = me;
    me->worker.ops = &me->crew->trade->ops;
    me->desk = &me->crew->desks[index];
    me->yields = me->crew->crowded || prony_crew_beside(me->crew, index);
    if (setup->started != NULL)
        code = setup->started(&me->worker);
    if (code == 0 && me->crew->policy.initializer != NULL)
        code = me->crew->policy.initializer(&me->worker, me->crew->policy.context);
    if (code > 0) /* no code, and must not be taken for a phase */
        code = -EINVAL;
    if (code == 0) {
        me->crew->trade->arrive(me);
        say(me, 1);
        work(me);
        code = 2;
    }
    say(me, code);
}

static void *thread_main(void *argument)
{
    struct prony_body *me = argument;
    live(me, me->worker.index, me->worker.generation);
    return NULL;
}

/* All signals but those by which a thread's own fault is told: blocked, a raised one would never be seen. */
static void signals_of_caller(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    (void)sigfillset(set);
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++)
        (void)sigdelset(set, faults[i]);
}

static int start_thread(struct prony_crew *crew, unsigned index)
{
    struct prony_mate *mate = &crew->mates[index];
    sigset_t all, before;
    int code;
    mate->body = prony_crew_owner(sizeof *mate->body);
    if (mate->body == NULL)
        return -ENOMEM;
    mate->body->crew = crew;
    mate->body->worker.index = index;
    mate->body->worker.generation = mate->generation;
    signals_of_caller(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = -pthread_create(&mate->thread, NULL, thread_main, mate->body);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        free(mate->body);
        mate->body = NULL;
    }
    return code;
}

/* In a new process: signals as in a new program, but an interrupt from the terminal is the caller's to handle. */
static void settle_signals(void)
{
    struct sigaction action;
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
            (void)signal(number, SIG_DFL);
    (void)signal(SIGINT, SIG_IGN);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void process_main(struct prony_crew *crew, unsigned index, pid_t parent)
{
    struct prony_body me;
    memset(&me, 0, sizeof me);
    me.crew = crew;
    settle_signals();
    if (crew->setup->control_fd >= 0)
        (void)close(crew->setup->control_fd);
    if (crew->setup->started == NULL) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
    }
    live(&me, index, crew->mates[index].generation);
    _exit(0);
}

static int start_process(struct prony_crew *crew, unsigned index)
{
    pid_t parent = getpid(), pid;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        process_main(crew, index, parent);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return -errno;
    crew->mates[index].pid = pid;
    return 0;
}

static int start(struct prony_crew *crew, unsigned index)
{
    struct prony_mate *mate = &crew->mates[index];
    int code;
    mate->generation++;
    mate->cancelled = false;
    __atomic_store_n(&crew->desks[index].ready, 0, __ATOMIC_RELAXED);
    code = crew->policy.staff == PRONY_THREADS ? start_thread(crew, index) : start_process(crew, index);
    if (code == 0)
        mate->life = PRONY_ALIVE;
    return code;
}

static bool all_ready(void *context, bool sleep)
{
    struct prony_crew *crew = context;
    (void)sleep;
    for (unsigned i = 0; i < crew->workers; i++)
        if (__atomic_load_n(&crew->desks[i].ready, __ATOMIC_ACQUIRE) == 0)
            return false;
    return true;
}

static int await_ready(struct prony_crew *crew, struct prony_error *error)
{
    const int64_t limit_ns = crew->policy.initializer == NULL ? START_NS : -1; /* what that takes is the program's */
    int code = prony_crew_await(crew, all_ready, crew, prony_deadline(limit_ns));
    if (code != 0)
        return prony_fail(error, code, "a worker did not start: %s", strerrordesc_np(-code));
    for (unsigned i = 0; i < crew->workers; i++) {
        int32_t ready = __atomic_load_n(&crew->desks[i].ready, __ATOMIC_ACQUIRE);
        if (ready < 0)
            return prony_fail(error, ready, "worker %u could not start: %s", i, strerrordesc_np(-ready));
    }
    return 0;
}

/* More workers than processors for them, or as many and the caller may sit on any? */
static bool is_crowded(const struct prony_crew *crew)
{
    const int *pus = crew->setup->pus;
    cpu_set_t allowed;
    for (unsigned i = 1; pus != NULL && i < crew->workers; i++)
        for (unsigned j = 0; j < i && pus[i] >= 0; j++)
            if (pus[i] == pus[j])
                return true;
    return (pus == NULL || pus[0] < 0) && sched_getaffinity(0, sizeof allowed, &allowed) == 0 &&
           (unsigned)CPU_COUNT(&allowed) < crew->workers + (crew->setup->caller_pu < 0);
}

static unsigned spins_of(const struct prony_crew *crew)
{
    if (crew->policy.idle != PRONY_IDLE_ADAPTIVE)
        return crew->policy.idle == PRONY_IDLE_SPIN ? UINT32_MAX : 0;
    return crew->crowded ? SPINS_CROWDED : SPINS;
}

/* A caller that looks while a worker waits for the same processor holds up what it waits for. */
static unsigned patience_of(const struct prony_crew *crew)
{
    for (unsigned i = 0; i < crew->workers; i++)
        if (prony_crew_beside(crew, i))
            return 0;
    return crew->crowded && crew->spins > SPINS_CROWDED ? SPINS_CROWDED : crew->spins;
}

int prony_crew_open(struct prony_crew *crew, struct prony_error *error)
{
    int code = 0;
    if (crew->policy.tasks_a_worker != 0 && crew->policy.staff == PRONY_THREADS)
        return prony_fail(error, -EINVAL, "threads are not replaced after %u tasks: only processes are",
                          crew->policy.tasks_a_worker);
    crew->workers = crew->setup->workers;
    crew->crowded = is_crowded(crew);
    crew->spins = spins_of(crew);
    crew->patience = patience_of(crew);
    crew->lookers = crew->policy.idle == PRONY_IDLE_ADAPTIVE && crew->workers >= MANY ? crew->workers / 2 : 0;
    crew->hall = (struct prony_hall *)(void *)(crew->setup->base + crew->setup->area.off);
    crew->desks = (struct prony_desk *)(void *)(crew->hall + 1);
    crew->mates = calloc(crew->workers, sizeof *crew->mates);
    if (crew->mates == NULL)
        return prony_fail(error, -ENOMEM, "no memory for %u workers", crew->workers);
    for (unsigned i = 0; i < crew->workers && code == 0; i++) {
        prony_crew_slot(crew, i)->items = 0;
        prony_crew_slot(crew, i)->generation = 0;
        if ((code = start(crew, i)) != 0)
            (void)prony_fail(error, code, "cannot start worker %u: %s", i, strerrordesc_np(-code));
    }
    if (code == 0 && (crew->setup->started != NULL || crew->policy.initializer != NULL))
        /* else nothing can fail any more, and work need not wait */
        code = await_ready(crew, error);
    for (unsigned i = 0; code != 0 && i < crew->workers; i++)
        prony_crew_kill(crew, i, true); /* nobody has work yet, and it may listen where no end is heard */
    if (code != 0)
        (void)prony_crew_close(crew, prony_deadline(1000000000));
    return code;
}

/* Notices that a process is gone, and with what its tasks are to fail. */
static bool gone(struct prony_mate *mate)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)mate->pid, &info, WEXITED | WNOHANG) != 0) {
        if (errno != ECHILD)
            return false;
        info.si_code = CLD_EXITED; /* somebody else reaped it */
    } else if (info.si_pid == 0) {
        return false;
    }
    mate->code = -(PRONY_DIED + (info.si_code == CLD_EXITED ? 0 : info.si_status));
    if (mate->cancelled)
        mate->code = -ECANCELED;
    mate->life = PRONY_MOURNED;
    mate->pid = 0;
    return true;
}

/* True when a peer still runs a kid of the dead worker: its future lies in the dead one's scratch. */
static bool lends(struct prony_crew *crew, unsigned dead)
{
    const uint64_t low = crew->setup->own.off + dead * crew->setup->own_stride, high = low + crew->setup->own_stride;
    for (unsigned i = 0; i < crew->workers; i++) {
        struct prony_desk *desk = &crew->desks[i];
        uint32_t turns = __atomic_load_n(&desk->turns, __ATOMIC_ACQUIRE);
        uint64_t off = __atomic_load_n(&desk->intent, __ATOMIC_ACQUIRE);
        if (i == dead || crew->mates[i].life != PRONY_ALIVE)
            continue;
        if (off >= low && off < high)
            return true;
        off = __atomic_load_n(&prony_crew_slot(crew, i)->held, __ATOMIC_ACQUIRE);
        for (unsigned steps = 0; off != 0 && steps < 100000; steps++) {
            if (off >= low && off < high)
                return true;
            off = __atomic_load_n(&prony_crew_future(crew, off)->outer, __ATOMIC_ACQUIRE);
            if (__atomic_load_n(&desk->turns, __ATOMIC_ACQUIRE) != turns)
                return true; /* it moved on meanwhile: look again later */
        }
    }
    return false;
}

/* Fails what a dead worker held, then lets another one take its place. Each step may be repeated. */
static void settle(struct prony_crew *crew, unsigned index)
{
    struct prony_mate *mate = &crew->mates[index];
    struct prony_desk *desk = &crew->desks[index];
    int32_t ready = __atomic_load_n(&desk->ready, __ATOMIC_ACQUIRE);
    int code = 0;
    if (!prony_future_lost(crew, index, mate->code) || !crew->trade->lost(crew, index, mate->code) ||
        !prony_crew_gang_lost(crew, index, mate->code) || lends(crew, index))
        return;
    __atomic_store_n(&desk->asleep, 0, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&crew->hall->resting[index / 64], ~(UINT64_C(1) << index % 64), __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&crew->hall->looking[index / 64], ~(UINT64_C(1) << index % 64), __ATOMIC_SEQ_CST);
    mate->life = PRONY_LIFE_NONE;
    if (__atomic_load_n(&crew->hall->closing, __ATOMIC_RELAXED) != 0)
        return;
    crew->early_deaths = ready == 1 || ready == 2 ? 0 : crew->early_deaths + 1;
    if (ready < 0)
        code = ready;
    else if (crew->early_deaths >= EARLY_DEATHS)
        code = -ECHILD;
    else if (crew->broken == 0)
        code = start(crew, index);
    if (code != 0)
        crew->broken = code;
}

void prony_crew_kill(struct prony_crew *crew, unsigned index, bool cancelled)
{
    struct prony_mate *mate = &crew->mates[index];
    if (crew->policy.staff == PRONY_THREADS || mate->life != PRONY_ALIVE)
        return;
    mate->cancelled = cancelled;
    (void)kill(mate->pid, SIGKILL);
}

/* Sees a process off: one that said that it leaves has only to exit; any other, and one that is stuck there, is killed. */
static void see_off(struct prony_crew *crew, unsigned index)
{
    struct prony_mate *mate = &crew->mates[index];
    const uint64_t end = prony_deadline(EXIT_NS);
    unsigned looks = 0;
    if (__atomic_load_n(&crew->desks[index].ready, __ATOMIC_ACQUIRE) == 1)
        prony_crew_kill(crew, index, true);
    while (!gone(mate)) {
        if (prony_now_ns() > end)
            prony_crew_kill(crew, index, true);
        (void)(looks++ < EXIT_YIELDS ? sched_yield() : usleep(100));
    }
}

void prony_crew_reap(struct prony_crew *crew)
{
    if (crew->policy.staff == PRONY_THREADS)
        return;
    for (unsigned i = 0; i < crew->workers; i++) {
        struct prony_mate *mate = &crew->mates[i];
        if (mate->life == PRONY_ALIVE && __atomic_load_n(&crew->desks[i].ready, __ATOMIC_ACQUIRE) == 2)
            see_off(crew, i); /* it has done its share */
        if (mate->life == PRONY_MOURNED || (mate->life == PRONY_ALIVE && gone(mate)))
            settle(crew, i);
    }
}

static bool all_left(void *context, bool sleep)
{
    struct prony_crew *crew = context;
    const bool processes = crew->policy.staff == PRONY_PROCESSES;
    (void)sleep;
    for (unsigned i = 0; i < crew->workers; i++) {
        struct prony_mate *mate = &crew->mates[i];
        int32_t ready = __atomic_load_n(&crew->desks[i].ready, __ATOMIC_ACQUIRE);
        if (mate->life == PRONY_ALIVE && (ready == 0 || ready == 1) && !(processes && gone(mate)))
            return false;
    }
    return true;
}

int prony_crew_close(struct prony_crew *crew, uint64_t deadline)
{
    int code;
    crew->broken = 0;
    __atomic_store_n(&crew->hall->closing, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < crew->workers; i++)
        (void)prony_crew_wake(crew, i);
    code = prony_crew_await(crew, all_left, crew, deadline);
    for (unsigned i = 0; i < crew->workers; i++) {
        struct prony_mate *mate = &crew->mates[i];
        if (mate->life == PRONY_ALIVE && crew->policy.staff == PRONY_PROCESSES) {
            see_off(crew, i);
        } else if (mate->life == PRONY_ALIVE && code == 0) {
            (void)pthread_join(mate->thread, NULL);
            free(mate->body);
        }
        if (mate->life == PRONY_MOURNED)
            settle(crew, i);
    }
    free(crew->helper);
    if (code == 0 || crew->policy.staff == PRONY_PROCESSES) {
        free(crew->mates);
        crew->mates = NULL;
    }
    return code;
}
