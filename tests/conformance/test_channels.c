/* Every channel of the registry: messages arrive whole and unchanged in both directions, between threads and between
 * processes, under every wait policy; limits end in time; a dead peer is told of. */
#include "base/clock.h"
#include "base/params.h"
#include "base/registry.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ENDS = 2, PLENTY = 1 << 20 };
#define LONG_NS 60000000000 /* what lasts this long hangs */

static const size_t sizes[] = {1, 0, 7, 64, 4096, 4097, 65536, 65537, 300001, PLENTY};
#define SIZES (sizeof sizes / sizeof sizes[0])

struct line {
    const struct prony_channel *channel;
    uint64_t largest; /* 0: any */
    struct prony_params params;
    void *handle;
    struct prony_blob blob[ENDS];
    struct prony_error error;
};

/* What the same code does under other options: small buffers make short reads and writes, and full ones. */
static const struct variant {
    const char *channel, *option[2][2];
} variants[] = {
    {"shm-ring", {{"memory", "posix"}}},
    {"shm-ring", {{"memory", "sysv"}}},
    {"shm-ring", {{"memory", "file"}}},
    {"shm-ring", {{"layout", "bytes"}}},
    {"shm-ring", {{"layout", "bytes"}, {"capacity", "4Ki"}}},
    {"shm-ring", {{"nontemporal", "256"}, {"capacity", "4Ki"}}},
    {"pipe", {{"capacity", "4Ki"}}},
    {"fifo", {{"capacity", "4Ki"}}},
    {"tcp", {{"buffer", "64Ki"}}},
    {"unix-stream", {{"buffer", "4Ki"}}},
    {"unix-dgram", {{"buffer", "8Ki"}}},
    {"unix-seqpacket", {{"buffer", "8Ki"}}},
    {"posix-mq", {{"message", "64"}, {"depth", "4"}}},
    {"futex", {{"slot", "4Ki"}, {"slots", "4"}}},
    {"posix-sem-shm", {{"slot", "4Ki"}, {"slots", "4"}}},
};
static const struct variant *variant; /* NULL: the defaults */

static void open_line(struct line *line, const struct prony_channel *channel, const char *wait)
{
    memset(line, 0, sizeof *line);
    line->channel = channel;
    assert_int_equal(prony_params_init(&line->params, channel->head.options, &line->error), 0);
    if (wait != NULL)
        assert_int_equal(prony_params_set(&line->params, "wait", wait, &line->error), 0);
    for (unsigned i = 0; variant != NULL && i < 2 && variant->option[i][0] != NULL; i++)
        assert_int_equal(prony_params_set(&line->params, variant->option[i][0], variant->option[i][1], &line->error),
                         0);
    line->largest = channel->largest;
    if (channel->limit != NULL) {
        line->largest = (uint64_t)channel->limit(&line->params, &line->error);
        assert_true(line->largest == 0 || strlen(line->error.text) > 10);
    }
    assert_int_equal(channel->create(&line->params, ENDS, &line->handle, &line->error), 0);
    for (unsigned i = 0; i < ENDS; i++)
        assert_int_equal(channel->address(line->handle, i, &line->blob[i]), 0);
}

static void close_line(struct line *line)
{
    line->channel->destroy(line->handle);
    prony_params_free(&line->params);
}

static void *attach(struct line *line, unsigned end)
{
    struct prony_worker worker = {.index = end};
    void *attached = NULL;
    return line->channel->attach(&line->blob[end], &worker, &attached, &line->error) == 0 ? attached : NULL;
}

/* Calls `check` for each channel and each wait policy that it offers. */
static void each(void (*check)(const struct prony_channel *, const char *wait))
{
    const struct prony_head *head;
    variant = NULL; /* a check that failed does not come back */
    for (unsigned i = 0; (head = prony_registry_at(PRONY_CHANNEL, i)) != NULL; i++) {
        const struct prony_channel *channel = (const struct prony_channel *)(const void *)head;
        const struct prony_option *wait = prony_option_find(head->options, "wait");
        if ((head->caps & PRONY_CHANNEL_PYTHON) != 0)
            continue; /* see needs_python */
        if (wait == NULL || wait->choices == NULL)
            check(channel, NULL);
        else
            for (const char *const *choice = wait->choices; *choice != NULL; choice++)
                check(channel, *choice);
    }
}

