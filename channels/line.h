/* What channels share: ends in pairs (0 and 1, 2 and 3, ...), their descriptors, how they wait, and how the end of a peer
 * is seen.
 *
 * Host side: struct prony_lines, the addresses of all ends with the descriptors in them. Worker side: struct prony_line,
 * the first member of every channel's own end. A lifeline is a descriptor of each end that hangs up when nobody holds the
 * other end any more; mechanisms whose own calls do not tell that look at it every PRONY_LOOK_NS while they wait. */
#ifndef PRONY_CHANNELS_LINE_H
#define PRONY_CHANNELS_LINE_H

#include <prony/plugin/channel.h>
#include <prony/sync.h>

#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PRONY_LOOK_NS 100000000u

/* A try is a system call, or a look at memory. */
enum { PRONY_STRIDE_CALL = 16, PRONY_STRIDE_MEMORY = 128 };
/* What a spinning end tries before it prepares to wait: the same calls as a bare loop's, and nothing between them. */
enum { PRONY_BURST = 64 };

enum prony_wait { PRONY_WAIT_BLOCK, PRONY_WAIT_SPIN, PRONY_WAIT_ADAPTIVE, PRONY_WAIT_POLL };
enum { PRONY_IN, PRONY_OUT };

/* Choices of `wait`, in the order of the enum; `own` is for those without a descriptor. */
extern const char *const prony_waits_all[], *const prony_waits_own[];

#define PRONY_LINE_OPTIONS(choices)                                                                                    \
    {"wait", PRONY_CHOICE, "block", 0, 0, choices, "how to wait: asleep, trying again and again, one then the other"}, \
    {                                                                                                                  \
        "budget", PRONY_DURATION, "50us", 0, 1e9, NULL, "adaptive: spins for at most this long before it sleeps"       \
    }
#define PRONY_CHANNEL_WAITS_OWN (PRONY_CHANNEL_BLOCK | PRONY_CHANNEL_SPIN | PRONY_CHANNEL_ADAPTIVE)
#define PRONY_CHANNEL_WAITS_ALL (PRONY_CHANNEL_WAITS_OWN | PRONY_CHANNEL_POLL)

/* The beginning of every blob's data; what the channel itself says follows. */
struct prony_call {
    uint64_t budget_ns;
    int16_t wait, life; /* life: which descriptor is the lifeline; -1: none */
    uint32_t number;    /* of this end; the peer's is the other of its pair */
    int32_t keeper;     /* the pair's keeper (keeper.h), in the even end; 0: none */
    uint32_t spare;
    unsigned char own[80];
};
static_assert(sizeof(struct prony_call) == 104, "fills a blob");

static inline struct prony_call *prony_call_of(struct prony_blob *blob)
{
    return (struct prony_call *)(void *)blob->data;
}

/* Host side */

struct prony_lines {
    unsigned ends;
    struct prony_blob *blob; /* owns the descriptors */
    void *own;               /* the channel's */
};

/* Joins two ends: puts descriptors (each in one blob only, by prony_blob_add) and own bytes into both. Ends with an error
 * as soon as something fails; what is in the blobs by then is closed by the caller. */
typedef int prony_connect_fn(const struct prony_params *params, struct prony_blob *a, struct prony_blob *b,
                             struct prony_error *error);

int prony_lines_make(const struct prony_params *params, unsigned ends, prony_connect_fn *connect, void **lines,
                     struct prony_error *error);
int prony_blob_add(struct prony_blob *blob, int fd);
/* A duplicate of fd, close-on-exec. */
int prony_blob_add_copy(struct prony_blob *blob, int fd, struct prony_error *error);
int prony_lifeline(struct prony_blob *a, struct prony_blob *b, struct prony_error *error);
/* These four are a channel's address, settle, destroy and forget. */
int prony_lines_address(void *lines, unsigned end, struct prony_blob *blob);
void prony_lines_settle(void *lines);
void prony_lines_destroy(void *lines);
void prony_blob_forget(const struct prony_blob *blob);

/* Worker side */

