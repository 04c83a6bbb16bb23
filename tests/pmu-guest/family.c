/* family: a known loop in this process, in threads and in child processes, so that what is counted over a whole family
 * from outside has a known answer. Built without prony.
 * usage: family TURNS THREADS CHILDREN */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long turns;

static __attribute__((noinline)) void loop(unsigned long n)
{
#if defined __aarch64__
    __asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(n) : : "cc");
#elif defined __x86_64__
    __asm__ volatile("1: sub $1, %0\n\tjnz 1b" : "+r"(n) : : "cc");
#else
#error "the loop is written for arm64 and x86-64"
#endif
}

static void *run(void *unused)
{
    loop(turns);
    return unused;
}

int main(int argc, char **argv)
{
    int children = argc == 4 ? atoi(argv[3]) : -1, threads = argc == 4 ? atoi(argv[2]) : 0, failed = children < 0;
    turns = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    for (int i = 0; i < children; i++) {
        pid_t child = fork();
        if (child == 0) {
            (void)run(NULL);
            _exit(0);
        }
        failed |= child < 0;
    }
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        failed |= pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, NULL) != 0;
    }
    (void)run(NULL);
    while (wait(NULL) > 0)
        ;
    return failed;
}
