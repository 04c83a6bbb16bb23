/* A listener that hands out connections, and the client that makes one: message pipes between processes that are no kin.
 *
 * An address is "unix:PATH", "unix:@NAME" (a name of the kernel's, without a file) or "tcp:127.0.0.1:PORT" (port 0: any).
 * A connection is used as an end of a duplex pipe (prony/pipe.h). prony_pipe_poll and prony_wait_many take its `fd`, and
 * that of a listener, which is readable while a client waits.
 *
 * Over a unix socket both sides ask the kernel whose the other is: another user's is refused. Over TCP it listens on the
 * loopback address alone, and without a key whoever runs programs here may connect.
 *
 * With a key each side proves to the other that it has it, and never shows it. What crosses, as messages of a connection
 * (over TCP each after its length), L and C 32 random bytes, the label of 8 bytes, M(label) = HMAC-SHA256(key, label L C):
 *
 *     listener   "prony-1\n" L
 *     client     C M("prony-C\n")
 *     listener   M("prony-L\n"), or 32 zero bytes: refused
 *
 * The proof is of that moment: what is sent later is neither signed nor hidden. Whoever comes without a key finds the
 * listener's first message in the place of its own.
 *
 * Over TCP a message is a length and bytes of one stream. So at each end one at a time sends, and one receives; and when
 * the time is up in the middle of a message, the connection is of no use any more and is shut down. */
#ifndef PRONY_LISTENER_H
#define PRONY_LISTENER_H

#include <prony/error.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRONY_ADDRESS 128

struct prony_connection {
    int fd;       /* the caller's to close */
    int streamed; /* over TCP; over a unix socket it is an end of a pipe indeed */
};

struct prony_listener {
    int fd;
    int owner;                   /* the process that opened it, and removes its file */
    char address[PRONY_ADDRESS]; /* for clients: with the port that it was given */
    struct prony_door *door;     /* with a key: who has come and has not proven that he has it; else NULL */
};

/* A secret of both sides. */
struct prony_key {
    const void *bytes; /* copied; wiped when the listener is closed */
    size_t length;     /* at least 1; 32 random ones are a good key */
    int64_t answer_ns; /* so long the other side may take to prove that it has the key; 0: five seconds */
};

/* 0; -EINVAL: no such address; -EADDRINUSE: also when the file is there; or what the system says. */
int prony_listener_open(struct prony_listener *listener, const char *address, struct prony_error *error);
/* The same with a key; NULL: without one. -ENOTSUP: prony was built without nettle; -EINVAL: an empty key. Clients are
 * asked side by side, so none that is slow or silent holds up another. Of 16 that have not answered the oldest makes room
 * for the next. Used by the process that opened it: a forked one gets -EPERM. */
int prony_listener_open_keyed(struct prony_listener *listener, const char *address, const struct prony_key *key,
                              struct prony_error *error);
/* The next client. -ETIMEDOUT; -EACCES: it was another user's, had another key, or did not prove in time that it has
 * one, and is gone. */
int prony_listener_accept(struct prony_listener *listener, struct prony_connection *connection, int64_t timeout_ns);
/* Closes it; the file of "unix:PATH" is removed by who opened it. Connections stay. */
void prony_listener_close(struct prony_listener *listener);

/* -ECONNREFUSED, -ENOENT: nobody listens; -EACCES: another user does; -ETIMEDOUT: too many wait there, until then. */
int prony_connect(const char *address, struct prony_connection *connection, int64_t timeout_ns,
                  struct prony_error *error);
/* The same with a key; NULL: without one. -EACCES: one side has not the other's key; -ETIMEDOUT: also when the listener
 * did not ask for the key in answer_ns, whatever the limit; -ECONNRESET: it went away meanwhile. */
int prony_connect_keyed(const char *address, const struct prony_key *key, struct prony_connection *connection,
                        int64_t timeout_ns, struct prony_error *error);

/* As prony_pipe_send and prony_pipe_receive; after a message that broke off over TCP -EBADMSG, then the end. */
int prony_connection_send(const struct prony_connection *connection, const void *message, size_t bytes,
                          int64_t timeout_ns);
int prony_connection_receive(const struct prony_connection *connection, void *message, size_t room, size_t *got,
                             int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