/* The same for each variant, blocking: a spinner would hold the CPU that the other side of a small buffer needs. */
static void each_variant(void (*check)(const struct prony_channel *, const char *wait))
{
    for (unsigned i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        struct prony_error error;
        const struct prony_channel *channel = prony_find_channel(variants[i].channel, &error);
        assert_non_null(channel);
        variant = &variants[i];
        check(channel, "block");
        variant = NULL;
    }
}

static unsigned char byte_of(size_t at, size_t size)
{
    return (unsigned char)(at * 31 + size * 7 + (at >> 8));
}

/* Sends every size that the channel takes and gets it back with all bits turned over. 0, or which size went wrong. */
static int lead(const struct line *line, void *end)
{
    const struct prony_channel *channel = line->channel;
    unsigned char *data = malloc(PLENTY);
    int wrong = data == NULL;
    for (unsigned i = 0; i < SIZES && !wrong; i++) {
        size_t size = sizes[i];
        if (line->largest != 0 && size > line->largest)
            continue;
        for (size_t at = 0; at < size; at++)
            data[at] = byte_of(at, size);
        wrong |= channel->send(end, data, size, i % 2 == 0 ? -1 : LONG_NS) != (int64_t)size;
        memset(data, 0, size);
        wrong |= channel->recv(end, data, size, i % 2 == 0 ? LONG_NS : -1) != (int64_t)size;
        for (size_t at = 0; at < size; at++)
            wrong |= data[at] != (unsigned char)~byte_of(at, size);
        wrong = wrong ? (int)i + 1 : 0;
    }
    free(data);
    return wrong;
}

static int follow(const struct line *line, void *end)
{
    const struct prony_channel *channel = line->channel;
    unsigned char *data = malloc(PLENTY);
    int wrong = data == NULL;
    for (unsigned i = 0; i < SIZES && !wrong; i++) {
        size_t size = sizes[i];
        if (line->largest != 0 && size > line->largest)
            continue;
        wrong |= channel->recv(end, data, size, i % 3 == 0 ? -1 : LONG_NS) != (int64_t)size;
        for (size_t at = 0; at < size; at++)
            data[at] = (unsigned char)~data[at];
        wrong |= channel->send(end, data, size, i % 3 == 0 ? LONG_NS : -1) != (int64_t)size;
    }
    free(data);
    return wrong;
}

static void *follow_in_thread(void *context)
{
    struct line *line = context;
    void *end = attach(line, 1);
    int wrong = end == NULL || follow(line, end);
    if (end != NULL)
        line->channel->detach(end);
    return wrong ? line : NULL;
}

static void check_threads(const struct prony_channel *channel, const char *wait)
{
    struct line line;
    pthread_t thread;
    void *end, *wrong = NULL;
    if ((channel->head.caps & PRONY_CHANNEL_THREADS) == 0)
        return;
    open_line(&line, channel, wait);
    assert_int_equal(pthread_create(&thread, NULL, follow_in_thread, &line), 0);
    end = attach(&line, 0);
    assert_non_null(end);
    assert_int_equal(lead(&line, end), 0);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    channel->detach(end);
    close_line(&line);
}

/* In a child: takes end 1 and lets go of all that it inherited. */
static void *enter(struct line *line)
{
    void *end = attach(line, 1);
    for (unsigned i = 0; i < ENDS && line->channel->forget != NULL; i++)
        line->channel->forget(&line->blob[i]);
    return end;
}

static void check_processes(const struct prony_channel *channel, const char *wait)
{
    struct line line;
    int status;
    void *end;
    pid_t pid;
    if ((channel->head.caps & PRONY_CHANNEL_PROCESSES) == 0)
        return;
    open_line(&line, channel, wait);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int wrong = 99;
        end = enter(&line);
        if (end != NULL) {
            wrong = follow(&line, end);
            channel->detach(end); /* what a channel sends by a thread of its own is on its way only then */
        }
        _exit(wrong);
    }
    end = attach(&line, 0);
    assert_non_null(end);
    assert_int_equal(lead(&line, end), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    channel->detach(end);
    close_line(&line);
}