/* Foretells from the last waits whether the next message comes within the budget. After two that did not, waits sleep at
 * once, and one in 8, 16, 32, ... 1024 spins to look again. A sleeper that slept for less than the budget spins again at
 * once; one that slept for less than two, when several before slept for more than three, soon: a sleep ends with waking up,
 * which may take a budget itself. */
struct prony_gap {
    uint16_t misses, skip, left;
    uint16_t sleeps; /* of more than three budgets, in a row */
};

struct prony_line {
    int fd[4];
    unsigned fds;
    int life;
    enum prony_wait wait;
    unsigned
        stride; /* tries between two readings of the clock, a power of two; from PRONY_STRIDE_MEMORY on with pauses */
    unsigned burst; /* tries of a call without a limit that come first: PRONY_BURST, 1 that sleeps, or 0 */
    uint64_t budget_ns;
    struct prony_gap gap[2];
    bool masked; /* it is among the ends for which SIGPIPE is blocked */
};

int prony_line_attach(const struct prony_blob *blob, struct prony_line *line, struct prony_error *error);
void prony_line_detach(struct prony_line *line);
/* For ends that are a line and nothing more: attach, detach, and the first descriptor. */
int prony_line_new(const struct prony_blob *blob, struct prony_worker *worker, void **end, struct prony_error *error);
void prony_line_free(void *end);
int prony_line_pollfd(void *end);
/* Does nobody hold the other end any more? */
bool prony_line_gone(const struct prony_line *line);

/* One wait. */
struct prony_waiting {
    struct prony_line *line;
    struct prony_gap *gap;
    uint64_t deadline; /* UINT64_MAX: none */
    uint64_t begun, look;
    uint64_t slice_ns; /* how long to sleep at most, when prony_wait_next says 1 */
    unsigned tries;
    bool spinning;
};

static inline uint64_t prony_line_deadline(int64_t timeout_ns)
{
    return timeout_ns < 0 ? UINT64_MAX : prony_now_ns() + (uint64_t)timeout_ns;
}

static inline unsigned prony_line_burst(const struct prony_line *line, uint64_t deadline)
{
    return deadline == UINT64_MAX ? line->burst : 0;
}

static inline struct prony_waiting prony_wait_at(struct prony_line *line, int way, uint64_t deadline)
{
    return (struct prony_waiting){.line = line, .gap = &line->gap[way], .deadline = deadline};
}

int prony_wait_look(struct prony_waiting *waiting);

static inline bool prony_gap_is_short(struct prony_gap *gap)
{
    if (gap->left == 0)
        return true;
    gap->left--;
    return false;
}

/* After a try that found nothing: 0 try again, 1 sleep for at most slice_ns and then try again, -ETIMEDOUT, -EPIPE. */
static inline int prony_wait_next(struct prony_waiting *waiting)
{
    const struct prony_line *line = waiting->line;
    if (waiting->tries == 0)
        waiting->spinning =
            line->wait == PRONY_WAIT_SPIN || (line->wait == PRONY_WAIT_ADAPTIVE && prony_gap_is_short(waiting->gap));
    waiting->tries++;
    if (waiting->spinning) {
        if (line->stride >= PRONY_STRIDE_MEMORY)
            prony_pause();
        if ((waiting->tries & (line->stride - 1)) != 0)
            return 0;
    }
    return prony_wait_look(waiting);
}

void prony_gap_learn(struct prony_waiting *waiting);

/* It came. */
static inline void prony_wait_end(struct prony_waiting *waiting)
{
    if (waiting->tries != 0 && waiting->line->wait == PRONY_WAIT_ADAPTIVE)
        prony_gap_learn(waiting);
}

/* Sleeps until the descriptor is ready, or for the slice. 0 or -errno. */
int prony_wait_fd(const struct prony_waiting *waiting, int fd, short events);
/* The sleep that a policy begins with: poll always, block when there is a limit. 0 to try, or -ETIMEDOUT, -EPIPE. */
int prony_wait_first(struct prony_waiting *waiting, int fd, short events);

