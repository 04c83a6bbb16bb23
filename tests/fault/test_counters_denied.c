/* What the kernel forbids costs the event or nothing: perf denied by a seccomp filter, no descriptors left, a trial
 * that crashes, hangs or says nothing. Each denial is real and happens in a child. */
#include "base/registry.h"
#include "measure/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGES = 100, CANNOT = 77 };
static const char *const events[] = {"task-clock", "page-faults", "switches", "migrations"};
enum { CLOCK, FAULTS, SWITCHES, MIGRATIONS, EVENTS };

/* From here on perf_event_open fails with `code` in this process. */
static int forbid_perf(int code)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof rules[0], rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : -errno;
}

static int no_descriptors(void)
{
    struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_NOFILE, &none) == 0 ? 0 : -errno;
}

/* Runs a check in a child; it returns 0, CANNOT, or the number of the line that was not as it should be. */
static void in_a_child(int (*check)(void))
{
    int ends[2], line = -1, status = 0;
    pid_t child;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        int result = check();
        _exit(write(ends[1], &result, sizeof result) == (ssize_t)sizeof result ? 0 : 1);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &line, sizeof line), sizeof line);
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    if (line == -CANNOT)
        skip();
    if (line != 0)
        fail_msg("line %d, in the child", line);
}

#define MUST(what)                                                                                                     \
    do {                                                                                                               \
        if (!(what))                                                                                                   \
            return __LINE__;                                                                                           \
    } while (0)

/* Exact, but for the pages of its own that the thread sanitizer's runtime touches meanwhile. */
static bool are_the_pages(int64_t faults)
{
#ifdef __SANITIZE_THREAD__
    return faults >= PAGES && faults <= PAGES + 16;
#else
    return faults == PAGES;
#endif
}

/* Without the sanitizers' own memory, whose pages would be touched too. */
static __attribute__((noinline, no_sanitize("address", "thread"))) void touch(volatile unsigned char *pages)
{
    for (int i = 0; i < PAGES; i++)
        pages[i * 4096] = 1;
}

static int64_t faults_of_touching(const struct prony_provider *software, struct prony_worker *worker,
                                  struct prony_value *values)
{
    volatile unsigned char *pages =
        mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int64_t before;
    if (pages == MAP_FAILED || software->read(worker, values, EVENTS) != 0)
        return -1;
    (void)madvise((void *)(uintptr_t)pages, PAGES * 4096, MADV_NOHUGEPAGE);
    before = values[FAULTS].value;
    touch(pages);
    if (software->read(worker, values, EVENTS) != 0)
        return -1;
    return values[FAULTS].value - before;
}

static int falls_back_in_software(void)
{
    const struct prony_provider *software = prony_find_provider("software", NULL);
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    if (forbid_perf(EPERM) != 0 || sysconf(_SC_PAGESIZE) != 4096)
        return -CANNOT;
    memset(&worker, 0, sizeof worker);
    MUST(software->enter(&worker, events, EVENTS, values, NULL) == 0);
    for (int i = 0; i < EVENTS; i++)
        MUST(values[i].status == PRONY_COUNTED);
    MUST(strcmp(values[CLOCK].source, "CLOCK_THREAD_CPUTIME_ID") == 0);
    MUST(strcmp(values[FAULTS].source, "getrusage") == 0);
    MUST(strcmp(values[SWITCHES].source, "getrusage") == 0);
    MUST(strcmp(values[MIGRATIONS].source, "/proc") == 0);
    (void)faults_of_touching(software, &worker, values);
    MUST(are_the_pages(faults_of_touching(software, &worker, values)));
    MUST(values[CLOCK].value > 0);
    software->leave(&worker);
    return 0;
}