/* Nobody sends, and later nobody receives: both end by their limits, neither early nor never. */
static void check_limits(const struct prony_channel *channel, const char *wait)
{
    enum { LIMIT_NS = 20000000, ROUNDS = 4096 };
    static unsigned char data[65536];
    struct line line;
    uint64_t begun;
    int64_t code = 0;
    void *end;
    open_line(&line, channel, wait);
    end = attach(&line, 0);
    assert_non_null(end);
    begun = prony_now_ns();
    assert_int_equal(channel->recv(end, data, 64, LIMIT_NS), -ETIMEDOUT);
    assert_true(prony_now_ns() - begun >= LIMIT_NS);
    assert_int_equal(channel->recv(end, data, 64, 0), -ETIMEDOUT);
    for (int i = 0; i < ROUNDS && code >= 0; i++)
        code = channel->send(end, data, line.largest != 0 && line.largest < sizeof data ? 64 : sizeof data, LIMIT_NS);
    if ((channel->head.caps & (PRONY_CHANNEL_LOSSY | PRONY_CHANNEL_COALESCES)) == 0)
        assert_int_equal(code, -ETIMEDOUT);
    channel->detach(end);
    close_line(&line);
}

/* Where there are boundaries each receive takes one message, and a buffer that is too small costs that one alone. */
static void check_boundaries(const struct prony_channel *channel, const char *wait)
{
    static const size_t lengths[] = {3, 0, 64, 1};
    unsigned char data[4096] = {7, 8, 9};
    struct line line;
    void *end[ENDS];
    if ((channel->head.caps & (PRONY_CHANNEL_STREAM | PRONY_CHANNEL_COALESCES | PRONY_CHANNEL_RENDEZVOUS)) != 0)
        return; /* one thread alone cannot meet itself */
    open_line(&line, channel, wait);
    for (unsigned i = 0; i < ENDS; i++)
        assert_non_null(end[i] = attach(&line, i));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(channel->send(end[1], data, lengths[i], LONG_NS), (int64_t)lengths[i]);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(channel->recv(end[0], data, sizeof data, LONG_NS), (int64_t)lengths[i]);
    assert_int_equal(channel->send(end[0], data, 64, LONG_NS), 64);
    assert_int_equal(channel->send(end[0], "ab", 2, LONG_NS), 2);
    assert_int_equal(channel->recv(end[1], data, 32, LONG_NS), -EMSGSIZE);
    assert_int_equal(channel->recv(end[1], data, 32, LONG_NS), 2);
    assert_memory_equal(data, "ab", 2);
    for (unsigned i = 0; i < ENDS; i++)
        channel->detach(end[i]);
    close_line(&line);
}

/* What was sent before the end is received, an empty message last, and only then the end. */
static void check_last_words(const struct prony_channel *channel, const char *wait)
{
    unsigned char data[64] = {5};
    struct line line;
    void *end[ENDS];
    if ((channel->head.caps & (PRONY_CHANNEL_STREAM | PRONY_CHANNEL_COALESCES | PRONY_CHANNEL_RENDEZVOUS)) != 0)
        return;
    open_line(&line, channel, wait);
    for (unsigned i = 0; i < ENDS; i++)
        assert_non_null(end[i] = attach(&line, i));
    if (channel->settle != NULL)
        channel->settle(line.handle);
    assert_int_equal(channel->send(end[1], data, 3, -1), 3);
    assert_int_equal(channel->send(end[1], data, 0, -1), 0);
    channel->detach(end[1]);
    assert_int_equal(channel->recv(end[0], data, sizeof data, LONG_NS), 3);
    assert_int_equal(channel->recv(end[0], data, sizeof data, LONG_NS), 0);
    assert_int_equal(channel->recv(end[0], data, sizeof data, LONG_NS), -EPIPE);
    channel->detach(end[0]);
    close_line(&line);
}

