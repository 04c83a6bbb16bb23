/* The system calls that a message makes are those of a bare loop over the same mechanism, no more and no fewer, and those
 * over shared memory make none while nobody sleeps and one to wake who does. This program runs itself under strace, which
 * writes a file a thread; the messages of each mechanism lie between two calls that name it. Of ZeroMQ, whose threads wake
 * each other as they like, the calls of the library are counted, and no system call may come but the library's. Skipped
 * where strace cannot trace. */
#include "base/params.h"
#include "base/registry.h"
#include "tests/truth/bare_calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

enum { MESSAGES = 40, SLEEPS = 5, NAMES = 16 };

#define MECHANISMS (sizeof mechanisms / sizeof mechanisms[0])
static const char *const waits[] = {"block", "spin"};
static const char *const sleepers[] = {"futex", "posix-sem-shm", "mutex-cond", "shm-ring"};

/* Under strace */

static void mark(const char *what, const char *channel, const char *how)
{
    char name[96];
    (void)snprintf(name, sizeof name, "/prony-%s/%s/%s", what, channel, how);
    (void)access(name, F_OK);
}

#ifdef PRONY_WITH_ZMQ
/* Stand before the library's, and leave a mark for each call that did its work. */

int zmq_send(void *socket, const void *data, size_t bytes, int flags)
{
    int (*real)(void *, const void *, size_t, int), n;
    *(void **)(void *)&real = dlsym(RTLD_NEXT, "zmq_send");
    n = real(socket, data, bytes, flags);
    if (n >= 0)
        mark("call", "zmq_send", "");
    return n;
}

int zmq_recv(void *socket, void *data, size_t bytes, int flags)
{
    int (*real)(void *, void *, size_t, int), n;
    *(void **)(void *)&real = dlsym(RTLD_NEXT, "zmq_recv");
    n = real(socket, data, bytes, flags);
    if (n >= 0)
        mark("call", "zmq_recv", "");
    return n;
}
#endif

/* Names the threads that are not this one. */
static void name_helpers(const struct mechanism *mechanism, const char *how)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    char name[64];
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.' || atol(entry->d_name) == syscall(SYS_gettid))
            continue;
        (void)snprintf(name, sizeof name, "%s/%.20s", how, entry->d_name);
        mark("helper", mechanism->channel, name);
    }
    if (folder != NULL)
        (void)closedir(folder);
}

/* Both sides of one mechanism, bare or of the channel. */
struct sides {
    const struct mechanism *mechanism;
    const char *how;
    struct bare bare;
    const struct prony_channel *channel; /* NULL: bare */
    void *end[2];
    bool good;
};

static bool pass(struct sides *sides, char *data)
{
    if (sides->channel == NULL)
        return sides->mechanism->pass(&sides->bare, data);
    return sides->channel->send(sides->end[0], data, BYTES, -1) == BYTES &&
           (sides->mechanism->answer != NULL || sides->channel->recv(sides->end[1], data, BYTES, -1) == BYTES);
}

static bool answer(struct sides *sides, char *data)
{
    if (sides->channel == NULL)
        return sides->mechanism->answer(&sides->bare, data);
    return sides->channel->recv(sides->end[1], data, BYTES, -1) == BYTES;
}

/* One message before the marks, for what is done once only. */
static void move_all(struct sides *sides, bool (*move)(struct sides *sides, char *data), bool *good)
{
    char data[BYTES] = "x";
    *good = move(sides, data);
    if (sides->mechanism->helped)
        name_helpers(sides->mechanism, sides->how);
    mark("mark", sides->mechanism->channel, sides->how);
    for (int i = 0; i < MESSAGES && *good; i++)
        *good = move(sides, data);
    mark("mark", sides->mechanism->channel, "end");
}

static void *other_side(void *context)
{
    struct sides *sides = context;
    move_all(sides, answer, &sides->good);
    return NULL;
}

