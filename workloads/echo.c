/* echo: a server that sends back what it is sent, and clients over TCP on the loopback: concurrent network programs.
 *
 * Role 0 is the server, one thread with epoll(7) over all connections; the others are clients, each with its own epoll over
 * `connections` connections that have up to `depth` requests under way. Sockets do not block, short reads and writes are
 * gone on with, and requests that are ready together leave in one write. Clients compare every byte that returns with what
 * they sent at that place; both sides count bytes, requests and connections. A request's latency is from when it is made
 * to when the last byte of its answer is compared. A client asks again only when it is answered, so that a server that
 * stalls is asked less (for a schedule that does not wait see paced). Part of the time: filling and comparing. Not
 * measured: connecting and closing, a network, servers of several threads.
 *
 * All roles meet before connecting, before the requests and after them, whatever happened to them, so that nobody closes
 * early and a connection that ends is a peer that died. Who fails says so on the desk, and the others look there. */
#include "base/clock.h"
#include "workloads/wire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { LEFT = 0x6563686f, BUFFER = 65536, EVENTS = 64, LOOK_MS = 100, SPARE = 32 };
#define MOST_BYTES (UINT64_C(1) << 30)

static const struct prony_option options[] = {
    {"items", PRONY_INT, "1000", 1, 1e8, NULL, "requests of one repetition, all clients together"},
    {"connections", PRONY_INT, "4", 1, 10000, NULL, "of each client"},
    {"size", PRONY_BYTES, "64", 1, 1 << 20, NULL, "bytes of a request, and of its answer"},
    {"depth", PRONY_INT, "1", 1, 1024, NULL, "requests under way on a connection"},
    {.name = NULL},
};

struct echo_arg {
    uint64_t connections, size, depth, seed;
};

/* First in the data, a line; then a line a role with its result. */
struct desk {
    uint32_t port, trouble;
};

struct result {
    uint64_t bytes_in, bytes_out, requests, connections, wrong; /* wrong: receipts in which bytes differed */
    uint64_t left;
};
static_assert(sizeof(struct desk) <= LINE_BYTES && sizeof(struct result) <= LINE_BYTES, "a line each");

/* A connection, at either end. */
struct flow {
    int fd;
    uint32_t armed;      /* the events asked for */
    unsigned char *room; /* server: what came and has not gone back; client: the requests under way, `depth` slots */
    uint64_t in, out;    /* server: [out, in) of the room is to go back; client: bytes of all requests */
    uint64_t due, made;  /* client: requests of the sample */
    uint64_t number;     /* client: of its first request */
    uint64_t *begun_ns;  /* client: when the request in each slot was made */
};

struct party {
    struct prony_worker *worker;
    struct desk *desk;
    struct echo_arg arg;
    struct result result;
    struct flow *flows;
    uint64_t count, room_bytes;
    int epoll, listener;
    unsigned char *rooms, *buffer;
    uint64_t *times;
};

