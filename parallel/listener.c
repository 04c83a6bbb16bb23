/* Listeners and clients over unix sockets and loopback TCP. Unix sockets keep messages whole, as pipes do; for TCP see stream.c. */
#include <prony/listener.h>

#include "parallel/door.h"
#include "parallel/key.h"
#include "parallel/stream.h"
#include "parallel/until.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <prony/pipe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 64
#define RETRY_NS 1000000 /* a unix socket whose queue is full says so at once */

struct place {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
    } as;
    socklen_t bytes;
    int type;
};

static int read_unix(const char *path, struct place *place)
{
    const size_t length = strlen(path);
    if (length == 0 || strcmp(path, "@") == 0 || length >= sizeof place->as.un.sun_path)
        return -EINVAL;
    place->as.un.sun_family = AF_UNIX;
    memcpy(place->as.un.sun_path, path, length);
    place->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    if (path[0] == '@') { /* its name has no end but the address's */
        place->as.un.sun_path[0] = '\0';
        place->bytes--;
    }
    place->type = SOCK_SEQPACKET;
    return 0;
}

static int read_tcp(const char *text, struct place *place)
{
    static const char host[] = "127.0.0.1:";
    const char *port = text + sizeof host - 1;
    char *end;
    unsigned long number;
    if (strncmp(text, host, sizeof host - 1) != 0 || *port < '0' || *port > '9')
        return -EINVAL;
    number = strtoul(port, &end, 10);
    if (*end != '\0' || number > 65535)
        return -EINVAL;
    place->as.in.sin_family = AF_INET;
    place->as.in.sin_port = htons((uint16_t)number);
    place->as.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    place->bytes = sizeof place->as.in;
    place->type = SOCK_STREAM;
    return 0;
}

static int read_address(const char *address, struct place *place, struct prony_error *error)
{
    int code = -EINVAL;
    memset(place, 0, sizeof *place);
    if (strlen(address) < PRONY_ADDRESS && strncmp(address, "unix:", 5) == 0)
        code = read_unix(address + 5, place);
    else if (strlen(address) < PRONY_ADDRESS && strncmp(address, "tcp:", 4) == 0)
        code = read_tcp(address + 4, place);
    if (code != 0)
        return prony_fail(error, code, "'%s' is no address: unix:PATH, unix:@NAME or tcp:127.0.0.1:PORT", address);
    return 0;
}

int prony_listener_open(struct prony_listener *listener, const char *address, struct prony_error *error)
{
    return prony_listener_open_keyed(listener, address, NULL, error);
}

int prony_listener_open_keyed(struct prony_listener *listener, const char *address, const struct prony_key *key,
                              struct prony_error *error)
{
    struct place place;
    int code = read_address(address, &place, error);
    *listener = (struct prony_listener){.fd = -1, .owner = getpid()};
    if (code != 0)
        return code;
    (void)strncpy(listener->address, address, sizeof listener->address - 1);
    listener->fd = socket(place.as.any.sa_family, place.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0 || bind(listener->fd, &place.as.any, place.bytes) != 0) {
        code = prony_fail(error, -errno, "cannot listen at %s: %s", address, strerrordesc_np(errno));
        listener->owner = 0; /* its file is not ours */
    } else if (listen(listener->fd, BACKLOG) != 0 ||
               getsockname(listener->fd, &place.as.any, &(socklen_t){sizeof place.as}) != 0) {
        code = prony_fail(error, -errno, "cannot listen at %s: %s", address, strerrordesc_np(errno));
    } else if (place.type == SOCK_STREAM) {
        (void)snprintf(listener->address, sizeof listener->address, "tcp:127.0.0.1:%u",
                       (unsigned)ntohs(place.as.in.sin_port));
    }
    if (code == 0 && key != NULL)
        code = prony_door_open(listener->fd, key, &listener->door, &listener->fd, error);
    if (code != 0)
        prony_listener_close(listener);
    return code;
}

/* TCP sends what it has at once. */
int prony_listener_admit(int fd, struct prony_connection *connection)
{
    struct ucred peer;
    int domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain}) != 0)
        return -errno;
    if (domain == AF_INET && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0)
        return -errno;
    if (domain != AF_INET && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){sizeof peer}) != 0)
        return -errno;
    if (domain != AF_INET && peer.uid != geteuid())
        return -EACCES;
    *connection = (struct prony_connection){fd, domain == AF_INET};
    return 0;
}

