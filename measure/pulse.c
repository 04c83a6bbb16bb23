#include "measure/pulse.h"
#include "base/clock.h"
#include "stats/stats.h"
#include "topology/bind.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <prony/sync.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCHES = 7, TRIPS = 200, COMPUTES = 5, COMPUTE_STEPS = 20000, SPIN_MOST = 20000000, ANSWER_MS = 3000 };

struct ask {
    int pu_a, pu_b;
};

/* Shared by the two processes: each line is written by one and read by the other. */
struct lines {
    _Alignas(128) uint32_t ping;
    _Alignas(128) uint32_t pong;
    _Alignas(128) uint32_t go; /* futex: counts the rounds asked of the partner */
    int pu;
};

/* Waits for `line` to become `value`; false when the other side does not come. */
static bool await_line(uint32_t *line, uint32_t value)
{
    for (int i = 0; i < SPIN_MOST; i++)
        if (__atomic_load_n(line, __ATOMIC_ACQUIRE) == value)
            return true;
    return false;
}

static void partner(struct lines *lines)
{
    for (uint32_t seen = 0;;) {
        while (__atomic_load_n(&lines->go, __ATOMIC_ACQUIRE) == seen)
            (void)prony_futex_wait(&lines->go, seen, -1);
        seen++;
        (void)prony_bind_self_to(&lines->pu, 1, NULL);
        for (uint32_t trip = 1; trip <= (BATCHES + 1) * TRIPS; trip++) {
            if (!await_line(&lines->ping, trip))
                break;
            __atomic_store_n(&lines->pong, trip, __ATOMIC_RELEASE);
        }
    }
}

static double line_rt(struct lines *lines, int pu_b)
{
    double batches[BATCHES];
    uint32_t trip = 0;
    lines->ping = lines->pong = 0;
    lines->pu = pu_b;
    __atomic_fetch_add(&lines->go, 1, __ATOMIC_RELEASE);
    prony_futex_wake(&lines->go, 1);
    for (int batch = -1; batch < BATCHES; batch++) { /* the first one waits for the partner to arrive */
        uint64_t begun = prony_now_ns();
        for (int i = 0; i < TRIPS; i++) {
            __atomic_store_n(&lines->ping, ++trip, __ATOMIC_RELEASE);
            if (!await_line(&lines->pong, trip))
                return NAN;
        }
        if (batch >= 0)
            batches[batch] = (double)(prony_now_ns() - begun) / TRIPS;
    }
    return prony_median(batches, BATCHES);
}

static double compute(void)
{
    double times[COMPUTES];
    for (int i = 0; i < COMPUTES; i++) {
        uint64_t begun = prony_now_ns(), x = begun | 1;
        for (int step = 0; step < COMPUTE_STEPS; step++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            __asm__ volatile("" : "+r"(x)); /* each step depends on the last, and none is left out */
        }
        times[i] = (double)(prony_now_ns() - begun);
    }
    return prony_median(times, COMPUTES);
}

static void serve(int fd, struct lines *lines)
{
    struct ask ask;
    while (recv(fd, &ask, sizeof ask, 0) == (ssize_t)sizeof ask) {
        struct prony_pulse pulse = {NAN, NAN};
        if (ask.pu_a >= 0 && prony_bind_self_to(&ask.pu_a, 1, NULL) != 0)
            ask.pu_b = -1;
        pulse.compute_ns = compute();
        if (ask.pu_a >= 0 && ask.pu_b >= 0 && ask.pu_a != ask.pu_b)
            pulse.line_ns = line_rt(lines, ask.pu_b);
        if (send(fd, &pulse, sizeof pulse, MSG_NOSIGNAL) < 0)
            break;
    }
}

/* The child: never returns. Started amid a run it must not keep open what the runner closes to its hosts. */
static void run(int inherited, pid_t runner)
{
    const int fd = dup2(inherited, STDERR_FILENO + 1);
    struct lines *lines = mmap(NULL, sizeof *lines, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t self = getpid(), other;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGINT, SIG_IGN); /* the runner ends us */
    (void)signal(SIGTERM, SIG_DFL);
    (void)close_range(STDERR_FILENO + 2, ~0u, 0);
    if (fd < 0 || lines == MAP_FAILED || getppid() != runner)
        _exit(1);
    other = fork();
    if (other == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(fd);
        if (getppid() == self)
            partner(lines);
        _exit(1);
    }
    if (other > 0)
        serve(fd, lines);
    if (other > 0)
        (void)kill(other, SIGKILL);
    _exit(0);
}

int prony_pulser_start(struct prony_pulser *pulser, struct prony_error *error)
{
    int pair[2];
    pid_t runner = getpid();
    pulser->pid = 0;
    pulser->fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return prony_fail(error, -errno, "no socket for the pulse: %s", strerrordesc_np(errno));
    pulser->pid = fork();
    if (pulser->pid == 0) {
        (void)close(pair[0]);
        run(pair[1], runner);
    }
    (void)close(pair[1]);
    if (pulser->pid < 0) {
        pulser->pid = 0;
        (void)close(pair[0]);
        return prony_fail(error, -errno, "the pulse cannot be started: %s", strerrordesc_np(errno));
    }
    pulser->fd = pair[0];
    return 0;
}

struct prony_pulse prony_pulser_take(struct prony_pulser *pulser, int pu_a, int pu_b)
{
    struct prony_pulse pulse = {NAN, NAN};
    struct ask ask = {pu_a, pu_b};
    struct pollfd answer = {.fd = pulser->fd, .events = POLLIN};
    int ready = 0;
    if (pulser->fd < 0)
        return pulse;
    if (send(pulser->fd, &ask, sizeof ask, MSG_NOSIGNAL) >= 0)
        do
            ready = poll(&answer, 1, ANSWER_MS);
        while (ready < 0 && errno == EINTR);
    if (ready <= 0 || recv(pulser->fd, &pulse, sizeof pulse, 0) != (ssize_t)sizeof pulse) {
        prony_pulser_stop(pulser); /* an answer that comes late would be taken for the next one */
        (void)prony_pulser_start(pulser, NULL);
        return (struct prony_pulse){NAN, NAN};
    }
    return pulse;
}

void prony_pulser_stop(struct prony_pulser *pulser)
{
    if (pulser->fd >= 0)
        (void)close(pulser->fd);
    if (pulser->pid > 0) {
        (void)kill(pulser->pid, SIGKILL); /* its partner dies with it */
        while (waitpid(pulser->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    pulser->fd = -1;
    pulser->pid = 0;
}

bool prony_pulse_moved(const struct prony_pulse *before, const struct prony_pulse *after, bool line, char *why,
                       size_t bytes)
{
    const double limit = 1.25;
    double ratio = after->compute_ns / before->compute_ns;
    why[0] = '\0';
    if (ratio > limit || ratio < 1 / limit) {
        (void)snprintf(why, bytes, "the core's speed moved: compute loop x%.2f", ratio);
        return true;
    }
    ratio = after->line_ns / before->line_ns;
    if (line && (ratio > limit || ratio < 1 / limit)) {
        (void)snprintf(why, bytes, "the cores' distance moved: line RT x%.2f", ratio);
        return true;
    }
    return false;
}
