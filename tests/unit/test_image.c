/* Kernels in a foreign process, without Python: an image of this process's own arena, joined by forked children. */
#include "engines/foreign.h"
#include "measure/image.h"
#include "tests/conformance/bed.h"

#include <signal.h>
#include <sys/wait.h>

/* A cell of three workers whose engine wants an area. */
static void make(struct bed *bed, const char *workload)
{
    bed_make(bed, "python-processes", workload, 3, NULL, NULL);
}

static struct prony_foreign *foreign_of(struct bed *bed)
{
    return (void *)(bed->arena.base + bed->board.area.off);
}

static void test_refusals(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_board *board;
    struct bed bed;
    (void)state;
    assert_null(prony_image_open(getpid(), 9999, &error));
    assert_true(error.code < 0 && strstr(error.text, "/proc/") != NULL);
    make(&bed, "primes");
    board = (void *)bed.arena.base;
    (void)strcpy(board->workload, "prims");
    assert_null(prony_image_open(getpid(), bed.arena.fd, &error));
    assert_int_equal(error.code, -ENOENT);
    assert_non_null(strstr(error.text, "primes"));
    (void)strcpy(board->workload, "primes");
    board->area.len = 8;
    assert_null(prony_image_open(getpid(), bed.arena.fd, &error));
    assert_int_equal(error.code, -EINVAL);
    board->magic = 0;
    assert_null(prony_image_open(getpid(), bed.arena.fd, &error));
    assert_int_equal(error.code, -EINVAL);
    assert_non_null(strstr(error.text, "board"));
    bed_free(&bed);
}

static void test_call(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_task task = {.ref = {1, 0}, .lo = 41, .hi = 42};
    struct prony_future *future;
    struct prony_image *image;
    struct bed bed;
    (void)state;
    make(&bed, "empty");
    image = prony_image_open(getpid(), bed.arena.fd, &error);
    if (image == NULL)
        fail_msg("%s", error.text);
    future = bed_future(&bed, 41);
    task.future = bed.offsets[41];
    task.ticket = 7;
    future->state = 7 << 2 | PRONY_QUEUED;
    assert_int_equal(prony_kernel_call(image, &task), -EINVAL); /* not joined */
    assert_int_equal(prony_image_join(image, 2, 5), 2);
    assert_int_equal(bed_slots(&bed)[2].pid, getpid());
    assert_int_equal(bed_slots(&bed)[2].generation, 5);
    task.ticket = 6; /* an earlier use of the future */
    assert_int_equal(prony_kernel_call(image, &task), -ECANCELED);
    assert_int_equal(bed_slots(&bed)[2].items, 0);
    task.ticket = 7;
    assert_int_equal(prony_kernel_call(image, &task), 0);
    assert_int_equal(future->value, 41);
    assert_int_equal(future->worker, 2);
    assert_int_equal(future->generation, 5);
    assert_int_equal(prony_future_phase(future), PRONY_RUNNING); /* the engine makes it DONE */
    assert_true(future->begun_ns != 0 && future->begun_ns <= future->ended_ns);
    assert_int_equal(bed_slots(&bed)[2].items, 1);
    assert_int_equal(prony_kernel_call(image, &task), -ECANCELED);
    task.ref.workload = 2;
    assert_int_equal(prony_kernel_call(image, &task), -EINVAL);
    assert_int_equal(prony_image_join(image, 3, 1), -EUSERS);
    prony_image_close(image);
    bed_free(&bed);
}

