/* Names of processes, who started whom, and which of them live; by each start method. */
#include <prony/pipe.h>
#include <prony/process.h>

#include "tests/unit/family.h"

#include <errno.h>
#include <stdio.h>

enum { METHODS = 3 };

/* What a child says of itself and its parent. */
struct word {
    struct prony_self self;
    int code, parent, alive, children;
};

static struct word say(void)
{
    struct word word = {.self = *prony_process_current(), .alive = -1};
    int sentinel = -1;
    word.code = prony_process_parent(&word.parent, &sentinel);
    if (word.code == 0)
        word.alive = prony_pipe_poll(sentinel, 0) == -ETIMEDOUT;
    word.children = (int)prony_process_active(NULL, 0);
    return word;
}

static int tell(const struct prony_birth *birth)
{
    const struct word word = say();
    char end;
    if (prony_pipe_send(birth->fds[0], &word, sizeof word, LONG_NS) != 0)
        return 1;
    return prony_pipe_receive(birth->fds[0], &end, 1, NULL, LONG_NS) == 0 ? 0 : 2; /* stays until it is let go */
}

static struct prony_process start(unsigned method, const char *entry, const char *name, int end)
{
    const struct prony_start wish = {
        .method = (enum prony_start_method)method, .entry = entry, .birth = {NULL, 0, &end, 1}, .name = name};
    struct prony_process process;
    struct prony_error error = {0, ""};
    if (prony_process_start(&process, &wish, &error) != 0)
        fail_msg("%s", error.text);
    return process;
}

/* Starts one that outlives it, says its own number, waits for the other's first word, and ends. */
static int leave(const struct prony_birth *birth)
{
    const struct prony_start wish = {.method = (enum prony_start_method)(*(const unsigned char *)birth->arg),
                                     .entry = "orphan",
                                     .birth = {NULL, 0, birth->fds, 1}};
    struct prony_process process;
    const int pid = getpid();
    char go;
    if (prony_process_start(&process, &wish, NULL) != 0 ||
        prony_pipe_send(birth->fds[0], &pid, sizeof pid, LONG_NS) != 0)
        return 1;
    return prony_pipe_receive(birth->fds[0], &go, 1, NULL, LONG_NS) == 0 ? 0 : 2;
}

/* Asks for its parent while that lives, lets it go, and says whether its sentinel told the end. */
static int orphan(const struct prony_birth *birth)
{
    struct word word = say();
    int sentinel, parent;
    if (prony_pipe_send(birth->fds[0], &word, sizeof word, LONG_NS) != 0 ||
        prony_process_parent(&parent, &sentinel) != 0)
        return 1;
    word.code = prony_pipe_poll(sentinel, LONG_NS);
    return prony_pipe_send(birth->fds[0], &word, sizeof word, LONG_NS) == 0 ? 0 : 2;
}

static const struct prony_entry entries[] = {{"tell", tell}, {"leave", leave}, {"orphan", orphan}, {NULL, NULL}};

static void names_and_parents(void **state)
{
    (void)state;
    for (unsigned method = 0; method < METHODS; method++)
        for (unsigned named = 0; named < 2; named++) {
            const char *name = named ? "a worker of mine" : NULL, *is = named ? name : "tell";
            struct prony_error error = {0, ""};
            struct prony_pipe ends;
            struct prony_process process;
            struct word word;
            assert_int_equal(prony_pipe_make(&ends, 1, &error), 0);
            process = start(method, "tell", name, ends.fd[1]);
            assert_string_equal(process.name, is);
            assert_int_equal(prony_pipe_receive(ends.fd[0], &word, sizeof word, NULL, LONG_NS), 0);
            assert_string_equal(word.self.name, is);
            assert_int_equal(word.self.pid, process.pid);
            assert_int_equal(word.self.daemon, 0);
            assert_int_equal(word.code, 0);
            assert_int_equal(word.parent, getpid()); /* by forkserver, too */
            assert_int_equal(word.alive, 1);
            assert_int_equal(word.children, 0);
            assert_int_equal(prony_pipe_send(ends.fd[0], "", 1, LONG_NS), 0);
            assert_int_equal(prony_process_join(&process, LONG_NS), 0);
            assert_int_equal(process.exit_code, 0);
            assert_int_equal(prony_process_close(&process), 0);
            (void)close(ends.fd[0]);
            (void)close(ends.fd[1]);
        }
}