static bool run_sides(struct sides *sides)
{
    pthread_t thread;
    bool good;
    sides->good = true;
    if (sides->mechanism->answer != NULL && pthread_create(&thread, NULL, other_side, sides) != 0)
        return false;
    move_all(sides, pass, &good);
    if (sides->mechanism->answer != NULL)
        (void)pthread_join(thread, NULL);
    return good && sides->good;
}

static int run_bare(const struct mechanism *mechanism)
{
    struct sides sides = {.mechanism = mechanism, .how = "bare"};
    bool good = mechanism->open(&sides.bare) >= 0 && run_sides(&sides);
    if (mechanism->close != NULL)
        mechanism->close(&sides.bare);
    if (!good)
        (void)fprintf(stderr, "%s: the bare loop failed\n", mechanism->channel);
    return good ? 0 : 1;
}

struct opened {
    const struct prony_channel *channel;
    struct prony_params params;
    void *handle, *end[2];
};

static bool open_channel(struct opened *opened, const char *name, const char *wait)
{
    struct prony_error error = {0, ""};
    struct prony_blob blob;
    bool good;
    opened->channel = prony_find_channel(name, &error);
    good = opened->channel != NULL && prony_params_init(&opened->params, opened->channel->head.options, &error) == 0 &&
           prony_params_set(&opened->params, "wait", wait, &error) == 0 &&
           (strcmp(name, "posix-mq") != 0 || prony_params_set(&opened->params, "message", "128", &error) == 0) &&
           opened->channel->create(&opened->params, 2, &opened->handle, &error) == 0;
    for (unsigned i = 0; i < 2 && good; i++) {
        struct prony_worker worker = {.index = i};
        good = opened->channel->address(opened->handle, i, &blob) == 0 &&
               opened->channel->attach(&blob, &worker, &opened->end[i], &error) == 0;
    }
    if (!good)
        (void)fprintf(stderr, "%s: %s\n", name, error.text);
    return good;
}

static void close_channel(struct opened *opened)
{
    for (unsigned i = 0; i < 2; i++)
        opened->channel->detach(opened->end[i]);
    opened->channel->destroy(opened->handle);
    prony_params_free(&opened->params);
}

static int run_channel(const struct mechanism *mechanism, const char *wait)
{
    struct sides sides = {.mechanism = mechanism, .how = wait};
    struct opened opened;
    bool good;
    if (!open_channel(&opened, mechanism->channel, wait))
        return 1;
    sides.channel = opened.channel;
    memcpy(sides.end, opened.end, sizeof sides.end);
    good = run_sides(&sides);
    close_channel(&opened);
    return good ? 0 : 1;
}

struct sleeper {
    struct opened opened;
    long tid;
    bool good;
};