static bool again(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Is somebody else in trouble, or the gang cancelled? */
static bool over(const struct party *party)
{
    const struct prony_worker_ops *ops = party->worker->ops;
    return __atomic_load_n(&party->desk->trouble, __ATOMIC_ACQUIRE) != 0 ||
           (ops->stopped != NULL && ops->stopped(party->worker));
}

/* Notes this role's trouble and meets the others: its own code, or what kept them from meeting, or -ECANCELED when one of
 * them is in trouble. `begin`: here begins the timed part. */
static int meet(struct party *party, int code, bool begin)
{
    int met;
    if (code != 0)
        __atomic_store_n(&party->desk->trouble, 1, __ATOMIC_RELEASE);
    met = begin ? prony_worker_begin(party->worker) : party->worker->ops->barrier(party->worker, STUCK_NS);
    code = code != 0 ? code : met;
    return code == 0 && over(party) ? -ECANCELED : code;
}

/* Waits for one descriptor: 0, -ETIMEDOUT, -ECANCELED. */
static int await(const struct party *party, int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    for (unsigned i = 0; i < STUCK_NS / 1000000 / LOOK_MS; i++) {
        int got = poll(&one, 1, LOOK_MS);
        if (got > 0)
            return 0;
        if (got < 0 && !again())
            return -errno;
        if (over(party))
            return -ECANCELED;
    }
    return -ETIMEDOUT;
}

/* Connections */

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

/* The port is the kernel's choice. */
static int listen_anywhere(struct party *party)
{
    struct sockaddr_in address = loopback(0);
    socklen_t bytes = sizeof address;
    party->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (party->listener < 0 || bind(party->listener, (struct sockaddr *)&address, bytes) != 0 ||
        listen(party->listener, SOMAXCONN) != 0 ||
        getsockname(party->listener, (struct sockaddr *)&address, &bytes) != 0)
        return -errno;
    __atomic_store_n(&party->desk->port, ntohs(address.sin_port), __ATOMIC_RELEASE);
    return 0;
}

/* Small requests leave at once, and an end leaves nothing in the kernel that waits for a minute. */
static int enlist(struct party *party, struct flow *flow)
{
    const struct linger abrupt = {1, 0};
    const int yes = 1;
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = flow}};
    flow->armed = EPOLLIN;
    if (setsockopt(flow->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 ||
        setsockopt(flow->fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt) != 0 ||
        epoll_ctl(party->epoll, EPOLL_CTL_ADD, flow->fd, &event) != 0)
        return -errno;
    party->result.connections++;
    return 0;
}

static int admit_all(struct party *party)
{
    int code = 0;
    for (uint64_t i = 0; i < party->count && code == 0;) {
        int fd = accept4(party->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            party->flows[i].fd = fd;
            code = enlist(party, &party->flows[i++]);
        } else if (again()) {
            code = await(party, party->listener, POLLIN);
        } else if (errno != ECONNABORTED) {
            code = -errno;
        }
    }
    return code;
}

static int dial(struct party *party, struct flow *flow)
{
    const struct sockaddr_in address = loopback((uint16_t)__atomic_load_n(&party->desk->port, __ATOMIC_ACQUIRE));
    int error = 0, code;
    socklen_t bytes = sizeof error;
    flow->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (flow->fd < 0)
        return -errno;
    if (connect(flow->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        if (errno != EINPROGRESS && errno != EINTR)
            return -errno;
        code = await(party, flow->fd, POLLOUT);
        if (code != 0)
            return code;
        if (getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
            return -errno;
    }
    return error != 0 ? -error : enlist(party, flow);
}

static int dial_all(struct party *party)
{
    int code = 0;
    for (uint64_t i = 0; i < party->count && code == 0; i++)
        code = dial(party, &party->flows[i]);
    return code;
}

/* The timed part */

static int arm(const struct party *party, struct flow *flow, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = flow}};
    if (flow->armed == events)
        return 0;
    flow->armed = events;
    return epoll_ctl(party->epoll, EPOLL_CTL_MOD, flow->fd, &event) == 0 ? 0 : -errno;
}

/* One receipt. Bytes, 0: none now, or -errno; an end is -ECONNRESET, as nobody ends before all have met. */
static int64_t get(const struct flow *flow, unsigned char *to, uint64_t bytes)
{
    const ssize_t got = recv(flow->fd, to, bytes, 0);
    if (got > 0)
        return got;
    return got == 0 ? -ECONNRESET : again() ? 0 : -errno;
}

static int64_t put(const struct flow *flow, const unsigned char *from, uint64_t bytes)
{
    const ssize_t sent = send(flow->fd, from, bytes, MSG_NOSIGNAL);
    return sent >= 0 ? sent : again() ? 0 : -errno;
}

