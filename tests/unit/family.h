/* What the tests of the primitives share: memory that forked processes share, and the family that works on it. */
#ifndef PRONY_TESTS_FAMILY_H
#define PRONY_TESTS_FAMILY_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define LONG_NS (60000 * MS) /* what should not last this long has hung */
#define MEMBERS 3

static inline void *shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

/* A process that runs fn(memory) and ends with 0 when it returned NULL. */
static inline pid_t process_of(void *(*fn)(void *), void *memory)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn(memory) == NULL ? 0 : 1);
    assert_true(pid > 0);
    return pid;
}

static inline int status_of(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* The same by threads, then by processes: all must say that they are content (NULL). */
static inline void by_threads(void *(*fn)(void *), void *memory)
{
    pthread_t threads[MEMBERS];
    void *said;
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, memory), 0);
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_int_equal(pthread_join(threads[i], &said), 0);
        assert_null(said);
    }
}

static inline void by_processes(void *(*fn)(void *), void *memory)
{
    pid_t pids[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++)
        pids[i] = process_of(fn, memory);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(status_of(pids[i]), 0);
}

/* A thread that runs fn to its end. */
static inline void in_thread(void *(*fn)(void *), void *memory)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, memory), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* What a thread says that is not content. */
#define DISCONTENT ((void *)1)

#endif