static void *sleep_and_take(void *context)
{
    struct sleeper *sleeper = context;
    char data[BYTES];
    __atomic_store_n(&sleeper->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
    sleeper->good = true;
    for (int i = 0; i < SLEEPS && sleeper->good; i++)
        sleeper->good = sleeper->opened.channel->recv(sleeper->opened.end[1], data, BYTES, -1) == BYTES;
    return NULL;
}

/* Until the thread has been asleep in a call at several looks, for at most ten seconds. */
static void await_sleep(struct sleeper *sleeper)
{
    const struct timespec nap = {0, 1000000};
    char name[64], state;
    for (int i = 0, asleep = 0; i < 10000 && asleep < 3; i++) {
        long tid = __atomic_load_n(&sleeper->tid, __ATOMIC_ACQUIRE);
        FILE *file;
        (void)nanosleep(&nap, NULL);
        (void)snprintf(name, sizeof name, "/proc/self/task/%ld/stat", tid);
        file = fopen(name, "re");
        if (file == NULL)
            continue;
        asleep = fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'S' ? asleep + 1 : 0;
        (void)fclose(file);
    }
}

static int run_sleeper(const char *channel)
{
    struct sleeper sleeper = {.tid = 0};
    char data[BYTES] = "x";
    pthread_t thread;
    bool good;
    if (!open_channel(&sleeper.opened, channel, "block"))
        return 1;
    good = pthread_create(&thread, NULL, sleep_and_take, &sleeper) == 0;
    for (int i = 0; i < SLEEPS && good; i++) {
        await_sleep(&sleeper);
        mark("mark", channel, "sleeps");
        good = sleeper.opened.channel->send(sleeper.opened.end[0], data, BYTES, -1) == BYTES;
        mark("mark", channel, "end");
    }
    if (good)
        (void)pthread_join(thread, NULL);
    close_channel(&sleeper.opened);
    return good && sleeper.good ? 0 : 1;
}

static int be_traced(void)
{
    int code = 0;
    for (unsigned i = 0; i < MECHANISMS && code == 0; i++) {
        code = run_bare(&mechanisms[i]);
        for (unsigned k = 0; k < 2 && code == 0; k++)
            code = run_channel(&mechanisms[i], waits[k]);
    }
    for (unsigned i = 0; i < sizeof sleepers / sizeof *sleepers && code == 0; i++)
        code = run_sleeper(sleepers[i]);
    return code;
}

/* The tracer's side */

struct tally {
    char name[NAMES][32];
    unsigned count[NAMES], names;
};

static char traces[] = "/tmp/prony-calls-XXXXXX";

static void add(struct tally *tally, const char *name)
{
    unsigned i = 0;
    while (i < tally->names && strcmp(tally->name[i], name) != 0)
        i++;
    assert_true(i < NAMES);
    if (i == tally->names)
        (void)snprintf(tally->name[tally->names++], sizeof tally->name[0], "%s", name);
    tally->count[i]++;
}

static bool is_among(const char *name, const char *list)
{
    char word[40];
    (void)snprintf(word, sizeof word, " %s ", name);
    return strstr(list, word) != NULL;
}

/* One call. Of two threads, one may look before there is anything, and sleeps when it must. */
static void add_line(const struct mechanism *about, const char *line, struct tally *tally)
{
    const char *call = strstr(line, "\"/prony-call/");
    char name[32];
    if (call != NULL && sscanf(call, "\"/prony-call/%31[a-z_]", name) == 1) {
        add(tally, name);
        return;
    }
    if (sscanf(line, "%31[a-z0-9_](", name) != 1 || strcmp(name, "restart_syscall") == 0 ||
        is_among(name, about->library))
        return;
    if ((about->helped || about->answer != NULL) && (strstr(line, "EAGAIN") != NULL || strstr(line, "Timeout") != NULL))
        return;
    if (!about->helped || strcmp(name, "futex") != 0)
        add(tally, name);
}

/* A thread of the mechanism's own: its first message was before the marks, and beginning and ending are no message's. */
static void add_helper(const struct mechanism *about, const char *thread, struct tally *tally)
{
    char line[1024], path[96], name[32];
    FILE *file;
    (void)snprintf(path, sizeof path, "%s/trace.%s", traces, thread);
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%31[a-z0-9_](", name) == 1 &&
            !is_among(name, " rseq set_robust_list rt_sigprocmask mmap munmap mprotect madvise exit "))
            add_line(about, line, tally);
    (void)fclose(file);
}

static void read_file(const char *path, const struct mechanism *about, const char *how, struct tally *tally,
                      struct tally *helpers)
{
    FILE *file = fopen(path, "re");
    char line[1024], begin[96], helper[96];
    bool inside = false;
    assert_non_null(file);
    (void)snprintf(begin, sizeof begin, "\"/prony-mark/%s/%s\"", about->channel, how);
    (void)snprintf(helper, sizeof helper, "\"/prony-helper/%s/%s/", about->channel, how);
    while (fgets(line, sizeof line, file) != NULL) {
        char *at = strstr(line, helper);
        if (at != NULL) {
            at += strlen(helper);
            at[strspn(at, "0123456789")] = '\0';
            add_helper(about, at, helpers);
        } else if (strstr(line, begin) != NULL) {
            inside = true;
        } else if (strstr(line, "\"/prony-mark/") != NULL) {
            inside = false;
        } else if (inside) {
            add_line(about, line, tally);
        }
    }
    (void)fclose(file);
}

/* The calls between the marks, of all threads, and those of helpers. A call that a signal cut in two counts once. */
static void read_tally(const struct mechanism *about, const char *how, struct tally *tally, struct tally *helpers)
{
    char pattern[64];
    glob_t found;
    memset(tally, 0, sizeof *tally);
    memset(helpers, 0, sizeof *helpers);
    (void)snprintf(pattern, sizeof pattern, "%s/trace.*", traces);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_file(found.gl_pathv[i], about, how, tally, helpers);
    globfree(&found);
}

static unsigned count_of(const struct tally *tally, const char *name)
{
    for (unsigned i = 0; i < tally->names; i++)
        if (strcmp(tally->name[i], name) == 0)
            return tally->count[i];
    return 0;
}

static void same(const char *channel, const char *wait, const struct tally *bare, const struct tally *ours)
{
    for (unsigned i = 0; i < ours->names; i++)
        if (ours->count[i] != count_of(bare, ours->name[i]) && strcmp(ours->name[i], "getpid") != 0)
            fail_msg("%s wait=%s: %u calls of %s, bare %u", channel, wait, ours->count[i], ours->name[i],
                     count_of(bare, ours->name[i]));
    for (unsigned i = 0; i < bare->names; i++)
        if (bare->count[i] != count_of(ours, bare->name[i]) && strncmp(bare->name[i], "get", 3) != 0)
            fail_msg("%s wait=%s: %u calls of %s, bare %u", channel, wait, count_of(ours, bare->name[i]), bare->name[i],
                     bare->count[i]);
}

static void calls_are_those_of_a_bare_loop(void **state)
{
    struct tally bare, ours, helpers[2];
    (void)state;
    for (unsigned i = 0; i < MECHANISMS; i++) {
        const struct mechanism *about = &mechanisms[i];
        read_tally(about, "bare", &bare, &helpers[0]);
        assert_true((bare.names > 0) == (about->pass != none_pass));
        assert_true((helpers[0].names > 0) == about->helped);
        for (unsigned j = 0; j < bare.names; j++)
            if (bare.count[j] % MESSAGES != 0 || bare.count[j] > 2 * MESSAGES)
                fail_msg("%s, bare: %u calls of %s", about->channel, bare.count[j], bare.name[j]);
        for (unsigned k = 0; k < 2; k++) {
            read_tally(about, waits[k], &ours, &helpers[1]);
            same(about->channel, waits[k], &bare, &ours);
            same(about->channel, waits[k], &helpers[0], &helpers[1]);
        }
    }
}

/* A sleeper that looked up just then needs no wake: at most one call a message, and not none at all. */
static void a_sleeper_costs_one_call(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof sleepers / sizeof *sleepers; i++) {
        const struct mechanism about = {.channel = sleepers[i], .library = ""};
        struct tally ours, helpers;
        read_tally(&about, "sleeps", &ours, &helpers);
        if (ours.names != 1 || strcmp(ours.name[0], "futex") != 0 || ours.count[0] > SLEEPS)
            fail_msg("%s: %u kinds of calls, %u of %s, for %d messages to a sleeper", about.channel, ours.names,
                     ours.count[0], ours.name[0], SLEEPS);
    }
}

static void clear_traces(void)
{
    char pattern[64];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/trace.*", traces);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            (void)unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    (void)rmdir(traces);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_those_of_a_bare_loop),
        cmocka_unit_test(a_sleeper_costs_one_call),
    };
    char command[512], self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int failed;
    if (argc > 1 && strcmp(argv[1], "traced") == 0)
        return be_traced();
#ifdef PRONY_SANITIZED
    print_message("skipped: a sanitizer makes calls of its own\n");
    return 77;
#endif
    if (system("strace -o /dev/null true >/dev/null 2>&1") != 0) {
        print_message("skipped: strace is not installed or may not trace here\n");
        return 77;
    }
    if (n <= 0 || mkdtemp(traces) == NULL)
        return 1;
    self[n] = '\0';
    (void)snprintf(command, sizeof command, "strace -ff -o %s/trace '%s' traced", traces, self);
    if (system(command) != 0) {
        print_message("the traced run failed\n");
        failed = 1;
    } else {
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    clear_traces();
    return failed;
}
