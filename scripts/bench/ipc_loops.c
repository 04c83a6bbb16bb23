/* What ipc.sh measures: channels beside yardsticks, in one pair of processes, in rounds that alternate. Prints numbers, one
 * line a round or a launch; ipc.py judges them. Each mode says in its usage line what it prints. */
#include "base/clock.h"
#include "scripts/bench/ipc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ROUNDS_MOST = 2000, SMALL = 64 };

/* A loop over a channel. */
struct course {
    struct ipc_talk *talk;
    size_t bytes;
};

static void want(int64_t got, size_t bytes, const char *what)
{
    if (got != (int64_t)bytes)
        ipc_die("%s: %lld of %zu bytes", what, (long long)got, bytes);
}

static void trips(struct ipc_pair *pair, void *with, long count)
{
    const struct course *course = with;
    const struct prony_channel *channel = course->talk->channel;
    void *end = course->talk->end;
    for (long i = 0; i < count; i++) {
        if (pair->role == 0) {
            if (pair->hold_ns != 0)
                ipc_hold(pair);
            want(channel->send(end, pair->buffer, course->bytes, -1), course->bytes, "send");
        }
        want(channel->recv(end, pair->buffer, course->bytes, -1), course->bytes, "recv");
        if (pair->role == 1) {
            if (pair->hold_ns != 0)
                ipc_hold(pair);
            want(channel->send(end, pair->buffer, course->bytes, -1), course->bytes, "send");
        }
    }
}

/* The clock stops when the last message has been read and that has been told. */
static void stream(struct ipc_pair *pair, void *with, long count)
{
    const struct course *course = with;
    const struct prony_channel *channel = course->talk->channel;
    void *end = course->talk->end;
    uint64_t told = 0;
    for (long i = 0; i < count; i++) {
        if (pair->role == 0)
            want(channel->send(end, pair->buffer, course->bytes, -1), course->bytes, "send");
        else
            want(channel->recv(end, pair->buffer, course->bytes, -1), course->bytes, "recv");
    }
    if (pair->role == 0)
        want(channel->recv(end, &told, sizeof told, -1), sizeof told, "recv");
    else
        want(channel->send(end, &told, sizeof told, -1), sizeof told, "send");
}

static int by_channel(const int pus[2], char **argument)
{
    static double value[3][ROUNDS_MOST], ratio[2][ROUNDS_MOST];
    const long trips_a_round = atol(argument[3]);
    const unsigned rounds = (unsigned)atoi(argument[2]);
    char settings[64];
    struct ipc_talk talk;
    struct ipc_pair pair;
    struct ipc_bare bare;
    struct course course = {&talk, SMALL};
    if (!ipc_bare_has(argument[0]) || rounds == 0 || rounds > ROUNDS_MOST)
        ipc_die("no bare loop for %s, or no number of rounds", argument[0]);
    (void)snprintf(settings, sizeof settings, "wait=%s", argument[1]);
    ipc_open(&talk, argument[0], settings);
    ipc_part(&pair, pus, &talk, 1);
    ipc_bare_open(&bare, &pair, &talk);
    pair.hold_ns = (uint64_t)atoll(argument[4]);
    for (unsigned i = 0; i < rounds + 2; i++) { /* the first two warm up; each of the three comes first in turn */
        unsigned round = i < 2 ? 0 : i - 2;
        for (unsigned turn = 0; turn < 3; turn++) {
            unsigned which = (i % 2 == 0 ? turn + i / 2 : 5 - turn + i / 2) % 3;
            value[which][round] = which == 0 ? ipc_time(&pair, trips, &course, trips_a_round)
                                             : ipc_time(&pair, ipc_bare_trips, &bare, trips_a_round);
            value[which][round] -= 2 * (double)pair.hold_ns;
        }
    }
    for (unsigned i = 0; i < rounds && pair.role == 0; i++) {
        ratio[0][i] = log(value[0][i]) - (log(value[1][i]) + log(value[2][i])) / 2;
        ratio[1][i] = log(value[2][i] / value[1][i]);
    }
    ipc_close(&pair, &talk, 1);
    (void)printf("%.6f %.6f %.1f %.1f\n", ipc_median(ratio[0], rounds), ipc_median(ratio[1], rounds),
                 ipc_median(value[0], rounds), ipc_median(value[1], rounds));
    return 0;
}