/* The server's part in a connection that is ready. While its room is full it reads no more. */
static int answer(struct party *party, struct flow *flow)
{
    int64_t moved = 0;
    if (flow->in < party->room_bytes) {
        moved = get(flow, flow->room + flow->in, party->room_bytes - flow->in);
        if (moved < 0)
            return (int)moved;
        flow->in += (uint64_t)moved;
        party->result.bytes_in += (uint64_t)moved;
    }
    if (flow->out < flow->in) {
        moved = put(flow, flow->room + flow->out, flow->in - flow->out);
        if (moved < 0)
            return (int)moved;
        flow->out += (uint64_t)moved;
        party->result.bytes_out += (uint64_t)moved;
    }
    if (flow->out == flow->in)
        flow->out = flow->in = 0;
    return arm(party, flow, (flow->in < party->room_bytes ? EPOLLIN : 0u) | (flow->out < flow->in ? EPOLLOUT : 0u));
}

/* Makes requests while there are slots, and sends what is ready. */
static int ask(struct party *party, struct flow *flow)
{
    const struct echo_arg *arg = &party->arg;
    const uint64_t now = prony_now_ns();
    for (; flow->made < flow->due && flow->made - flow->in / arg->size < arg->depth; flow->made++) {
        const uint64_t slot = flow->made % arg->depth;
        wire_stamp(flow->room + slot * arg->size, arg->size, flow->number + flow->made);
        flow->begun_ns[slot] = now;
    }
    while (flow->out < flow->made * arg->size) {
        const uint64_t at = flow->out % party->room_bytes, rest = flow->made * arg->size - flow->out;
        const uint64_t whole = rest < party->room_bytes - at ? rest : party->room_bytes - at;
        const int64_t sent = put(flow, flow->room + at, whole);
        if (sent < 0)
            return (int)sent;
        flow->out += (uint64_t)sent;
        party->result.bytes_out += (uint64_t)sent;
        if ((uint64_t)sent < whole)
            return arm(party, flow, EPOLLIN | EPOLLOUT);
    }
    return arm(party, flow, EPOLLIN);
}

/* Compares what came with the requests under way, and clocks those that are answered in full. */
static int check(struct party *party, struct flow *flow, uint64_t got)
{
    struct prony_histogram *latency = prony_at(party->worker, party->worker->latency.off);
    const uint64_t at = flow->in % party->room_bytes,
                   first = party->room_bytes - at < got ? party->room_bytes - at : got;
    uint64_t done = flow->in / party->arg.size, now;
    if (got > flow->out - flow->in)
        return -EBADMSG; /* more than was sent */
    party->result.wrong += memcmp(party->buffer, flow->room + at, first) != 0 ||
                           memcmp(party->buffer + first, flow->room, got - first) != 0;
    flow->in += got;
    party->result.bytes_in += got;
    now = prony_now_ns();
    for (; done < flow->in / party->arg.size; done++) {
        prony_histogram_record(latency, now - flow->begun_ns[done % party->arg.depth]);
        party->result.requests++;
    }
    return 0;
}

/* The client's part in a connection that is ready. */
static int go_on(struct party *party, struct flow *flow)
{
    const int64_t got = get(flow, party->buffer, BUFFER);
    const int code = got > 0 ? check(party, flow, (uint64_t)got) : (int)got;
    return code == 0 ? ask(party, flow) : code;
}

/* Until so many bytes have passed; `count` counts them. */
static int run(struct party *party, const uint64_t *count, uint64_t bytes,
               int (*ready)(struct party *party, struct flow *flow))
{
    struct epoll_event events[EVENTS];
    unsigned idle = 0;
    int code = 0;
    while (*count < bytes && code == 0) {
        int n = epoll_wait(party->epoll, events, EVENTS, LOOK_MS);
        if (n < 0 && !again())
            return -errno;
        idle = n > 0 ? 0 : idle + 1;
        if (idle > 0 && over(party))
            return -ECANCELED;
        if (idle > STUCK_NS / 1000000 / LOOK_MS)
            return -ETIMEDOUT;
        for (int i = 0; i < n && code == 0; i++)
            code = ready(party, events[i].data.ptr);
    }
    return code;
}

static int run_client(struct party *party, uint64_t items)
{
    int code = 0;
    for (uint64_t i = 0; i < party->count && code == 0; i++)
        code = ask(party, &party->flows[i]);
    return code != 0 ? code : run(party, &party->result.bytes_in, items * party->arg.size, go_on);
}