/* A worker that does the work itself: the task is claimed, held, and counted at its end; a map's chunk has no future. */
static void test_begin_and_end(void **state)
{
    struct prony_error error = {0, ""};
    struct prony_task task = {.ref = {1, 0}, .lo = 5, .hi = 8, .ticket = 1};
    struct prony_image *image;
    struct bed bed;
    uint64_t bytes = 0;
    (void)state;
    make(&bed, "empty");
    image = prony_image_open(getpid(), bed.arena.fd, &error);
    assert_non_null(image);
    assert_string_equal(prony_image_workload(image), "empty");
    assert_memory_equal(prony_image_memory(image, &bytes), bed.arena.base, sizeof(struct prony_board));
    assert_int_equal(bytes, bed.arena.bytes);
    assert_int_equal(prony_kernel_begin(image, &task), -EINVAL); /* not joined */
    assert_int_equal(prony_image_join(image, 1, 1), 1);
    assert_int_equal(prony_kernel_begin(image, &task), 0);
    assert_int_equal(bed_slots(&bed)[1].lo, 5);
    prony_kernel_end(image, &task);
    assert_int_equal(bed_slots(&bed)[1].lo, -1);
    assert_int_equal(bed_slots(&bed)[1].items, 3);
    task.future = bed.offsets[0];
    assert_int_equal(prony_kernel_begin(image, &task), -ECANCELED); /* nobody queued it */
    bed_future(&bed, 0)->state = 1 << 2 | PRONY_QUEUED;
    assert_int_equal(prony_kernel_begin(image, &task), 0);
    assert_int_equal(bed_slots(&bed)[1].held, task.future);
    assert_int_equal(bed_future(&bed, 0)->worker, 1);
    prony_kernel_end(image, &task);
    assert_int_equal(bed_slots(&bed)[1].held, 0);
    assert_int_equal(bed_slots(&bed)[1].items, 6);
    assert_true(bed_future(&bed, 0)->ended_ns >= bed_future(&bed, 0)->begun_ns);
    prony_image_close(image);
    bed_free(&bed);
}

/* Children that join and take part in `gangs` gangs; a child's exit status is 0 when all went as it should. */
static void children(struct bed *bed, unsigned n, pid_t *pids, int gangs, const struct prony_task *task, unsigned roles,
                     int want)
{
    struct prony_image *image = prony_image_open(getpid(), bed->arena.fd, &bed->error);
    if (image == NULL)
        fail_msg("%s", bed->error.text);
    for (unsigned i = 0; i < n; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            int bad = prony_image_join(image, PRONY_IMAGE_NEXT, 0) < 0;
            for (int gang = 0; gang < gangs && !bad; gang++)
                bad = prony_image_gang(image, task, roles) != want;
            _exit(bad);
        }
    }
    prony_image_close(image);
}

static void collect(const pid_t *pids, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

static void test_gang(void **state)
{
    struct prony_task task = {.ref = {0, PRONY_OWN_BIND}};
    pid_t pids[3];
    struct bed bed;
    (void)state;
    make(&bed, "primes");
    children(&bed, 3, pids, 50, &task, 2, 0);
    collect(pids, 3);
    assert_int_equal(foreign_of(&bed)->claimed, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bed_slots(&bed)[i].generation, 1);
        assert_int_equal(bed_slots(&bed)[i].pu, i < 2 ? bed.pus[i] : -1); /* the third had no role */
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(bed_slots(&bed)[i].pid, bed_slots(&bed)[j].pid);
    }
    bed_free(&bed);
}

/* Two of three come: they wait for the third until the gang is stopped. */
static void test_stop(void **state)
{
    struct prony_task task = {.ref = {0, PRONY_OWN_BIND}};
    pid_t pids[2];
    struct bed bed;
    (void)state;
    make(&bed, "primes");
    children(&bed, 2, pids, 1, &task, 3, -ECANCELED);
    for (unsigned ms = 0; ms < 20000 && __atomic_load_n(&foreign_of(&bed)->enter, __ATOMIC_ACQUIRE) < 2; ms++)
        (void)usleep(1000);
    assert_int_equal(foreign_of(&bed)->enter, 2);
    assert_int_equal(waitpid(pids[0], NULL, WNOHANG), 0);
    prony_foreign_stop(foreign_of(&bed));
    collect(pids, 2);
    bed_free(&bed);
}

/* A worker whose parent dies goes with it. */
static void test_orphan(void **state)
{
    struct prony_image *image;
    struct bed bed;
    int ends[2];
    char byte;
    pid_t parent;
    (void)state;
    make(&bed, "primes");
    image = prony_image_open(getpid(), bed.arena.fd, &bed.error);
    assert_non_null(image);
    assert_int_equal(pipe(ends), 0);
    parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        if (fork() == 0) {
            (void)prony_image_join(image, PRONY_IMAGE_NEXT, 0);
            (void)!write(ends[1], "j", 1);
            (void)sleep(60);
            (void)!write(ends[1], "o", 1); /* an orphan that lived on */
            _exit(0);
        }
        (void)sleep(60);
        _exit(0);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* the end of file: the worker is gone */
    (void)close(ends[0]);
    prony_image_close(image);
    bed_free(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refusals),      cmocka_unit_test(test_call),
                                       cmocka_unit_test(test_begin_and_end), cmocka_unit_test(test_gang),
                                       cmocka_unit_test(test_stop),          cmocka_unit_test(test_orphan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