static int by_ring(const int pus[2], char **argument)
{
    enum { TRIPS = 2000, MESSAGES = 20000 }; /* short: what takes a PU away for a moment spoils few of them */
    struct ipc_talk talk[2];
    struct ipc_pair pair;
    struct course course[2] = {{&talk[0], SMALL}, {&talk[1], SMALL}};
    ipc_open(&talk[0], "shm-ring", "wait=spin,layout=slots");
    ipc_open(&talk[1], "shm-ring", "wait=spin,layout=bytes");
    ipc_part(&pair, pus, talk, 2);
    for (int i = -1; i < atoi(argument[0]); i++) {
        double before = ipc_line_rt(&pair, TRIPS), slots, bytes, after, one[2];
        slots = ipc_time(&pair, trips, &course[0], TRIPS);
        bytes = ipc_time(&pair, trips, &course[1], TRIPS);
        after = ipc_line_rt(&pair, TRIPS);
        one[0] = ipc_time(&pair, stream, &course[0], MESSAGES);
        one[1] = ipc_time(&pair, stream, &course[1], MESSAGES);
        if (pair.role == 0 && i >= 0)
            (void)printf("%.2f %.2f %.2f %.2f %.3f %.3f %.2f\n", before, slots, bytes, after, one[0], one[1],
                         ipc_line_rt(&pair, TRIPS));
        else
            (void)ipc_line_rt(&pair, TRIPS);
    }
    ipc_close(&pair, talk, 2);
    return 0;
}

/* The bare hand-off: copies in and out of pieces of the same size and number as the ring's, and two counters. */
struct handoff {
    unsigned char *memory;
    size_t bytes, capacity;
};

struct handoff_words {
    _Alignas(IPC_LINE) uint64_t filled;
    _Alignas(IPC_LINE) uint64_t emptied;
    _Alignas(IPC_LINE) unsigned char data[];
};

static void hand_off(struct ipc_pair *pair, void *with, long count)
{
    const struct handoff *handoff = with;
    struct handoff_words *words = (struct handoff_words *)(void *)handoff->memory;
    const size_t most = handoff->capacity / 4, piece = handoff->bytes < most ? handoff->bytes : most;
    const uint64_t pieces = handoff->capacity / piece;
    uint64_t at = pair->role == 0 ? words->filled : words->emptied;
    for (long i = 0; i < count; i++) {
        for (size_t done = 0; done < handoff->bytes; at++) {
            size_t part = handoff->bytes - done < piece ? handoff->bytes - done : piece;
            unsigned char *slot = words->data + at % pieces * piece;
            if (pair->role == 0) {
                while (at - __atomic_load_n(&words->emptied, __ATOMIC_ACQUIRE) >= pieces)
                    ;
                memcpy(slot, pair->buffer + done, part);
                __atomic_store_n(&words->filled, at + 1, __ATOMIC_RELEASE);
            } else {
                while (__atomic_load_n(&words->filled, __ATOMIC_ACQUIRE) == at)
                    ;
                memcpy(pair->buffer + done, slot, part);
                __atomic_store_n(&words->emptied, at + 1, __ATOMIC_RELEASE);
            }
            done += part;
        }
    }
    while (pair->role == 0 && __atomic_load_n(&words->emptied, __ATOMIC_ACQUIRE) != at)
        ;
}