/* Messages written where they lie: the same bytes come out. */
static void check_in_place(const struct prony_channel *channel, const char *wait)
{
    static const size_t lengths[] = {1, 0, 64, 100, 500, 512};
    unsigned char data[1024];
    struct line line;
    void *end[ENDS], *place;
    if ((channel->head.caps & PRONY_CHANNEL_IN_PLACE) == 0)
        return;
    assert_true(channel->reserve != NULL && channel->publish != NULL);
    open_line(&line, channel, wait);
    for (unsigned i = 0; i < ENDS; i++)
        assert_non_null(end[i] = attach(&line, i));
    for (unsigned round = 0; round < 60; round++) { /* many times around a small ring */
        size_t bytes = lengths[round % 6];
        unsigned from = round / 6 % 2;
        assert_int_equal(channel->reserve(end[from], bytes, &place), 0);
        for (size_t at = 0; at < bytes; at++)
            ((unsigned char *)place)[at] = byte_of(at, bytes + round);
        assert_int_equal(channel->publish(end[from], bytes), 0);
        assert_int_equal(channel->recv(end[1 - from], data, bytes, LONG_NS), (int64_t)bytes);
        for (size_t at = 0; at < bytes; at++)
            assert_int_equal(data[at], byte_of(at, bytes + round));
    }
    for (unsigned i = 0; i < ENDS; i++)
        channel->detach(end[i]);
    close_line(&line);
}

/* What has room takes a message, and a dying process closes one descriptor after the other: but sooner or later a send is
 * told. The alarm ends a wait in vain. */
static bool is_told(const struct line *line, void *end)
{
    static unsigned char data[65536];
    size_t bytes = line->largest != 0 && line->largest < sizeof data ? 64 : sizeof data;
    int64_t got;
    for (unsigned i = 0; (got = line->channel->send(end, data, bytes, 0)) >= 0 || got == -ETIMEDOUT; i++)
        if (i >= 500 || got == -ETIMEDOUT)
            (void)usleep(1000);
    return got == -EPIPE;
}

/* The survivor: takes the first message, says so, and must then be told that its peer is gone. */
static int survive(struct line *line, int ready)
{
    unsigned char data[64];
    void *end = attach(line, 0);
    for (unsigned i = 0; i < ENDS; i++)
        line->channel->forget(&line->blob[i]);
    if (end == NULL || line->channel->recv(end, data, sizeof data, -1) != (int64_t)sizeof data)
        return 3;
    if (write(ready, data, 1) != 1)
        return 4;
    if (line->channel->recv(end, data, sizeof data, -1) != -EPIPE)
        return 1;
    return is_told(line, end) ? 0 : 2;
}

/* The peer is killed: who sends or receives is told -EPIPE, and no SIGPIPE kills it. Both ends are processes that attach
 * their own, as workers do; this one is the host, which settles. */
static void check_death(const struct prony_channel *channel, const char *wait)
{
    unsigned char data[64] = {0};
    struct line line;
    pid_t peer, survivor;
    int ready[2], status;
    if ((channel->head.caps & PRONY_CHANNEL_PROCESSES) == 0 || channel->forget == NULL)
        return;
    open_line(&line, channel, wait);
    assert_int_equal(pipe(ready), 0);
    peer = fork();
    assert_true(peer >= 0);
    if (peer == 0) {
        void *end = enter(&line);
        (void)alarm(60);
        if (end != NULL && channel->send(end, data, sizeof data, -1) == (int64_t)sizeof data)
            for (;;)
                (void)pause();
        _exit(1);
    }
    survivor = fork();
    assert_true(survivor >= 0);
    if (survivor == 0) {
        (void)alarm(60); /* a hang is a death by SIGALRM, not a hang of the test */
        _exit(survive(&line, ready[1]));
    }
    (void)close(ready[1]);
    if (read(ready[0], data, 1) != 1)
        fail_msg("%s wait=%s: the first message did not come", channel->head.name, wait);
    if (channel->settle != NULL)
        channel->settle(line.handle);
    assert_int_equal(kill(peer, SIGKILL), 0);
    assert_int_equal(waitpid(peer, &status, 0), peer);
    assert_int_equal(waitpid(survivor, &status, 0), survivor);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s wait=%s: the survivor ended with %#x", channel->head.name, wait, (unsigned)status);
    (void)close(ready[0]);
    close_line(&line);
}

