/* The proof of a key, by HMAC-SHA256 (RFC 2104, FIPS 180-4) as nettle has it. Both sides choose a number for it, so that no
 * proof is good twice, and each side's proof names the side, so that none can be sent back to who made it. */
#include "parallel/key.h"
#include "parallel/until.h"

#include <assert.h>
#include <errno.h>
#include <prony/pipe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#ifdef PRONY_WITH_NETTLE
#include <nettle/hmac.h>
#include <nettle/memops.h>
#endif

#define ANSWER_NS INT64_C(5000000000)
#define LABEL 8
static const char hello[] = "prony-1\n", of_client[] = "prony-C\n", of_listener[] = "prony-L\n";

/* What crosses: messages of a connection. */
struct asked {
    uint32_t size;
    unsigned char hello[LABEL], nonce[PRONY_NONCE];
};
struct proven {
    uint32_t size;
    unsigned char nonce[PRONY_NONCE], mac[PRONY_MAC];
};
struct verdict {
    uint32_t size;
    unsigned char mac[PRONY_MAC];
};
#define SIZE(type) ((uint32_t)(sizeof(type) - sizeof(uint32_t)))

static_assert(sizeof(struct proven) == sizeof((struct prony_guest *)0)->said, "a guest has room for a proof");

#ifdef PRONY_WITH_NETTLE
static int can(struct prony_error *error)
{
    (void)error;
    return 0;
}

static void mac_of(const struct prony_secret *secret, const char *label, const unsigned char *theirs,
                   const unsigned char *ours, unsigned char *mac)
{
    struct hmac_sha256_ctx hmac;
    hmac_sha256_set_key(&hmac, secret->length, secret->bytes);
    hmac_sha256_update(&hmac, LABEL, (const unsigned char *)label);
    hmac_sha256_update(&hmac, PRONY_NONCE, theirs);
    hmac_sha256_update(&hmac, PRONY_NONCE, ours);
    hmac_sha256_digest(&hmac, PRONY_MAC, mac);
    explicit_bzero(&hmac, sizeof hmac);
}

static int same(const unsigned char *a, const unsigned char *b)
{
    return memeql_sec(a, b, PRONY_MAC);
}
#else
static int can(struct prony_error *error)
{
    return prony_fail(error, -ENOTSUP, "no keys: nettle was not found when prony was built (install nettle-dev)");
}

static void mac_of(const struct prony_secret *secret, const char *label, const unsigned char *theirs,
                   const unsigned char *ours, unsigned char *mac)
{
    (void)secret, (void)label, (void)theirs, (void)ours;
    memset(mac, 0, PRONY_MAC); /* not to be reached: nobody keeps a secret */
}

static int same(const unsigned char *a, const unsigned char *b)
{
    (void)a, (void)b;
    return 0;
}
#endif

int prony_secret_keep(struct prony_secret *secret, const struct prony_key *key, struct prony_error *error)
{
    int code = can(error);
    *secret = (struct prony_secret){NULL, 0, 0};
    if (code != 0)
        return code;
    if (key->bytes == NULL || key->length == 0 || key->answer_ns < 0)
        return prony_fail(error, -EINVAL, "a key has at least one byte, and a limit that is not below 0");
    secret->bytes = malloc(key->length);
    if (secret->bytes == NULL)
        return prony_fail(error, -ENOMEM, "no memory for a key");
    memcpy(secret->bytes, key->bytes, key->length);
    secret->length = key->length;
    secret->answer_ns = key->answer_ns > 0 ? key->answer_ns : ANSWER_NS;
    return 0;
}

void prony_secret_wipe(struct prony_secret *secret)
{
    if (secret->bytes != NULL)
        explicit_bzero(secret->bytes, secret->length);
    free(secret->bytes);
    *secret = (struct prony_secret){NULL, 0, 0};
}

static int choose(unsigned char *nonce)
{
    return getrandom(nonce, PRONY_NONCE, 0) == PRONY_NONCE ? 0 : -EIO;
}

/* Into a socket that is new: there is room for so little. */
static int say(int fd, const void *message, size_t bytes)
{
    const ssize_t now = send(fd, message, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    return now == (ssize_t)bytes ? 0 : now < 0 && errno != EPIPE ? -errno : -ECONNRESET;
}

int prony_guest_ask(struct prony_guest *guest, const struct prony_secret *secret)
{
    struct asked asked = {.size = SIZE(struct asked)};
    int code = choose(guest->nonce);
    if (code != 0)
        return code;
    memcpy(asked.hello, hello, LABEL);
    memcpy(asked.nonce, guest->nonce, PRONY_NONCE);
    guest->got = 0;
    guest->end_ns = until_ns(secret->answer_ns);
    return say(guest->fd, &asked, sizeof asked);
}

/* Whatever goes wrong, the guest has not proven it. */
int prony_guest_hear(struct prony_guest *guest, const struct prony_secret *secret)
{
    struct verdict verdict = {SIZE(struct verdict), {0}};
    struct proven proven;
    const ssize_t now = recv(guest->fd, guest->said + guest->got, sizeof guest->said - guest->got, MSG_DONTWAIT);
    int code = -EACCES;
    if (now < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (now <= 0)
        return -EACCES;
    guest->got += (unsigned)now;
    memcpy(&proven, guest->said, sizeof proven);
    if (guest->got >= sizeof proven.size && proven.size == SIZE(struct proven) && guest->got < sizeof proven)
        return -EAGAIN;
    if (guest->got == sizeof proven && proven.size == SIZE(struct proven)) {
        unsigned char right[PRONY_MAC];
        mac_of(secret, of_client, guest->nonce, proven.nonce, right);
        if (same(right, proven.mac)) {
            mac_of(secret, of_listener, guest->nonce, proven.nonce, verdict.mac);
            code = 0;
        }
    } else if (guest->got < sizeof proven.size) {
        return -EAGAIN;
    }
    return say(guest->fd, &verdict, sizeof verdict) == 0 ? code : -EACCES;
}

/* Exactly so many bytes. -ECONNRESET: the other side has gone. */
static int take(int fd, void *to, size_t bytes, uint64_t end)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t now = recv(fd, (char *)to + done, bytes - done, MSG_DONTWAIT);
        int code = 0;
        if (now > 0)
            done += (size_t)now;
        else if (now == 0)
            code = -ECONNRESET;
        else if (errno == EAGAIN)
            code = prony_pipe_poll(fd, left_ns(end));
        else if (errno != EINTR)
            code = -errno;
        if (code != 0)
            return code;
    }
    return 0;
}

int prony_secret_prove(int fd, const struct prony_secret *secret, uint64_t end)
{
    struct asked asked;
    struct proven proven = {.size = SIZE(struct proven)};
    struct verdict verdict;
    unsigned char right[PRONY_MAC];
    int code = take(fd, &asked, sizeof asked, end);
    if (code == 0 && (asked.size != SIZE(struct asked) || memcmp(asked.hello, hello, LABEL) != 0))
        code = -EACCES;
    if (code == 0)
        code = choose(proven.nonce);
    if (code != 0)
        return code;
    mac_of(secret, of_client, asked.nonce, proven.nonce, proven.mac);
    code = say(fd, &proven, sizeof proven);
    if (code == 0)
        code = take(fd, &verdict, sizeof verdict, end);
    if (code != 0)
        return code;
    mac_of(secret, of_listener, asked.nonce, proven.nonce, right);
    return verdict.size == SIZE(struct verdict) && same(right, verdict.mac) ? 0 : -EACCES;
}