/* Streams over descriptors. `how` is of these. */
enum { PRONY_FD_SOCKET = 1, PRONY_FD_PIPE = 2 };
/* After a first try, which moved so many bytes or (-1) failed with errno; 0: there was none. */
int64_t prony_stream_send_on(struct prony_line *line, int fd, int how, const void *data, size_t bytes,
                             uint64_t deadline, ssize_t tried);
int64_t prony_stream_recv_on(struct prony_line *line, int fd, void *data, size_t bytes, uint64_t deadline,
                             ssize_t tried);
/* Packets after a first try, which failed with errno, or without one. */
int64_t prony_packet_send_on(struct prony_line *line, int fd, const void *data, size_t bytes, uint64_t deadline,
                             bool failed);
int64_t prony_packet_recv_on(struct prony_line *line, int fd, void *data, size_t bytes, uint64_t deadline, bool failed);

/* Here, so that their system calls are made in the channel's own functions: where a processor does not trust its stack of
 * returns after a system call, every return behind one is dear. */
static inline int64_t prony_stream_send(struct prony_line *line, int fd, int how, const void *data, size_t bytes,
                                        uint64_t deadline)
{
    ssize_t n = 0;
    if (bytes > 0 && prony_line_burst(line, deadline) > 0) {
        n = (how & PRONY_FD_SOCKET) != 0 ? send(fd, data, bytes, MSG_NOSIGNAL) : write(fd, data, bytes);
        if (n == (ssize_t)bytes)
            return n;
    }
    return prony_stream_send_on(line, fd, how, data, bytes, deadline, n);
}

static inline int64_t prony_stream_recv(struct prony_line *line, int fd, void *data, size_t bytes, uint64_t deadline)
{
    ssize_t n = 0;
    for (unsigned left = bytes > 0 ? prony_line_burst(line, deadline) : 0; left > 0; left--) {
        n = read(fd, data, bytes);
        if (n == (ssize_t)bytes)
            return n;
        if (n == 0)
            return -EPIPE;
        if (n > 0 || errno != EAGAIN)
            break;
    }
    return prony_stream_recv_on(line, fd, data, bytes, deadline, n);
}

static inline int64_t prony_packet_send(struct prony_line *line, int fd, const void *data, size_t bytes,
                                        uint64_t deadline)
{
    const bool tries = prony_line_burst(line, deadline) > 0;
    if (tries && send(fd, data, bytes, MSG_NOSIGNAL) >= 0)
        return (int64_t)bytes;
    return prony_packet_send_on(line, fd, data, bytes, deadline, tries);
}

/* 0 at an empty message, and at the end where the socket has one. */
static inline int64_t prony_packet_recv(struct prony_line *line, int fd, void *data, size_t bytes, uint64_t deadline)
{
    const unsigned most = prony_line_burst(line, deadline);
    for (unsigned left = most; left > 0; left--) {
        ssize_t n = recv(fd, data, bytes, MSG_TRUNC);
        if (n >= 0)
            return (size_t)n > bytes ? -EMSGSIZE : (int64_t)n;
        if (errno != EAGAIN)
            break;
    }
    return prony_packet_recv_on(line, fd, data, bytes, deadline, most > 0);
}

/* O_NONBLOCK on a descriptor whose policy never sleeps in the call itself. */
int prony_fd_policy(int fd, enum prony_wait wait, struct prony_error *error);
/* A blocking socket call comes back now and then, so that the lifeline is looked at. */
int prony_socket_slices(int fd, struct prony_error *error);
/* SO_SNDBUF and SO_RCVBUF of at least `bytes`; 0: as they are. -ENOTSUP with what caps them. */
int prony_socket_buffers(int fd, int64_t bytes, struct prony_error *error);
/* A connected pair of Unix sockets, the next descriptor of both; and the largest message of such a one. */
int prony_socket_pair(int type, int64_t bytes, struct prony_blob *a, struct prony_blob *b, struct prony_error *error);
int64_t prony_socket_limit(int type, int64_t bytes, struct prony_error *how);

#endif
