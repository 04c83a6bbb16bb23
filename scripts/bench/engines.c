/* One engine under one metric, in a process of its own: prints the value, for scripts/bench/engines.py to compare.
 *
 *   engines ENGINE METRIC        ENGINE: thread fork openmp floor
 *
 * submit     tasks a second, each with a future of its own; one worker on the second PU, the caller on the first
 * map        items a second of squaring 1,000,000 numbers, default chunk, over 2 workers x a serial loop in between
 * hot        ns from submit to result, median; the worker on the second PU; its floor is the two-line ping-pong
 * idle       the same after 1 ms without work; its floor is a futex wake of a thread that sleeps on the second PU
 * idle-cpu   CPU time of the process over those gaps, in cores
 * completed-N   ns a task to submit N and take them all as completed; one worker on the second PU
 * wait-P, wait-P-cpu   the two with wait policy P: spin, adaptive, park; the CPU time of a worker process included
 * helped     ns of result() of a task that nobody has begun, the worker being held meanwhile; with libgomp a taskwait for
 *            as many deferred tasks, a task's share
 * life       ns to start 2 workers, run one task and stop; its floor is 2 x (pthread_create, join) or (fork, wait)
 * copy       tasks a second that copy 64 KiB from one place to another; its floor is memcpy on one core;
 *            copy-two: by two threads that nobody feeds
 * carry      the same from and to memory of the caller's own, which copies into the arena and out of it; one worker
 * grain-T, unit-T   efficiency of a parallel loop of T ns items: ideal time / measured time; unit: chunks of 1
 * uneven-W   rows of the Mandelbrot set a second over 2 workers, W: guided, static
 * many-N     tasks of 1 us a second through N workers, also of futures-thread and futures-process
 *
 * submit-produce and submit-share, openmp only: the rate when the caller runs no task, and the part that else it runs
 *
 * openmp is libgomp as it is in any program: its caller is one of its two workers. */
#include "engines.h"

int first_pu, second_pu, worker_pid;

int main(int argc, char **argv)
{
    double value = 0;
    if (argc != 3)
        fail("usage: engines ENGINE METRIC");
    find_pus();
    if (strncmp(argv[2], "completed-", 10) == 0)
        value = measure_group(strcmp(argv[1], "fork") == 0, atoi(argv[2] + 10));
    else if (strncmp(argv[2], "uneven-", 7) == 0)
        value = measure_uneven(argv[2]);
    else if (strncmp(argv[2], "many-", 5) == 0)
        value = measure_many(argv[1], argv[2]);
    else if (strcmp(argv[1], "thread") == 0)
        value = measure_pool(0, argv[2]);
    else if (strcmp(argv[1], "fork") == 0)
        value = measure_pool(1, argv[2]);
    else if (strcmp(argv[1], "openmp") == 0)
        value = measure_omp(argv[2]);
    else if (strcmp(argv[1], "floor") == 0)
        value = measure_floor(argv[2]);
    else
        fail("engines are thread fork openmp floor");
    (void)printf("%.6g\n", value);
    return 0;
}