int prony_listener_accept(struct prony_listener *listener, struct prony_connection *connection, int64_t timeout_ns)
{
    const uint64_t end = until_ns(timeout_ns);
    int code, got;
    if (listener->door != NULL)
        return prony_door_accept(listener->door, connection, timeout_ns);
    while ((got = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC)) < 0) {
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN)
            return -errno;
        if ((code = prony_pipe_poll(listener->fd, left_ns(end))) != 0) /* another may have taken it: then again */
            return code;
    }
    if ((code = prony_listener_admit(got, connection)) != 0)
        (void)close(got);
    return code;
}

void prony_listener_close(struct prony_listener *listener)
{
    if (listener->fd >= 0)
        (void)close(listener->fd);
    if (listener->door != NULL)
        prony_door_close(listener->door);
    listener->door = NULL;
    if (listener->fd >= 0 && listener->owner == getpid() && strncmp(listener->address, "unix:", 5) == 0 &&
        listener->address[5] != '@')
        (void)unlink(listener->address + 5);
    listener->fd = -1;
}

/* A try that came to nothing for lack of room may be made again. */
static int reach(int fd, const struct place *place, uint64_t end)
{
    for (bool last = false;; last = left_ns(end) == 0) {
        const struct timespec nap = {0, RETRY_NS};
        struct pollfd one = {fd, POLLOUT, 0};
        if (connect(fd, &place->as.any, place->bytes) == 0 || errno == EISCONN)
            return 0;
        if (errno != EINPROGRESS && errno != EALREADY && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (last)
            return -ETIMEDOUT;
        if (errno == EAGAIN)
            (void)nanosleep(&nap, NULL);
        else
            (void)ppoll(&one, 1, &nap, NULL);
    }
}

/* Proves the key to a listener that was reached; it is one that does not ask for it if it takes too long. */
static int prove(int fd, const struct prony_key *key, uint64_t end, struct prony_error *error)
{
    struct prony_secret secret;
    uint64_t ask_end;
    int code = prony_secret_keep(&secret, key, error);
    if (code != 0)
        return code;
    ask_end = until_ns(secret.answer_ns);
    code = prony_secret_prove(fd, &secret, end != 0 && end < ask_end ? end : ask_end);
    prony_secret_wipe(&secret);
    if (code == -EACCES)
        return prony_fail(error, code, "the listener has not the same key");
    if (code == -ETIMEDOUT)
        return prony_fail(error, code, "the listener did not ask for the key in time");
    return code == 0 ? 0 : prony_fail(error, code, "the listener went away: %s", strerrordesc_np(-code));
}

int prony_connect(const char *address, struct prony_connection *connection, int64_t timeout_ns,
                  struct prony_error *error)
{
    return prony_connect_keyed(address, NULL, connection, timeout_ns, error);
}

int prony_connect_keyed(const char *address, const struct prony_key *key, struct prony_connection *connection,
                        int64_t timeout_ns, struct prony_error *error)
{
    const uint64_t end = until_ns(timeout_ns);
    struct prony_error why = {0, ""};
    struct place place;
    int code = read_address(address, &place, error), got;
    if (code != 0)
        return code;
    got = socket(place.as.any.sa_family, place.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    code = got < 0 ? -errno : reach(got, &place, end);
    if (code == 0)
        code = prony_listener_admit(got, connection);
    if (code == 0 && key != NULL)
        code = prove(got, key, end, &why);
    if (code != 0) {
        if (got >= 0)
            (void)close(got);
        return prony_fail(error, code, "cannot connect to %s: %s", address,
                          why.text[0] != '\0' ? why.text : strerrordesc_np(-code));
    }
    return 0;
}

int prony_connection_send(const struct prony_connection *connection, const void *message, size_t bytes,
                          int64_t timeout_ns)
{
    return (connection->streamed ? prony_streamed_send : prony_pipe_send)(connection->fd, message, bytes, timeout_ns);
}

int prony_connection_receive(const struct prony_connection *connection, void *message, size_t room, size_t *got,
                             int64_t timeout_ns)
{
    return (connection->streamed ? prony_streamed_receive : prony_pipe_receive)(connection->fd, message, room, got,
                                                                                timeout_ns);
}