/* After detach, descriptors are those of before, and so is the signal mask, also after a send to nobody. */
static void check_tidy(const struct prony_channel *channel, const char *wait)
{
    struct line line;
    sigset_t before, after;
    int probe = dup(0), again;
    assert_true(probe >= 0);
    (void)close(probe);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &before);
    for (int i = 0; i < 3; i++) {
        unsigned char byte = 1;
        void *end;
        open_line(&line, channel, wait);
        end = attach(&line, 0);
        assert_non_null(end);
        channel->destroy(line.handle);
        (void)channel->send(end, &byte, 1, 0);
        channel->detach(end);
        prony_params_free(&line.params);
    }
    (void)pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
    again = dup(0);
    assert_int_equal(again, probe);
    (void)close(again);
}

static void check_form(const struct prony_channel *channel, const char *wait)
{
    (void)wait;
    assert_int_equal(channel->head.abi, PRONY_ABI);
    assert_int_equal(channel->head.size, sizeof *channel);
    assert_true(strlen(channel->head.summary) > 10);
    assert_true((channel->head.caps & (PRONY_CHANNEL_THREADS | PRONY_CHANNEL_PROCESSES | PRONY_CHANNEL_HOSTS)) != 0);
    assert_true((channel->head.caps &
                 (PRONY_CHANNEL_BLOCK | PRONY_CHANNEL_SPIN | PRONY_CHANNEL_ADAPTIVE | PRONY_CHANNEL_POLL)) != 0);
    assert_non_null(channel->create);
    assert_non_null(channel->address);
    assert_non_null(channel->attach);
    assert_non_null(channel->send);
    assert_non_null(channel->recv);
    assert_non_null(channel->detach);
    assert_non_null(channel->destroy);
}

static void boundaries(void **state)
{
    (void)state;
    each(check_boundaries);
    each_variant(check_boundaries);
}

/* Objects of CPython do not exist here, and the end says what it needs; tests/e2e/test_python_channels.py uses them. */
static void needs_python(void **state)
{
    const struct prony_head *head;
    unsigned seen = 0;
    (void)state;
    for (unsigned i = 0; (head = prony_registry_at(PRONY_CHANNEL, i)) != NULL; i++) {
        struct line line;
        if ((head->caps & PRONY_CHANNEL_PYTHON) == 0)
            continue;
        check_form((const struct prony_channel *)(const void *)head, NULL);
        open_line(&line, (const struct prony_channel *)(const void *)head, NULL);
        assert_null(attach(&line, 0));
        assert_int_equal(line.error.code, -ENOTSUP);
        assert_non_null(strstr(line.error.text, "python-processes"));
        print_message("%s: %s\n", head->name, line.error.text);
        close_line(&line);
        seen++;
    }
    assert_int_equal(seen, 3);
}

static void form(void **state)
{
    (void)state;
    each(check_form);
}

static void threads(void **state)
{
    (void)state;
    each(check_threads);
    each_variant(check_threads);
}

static void processes(void **state)
{
    (void)state;
    each(check_processes);
    each_variant(check_processes);
}

static void limits(void **state)
{
    (void)state;
    each(check_limits);
    each_variant(check_limits);
}

static void death(void **state)
{
    (void)state;
    each(check_death);
    each_variant(check_death);
}

static void last_words(void **state)
{
    (void)state;
    each(check_last_words);
    each_variant(check_last_words);
}

static void in_place(void **state)
{
    (void)state;
    each(check_in_place);
    each_variant(check_in_place);
}

static void tidy(void **state)
{
    (void)state;
    each(check_tidy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),      cmocka_unit_test(needs_python), cmocka_unit_test(threads),
        cmocka_unit_test(processes), cmocka_unit_test(limits),       cmocka_unit_test(boundaries),
        cmocka_unit_test(death),     cmocka_unit_test(tidy),         cmocka_unit_test(last_words),
        cmocka_unit_test(in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
