/* A pair of processes: opening, parting, meeting, timing. */
#include "base/clock.h"
#include "base/registry.h"
#include "scripts/bench/ipc.h"

#include <errno.h>
#include <prony/sync.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void ipc_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fputs("ipc_loops: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
    exit(3);
}

void ipc_open(struct ipc_talk *talk, const char *name, const char *settings)
{
    struct prony_error error = {0, ""};
    char *copy = strdup(settings), *rest = copy;
    memset(talk, 0, sizeof *talk);
    talk->channel = prony_find_channel(name, NULL);
    if (talk->channel == NULL || copy == NULL)
        ipc_die("there is no channel '%s'", name);
    if (talk->channel->head.probe != NULL && talk->channel->head.probe(&error) != 0)
        ipc_die("%s: %s", name, error.text);
    if (prony_params_init(&talk->params, talk->channel->head.options, &error) != 0)
        ipc_die("%s: %s", name, error.text);
    for (char *one = strtok_r(copy, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(one, '=');
        if (value == NULL)
            ipc_die("no value: %s", one);
        *value++ = '\0';
        if (prony_params_set(&talk->params, one, value, &error) != 0)
            ipc_die("%s: %s", name, error.text);
    }
    free(copy);
    if (talk->channel->create(&talk->params, 2, &talk->handle, &error) != 0)
        ipc_die("%s: %s", name, error.text);
    for (unsigned i = 0; i < 2; i++)
        (void)talk->channel->address(talk->handle, i, &talk->blob[i]);
}

static void pin(int pu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)pu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        ipc_die("PU %d cannot be had: %s", pu, strerrordesc_np(errno));
}

static void attach(const struct ipc_pair *pair, struct ipc_talk *talk)
{
    struct prony_worker worker = {.index = pair->role};
    struct prony_error error = {0, ""};
    if (talk->channel->attach(&talk->blob[pair->role], &worker, &talk->end, &error) != 0)
        ipc_die("%s: %s", talk->channel->head.name, error.text);
    if (pair->role == 1 && talk->channel->forget != NULL)
        for (unsigned i = 0; i < 2; i++)
            talk->channel->forget(&talk->blob[i]);
}

void ipc_part(struct ipc_pair *pair, const int pus[2], struct ipc_talk *talks, unsigned count)
{
    int parent = getpid();
    memset(pair, 0, sizeof *pair);
    pair->shared =
        mmap(NULL, sizeof *pair->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (pair->shared == MAP_FAILED)
        ipc_die("no shared memory");
    pair->peer = fork();
    if (pair->peer < 0)
        ipc_die("no second process: %s", strerrordesc_np(errno));
    pair->role = pair->peer == 0;
    if (pair->role == 1) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(3);
        pair->peer = parent;
    }
    pin(pus[pair->role]);
    pair->buffer = aligned_alloc(4096, IPC_LARGEST);
    if (pair->buffer == NULL)
        ipc_die("no memory");
    memset(pair->buffer, 0x5a, IPC_LARGEST);
    for (unsigned i = 0; i < count; i++)
        attach(pair, &talks[i]);
    ipc_meet(pair);
    for (unsigned i = 0; i < count && pair->role == 0; i++)
        if (talks[i].channel->settle != NULL)
            talks[i].channel->settle(talks[i].handle);
    ipc_meet(pair);
}

void ipc_close(struct ipc_pair *pair, struct ipc_talk *talks, unsigned count)
{
    int status = 0;
    ipc_meet(pair);
    for (unsigned i = 0; i < count; i++)
        talks[i].channel->detach(talks[i].end);
    free(pair->buffer);
    if (pair->role == 1)
        _exit(0);
    if (waitpid(pair->peer, &status, 0) != pair->peer || status != 0)
        ipc_die("the second process ended with status %d", status);
    for (unsigned i = 0; i < count; i++) {
        talks[i].channel->destroy(talks[i].handle);
        prony_params_free(&talks[i].params);
    }
    (void)munmap(pair->shared, sizeof *pair->shared);
}

static bool has_ended(int process)
{
    siginfo_t about = {.si_pid = 0};
    return waitid(P_PID, (id_t)process, &about, WEXITED | WNOHANG | WNOWAIT) != 0 || about.si_pid != 0;
}

/* Both may sit on one PU: then the one that waits makes way. */
void ipc_meet(struct ipc_pair *pair)
{
    uint64_t *mine = &pair->shared->at[pair->role * IPC_LINE / sizeof *mine];
    const uint64_t *theirs = &pair->shared->at[(1 - pair->role) * IPC_LINE / sizeof *mine];
    __atomic_store_n(mine, ++pair->met, __ATOMIC_RELEASE);
    for (unsigned tries = 1; __atomic_load_n(theirs, __ATOMIC_ACQUIRE) < pair->met; tries++) {
        prony_pause();
        if (tries % 4096 != 0)
            continue;
        (void)sched_yield();
        if (pair->role == 0 && has_ended(pair->peer) && __atomic_load_n(theirs, __ATOMIC_ACQUIRE) < pair->met)
            ipc_die("the second process has ended");
    }
}

double ipc_time(struct ipc_pair *pair, ipc_loop_fn *loop, void *with, long count)
{
    uint64_t begun, ended;
    ipc_meet(pair);
    begun = prony_now_ns();
    loop(pair, with, count);
    ended = prony_now_ns();
    ipc_meet(pair);
    return pair->role == 0 ? (double)(ended - begun) / (double)count : 0;
}

static void line_trips(struct ipc_pair *pair, void *with, long count)
{
    uint64_t *mine = &pair->shared->line[pair->role * IPC_LINE / sizeof *mine];
    const uint64_t *theirs = &pair->shared->line[(1 - pair->role) * IPC_LINE / sizeof *mine];
    (void)with;
    for (uint64_t i = *mine + 1, end = i + (uint64_t)count; i < end; i++) {
        if (pair->role == 0)
            __atomic_store_n(mine, i, __ATOMIC_RELEASE);
        while (__atomic_load_n(theirs, __ATOMIC_ACQUIRE) != i)
            ;
        if (pair->role == 1)
            __atomic_store_n(mine, i, __ATOMIC_RELEASE);
    }
}

double ipc_line_rt(struct ipc_pair *pair, long count)
{
    return ipc_time(pair, line_trips, NULL, count);
}

void ipc_hold(const struct ipc_pair *pair)
{
    const uint64_t until = prony_now_ns() + pair->hold_ns;
    while (prony_now_ns() < until)
        ;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ipc_median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_value);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}
