/* The crew: workers, how they start, idle, meet in gangs, die and are replaced. Pool and executor stand on it and bring
 * their own ways of handing over tasks (struct prony_trade).
 *
 * Whatever more than one process touches lies in the area and is changed by single atomic steps, so that a worker may
 * die between any two of them: there is no lock to be left held. */
#ifndef PRONY_PARALLEL_CREW_H
#define PRONY_PARALLEL_CREW_H

#include <prony/executor.h>
#include <prony/sync.h>

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

#define PRONY_NOBODY (UINT32_MAX - 1u) /* future->worker while nobody has claimed it */

/* Marks in the upper bits of a future's state: who is to be told when it is DONE. */
#define PRONY_MARK_LISTED 0x20000000u  /* the caller, in the hall's list; kept until the caller took it from there */
#define PRONY_MARK_BELL 0x40000000u    /* the caller, at the hall's bell */
#define PRONY_MARK_SLEEPER 0x80000000u /* a worker, on the state word itself */
#define PRONY_MARKS (PRONY_MARK_LISTED | PRONY_MARK_BELL | PRONY_MARK_SLEEPER)
#define PRONY_TICKETS 0x07ffffffu
#define PRONY_LISTED (PRONY_MARK_LISTED >> 2) /* beside a ticket: that mark for its future */

/* Phases of a call to a gang; in the two low bits of desk->call, above them the number of the gang. */
enum { PRONY_CALL_NONE, PRONY_CALLED, PRONY_CALL_RUNS, PRONY_CALL_DONE };

/* One a worker, in the area: what it shares with the caller and its peers. */
struct prony_desk {
    alignas(64) uint32_t call;
    int32_t answer;              /* of its gang kernel */
    int32_t ready;               /* 0 starting, 1 at work, 2 left, or the -errno of `started` */
    alignas(64) uint32_t asleep; /* futex: 1 while it sleeps; the caller reads it all the time, so it lies alone */
    alignas(64) uint32_t ticket; /* of its last kid */
    uint32_t turns;              /* tasks begun and ended: moves when slot->held does */
    uint64_t intent; /* the future that it is just claiming or completing; with slot->held all that it can hold */
    /* map: */
    alignas(64) uint32_t inside; /* number of the round it takes part in; carried pools: does it listen */
    uint32_t failed;
    uint64_t confirmed; /* end of its last chunk that a peer saw it own */
    int64_t first_lo, first_hi, last_lo;
    int32_t status;
    alignas(64) uint64_t run; /* chunks that it took at one go: (first) << 16 | (how many are left) */
};

/* One a crew, in the area. */
struct prony_hall {
    alignas(64) uint32_t bell; /* futex: the caller sleeps on it */
    uint32_t caller_waits;
    uint32_t wants_room;        /* the caller waits until queues move */
    alignas(64) uint64_t ended; /* listed futures that are DONE, the last one first, by their `outer`; 0: none */
    alignas(64) uint32_t closing;
    uint32_t parked;
    uint32_t roles;
    alignas(64) uint32_t barrier; /* futex: stop bit, phase, arrived */
    alignas(64) uint64_t resting[PRONY_POOL_WORKERS / 64];
    alignas(64) uint64_t looking[PRONY_POOL_WORKERS / 64]; /* a bit each; used where crew->lookers bounds them */
    alignas(64) struct prony_task gang;
};

struct prony_crew;

/* How far a worker has come with the tasks of a peer: [at, end) is left of the part that it tries, [.., begin) comes next,
 * and up to `tail` all are then tried. */
struct prony_theft {
    const void *inbox;
    uint64_t begin, at, end, tail;
};

/* A worker in its own address space. */
struct prony_body {
    struct prony_worker worker;
    struct prony_crew *crew;
    struct prony_desk *desk;
    uint32_t last_round;
    uint32_t looks;          /* idle looks since its last work */
    unsigned served;         /* tasks, where they are counted */
    bool rested;             /* and has found no work since */
    bool looking;            /* it has a bit among those who look on */
    bool yields;             /* it shares the caller's PU: looks on, but never while the caller could run */
    uint64_t head;           /* of its inbox */
    uint64_t known, fetched; /* entries before them are there; have had the lines fetched that their tasks need */
    struct prony_theft theft;
    uint64_t run;     /* desk->run, as it was when last written or seen here */
    const char *deep; /* where its stack is nearly used up; NULL: not asked yet */
};

/* Chunks when nobody says: sixteen a worker, but no single items where there are more than four a worker. */
static inline int64_t prony_chunk_auto(int64_t items, int64_t workers)
{
    const int64_t chunk = (items - 1) / (16 * workers) + 1;
    return chunk == 1 && items > 4 * workers ? 2 : chunk;
}

