/* Launching external programs: what they say and take, how they fail, and that nothing of them is left over. */
#include "measure/launch.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct prony_error error;
static struct prony_launched launched;

static int launch_sh(const char *script, int64_t timeout_ns)
{
    char sh[] = "sh", c[] = "-c", text[512];
    char *argv[] = {sh, c, text, NULL};
    struct prony_launch launch = {.argv = argv, .timeout_ns = timeout_ns, .capture = true};
    (void)snprintf(text, sizeof text, "%s", script);
    prony_launched_free(&launched);
    memset(&error, 0, sizeof error);
    return prony_launch(&launch, &launched, &error);
}

/* No child is left, not even a zombie. */
static void assert_nothing_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_what_it_says(void **state)
{
    (void)state;
    assert_int_equal(launch_sh("echo 12; echo 13; cat; echo x >&2", 0), 0);
    assert_string_equal(launched.output, "12\n13\n"); /* cat read an empty stdin */
    assert_int_equal(launched.output_bytes, 6);
    assert_true(launched.wall_ns > 0);
    assert_nothing_left();
}

static void test_what_it_takes(void **state)
{
    (void)state;
    assert_int_equal(launch_sh("x=$(head -c 40000000 /dev/zero | tr '\\0' a); i=0; while [ $i -lt 20000 ]; do "
                               "i=$((i+1)); done",
                               0),
                     0);
    assert_true(launched.max_rss_bytes > 30000000);
    assert_true(launched.user_ns + launched.system_ns > 0);
    assert_true(launched.minor_faults > 0);
    assert_nothing_left();
}

static void test_binding(void **state)
{
    char name[] = "sh", c[] = "-c", text[] = "grep Cpus_allowed_list /proc/self/status";
    char *argv[] = {name, c, text, NULL};
    cpu_set_t set;
    int pu = 0;
    char wanted[32];
    struct prony_launch launch = {.argv = argv, .pus = &pu, .npus = 1, .capture = true};
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    while (!CPU_ISSET((size_t)pu, &set))
        pu++;
    prony_launched_free(&launched);
    assert_int_equal(prony_launch(&launch, &launched, &error), 0);
    (void)snprintf(wanted, sizeof wanted, "\t%d\n", pu);
    assert_non_null(strstr(launched.output, wanted));
}

static void test_failures(void **state)
{
    char none[] = "./no such program", *argv[] = {none, NULL};
    char folder[] = "/", *folder_argv[] = {folder, NULL};
    struct prony_launch launch = {.argv = argv};
    (void)state;
    assert_int_equal(launch_sh("echo first >&2; echo 'the reason' >&2; exit 3", 0), -EPROTO);
    assert_non_null(strstr(error.text, "exit status 3"));
    assert_non_null(strstr(error.text, "\"the reason\""));
    assert_int_equal(launch_sh("kill -SEGV $$", 0), -(PRONY_DIED + SIGSEGV));
    assert_non_null(strstr(error.text, "SIGSEGV"));
    assert_int_equal(prony_launch(&launch, &launched, &error), -ENOENT);
    assert_non_null(strstr(error.text, "no such program"));
    launch.argv = folder_argv;
    assert_int_equal(prony_launch(&launch, &launched, &error), -EACCES);
    assert_nothing_left();
}

static void test_too_much(void **state)
{
    (void)state;
    assert_int_equal(launch_sh("exec cat /dev/zero", 60000000000), -EFBIG);
    assert_nothing_left();
}

static void test_timeout(void **state)
{
    (void)state;
    assert_int_equal(launch_sh("sleep 1000 & sleep 1000", 50000000), -ETIMEDOUT);
    assert_non_null(strstr(error.text, "--timeout"));
    assert_nothing_left();
}

static volatile int stop;

static void test_interrupt(void **state)
{
    char name[] = "sleep", seconds[] = "1000", *argv[] = {name, seconds, NULL};
    struct prony_launch launch = {.argv = argv, .interrupt = &stop};
    (void)state;
    stop = 1;
    assert_int_equal(prony_launch(&launch, &launched, &error), -EINTR);
    assert_nothing_left();
}

/* Processes that outlive the program, in its group or in a session of their own, die with it. */
static void test_left_over(void **state)
{
    long in_group = 0, in_session = 0;
    (void)state;
    assert_int_equal(launch_sh("sleep 1000 & echo $!", 0), 0);
    in_group = strtol(launched.output, NULL, 10);
    assert_int_equal(launch_sh("trap 'exit 0' USR1; setsid sh -c 'echo $$; kill -USR1 $0; sleep 1000' $$ & wait", 0),
                     0);
    in_session = strtol(launched.output, NULL, 10);
    assert_true(in_group > 1 && in_session > 1);
    assert_int_equal(kill((pid_t)in_group, 0), -1);
    assert_int_equal(kill((pid_t)in_session, 0), -1);
    assert_nothing_left();
}

static int clean(void **state)
{
    (void)state;
    prony_launched_free(&launched);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says), cmocka_unit_test(test_what_it_takes), cmocka_unit_test(test_binding),
        cmocka_unit_test(test_failures),     cmocka_unit_test(test_too_much),      cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_interrupt),    cmocka_unit_test(test_left_over),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