static int gives_papi_events_the_reason(void)
{
    static const char *const hardware[] = {"PAPI_TOT_INS", "PAPI_TOT_CYC"};
    const struct prony_provider *papi = prony_find_provider("papi", NULL);
    struct prony_worker worker;
    struct prony_value values[2];
    struct prony_method method;
    struct prony_error error = {0, ""};
    if (papi == NULL || forbid_perf(EPERM) != 0)
        return -CANNOT;
    memset(&worker, 0, sizeof worker);
    memset(&method, 0, sizeof method);
    MUST(papi->enter(&worker, hardware, 2, values, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        MUST(values[i].status == PRONY_DENIED && values[i].value == 0);
        MUST(strstr(values[i].reason, "EPERM") != NULL && strstr(values[i].reason, "CAP_PERFMON") != NULL);
    }
    papi->leave(&worker);
    MUST(prony_counters_choose("papi", &method, &error) == 0); /* asked for by name: counted as null, no error */
    MUST(strcmp(method.provider->head.name, "papi") == 0);
    MUST(prony_counters_choose("auto", &method, &error) == 0);
    MUST(strcmp(method.provider->head.name, "software") == 0);
    MUST(strstr(method.provider_why, "perf_event_paranoid") != NULL);
    prony_list_free(&method.events);
    return 0;
}

static int counts_without_descriptors(void)
{
    const struct prony_provider *software = prony_find_provider("software", NULL);
    struct prony_worker worker;
    struct prony_value values[EVENTS];
    if (no_descriptors() != 0 || sysconf(_SC_PAGESIZE) != 4096)
        return -CANNOT;
    memset(&worker, 0, sizeof worker);
    MUST(software->enter(&worker, events, EVENTS, values, NULL) == 0);
    MUST(values[CLOCK].status == PRONY_COUNTED && values[FAULTS].status == PRONY_COUNTED);
    MUST(values[MIGRATIONS].status == PRONY_NO_COUNTER && values[MIGRATIONS].reason[0] != '\0');
    (void)faults_of_touching(software, &worker, values);
    MUST(are_the_pages(faults_of_touching(software, &worker, values)));
    software->leave(&worker);
    return 0;
}

static void perf_denied_software_falls_back(void **state)
{
    (void)state;
    in_a_child(falls_back_in_software);
}

static void perf_denied_papi_says_why(void **state)
{
    (void)state;
    in_a_child(gives_papi_events_the_reason);
}

static void no_descriptors_left(void **state)
{
    (void)state;
    in_a_child(counts_without_descriptors);
}

static int crash(struct prony_error *error)
{
    (void)error;
    (void)signal(SIGABRT, SIG_DFL);
    (void)raise(SIGABRT);
    return 0;
}

static int hang(struct prony_error *error)
{
    (void)error;
    for (;;)
        (void)pause();
    return 0;
}

static int vanish(struct prony_error *error)
{
    (void)error;
    _exit(0);
}

static int chatter(struct prony_error *error)
{
    (void)error;
    (void)printf("a library that talks\n");
    (void)fflush(stdout);
    return 0;
}

static int descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* A provider's trial may do its worst; the caller hears of it, and no process or descriptor is left. */
static void a_trial_costs_only_itself(void **state)
{
    static const struct {
        int (*trial)(struct prony_error *error);
        int code;
        const char *says;
    } worst[] = {{crash, -ENOTSUP, "died of SIGABRT"},
                 {vanish, -ENOTSUP, "without a verdict"},
                 {hang, -ENOTSUP, "did not end"},
                 {chatter, 0, ""}};
    int before = descriptors();
    (void)state;
    for (size_t i = 0; i < sizeof worst / sizeof worst[0]; i++) {
        struct prony_provider provider = {
            .head = PRONY_HEAD(struct prony_provider, .name = "mine", .summary = "does its worst")};
        struct prony_error error = {0, ""};
        provider.trial = worst[i].trial;
        assert_int_equal(prony_provider_trial(&provider, &error), worst[i].code);
        if (strstr(error.text, worst[i].says) == NULL)
            fail_msg("'%s' does not say '%s'", error.text, worst[i].says);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        assert_int_equal(descriptors(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perf_denied_software_falls_back),
        cmocka_unit_test(perf_denied_papi_says_why),
        cmocka_unit_test(no_descriptors_left),
        cmocka_unit_test(a_trial_costs_only_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