/* A role's life */

static int prepare_role(struct party *party, uint64_t items)
{
    const struct echo_arg *arg = &party->arg;
    const unsigned me = party->worker->index;
    const bool server = me == 0;
    const uint64_t window = arg->size * arg->depth;
    party->count = server ? arg->connections * (party->worker->roles - 1) : arg->connections;
    party->room_bytes = server && window > BUFFER ? BUFFER : window;
    party->flows = calloc(party->count, sizeof *party->flows);
    party->rooms = malloc(party->count * party->room_bytes);
    party->buffer = server ? NULL : malloc(BUFFER);
    party->times = server ? NULL : calloc(party->count * arg->depth, sizeof *party->times);
    if (party->flows == NULL || party->rooms == NULL || (!server && (party->buffer == NULL || party->times == NULL)))
        return -ENOMEM;
    for (uint64_t i = 0; i < party->count; i++) {
        struct flow *flow = &party->flows[i];
        const uint64_t id = server ? i : (me - 1) * arg->connections + i;
        flow->fd = -1;
        flow->room = party->rooms + i * party->room_bytes;
        wire_fill(flow->room, party->room_bytes, arg->seed + mix64(id)); /* also so that the memory is there */
        flow->number = id << 40;
        flow->due = server ? 0 : (uint64_t)share((int64_t)items, (unsigned)i, (unsigned)party->count);
        flow->begun_ns = server ? NULL : party->times + i * arg->depth;
    }
    party->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (party->epoll < 0)
        return -errno;
    return server ? listen_anywhere(party) : 0;
}

static void close_one(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void leave(struct party *party)
{
    for (uint64_t i = 0; party->flows != NULL && i < party->count; i++)
        close_one(party->flows[i].fd);
    close_one(party->listener);
    close_one(party->epoll);
    free(party->flows);
    free(party->rooms);
    free(party->buffer);
    free(party->times);
}

static int echo_kernel(struct prony_worker *worker, const struct prony_task *task)
{
    struct party party = {.worker = worker, .desk = prony_at(worker, task->out.off), .epoll = -1, .listener = -1};
    const bool server = worker->index == 0;
    uint64_t items = (uint64_t)task->hi;
    int code;
    memcpy(&party.arg, task->arg, sizeof party.arg);
    if (!server)
        items = (uint64_t)share(task->hi, worker->index - 1, worker->roles - 1);
    code = meet(&party, prepare_role(&party, items), false);
    if (code == 0)
        code = server ? admit_all(&party) : dial_all(&party);
    code = meet(&party, code, true);
    if (code == 0)
        code =
            server ? run(&party, &party.result.bytes_out, items * party.arg.size, answer) : run_client(&party, items);
    prony_worker_end(worker);
    code = meet(&party, code, false);
    leave(&party);
    if (server) {
        party.desk->port = 0;
        party.result.requests = party.result.bytes_out / party.arg.size;
    }
    party.result.left = LEFT;
    memcpy((unsigned char *)party.desk + (worker->index + 1) * (uint64_t)LINE_BYTES, &party.result,
           sizeof party.result);
    return code;
}

/* The host's side */

static struct echo_arg arg_of(const struct prony_params *params, uint64_t seed)
{
    return (struct echo_arg){(uint64_t)prony_param_int(params, "connections"),
                             (uint64_t)prony_param_int(params, "size"), (uint64_t)prony_param_int(params, "depth"),
                             seed};
}

static int echo_need(const struct prony_params *params, unsigned workers, struct prony_need *need,
                     struct prony_error *error)
{
    const struct echo_arg arg = arg_of(params, 0);
    if (workers < 2)
        return prony_fail(error, -ENOTSUP, "needs 2 workers, a server and a client");
    if (arg.connections * arg.size * arg.depth * (workers - 1) > MOST_BYTES)
        return prony_fail(error, -EINVAL, "%llu requests of %llu bytes under way at once are more than 1 GiB",
                          (unsigned long long)(arg.connections * arg.depth * (workers - 1)),
                          (unsigned long long)arg.size);
    need->items = prony_param_int(params, "items");
    need->operations = 2 * need->items * (int64_t)arg.size;
    need->bytes = (workers + 1) * (uint64_t)LINE_BYTES;
    return 0;
}

/* Enough descriptors for the process that has the most of them: threads have both ends in one. */
static int echo_prepare(struct prony_bench *bench, struct prony_error *error)
{
    const unsigned clients = bench->setup->workers - 1;
    const uint64_t all = clients * arg_of(bench->params, 0).connections;
    const bool shared = (bench->engine->head.caps & PRONY_CAP_SHARED) != 0;
    const uint64_t due = (shared ? 2 * all + clients : all) + bench->setup->workers + SPARE;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= due)
        return 0;
    if (limit.rlim_max >= due) {
        limit.rlim_cur = due;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
            return 0;
    }
    return prony_fail(error, -EMFILE, "%llu connections need %llu descriptors in %s, the limit (ulimit -n) is %llu",
                      (unsigned long long)all, (unsigned long long)due, shared ? "one process" : "the server",
                      (unsigned long long)limit.rlim_max);
}

