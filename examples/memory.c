/* Who shares memory: a thread and a process each add one to a plain variable, and to a value in an arena. Threads share
 * all memory; processes share only what was made for it.
 *
 *     memory */
#include <prony/array.h>
#include <prony/process.h>

#include <pthread.h>
#include <stdio.h>

static int plain;
static struct prony_array *value; /* a process that is forked has the arena at the same address */

static int add(const struct prony_birth *birth)
{
    (void)birth;
    plain++;
    (void)prony_rlock_acquire(&value->lock, -1);
    ++*(int *)prony_array_items(value);
    (void)prony_rlock_release(&value->lock);
    return 0;
}

static const struct prony_entry entries[] = {{"add", add}, {NULL, NULL}};

static void *in_thread(void *nothing)
{
    (void)add(NULL);
    return nothing;
}

static void say(const char *who)
{
    (void)printf("after a %s: plain %d, value %d\n", who, plain, *(int *)prony_array_items(value));
}

int main(int argc, char **argv)
{
    const struct prony_start start = {PRONY_START_FORK, "add", {NULL, 0, NULL, 0}, 0, NULL};
    struct prony_error error = {0, ""};
    struct prony_process process;
    struct prony_arena arena;
    pthread_t thread;
    uint64_t off;
    int code;
    if (prony_process_enter(argc, argv, entries, &code))
        return code;
    if (prony_arena_create(&arena, 4096, &error) != 0 || prony_array_make(&arena, 'i', 1, &off, &error) != 0) {
        (void)fprintf(stderr, "memory: %s\n", error.text);
        return 3;
    }
    value = prony_array_at(&arena, off, 'i');
    if (prony_process_start(&process, &start, &error) != 0) {
        (void)fprintf(stderr, "memory: %s\n", error.text);
        return 3;
    }
    (void)prony_process_join(&process, -1);
    (void)prony_process_close(&process);
    say("process");
    if (pthread_create(&thread, NULL, in_thread, NULL) != 0)
        return 3;
    (void)pthread_join(thread, NULL);
    say("thread");
    prony_arena_close(&arena);
    return 0;
}
