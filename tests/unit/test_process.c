/* Processes by fork, spawn and forkserver: what they are given, how they end, and who is told. */
#include <prony/arena.h>
#include <prony/pipe.h>
#include <prony/process.h>
#include <prony/sync.h>

#include "base/clock.h"
#include "tests/unit/family.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>

static const char *const methods[] = {"fork", "spawn", "forkserver"};
enum { METHODS = 3 };

static int marked; /* written before a start: only a copy of this memory sees it */

static int give_code(const struct prony_birth *birth)
{
    return birth->bytes == 1 ? *(const unsigned char *)birth->arg : 99;
}

static int die_of(const struct prony_birth *birth)
{
    (void)raise(*(const unsigned char *)birth->arg);
    return 99;
}

static int stay(const struct prony_birth *birth)
{
    (void)birth;
    for (unsigned i = 0; i < 30; i++)
        (void)sleep(1);
    return 98;
}

static int say_marked(const struct prony_birth *birth)
{
    (void)birth;
    return marked;
}

/* How many descriptors there are beside the standard ones, the given ones and the one of the listing itself. */
static int count_fds(const struct prony_birth *birth)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        n += entry->d_name[0] != '.' && atoi(entry->d_name) > 2;
    (void)closedir(folder);
    return n - 1 - (int)birth->nfds;
}

/* Adds to a word of the arena under its lock, then says over the pipe at which offset. */
static int work_in_arena(const struct prony_birth *birth)
{
    struct prony_arena arena;
    struct prony_error error;
    struct prony_mutex *mutex;
    uint64_t off;
    if (birth->nfds != 2 || birth->bytes != sizeof off || prony_arena_attach(&arena, birth->fds[0], &error) != 0)
        return 1;
    memcpy(&off, birth->arg, sizeof off);
    mutex = (struct prony_mutex *)(void *)(arena.base + off);
    for (unsigned i = 0; i < 1000; i++) {
        if (prony_mutex_acquire(mutex, LONG_NS) != 0)
            return 2;
        ++*(uint64_t *)(void *)(mutex + 1);
        (void)prony_mutex_release(mutex);
    }
    prony_arena_close(&arena);
    return prony_pipe_send(birth->fds[1], &off, sizeof off, LONG_NS) == 0 ? 0 : 3;
}

/* Starts one by the given method that stays, says its number on the pipe, and ends without a word to it. */
static int leave_one_behind(const struct prony_birth *birth)
{
    const struct prony_start start = {*(const unsigned char *)birth->arg, "stay", {NULL, 0, NULL, 0}, 1, NULL};
    struct prony_process process;
    struct prony_error error;
    if (prony_process_start(&process, &start, &error) != 0)
        return 1;
    (void)prony_pipe_send(birth->fds[0], &process.pid, sizeof process.pid, -1);
    return 0;
}

static int try_to_have_children(const struct prony_birth *birth)
{
    struct prony_start start = {*(const unsigned char *)birth->arg, "code", {NULL, 0, NULL, 0}, 0, NULL};
    struct prony_process process;
    struct prony_error error = {0, ""};
    if (!prony_process_current()->daemon || prony_process_start(&process, &start, &error) != -EPERM)
        return 1;
    start.daemon = 1;
    return prony_process_start(&process, &start, &error) == -EPERM && strstr(error.text, "daemon") != NULL ? 0 : 2;
}

static const struct prony_entry entries[] = {
    {"code", give_code},
    {"die", die_of},
    {"stay", stay},
    {"marked", say_marked},
    {"fds", count_fds},
    {"work", work_in_arena},
    {"leave", leave_one_behind},
    {"have", try_to_have_children},
    {NULL, NULL},
};

static void start(struct prony_process *process, unsigned method, const char *entry, const struct prony_birth *birth)
{
    const struct prony_birth nothing = {NULL, 0, NULL, 0};
    const struct prony_start wish = {(enum prony_start_method)method, entry, birth != NULL ? *birth : nothing, 0, NULL};
    struct prony_error error = {0, ""};
    int code = prony_process_start(process, &wish, &error);
    if (code != 0)
        fail_msg("%s: %s", methods[method], error.text);
}

static int code_of(unsigned method, const char *entry, unsigned char argument)
{
    const struct prony_birth birth = {&argument, 1, NULL, 0};
    struct prony_process process;
    start(&process, method, entry, &birth);
    assert_int_equal(prony_process_join(&process, LONG_NS), 0);
    assert_int_equal(prony_process_join(&process, 0), 0);
    assert_false(prony_process_is_alive(&process));
    assert_int_equal(prony_process_close(&process), 0);
    return process.exit_code;
}