/* What pool and executor differ in. */
struct prony_trade {
    struct prony_worker_ops ops;
    bool (*serve)(struct prony_body *me);      /* does some work, if there is any */
    bool (*peek)(const struct prony_body *me); /* is there any? Asked when asleep = 1 is visible to all */
    void (*arrive)(struct prony_body *me);     /* a new worker: continue where the last one was */
    bool (*lost)(struct prony_crew *crew, unsigned index, int code); /* fail what it held; false: ask again soon */
    /* The caller's: a queued kid for whoever is free; false when there is no room. NULL: the caller does not help. */
    bool (*offer)(struct prony_crew *crew, const struct prony_task *kid);
};

enum prony_life { PRONY_LIFE_NONE, PRONY_ALIVE, PRONY_MOURNED };

/* A worker as the caller knows it. */
struct prony_mate {
    enum prony_life life;
    unsigned generation;
    pid_t pid;
    pthread_t thread;
    struct prony_body *body; /* threads only */
    int code;                /* what its tasks fail with */
    bool cancelled;          /* killed on purpose: they fail with -ECANCELED */
};

struct prony_crew {
    const struct prony_setup *setup;
    const struct prony_trade *trade;
    struct prony_policy policy;
    void *owner; /* the pool or executor */
    struct prony_hall *hall;
    struct prony_desk *desks;
    unsigned workers, spins;
    unsigned lookers;         /* so many may look for work at once; 0: all */
    bool crowded;             /* more threads than processors: who looks for work yields */
    unsigned patience;        /* the caller's looks before it sleeps: none where it keeps a processor from a worker */
    uint64_t help_off;        /* in the arena: what help.c keeps there */
    struct prony_span chunks; /* futures in it are chunks of a map: items are counted, not tasks */
    /* The caller's own, on lines that no worker reads: */
    alignas(64) struct prony_mate *mates;
    struct prony_body *helper; /* the caller's own, once it has helped */
    unsigned polls, early_deaths;
    uint32_t gangs, ticket;
    uint32_t listing; /* PRONY_LISTED while tasks are queued whose end is to be listed */
    bool grouped;     /* a group takes from the list */
    bool draining;    /* the caller looks again and again: not every end of a task is told */
    int broken;       /* workers cannot be replaced any more: why */
};

/* crew.c: life */
uint64_t prony_crew_area(unsigned workers);
void *prony_crew_owner(size_t bytes); /* zeroed memory for one, on lines of its own; NULL when there is none */
int prony_crew_open(struct prony_crew *crew, struct prony_error *error);
void prony_crew_reap(struct prony_crew *crew);
/* Lets workers go; 0 or -ETIMEDOUT. Frees the mates. deadline: in ns of the clock. */
int prony_crew_close(struct prony_crew *crew, uint64_t deadline);
void prony_crew_kill(struct prony_crew *crew, unsigned index, bool cancelled);
struct prony_slot *prony_crew_slot(const struct prony_crew *crew, unsigned index);

/* idle.c: sleeping and waking */
uint64_t prony_deadline(int64_t timeout_ns);
int64_t prony_left(uint64_t deadline); /* a timeout again */
void prony_crew_rest(struct prony_body *me);
bool prony_crew_look_on(struct prony_body *me); /* may it, or do enough others? Until prony_crew_look_away */
void prony_crew_look_away(struct prony_body *me);
/* After work: the next look is the first. */
static inline void prony_crew_worked(struct prony_body *me)
{
    me->looks = 0;
    if (me->looking)
        prony_crew_look_away(me);
}
bool prony_crew_wake(struct prony_crew *crew, unsigned index); /* false: it was awake */
void prony_crew_wake_some(struct prony_crew *crew, unsigned n);
void prony_crew_wake_other(struct prony_crew *crew);  /* by the caller: one that rests elsewhere than on its PU */
bool prony_crew_rests(const struct prony_crew *crew); /* does any worker? */
void prony_crew_wake_helper(struct prony_crew *crew); /* for a kid, which its parent runs if nobody else does */
bool prony_crew_beside(const struct prony_crew *crew, unsigned index); /* does it share the caller's PU? */
void prony_crew_wake_beside(struct prony_crew *crew);                  /* before the caller sleeps */
void prony_crew_tell(struct prony_crew *crew);                         /* the caller may want to look again */
void prony_crew_ring(struct prony_crew *crew);
/* Blocks the caller until done(context, ...) holds: 0, -ETIMEDOUT, or why the crew is broken. It is called with `sleep`
 * before the caller sleeps, to leave marks that ring the bell. */