static int by_size(const int pus[2], char **argument)
{
    const size_t bytes = (size_t)atoll(argument[1]), most = 8u << 20;
    struct ipc_talk talk;
    struct ipc_pair pair;
    struct course course = {&talk, bytes};
    struct handoff handoff = {.bytes = bytes};
    long count;
    if (bytes == 0 || bytes > IPC_LARGEST)
        ipc_die("no size: %s", argument[1]);
    count = bytes < 4096 ? 20000 : bytes > most / 4 ? 4 : (long)(most / bytes);
    ipc_open(&talk, "shm-ring", argument[2]);
    handoff.capacity = (size_t)prony_param_int(&talk.params, "capacity");
    handoff.memory = mmap(NULL, sizeof(struct handoff_words) + handoff.capacity, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (handoff.memory == MAP_FAILED)
        ipc_die("no shared memory");
    ipc_part(&pair, pus, &talk, 1);
    for (int i = -1; i < atoi(argument[0]); i++) {
        double ring = 0, bare = 0, line = ipc_line_rt(&pair, 5000);
        for (int turn = 0; turn < 2; turn++)
            if ((i + turn) % 2 == 0)
                ring = ipc_time(&pair, stream, &course, count);
            else
                bare = ipc_time(&pair, hand_off, &handoff, count);
        if (pair.role == 0 && i >= 0)
            (void)printf("%.2f %.1f %.1f\n", line, ring, bare);
    }
    ipc_close(&pair, &talk, 1);
    return 0;
}

/* One way, at a pace: what a message took by the clock both see, and what its reader burnt. */
struct pace {
    struct ipc_talk *talk;
    uint64_t gap_ns;
};

static double cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void paced(struct ipc_pair *pair, void *with, long count)
{
    static double took[IPC_SAMPLES];
    const struct pace *pace = with;
    const struct prony_channel *channel = pace->talk->channel;
    void *end = pace->talk->end;
    unsigned char message[SMALL] = {0};
    uint64_t now = prony_now_ns();
    double begun = cpu_ns(), sum = 0;
    for (long i = 0; i < count; i++) {
        if (pair->role == 0) {
            for (uint64_t due = now + pace->gap_ns; now < due; now = prony_now_ns())
                ;
            memcpy(message, &now, sizeof now);
            want(channel->send(end, message, sizeof message, -1), sizeof message, "send");
        } else {
            want(channel->recv(end, message, sizeof message, -1), sizeof message, "recv");
            memcpy(&now, message, sizeof now);
            took[i] = (double)(prony_now_ns() - now);
        }
    }
    if (pair->role == 0)
        return;
    pair->shared->told[1] = (cpu_ns() - begun) / (double)count;
    (void)ipc_median(took, (unsigned)count); /* the middle half: the clock steps by 10 ns */
    for (long i = count / 4; i < count - count / 4; i++)
        sum += took[i];
    pair->shared->told[0] = sum / (double)(count - 2 * (count / 4));
}

static int by_pace(const int pus[2], char **argument)
{
    static const char *const waits[] = {"wait=spin", "wait=block", "wait=adaptive"};
    const long count = atol(argument[3]);
    struct ipc_talk talk[3];
    struct ipc_pair pair;
    if (count < 4 || count > IPC_SAMPLES)
        ipc_die("4 to %d messages", IPC_SAMPLES);
    for (int i = 0; i < 3; i++)
        ipc_open(&talk[i], argument[1], waits[i]);
    ipc_part(&pair, pus, talk, 3);
    for (int i = -1; i < atoi(argument[0]); i++) {
        double value[3][2];
        for (int turn = 0; turn < 3; turn++) {
            int which = (turn + i + 1) % 3;
            struct pace pace = {&talk[which], (uint64_t)atoll(argument[2])};
            (void)ipc_time(&pair, paced, &pace, count);
            memcpy(value[which], pair.shared->told, sizeof value[which]);
        }
        if (pair.role == 0 && i >= 0)
            (void)printf("%.1f %.1f %.1f %.1f %.1f %.1f\n", value[0][0], value[1][0], value[2][0], value[0][1],
                         value[1][1], value[2][1]);
    }
    ipc_close(&pair, talk, 3);
    return 0;
}

static int by_trips(const int pus[2], char **argument)
{
    struct ipc_talk talk;
    struct ipc_pair pair;
    struct course course = {&talk, (size_t)atoll(argument[3])};
    ipc_open(&talk, argument[1], argument[2]);
    ipc_part(&pair, pus, &talk, 1);
    for (int i = -1; i < atoi(argument[0]); i++) {
        double line = pus[0] == pus[1] ? 0 : ipc_line_rt(&pair, 5000);
        double took = ipc_time(&pair, trips, &course, atol(argument[4]));
        if (pair.role == 0 && i >= 0)
            (void)printf("%.2f %.1f\n", line, took);
    }
    ipc_close(&pair, &talk, 1);
    return 0;
}

static const struct mode {
    const char *name;
    int arguments;
    int (*run)(const int pus[2], char **argument);
    const char *usage;
} modes[] = {
    {"kernel", 5, by_channel,
     "CHANNEL WAIT ROUNDS TRIPS HOLD_NS: median ln of channel to both bare loops, of bare to itself; ns a trip of "
     "channel "
     "and bare, less the time for which each message is kept back"},
    {"ring", 1, by_ring,
     "ROUNDS: ns of line RT, round trips of slots and bytes, line RT; of a message one way in both; line RT"},
    {"size", 3, by_size, "ROUNDS BYTES SETTINGS: ns of line RT, of a message through the ring, of a bare hand-off"},
    {"pace", 4, by_pace,
     "ROUNDS CHANNEL GAP_NS MESSAGES: ns of a message under spin, block, adaptive; CPU ns of its reader, the same"},
    {"trips", 5, by_trips, "ROUNDS CHANNEL SETTINGS BYTES TRIPS: ns of line RT and of a round trip"},
};

int main(int argc, char **argv)
{
    int pus[2];
    for (size_t i = 0; argc > 2 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0 && argc == modes[i].arguments + 3 &&
            sscanf(argv[2], "%d,%d", &pus[0], &pus[1]) == 2) {
            (void)setvbuf(stdout, NULL, _IONBF, 0);
            return modes[i].run(pus, &argv[3]);
        }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        (void)fprintf(stderr, "usage: ipc_loops %s PU,PU %s\n", modes[i].name, modes[i].usage);
    return 2;
}