static void exit_codes(void **state)
{
    (void)state;
    for (unsigned method = 0; method < METHODS; method++) {
        assert_int_equal(code_of(method, "code", 0), 0);
        assert_int_equal(code_of(method, "code", 7), 7);
        assert_int_equal(code_of(method, "code", 255), 255);
        assert_int_equal(code_of(method, PRONY_ENTRY_NOTHING, 8), 8);
        assert_int_equal(code_of(method, "die", SIGKILL), -SIGKILL);
        assert_int_equal(code_of(method, "die", SIGUSR1), -SIGUSR1);
    }
}

static void ended_from_outside(void **state)
{
    (void)state;
    for (unsigned method = 0; method < METHODS; method++)
        for (unsigned hard = 0; hard < 2; hard++) {
            struct prony_process process;
            unsigned char ready = 9;
            uint64_t begun = prony_now_ns();
            start(&process, method, "stay", NULL);
            assert_true(prony_process_is_alive(&process));
            assert_int_equal(prony_process_join(&process, 0), -ETIMEDOUT);
            assert_int_equal(prony_process_join(&process, 5 * MS), -ETIMEDOUT);
            assert_true(prony_now_ns() - begun >= (uint64_t)(5 * MS));
            assert_int_equal(prony_wait_many(&process.sentinel, 1, &ready, 0), 0);
            assert_int_equal(prony_process_close(&process), -EBUSY);
            assert_int_equal(hard ? prony_process_kill(&process) : prony_process_terminate(&process), 0);
            assert_int_equal(prony_wait_many(&process.sentinel, 1, &ready, LONG_NS), 1);
            assert_int_equal(ready, 1);
            assert_int_equal(prony_process_join(&process, LONG_NS), 0);
            assert_int_equal(process.exit_code, hard ? -SIGKILL : -SIGTERM);
            assert_int_equal(prony_process_terminate(&process), 0);
            assert_int_equal(prony_process_close(&process), 0);
            assert_int_equal(prony_process_close(&process), 0);
        }
}

static void what_a_copy_sees(void **state)
{
    (void)state;
    marked = 42;
    assert_int_equal(code_of(PRONY_START_FORK, "marked", 0), 42);
    assert_int_equal(code_of(PRONY_START_SPAWN, "marked", 0), 0);
    assert_int_equal(code_of(PRONY_START_FORKSERVER, "marked", 0), 0);
    marked = 0;
}