static void echo_task(const struct prony_bench *bench, struct prony_task *task)
{
    const struct echo_arg arg = arg_of(bench->params, bench->seed);
    task_fill(bench, task, 0, &arg, sizeof arg);
}

static void echo_poison(struct prony_bench *bench)
{
    memset(data_at(bench, 0), 0, LINE_BYTES);
    memset(data_at(bench, LINE_BYTES), 0xff, bench->setup->workers * (uint64_t)LINE_BYTES);
}

static int differs(struct prony_error *error, unsigned role, const char *what, uint64_t found, uint64_t due)
{
    if (found == due)
        return 0;
    return prony_fail(error, -EBADMSG, "role %u, %s: %llu %s, not %llu", role, role == 0 ? "the server" : "a client",
                      (unsigned long long)found, what, (unsigned long long)due);
}

static int verify_role(const struct prony_bench *bench, unsigned role, struct prony_error *error)
{
    const struct result *result = data_at(bench, (role + 1) * (uint64_t)LINE_BYTES);
    const unsigned clients = bench->setup->workers - 1;
    const struct echo_arg arg = arg_of(bench->params, 0);
    const int64_t all = bench->need->items * bench->repeats;
    const uint64_t due = (uint64_t)(role == 0 ? all : share(all, role - 1, clients));
    int code;
    if (result->left != LEFT)
        return prony_fail(error, -EBADMSG, "role %u left no result", role);
    code = differs(error, role, "receipts with wrong bytes", result->wrong, 0);
    code = code != 0 ? code : differs(error, role, "requests", result->requests, due);
    code = code != 0 ? code : differs(error, role, "bytes received", result->bytes_in, due * arg.size);
    code = code != 0 ? code : differs(error, role, "bytes sent", result->bytes_out, due * arg.size);
    return code != 0
               ? code
               : differs(error, role, "connections", result->connections, arg.connections * (role == 0 ? clients : 1));
}

static int echo_verify(struct prony_bench *bench, struct prony_error *error)
{
    int code = 0;
    for (unsigned role = 0; role < bench->setup->workers && code == 0; role++)
        code = verify_role(bench, role, error);
    return code;
}

static const struct prony_kernel kernels[] = {{"echo", echo_kernel}, {NULL, NULL}};

PRONY_EXPORT(workload, echo) = {
    .head = PRONY_HEAD(struct prony_workload, .name = "echo",
                       .summary = "a TCP echo server and its clients on the loopback", .options = options),
    .unit = "request",
    .kernels = kernels,
    .shape = PRONY_GANG,
    .clock = PRONY_PER_OP,
    .need = echo_need,
    .prepare = echo_prepare,
    .task = echo_task,
    .poison = echo_poison,
    .verify = echo_verify,
};