int prony_crew_await(struct prony_crew *crew, bool (*done)(void *context, bool sleep), void *context,
                     uint64_t deadline);
int prony_crew_park(struct prony_crew *crew, int parked);
bool prony_crew_all_rest(void *crew, bool sleep); /* for await: no worker is awake */

struct prony_crew *prony_executor_crew(struct prony_executor *executor); /* executor.c */

/* gang.c */
int prony_crew_gang(struct prony_crew *crew, const struct prony_task *task, unsigned roles, int *status,
                    int64_t timeout_ns);
void prony_crew_perform(struct prony_body *me);
bool prony_crew_gang_lost(struct prony_crew *crew, unsigned index, int code);
int prony_crew_barrier(struct prony_worker *worker, int64_t timeout_ns);
int prony_crew_stopped(struct prony_worker *worker);

/* help.c: waiting for one task, and running it when nobody has begun it */
uint64_t prony_help_area(void);
int prony_crew_help(struct prony_crew *crew, const struct prony_task *task, uint64_t *value, int64_t timeout_ns);
int prony_crew_result(struct prony_crew *crew, uint64_t future, uint64_t *value, int64_t timeout_ns);

/* future.c */
struct prony_future *prony_crew_future(const struct prony_crew *crew, uint64_t off);
/* The next ticket of the caller, for prony_future_queue. */
static inline uint32_t prony_crew_ticket(struct prony_crew *crew)
{
    crew->ticket = (crew->ticket + 1) & PRONY_TICKETS;
    return crew->ticket | crew->listing;
}
uint32_t prony_future_queue(struct prony_crew *crew, uint64_t off, uint32_t ticket);
bool prony_future_claim(struct prony_body *me, const struct prony_task *task);
void prony_future_run(struct prony_body *me, const struct prony_task *task); /* a claimed one, to its end */
bool prony_future_end(struct prony_crew *crew, uint64_t off, uint32_t ticket, enum prony_phase from, int status);
bool prony_future_lost(struct prony_crew *crew, unsigned index, int code);
int prony_crew_wait(struct prony_crew *crew, const uint64_t *futures, unsigned n, unsigned need, int64_t timeout_ns);
/* Takes the listed futures that are DONE: the offset of the one that ended first, the next one's in its `outer`. A listed
 * future is used again only after that. Each comes exactly once, whoever died at which instruction. */
uint64_t prony_crew_collect(struct prony_crew *crew);
bool prony_crew_listed(void *crew, bool sleep);      /* for await: is there one to take? */
bool prony_crew_idle(const struct prony_crew *crew); /* no worker holds a task */
void prony_future_sleep(struct prony_future *future, int64_t timeout_ns);
int prony_crew_cancel(struct prony_crew *crew, uint64_t future, int stop);
void prony_future_kill(struct prony_crew *crew, uint64_t future); /* the process that runs it, if it still does */

static inline struct prony_body *prony_body_of(struct prony_worker *worker)
{
    return (struct prony_body *)worker->engine;
}

/* Fetches a line to write to. The compiler's own prefetch fetches it for reading where it does not know the processor,
 * and a second trip is needed then; processors that lack this instruction take it as a hint without effect. */
static inline void prony_fetch_to_write(const void *line)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" ::"m"(*(const char *)line));
#else
    __builtin_prefetch(line, 1);
#endif
}

/* Copies of tasks that others may overwrite meanwhile: word by word, so that a torn copy is detected and not undefined. */
static inline void prony_task_load(struct prony_task *to, const struct prony_task *from)
{
    for (size_t i = 0; i < sizeof *to / 8; i++)
        ((uint64_t *)(void *)to)[i] = __atomic_load_n((const uint64_t *)(const void *)from + i, __ATOMIC_ACQUIRE);
}

/* The ticket, once the rest is there. Loaded as stored: with the word that it lies in. */
static inline uint32_t prony_task_ticket(const struct prony_task *task)
{
    const uint64_t word = __atomic_load_n((const uint64_t *)(const void *)task, __ATOMIC_ACQUIRE);
    uint32_t halves[2];
    memcpy(halves, &word, sizeof halves);
    return halves[offsetof(struct prony_task, ticket) / sizeof *halves];
}

/* The first word, which holds the ticket, is stored last. */
static inline void prony_task_store(struct prony_task *to, const struct prony_task *from, uint32_t ticket)
{
    struct prony_task task = *from;
    task.ticket = ticket;
    for (size_t i = sizeof task / 8; i-- > 0;)
        __atomic_store_n((uint64_t *)(void *)to + i, ((const uint64_t *)(const void *)&task)[i], __ATOMIC_RELEASE);
}

#endif