static void the_first_process_has_no_parent(void **state)
{
    const struct word word = say();
    (void)state;
    assert_string_equal(word.self.name, "main");
    assert_int_equal(word.self.pid, getpid());
    assert_int_equal(word.code, -ENOENT);
}

static void a_parents_end_is_seen(void **state)
{
    (void)state;
    for (unsigned char method = 0; method < METHODS; method++) {
        struct prony_error error = {0, ""};
        struct prony_pipe ends;
        struct prony_process process;
        struct word word;
        int pid;
        assert_int_equal(prony_pipe_make(&ends, 1, &error), 0);
        {
            const struct prony_start wish = {
                .method = PRONY_START_FORK, .entry = "leave", .birth = {&method, 1, &ends.fd[1], 1}};
            assert_int_equal(prony_process_start(&process, &wish, &error), 0);
        }
        for (unsigned i = 0; i < 2; i++) { /* in either order: the parent's number, its child's word */
            unsigned char message[sizeof word];
            size_t got;
            assert_int_equal(prony_pipe_receive(ends.fd[0], message, sizeof message, &got, LONG_NS), 0);
            memcpy(got == sizeof pid ? (void *)&pid : (void *)&word, message, got);
        }
        assert_int_equal(pid, process.pid);
        assert_int_equal(word.parent, pid);
        assert_int_equal(word.alive, 1);
        assert_int_equal(prony_process_is_alive(&process), 1);
        assert_int_equal(prony_pipe_send(ends.fd[0], "", 1, LONG_NS), 0);
        assert_int_equal(prony_process_join(&process, LONG_NS), 0);
        assert_int_equal(prony_pipe_receive(ends.fd[0], &word, sizeof word, NULL, LONG_NS), 0);
        assert_int_equal(word.code, 0);
        assert_int_equal(prony_process_close(&process), 0);
        (void)close(ends.fd[0]);
        (void)close(ends.fd[1]);
    }
}

static void active_children_are_listed(void **state)
{
    enum { MANY = 40 };
    struct prony_error error = {0, ""};
    struct prony_process process[MANY];
    struct prony_child list[MANY];
    struct prony_pipe ends[MANY];
    (void)state;
    assert_int_equal(prony_process_active(NULL, 0), 0);
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "child-%u", i);
        assert_int_equal(prony_pipe_make(&ends[i], 1, &error), 0);
        process[i] = start(i < 4 ? i % METHODS : PRONY_START_FORK, "tell", name, ends[i].fd[1]);
        assert_int_equal(prony_process_active(list, 1), i + 1);
        assert_string_equal(list[0].name, "child-0");
    }
    assert_int_equal(prony_process_active(list, MANY), MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(list[i].pid, process[i].pid);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(prony_pipe_send(ends[i].fd[0], "", 1, LONG_NS), 0);
        assert_int_equal(prony_process_join(&process[i], LONG_NS), 0);
        assert_int_equal(process[i].exit_code, 0);
        assert_int_equal(prony_process_active(NULL, 0), MANY - 1 - i); /* ended, though not closed */
        if (i % 2 == 0)
            assert_int_equal(prony_process_close(&process[i]), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(prony_process_close(&process[i]), 0);
        (void)close(ends[i].fd[0]);
        (void)close(ends[i].fd[1]);
    }
    assert_int_equal(prony_process_active(NULL, 0), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_parents),
        cmocka_unit_test(the_first_process_has_no_parent),
        cmocka_unit_test(a_parents_end_is_seen),
        cmocka_unit_test(active_children_are_listed),
    };
    int code;
    if (prony_process_enter(argc, argv, entries, &code))
        return code;
    (void)alarm(200);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