static void clean_images_have_what_was_given(void **state)
{
    int pair[2];
    const struct prony_birth birth = {NULL, 0, pair, 2};
    (void)state;
    assert_int_equal(pipe(pair), 0); /* not close-on-exec */
    for (unsigned method = PRONY_START_SPAWN; method < METHODS; method++) {
        struct prony_process process;
        assert_int_equal(code_of(method, "fds", 0), 0);
        start(&process, method, "fds", &birth);
        assert_int_equal(prony_process_join(&process, LONG_NS), 0);
        assert_int_equal(process.exit_code, 0);
        assert_int_equal(prony_process_close(&process), 0);
    }
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void they_share_an_arena(void **state)
{
    struct prony_arena arena;
    struct prony_span span;
    struct prony_error error;
    struct prony_process processes[METHODS];
    struct prony_pipe ends;
    struct prony_mutex *mutex;
    (void)state;
    assert_int_equal(prony_arena_create(&arena, 4096, &error), 0);
    assert_int_equal(prony_arena_take(&arena, sizeof *mutex + sizeof(uint64_t), 64, &span, &error), 0);
    assert_int_equal(prony_pipe_make(&ends, 0, &error), 0);
    mutex = (struct prony_mutex *)(void *)(arena.base + span.off);
    assert_int_equal(prony_mutex_init(mutex), 0);
    for (unsigned method = 0; method < METHODS; method++) {
        const int fds[2] = {arena.fd, ends.fd[1]};
        const struct prony_birth birth = {&span.off, sizeof span.off, fds, 2};
        start(&processes[method], method, "work", &birth);
    }
    for (unsigned method = 0; method < METHODS; method++) {
        uint64_t off = 0;
        assert_int_equal(prony_pipe_receive(ends.fd[0], &off, sizeof off, NULL, LONG_NS), 0);
        assert_int_equal(off, span.off);
    }
    for (unsigned method = 0; method < METHODS; method++) {
        assert_int_equal(prony_process_join(&processes[method], LONG_NS), 0);
        assert_int_equal(processes[method].exit_code, 0);
        assert_int_equal(prony_process_close(&processes[method]), 0);
    }
    assert_int_equal(*(uint64_t *)(void *)(mutex + 1), METHODS * 1000);
    (void)close(ends.fd[0]);
    (void)close(ends.fd[1]);
    prony_arena_close(&arena);
}

/* Gone, or a zombie that its new parent has not seen yet. */
static int is_gone(int pid)
{
    char path[64], text[256] = "", *end;
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if ((file = fopen(path, "re")) == NULL)
        return 1;
    end = fgets(text, sizeof text, file) != NULL ? strrchr(text, ')') : NULL;
    (void)fclose(file);
    return end == NULL || end[2] == 'Z';
}

static void daemons_end_with_their_parent(void **state)
{
    (void)state;
    for (unsigned char method = 0; method < METHODS; method++) {
        struct prony_pipe ends;
        struct prony_process process;
        struct prony_error error;
        struct prony_birth birth = {&method, 1, &ends.fd[1], 1};
        int pid = 0;
        assert_int_equal(prony_pipe_make(&ends, 0, &error), 0);
        start(&process, PRONY_START_FORK, "leave", &birth);
        assert_int_equal(prony_pipe_receive(ends.fd[0], &pid, sizeof pid, NULL, LONG_NS), 0);
        assert_int_equal(prony_process_join(&process, LONG_NS), 0);
        assert_int_equal(process.exit_code, 0);
        for (unsigned i = 0; !is_gone(pid); i++) {
            assert_true(i < 20000);
            (void)usleep(1000);
        }
        assert_int_equal(prony_process_close(&process), 0);
        (void)close(ends.fd[0]);
        (void)close(ends.fd[1]);
    }
}

/* As in Python: its own end would leave them behind. */
static void daemons_have_no_children(void **state)
{
    (void)state;
    for (unsigned char method = 0; method < METHODS; method++) {
        const struct prony_start wish = {method, "have", {&method, 1, NULL, 0}, 1, NULL};
        struct prony_process process;
        struct prony_error error = {0, ""};
        assert_int_equal(prony_process_start(&process, &wish, &error), 0);
        assert_int_equal(prony_process_join(&process, LONG_NS), 0);
        assert_int_equal(process.exit_code, 0);
        assert_int_equal(prony_process_close(&process), 0);
    }
}

static int parent_of(int pid)
{
    char path[64], text[256] = "", *end;
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    assert_non_null(file);
    end = fgets(text, sizeof text, file) != NULL ? strrchr(text, ')') : NULL;
    (void)fclose(file);
    assert_non_null(end);
    return atoi(end + 4);
}

static void a_dead_server_is_replaced(void **state)
{
    struct prony_process process;
    int server;
    (void)state;
    start(&process, PRONY_START_FORKSERVER, "stay", NULL);
    server = parent_of(process.pid);
    assert_int_not_equal(server, getpid());
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(prony_process_join(&process, LONG_NS), 0);
    assert_int_equal(process.exit_code, PRONY_EXIT_UNKNOWN); /* nobody is left who could know */
    assert_int_equal(pidfd_send_signal(process.sentinel, SIGKILL, NULL, 0), 0);
    assert_int_equal(prony_process_close(&process), 0);
    assert_int_equal(code_of(PRONY_START_FORKSERVER, "code", 5), 5);
}

static void what_cannot_be(void **state)
{
    static char large[PRONY_BIRTH_BYTES + 1];
    struct prony_start wish = {PRONY_START_SPAWN, "nobody", {NULL, 0, NULL, 0}, 0, NULL};
    struct prony_process process;
    struct prony_error error;
    (void)state;
    assert_int_equal(prony_process_start(&process, &wish, &error), -ENOENT);
    assert_non_null(strstr(error.text, "nobody"));
    wish.entry = NULL;
    assert_int_equal(prony_process_start(&process, &wish, &error), -ENOENT);
    wish = (struct prony_start){PRONY_START_FORK, "code", {large, sizeof large, NULL, 0}, 0, NULL};
    assert_int_equal(prony_process_start(&process, &wish, &error), -EMSGSIZE);
    wish = (struct prony_start){(enum prony_start_method)7, "code", {NULL, 0, NULL, 0}, 0, NULL};
    assert_int_equal(prony_process_start(&process, &wish, &error), -EINVAL);
    assert_int_equal(prony_process_close(&process), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(ended_from_outside),
        cmocka_unit_test(what_a_copy_sees),
        cmocka_unit_test(clean_images_have_what_was_given),
        cmocka_unit_test(they_share_an_arena),
        cmocka_unit_test(daemons_end_with_their_parent),
        cmocka_unit_test(daemons_have_no_children),
        cmocka_unit_test(a_dead_server_is_replaced),
        cmocka_unit_test(what_cannot_be),
    };
    int code;
    if (prony_process_enter(argc, argv, entries, &code))
        return code;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
